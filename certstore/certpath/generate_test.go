package certpath

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// testTime is when generated certificates are judged.
func testTime() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC) }

var testKeys = sync.OnceValue(func() []crypto.Signer {
	var keys []crypto.Signer
	for range 5 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil
		}
		keys = append(keys, key)
	}
	return keys
})

// choices are octets that decide what is generated: random ones, or those of a fuzzer. At their end all choices are the
// first.
type choices struct{ data []byte }

func (c *choices) pick(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := int(c.data[0])
	c.data = c.data[1:]
	return b % n
}

// one is true once in n.
func (c *choices) one(n int) bool { return c.pick(n) == n-1 }

func pickFrom[T any](c *choices, list ...T) T { return list[c.pick(len(list))] }

// some returns up to most of the list.
func some[T any](c *choices, most int, list ...T) []T {
	var chosen []T
	for range c.pick(most + 1) {
		chosen = append(chosen, list[c.pick(len(list))])
	}
	return chosen
}

// chain is a generated path, leaf first and the anchor last, with the keys.
type chain struct {
	certs []*x509.Certificate
	keys  []crypto.Signer
}

func (c chain) parsed(t testing.TB) []*Certificate {
	var list []*Certificate
	for _, certificate := range c.certs {
		list = append(list, mustParse(t, certificate.Raw))
	}
	return list
}

// generate makes a chain by these choices. Most of them are honest, so that a chain breaks in few places.
func generate(t testing.TB, c *choices) chain {
	t.Helper()
	keys := testKeys()
	n := 2 + c.pick(3)
	result := chain{certs: make([]*x509.Certificate, n), keys: make([]crypto.Signer, n)}
	subjects := make([]pkix.Name, n)
	for i := n - 1; i >= 0; i-- {
		result.keys[i] = keys[i]
		subjects[i] = pkix.Name{CommonName: string(rune('A' + i)), Organization: []string{"Example"}}
		// A self-issued authority has the name of the one above it.
		if i > 0 && i < n-1 && c.one(8) {
			subjects[i] = subjects[i+1]
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: subjects[i],
			NotBefore: testTime().AddDate(-1, 0, 0), NotAfter: testTime().AddDate(1, 0, 0),
			SubjectKeyId: []byte{byte(i)},
		}
		if i > 0 {
			generateAuthority(c, template)
		} else {
			generateLeaf(c, template)
		}
		generateBoth(t, c, template)
		parent, parentKey := template, result.keys[i]
		if i < n-1 {
			parent, parentKey = result.certs[i+1], result.keys[i+1]
		}
		if i > 0 && c.one(40) {
			parentKey = keys[4] // which is nobody's
		}
		result.certs[i] = sign(t, template, parent, result.keys[i], parentKey)
	}
	return result
}

func sign(t testing.TB, template, parent *x509.Certificate, key, parentKey crypto.Signer) *x509.Certificate {
	t.Helper()
	above := *parent
	above.PublicKey = nil // so that a signature by another key is made as well
	der, err := x509.CreateCertificate(rand.Reader, template, &above, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func generateAuthority(c *choices, template *x509.Certificate) {
	template.BasicConstraintsValid, template.IsCA = !c.one(30), !c.one(30)
	template.MaxPathLen = -1
	if template.IsCA {
		template.MaxPathLen = pickFrom(c, -1, -1, -1, -1, 0, 1, 2)
		template.MaxPathLenZero = template.MaxPathLen == 0
	}
	template.KeyUsage = pickFrom(c, x509.KeyUsageCertSign, x509.KeyUsageCertSign, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, 0, x509.KeyUsageCertSign, x509.KeyUsageCRLSign)
	if c.pick(3) == 1 {
		generateConstraints(c, template)
	}
	if c.pick(4) == 1 {
		generatePolicyRules(c, template)
	}
}

func generateConstraints(c *choices, template *x509.Certificate) {
	mail := []string{"example.org", ".example.org", "alice@example.org", "Example.ORG", "sub.example.org", "example.com", ""}
	hosts := []string{"example.org", ".example.org", "sub.example.org", "EXAMPLE.org", "org", "example.com", ""}
	networks := []*net.IPNet{cidr("192.0.2.0/24"), cidr("192.0.0.0/16"), cidr("2001:db8::/32"), cidr("10.0.0.0/8"), cidr("0.0.0.0/0")}
	template.PermittedEmailAddresses, template.ExcludedEmailAddresses = some(c, 2, mail...), some(c, 1, mail...)
	template.PermittedDNSDomains, template.ExcludedDNSDomains = some(c, 1, hosts...), some(c, 1, hosts...)
	template.PermittedURIDomains, template.ExcludedURIDomains = some(c, 1, hosts...), some(c, 1, hosts...)
	template.PermittedIPRanges, template.ExcludedIPRanges = some(c, 1, networks...), some(c, 1, networks...)
	template.PermittedDNSDomainsCritical = c.one(2)
}

func cidr(text string) *net.IPNet {
	_, network, _ := net.ParseCIDR(text)
	return network
}

func policyOf(text string) x509.OID {
	id, _ := x509.ParseOID(text)
	return id
}

func generatePolicyRules(c *choices, template *x509.Certificate) {
	var constraints [][]byte
	if c.one(3) {
		constraints = append(constraints, tlv(0x80, []byte{byte(c.pick(3))}))
	}
	if c.one(3) {
		constraints = append(constraints, tlv(0x81, []byte{byte(c.pick(2))}))
	}
	if constraints != nil {
		addExtension(template, 36, tlv(0x30, constraints...))
	}
	if c.one(4) {
		addExtension(template, 54, tlv(2, []byte{byte(c.pick(2))}))
	}
	var mappings [][]byte
	for range c.pick(3) {
		mappings = append(mappings, mapping(pickFrom(c, "1.2.3.1", "1.2.3.2", "1.2.3.3", "2.5.29.32.0"), pickFrom(c, "1.2.3.1", "1.2.3.2", "1.2.3.3")))
	}
	if mappings != nil {
		addExtension(template, 33, tlv(0x30, mappings...))
	}
}

// addExtension adds one of those of RFC 5280 that the standard library reads and does not write.
func addExtension(template *x509.Certificate, arc int, value []byte) {
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, arc}, Critical: true, Value: value})
}

