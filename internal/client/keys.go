package client

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/smime"
)

// KeyFiles are keys given for one command, in place of the store's.
type KeyFiles struct {
	P12         []string
	P12Password []byte // of Key too, where that is encrypted
	Key         []string
	Cert        []string // certificates of Key, and further ones that may help to verify
}

func (k KeyFiles) given() bool { return len(k.P12)+len(k.Key) > 0 }

func (k KeyFiles) password() ([]byte, error) {
	if k.P12Password == nil {
		return nil, certstore.ErrEncryptedKey
	}
	return k.P12Password, nil
}

// read returns the keys with their certificates, and all other certificates in the files.
func (k KeyFiles) read(o Options) (pairs []certstore.KeyPair, others []*x509.Certificate, err error) {
	for _, name := range k.P12 {
		data, err := o.readSmall(name)
		if err != nil {
			return nil, nil, err
		}
		more, err := decodePKCS12(name, data, k.P12Password)
		if err != nil {
			return nil, nil, err
		}
		pairs = append(pairs, more...)
	}
	certs, err := o.readCertificates(k.Cert)
	if err != nil {
		return nil, nil, err
	}
	bundle := certstore.Bundle{Certificates: certs}
	for _, name := range k.Key {
		data, err := o.readSmall(name)
		if err != nil {
			return nil, nil, err
		}
		found, err := certstore.ReadFile(data, k.password)
		if err == nil && len(found.Keys) == 0 {
			err = certstore.ErrNoKey
		}
		if errors.Is(err, certstore.ErrNoKey) || errors.Is(err, certstore.ErrMalformed) {
			return nil, nil, failed(name, err, "the file must hold a private key in PEM or DER")
		}
		if err != nil {
			return nil, nil, explainFile(name, err)
		}
		bundle.Join(found)
	}
	fromFiles, others := bundle.KeyPairs()
	if len(fromFiles) < len(bundle.Keys) {
		return nil, nil, usage("--key", errors.New("a private key has no certificate"), "name its certificate with --cert")
	}
	return append(pairs, fromFiles...), others, nil
}

// decrypters are the keys that mail may be opened with: those of the files, or else the store's.
func (c *Client) decrypters(k KeyFiles) (list []smime.Decrypter, others []*x509.Certificate, err error) {
	if k.given() {
		pairs, others, err := k.read(c.o)
		for _, p := range pairs {
			list = append(list, p.Decrypter())
		}
		return list, others, err
	}
	if others, err = c.o.readCertificates(k.Cert); err != nil {
		return nil, nil, err
	}
	stored, problems, err := c.certificates().Decrypters()
	if err != nil {
		return nil, nil, storeError(err)
	}
	c.sayProblems(problems)
	for _, d := range stored {
		list = append(list, d)
	}
	return list, others, nil
}

// signer is who signs: the key in the files, or else the store's for an address, with what goes along about its revocation as
// far as that is known without asking anybody.
func (c *Client) signer(ctx context.Context, k KeyFiles, address string) (smime.Signer, revocationValues, error) {
	if k.given() {
		pairs, _, err := k.read(c.o)
		if err != nil {
			return smime.Signer{}, revocationValues{}, err
		}
		for _, p := range pairs {
			if s, ok := p.Key.(crypto.Signer); ok && certstore.AllowsUse(p.Chain[0], certstore.SignMail) {
				return smime.Signer{Key: s, Chain: p.Chain}, revocationValues{}, nil
			}
		}
		return smime.Signer{}, revocationValues{}, usage("sign", errors.New("none of the keys is for signing"), "give a key whose certificate is for signatures")
	}
	by, err := c.selector(c.o.Now(), false)
	if err != nil {
		return smime.Signer{}, revocationValues{}, err
	}
	if address == "" {
		return smime.Signer{}, revocationValues{}, usage("sign", errors.New("whose signature is not said"), "set up an account, or give a key with --p12")
	}
	chosen, known, err := c.signingIdentity(ctx, address, by)
	if err != nil {
		return smime.Signer{}, revocationValues{}, err
	}
	key, err := chosen.Identity.Signer()
	if err != nil {
		return smime.Signer{}, revocationValues{}, storeError(fmt.Errorf("sign: %w", err))
	}
	return smime.Signer{Key: key, Chain: chosen.Identity.Chain}, known, nil
}
