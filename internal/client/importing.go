package client

import (
	"context"
	"crypto/x509"
	"errors"
	"path/filepath"
	"slices"

	"github.com/sealmail/sealmail/certstore"
)

// CertImport takes what a file holds into the store; password is asked for where the file needs one.
func (c *Client) CertImport(ctx context.Context, in string, password func() ([]byte, error)) ([]CertificateLine, error) {
	data, err := c.o.readSmall(in)
	if err != nil {
		return nil, err
	}
	var pairs []certstore.KeyPair
	var alone []*x509.Certificate
	if looksLikePKCS12(data) {
		secret, err := password()
		if err != nil {
			return nil, err
		}
		if pairs, err = decodePKCS12(in, data, secret); err != nil {
			return nil, err
		}
	} else {
		bundle, err := parseBundle(data)
		if err != nil {
			return nil, failed(in, err, "the file must hold certificates or keys in PEM or DER, or be PKCS#12 or PKCS#7")
		}
		pairs, alone = bundle.KeyPairs()
		if len(bundle.Keys) > len(pairs) {
			return nil, failed(in, errors.New("there is a private key without its certificate"), "put the certificate into the same file")
		}
	}
	store, now := c.certificates(), c.o.Now()
	var lines []CertificateLine
	for _, pair := range pairs {
		if _, err := store.AddIdentity(ctx, pair, "", "imported from "+filepath.Base(in), now); err != nil {
			return nil, storeError(err)
		}
		lines = append(lines, certificateLine("identity", "", pair.Chain[0]))
	}
	correspondents := slices.DeleteFunc(slices.Clone(alone), func(cert *x509.Certificate) bool { return cert.IsCA })
	if len(pairs)+len(correspondents) == 0 {
		return nil, usage(in, errors.New("it holds nothing but certificates of authorities"), "to trust one: `sealmail cert trust FILE --for mail`")
	}
	for _, cert := range correspondents {
		correspondent := certstore.Correspondent{Chain: append([]*x509.Certificate{cert}, issuersOf(cert, alone)...), Source: "imported from " + filepath.Base(in), FirstSeen: now}
		if _, err := store.AddCorrespondent(ctx, correspondent); err != nil {
			return nil, storeError(err)
		}
		lines = append(lines, certificateLine("correspondent", "", cert))
	}
	if c.vault != nil && !c.vault.Protected() && len(pairs) > 0 {
		c.o.Say("warning: the vault is unprotected: who reads the disk reads the key")
	}
	return lines, nil
}

// issuersOf are the certificates among others that may stand above cert.
func issuersOf(cert *x509.Certificate, others []*x509.Certificate) []*x509.Certificate {
	var issuers []*x509.Certificate
	for _, other := range certstore.IssuersIn(others, cert) {
		if other.IsCA {
			issuers = append(issuers, other)
		}
	}
	return issuers
}
