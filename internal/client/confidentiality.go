package client

import (
	"fmt"
	"strings"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/entity"
)

// headerPolicies are the policies of RFC 9788 by the words for them.
var headerPolicies = map[config.HeaderConfidentiality]smime.HCP{
	config.HeaderConfidentialityBaseline: smime.HCPBaseline,
	config.HeaderConfidentialityShy:      smime.HCPShy,
	config.HeaderConfidentialityNone:     smime.HCPNoConfidentiality,
}

// headerConfidentiality is the word that is asked for, or else the account's.
func headerConfidentiality(asked string, a config.Account) (config.HeaderConfidentiality, error) {
	if asked == "" {
		return a.HeaderConfidentiality, nil
	}
	word := config.HeaderConfidentiality(asked)
	if headerPolicies[word] == nil {
		return "", usage("--header-confidentiality", fmt.Errorf("%q is not known", asked), "baseline, shy or none")
	}
	return word, nil
}

// protectSealed is how the header of encrypted mail to these people is protected. What is hidden is repeated in the text
// unless all of them were seen to know header protection (RFC 9788 section 5.2.1); own is the writer, who does.
func (c *Client) protectSealed(word config.HeaderConfidentiality, own string, to []string) (smime.HeaderProtector, error) {
	p := smime.HeaderProtector{Scheme: smime.HPCipher, Policy: headerPolicies[word]}
	for _, address := range to {
		if smime.SameAddress(address, own) || c.owns(address) {
			continue
		}
		known, err := c.certificates().KnowsHeaderProtection(address)
		if err != nil {
			return p, storeError(err)
		}
		p.LegacyDisplay = p.LegacyDisplay || !known
	}
	return p, nil
}

// readableFields are the header fields of a message that everybody on the way can read.
func readableFields(p smime.HeaderProtector, fields entity.Header) ([]FieldReport, error) {
	_, outer, err := p.Protect(strings.NewReader("\r\n"), fields)
	if err != nil {
		return nil, err
	}
	list := []FieldReport{}
	for _, f := range outer {
		list = append(list, FieldReport{f.Name, f.Text()})
	}
	return list, nil
}