func mapping(issuer, subject string) []byte {
	var pair [2][]byte
	for i, text := range []string{issuer, subject} {
		der, _ := policyOf(text).MarshalBinary()
		pair[i] = tlv(6, der)
	}
	return tlv(0x30, pair[0], pair[1])
}

func generateLeaf(c *choices, template *x509.Certificate) {
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.EmailAddresses = some(c, 2, "alice@example.org", "Alice@example.org", "alice@sub.example.org", "bob@EXAMPLE.ORG", "carol@example.com", "no address", "alice@.example.org", `"alice"@example.org`)
	template.DNSNames = some(c, 2, "example.org", "www.example.org", "*.example.org", "Example.com", "a.sub.example.org", "*.org", "..", "")
	template.IPAddresses = some(c, 1, net.IP{192, 0, 2, 1}, net.IP{198, 51, 100, 1}, net.ParseIP("2001:db8::1"), net.ParseIP("fe80::1"))
	if c.pick(4) == 1 {
		for _, text := range []string{"https://example.org/x", "https://www.example.org:443", "urn:x:y", "https://192.0.2.1/", "https://[2001:db8::1]/", "ldap:///x"} {
			if c.one(3) {
				u, _ := url.Parse(text)
				template.URIs = append(template.URIs, u)
			}
		}
	}
	if c.one(6) {
		template.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "alice@example.org"}}
	}
}

func generateBoth(t testing.TB, c *choices, template *x509.Certificate) {
	if c.one(12) {
		template.NotAfter = testTime().AddDate(0, -1, 0)
	}
	if c.one(12) {
		template.NotBefore = testTime().AddDate(0, 1, 0)
	}
	if c.pick(3) == 1 {
		template.ExtKeyUsage = pickFrom(c, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageClientAuth},
			[]x509.ExtKeyUsage{x509.ExtKeyUsageAny}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth})
	}
	if c.pick(3) == 1 {
		seen := map[string]bool{}
		for _, text := range some(c, 3, "1.2.3.1", "1.2.3.2", "1.2.3.3", "2.5.29.32.0") {
			if !seen[text] {
				template.Policies = append(template.Policies, policyOf(text))
			}
			seen[text] = true
		}
	}
	if c.one(20) {
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: c.one(2), Value: []byte{5, 0}})
	}
	if c.one(20) {
		directory := nameOf(t, pkix.Name{Organization: []string{pickFrom(c, "Example", "Other")}})
		if template.IsCA && !hasConstraints(template) {
			template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 30}, Critical: c.one(2),
				Value: tlv(0x30, tlv(0xa0, tlv(0x30, tlv(0xa4, directory))))})
		}
	}
}

func hasConstraints(c *x509.Certificate) bool {
	return len(c.PermittedEmailAddresses)+len(c.ExcludedEmailAddresses)+len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+
		len(c.PermittedURIDomains)+len(c.ExcludedURIDomains)+len(c.PermittedIPRanges)+len(c.ExcludedIPRanges) > 0
}

// tlv writes one element with a content of any length.
func tlv(tag byte, contents ...[]byte) []byte {
	var content []byte
	for _, c := range contents {
		content = append(content, c...)
	}
	head := []byte{tag}
	switch n := len(content); {
	case n < 0x80:
		head = append(head, byte(n))
	case n < 0x100:
		head = append(head, 0x81, byte(n))
	case n < 0x10000:
		head = append(head, 0x82, byte(n>>8), byte(n))
	default:
		head = append(head, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(head, content...)
}

// verifyX509 is the answer of the standard library about a chain that is given in order.
func verifyX509(certs []*x509.Certificate) error {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(certs[len(certs)-1])
	for _, c := range certs[1 : len(certs)-1] {
		intermediates.AddCert(c)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: testTime(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}})
	return err
}

// buildOurs is ours.
func buildOurs(certs []*Certificate) (*Path, error) {
	last := len(certs) - 1
	return Builder{Anchors: NewSet(certs[last:]), Issuers: []*Set{NewSet(certs[1:last])}}.Build(certs[0],
		Parameters{Time: testTime(), KeyPurpose: OIDEmailProtection})
}
