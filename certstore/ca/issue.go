package ca

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/smime/cms"
)

// Purpose is what a certificate is issued for.
type Purpose string

// The purposes.
const (
	Mail    Purpose = "mail"    // signing and encryption with one key
	Sign    Purpose = "sign"    // signing only
	Encrypt Purpose = "encrypt" // encryption only
	TSA     Purpose = "tsa"     // a time stamp authority (RFC 3161)
	Archive Purpose = "archive" // signatures over archives and documents (RFC 9336)
	TLS     Purpose = "tls"     // a server
)

// ParsePurpose returns the purpose of this name.
func ParsePurpose(name string) (Purpose, error) {
	if p := Purpose(name); slices.Contains([]Purpose{Mail, Sign, Encrypt, TSA, Archive, TLS}, p) {
		return p, nil
	}
	return "", fmt.Errorf("%w: purpose %q is not one of mail, sign, encrypt, tsa, archive, tls", ErrProfile, name)
}

// Profile is what a certificate is to be. Of Key and CSR one is given.
type Profile struct {
	Purpose      Purpose
	Key          KeyType                  // makes a key of this kind
	CSR          *x509.CertificateRequest // certifies the requester's key
	Emails       []string                 // mail addresses; where none are given, those of the request
	DNS          []string                 // host names and IP addresses; likewise
	Name         string                   // common name; else the request's, else the first address or host
	Organization string                   // never taken from the request, which only claims it
	NotBefore    time.Time                // zero: now
	NotAfter     time.Time                // zero: by Days
	Days         int                      // 0: by purpose
	Now          time.Time
}

// Issued is a certificate fresh from the authority.
type Issued struct {
	Chain []*x509.Certificate // leaf, its issuer, root
	Key   crypto.PrivateKey   // nil where the key is the requester's
}

// Certificate returns the leaf.
func (i *Issued) Certificate() *x509.Certificate { return i.Chain[0] }

// KeyPair returns key and chain, as for certstore.EncodePKCS12. Key is nil where it is the requester's.
func (i *Issued) KeyPair() certstore.KeyPair {
	return certstore.KeyPair{Key: i.Key, Chain: i.Chain}
}

// PEM returns the chain and, where it was made here, the private key, which is not encrypted.
func (i *Issued) PEM() ([]byte, error) {
	out := certstore.EncodeCertificates(i.Chain...)
	if i.Key == nil {
		return out, nil
	}
	key, err := certstore.EncodePrivateKey(i.Key)
	return append(out, key...), err
}

// Issue certifies a key, files the certificate, and returns it when it is on the disk.
func (a *Authority) Issue(ctx context.Context, p Profile) (*Issued, error) {
	if p.Now.IsZero() {
		return nil, fmt.Errorf("%w: no time was given", ErrProfile)
	}
	issuer := a.issuerOf(p.Purpose)
	if r, err := a.revocation(certstore.SerialHex(a.certs[issuer].SerialNumber)); err != nil {
		return nil, err
	} else if r != nil {
		return nil, fmt.Errorf("%w: %s", ErrRevoked, a.certs[issuer].Subject.CommonName)
	}
	key, err := a.key(issuer)
	if err != nil {
		return nil, err
	}
	issued := &Issued{}
	public, err := p.subjectKey(issued)
	if err != nil {
		return nil, err
	}
	template, err := a.template(p, public)
	if err != nil {
		return nil, err
	}
	signer := &lintingSigner{Signer: key, level: p.baseline(), withoutURL: a.settings.BaseURL == ""}
	leaf, err := sign(template, a.certs[issuer], public, signer)
	if err != nil {
		return nil, err
	}
	issued.Chain = []*x509.Certificate{leaf, a.certs[issuer], a.Root()}
	return issued, a.file(ctx, leaf)
}

// baseline says which shape the certificate must have.
func (p *Profile) baseline() baseline {
	switch {
	case p.Purpose != Mail && p.Purpose != Sign && p.Purpose != Encrypt:
		return notMail
	case p.Organization != "":
		return organization
	}
	return mailbox
}

// subjectKey makes the key or takes it from the request.
func (p *Profile) subjectKey(issued *Issued) (crypto.PublicKey, error) {
	switch {
	case (p.CSR == nil) == (p.Key == ""):
		return nil, fmt.Errorf("%w: either a kind of key or a request must be given", ErrProfile)
	case p.CSR != nil:
		if err := checkRequest(p.CSR); err != nil {
			return nil, err
		}
		return p.CSR.PublicKey, nil
	}
	key, err := p.Key.Generate()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfile, err)
	}
	issued.Key = key
	return key.Public(), nil
}

