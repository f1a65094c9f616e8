package certpath

import (
	"bytes"
	"strings"
	"testing"
)

// TestMalformedExtensions: what cannot be understood is a problem, in words, and no path with it is valid.
func TestMalformedExtensions(t *testing.T) {
	key := testKeys()[0]
	octet := func(tag byte, content ...byte) []byte { return tlv(tag, content) }
	tests := []struct {
		what, section string
		id            OID
		value         []byte
	}{
		{"NULL", "4.2.1.1", OIDAuthorityKeyIdentifier, octet(5)},
		{"serial number that is padded", "4.2.1.1", OIDAuthorityKeyIdentifier, tlv(0x30, octet(0x82, 0, 1))},
		{"NULL", "4.2.1.2", OIDSubjectKeyIdentifier, octet(5)},
		{"something behind", "4.2.1.2", OIDSubjectKeyIdentifier, append(octet(4, 1), 5, 0)},
		{"bits behind the last", "4.2.1.3", OIDKeyUsage, octet(3, 1, 0x81)},
		{"no octet", "4.2.1.3", OIDKeyUsage, octet(3)},
		{"nine unused bits", "4.2.1.3", OIDKeyUsage, octet(3, 9, 0)},
		{"the same policy twice", "4.2.1.4", OIDCertificatePolicies, tlv(0x30, tlv(0x30, octet(6, 42)), tlv(0x30, octet(6, 42)))},
		{"no policy", "4.2.1.4", OIDCertificatePolicies, tlv(0x30)},
		{"qualifiers that are none", "4.2.1.4", OIDCertificatePolicies, tlv(0x30, tlv(0x30, octet(6, 42), tlv(0x30, octet(5))))},
		{"one policy alone", "4.2.1.5", OIDPolicyMappings, tlv(0x30, tlv(0x30, octet(6, 42)))},
		{"no names", "4.2.1.6", OIDSubjectAltName, tlv(0x30)},
		{"letters beyond ASCII", "4.2.1.6", OIDSubjectAltName, generalNames(RFC822Name, "jörg@example.org")},
		{"an address of three octets", "4.2.1.6", OIDSubjectAltName, tlv(0x30, octet(0x87, 1, 2, 3))},
		{"an address with a mask", "4.2.1.6", OIDSubjectAltName, tlv(0x30, octet(0x87, 1, 2, 3, 4, 255, 0, 0, 0))},
		{"a tag that there is not", "4.2.1.6", OIDSubjectAltName, tlv(0x30, octet(0x89))},
		{"a string that is constructed", "4.2.1.6", OIDSubjectAltName, tlv(0x30, octet(0xa1))},
		{"an otherName without a value", "4.2.1.6", OIDSubjectAltName, tlv(0x30, tlv(0xa0, octet(6, 42)))},
		{"a mailbox of another type", "4.2.1.6", OIDSubjectAltName, tlv(0x30, tlv(0xa0, tlv(6, []byte(OIDSmtpUTF8Mailbox)), tlv(0xa0, octet(22, 'a'))))},
		{"a name that is none", "4.2.1.6", OIDSubjectAltName, tlv(0x30, tlv(0xa4, octet(5)))},
		{"NULL", "4.2.1.7", OIDIssuerAltName, octet(5)},
		{"a negative path length", "4.2.1.9", OIDBasicConstraints, tlv(0x30, octet(1, 0xff), octet(2, 0xff))},
		{"something behind", "4.2.1.9", OIDBasicConstraints, tlv(0x30, octet(1, 0xff), octet(5))},
		{"neither", "4.2.1.10", OIDNameConstraints, tlv(0x30)},
		{"an empty list", "4.2.1.10", OIDNameConstraints, tlv(0x30, tlv(0xa0))},
		{"a mask with a hole", "4.2.1.10", OIDNameConstraints, tlv(0x30, tlv(0xa0, tlv(0x30, octet(0x87, 1, 2, 3, 4, 255, 0, 255, 0))))},
		{"an address without a mask", "4.2.1.10", OIDNameConstraints, tlv(0x30, tlv(0xa0, tlv(0x30, octet(0x87, 1, 2, 3, 4))))},
		{"a minimum", "4.2.1.10", OIDNameConstraints, tlv(0x30, tlv(0xa0, tlv(0x30, octet(0x82, 'a'), octet(0x80, 1))))},
		{"a maximum", "4.2.1.10", OIDNameConstraints, tlv(0x30, tlv(0xa0, tlv(0x30, octet(0x82, 'a'), octet(0x81, 1))))},
		{"neither", "4.2.1.11", OIDPolicyConstraints, tlv(0x30)},
		{"a negative number", "4.2.1.11", OIDPolicyConstraints, tlv(0x30, octet(0x80, 0x80))},
		{"no usage", "4.2.1.12", OIDExtendedKeyUsage, tlv(0x30)},
		{"reasons alone", "4.2.1.13", OIDCRLDistributionPoints, tlv(0x30, tlv(0x30, octet(0x81, 0, 0x80)))},
		{"a name of neither kind", "4.2.1.13", OIDCRLDistributionPoints, tlv(0x30, tlv(0x30, tlv(0xa0, octet(0xa2))))},
		{"a relative name without attributes", "4.2.1.13", OIDCRLDistributionPoints, tlv(0x30, tlv(0x30, tlv(0xa0, octet(0xa1))))},
		{"a negative number", "4.2.1.14", OIDInhibitAnyPolicy, octet(2, 0x80)},
		{"a padded number", "4.2.1.14", OIDInhibitAnyPolicy, octet(2, 0, 1)},
		{"NULL", "4.2.1.15", OIDFreshestCRL, octet(5)},
		{"no location", "4.2.2.1", OIDAuthorityInfoAccess, tlv(0x30, tlv(0x30, octet(6, 42)))},
	}
	for _, test := range tests {
		c := mustParse(t, handmade{key: key, extensions: [][]byte{handExtension(test.id, false, test.value)}}.sign(t, key))
		if len(c.Problems) != 1 || c.Problems[0].Extension != test.id || c.Problems[0].Section != test.section || !strings.Contains(c.Problems[0].Reason, "malformed") {
			t.Errorf("%s in %s: %v", test.what, test.section, c.Problems)
		}
		// Even as an anchor it is not relied upon.
		_, err := Builder{Anchors: NewSet([]*Certificate{c})}.Build(c, Parameters{Time: testTime()})
		wantCode(t, err, ChainInvalid)
	}
}

