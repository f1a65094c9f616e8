package certpath

import (
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"
)

// general returns one name of a kind.
func general(kind GeneralNameKind, text string) GeneralName {
	return GeneralName{Kind: kind, Text: text}
}

func network(raw ...byte) GeneralName { return GeneralName{Kind: IPAddress, Raw: raw} }

func directoryOf(t testing.TB, der []byte) GeneralName {
	t.Helper()
	name, err := ParseName(der)
	if err != nil {
		t.Fatal(err)
	}
	return GeneralName{Kind: DirectoryName, Raw: der, Directory: name}
}

func TestNameConstraints(t *testing.T) {
	organization := func(text string) GeneralName { return directoryOf(t, tlv(0x30, rdn(attribute(testO, testUTF8, text)))) }
	organizationCN := func(text string) GeneralName {
		return directoryOf(t, tlv(0x30, rdn(attribute(testO, testUTF8, text)), rdn(attribute(OIDCommonName, testUTF8, "x"))))
	}
	mailbox := func(text string) GeneralName { return GeneralName{Kind: OtherName, ID: OIDSmtpUTF8Mailbox, Text: text} }
	const mail, host, uri = RFC822Name, DNSName, URI
	tests := []struct {
		what                string
		constraint, name    GeneralName
		permitted, excluded bool // whether it passes where the constraint permits, and where it excludes
	}{
		{"mail of the host", general(mail, "example.org"), general(mail, "alice@example.org"), true, false},
		{"in another case", general(mail, "Example.ORG"), general(mail, "alice@eXample.org"), true, false},
		{"mail of a host below", general(mail, "example.org"), general(mail, "alice@sub.example.org"), false, true},
		{"mail of a domain", general(mail, ".example.org"), general(mail, "alice@sub.example.org"), true, false},
		{"mail of the domain's own host", general(mail, ".example.org"), general(mail, "alice@example.org"), false, true},
		{"mail of a host that ends alike", general(mail, ".example.org"), general(mail, "alice@anexample.org"), false, true},
		{"one mailbox", general(mail, "alice@example.org"), general(mail, "alice@EXAMPLE.org"), true, false},
		{"one mailbox, in another case", general(mail, "alice@example.org"), general(mail, "Alice@example.org"), false, false},
		{"another mailbox", general(mail, "alice@example.org"), general(mail, "bob@example.org"), false, true},
		{"all mail", general(mail, ""), general(mail, "bob@example.org"), true, false},
		{"an endless host", general(mail, "example.org"), mailbox("a@" + strings.Repeat("é", 60_000)), false, false},
		{"no mailbox", general(mail, "example.org"), general(mail, "alice"), false, false},
		{"two @", general(mail, "example.org"), general(mail, "alice@example.com@example.org"), false, false},
		{"NUL", general(mail, "example.org"), general(mail, "alice\x00@example.org"), false, false},
		{"a special", general(mail, "example.org"), general(mail, "alic(@example.org"), false, false},
		{"two dots", general(mail, "example.org"), general(mail, "a..b@example.org"), false, false},
		{"a dot in the end", general(mail, "example.org"), general(mail, "a.@example.org"), false, false},
		{"what atoms may have", general(mail, "example.org"), general(mail, "a.b+c!#@example.org"), true, false},
		{"quoted", general(mail, "example.org"), general(mail, `"alice"@example.org`), false, false},
		{"an international mailbox", general(mail, "example.org"), mailbox("jörg@example.org"), true, false},
		{"an international mailbox elsewhere", general(mail, "example.org"), mailbox("jörg@example.com"), false, true},
		{"an international domain", general(mail, "xn--bcher-kva.example"), mailbox("jörg@BÜCHER.example"), true, false},
		{"a malformed international domain", general(mail, "example.org"), mailbox("jörg@\u200d.example"), false, false},
		{"a host is no mail", general(mail, "example.org"), general(host, "example.com"), true, true},

		{"the host", general(host, "example.org"), general(host, "EXAMPLE.org"), true, false},
		{"a host below", general(host, "example.org"), general(host, "a.b.example.org"), true, false},
		{"a host that ends alike", general(host, "example.org"), general(host, "anexample.org"), false, true},
		{"below a domain", general(host, ".example.org"), general(host, "a.example.org"), true, false},
		{"the domain itself", general(host, ".example.org"), general(host, "example.org"), false, true},
		{"a wildcard below", general(host, "example.org"), general(host, "*.example.org"), true, false},
		{"a wildcard above", general(host, "www.example.org"), general(host, "*.example.org"), false, false},
		{"a wildcard beside", general(host, "www.example.org"), general(host, "*.example.com"), false, true},
		{"no host", general(host, "example.org"), general(host, "..example.org"), false, false},
		{"all hosts", general(host, ""), general(host, "example.org"), true, false},

		{"a URI of the host", general(uri, "example.org"), general(uri, "https://user@example.org:8443/x"), true, false},
		{"a URI of a host below", general(uri, "example.org"), general(uri, "https://www.example.org/"), false, true},
		{"a URI of a domain", general(uri, ".example.org"), general(uri, "https://www.example.org/"), true, false},
		{"a URI without a host", general(uri, "example.org"), general(uri, "urn:x:y"), false, false},
		{"a URI with an address", general(uri, "example.org"), general(uri, "https://192.0.2.1/"), false, false},
		{"a URI with another address", general(uri, "example.org"), general(uri, "https://[2001:db8::1]/"), false, false},
		{"no URI", general(uri, "example.org"), general(uri, "https://example.org:x:y/"), false, false},

		{"an address", network(192, 0, 2, 0, 255, 255, 255, 0), network(192, 0, 2, 7), true, false},
		{"another address", network(192, 0, 2, 0, 255, 255, 255, 0), network(192, 0, 3, 7), false, true},
		{"an address of the other kind", network(192, 0, 2, 0, 255, 255, 255, 0), network(make([]byte, 16)...), false, true},
		{"an address in a base with bits behind the mask", network(192, 0, 2, 9, 255, 255, 255, 0), network(192, 0, 2, 7), true, false},
		{"all addresses", network(0, 0, 0, 0, 0, 0, 0, 0), network(198, 51, 100, 1), true, false},

		{"a name below", organization("Example"), organizationCN("EXAMPLE"), true, false},
		{"the name itself", organization("Example"), organization("example "), true, false},
		{"the name above", organizationCN("Example"), organization("Example"), false, true},
		{"another name", organization("Example"), organizationCN("Other"), false, true},
		{"an accent written otherwise", organization("J\u00f6rg"), organizationCN("Jo\u0308rg"), false, false},
		{"another attribute beyond ASCII", organization("Jörg"), directoryOf(t, tlv(0x30, rdn(attribute(OIDCommonName, testUTF8, "Jörg")))), false, true},
		{"a name beyond ASCII", organization("Jörg"), organizationCN("JÖRG"), true, false},

		{"a form that is not supported", GeneralName{Kind: RegisteredID, ID: "\x2a"}, GeneralName{Kind: RegisteredID, ID: "\x2a"}, false, false},
		{"another otherName", GeneralName{Kind: OtherName, ID: "\x2a"}, GeneralName{Kind: OtherName, ID: "\x2b"}, true, true},
		{"that otherName", GeneralName{Kind: OtherName, ID: "\x2a"}, GeneralName{Kind: OtherName, ID: "\x2a"}, false, false},
	}
	for _, test := range tests {
		c := &Certificate{SubjectAltNames: []GeneralName{test.name}, Extensions: []Extension{{ID: OIDSubjectAltName}}}
		for _, excludes := range []bool{false, true} {
			var set constraintSet
			permitted, excluded, want := []GeneralName{test.constraint}, []GeneralName(nil), test.permitted
			if excludes {
				permitted, excluded, want = excluded, permitted, test.excluded
			}
			if err := set.add(permitted, excluded); err != nil {
				t.Fatalf("%s: %v", test.what, err)
			}
			if err := set.check(c); (err == nil) != want {
				t.Errorf("%s, excluded %v: %v", test.what, excludes, err)
			}
		}
	}
	for _, malformed := range []GeneralName{general(mail, "a b"), general(mail, "@"), general(mail, "."), general(host, "*.example.org"), general(host, "."), general(uri, "192.0.2.1"),
		general(uri, "https://example.org"), general(mail, `"a"@example.org`), network(), network(1, 2, 3, 4), network(1, 2, 3, 4, 255, 0, 255, 0), network(1, 2, 3, 4, 255, 0, 0, 0, 0)} {
		if err := new(constraintSet).add([]GeneralName{malformed}, nil); err == nil {
			t.Errorf("%q is taken for a constraint", malformed.Text)
		}
	}
}

