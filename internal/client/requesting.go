package client

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
)

// CertRequestParams say for whom a certificate is asked, and what for.
type CertRequestParams struct {
	Addresses          []string // none: the account's
	Name, Organization string   // may be empty
	Key                string   // p256, p384, rsa2048, rsa3072, ed25519
	Purpose            string   // mail, sign, encrypt
	// Replace is asked before a file that is there already is replaced; its error is returned.
	Replace func(file string) error
}

// CertRequest makes a key, which stays in the vault, and writes a request for its certificate.
func (c *Client) CertRequest(ctx context.Context, p CertRequestParams, out Output) (*RequestResult, error) {
	if len(p.Addresses) == 0 {
		a, err := c.account()
		if err != nil {
			return nil, usage("cert request", errors.New("for which address is not said"), "name it: `sealmail cert request alice@example.org -o alice.csr`")
		}
		p.Addresses = []string{a.Address}
		if p.Name == "" {
			p.Name = a.DisplayName
		}
	}
	keyType, err := certstore.ParseKeyType(p.Key)
	if err != nil {
		return nil, usage("--key", err, "p256 is read by every program of today, rsa3072 by old ones too")
	}
	use, err := certstore.ParseMailUse(p.Purpose)
	if err != nil {
		return nil, usage("--purpose", err, "mail, unless you have one certificate to sign and another to decrypt")
	}
	key, err := keyType.Generate()
	if err != nil {
		return nil, failed("cert request", err, "")
	}
	return c.request(ctx, key, certstore.RequestNames{Addresses: p.Addresses, Name: p.Name, Organization: p.Organization, Use: use}, out, p.Replace)
}

// request stores a key and writes the request that it signs. No key is stored for a file that cannot be made.
func (c *Client) request(ctx context.Context, key crypto.Signer, names certstore.RequestNames, out Output, replace func(string) error) (*RequestResult, error) {
	if _, err := certstore.NewRequest(key, names); err != nil { // before anything is stored
		return nil, usage("cert request", err, "")
	}
	if err := mayReplace(out.Name, replace); err != nil {
		return nil, err
	}
	result := &RequestResult{File: orNull(out.Name), Addresses: names.Addresses}
	return result, c.write(out, func(w io.Writer) error {
		r, err := c.certificates().AddRequest(ctx, key, names, c.o.Now())
		if err != nil {
			return storeError(err)
		}
		result.Key = r.Key
		_, err = w.Write(certstore.EncodeRequest(r.DER))
		return err
	})
}

// CertRenewParams say which certificate to renew, and how.
type CertRenewParams struct {
	Which        string
	Key          string // the kind of the new key; empty: as before
	SameKey      bool   // certify the same key once more
	CA           string // folder of one's own authority, which certifies at once; empty: a request is written
	CAPassphrase func() ([]byte, error)
	Replace      func(file string) error // as for a request
}

// CertRenew asks for a certificate that takes the place of another: of the same names and for the same use. The old one
// stays, to read with.
func (c *Client) CertRenew(ctx context.Context, p CertRenewParams, out Output) (*RequestResult, error) {
	old, err := c.renewable(p.Which)
	if err != nil {
		return nil, err
	}
	d := certstore.Describe(old.Certificate())
	names := certstore.RequestNames{Addresses: d.Addresses, Name: old.Certificate().Subject.CommonName, Organization: d.Organization, Use: certstore.MailUseOf(old.Certificate())}
	key, err := c.renewalKey(old, p)
	if err != nil {
		return nil, err
	}
	if p.CA == "" {
		return c.request(ctx, key, names, out, p.Replace)
	}
	return c.renewByCA(ctx, old, key, names, p)
}

// renewable returns the identity that a person means: of several with an address the newest that is not for another use.
func (c *Client) renewable(which string) (*certstore.Identity, error) {
	found, err := c.find(which)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(s storedCertificate) bool { return s.identity == nil })
	switch {
	case len(found) == 0:
		return nil, failed("", fmt.Errorf("%s is none of your own certificates", which), "`sealmail cert list --kind identity` lists yours")
	case certstore.MailUseOf(found[0].cert) != certstore.ForMail && len(found) > 1 && certstore.MatchAddress(found[0].cert, which):
		return nil, usage("cert renew", fmt.Errorf("%s has several certificates, each for a use of its own", which), "name the one by its fingerprint; `sealmail cert list "+which+"` lists them")
	}
	return found[0].identity, nil // the newest is first
}

func (c *Client) renewalKey(old *certstore.Identity, p CertRenewParams) (crypto.Signer, error) {
	if p.SameKey {
		key, err := old.Signer()
		if err != nil {
			return nil, storeError(err)
		}
		return key, nil
	}
	keyType := certstore.KeyTypeOf(old.Certificate())
	if p.Key != "" {
		var err error
		if keyType, err = certstore.ParseKeyType(p.Key); err != nil {
			return nil, usage("--key", err, "")
		}
	}
	key, err := keyType.Generate()
	if err != nil {
		return nil, failed("cert renew", err, "")
	}
	return key, nil
}

// renewByCA has one's own authority certify the key, and takes the certificate into the store.
func (c *Client) renewByCA(ctx context.Context, old *certstore.Identity, key crypto.Signer, names certstore.RequestNames, p CertRenewParams) (*RequestResult, error) {
	der, err := certstore.NewRequest(key, names)
	if err != nil {
		return nil, usage("cert renew", err, "")
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, failed("cert renew", err, "")
	}
	if _, err := c.openVault(ctx, false); err != nil { // before anything is certified that could not be stored
		return nil, err
	}
	authority, err := openAuthority(c.o, p.CA, p.CAPassphrase)
	if err != nil {
		return nil, err
	}
	issued, err := authority.Issue(ctx, ca.Profile{Purpose: ca.Purpose(names.Use), CSR: csr, Organization: names.Organization, Now: c.o.Now()})
	if err != nil {
		return nil, explainIssue(err)
	}
	pair := certstore.KeyPair{Key: key, Chain: issued.Chain}
	if _, err := c.certificates().AddIdentity(ctx, pair, old.Label, "renewed by the authority in "+p.CA, c.o.Now()); err != nil {
		return nil, storeError(err)
	}
	line := certificateLine("identity", "", issued.Certificate())
	return &RequestResult{Addresses: names.Addresses, Key: certstore.KeyFingerprint(issued.Certificate()), Certificate: &line}, nil
}
