package certpath

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"testing"
	"time"
)

// TestValidate breaks one thing in a path of two certificates and asks for the word, the certificate and the section.
func TestValidate(t *testing.T) {
	type template = x509.Certificate
	keys := testKeys()
	policy := policyOf("1.2.3.1")
	withPolicy := func(c *template) { c.Policies = []x509.OID{policy} }
	tests := []struct {
		what               string
		root, middle, leaf func(*template)
		parameters         func(*Parameters)
		change             func(path []*Certificate) []*Certificate
		want               Code
		index              int
		section            string
	}{
		{what: "valid"},
		{what: "no time", parameters: func(p *Parameters) { p.Time = time.Time{} }, want: ChainInvalid, index: -1, section: "6.1.1 (b)"},
		{what: "no path", change: func([]*Certificate) []*Certificate { return nil }, want: ChainInvalid, index: -1, section: "6.1.1 (a)"},
		{what: "no anchor", parameters: func(p *Parameters) { p.Anchor = TrustAnchor{} }, want: ChainInvalid, index: -1, section: "6.1.1 (a)"},
		{what: "too long", change: func(p []*Certificate) []*Certificate {
			for len(p) <= maxPath {
				p = append(p, p[1])
			}
			return p
		}, want: ChainInvalid, index: -1, section: "6.1.1 (a)"},
		{what: "in the wrong order", change: func(p []*Certificate) []*Certificate { return []*Certificate{p[1], p[0]} }, want: BadSignature, index: 0, section: "6.1.3 (a)(1)"},
		{what: "the issuer has another name", parameters: func(p *Parameters) { p.Anchor.Name = Name{} }, want: ChainInvalid, index: 0, section: "6.1.3 (a)(4)"},

		{what: "the last instant", parameters: func(p *Parameters) { p.Time = testTime().AddDate(1, 0, 0) }},
		{what: "an instant after it", parameters: func(p *Parameters) { p.Time = testTime().AddDate(1, 0, 0).Add(1) }, want: Expired, index: 1, section: "6.1.3 (a)(2)"},
		{what: "the first instant", parameters: func(p *Parameters) { p.Time = testTime().AddDate(-1, 0, 0) }},
		{what: "an instant before it", parameters: func(p *Parameters) { p.Time = testTime().AddDate(-1, 0, 0).Add(-1) }, want: NotYetValid, index: 1, section: "6.1.3 (a)(2)"},
		{what: "an issuer expired", middle: func(c *template) { c.NotAfter = testTime().Add(-1) }, want: Expired, index: 0, section: "6.1.3 (a)(2)"},
		{what: "the anchor expired", root: func(c *template) { c.NotAfter = testTime().Add(-time.Second) }, want: Expired, index: -1, section: "6.1.3 (a)(2)"},
		{what: "a name and a key do not expire", root: func(c *template) { c.NotAfter = testTime().Add(-time.Second) },
			parameters: func(p *Parameters) { p.Anchor.Constrained = false }},
		{what: "a breach outranks expiry", middle: func(c *template) { c.NotAfter = testTime().Add(-1); c.IsCA = false }, want: NotACA, index: 0, section: "6.1.4 (k)"},

		{what: "no authority", middle: func(c *template) { c.IsCA = false }, want: NotACA, index: 0, section: "6.1.4 (k)"},
		{what: "no basic constraints", middle: func(c *template) { c.IsCA, c.BasicConstraintsValid = false, false }, want: NotACA, index: 0, section: "6.1.4 (k)"},
		{what: "may not sign certificates", middle: func(c *template) { c.KeyUsage = x509.KeyUsageCRLSign }, want: NotACA, index: 0, section: "6.1.4 (n)"},
		{what: "the anchor is none", root: func(c *template) { c.IsCA = false }, want: NotACA, index: -1, section: "6.1.4 (k), (n)"},
		{what: "a name and a key are an anchor", root: func(c *template) { c.IsCA = false }, parameters: func(p *Parameters) { p.Anchor.Constrained = false }},
		{what: "path length of the anchor", root: func(c *template) { c.MaxPathLen, c.MaxPathLenZero = 0, true }, want: PathLength, index: 0, section: "6.1.4 (l)"},
		{what: "path length of an issuer is for those below it", middle: func(c *template) { c.MaxPathLen, c.MaxPathLenZero = 0, true }},

		{what: "unknown critical extension", middle: func(c *template) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}, want: CriticalExtension, index: 0, section: "4.2"},
		{what: "unknown extension", leaf: func(c *template) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}
		}},
		{what: "malformed extension", leaf: func(c *template) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 18}, Value: []byte{5, 0}}}
		}, want: ChainInvalid, index: 1, section: "4.2.1.7"},

		{what: "no purpose is asked for", leaf: func(c *template) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
			parameters: func(p *Parameters) { p.KeyPurpose = "" }},
		{what: "another purpose", leaf: func(c *template) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, want: ExtendedKeyUsage, index: 1, section: "4.2.1.12"},
		{what: "any purpose", leaf: func(c *template) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }},
		{what: "another purpose of an issuer", middle: func(c *template) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, want: ExtendedKeyUsage, index: 0, section: "4.2.1.12"},
		{what: "another purpose of the anchor", root: func(c *template) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, want: ExtendedKeyUsage, index: -1, section: "4.2.1.12"},

		{what: "constraint of the anchor", root: func(c *template) { c.ExcludedEmailAddresses = []string{"example.org"} }, want: NameConstraint, index: 1, section: "6.1.3 (b), (c)"},
		{what: "constraint of an issuer", middle: func(c *template) { c.PermittedEmailAddresses = []string{"example.com"} }, want: NameConstraint, index: 1, section: "6.1.3 (b), (c)"},
		{what: "initial permitted subtrees", parameters: func(p *Parameters) { p.InitialPermittedSubtrees = []GeneralName{general(RFC822Name, "example.com")} },
			want: NameConstraint, index: 1, section: "6.1.3 (b), (c)"},
		{what: "initial excluded subtrees", parameters: func(p *Parameters) { p.InitialExcludedSubtrees = []GeneralName{general(RFC822Name, "example.org")} },
			want: NameConstraint, index: 1, section: "6.1.3 (b), (c)"},
		{what: "malformed initial subtrees", parameters: func(p *Parameters) { p.InitialExcludedSubtrees = []GeneralName{general(RFC822Name, "@")} },
			want: ChainInvalid, index: -1, section: "6.1.1 (h)"},
		{what: "malformed constraint", middle: func(c *template) {
			addExtension(c, 30, tlv(0x30, tlv(0xa1, tlv(0x30, tlv(0x81, []byte(`"a"@example.org`))))))
		}, want: NameConstraint, index: 0, section: "6.1.4 (g)"},
		{what: "a constraint with a distance", middle: func(c *template) {
			addExtension(c, 30, tlv(0x30, tlv(0xa1, tlv(0x30, tlv(0x82, []byte("a")), tlv(0x80, []byte{1})))))
		}, want: ChainInvalid, index: 0, section: "4.2.1.10"},

		{what: "a policy is asked for", parameters: func(p *Parameters) { p.InitialExplicitPolicy = true }, want: ChainInvalid, index: 0, section: "6.1.3 (f)"},
		{what: "a policy throughout", middle: withPolicy, leaf: withPolicy, parameters: func(p *Parameters) { p.InitialExplicitPolicy = true }},
		{what: "another policy is asked for", middle: withPolicy, leaf: withPolicy, parameters: func(p *Parameters) {
			p.InitialExplicitPolicy, p.UserInitialPolicySet = true, []OID{"\x2a\x04"}
		}, want: ChainInvalid, index: 1, section: "6.1.5 (g)"},
		{what: "mapping from any policy", middle: func(c *template) { addExtension(c, 33, tlv(0x30, mapping("2.5.29.32.0", "1.2.3.1"))) }, want: ChainInvalid, index: 0, section: "6.1.4 (a)"},
		{what: "mapping to any policy", middle: func(c *template) { addExtension(c, 33, tlv(0x30, mapping("1.2.3.1", "2.5.29.32.0"))) }, want: ChainInvalid, index: 0, section: "6.1.4 (a)"},
		{what: "the leaf asks for a policy", leaf: func(c *template) { addExtension(c, 36, tlv(0x30, tlv(0x80, []byte{0}))) }, want: ChainInvalid, index: 1, section: "6.1.5 (g)"},
	}
	for _, test := range tests {
		root := newRoot(t, "root", keys[2], test.root)
		middle := newCertificate(t, "middle", true, root, keys[1], keys[2], test.middle)
		leaf := newCertificate(t, "leaf", false, middle, keys[0], keys[1], func(c *x509.Certificate) {
			c.EmailAddresses = []string{"alice@example.org"}
			if test.leaf != nil {
				test.leaf(c)
			}
		})
		path := []*Certificate{mustParse(t, middle.Raw), mustParse(t, leaf.Raw)}
		p := Parameters{Time: testTime(), Anchor: NewTrustAnchor(mustParse(t, root.Raw)), KeyPurpose: OIDEmailProtection}
		if test.parameters != nil {
			test.parameters(&p)
		}
		if test.change != nil {
			path = test.change(path)
		}
		result, err := Validate(path, p)
		if test.want == "" {
			if err != nil || result == nil {
				t.Errorf("%s: %v", test.what, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || result != nil {
			t.Errorf("%s: %v", test.what, err)
			continue
		}
		if e.Code != test.want || e.Index != test.index || e.Section != test.section {
			t.Errorf("%s: %s at %d, section %s (%s)", test.what, e.Code, e.Index, e.Section, e.Reason)
		}
		if e.Index >= 0 && e.Certificate != path[e.Index] {
			t.Errorf("%s: the certificate is not that of the index", test.what)
		}
	}
}

// TestValidPolicies asks for the outputs.
func TestValidPolicies(t *testing.T) {
	keys := testKeys()
	id := func(last byte) OID { return OID([]byte{42, 3, last}) } // 1.2.3.last
	root := newRoot(t, "root", keys[2], nil)
	middle := newCertificate(t, "middle", true, root, keys[1], keys[2], func(c *x509.Certificate) {
		c.Policies = []x509.OID{policyOf("1.2.3.1"), policyOf("1.2.3.2"), policyOf("1.2.3.3")}
		addExtension(c, 33, tlv(0x30, mapping("1.2.3.1", "1.2.3.9")))
	})
	leaf := newCertificate(t, "leaf", false, middle, keys[0], keys[1], func(c *x509.Certificate) {
		c.Policies = []x509.OID{policyOf("1.2.3.9"), policyOf("1.2.3.2")}
	})
	path := []*Certificate{mustParse(t, middle.Raw), mustParse(t, leaf.Raw)}
	for _, test := range []struct {
		user, want []OID
		inhibit    bool
	}{
		{nil, []OID{id(1), id(2)}, false},
		{[]OID{OIDAnyPolicy}, []OID{id(1), id(2)}, false},
		{[]OID{id(2), id(3)}, []OID{id(2)}, false},
		{[]OID{id(9)}, nil, false},
		{nil, []OID{id(2)}, true},
	} {
		result, err := Validate(path, Parameters{Time: testTime(), Anchor: NewTrustAnchor(mustParse(t, root.Raw)), UserInitialPolicySet: test.user, InitialPolicyMappingInhibit: test.inhibit})
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Policies) != len(test.want) {
			t.Errorf("user accepts %v: valid for %v, want %v", test.user, result.Policies, test.want)
			continue
		}
		for i := range test.want {
			if result.Policies[i] != test.want[i] {
				t.Errorf("user accepts %v: valid for %v, want %v", test.user, result.Policies, test.want)
			}
		}
	}
}
