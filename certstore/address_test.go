package certstore_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sealmail/sealmail/certstore"
)

func withSubjectEmail(addresses ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, a := range addresses {
			c.Subject.ExtraNames = append(c.Subject.ExtraNames, pkix.AttributeTypeAndValue{
				Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: a})
		}
	}
}

func TestMatchAddress(t *testing.T) {
	key := newKey(t)
	san := func(addresses ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.EmailAddresses = addresses }
	}
	tests := []struct {
		name    string
		make    func(*x509.Certificate)
		address string
		want    bool
	}{
		{"same", san("alice@example.org"), "alice@example.org", true},
		{"second of two", san("a@example.org", "alice@example.org"), "alice@example.org", true},
		{"case of the domain", san("alice@Example.ORG"), "alice@example.org", true},
		{"case of the local part", san("Alice@example.org"), "alice@example.org", true},
		{"another domain", san("alice@example.org"), "alice@example.com", false},
		{"another local part", san("alice@example.org"), "alicia@example.org", false},
		{"a subdomain", san("alice@example.org"), "alice@mail.example.org", false},
		{"a tag", san("alice@example.org"), "alice+tag@example.org", false},
		{"a trailing dot", san("alice@example.org"), "alice@example.org.", false},
		{"A-label against U-label", san("alice@xn--bcher-kva.example"), "alice@bücher.example", true},
		{"A-label against upper-case U-label", san("alice@XN--bcher-kva.example"), "alice@BÜCHER.example", true},
		{"another U-label", san("alice@xn--bcher-kva.example"), "alice@bucher.example", false},
		{"a false A-label", san("alice@xn--a.example"), "alice@xn--a.example", false},
		{"nothing", san("alice@example.org"), "", false},
		{"no domain", san("alice"), "alice", false},
		{"display name", san("alice@example.org"), "Alice <alice@example.org>", false},
		{"NUL behind", san("alice@example.org\x00.evil.example"), "alice@example.org", false},
		{"NUL in both", san("alice@example.org\x00.evil.example"), "alice@example.org\x00.evil.example", false},
		{"two @", san("alice@example.org@evil.example"), "alice@example.org@evil.example", false},
		{"two @, asked for the first", san("alice@example.org@evil.example"), "alice@example.org", false},
		{"quoted local part", san(`"alice@example.org"@evil.example`), `"alice@example.org"@evil.example`, false},
		{"space in front", san(" alice@example.org"), "alice@example.org", false},
		{"line end", san("alice@example.org\r\n"), "alice@example.org", false},
		{"comment", san("alice(x)@example.org"), "alice@example.org", false},
		{"a list", san("alice@example.org,bob@example.org"), "bob@example.org", false},
		{"Kelvin sign", san("karl@example.org"), "\u212aarl@example.org", false},
		{"subject, no SAN", withSubjectEmail("alice@example.org"), "alice@example.org", true},
		{"subject, two of them", withSubjectEmail("a@example.org", "alice@example.org"), "alice@example.org", true},
		{"subject beside a SAN", func(c *x509.Certificate) {
			withSubjectEmail("alice@example.org")(c)
			c.EmailAddresses = []string{"bob@example.org"}
		}, "alice@example.org", false},
		{"subject beside a SAN of hosts", func(c *x509.Certificate) {
			withSubjectEmail("alice@example.org")(c)
			c.DNSNames = []string{"example.org"}
		}, "alice@example.org", false},
		{"common name", func(c *x509.Certificate) { c.Subject.CommonName = "alice@example.org" }, "alice@example.org", false},
		{"SmtpUTF8Mailbox", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{smtpUTF8SAN(t, "jörg@xn--bcher-kva.example", false)}
		}, "jörg@bücher.example", true},
		{"SmtpUTF8Mailbox, case beyond ASCII", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{smtpUTF8SAN(t, "jörg@example.org", false)}
		}, "JÖRG@example.org", false},
		{"SmtpUTF8Mailbox, decomposed", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{smtpUTF8SAN(t, "jörg@example.org", false)}
		}, "jo\u0308rg@example.org", false},
		{"SmtpUTF8Mailbox, not UTF-8", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{smtpUTF8SAN(t, "j\xf6rg@example.org", false)}
		}, "j\xf6rg@example.org", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := issue(t, nil, "subject", key, test.make).cert
			if got := certstore.MatchAddress(c, test.address); got != test.want {
				t.Errorf("MatchAddress(%q, %q) = %v", certstore.Addresses(c), test.address, got)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	c := issue(t, nil, "subject", newKey(t), func(c *x509.Certificate) {
		c.EmailAddresses = []string{"Alice@Example.org", "not an address", "bob@example.org", "Alice@Example.org"}
	}).cert
	if got, want := certstore.Addresses(c), []string{"Alice@Example.org", "bob@example.org"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := certstore.Addresses(issue(t, nil, "nobody", newKey(t), nil).cert); len(got) != 0 {
		t.Errorf("got %q from a certificate without addresses", got)
	}
}

// FuzzNormalizeAddress: a normal form is normal, has one @, and nothing in it that could hide another.
func FuzzNormalizeAddress(f *testing.F) {
	for _, seed := range []string{"alice@example.org", "Jörg@BÜCHER.example", "a@b@c", "\"a b\"@c", "a@xn--bcher-kva.example", "a\x00@b", "@", "a@[127.0.0.1]", "a@" + strings.Repeat("R", 4) + "\u0487" + strings.Repeat("R", 52)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		normal, ok := certstore.NormalizeAddress(address)
		if !ok {
			return
		}
		if !utf8.ValidString(normal) || strings.Count(normal, "@") != 1 || strings.ContainsAny(normal, "\x00\r\n\t <>()\",;:\\") {
			t.Fatalf("%q became %q", address, normal)
		}
		if _, domain, _ := strings.Cut(normal, "@"); strings.ToLower(domain) != domain {
			t.Fatalf("domain of %q is not in lower case", normal)
		}
		if again, ok := certstore.NormalizeAddress(normal); !ok || again != normal {
			t.Fatalf("%q became %q and then %q", address, normal, again)
		}
	})
}
