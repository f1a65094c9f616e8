package certpath

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// judged is a path with two answers about it.
type judged struct {
	certs        []*Certificate // leaf first
	ours, theirs error
}

// subtreesOf returns all subtrees of a kind that issuers of the path have.
func (j judged) subtreesOf(kind GeneralNameKind) (list []GeneralName) {
	for _, c := range j.certs[1:] {
		if c.NameConstraints != nil {
			for _, n := range slices.Concat(c.NameConstraints.Permitted, c.NameConstraints.Excluded) {
				if n.Kind == kind {
					list = append(list, n)
				}
			}
		}
	}
	return list
}

// anySubject reports whether a name of the path is so.
func (j judged) anySubject(is func(subject) bool) bool {
	return slices.ContainsFunc(j.certs, func(c *Certificate) bool { return slices.ContainsFunc(subjects(c), is) })
}

// below reports whether a host of the path is below a host that is constrained without a leading dot.
func (j judged) below(kind GeneralNameKind, host func(subject) string) bool {
	return slices.ContainsFunc(j.subtreesOf(kind), func(n GeneralName) bool {
		return j.anySubject(func(s subject) bool {
			return s.kind == kind && !strings.HasPrefix(n.Text, ".") && strings.HasSuffix(host(s), "."+lowerASCII(n.Text))
		})
	})
}

func (j judged) theirReason(reason x509.InvalidReason) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(j.theirs, &invalid) && invalid.Reason == reason
}

func (j judged) ourCode(code Code) bool {
	var e *Error
	return errors.As(j.ours, &e) && e.Code == code
}

// differences are all that the two disagree about, and why. The first that explains a case counts.
var differences = []struct {
	why     string
	explain func(judged) bool
}{
	{"a self-issued authority does not count against the path length (6.1.4 (l))", func(j judged) bool {
		return j.ours == nil && j.theirReason(x509.TooManyIntermediates) && slices.ContainsFunc(j.certs[1:len(j.certs)-1], (*Certificate).SelfIssued)
	}},
	{"a self-issued authority may have any name (6.1.3 (b))", func(j judged) bool {
		return j.ours == nil && j.theirReason(x509.CANotAuthorizedForThisName) && slices.ContainsFunc(j.certs[1:len(j.certs)-1], (*Certificate).SelfIssued)
	}},
	{"constraints on directory names are understood", func(j judged) bool {
		var critical x509.UnhandledCriticalExtension
		return j.ours == nil && errors.As(j.theirs, &critical) && len(j.subtreesOf(DirectoryName)) > 0
	}},
	{"alternative names of all forms are understood, and where the delta lists are (4.2.1.6, 4.2.1.7, 4.2.1.15)", func(j judged) bool {
		var critical x509.UnhandledCriticalExtension
		return j.ours == nil && errors.As(j.theirs, &critical) && slices.ContainsFunc(j.certs, func(c *Certificate) bool {
			return slices.ContainsFunc(c.Extensions, func(e Extension) bool {
				return e.Critical && (e.ID == OIDSubjectAltName || e.ID == OIDIssuerAltName || e.ID == OIDFreshestCRL)
			})
		})
	}},
	{"constraints on directory names count", func(j judged) bool {
		return j.theirs == nil && j.ourCode(NameConstraint) && len(j.subtreesOf(DirectoryName)) > 0
	}},
	{"a constraint on the mail of a host is not about the hosts below it (4.2.1.10)", func(j judged) bool {
		return (j.ourCode(NameConstraint) || j.theirReason(x509.CANotAuthorizedForThisName)) && j.below(RFC822Name, func(s subject) string { return s.mailbox.host })
	}},
	{"a constraint on URIs of a host is not about the hosts below it (4.2.1.10)", func(j judged) bool {
		return (j.ourCode(NameConstraint) || j.theirReason(x509.CANotAuthorizedForThisName)) && j.below(URI, func(s subject) string { return s.host })
	}},
	{"a malformed name matters where there is a constraint on its kind, not where there is one on another", func(j judged) bool {
		return j.ours == nil && j.theirReason(x509.CANotAuthorizedForThisName) && j.anySubject(func(s subject) bool { return s.malformed })
	}},
	{"a quoted local part and an empty host are malformed", func(j judged) bool {
		return j.theirs == nil && j.ourCode(NameConstraint) && j.anySubject(func(s subject) bool {
			return s.malformed && (strings.Contains(s.text, `"`) || s.text == "")
		})
	}},
	{"a wildcard is excluded by every name that it stands for", func(j judged) bool {
		return j.theirs == nil && j.ourCode(NameConstraint) && len(j.subtreesOf(DNSName)) > 0 && j.anySubject(func(s subject) bool { return strings.HasPrefix(s.host, "*.") })
	}},
	{"constraints on mail are about the subject where there is no alternative name (4.2.1.10)", func(j judged) bool {
		return j.theirs == nil && j.ourCode(NameConstraint) && len(j.subtreesOf(RFC822Name)) > 0 &&
			!j.certs[0].HasExtension(OIDSubjectAltName) && len(j.certs[0].Subject.Values(OIDEmailAddress)) > 0
	}},
	{"excluded addresses are compared without regard to case", func(j judged) bool {
		return j.theirs == nil && j.ourCode(NameConstraint) && slices.ContainsFunc(j.subtreesOf(RFC822Name), func(n GeneralName) bool {
			return j.anySubject(func(s subject) bool { return s.text != n.Text && strings.EqualFold(s.text, n.Text) })
		})
	}},
	{"names are compared by what they say, not by how it is written (7.1)", func(j judged) bool {
		if j.ours != nil {
			return false
		}
		for i, c := range j.certs[:len(j.certs)-1] {
			if !bytes.Equal(c.Issuer.Raw, j.certs[i+1].Subject.Raw) && c.Issuer.Equal(j.certs[i+1].Subject) {
				return true
			}
		}
		return false
	}},
	{"no policy may be mapped from or to any policy, whether there are policies left or not (6.1.4 (a))", func(j judged) bool {
		return j.theirs == nil && j.ourCode(ChainInvalid) && slices.ContainsFunc(j.certs, func(c *Certificate) bool {
			return slices.ContainsFunc(c.PolicyMappings, func(m PolicyMapping) bool { return m.IssuerDomain == OIDAnyPolicy || m.SubjectDomain == OIDAnyPolicy })
		})
	}},
}

