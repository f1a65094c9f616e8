package ca

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/vault"
)

// Issuer names one of the authority's own certificates, and the files that belong to it.
type Issuer string

// The issuers. The services are apart from mail because a mail program may refuse an issuer that can certify servers or
// time stamps as well: the S/MIME baseline forbids it, and so does Gmail.
const (
	RootIssuer     Issuer = "root"     // certifies the other two, and can be taken offline
	MailIssuer     Issuer = "issuing"  // certifies people and archives
	ServicesIssuer Issuer = "services" // certifies servers and time stamp authorities
)

// online are the issuers whose keys are at hand.
func online() []Issuer { return []Issuer{MailIssuer, ServicesIssuer} }

// issuerOf returns who certifies for a purpose. An authority made before there were services has one issuer for all.
func (a *Authority) issuerOf(p Purpose) Issuer {
	if (p == TSA || p == TLS) && a.certs[ServicesIssuer] != nil {
		return ServicesIssuer
	}
	return MailIssuer
}

// Certificate returns an issuer's certificate, or nil where the authority has no such issuer.
func (a *Authority) Certificate(i Issuer) *x509.Certificate { return a.certs[i] }

// BaseURL is where the authority is served, as its certificates say; it may be empty.
func (a *Authority) BaseURL() string { return a.settings.BaseURL }

// Root returns the root certificate: what others trust.
func (a *Authority) Root() *x509.Certificate { return a.certs[RootIssuer] }

// Issuing returns the certificate of the authority that issues for mail.
func (a *Authority) Issuing() *x509.Certificate { return a.certs[MailIssuer] }

// entry is the name of an issuer's private key in its vault. The issuers that are online share one.
func (i Issuer) entry() string {
	if i == ServicesIssuer {
		return "services-key"
	}
	return "ca-key"
}

// certify makes the issuers' certificates.
func (a *Authority) certify(o InitOptions, keys map[Issuer]crypto.Signer) error {
	for _, i := range []Issuer{RootIssuer, MailIssuer, ServicesIssuer} {
		t, err := a.issuerTemplate(o, i, keys[i])
		if err != nil {
			return err
		}
		parent := a.certs[RootIssuer]
		if i == RootIssuer {
			parent = t
		}
		signer := &lintingSigner{Signer: keys[RootIssuer], selfSigned: i == RootIssuer, withoutURL: o.BaseURL == ""}
		if a.certs[i], err = sign(t, parent, keys[i].Public(), signer); err != nil {
			return err
		}
	}
	return nil
}

func (a *Authority) issuerTemplate(o InitOptions, i Issuer, key crypto.Signer) (*x509.Certificate, error) {
	id, err := subjectKeyID(key.Public())
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{CommonName: o.Name},
		SubjectKeyId:          id,
		NotBefore:             a.settings.Created.Add(-backdate),
		NotAfter:              a.settings.Created.AddDate(0, 0, o.Days),
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if o.Organization != "" {
		t.Subject.Organization = []string{o.Organization}
	}
	switch i {
	case MailIssuer:
		t.Subject.CommonName += " Issuing CA"
		// Never OCSPSigning: who has it from the root could speak for the root (RFC 6960 section 4.2.2.2).
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
		t.UnknownExtKeyUsage = []asn1.ObjectIdentifier{oidDocumentSigning}
	case ServicesIssuer:
		t.Subject.CommonName += " Services CA"
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageTimeStamping}
	}
	if i != RootIssuer {
		t.MaxPathLenZero = true // it certifies no further authorities
		a.addURLs(t, RootIssuer)
	}
	return t, nil
}

// addURLs says where the issuer's revocation list and certificate are found. The root's key is offline, so that only its
// list speaks for what it has certified.
func (a *Authority) addURLs(template *x509.Certificate, issuer Issuer) {
	base := a.settings.BaseURL
	if base == "" {
		return
	}
	template.CRLDistributionPoints = []string{base + "/" + string(issuer) + ".crl"}
	template.IssuingCertificateURL = []string{base + "/" + string(issuer) + ".cer"}
	if issuer != RootIssuer {
		template.OCSPServer = []string{base + "/ocsp"}
	}
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if errors.Is(err, ErrProfile) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfile, err)
	}
	return x509.ParseCertificate(der)
}

func (a *Authority) vaultPath(of string) string { return filepath.Join(a.dir, keysDir, of, vaultFile) }

// storeKeys puts keys into a vault of their own. What an interrupted Init left is replaced.
func (a *Authority) storeKeys(ctx context.Context, of string, keys map[Issuer]crypto.Signer, p vault.Protection, issuers ...Issuer) (*vault.Vault, error) {
	path := a.vaultPath(of)
	if err := a.disk.RemoveAll(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	if err := a.disk.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	v, err := vault.Create(ctx, a.disk, path, p)
	if err != nil {
		return nil, err
	}
	for _, i := range issuers {
		der, err := x509.MarshalPKCS8PrivateKey(keys[i])
		if err != nil {
			return nil, err
		}
		err = v.Put(ctx, i.entry(), keyKind, der)
		clear(der)
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

// UnlockRoot makes the root's private key available, for [Authority.Revoke] of an issuer and [Authority.MakeCRL] of the
// root's list. The error wraps [ErrNoRootKey] where it is kept elsewhere, [vault.ErrPassphrase] where that is wrong.
func (a *Authority) UnlockRoot(passphrase []byte) error {
	v, err := vault.Open(a.disk, a.vaultPath(string(RootIssuer)))
	if errors.Is(err, vault.ErrNotExist) {
		return a.noRootKey()
	}
	if err != nil {
		return err
	}
	if err := v.Unlock(passphrase); err != nil {
		return err
	}
	a.rootKeys = v
	return nil
}

func (a *Authority) noRootKey() error {
	return fmt.Errorf("%w: %s is missing", ErrNoRootKey, a.vaultPath(string(RootIssuer)))
}

// key fetches the private key of an issuer.
func (a *Authority) key(i Issuer) (crypto.Signer, error) {
	keys := a.keys
	if i == RootIssuer {
		if keys = a.rootKeys; keys == nil {
			return nil, a.noRootKey()
		}
	}
	der, err := keys.Get(i.entry())
	if err != nil {
		return nil, err
	}
	defer clear(der)
	key, err := certstore.ParsePrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: key of %s: %w", ErrDamaged, i, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: key of %s cannot sign", ErrDamaged, i)
	}
	return signer, nil
}

// readIssuers reads the certificates and checks that the root certified the others.
func (a *Authority) readIssuers() error {
	for _, i := range []Issuer{RootIssuer, MailIssuer, ServicesIssuer} {
		cert, err := a.readCertificate(string(i) + ".pem")
		if i == ServicesIssuer && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		a.certs[i] = cert
		if i == RootIssuer {
			continue
		}
		if err := cert.CheckSignatureFrom(a.certs[RootIssuer]); err != nil {
			return fmt.Errorf("%w: %s.pem is not signed by the root", ErrDamaged, i)
		}
	}
	return nil
}

func (a *Authority) readCertificate(name string) (*x509.Certificate, error) {
	data, err := readBounded(filepath.Join(a.dir, name))
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	certs, err := certstore.ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
	}
	return certs[0], nil
}