// TestMalformedOutside is the same for what is in no extension.
func TestMalformedOutside(t *testing.T) {
	key := testKeys()[0]
	plain := handmade{key: key}.sign(t, key)
	if c := mustParse(t, plain); len(c.Problems) != 0 {
		t.Fatal(c.Problems)
	}
	unknown := handExtension("\x2a\x03", false, []byte{5, 0})
	for what, der := range map[string][]byte{
		"time with seconds left out in GeneralizedTime": handmade{key: key, validity: append(tlv(24, []byte("202601010000Z")), tlv(23, []byte("270101000000Z"))...)}.sign(t, key),
		"no time":                  handmade{key: key, validity: tlv(5)}.sign(t, key),
		"an extension twice":       handmade{key: key, extensions: [][]byte{unknown, unknown}}.sign(t, key),
		"behind the extensions":    handmade{key: key, extensions: [][]byte{unknown}, behind: tlv(5)}.sign(t, key),
		"behind the signature":     tlv(0x30, plain[4:], tlv(5)),
		"another algorithm within": bytes.Replace(plain, []byte("\xce\x3d\x04\x03\x02"), []byte("\xce\x3d\x04\x03\x03"), 1),
	} {
		if c := mustParse(t, der); len(c.Problems) != 1 {
			t.Errorf("%s: %v", what, c.Problems)
		}
	}
	for what, der := range map[string][]byte{
		"nothing": nil, "NULL": tlv(5), "empty": tlv(0x30), "something behind": append(bytes.Clone(plain), 0), "cut off": plain[:len(plain)-1],
		"long form of a length": append([]byte{0x30, 0x84, 0, 0}, plain[2:]...),
	} {
		if _, err := Parse(der); err == nil {
			t.Errorf("%s is taken for a certificate", what)
		}
	}
}

func TestDistributionPoints(t *testing.T) {
	key := testKeys()[0]
	value := tlv(0x30,
		tlv(0x30, tlv(0xa0, tlv(0xa0, generalNames(URI, "http://example.org/a")[2:])), tlv(0x81, []byte{1, 0x60})),
		tlv(0x30, tlv(0xa0, tlv(0xa1, attribute(OIDCommonName, testUTF8, "list"))), tlv(0xa2, tlv(0xa4, tlv(0x30, rdn(attribute(testO, testUTF8, "issuer")))))))
	c := mustParse(t, handmade{key: key, extensions: [][]byte{handExtension(OIDCRLDistributionPoints, false, value)}}.sign(t, key))
	if len(c.Problems) > 0 || len(c.CRLDistributionPoints) != 2 {
		t.Fatal(c.Problems)
	}
	first, second := c.CRLDistributionPoints[0], c.CRLDistributionPoints[1]
	if first.Name.FullName[0].Text != "http://example.org/a" || !first.HasReasons || first.Reasons != KeyCompromise|CACompromise || first.CRLIssuer != nil {
		t.Errorf("%+v", first)
	}
	if second.HasReasons || len(second.CRLIssuer) != 1 {
		t.Fatalf("%+v", second)
	}
	if full := second.CRLIssuer[0].Directory.Append(second.Name.RelativeToName); full.String() != "CN=list, O=issuer" {
		t.Errorf("%v", full)
	}
}

// TestQualifiers: RFC 5280 section 4.2.1.4 has policies refused that are critical and qualified in a way that is not known.
func TestQualifiers(t *testing.T) {
	key := testKeys()[0]
	policies := func(qualifier string) []byte {
		return tlv(0x30, tlv(0x30, tlv(6, []byte{42}), tlv(0x30, tlv(0x30, tlv(6, []byte(qualifier)), tlv(22, []byte("http://example.org/"))))))
	}
	const cps, other = "\x2b\x06\x01\x05\x05\x07\x02\x01", "\x2b\x06\x01\x05\x05\x07\x02\x07"
	for _, test := range []struct {
		qualifier string
		critical  bool
		want      Code
	}{{cps, false, ""}, {cps, true, ""}, {other, false, ""}, {other, true, CriticalExtension}} {
		c := mustParse(t, handmade{key: key, extensions: [][]byte{handExtension(OIDCertificatePolicies, test.critical, policies(test.qualifier))}}.sign(t, key))
		_, err := Builder{Anchors: NewSet([]*Certificate{c})}.Build(c, Parameters{Time: testTime()})
		wantCode(t, err, test.want)
	}
}
