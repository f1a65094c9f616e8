package certstore

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"sync/atomic"

	"github.com/sealmail/sealmail/smime/cms"
)

// Decrypter opens what was encrypted to one certificate. The private key is fetched when a message names the
// certificate, not before: mail for others needs no unlocked vault.
type Decrypter struct {
	certificate *x509.Certificate
	key         func() (crypto.PrivateKey, error)
	agreed      atomic.Pointer[agreed]
}

// agreed is a private key that was asked for, and what it is in key agreement: making that costs a third of using it.
type agreed struct {
	from *ecdsa.PrivateKey
	key  *ecdh.PrivateKey
}

// Decrypter returns one for this identity.
func (i *Identity) Decrypter() *Decrypter {
	return &Decrypter{certificate: i.Certificate(), key: i.PrivateKey}
}

// Decrypter returns one for a key that is at hand.
func (p KeyPair) Decrypter() *Decrypter {
	key := p.Key
	if agreement, ok := agreementKey(key); ok {
		key = agreement // once, and not for each message
	}
	return &Decrypter{certificate: p.Chain[0], key: func() (crypto.PrivateKey, error) { return key, nil }}
}

// Decrypters returns one for every identity whose key can take part in encryption, the newest first. Expired ones are
// among them: old mail stays readable.
func (s *Store) Decrypters() ([]*Decrypter, []Problem, error) {
	identities, problems, err := s.Identities()
	if err != nil {
		return nil, nil, err
	}
	var decrypters []*Decrypter
	for _, identity := range identities {
		if isEncryptionKey(identity.Certificate()) {
			decrypters = append(decrypters, identity.Decrypter())
		}
	}
	return decrypters, problems, nil
}

// Certificate returns the certificate whose key this is.
func (d *Decrypter) Certificate() *x509.Certificate { return d.certificate }

// Unwrap returns the content-encryption key out of a RecipientInfo. The error is [cms.ErrNotRecipient] where it is for
// another certificate, and wraps vault.ErrLocked where the key is out of reach.
func (d *Decrypter) Unwrap(ctx context.Context, r cms.RecipientInfo) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !r.Recipient().Matches(d.certificate) {
		return nil, cms.ErrNotRecipient
	}
	key, err := d.key()
	if err != nil {
		return nil, err
	}
	switch r := r.(type) {
	case *cms.KeyTransRecipientInfo:
		if decrypter, ok := key.(crypto.Decrypter); ok {
			return r.Unwrap(decrypter)
		}
	case *cms.KeyAgreeRecipientInfo:
		parsed, _ := key.(*ecdsa.PrivateKey)
		if last := d.agreed.Load(); last != nil && last.from == parsed {
			return r.Unwrap(last.key)
		}
		if agreement, ok := agreementKey(key); ok {
			if parsed != nil {
				d.agreed.Store(&agreed{parsed, agreement})
			}
			return r.Unwrap(agreement)
		}
	}
	return nil, fmt.Errorf("recipient of type %s: %w: not for a key of type %s", r.Type(), ErrUnsupportedKey, KeyAlgorithm(d.certificate))
}

// agreementKey returns the key in the form in which it agrees on secrets.
func agreementKey(key crypto.PrivateKey) (*ecdh.PrivateKey, bool) {
	switch key := key.(type) {
	case *ecdh.PrivateKey:
		return key, true
	case *ecdsa.PrivateKey:
		agreement, err := key.ECDH()
		return agreement, err == nil
	}
	return nil, false
}
