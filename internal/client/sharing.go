package client

import (
	"context"
	"fmt"

	"github.com/sealmail/sealmail/certstore"
)

// shareText is what a mail that carries a certificate says. Whoever gets it need not know what a certificate is.
// Its paragraphs are lines, for whoever reads it to fold.
const shareText = `This mail is signed with my S/MIME certificate. Most mail programs keep it by themselves, and can then encrypt mail to me.

Please answer with a signed mail of yours, so that I can do the same.
`

// CertShare sends somebody one's certificate, in a mail that is signed only.
func (c *Client) CertShare(ctx context.Context, to string, dryRun bool) (*SendResult, error) {
	if _, ok := certstore.NormalizeAddress(to); !ok {
		return nil, noAddress("cert share", to)
	}
	return c.Send(ctx, SendParams{Letter: Letter{To: []string{to}, Subject: "My certificate, to encrypt mail to me", Body: []byte(shareText)},
		SendOptions: SendOptions{NoEncrypt: true, DryRun: dryRun}})
}

func noAddress(command, word string) error {
	return usage(command, fmt.Errorf("%q is not an e-mail address", word), "write it like bob@example.org")
}

// CertFind says which certificate mail to an address would be encrypted to, and what came of each that was considered.
func (c *Client) CertFind(ctx context.Context, address string) (*FindResult, error) {
	if _, ok := certstore.NormalizeAddress(address); !ok {
		return nil, noAddress("cert find", address)
	}
	by, err := c.selector(c.o.Now(), true)
	if err != nil {
		return nil, err
	}
	s, err := c.chooseRecipient(ctx, address, by.Selector)
	if err != nil {
		return nil, err
	}
	c.sayProblems(s.Problems)
	r := &FindResult{Address: address, Candidates: candidateReports(s)}
	if s.Chosen == nil {
		return r, nil
	}
	r.Certificate = orNull(certstore.Fingerprint(s.Chosen.Certificate))
	choice := certstore.ChooseCipher([]certstore.Candidate{*s.Chosen})
	r.Cipher, r.Reason = orNull(choice.Cipher.String()), orNull(choice.Reason)
	return r, nil
}
