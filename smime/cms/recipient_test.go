package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"slices"
	"testing"
)

// TestKeyAgreementWithUKM unwraps what no peer at hand writes: user keying material, NULL as the parameters of the key
// wrap, and the curve as the parameters of the originator's key.
func TestKeyAgreementWithUKM(t *testing.T) {
	recipientKey, err := ecdh.P384().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ephemeral, err := ecdh.P384().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := ephemeral.ECDH(recipientKey.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	wrapDER := element(0x30, oidElement(t, oidAES192Wrap), derNull)
	for _, ukm := range [][]byte{nil, {}, []byte("user keying material")} {
		info := slices.Concat(wrapDER)
		if ukm != nil {
			info = append(info, element(0xa0, element(0x04, ukm))...)
		}
		info = element(0x30, info, element(0xa2, element(0x04, []byte{0, 0, 0, 192})))
		wrapped, err := wrapKey(x963KDF(crypto.SHA512, secret, info, 24), testCEK)
		if err != nil {
			t.Fatal(err)
		}
		var sentUKM []byte
		if ukm != nil {
			sentUKM = element(0xa1, element(0x04, ukm))
		}
		e := cbcEnvelope(t, padAES([]byte("text")))
		e.recipients = [][]byte{element(0xa1, element(0x02, []byte{3}),
			element(0xa0, element(0xa1, element(0x30, oidElement(t, oidECPublicKey), oidElement(t, asn1.ObjectIdentifier{1, 3, 132, 0, 34})),
				element(0x03, []byte{0}, ephemeral.PublicKey().Bytes()))),
			sentUKM,
			element(0x30, oidElement(t, oidCofactorDHSHA512KDF), wrapDER),
			element(0x30, element(0x30, element(0xa0, element(0x04, []byte{1})), element(0x04, wrapped))))}
		message := readMessage(t, e.marshal(t))
		ri := message.Recipients[0].(*KeyAgreeRecipientInfo)
		if ri.AlgorithmName() != "ecdh-p384" || !ri.KeyEncryption().Algorithm.Equal(oidCofactorDHSHA512KDF) || message.ContentType().String() != OIDEnvelopedData.String() {
			t.Errorf("%s, %v", ri.AlgorithmName(), ri.KeyEncryption())
		}
		cek, err := ri.Unwrap(recipientKey)
		if err != nil || !bytes.Equal(cek, testCEK) {
			t.Errorf("UKM %q: %x, %v", ukm, cek, err)
		}
		var out bytes.Buffer
		if err := message.Decrypt(t.Context(), &out, cek, DecryptOptions{}); err != nil || out.String() != "text" {
			t.Errorf("UKM %q: %q, %v", ukm, &out, err)
		}
	}
}

// TestRecipientMalformed takes the members of each kind of recipient away, one by one from the end, and adds one.
func TestRecipientMalformed(t *testing.T) {
	issuerAndSerial := element(0x30, element(0x30), element(0x02, []byte{1}))
	rsaAlgorithm := element(0x30, oidElement(t, oidRSAEncryption), derNull)
	ecAlgorithm := element(0x30, oidElement(t, oidStdDHSHA256KDF), element(0x30, oidElement(t, oidAES128Wrap)))
	originator := element(0xa0, element(0xa1, element(0x30, oidElement(t, oidECPublicKey)), element(0x03, []byte{0, 4})))
	kinds := []struct {
		name    string
		tag     byte
		members [][]byte
	}{
		{"key transport", 0x30, [][]byte{element(0x02, []byte{0}), issuerAndSerial, rsaAlgorithm, element(0x04)}},
		{"key transport, by key identifier", 0x30, [][]byte{element(0x02, []byte{2}), element(0x80, []byte{1}), rsaAlgorithm, element(0x04)}},
		{"key agreement", 0xa1, [][]byte{element(0x02, []byte{3}), originator, element(0xa1, element(0x04)), ecAlgorithm,
			element(0x30, element(0x30, issuerAndSerial, element(0x04)))}},
	}
	read := func(recipient []byte) error {
		e := cbcEnvelope(t, padAES(nil))
		e.recipients = [][]byte{recipient}
		_, err := Read(bytes.NewReader(e.marshal(t)), Limits{})
		return err
	}
	for _, kind := range kinds {
		if err := read(element(kind.tag, kind.members...)); err != nil {
			t.Errorf("%s: %v", kind.name, err)
		}
		for n := range kind.members {
			if err := read(element(kind.tag, kind.members[:n]...)); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s with %d members: %v", kind.name, n, err)
			}
		}
		if err := read(element(kind.tag, append(slices.Clip(kind.members), derNull)...)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with a surplus member: %v", kind.name, err)
		}
	}
	version := element(0x02, []byte{3})
	key := element(0x30, element(0x30, issuerAndSerial, element(0x04)))
	for name, recipient := range map[string][]byte{
		"empty key identifier":               element(0x30, version, element(0x80), rsaAlgorithm, element(0x04)),
		"no originator":                      element(0xa1, version, element(0xa0), ecAlgorithm, key),
		"two originators":                    element(0xa1, version, element(0xa0, issuerAndSerial, issuerAndSerial), ecAlgorithm, key),
		"originator's key that is no string": element(0xa1, version, element(0xa0, element(0xa1, ecAlgorithm, derNull)), ecAlgorithm, key),
		"UKM that is no string":              element(0xa1, version, originator, element(0xa1, derNull), ecAlgorithm, key),
		"empty recipient key identifier":     element(0xa1, version, originator, ecAlgorithm, element(0x30, element(0x30, element(0xa0, element(0x04)), element(0x04)))),
		"no recipient key identifier":        element(0xa1, version, originator, ecAlgorithm, element(0x30, element(0x30, element(0xa0), element(0x04)))),
		"only key agreement without members": element(0xa1, version, originator, ecAlgorithm, element(0x30)),
	} {
		if err := read(recipient); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOAEPParameters(t *testing.T) {
	sha256 := element(0x30, oidElement(t, oidSHA256))
	mgf := func(inner ...[]byte) []byte { return element(0x30, oidElement(t, oidMGF1), slices.Concat(inner...)) }
	tests := []struct {
		name      string
		der       []byte
		hash, mgf crypto.Hash
		label     string
		err       error // nil where hash is not 0: none; else an UnsupportedError
	}{
		{"defaults", element(0x30), crypto.SHA1, crypto.SHA1, "", nil},
		{"hash", element(0x30, element(0xa0, sha256)), crypto.SHA256, crypto.SHA1, "", nil},
		{"MGF", element(0x30, element(0xa1, mgf(sha256))), crypto.SHA1, crypto.SHA256, "", nil},
		{"label", element(0x30, element(0xa2, element(0x30, oidElement(t, oidPSpecified), element(0x04, []byte("L"))))), crypto.SHA1, crypto.SHA1, "L", nil},
		{"absent", nil, 0, 0, "", ErrMalformed},
		{"NULL", derNull, 0, 0, "", ErrMalformed},
		{"order", element(0x30, element(0xa1, mgf(sha256)), element(0xa0, sha256)), 0, 0, "", ErrMalformed},
		{"empty member", element(0x30, element(0xa0)), 0, 0, "", ErrMalformed},
		{"surplus in a member", element(0x30, element(0xa0, sha256, sha256)), 0, 0, "", ErrMalformed},
		{"MGF without hash", element(0x30, element(0xa1, mgf())), 0, 0, "", ErrMalformed},
		{"label that is no string", element(0x30, element(0xa2, element(0x30, oidElement(t, oidPSpecified), derNull))), 0, 0, "", ErrMalformed},
		{"unknown hash", element(0x30, element(0xa0, element(0x30, oidElement(t, asn1.ObjectIdentifier{1, 2, 3})))), 0, 0, "", nil},
		{"MD5", element(0x30, element(0xa1, mgf(element(0x30, oidElement(t, oidMD5))))), 0, 0, "", nil},
		{"unknown MGF", element(0x30, element(0xa1, sha256)), 0, 0, "", nil},
		{"unknown label source", element(0x30, element(0xa2, sha256)), 0, 0, "", nil},
	}
	for _, test := range tests {
		o, err := oaepOptions(test.der)
		var unsupported *UnsupportedError
		switch {
		case test.hash != 0:
			if err != nil || o.Hash != test.hash || o.MGFHash != test.mgf || string(o.Label) != test.label {
				t.Errorf("%s: %+v, %v", test.name, o, err)
			}
		case test.err != nil:
			if !errors.Is(err, test.err) {
				t.Errorf("%s: %v, want %v", test.name, err, test.err)
			}
		case !errors.As(err, &unsupported):
			t.Errorf("%s: %v, want an UnsupportedError", test.name, err)
		}
	}
}

func TestAlgorithmNames(t *testing.T) {
	unknown := asn1.ObjectIdentifier{1, 2, 3}
	for want, ri := range map[string]RecipientInfo{
		"rsa-oaep": &KeyTransRecipientInfo{recipient: recipient{algorithm: AlgorithmIdentifier{Algorithm: oidRSAESOAEP}}},
		"1.2.3":    &KeyTransRecipientInfo{recipient: recipient{algorithm: AlgorithmIdentifier{Algorithm: unknown}}},
		"esdh":     &KeyAgreeRecipientInfo{recipient: recipient{algorithm: AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 5}}}},
		"ecdh-x25519": &KeyAgreeRecipientInfo{recipient: recipient{algorithm: AlgorithmIdentifier{Algorithm: oidStdDHHKDFSHA256}},
			Originator: Originator{PublicKeyAlgorithm: AlgorithmIdentifier{Algorithm: oidX25519}, PublicKey: make([]byte, 32)}},
		"ecdh-p521": &KeyAgreeRecipientInfo{recipient: recipient{algorithm: AlgorithmIdentifier{Algorithm: oidStdDHHKDFSHA256}},
			Originator: Originator{PublicKeyAlgorithm: AlgorithmIdentifier{Algorithm: oidECPublicKey}, PublicKey: make([]byte, 67)}},
		"ecdh":    &KeyAgreeRecipientInfo{recipient: recipient{algorithm: AlgorithmIdentifier{Algorithm: oidStdDHSHA256KDF}}},
		"unknown": &OtherRecipientInfo{},
	} {
		if got := ri.AlgorithmName(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for want, m := range map[string]KeyManagement{
		"unknown": 0, "rsa-pkcs1v15": RSAPKCS1v15, "rsa-oaep-sha256": RSAOAEPSHA256, "rsa-oaep-sha384": RSAOAEPSHA384, "rsa-oaep-sha512": RSAOAEPSHA512,
		"ecdh-sha256kdf": ECDHStdSHA256, "ecdh-sha384kdf": ECDHStdSHA384, "ecdh-sha512kdf": ECDHStdSHA512, "ecdh-hkdf-sha256": ECDHHKDFSHA256,
		"ecdh-hkdf-sha384": ECDHHKDFSHA384, "ecdh-hkdf-sha512": ECDHHKDFSHA512, "aes-key-wrap": AESKeyWrap,
	} {
		if m.String() != want {
			t.Errorf("%v, want %s", m, want)
		}
	}
	if c := Cipher(99); c.String() != "unknown" || c.OID() != nil || c.KeySize() != 0 || c.Authenticated() {
		t.Errorf("cipher %v", c)
	}
}
