package ca

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
	"time"
)

// goodLeaf is a template for mail that no lint objects to.
func goodLeaf() *x509.Certificate {
	begin := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	return &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: "Alice"}, SubjectKeyId: make([]byte, 20),
		NotBefore: begin, NotAfter: begin.AddDate(1, 0, 0), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		EmailAddresses: []string{"alice@example.org"}, CRLDistributionPoints: []string{"http://ca.example.org/issuing.crl"},
	}
}

// TestLints has bad templates refused, each by the lint that is about it: those of RFC 5280 for all certificates, those of
// the S/MIME baseline for certificates for mail although they claim none of its policies.
func TestLints(t *testing.T) {
	key, err := P256.Generate()
	if err != nil {
		t.Fatal(err)
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "Issuing CA"}, SubjectKeyId: make([]byte, 20), PublicKey: key.Public()}
	for name, test := range map[string]struct {
		level  baseline
		change func(*x509.Certificate)
		noURL  bool
		lint   string // "": accepted
	}{
		"good":                           {level: mailbox, change: func(*x509.Certificate) {}},
		"good, with an organization":     {level: organization, change: func(c *x509.Certificate) { c.Subject.Organization = []string{"Example GmbH"} }},
		"mailbox with an organization":   {level: mailbox, change: func(c *x509.Certificate) { c.Subject.Organization = []string{"Example GmbH"} }, lint: "e_mailbox_validated_enforce_subject_field_restrictions"},
		"no list, although there is one": {level: mailbox, change: func(c *x509.Certificate) { c.CRLDistributionPoints = nil }, lint: lintNeedsURL},
		"no list, as there is none":      {level: mailbox, change: func(c *x509.Certificate) { c.CRLDistributionPoints = nil }, noURL: true},
		"no list, not for mail":          {level: notMail, change: func(c *x509.Certificate) { c.CRLDistributionPoints = nil }},
		"TLS":                            {level: mailbox, change: func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) }, lint: "e_smime_legacy_multipurpose_eku_check"},
		"issuers by https":               {level: mailbox, change: func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"https://ca.example.org/x.cer"} }, lint: "e_smime_strict_aia_shall_have_http_only"},
		"key usage of RSA":               {level: mailbox, change: func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment }, lint: "e_ecpublickey_key_usages"},
		"no address":                     {level: mailbox, change: func(c *x509.Certificate) { c.EmailAddresses = nil }, lint: "e_san_shall_be_present"},
		"long common name":               {level: notMail, change: func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("x", 65) }, lint: "e_subject_common_name_max_length"},
		"certificates signed by nobody":  {level: notMail, change: func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }, lint: "e_"},
		"address with a space":           {level: mailbox, change: func(c *x509.Certificate) { c.EmailAddresses = []string{"alice@exa mple.org"} }, lint: "e_"},
		"path length of who is no issuer": {level: notMail, change: func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: oidBasicConstraints(), Critical: true, Value: []byte{0x30, 3, 2, 1, 1}}}
		}, lint: "e_path_len_constraint_improperly_included"},
	} {
		template := goodLeaf()
		test.change(template)
		asked := &countingSigner{Signer: key}
		cert, err := sign(template, issuer, key.Public(), &lintingSigner{Signer: asked, level: test.level, withoutURL: test.noURL})
		if test.lint == "" {
			if err != nil || asked.count != 1 {
				t.Errorf("%s: %v, signed %d times", name, err, asked.count)
				continue
			}
			// What the lints took for a claim is not in what was signed.
			if len(cert.PolicyIdentifiers) != 0 || len(cert.Extensions) == 0 {
				t.Errorf("%s: policies %v", name, cert.PolicyIdentifiers)
			}
			continue
		}
		if !errors.Is(err, ErrProfile) || !strings.Contains(err.Error(), ": "+test.lint) || strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		if asked.count != 0 {
			t.Errorf("%s: was signed all the same", name)
		}
	}
}

// TestLintedRoot: a root is judged as one, and not returned where there is an objection.
func TestLintedRoot(t *testing.T) {
	key, err := P256.Generate()
	if err != nil {
		t.Fatal(err)
	}
	root := goodLeaf()
	root.IsCA, root.KeyUsage, root.ExtKeyUsage, root.EmailAddresses, root.CRLDistributionPoints = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil, nil, nil
	signer := &lintingSigner{Signer: key, selfSigned: true}
	if _, err := sign(root, root, key.Public(), signer); err != nil {
		t.Error(err)
	}
	root.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: strings.Repeat("x", 65)}}}
	if cert, err := sign(root, root, key.Public(), signer); !errors.Is(err, ErrProfile) || cert != nil {
		t.Errorf("%v", err)
	}
}

func TestSignatureAlgorithmOfNonsense(t *testing.T) {
	for _, tbs := range []string{"", "\x30\x00", "\x30\x03\x02\x01\x01", "\x31\x00"} {
		if _, err := signatureAlgorithm([]byte(tbs)); !errors.Is(err, errTBS) {
			t.Errorf("%x: %v", tbs, err)
		}
	}
}
