package client

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/smime/verdict"
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
	var use certstore.MailUse // none for what is not for mail, or no leaf
	if (kind == "identity" || kind == "correspondent") && (certstore.AllowsUse(cert, certstore.SignMail) || certstore.AllowsUse(cert, certstore.EncryptMail)) {
		use = certstore.MailUseOf(cert)
	}
	return CertificateLine{
		Kind: kind, Purpose: orNull(purpose), Use: orNull(string(use)), Subject: d.Name, Addresses: addresses,
		Issuer: orNull(d.Issuer), NotAfter: timeOrNull(cert.NotAfter), Fingerprint: certstore.Fingerprint(cert),
	}
}

func requestLine(r certstore.Request) CertificateLine {
	return CertificateLine{Kind: "request", Use: orNull(string(r.Names.Use)), Subject: cmp.Or(r.Names.Name, strings.Join(r.Names.Addresses, ", ")), Addresses: r.Names.Addresses,
		Fingerprint: r.Key, Requested: timeOrNull(r.Created.Truncate(time.Second))}
}

// CertListParams say which certificates to list.
type CertListParams struct {
	Text string // in a name or an address; empty: all
	Kind string // identity, correspondent or anchor; empty: all
}

// storedCertificate is a certificate with what the store has it as.
type storedCertificate struct {
	cert          *x509.Certificate
	chain         []*x509.Certificate
	identity      *certstore.Identity
	correspondent *certstore.Correspondent
	line          CertificateLine
}

// storedCertificates lists everything in the store: identities, correspondents as the function gets them, anchors.
func (c *Client) storedCertificates(correspondents func() ([]certstore.Correspondent, []certstore.Problem, error)) ([]storedCertificate, error) {
	store := c.certificates()
	var all []storedCertificate
	identities, problems, err := store.Identities()
	if err != nil {
		return nil, storeError(err)
	}
	c.sayProblems(problems)
	for _, i := range identities {
		line := certificateLine("identity", "", i.Certificate())
		line.Label = orNull(i.Label)
		all = append(all, storedCertificate{cert: i.Certificate(), chain: i.Chain, identity: i, line: line})
	}
	list, problems, err := correspondents()
	if err != nil {
		return nil, storeError(err)
	}
	c.sayProblems(problems)
	for _, p := range list {
		all = append(all, storedCertificate{cert: p.Certificate(), chain: p.Chain, correspondent: &p, line: certificateLine("correspondent", "", p.Certificate())})
	}
	for _, purpose := range certstore.Purposes() {
		anchors, problems, err := store.AllAnchors(purpose)
		if err != nil {
			return nil, c.storeUnreadable(err)
		}
		c.sayProblems(problems)
		for _, a := range anchors {
			if c.o.Account == "" || a.TrustedBy(c.accountName()) {
				all = append(all, storedCertificate{cert: a.Certificate, chain: []*x509.Certificate{a.Certificate}, line: anchorLine(a, purpose)})
			}
		}
	}
	for i := range all {
		all[i].line.Expiry = orNull(expiresSoon(all[i].cert.NotAfter, c.o.Now()))
	}
	return all, nil
}

