package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
)

func capable(t testing.TB, list ...any) Capabilities {
	t.Helper()
	capabilities := Capabilities{}
	for _, item := range list {
		switch item := item.(type) {
		case Cipher:
			capabilities = append(capabilities, Capability{ID: item.OID()})
		case AlgorithmIdentifier:
			capabilities = append(capabilities, Capability{ID: item.Algorithm, Parameters: item.Parameters})
		case asn1.ObjectIdentifier:
			capabilities = append(capabilities, Capability{ID: item})
		}
	}
	return capabilities
}

func TestChooseCipher(t *testing.T) {
	signs := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	who := func(name string, capabilities Capabilities) Correspondent {
		return Correspondent{Name: name, Capabilities: capabilities}
	}
	tests := []struct {
		name       string
		recipients []Correspondent
		want       Cipher
		reason     string
	}{
		{"nobody", nil, AES256CBC, "there is no recipient to know anything of"},
		{"unknown", []Correspondent{who("Bob", nil)}, AES256CBC, "it is not known whether Bob can read aes-256-gcm; it is"},
		{"ourselves", []Correspondent{who("Bob", OwnCapabilities())}, AES256GCM, "every recipient is known to read aes-256-gcm"},
		{"one of two", []Correspondent{who("Alice", OwnCapabilities()), who("Bob", nil)}, AES256CBC, "whether Bob"},
		{"nothing announced", []Correspondent{who("Bob", Capabilities{})}, AES256CBC, "it is not known whether Bob"},
		{"signatures announced only", []Correspondent{who("Bob", capable(t, signs))}, AES256CBC, "it is not known whether Bob"},
		{"ciphers of the past only", []Correspondent{who("Bob", capable(t, TripleDESCBC, RC2CBC))}, AES256CBC, "it is not known whether Bob"},
		{"GCM with short keys", []Correspondent{who("Bob", capable(t, AES128GCM, AES256CBC))}, AES128GCM, "Bob is not known to read aes-256-gcm; it is the strongest"},
		{"GCM in common", []Correspondent{who("Alice", OwnCapabilities()), who("Bob", capable(t, AES256CBC, AES192GCM))}, AES192GCM, "Bob is not known to read aes-256-gcm"},
		{"CBC", []Correspondent{who("Bob", capable(t, AES256CBC, AES128CBC, TripleDESCBC))}, AES256CBC, "Bob is not known to read aes-256-gcm"},
		{"CBC with short keys", []Correspondent{who("Bob", capable(t, TripleDESCBC, AES128CBC)), who("Carol", nil)}, AES128CBC, "Bob is not known"},
		{"nothing in common", []Correspondent{who("Alice", capable(t, AES256GCM)), who("Bob", capable(t, AES128CBC))}, AES256CBC, "no cipher that all recipients are known to read, and Alice is not"},
	}
	for _, test := range tests {
		if c, reason := ChooseCipher(test.recipients); c != test.want || !strings.Contains(reason, test.reason) {
			t.Errorf("%s: %v, %s", test.name, c, reason)
		}
	}
}

func TestChooseKeyManagement(t *testing.T) {
	oaep := func(hash, mgf crypto.Hash, label string) AlgorithmIdentifier {
		return oaepWith(t, hash, mgf, []byte(label))
	}
	noLabel := func(hash crypto.Hash) AlgorithmIdentifier {
		a, err := oaepIdentifier(hash)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	sha1 := AlgorithmIdentifier{oidRSAESOAEP, element(0x30)} // the defaults of OAEP
	wrap := element(0x30, oidElement(t, oidAES128Wrap))
	tests := []struct {
		name, key    string
		capabilities Capabilities
		want         KeyManagement
		reason       string
	}{
		{"unknown", "rsa", nil, RSAPKCS1v15, "it is not known whether Bob can read RSA with OAEP"},
		{"nothing announced", "rsa", Capabilities{}, RSAPKCS1v15, "Bob is not known to read RSA with OAEP"},
		{"ourselves", "rsa", OwnCapabilities(), RSAOAEPSHA256, "Bob announces rsa-oaep-sha256"},
		{"SHA-384, behind others", "rsa", capable(t, AES256CBC, oidRSAEncryption, noLabel(crypto.SHA384), noLabel(crypto.SHA256)), RSAOAEPSHA384, "Bob announces"},
		{"SHA-512 with an empty label", "rsa", capable(t, oaep(crypto.SHA512, crypto.SHA512, "")), RSAOAEPSHA512, "Bob announces"},
		{"SHA-1", "rsa", capable(t, sha1), RSAPKCS1v15, "Bob is not known"},
		{"two hashes", "rsa", capable(t, oaep(crypto.SHA256, crypto.SHA1, "")), RSAPKCS1v15, "Bob is not known"},
		{"label", "rsa", capable(t, oaep(crypto.SHA256, crypto.SHA256, "x")), RSAPKCS1v15, "Bob is not known"},
		{"malformed", "rsa", capable(t, AlgorithmIdentifier{oidRSAESOAEP, derNull}), RSAPKCS1v15, "Bob is not known"},
		{"key agreement announced, for RSA", "rsa", capable(t, oidStdDHSHA256KDF), RSAPKCS1v15, "Bob is not known"},
		{"unknown, P-256", "p256", nil, ECDHStdSHA256, "every program that knows the key of Bob"},
		{"unknown, P-384", "p384", nil, ECDHStdSHA384, "every program"},
		{"unknown, P-521", "p521", nil, ECDHStdSHA512, "every program"},
		{"unknown, X25519", "x25519", nil, ECDHHKDFSHA256, "every program"}, // RFC 8551 section 2.3: a MUST
		{"ourselves, P-256", "p256", OwnCapabilities(), ECDHStdSHA256, "every program"},
		{"HKDF, P-256", "p256", capable(t, AES128CBC, AlgorithmIdentifier{oidStdDHHKDFSHA384, wrap}, oidStdDHSHA256KDF), ECDHHKDFSHA384, "Bob announces ecdh-hkdf-sha384"},
		{"X9.63, X25519", "x25519", capable(t, AlgorithmIdentifier{oidStdDHSHA512KDF, wrap}), ECDHStdSHA512, "Bob announces ecdh-sha512kdf"},
		{"SHA-1 announced, P-256", "p256", capable(t, AlgorithmIdentifier{oidStdDHSHA1KDF, wrap}, oidCofactorDHSHA256KDF), ECDHStdSHA256, "every program"},
		{"OAEP announced, for P-256", "p256", OwnCapabilities(), ECDHStdSHA256, "every program"},
	}
	for _, test := range tests {
		r := Correspondent{Name: "Bob", Certificate: envIdentityNamed(t, test.key).cert, Capabilities: test.capabilities}
		if m, reason, err := ChooseKeyManagement(r); m != test.want || !strings.Contains(reason, test.reason) || err != nil {
			t.Errorf("%s: %v, %s, %v", test.name, m, reason, err)
		}
	}
	var unsupported *UnsupportedError
	if m, _, err := ChooseKeyManagement(Correspondent{Certificate: &x509.Certificate{}}); m != 0 || !errors.As(err, &unsupported) {
		t.Errorf("no key: %v, %v", m, err)
	}
	want, err := oaepIdentifier(crypto.SHA256)
	if err != nil || !bytes.Equal(want.Parameters, oaepSHA256Parameters) {
		t.Errorf("parameters that are announced: %x, and those that are written: %x", oaepSHA256Parameters, want.Parameters)
	}
}