// explained returns why the answers differ. ok is also true where they do not.
func (j judged) explained() (why string, ok bool) {
	if (j.ours == nil) == (j.theirs == nil) {
		return "", true
	}
	for _, d := range differences {
		if d.explain(j) {
			return d.why, true
		}
	}
	return "", false
}

// TestDifferences makes a chain for each difference, which shows it and nothing else.
func TestDifferences(t *testing.T) {
	type certificate = x509.Certificate
	directory := func(critical bool) func(*certificate) {
		return func(c *certificate) {
			other := nameOf(t, pkix.Name{Organization: []string{map[bool]string{true: "Example", false: "Other"}[critical]}})
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 30}, Critical: critical, Value: tlv(0x30, tlv(0xa0, tlv(0x30, tlv(0xa4, other))))}}
		}
	}
	toMiddle := func(c *certificate) { c.Subject.CommonName = "root" }
	uri := func(text string) func(*certificate) {
		return func(c *certificate) {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = []*url.URL{u}
		}
	}
	cases := []struct {
		root, middle, leaf func(*certificate)
	}{
		{root: func(c *certificate) { c.MaxPathLenZero = true }, middle: toMiddle},
		{root: func(c *certificate) { c.PermittedDNSDomains = []string{"example.org"} },
			middle: func(c *certificate) { toMiddle(c); c.DNSNames = []string{"example.com"} }},
		{middle: directory(true), leaf: func(c *certificate) { c.Subject.Organization = []string{"Example"} }},
		{leaf: func(c *certificate) { addExtension(c, 17, tlv(0x30, tlv(0x88, []byte{0x2a}))) }},
		{middle: directory(false)},
		{middle: func(c *certificate) { c.PermittedEmailAddresses = []string{"example.org"} },
			leaf: func(c *certificate) { c.EmailAddresses = []string{"alice@sub.example.org"} }},
		{middle: func(c *certificate) { c.ExcludedURIDomains = []string{"example.org"} }, leaf: uri("https://www.example.org/")},
		{middle: func(c *certificate) { c.PermittedDNSDomains = []string{"example.org"} }, leaf: uri("urn:x:y")},
		{middle: func(c *certificate) { c.PermittedEmailAddresses = []string{"example.org"} },
			leaf: func(c *certificate) { c.EmailAddresses = []string{`"alice"@example.org`} }},
		{middle: func(c *certificate) { c.ExcludedDNSDomains = []string{"a.b.example.org"} },
			leaf: func(c *certificate) { c.DNSNames = []string{"*.example.org"} }},
		{middle: func(c *certificate) { c.ExcludedEmailAddresses = []string{"example.org"} }, leaf: func(c *certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "alice@example.org"}}
		}},
		{middle: func(c *certificate) { c.ExcludedEmailAddresses = []string{"alice@example.org"} },
			leaf: func(c *certificate) { c.EmailAddresses = []string{"Alice@example.org"} }},
		{middle: func(c *certificate) { c.RawSubject = nil; c.Subject.CommonName = "Middle" }, leaf: func(c *certificate) {
			c.Issuer.CommonName = "middle" // see below
		}},
		{middle: func(c *certificate) { addExtension(c, 33, tlv(0x30, mapping("2.5.29.32.0", "1.2.3"))) }},
	}
	if len(cases) != len(differences) {
		t.Fatalf("%d cases for %d differences", len(cases), len(differences))
	}
	keys := testKeys()
	for i, test := range cases {
		template := func(name string, change func(*certificate)) *certificate {
			c := &certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
				NotBefore: testTime().AddDate(-1, 0, 0), NotAfter: testTime().AddDate(1, 0, 0)}
			if c.MaxPathLen = -1; name != "leaf" {
				c.IsCA, c.BasicConstraintsValid = true, true
			}
			if change != nil {
				change(c)
				if c.MaxPathLenZero {
					c.MaxPathLen = 0
				}
			}
			return c
		}
		rootTemplate := template("root", test.root)
		root := sign(t, rootTemplate, rootTemplate, keys[2], keys[2])
		middle := sign(t, template("middle", test.middle), root, keys[1], keys[2])
		leafTemplate := template("leaf", test.leaf)
		above := middle
		if leafTemplate.Issuer.CommonName != "" {
			renamed := *middle
			renamed.RawSubject, renamed.Subject = nil, leafTemplate.Issuer
			above = &renamed
		}
		chain := []*x509.Certificate{sign(t, leafTemplate, above, keys[0], keys[1]), middle, root}
		j := judged{theirs: verifyX509(chain)}
		for _, c := range chain {
			j.certs = append(j.certs, mustParse(t, c.Raw))
		}
		_, j.ours = buildOurs(j.certs)
		if why, _ := j.explained(); why != differences[i].why {
			t.Errorf("%s: explained by %q; ours: %v, x509: %v", differences[i].why, why, j.ours, j.theirs)
		}
	}
}

func nameOf(t testing.TB, name pkix.Name) []byte {
	t.Helper()
	der, err := asn1.Marshal(name.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	return der
}
