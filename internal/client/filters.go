package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// DecryptParams say how to decrypt a file.
type DecryptParams struct {
	Keys      KeyFiles
	AllowWeak bool // read what is encrypted with Triple-DES and RC2
}

// Decrypt takes the encryption off a message: it writes the entity that was encrypted, with its signature if it has one.
// The output appears only when the whole message was checked.
func (c *Client) Decrypt(ctx context.Context, p DecryptParams, in string, out Output) error {
	src, err := c.openSource(in)
	if err != nil {
		return err
	}
	defer src.Close()
	decrypters, _, err := c.decrypters(p.Keys)
	if err != nil {
		return err
	}
	m, err := smime.Open(ctx, src, smime.OpenOptions{Decrypters: decrypters, AllowWeak: p.AllowWeak, Spool: c.layerOptions(src.Size())})
	if err != nil {
		return cmp.Or(src.unchanged(), explainOpen(in, err))
	}
	defer m.Close()
	if err := src.unchanged(); err != nil {
		return err
	}
	if len(m.Layers) == 0 || m.Layers[0].Encrypted == nil {
		return &Error{Kind: No, What: in, Err: errors.New("the message is not encrypted"), Hint: "`sealmail verify` judges a signature"}
	}
	layer := m.Layers[0].Encrypted
	if err := explainEncrypted(in, layer); err != nil {
		return err
	}
	if !layer.Authenticated {
		c.o.Say("warning: " + layer.Cipher + " does not show whether the message was altered on the way")
	}
	return c.writeFrom(src, out, func(w io.Writer) error {
		return smime.WriteContent(ctx, w, layer.Content)
	})
}

// explainEncrypted says why a layer did not open. A key that is out of reach is told from one that is not there.
func explainEncrypted(what string, layer *smime.Encrypted) error {
	switch layer.Status {
	case smime.StatusDecrypted:
		return nil
	case smime.StatusUndecryptable:
		for _, r := range layer.Recipients {
			var known *Error
			if r.Err != nil && errors.As(r.Err, &known) {
				return known
			}
		}
		if reason := closedReason(layer); reason.Code != nil {
			return &Error{Kind: No, What: what, Err: layer.Err, Hint: closedHints[*reason.Code]}
		}
		return &Error{Kind: No, What: what, Err: errors.New("none of your keys opens it"), Hint: "import the key it is encrypted to: `sealmail cert import FILE.p12`, or give it with --p12"}
	}
	return &Error{Kind: No, What: what, Err: layer.Err, Hint: "the message was damaged or altered on the way: ask for it again"}
}

// closedHints say what to do about an encryption that no key opens.
var closedHints = map[string]string{
	codeWeak:        "old mail can be read with --allow-weak: others may have read it too",
	codeUnsupported: "ask the sender to encrypt with AES",
}

// SignParams say how to sign a file.
type SignParams struct {
	Keys                KeyFiles
	Opaque, NoTimestamp bool
	Bare                bool // the CMS message alone, as smime.SignOptions has it
	TSA                 []string
	Access              *TSAAccess // of the one authority in TSA; nil: what the configuration says of each
}

// Sign signs a MIME entity or a message.
func (c *Client) Sign(ctx context.Context, p SignParams, in string, out Output) error {
	layer, err := c.signature(ctx, p)
	if err != nil {
		return err
	}
	return c.protect(ctx, in, out, p.Bare, smime.HeaderProtector{Scheme: smime.HPClear}, layer)
}

// signature is the layer that signing adds.
func (c *Client) signature(ctx context.Context, p SignParams) (layer, error) {
	a, found, err := c.optionalAccount()
	if err != nil {
		return nil, err
	}
	signer, known, err := c.signer(ctx, p.Keys, a.Address)
	if err != nil {
		return nil, err
	}
	o := smime.SignOptions{Bare: p.Bare, SigningTime: c.o.Now().Truncate(time.Second), Capabilities: cms.OwnCapabilities(), RevocationValues: known.values}
	if p.Opaque {
		o.Form = smime.Opaque
	}
	stamp, err := c.fileStamp(p, a, found)
	if err != nil {
		return nil, err
	}
	if stamp != nil {
		preferred, again := len(p.TSA) == 0 && a.Timestamp == config.TimestampPreferred, false
		o.Timestamp = func(ctx context.Context, signature []byte) ([]byte, error) {
			token, err := stamp(ctx, signature)
			if err != nil || token.result == nil || !token.result.Time.Before(o.SigningTime) {
				return token.token, err
			}
			earlier := &cms.SignEarlierError{SigningTime: token.result.Time.Truncate(time.Second)}
			switch {
			case again && preferred:
				c.o.Say("warning: " + clocksDiffer(earlier).Error() + "; signed without a timestamp")
				return nil, nil
			case again: // it was dated by this authority, or by the one before it
				return nil, clocksDiffer(earlier)
			}
			o.SigningTime, again = earlier.SigningTime, true
			return nil, earlier
		}
	}
	return func(w io.Writer, payload io.Reader) error { return smime.Sign(ctx, w, payload, signer, o) }, nil
}