func (a *Authority) template(p Profile, public crypto.PublicKey) (*x509.Certificate, error) {
	t := &x509.Certificate{SerialNumber: newSerial(), BasicConstraintsValid: true}
	var err error
	if t.SubjectKeyId, err = subjectKeyID(public); err != nil {
		return nil, err
	}
	if err := setUsages(t, p, public); err != nil {
		return nil, err
	}
	if err := setNames(t, p); err != nil {
		return nil, err
	}
	if err := a.setValidity(t, p); err != nil {
		return nil, err
	}
	a.addURLs(t, a.issuerOf(p.Purpose))
	if capabilities := p.capabilities(); len(capabilities) > 0 {
		der, err := capabilities.Marshal()
		if err != nil {
			return nil, err
		}
		t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: cms.OIDAttributeSMIMECapabilities, Value: der})
	}
	return t, nil
}

var (
	oidExtKeyUsage     = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidTimeStamping    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	oidDocumentSigning = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 36} // RFC 9336
)

// setUsages sets key usage and extended key usage by purpose and kind of key.
func setUsages(t *x509.Certificate, p Profile, public crypto.PublicKey) (err error) {
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	switch p.Purpose {
	case Mail, Sign, Encrypt:
		t.KeyUsage, err = certstore.MailUse(p.Purpose).KeyUsage(public)
	case TSA:
		t.KeyUsage = x509.KeyUsageDigitalSignature
		t.ExtKeyUsage = nil
		// RFC 3161 section 2.3: this usage alone, and critical, which the standard library does not write by itself.
		var der []byte
		der, err = asn1.Marshal([]asn1.ObjectIdentifier{oidTimeStamping})
		t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: oidExtKeyUsage, Critical: true, Value: der})
	case Archive:
		t.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
		// emailProtection as well, because that is what programs for CMS signatures ask for.
		t.UnknownExtKeyUsage = []asn1.ObjectIdentifier{oidDocumentSigning}
	case TLS:
		t.KeyUsage = x509.KeyUsageDigitalSignature
		if _, ok := public.(*rsa.PublicKey); ok {
			t.KeyUsage |= x509.KeyUsageKeyEncipherment
		}
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	default:
		_, err = ParsePurpose(string(p.Purpose))
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProfile, err)
	}
	return nil
}

// days is how long a certificate is valid where nobody says. Two years is near what the S/MIME baseline allows, 397
// days what TLS programs accept; a time stamp authority's key should outlive many mails.
func (p Purpose) days() int {
	switch p {
	case TSA:
		return 3650
	case TLS:
		return 397
	}
	return 730
}

// setValidity honours what was asked for, within the issuer's validity: beyond that no path is valid anyway. A time
// that has passed before the issuer began is left as it is, for who needs a certificate that is expired.
func (a *Authority) setValidity(t *x509.Certificate, p Profile) error {
	from, until := p.NotBefore, p.NotAfter
	if from.IsZero() {
		from = p.Now.Add(-backdate)
		if !until.IsZero() && !until.After(from) {
			from = until.Add(-24 * time.Hour)
		}
	}
	if until.IsZero() {
		days := p.Days
		if days == 0 {
			days = p.Purpose.days()
		}
		if days < 1 {
			return fmt.Errorf("%w: validity of %d days", ErrProfile, days)
		}
		until = from.AddDate(0, 0, days)
	}
	issuer := a.certs[a.issuerOf(p.Purpose)]
	if until.After(issuer.NotAfter) {
		until = issuer.NotAfter
	}
	if from.Before(issuer.NotBefore) && until.After(issuer.NotBefore) {
		from = issuer.NotBefore
	}
	// Certificates count whole seconds, and years of four digits (RFC 5280 section 4.1.2.5).
	t.NotBefore, t.NotAfter = from.UTC().Truncate(time.Second), until.UTC().Truncate(time.Second)
	if !t.NotBefore.Before(t.NotAfter) {
		return fmt.Errorf("%w: its validity would end (%s) before it begins (%s)", ErrProfile,
			t.NotAfter.Format(time.RFC3339), t.NotBefore.Format(time.RFC3339))
	}
	return nil
}
