package client

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore"
)

// storeError is the error of the library below. Where one of ours lies under it, such as that of a locked vault, that one
// says all, and the steps that it came through say nothing more.
func storeError(err error) error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return failed("", err, "")
}

func certificateLine(kind, purpose string, cert *x509.Certificate) CertificateLine {
	d := certstore.Describe(cert)
	addresses := d.Addresses
	if addresses == nil {
		addresses = []string{}
	}
	return CertificateLine{
		Kind: kind, Purpose: orNull(purpose), Subject: d.Name, Addresses: addresses,
		Issuer: d.Issuer, NotAfter: cert.NotAfter.UTC(), Fingerprint: certstore.Fingerprint(cert),
	}
}

// CertListParams say which certificates to list.
type CertListParams struct {
	Text string // in a name or an address; empty: all
	Kind string // identity, correspondent or anchor; empty: all
}

// storedCertificate is a certificate with what the store has it as.
type storedCertificate struct {
	cert     *x509.Certificate
	chain    []*x509.Certificate
	identity *certstore.Identity
	line     CertificateLine
}

// storedCertificates lists everything in the store: identities, correspondents, anchors.
func (c *Client) storedCertificates() ([]storedCertificate, error) {
	store := c.certificates()
	var all []storedCertificate
	identities, problems, err := store.Identities()
	if err != nil {
		return nil, storeError(err)
	}
	c.sayProblems(problems)
	for _, i := range identities {
		all = append(all, storedCertificate{i.Certificate(), i.Chain, i, certificateLine("identity", "", i.Certificate())})
	}
	correspondents, problems, err := store.Correspondents()
	if err != nil {
		return nil, storeError(err)
	}
	c.sayProblems(problems)
	for _, p := range correspondents {
		all = append(all, storedCertificate{p.Certificate(), p.Chain, nil, certificateLine("correspondent", "", p.Certificate())})
	}
	for _, purpose := range certstore.Purposes() {
		anchors, err := c.anchors(purpose)
		if err != nil {
			return nil, err
		}
		for _, a := range anchors {
			all = append(all, storedCertificate{a, []*x509.Certificate{a}, nil, certificateLine("anchor", string(purpose), a)})
		}
	}
	return all, nil
}

// CertList lists the certificates in the store.
func (c *Client) CertList(p CertListParams) ([]CertificateLine, error) {
	switch p.Kind {
	case "", "identity", "correspondent", "anchor":
	default:
		return nil, usage("--kind", fmt.Errorf("%q is none", p.Kind), "identity, correspondent or anchor")
	}
	all, err := c.storedCertificates()
	if err != nil {
		return nil, err
	}
	lines := []CertificateLine{}
	for _, s := range all {
		text := strings.ToLower(s.line.Subject + "\n" + strings.Join(s.line.Addresses, "\n"))
		if (p.Kind == "" || p.Kind == s.line.Kind) && strings.Contains(text, strings.ToLower(p.Text)) {
			lines = append(lines, s.line)
		}
	}
	return lines, nil
}