// TestNameConstraintsIntersect: what is permitted must be so by each issuer, in each of its names.
func TestNameConstraintsIntersect(t *testing.T) {
	var set constraintSet
	for _, permitted := range [][]GeneralName{{general(RFC822Name, "example.org"), general(RFC822Name, "example.com")}, {general(RFC822Name, "example.org")}} {
		if err := set.add(permitted, nil); err != nil {
			t.Fatal(err)
		}
	}
	for address, want := range map[string]bool{"a@example.org": true, "a@example.com": false, "a@example.net": false} {
		c := &Certificate{SubjectAltNames: []GeneralName{general(RFC822Name, address)}}
		if err := set.check(c); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	two := &Certificate{SubjectAltNames: []GeneralName{general(RFC822Name, "a@example.org"), general(RFC822Name, "a@example.com")}}
	if err := set.check(two); err == nil {
		t.Error("the second name is not looked at")
	}
	// The subject's own addresses count where there is no alternative name, and only there.
	subject := directoryOf(t, nameOf(t, pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: []int{1, 2, 840, 113549, 1, 9, 1}, Value: "a@example.com"}}})).Directory
	if err := set.check(&Certificate{Subject: subject}); err == nil {
		t.Error("the address in the subject is not looked at")
	}
	if err := set.check(&Certificate{Subject: subject, Extensions: []Extension{{ID: OIDSubjectAltName}}}); err != nil {
		t.Errorf("beside an alternative name: %v", err)
	}
	if err := set.check(&Certificate{}); err != nil || errors.Is(err, errComparisons) {
		t.Errorf("no names: %v", err)
	}
}

// TestEndlessHost: for what is too long for a host no A-labels are looked for, which costs as the square of the length.
func TestEndlessHost(t *testing.T) {
	for _, host := range []string{strings.Repeat("é", 60_000), strings.Repeat("a", 100_000)} {
		if work := testing.AllocsPerRun(1, func() { normalizeHost(host) }); work > 0 {
			t.Errorf("%v allocations", work)
		}
	}
}
