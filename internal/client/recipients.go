package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/smime/cms"
)

// audience is a group of people who get the same ciphertext: To and Cc together, each Bcc alone, and the sender in each.
type audience struct {
	addresses  []string // envelope recipients; none: only the sender's own copy
	candidates []certstore.Candidate
	recipients []cms.Recipient
	cipher     certstore.CipherChoice
}

// plan is how a message would be sealed, recipient by recipient.
type plan struct {
	audiences []audience
	results   []SendRecipientResult
	refusals  []certstore.Selection // of each recipient that cannot be encrypted to
}

// brief leaves out what is of interest only where nothing was sent.
func (p *plan) brief() {
	for i := range p.results {
		p.results[i].Candidates = nil
	}
}

// used are the fingerprints of the correspondents' certificates that the message is encrypted to.
func (p *plan) used() []string {
	var list []string
	for _, a := range p.audiences {
		for _, candidate := range a.candidates {
			if candidate.Correspondent != nil {
				list = append(list, certstore.Fingerprint(candidate.Certificate))
			}
		}
	}
	return list
}

// planEncryption finds certificates and algorithms for a draft; self is what the sender's own copy is encrypted to. Who has no usable certificate is in refusals; with any
// refusal there is nothing that may be sent.
func (c *Client) planEncryption(ctx context.Context, d *draft, self certstore.Selection, by certstore.Selector) (*plan, error) {
	p := &plan{}
	if self.Chosen == nil {
		p.refusals = append(p.refusals, self)
	}
	open := slices.Concat(d.To, d.Cc)
	if len(open) > 0 || len(d.Bcc) == 0 {
		if err := c.planAudience(ctx, p, self, open, by); err != nil {
			return nil, err
		}
	}
	for _, bcc := range d.Bcc {
		if err := c.planAudience(ctx, p, self, []*mail.Address{bcc}, by); err != nil {
			return nil, err
		}
	}
	if len(open) == 0 && len(d.Bcc) > 0 {
		// The sender's copy must not tell one blind recipient's envelope from another's: it is one of its own.
		if err := c.planAudience(ctx, p, self, nil, by); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// planClear is the plan of a message that is signed only. Who is in Bcc has an envelope of their own, as where it is
// encrypted: no server that hands it over to one of them learns of the others.
func planClear(d *draft) *plan {
	p := &plan{}
	add := func(to []*mail.Address) {
		a := audience{}
		for _, address := range to {
			a.addresses = append(a.addresses, address.Address)
			p.results = append(p.results, SendRecipientResult{Address: address.Address})
		}
		p.audiences = append(p.audiences, a)
	}
	if open := slices.Concat(d.To, d.Cc); len(open) > 0 {
		add(open)
	}
	for _, bcc := range d.Bcc {
		add([]*mail.Address{bcc})
	}
	return p
}

func (c *Client) planAudience(ctx context.Context, p *plan, self certstore.Selection, to []*mail.Address, by certstore.Selector) error {
	a := audience{}
	first := len(p.results)
	if self.Chosen != nil {
		a.candidates = append(a.candidates, *self.Chosen)
	}
	for _, address := range to {
		a.addresses = append(a.addresses, address.Address)
		result := SendRecipientResult{Address: address.Address}
		selection, err := c.chooseRecipient(ctx, address.Address, by)
		if err != nil {
			return err
		}
		result.Candidates = candidateReports(selection)
		if selection.Chosen == nil {
			p.refusals = append(p.refusals, selection)
			result.Error = orNull(refusal(selection))
		} else {
			c.sayUnchecked(*selection.Chosen)
			a.candidates = append(a.candidates, *selection.Chosen)
			result.Certificate = orNull(certstore.Fingerprint(selection.Chosen.Certificate))
			if result.Notice, err = c.recipientNotice(address.Address, *selection.Chosen); err != nil {
				return err
			}
		}
		p.results = append(p.results, result)
	}
	a.cipher = certstore.ChooseCipher(a.candidates)
	recipients, reasons, err := recipientsOf(a.candidates)
	if err != nil {
		return err
	}
	a.recipients = recipients
	for n, r := range a.recipients {
		fingerprint := certstore.Fingerprint(r.Certificate)
		for i := range p.results[first:] {
			if result := &p.results[first+i]; result.Certificate != nil && *result.Certificate == fingerprint {
				result.Cipher = orNull(a.cipher.Cipher.String())
				result.KeyManagement = orNull(r.KeyManagement.String())
				result.Reason = orNull(a.cipher.Reason)
				result.KeyManagementReason = orNull(reasons[n])
			}
		}
	}
	p.audiences = append(p.audiences, a)
	return nil
}

// recipientsOf are the candidates as recipients, each certificate once, though it may speak for several addresses, and
// why the key is handed over to each in its way.
func recipientsOf(candidates []certstore.Candidate) (list []cms.Recipient, reasons []string, err error) {
	seen := map[string]bool{}
	for _, candidate := range candidates {
		fingerprint := certstore.Fingerprint(candidate.Certificate)
		if seen[fingerprint] {
			continue
		}
		seen[fingerprint] = true
		management, reason, err := candidate.KeyManagement()
		if err != nil {
			return nil, nil, failed("", fmt.Errorf("certificate %s: %w", fingerprint, err), "use another certificate for this recipient")
		}
		list = append(list, cms.Recipient{Certificate: candidate.Certificate, KeyManagement: management})
		reasons = append(reasons, reason)
	}
	return list, reasons, nil
}

func (c *Client) chooseRecipient(ctx context.Context, address string, by certstore.Selector) (certstore.Selection, error) {
	s, err := c.certificates().Recipient(ctx, address, by)
	if err != nil {
		return s, storeError(err)
	}
	return s, nil
}

// candidateReports lists the certificates that were considered.
func candidateReports(s certstore.Selection) []CandidateReport {
	list := make([]CandidateReport, len(s.Candidates))
	for i, c := range s.Candidates {
		d := certstore.Describe(c.Certificate)
		if c.Identity != nil && c.Usable() && c.Reason != "" { // one's own needs no path
			c.Reason = "it is yours, and taken although " + c.Reason
		}
		list[i] = CandidateReport{
			Fingerprint: d.Fingerprint, Name: orNull(d.Name), Issuer: orNull(d.Issuer), NotAfter: d.NotAfter, KeyAlgorithm: d.KeyAlgorithm,
			Chosen: s.Chosen == &s.Candidates[i], Usable: c.Usable(), Code: orNull(string(c.Code)), Reason: orNull(cmp.Or(c.Reason, c.Unchecked)),
		}
	}
	return list
}

// recipientNotice says what is new in the certificate that mail to somebody is encrypted to; nil: nothing is.
func (c *Client) recipientNotice(address string, chosen certstore.Candidate) (*string, error) {
	if chosen.Correspondent == nil {
		return nil, nil
	}
	a, err := c.certificates().AcquaintanceOfRecipient(address, chosen.Certificate)
	if err != nil {
		return nil, storeError(err)
	}
	d := certstore.Describe(chosen.Certificate)
	switch {
	case a.First:
		return orNull(fmt.Sprintf("first mail to %s: the certificate is that of %q from %q (%.16s…), %s on %s", address, d.Name, d.Issuer, d.Fingerprint,
			orSeen(chosen.Correspondent.Source), chosen.Correspondent.FirstSeen.UTC().Format(time.DateOnly))), nil
	case a.Changed():
		return orNull(changeWords(address, "is written to", chosen.Certificate, a)), nil
	}
	return nil, nil
}

func orSeen(source string) string { return cmp.Or(source, "first seen") }

// refusal says why there is no certificate to use for an address, naming each that was considered.
func refusal(s certstore.Selection) string {
	if len(s.Candidates) == 0 {
		return fmt.Sprintf("no certificate for %s is known", s.Address)
	}
	reasons := make([]string, len(s.Candidates))
	for i, candidate := range s.Candidates {
		reasons[i] = fmt.Sprintf("%.16s…: %s (%s)", certstore.Fingerprint(candidate.Certificate), candidate.Reason, candidate.Code)
	}
	return fmt.Sprintf("no usable certificate for %s: %s", s.Address, strings.Join(reasons, "; "))
}

// refused is the error of what was to be encrypted to people of whom some have no certificate to use; outcome says that
// it was not done.
func (c *Client) refused(what string, refusals []certstore.Selection, outcome string) error {
	if len(refusals) == 0 {
		return nil
	}
	hint := "import the certificate with `sealmail cert import FILE`"
	var reasons []string
	for _, s := range refusals {
		reasons = append(reasons, refusal(s))
		if share := "`sealmail cert share "; !c.owns(s.Address) && !strings.Contains(hint, share) {
			hint += ", or ask for a signed mail: " + share + s.Address + "` sends yours along"
		}
	}
	return failed(what, errors.New(strings.Join(append(reasons, outcome), "; ")),
		hint+"; an untrusted one needs its root: `sealmail cert trust ROOT.pem --for mail`")
}

// ownHint says what to do where none of one's own certificates can be used.
func ownHint(s certstore.Selection) string {
	for _, c := range s.Candidates {
		if c.Identity != nil && c.Code == certstore.Expired {
			return fmt.Sprintf("`sealmail cert renew %.8s` asks for the next one, or import it: `sealmail cert import FILE.p12`", certstore.Fingerprint(c.Certificate))
		}
	}
	return "import yours, with its key: `sealmail cert import FILE.p12`"
}

// signingIdentity chooses the identity to sign with as this address, with what goes along with its signatures.
func (c *Client) signingIdentity(ctx context.Context, address string, by selector) (*certstore.Candidate, revocationValues, error) {
	s, err := c.certificates().SigningIdentity(ctx, address, by.Selector)
	if err != nil {
		return nil, revocationValues{}, storeError(err)
	}
	c.sayProblems(s.Problems)
	if s.Chosen == nil {
		return nil, revocationValues{}, failed("sign", errors.New(refusal(s)), ownHint(s))
	}
	return s.Chosen, by.revocations.values(s.Chosen.Chain), nil
}