// find returns the certificates in the store that a person means: by the beginning of the fingerprint (eight digits or
// more), or by address. What is there in several roles comes once for each.
func (c *Client) find(which string) ([]storedCertificate, error) {
	all, err := c.storedCertificates()
	if err != nil {
		return nil, err
	}
	var found []storedCertificate
	prefix := strings.ToLower(strings.ReplaceAll(which, ":", ""))
	for _, s := range all {
		if len(prefix) >= 8 && strings.HasPrefix(s.line.Fingerprint, prefix) || certstore.MatchAddress(s.cert, which) {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		return nil, failed("", fmt.Errorf("no certificate in the store is %q", which), "`sealmail cert list` shows what there is; a file must contain a \"/\"")
	}
	return found, nil
}

// namesFile tells a file from other words, in the same way wherever a message or a certificate is named.
func namesFile(word string, extensions ...string) bool {
	for _, e := range extensions {
		if strings.HasSuffix(word, e) {
			return true
		}
	}
	return strings.ContainsRune(word, '/') || strings.ContainsRune(word, os.PathSeparator)
}

// CertShow describes certificates of the store, or of a file.
func (c *Client) CertShow(which string) ([]CertificateReport, error) {
	var found []storedCertificate
	if namesFile(which, ".pem", ".der", ".crt", ".cer") {
		certs, err := c.o.readCertificates([]string{which})
		if err != nil {
			return nil, err
		}
		for _, cert := range certs {
			found = append(found, storedCertificate{cert: cert, chain: append([]*x509.Certificate{cert}, certstore.IssuersIn(certs, cert)...)})
		}
	} else {
		var err error
		if found, err = c.find(which); err != nil {
			return nil, err
		}
	}
	validator, err := c.mailValidator(nil)
	if err != nil {
		return nil, err
	}
	var reports []CertificateReport
	index := map[string]int{}
	for _, s := range found {
		fingerprint := certstore.Fingerprint(s.cert)
		i, seen := index[fingerprint]
		if !seen {
			i = len(reports)
			index[fingerprint] = i
			reports = append(reports, c.certificateReport(s, validator))
		}
		if s.line.Kind != "" {
			kind := s.line.Kind
			if s.line.Purpose != nil {
				kind += " for " + *s.line.Purpose
			}
			reports[i].Kinds = append(reports[i].Kinds, kind)
		}
	}
	return reports, nil
}

func (c *Client) certificateReport(s storedCertificate, v certstore.Validator) CertificateReport {
	d := certstore.Describe(s.cert)
	r := CertificateReport{SignerReport: *signerReport(s.cert, nil, nil), Subject: s.cert.Subject.String(), KeyAlgorithm: certstore.KeyAlgorithm(s.cert), Uses: d.Usages, Kinds: []string{}, Chain: []string{}}
	path, err := trustPath(s, v, c.o.Now())
	if err != nil {
		r.Reason = orNull(err.Error())
		return r
	}
	r.Trusted = true
	for _, cert := range path {
		r.Chain = append(r.Chain, cert.Subject.String())
	}
	return r
}

// trustPath is the path from a certificate to an anchor for mail. Whether it is for signing or for encryption does not
// matter; that of an authority is a path where it leads to an anchor.
func trustPath(s storedCertificate, v certstore.Validator, at time.Time) (path []*x509.Certificate, err error) {
	if s.cert.IsCA {
		path = append([]*x509.Certificate{s.cert}, certstore.IssuersIn(slices.Concat(v.Anchors, s.chain), s.cert)...)
		last := path[len(path)-1]
		if !slices.ContainsFunc(v.Anchors, last.Equal) {
			return nil, fmt.Errorf("%q is not trusted for mail", certstore.Describe(last).Name)
		}
		for _, cert := range path {
			if at.Before(cert.NotBefore) || at.After(cert.NotAfter) {
				return nil, fmt.Errorf("%q is valid from %s to %s", certstore.Describe(cert).Name, cert.NotBefore.UTC().Format(time.DateOnly), cert.NotAfter.UTC().Format(time.DateOnly))
			}
		}
		return path, nil
	}
	for _, use := range []certstore.Use{certstore.SignMail, certstore.EncryptMail} {
		if path, err = v.Path(s.cert, s.chain[1:], use, at); err == nil {
			return path, nil
		}
	}
	return nil, err
}

// CertAnchors reads the certificates of a file that are to become anchors.
func (c *Client) CertAnchors(in string) ([]Anchor, error) {
	data, err := c.o.readSmall(in)
	if err != nil {
		return nil, err
	}
	certs, err := parseCertificates(in, data)
	if err != nil {
		return nil, err
	}
	anchors := make([]Anchor, len(certs))
	for i, cert := range certs {
		anchors[i] = Anchor{Subject: certstore.Describe(cert).Name, Fingerprint: certstore.Fingerprint(cert), cert: cert}
	}
	return anchors, nil
}

// Anchor is a certificate that may be trusted.
type Anchor struct {
	Subject, Fingerprint string
	cert                 *x509.Certificate
}

// CertTrust makes certificates anchors for a purpose.
func (c *Client) CertTrust(anchors []Anchor, purpose string) ([]CertificateLine, error) {
	what, err := certstore.ParsePurpose(purpose)
	if err != nil {
		return nil, usage("--for", err, "mail, tsa or server")
	}
	var lines []CertificateLine
	for _, a := range anchors {
		if err := c.certificates().Trust(certstore.Anchor{Certificate: a.cert, Added: c.o.Now()}, what); err != nil {
			return nil, storeError(err)
		}
		lines = append(lines, certificateLine("anchor", purpose, a.cert))
	}
	return lines, nil
}
