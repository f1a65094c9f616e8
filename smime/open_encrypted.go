package smime

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"slices"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/spool"
)

// Bounds on what one message can make the keys do.
const (
	maxUnwraps = 64 // private-key operations
	maxKeys    = 8  // different content-encryption keys, each costing a pass over the message
)

// candidate is a content-encryption key that may be the right one.
type candidate struct {
	cek  []byte
	key  *x509.Certificate
	info cms.RecipientInfo // where it came from
}

// encrypted opens an EnvelopedData or AuthEnvelopedData.
func (op *opener) encrypted(e *entity.Entity, ed *cms.EnvelopedData) (*entity.Entity, *Layer, error) {
	layer := &Encrypted{Form: "enveloped-data"}
	if ed.Authenticated {
		layer.Form = "auth-enveloped-data"
	}
	if ed.Cipher != 0 {
		layer.Cipher = ed.Cipher.String()
	} else {
		layer.Cipher = ed.ContentEncryption.Algorithm.String()
	}
	allowed := cms.DecryptOptions{AllowWeak: op.o.AllowWeak}
	var weak *cms.WeakError
	if err := ed.Check(allowed); errors.As(err, &weak) { // before any key is asked for
		layer.Status, layer.Err = StatusUndecryptable, err
		for _, info := range ed.Recipients {
			layer.Recipients = append(layer.Recipients, Recipient{Info: info, Mine: op.isMine(info)})
		}
		return nil, &Layer{Encrypted: layer}, nil
	}
	candidates, err := op.unwrap(ed.Recipients, layer)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		for _, c := range candidates {
			clear(c.cek)
		}
	}()
	if len(candidates) == 0 {
		layer.Status = StatusUndecryptable
		switch {
		case layer.Err == nil:
			layer.Err = ErrNoKey
		case damagedKeys(layer.Recipients):
			layer.Status, layer.Err = StatusFailed, cms.ErrDecrypt
		}
		return nil, &Layer{Encrypted: layer}, nil
	}
	layer.Status, layer.Err = StatusFailed, cms.ErrDecrypt
	if !ed.EContentType.Equal(cms.OIDData) {
		layer.Err = &cms.UnsupportedError{What: "content of an encrypted message", Algorithm: ed.EContentType}
		return nil, &Layer{Encrypted: layer}, nil
	}
	for i, c := range candidates {
		if i > 0 { // the stream of the message has been used up
			if ed, err = op.reread(e); err != nil {
				return nil, nil, err
			}
		}
		inside, err := op.decrypt(e, ed, c.cek, allowed)
		switch {
		case errors.Is(err, cms.ErrDecrypt), isFormError(err):
			layer.Err = err
			if op.o.KeepContentKeys {
				layer.keep(c)
			}
			continue
		case err != nil:
			return nil, nil, err
		}
		layer.Status, layer.Err, layer.Key, layer.Content = StatusDecrypted, nil, c.key, inside.Section()
		layer.wipeContentKeys() // those that did not open it
		if op.o.KeepContentKeys {
			layer.keep(c)
		}
		layer.Authenticated = ed.Authenticated && ed.Cipher.Authenticated()
		if ed.Cipher.Weak() {
			layer.Weak = ed.Check(cms.DecryptOptions{})
		}
		return inside, &Layer{Encrypted: layer}, nil
	}
	return nil, &Layer{Encrypted: layer}, nil
}

// isMine reports whether one of the keys at hand is that of the recipient.
func (op *opener) isMine(info cms.RecipientInfo) bool {
	return slices.ContainsFunc(op.o.Decrypters, func(d Decrypter) bool { return info.Recipient().Matches(d.Certificate()) })
}

// unwrap tries every key on every recipient that it may be for.
func (op *opener) unwrap(recipients []cms.RecipientInfo, layer *Encrypted) ([]candidate, error) {
	var candidates []candidate
	unwraps := 0
	for _, info := range recipients {
		r := Recipient{Info: info, Mine: op.isMine(info)}
		for _, d := range op.o.Decrypters {
			if err := op.ctx.Err(); err != nil {
				return nil, err
			}
			if unwraps >= maxUnwraps || len(candidates) >= maxKeys {
				continue
			}
			cek, err := d.Unwrap(op.ctx, info)
			if errors.Is(err, ErrNotRecipient) {
				continue
			}
			unwraps++
			if err != nil {
				r.Err, layer.Err = err, err
				continue
			}
			if !known(candidates, cek) {
				candidates = append(candidates, candidate{cek, d.Certificate(), info})
			}
		}
		layer.Recipients = append(layer.Recipients, r)
	}
	return candidates, nil
}

// damagedKeys reports whether keys at hand were used, none of them was out of reach, and what is encrypted to them does
// not open: then it is the message that is at fault, as where a damaged key of another form comes out as a wrong one.
func damagedKeys(recipients []Recipient) bool {
	damaged := false
	for _, r := range recipients {
		switch {
		case r.Err == nil:
		case errors.Is(r.Err, cms.ErrDecrypt), errors.Is(r.Err, cms.ErrMalformed):
			damaged = true
		default:
			return false
		}
	}
	return damaged
}

func known(candidates []candidate, cek []byte) bool {
	for _, c := range candidates {
		if bytes.Equal(c.cek, cek) {
			return true
		}
	}
	return false
}

// reread reads the head of an encrypted message once more.
func (op *opener) reread(e *entity.Entity) (*cms.EnvelopedData, error) {
	info, err := cms.Read(e.Decode(), op.o.Limits.CMS)
	if err != nil {
		return nil, err
	}
	ed, ok := info.(*cms.EnvelopedData)
	if !ok {
		return nil, ErrDamaged // the source changed between two passes
	}
	return ed, nil
}

// decrypt decrypts the message in e under one key. Text leaves the quarantine only if all of it is in order.
func (op *opener) decrypt(e *entity.Entity, ed *cms.EnvelopedData, cek []byte, allowed cms.DecryptOptions) (*entity.Entity, error) {
	quarantine := op.newSpool()
	inside, err := func() (*entity.Entity, error) {
		if err := ed.Decrypt(op.ctx, quarantine, cek, allowed); err != nil {
			return nil, err
		}
		inside, err := entity.Parse(quarantine, op.o.Limits.Entity)
		if ed.Cipher.Authenticated() {
			return inside, err
		}
		if errors.Is(err, entity.ErrHeaderTooLarge) {
			return nil, cms.ErrDecrypt
		}
		if err != nil {
			return nil, err
		}
		if ok, err := plausible(inside, quarantine); err != nil || !ok {
			return nil, errors.Join(err, cms.ErrDecrypt)
		}
		return inside, nil
	}()
	if err != nil {
		return nil, errors.Join(err, op.discard(quarantine))
	}
	return inside, nil
}

// plausibleText is how much text without a header is looked at.
const plausibleText = 4096

// plausible decides whether text that no tag vouches for is what was encrypted, and not what a wrong key makes of it:
// padding alone lets one wrong key in 256 pass. S/MIME encrypts MIME entities (RFC 8551 section 3.1), so there must be a
// header of header fields; some programs encrypt bare text, which then has no control characters.
func plausible(inside *entity.Entity, text *spool.Spool) (bool, error) {
	head := make([]byte, min(plausibleText, text.Size()))
	if _, err := text.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if len(inside.Header) > 0 {
		head = head[:min(int64(len(head)), inside.Body)]
	}
	for _, c := range head {
		switch c {
		case '\t', '\n', '\r', '\f', 0x1b: // ISO 2022 needs ESC
		default:
			if c < ' ' || c == 0x7f {
				return false, nil
			}
		}
	}
	return true, nil
}
