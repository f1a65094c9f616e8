package client

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/nssroots"
)

// CertAnchors reads the certificates of a file that are to become anchors, or finds those of authorities in the store by the
// beginning of the fingerprint (eight digits or more).
func (c *Client) CertAnchors(in string) ([]Anchor, error) {
	certs, err := c.authoritiesNamed(in)
	if err != nil {
		return nil, err
	}
	if len(certs) == 0 {
		certs, err = c.o.readCertificates([]string{in})
		if errors.Is(err, fs.ErrNotExist) && fingerprintDigits(in) != "" {
			return nil, failed("", fmt.Errorf("%q begins the fingerprint of no authority in the store, and is no file", in),
				"name eight digits or more; `sealmail cert show ADDRESS --tree` shows the authorities of a certificate")
		}
		if err != nil {
			return nil, err
		}
	}
	anchors := make([]Anchor, len(certs))
	for i, cert := range certs {
		anchors[i] = Anchor{Subject: certstore.Name(cert), Fingerprint: certstore.Fingerprint(cert), cert: cert}
	}
	return anchors, nil
}

// minFingerprint is how many digits of a fingerprint name a certificate.
const minFingerprint = 8

// fingerprintDigits returns the digits of what may be a fingerprint or the beginning of one, as the store has them; of
// anything else, none.
func fingerprintDigits(word string) string {
	word = strings.ToLower(strings.ReplaceAll(word, ":", ""))
	if len(word) > 64 || strings.Trim(word, "0123456789abcdef") != "" {
		return ""
	}
	return word
}

// authoritiesNamed finds authorities in the store: those that came with one's own certificates, and those that are kept to
// build paths.
func (c *Client) authoritiesNamed(prefix string) ([]*x509.Certificate, error) {
	if prefix = fingerprintDigits(prefix); len(prefix) < minFingerprint {
		return nil, nil
	}
	issuers, problems, err := c.certificates().Issuers()
	if err != nil {
		return nil, storeError(err)
	}
	c.sayProblems(problems)
	identities, _, err := c.certificates().Identities()
	if err != nil {
		return nil, storeError(err)
	}
	for _, i := range identities {
		issuers = append(issuers, i.Chain[1:]...)
	}
	var found []*x509.Certificate
	for _, cert := range issuers {
		if strings.HasPrefix(certstore.Fingerprint(cert), prefix) && !slices.ContainsFunc(found, cert.Equal) {
			found = append(found, cert)
		}
	}
	return found, nil
}

// sayUntrusted tells the owner of new certificates which authority they are from, where that is not trusted: without it
// mail from those who have theirs from the same one cannot be judged. Whether it is to be trusted is theirs to decide.
func (c *Client) sayUntrusted(chains ...[]*x509.Certificate) error {
	v, err := c.mailValidator(nil)
	if err != nil {
		return err
	}
	said := map[string]bool{}
	for _, chain := range chains {
		var broken *certstore.PathError
		top := chain[len(chain)-1]
		if _, err := trustPath(storedCertificate{cert: chain[0], chain: chain}, v, c.o.Now()); !errors.As(err, &broken) || broken.Code != certstore.NoAnchor || said[string(top.Raw)] {
			continue
		}
		said[string(top.Raw)] = true
		if len(chain) == 1 || !top.IsCA {
			c.o.Say(fmt.Sprintf("note: the authority of this certificate, %q, is not trusted yet, and its certificate is not here: `sealmail cert trust ROOT.pem --for mail`", certstore.IssuerName(top)))
			continue
		}
		c.o.Say(fmt.Sprintf("note: the authority of this certificate, %q (SHA-256 %s), is not trusted yet; if it is the one that you know: `sealmail cert trust %.16s --for mail`",
			certstore.Name(top), certstore.Fingerprint(top), certstore.Fingerprint(top)))
	}
	return nil
}

// Anchor is a certificate that may be trusted.
type Anchor struct {
	Subject, Fingerprint string
	cert                 *x509.Certificate
}

// CertTrust makes certificates anchors for a purpose: for all accounts, or, where one was named for this command, for that
// account alone.
func (c *Client) CertTrust(anchors []Anchor, purposes ...string) ([]CertificateLine, error) {
	what := make([]certstore.Purpose, len(purposes))
	for i, word := range purposes {
		var err error
		if what[i], err = certstore.ParsePurpose(word); err != nil {
			return nil, usage("--for", err, "mail, tsa or server")
		}
	}
	accounts, err := c.namedAccount()
	if err != nil {
		return nil, err
	}
	store := c.certificates()
	for _, a := range anchors {
		if err := store.Trust(certstore.Anchor{Certificate: a.cert, Origin: certstore.Private, Added: c.o.Now(), Accounts: accounts}, what...); err != nil {
			return nil, storeError(err)
		}
	}
	// What is told is what the store has now: others may have trusted it before, in another way.
	var lines []CertificateLine
	for _, purpose := range what {
		all, _, err := store.AllAnchors(purpose)
		if err != nil {
			return nil, c.storeUnreadable(err)
		}
		for _, anchor := range all {
			if slices.ContainsFunc(anchors, func(a Anchor) bool { return a.cert.Equal(anchor.Certificate) }) {
				lines = append(lines, anchorLine(anchor, purpose))
			}
		}
	}
	return lines, nil
}