// fileStamp is how a signature over a file is timestamped: by the authorities that were named, who need no anchor in
// the store then, or by those of the account, as its policy says.
func (c *Client) fileStamp(p SignParams, a config.Account, account bool) (stampFunc, error) {
	switch {
	case p.NoTimestamp && len(p.TSA) > 0:
		return nil, usage("sign", errors.New("--tsa and --no-timestamp exclude each other"), "give one of the two")
	case p.Access != nil && len(p.TSA) != 1:
		return nil, checkAccess("sign", p.TSA, p.Access)
	case p.NoTimestamp:
		return nil, nil
	case len(p.TSA) > 0:
		trust, err := c.onlineStampTrust(nil)
		if err != nil {
			return nil, err
		}
		trust.orAnybody(c.o.Say)
		s, err := c.stamperWith(p.TSA, p.Access, trust)
		if err != nil {
			return nil, err
		}
		return s.stampBytes, nil
	case account && !p.Keys.given():
		return c.sendStamp(a.TSA, a.Timestamp)
	}
	return nil, nil
}

// EncryptParams say how to encrypt a file.
type EncryptParams struct {
	To     []string    // addresses, or files of certificates
	Bare   bool        // the CMS message alone, as smime.EncryptOptions has it
	Cipher string      // empty: what all recipients are known to take
	Sign   *SignParams // nil: what is encrypted is not signed before

	HeaderConfidentiality string // baseline, shy or none; empty: the account's, or baseline
}

// Encrypt encrypts a MIME entity or a message, and signs it before where that is asked for.
func (c *Client) Encrypt(ctx context.Context, p EncryptParams, in string, out Output) error {
	header, err := c.protectFiltered(p)
	if err != nil {
		return err
	}
	var candidates []certstore.Candidate
	by, err := c.selector(c.o.Now(), false)
	if err != nil {
		return err
	}
	var refusals []certstore.Selection
	for _, to := range p.To {
		if namesFile(to, ".pem", ".der", ".crt", ".cer") {
			certs, err := c.o.readCertificates([]string{to})
			if err != nil {
				return err
			}
			capabilities, known := cms.CertificateCapabilities(certs[0])
			candidates = append(candidates, certstore.Candidate{Certificate: certs[0], Chain: certs[:1], Capabilities: capabilities, Known: known})
			continue
		}
		s, err := c.chooseRecipient(ctx, to, by.Selector)
		if err != nil {
			return err
		}
		if s.Chosen == nil {
			refusals = append(refusals, s)
			continue
		}
		candidates = append(candidates, *s.Chosen)
	}
	if err := c.refused("encrypt", refusals, "nothing was written"); err != nil {
		return err
	}
	choice := certstore.ChooseCipher(candidates)
	if p.Cipher != "" {
		if choice.Cipher, err = parseCipher(p.Cipher); err != nil {
			return err
		}
	}
	recipients, _, err := recipientsOf(candidates)
	if err != nil {
		return err
	}
	protection := func(w io.Writer, payload io.Reader) error {
		return smime.Encrypt(ctx, w, payload, recipients, smime.EncryptOptions{Cipher: choice.Cipher, Bare: p.Bare})
	}
	if p.Sign != nil {
		signed, err := c.signature(ctx, *p.Sign)
		if err != nil {
			return err
		}
		protection = around(signed, protection)
	}
	return c.protect(ctx, in, out, p.Bare, header, protection)
}

// protectFiltered is how Encrypt protects the header of a message. Who is named by a certificate may have any program.
func (c *Client) protectFiltered(p EncryptParams) (smime.HeaderProtector, error) {
	a, err := c.account()
	if err != nil && c.o.Account == "" { // none is set up, or none is the one
		a, err = config.Account{HeaderConfidentiality: config.HeaderConfidentialityBaseline}, nil
	}
	if err != nil {
		return smime.HeaderProtector{}, err
	}
	word, err := headerConfidentiality(p.HeaderConfidentiality, a)
	if err != nil {
		return smime.HeaderProtector{}, err
	}
	return c.protectSealed(word, a.Address, p.To)
}

func parseCipher(name string) (cms.Cipher, error) {
	ciphers := []cms.Cipher{cms.AES256GCM, cms.AES192GCM, cms.AES128GCM, cms.AES256CBC, cms.AES192CBC, cms.AES128CBC}
	names := make([]string, len(ciphers))
	for i, cipher := range ciphers {
		if names[i] = cipher.String(); names[i] == strings.ToLower(name) {
			return cipher, nil
		}
	}
	return 0, usage("--cipher", fmt.Errorf("%q is not known", name), "one of "+strings.Join(names, ", "))
}
