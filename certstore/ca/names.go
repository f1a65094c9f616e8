package ca

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sealmail/sealmail/certstore"
)

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

const (
	maxNames = 100 // in one certificate
	maxText  = 64  // characters: RFC 5280 appendix A.1, ub-common-name and ub-organization-name
)

// setNames sets subject and subjectAltName. What was stated wins over what the request asks for.
func setNames(t *x509.Certificate, p Profile) error {
	emails, hosts, name := p.Emails, p.DNS, p.Name
	if p.CSR != nil {
		if len(emails) == 0 {
			emails = requestedAddresses(p.CSR)
		}
		if len(hosts) == 0 && p.Purpose == TLS {
			hosts = requestedHosts(p.CSR)
		}
		if name == "" {
			name = p.CSR.Subject.CommonName
		}
	}
	if err := p.checkNames(emails, hosts); err != nil {
		return err
	}
	san, err := certstore.MarshalSubjectAltName(emails, hosts)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProfile, err)
	}
	for _, fallback := range [][]string{emails, hosts} {
		// An address that is too long for a common name stands in subjectAltName alone.
		if name == "" && len(fallback) > 0 && utf8.RuneCountInString(fallback[0]) <= maxText {
			name = fallback[0]
		}
	}
	name = strings.TrimSpace(name)
	if err := checkText("name", name); err != nil {
		return err
	}
	t.Subject = pkix.Name{CommonName: name}
	if p.Organization != "" {
		if err := checkText("organization", p.Organization); err != nil {
			return err
		}
		t.Subject.Organization = []string{p.Organization}
	}
	empty := name == "" && p.Organization == ""
	if san != nil {
		// RFC 5280 section 4.2.1.6: critical where the subject is empty.
		t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: oidSubjectAltName, Critical: empty, Value: san})
	} else if empty {
		return fmt.Errorf("%w: it names nobody", ErrProfile)
	}
	return nil
}

// checkText refuses names that are too long, or that hold what could make them look like others.
func checkText(what, text string) error {
	if utf8.RuneCountInString(text) > maxText {
		return fmt.Errorf("%w: its %s has more than %d characters", ErrProfile, what, maxText)
	}
	for _, r := range text {
		if r == utf8.RuneError || r < ' ' || r >= 0x7f && r < 0xa0 {
			return fmt.Errorf("%w: its %s has control characters", ErrProfile, what)
		}
	}
	return nil
}

func (p *Profile) checkNames(emails, hosts []string) error {
	switch p.Purpose {
	case Mail, Sign, Encrypt:
		if len(emails) == 0 {
			return fmt.Errorf("%w: a certificate for mail needs an address", ErrProfile)
		}
	case TLS:
		if len(hosts) == 0 {
			return fmt.Errorf("%w: a certificate for a server needs a host name or address", ErrProfile)
		}
	}
	if len(emails)+len(hosts) > maxNames {
		return fmt.Errorf("%w: more than %d names", ErrProfile, maxNames)
	}
	return nil
}