func anchorLine(a certstore.Anchor, purpose certstore.Purpose) CertificateLine {
	line := certificateLine("anchor", string(purpose), a.Certificate)
	line.Origin, line.Accounts = orNull(string(a.Origin)), a.Accounts
	return line
}

// namedAccount is the account that was named for this command, as certstore.Anchor.Accounts; none where none was, which
// means all.
func (c *Client) namedAccount() ([]string, error) {
	if c.o.Account == "" {
		return nil, nil
	}
	a, err := c.account()
	if err != nil {
		return nil, err
	}
	return []string{a.Name}, nil
}

// distrust takes an anchor away, from all accounts or from the one that was named for this command.
func (c *Client) distrust(s storedCertificate, purpose certstore.Purpose, named []string) error {
	fingerprint := s.line.Fingerprint
	switch {
	case len(named) == 0:
		return storeErrorOrNil(c.certificates().Distrust(fingerprint, purpose))
	case len(s.line.Accounts) == 0:
		return failed("", fmt.Errorf("%.16s is trusted for %s by all accounts, and cannot be taken away from one", fingerprint, purpose),
			"leave --account out to take it away from all; `sealmail cert trust --account` trusts it again for one")
	}
	return storeErrorOrNil(c.certificates().DistrustFor(named[0], fingerprint, purpose))
}

// CertDistrust takes anchors away, for one purpose or, where purpose is empty, for all; where an account was named for this
// command, from that one alone. which is a fingerprint, or the beginning of one.
func (c *Client) CertDistrust(which, purpose string) ([]CertificateLine, error) {
	purposes := certstore.Purposes()
	if purpose != "" {
		what, err := certstore.ParsePurpose(purpose)
		if err != nil {
			return nil, usage("--for", err, "mail, tsa or server")
		}
		purposes = []certstore.Purpose{what}
	}
	named, err := c.namedAccount()
	if err != nil {
		return nil, err
	}
	found, err := c.find(which)
	if err != nil {
		return nil, err
	}
	lines := []CertificateLine{}
	for _, s := range found {
		for _, p := range purposes {
			if s.line.Kind != "anchor" || *s.line.Purpose != string(p) {
				continue
			}
			if err := c.distrust(s, p, named); err != nil {
				return lines, err
			}
			lines = append(lines, s.line)
		}
	}
	if len(lines) == 0 {
		return nil, failed("", fmt.Errorf("%s is not trusted for that", which), "`sealmail cert list --kind anchor` lists what is")
	}
	return lines, nil
}

// CertTrustSystem makes the roots for e-mail that NSS's root module has anchors for mail, marked public: for all accounts,
// or, where one was named for this command, for that account alone. Those that were there before as public and that the
// module has no more are taken away from all.
func (c *Client) CertTrustSystem() (*SystemTrustResult, error) {
	name, roots, err := nssroots.System(c.o.System)
	if err != nil {
		return nil, failed("", err, "install NSS (package libnss3 on Debian, nss elsewhere), or name root certificates: `sealmail cert trust FILE --for mail`")
	}
	accounts, err := c.namedAccount()
	if err != nil {
		return nil, err
	}
	account := "" // all
	if len(accounts) > 0 {
		account = accounts[0]
	}
	store := c.certificates()
	before, problems, err := store.AllAnchors(certstore.Mail)
	if err != nil {
		return nil, c.storeUnreadable(err)
	}
	c.sayProblems(problems)
	r := &SystemTrustResult{Source: "/" + name, Skipped: []SkippedRoot{}}
	known := map[string]certstore.Anchor{}
	for _, a := range before {
		known[certstore.Fingerprint(a.Certificate)] = a
	}
	for _, root := range roots {
		if !root.EmailTrusted {
			continue
		}
		cert, err := x509.ParseCertificate(root.DER)
		if err != nil {
			r.Skipped = append(r.Skipped, SkippedRoot{root.Label, "it cannot be used here: " + err.Error()})
			continue
		}
		fingerprint := certstore.Fingerprint(cert)
		anchor, there := known[fingerprint]
		delete(known, fingerprint)
		if there && anchor.TrustedBy(account) && (anchor.Origin != certstore.Public || anchor.DistrustAfter.Equal(root.EmailDistrustAfter)) {
			r.Kept++ // what a person decided is not changed
			continue
		}
		if err := store.Trust(certstore.Anchor{Certificate: cert, Origin: certstore.Public, Added: c.o.Now(), Accounts: accounts, DistrustAfter: root.EmailDistrustAfter}, certstore.Mail); err != nil {
			return nil, storeError(err)
		}
		r.Added++
	}
	for fingerprint, anchor := range known {
		if anchor.Origin != certstore.Public {
			continue
		}
		if err := store.Distrust(fingerprint, certstore.Mail); err != nil {
			return nil, storeError(err)
		}
		r.Removed++
	}
	return r, nil
}
