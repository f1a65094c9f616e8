package certpath

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"
)

// rdn writes a set of attributes, each of a type, a tag and a value.
func rdn(attributes ...[]byte) []byte { return tlv(0x31, attributes...) }

func attribute(id OID, tag byte, value string) []byte {
	return tlv(0x30, tlv(6, []byte(id)), tlv(tag, []byte(value)))
}

func bmp(text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = binary.BigEndian.AppendUint16(b, unit)
	}
	return string(b)
}

const (
	testUTF8, testPrintable, testIA5, testT61, testBMP, testUniversal, testNumeric, testOctets = 12, 19, 22, 20, 30, 28, 18, 4

	testO OID = "\x55\x04\x0a"
)

func TestNameEqual(t *testing.T) {
	cn := func(tag byte, value string) []byte { return tlv(0x30, rdn(attribute(OIDCommonName, tag, value))) }
	a, b := attribute(OIDCommonName, testUTF8, "a"), attribute(testO, testUTF8, "b")
	// The length of an identifier that is 65536 octets longer has the same two last octets.
	long := OID(strings.Repeat("a", 1<<16-2))
	tests := []struct {
		what string
		a, b []byte
		want bool
	}{
		{"same", cn(testUTF8, "Alice"), cn(testUTF8, "Alice"), true},
		{"case", cn(testUTF8, "Alice"), cn(testUTF8, "aLICE"), true},
		{"type of string", cn(testUTF8, "Alice"), cn(testPrintable, "Alice"), true},
		{"BMPString", cn(testUTF8, "Jörg"), cn(testBMP, bmp("JÖRG")), true},
		{"UniversalString", cn(testUTF8, "ab"), cn(testUniversal, "\x00\x00\x00A\x00\x00\x00b"), true},
		{"T61String in ASCII", cn(testUTF8, "Alice"), cn(testT61, "Alice"), true},
		{"T61String beyond ASCII", cn(testUTF8, "J\u00f6rg"), cn(testT61, "J\xf6rg"), false},
		{"spaces within and at the ends", cn(testUTF8, "Alice  B"), cn(testUTF8, "\t alice b "), true},
		{"no space and one", cn(testUTF8, "AliceB"), cn(testUTF8, "Alice B"), false},
		{"soft hyphen", cn(testUTF8, "Ali\u00adce"), cn(testUTF8, "Alice"), true},
		{"long s", cn(testUTF8, "a\u017f"), cn(testUTF8, "AS"), true},
		{"no-break space", cn(testUTF8, "a\u00a0b"), cn(testUTF8, "a b"), true},
		{"control character", cn(testUTF8, "a\x00b"), cn(testUTF8, "ab"), true},
		{"another value", cn(testUTF8, "Alice"), cn(testUTF8, "Alicia"), false},
		{"another attribute", cn(testUTF8, "Alice"), tlv(0x30, rdn(attribute(testO, testUTF8, "Alice"))), false},
		{"more RDNs", tlv(0x30, rdn(a)), tlv(0x30, rdn(a), rdn(b)), false},
		{"order of RDNs", tlv(0x30, rdn(b), rdn(a)), tlv(0x30, rdn(a), rdn(b)), false},
		{"order within an RDN", tlv(0x30, rdn(b, a)), tlv(0x30, rdn(a, b)), true},
		{"one RDN of two and two of one", tlv(0x30, rdn(a, b)), tlv(0x30, rdn(a), rdn(b)), false},
		{"octets", cn(testOctets, "Alice"), cn(testOctets, "Alice"), true},
		{"octets have case", cn(testOctets, "Alice"), cn(testOctets, "alice"), false},
		{"octets and text", cn(testOctets, "alice"), cn(testUTF8, "alice"), false},
		{"no valid UTF-8", cn(testUTF8, "\xff"), cn(testUTF8, "\xfe"), false},
		{"something behind the value", tlv(0x30, rdn(tlv(0x30, tlv(6, []byte(OIDCommonName)), tlv(12, []byte("a")), []byte{5, 0}))), tlv(0x30, rdn(a)), false},
		{"two values, and their octets in one of no type", cn(0, "\x0c\x01a\x0c\x01b"),
			tlv(0x30, rdn(tlv(0x30, tlv(6, []byte(OIDCommonName)), tlv(12, []byte("a")), tlv(12, []byte("b"))))), false},
		{"an identifier that goes on as the value of another", cn(testOctets, string(long)+"\x01\x04b"),
			tlv(0x30, rdn(attribute(OIDCommonName+"\x01\x04"+long, testOctets, "b"))), false},
		{"halves of surrogate pairs", cn(testBMP, "\xd8\x00"), cn(testBMP, "\xd8\x01"), false},
		{"beyond Unicode", cn(testUniversal, "\x7f\x00\x00\x00"), cn(testUniversal, "\x7f\x00\x00\x01"), false},
		{"empty", tlv(0x30), tlv(0x30), true},
		{"empty and not", tlv(0x30), tlv(0x30, rdn(a)), false},
		{"no attributes", tlv(0x30, rdn()), tlv(0x30), false},
	}
	for _, test := range tests {
		x, errX := ParseName(test.a)
		y, errY := ParseName(test.b)
		if errX != nil || errY != nil {
			t.Errorf("%s: %v, %v", test.what, errX, errY)
			continue
		}
		if x.Equal(y) != test.want || y.Equal(x) != test.want || (x.Key() == y.Key()) != test.want {
			t.Errorf("%s: equal %v, with keys %q and %q", test.what, x.Equal(y), x.Key(), y.Key())
		}
	}
	for what, der := range map[string][]byte{
		"no sequence": rdn(a), "no set": tlv(0x30, tlv(0x30, a)), "something behind": append(tlv(0x30), 5, 0), "no attribute": tlv(0x30, rdn([]byte{5, 0})),
		"no value": tlv(0x30, rdn(tlv(0x30, tlv(6, []byte(OIDCommonName))))), "padded identifier": tlv(0x30, rdn(attribute("\x80\x01", 12, "a"))),
	} {
		if _, err := ParseName(der); err == nil {
			t.Errorf("%s is taken for a name", what)
		}
	}
}

func TestNameText(t *testing.T) {
	name, err := ParseName(tlv(0x30, rdn(attribute("\x55\x04\x06", testPrintable, "DE")), rdn(attribute(testO, testBMP, bmp("Über")), attribute("\x2a\x03", testOctets, "\x01")),
		rdn(attribute(OIDCommonName, testUTF8, "Alice"))))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := name.String(), "CN=Alice, O=Über+1.2.3=#01, C=DE"; got != want {
		t.Errorf("%s", got)
	}
	if got := name.Values(OIDCommonName); len(got) != 1 || got[0] != "Alice" {
		t.Errorf("%q", got)
	}
	short, err := ParseName(tlv(0x30, rdn(attribute("\x55\x04\x06", testPrintable, "DE"))))
	if err != nil {
		t.Fatal(err)
	}
	long := short.Append(name.RDNs[1]).Append(name.RDNs[2])
	if again, err := ParseName(long.Raw); err != nil || !again.Equal(name) || !long.Equal(name) || !name.within(short) || short.within(name) {
		t.Errorf("%v, and put together %v", name, long)
	}
	if len(short.RDNs) != 1 {
		t.Error("the base has changed")
	}
}