// CertList lists the certificates in the store.
func (c *Client) CertList(p CertListParams) ([]CertificateLine, error) {
	switch p.Kind {
	case "", "identity", "correspondent", "anchor", "request", "issuer":
	default:
		return nil, usage("--kind", fmt.Errorf("%q is none", p.Kind), "identity, correspondent, anchor, request or issuer")
	}
	correspondents := c.certificates().Correspondents
	if _, ok := certstore.NormalizeAddress(p.Text); ok { // without reading those of everybody else
		correspondents = func() ([]certstore.Correspondent, []certstore.Problem, error) {
			return c.certificates().CorrespondentsFor(p.Text)
		}
	}
	all, err := c.storedCertificates(correspondents)
	if err != nil {
		return nil, err
	}
	requests, problems, err := c.certificates().Requests()
	if err != nil {
		return nil, storeError(err)
	}
	c.sayProblems(problems)
	for _, r := range requests {
		all = append(all, storedCertificate{line: requestLine(r)})
	}
	if p.Kind == "issuer" { // of no interest to who did not ask
		issuers, problems, err := c.certificates().Issuers()
		if err != nil {
			return nil, storeError(err)
		}
		c.sayProblems(problems)
		for _, cert := range issuers {
			all = append(all, storedCertificate{line: certificateLine("issuer", "", cert)})
		}
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
	found, err := c.findAny(which)
	if err == nil && len(found) == 0 {
		hint := "`sealmail cert list` shows what there is; a file must contain a \"/\""
		if prefix := fingerprintDigits(which); prefix != "" && len(prefix) < minFingerprint {
			hint = "name eight digits or more of the fingerprint; `sealmail cert list` shows what there is"
		}
		err = failed("", fmt.Errorf("no certificate in the store is %q", which), hint)
	}
	return found, err
}

// findAny is find that may find nothing.
func (c *Client) findAny(which string) ([]storedCertificate, error) {
	prefix := fingerprintDigits(which)
	all, err := c.storedCertificates(func() ([]certstore.Correspondent, []certstore.Problem, error) {
		if _, ok := certstore.NormalizeAddress(which); ok {
			return c.certificates().CorrespondentsFor(which)
		}
		return c.certificates().CorrespondentsByFingerprint(prefix)
	})
	if err != nil {
		return nil, err
	}
	var found []storedCertificate
	for _, s := range all {
		if len(prefix) >= minFingerprint && strings.HasPrefix(s.line.Fingerprint, prefix) || certstore.MatchAddress(s.cert, which) {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		authorities, err := c.authoritiesNamed(which)
		if err != nil {
			return nil, err
		}
		for _, cert := range authorities {
			found = append(found, storedCertificate{cert: cert, chain: []*x509.Certificate{cert}, line: certificateLine("issuer", "", cert)})
		}
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

// CertShow describes certificates of the store, or of a file, whose password is asked for where it needs one. Of their
// revocation it says what was found out before: nobody is asked.
func (c *Client) CertShow(ctx context.Context, which string, password func(file string) ([]byte, error)) ([]CertificateReport, error) {
	var found []storedCertificate
	var odd []CertificateReport
	if which == "-" || namesFile(which, ".pem", ".der", ".crt", ".cer", ".p7c", ".p7b", ".p12", ".pfx") {
		bundle, err := c.certificatesIn(which, password)
		if err != nil {
			return nil, err
		}
		for _, cert := range bundle.Certificates {
			found = append(found, storedCertificate{cert: cert, chain: append([]*x509.Certificate{cert}, certstore.IssuersIn(bundle.Certificates, cert)...)})
		}
		for _, o := range bundle.Oddities {
			if o.Certificate != nil {
				odd = append(odd, oddReport(o))
			}
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
	origins, err := c.anchorOrigins()
	if err != nil {
		return nil, err
	}
	known, err := c.newRevocations(false)
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
			report, err := c.certificateReport(ctx, s, validator, origins, known)
			if err != nil {
				return nil, err
			}
			reports = append(reports, report)
		}
		if s.line.Kind != "" {
			reports[i].Kinds = append(reports[i].Kinds, s.line.KindWords())
		}
	}
	return append(reports, odd...), nil
}

// certificatesIn reads a file of certificates, those that cannot be used included.
func (c *Client) certificatesIn(name string, password func(file string) ([]byte, error)) (certstore.Bundle, error) {
	data, err := c.o.readSmall(name)
	if err != nil {
		return certstore.Bundle{}, err
	}
	bundle, err := certstore.ReadFile(data, func() ([]byte, error) { return password(name) })
	switch {
	case slices.ContainsFunc(bundle.Oddities, func(o certstore.Oddity) bool { return o.Certificate != nil }), len(bundle.Certificates) > 0:
		return bundle, nil
	case err == nil:
		err = certstore.ErrNoCertificate
	}
	return bundle, explainFile(name, err)
}

// oddReport describes a certificate that cannot be used.
func oddReport(o certstore.Oddity) CertificateReport {
	d := certstore.DescribeOdd(o.Certificate)
	reasons := []string{o.Err.Error()}
	for _, p := range o.Certificate.Problems {
		reasons = append(reasons, p.Reason)
	}
	return CertificateReport{
		SignerReport: describedReport(d), Subject: o.Certificate.Subject.String(), KeyAlgorithm: d.KeyAlgorithm, Uses: []string{}, Kinds: []string{},
		Chain: []string{}, Path: []PathReport{}, Reason: orNull(strings.Join(reasons, "; ")),
	}
}

func (c *Client) certificateReport(ctx context.Context, s storedCertificate, v certstore.Validator, origins map[string]certstore.Anchor, known *revocations) (CertificateReport, error) {
	path, err := trustPath(s, v, c.o.Now())
	r := CertificateReport{
		SignerReport: *signerReport(s.cert, path, origins), Subject: s.cert.Subject.String(), KeyAlgorithm: certstore.KeyAlgorithm(s.cert),
		Uses: certstore.Describe(s.cert).Usages, Kinds: []string{}, Chain: []string{}, Path: []PathReport{}, Trusted: err == nil,
	}
	switch {
	case s.identity != nil:
		r.Label, r.Source, r.FirstSeen = orNull(s.identity.Label), orNull(s.identity.Source), timeOrNull(s.identity.Added.Truncate(time.Second))
	case s.correspondent != nil:
		r.Source, r.FirstSeen = orNull(s.correspondent.Source), timeOrNull(s.correspondent.FirstSeen.Truncate(time.Second))
	}
	if err != nil {
		r.Reason = orNull(err.Error())
		path = certstore.IssuersIn(s.chain, s.cert)
		path = append([]*x509.Certificate{s.cert}, path...)
	} else if anchor, ok := origins[certstore.Fingerprint(path[len(path)-1])]; ok {
		r.Origin = orNull(string(anchor.Origin))
	}
	anchored := r.Trusted
	if anchored && c.revocationMode() != verdict.RevocationOff {
		answers, err := known.check(ctx, path, revocation.Evidence{}, known.now)
		if err != nil {
			return r, storeError(err)
		}
		e := revocationEvidence(path, answers, verdict.TimeEvidence{}, known.now)
		if e.Code != verdict.RevocationUnknown && e.Source != "" {
			r.Revocation = &RevocationReport{Source: e.Source, At: timeOrNull(e.At)}
		}
		if e.Code == verdict.RevocationRevoked {
			r.Trusted, r.Reason = false, orNull(e.Reason)
		}
	}
	for i, cert := range path {
		if anchored {
			r.Chain = append(r.Chain, cert.Subject.String())
		}
		r.Path = append(r.Path, PathReport{
			Subject: cert.Subject.String(), Name: certstore.Name(cert), Fingerprint: certstore.Fingerprint(cert), NotAfter: cert.NotAfter.UTC(),
			Anchor: anchored && i == len(path)-1,
		})
	}
	return r, nil
}

// trustPath is the path from a certificate to an anchor for mail. Whether it is for signing or for encryption does not
// matter; that of an authority is a path where it leads to an anchor.
func trustPath(s storedCertificate, v certstore.Validator, at time.Time) (path []*x509.Certificate, err error) {
	if s.cert.IsCA {
		path = append([]*x509.Certificate{s.cert}, certstore.IssuersIn(slices.Concat(v.Anchors, s.chain), s.cert)...)
		last := path[len(path)-1]
		if !slices.ContainsFunc(v.Anchors, last.Equal) {
			return nil, fmt.Errorf("%q is not trusted for mail", certstore.Name(last))
		}
		for _, cert := range path {
			if at.Before(cert.NotBefore) || at.After(cert.NotAfter) {
				return nil, fmt.Errorf("%q is valid from %s to %s", certstore.Name(cert), cert.NotBefore.UTC().Format(time.DateOnly), cert.NotAfter.UTC().Format(time.DateOnly))
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
