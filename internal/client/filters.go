package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
)

// Decrypt takes the encryption off a message: it writes the entity that was encrypted, with its signature if it has one.
// The output appears only when the whole message was checked.
func (c *Client) Decrypt(ctx context.Context, k KeyFiles, in string, out Output) error {
	src, err := c.openSource(in)
	if err != nil {
		return err
	}
	defer src.Close()
	decrypters, _, err := c.decrypters(k)
	if err != nil {
		return err
	}
	m, err := smime.Open(ctx, src, smime.OpenOptions{Decrypters: decrypters, Spool: c.spoolOptions()})
	if err != nil {
		return failed(in, err, "")
	}
	defer m.Close()
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
	return c.write(out, func(w io.Writer) error {
		_, err := io.Copy(w, contextReader{ctx, layer.Content})
		return err
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
		return &Error{Kind: No, What: what, Err: errors.New("none of your keys opens it"), Hint: "import the key it is encrypted to: `sealmail cert import FILE.p12`, or give it with --p12"}
	}
	return &Error{Kind: No, What: what, Err: layer.Err, Hint: "the message was damaged or altered on the way: ask for it again"}
}

// SignParams say how to sign a file.
type SignParams struct {
	Keys                KeyFiles
	Opaque, NoTimestamp bool
	TSA                 []string
}

// Sign signs a MIME entity or a message.
func (c *Client) Sign(ctx context.Context, p SignParams, in string, out Output) error {
	a, found, err := c.optionalAccount()
	if err != nil {
		return err
	}
	signer, err := c.signer(p.Keys, a.Address)
	if err != nil {
		return err
	}
	o := smime.SignOptions{SigningTime: c.o.Now(), Capabilities: cms.OwnCapabilities()}
	if p.Opaque {
		o.Form = smime.Opaque
	}
	stamp, err := c.fileStamp(p, a, found)
	if err != nil {
		return err
	}
	if stamp != nil {
		o.Timestamp = stamp
	}
	return c.protect(ctx, in, out, smime.HPClear, func(w io.Writer, payload io.Reader) error {
		return smime.Sign(ctx, w, payload, signer, o)
	})
}

// fileStamp is how a signature over a file is timestamped: by the authorities that were named, who need no anchor in
// the store then, or by those of the account, as its policy says.
func (c *Client) fileStamp(p SignParams, a config.Account, account bool) (stampFunc, error) {
	switch {
	case p.NoTimestamp && len(p.TSA) > 0:
		return nil, usage("sign", errors.New("--tsa and --no-timestamp exclude each other"), "give one of the two")
	case p.NoTimestamp:
		return nil, nil
	case len(p.TSA) > 0:
		path, anchored, err := c.stampPath(nil)
		if err != nil {
			return nil, err
		}
		if !anchored {
			path = nil
			c.o.Say("warning: no anchor for timestamps is trusted: the authority is taken at its word")
		}
		s, err := c.newStamper(p.TSA, path)
		if err != nil {
			return nil, err
		}
		return s.stampBytes, nil
	case account && !p.Keys.given():
		return c.sendStamp(a.TSA, a.Timestamp, nil)
	}
	return nil, nil
}

// EncryptParams say how to encrypt a file.
type EncryptParams struct {
	To     []string // addresses, or files of certificates
	Cipher string   // empty: what all recipients are known to take
}

// Encrypt encrypts a MIME entity or a message.
func (c *Client) Encrypt(ctx context.Context, p EncryptParams, in string, out Output) error {
	var candidates []certstore.Candidate
	v, err := c.mailValidator(nil)
	if err != nil {
		return err
	}
	var refusals []string
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
		s, err := c.chooseRecipient(to, v, c.o.Now())
		if err != nil {
			return err
		}
		if s.Chosen == nil {
			refusals = append(refusals, refusal(s))
			continue
		}
		candidates = append(candidates, *s.Chosen)
	}
	if err := refused("encrypt", refusals, "nothing was written"); err != nil {
		return err
	}
	choice := certstore.ChooseCipher(candidates)
	if p.Cipher != "" {
		if choice.Cipher, err = parseCipher(p.Cipher); err != nil {
			return err
		}
	}
	recipients, err := recipientsOf(candidates)
	if err != nil {
		return err
	}
	return c.protect(ctx, in, out, smime.HPCipher, func(w io.Writer, payload io.Reader) error {
		return smime.Encrypt(ctx, w, payload, recipients, smime.EncryptOptions{Cipher: choice.Cipher})
	})
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

// messageFields are fields that make of a MIME entity a message.
var messageFields = []string{"From", "To", "Cc", "Subject", "Date", "Message-ID"}

// protect reads a MIME entity or a whole message and writes it under one more layer. The header of a message is
// protected inside, and stays outside as far as the scheme lets it.
func (c *Client) protect(ctx context.Context, in string, out Output, scheme smime.HPScheme, layer func(w io.Writer, payload io.Reader) error) error {
	src, err := c.openSource(in)
	if err != nil {
		return err
	}
	defer src.Close()
	e, err := entity.Parse(src, entity.Limits{})
	if err != nil {
		return failed(in, err, "")
	}
	whole := slices.ContainsFunc(messageFields, func(name string) bool { return len(e.Header.All(name)) > 0 })
	return c.write(out, func(w io.Writer) error {
		var payload io.Reader = e.Section()
		if whole {
			if isLayer(e) && scheme == smime.HPCipher {
				inside, err := c.headerInside(ctx, src)
				if err != nil {
					return failed(in, err, "")
				}
				if !inside { // what is hidden outside would be nowhere
					scheme = smime.HPClear
					c.o.Say("warning: the message does not protect its header inside: all of it, Subject too, stays readable outside")
				}
			}
			protected, outer, err := smime.ProtectHeaders(payload, e.Header, scheme)
			if err != nil {
				return failed(in, err, "take the message's header fields off the entity first")
			}
			payload = protected
			if isLayer(e) {
				// The header is protected at the root of the payload (RFC 9788 section 2.1), which is further inside.
				payload = withoutMessageFields(e)
			}
			if err := smime.WriteOuterHeader(w, outer); err != nil {
				return err
			}
		}
		if err := layer(w, contextReader{ctx, payload}); err != nil {
			return storeError(err)
		}
		return nil
	})
}

// headerInside reports whether a message that is a layer has its header fields inside as well. Where that cannot be
// seen, because the layer is encrypted, they are taken for missing.
func (c *Client) headerInside(ctx context.Context, src smime.Source) (bool, error) {
	m, err := smime.Open(ctx, src, smime.OpenOptions{Spool: c.spoolOptions()})
	if err != nil {
		return false, err
	}
	return m.Protection.Scheme != smime.HPNone, m.Close()
}

// isLayer tells an entity that is signed or encrypted from one that is content.
func isLayer(e *entity.Entity) bool {
	switch e.Type.Type {
	case "multipart/signed", "application/pkcs7-mime", "application/x-pkcs7-mime":
		return true
	}
	return false
}

// withoutMessageFields is the entity of a message, less what belongs to the message.
func withoutMessageFields(e *entity.Entity) io.Reader {
	var head bytes.Buffer
	for _, f := range e.Header {
		if f.Structural() && !f.Is("MIME-Version") {
			head.Write(f.Raw)
		}
	}
	head.WriteString("\r\n")
	return io.MultiReader(&head, e.BodySection())
}
