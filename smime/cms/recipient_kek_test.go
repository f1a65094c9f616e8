package cms

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
)

func TestKEKRecipient(t *testing.T) {
	text := []byte("for all who have the key")
	kek := bytes.Repeat([]byte{0x11, 0x22}, 16)
	for _, c := range ciphers {
		for _, size := range []int{16, 24, 32} {
			r := Recipient{KeyManagement: AESKeyWrap, KeyIdentifier: []byte("our key"), KeyEncryptionKey: kek[:size]}
			message := encryptMessage(t, text, EnvelopedDataOptions{Cipher: c.cipher, Recipients: []Recipient{r, envIdentityNamed(t, "p256").recipient(t, IssuerAndSerialNumber)}})
			e := readMessage(t, message)
			ri, ok := e.Recipients[0].(*KEKRecipientInfo)
			if !ok || string(ri.KeyIdentifier) != "our key" || ri.Version != 4 || ri.Type() != KeyEncryptionKey || ri.Date != nil {
				t.Fatalf("recipient %+v", e.Recipients[0])
			}
			if want := map[int]string{16: "aes-128-wrap", 24: "aes-192-wrap", 32: "aes-256-wrap"}[size]; ri.AlgorithmName() != want {
				t.Errorf("%s, want %s", ri.AlgorithmName(), want)
			}
			for _, wrong := range [][]byte{nil, kek[:size-1], make([]byte, size), make([]byte, 16), make([]byte, 24), make([]byte, 32)} {
				if cek, err := ri.Unwrap(wrong); err != ErrDecrypt || cek != nil {
					t.Errorf("key of %d octets instead of %d: %v", len(wrong), size, err)
				}
			}
			cek, err := ri.Unwrap(kek[:size])
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := e.Decrypt(t.Context(), &out, cek, DecryptOptions{}); err != nil || !bytes.Equal(out.Bytes(), text) {
				t.Errorf("%v: %q, %v", c.cipher, &out, err)
			}
			if !c.authenticated && e.Version != 2 {
				t.Errorf("version %d", e.Version)
			}
			if got, gotText, err := openMessage(t, bytes.NewReader(message), envIdentityNamed(t, "p256"), Limits{}); err != nil || !bytes.Equal(gotText, text) {
				t.Errorf("the other recipient: %v, %q, %v", got.Version, gotText, err)
			}
		}
	}
}

// TestTripleDESWrapVector is that of RFC 3217 section 3.4.
func TestTripleDESWrapVector(t *testing.T) {
	kek := unhex(t, "255e0d1c07b646dfb3134cc843ba8aa71f025b7c0838251f")
	wrapped := unhex(t, "690107618ef092b3b48ca1796b234ae9fa33ebb4159604037db5d6a84eb3aac2768c632775a467d4")
	want := unhex(t, "2923bf85e06dd6ae529149f1f1bae9eab3a7da3d860d3e98")
	if got, err := unwrapTripleDES(kek, wrapped); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%x, %v", got, err)
	}
	for i := range wrapped {
		changed := bytes.Clone(wrapped)
		changed[i] ^= 0x10
		if got, err := unwrapTripleDES(kek, changed); err != ErrDecrypt || got != nil {
			t.Errorf("octet %d changed: %x, %v", i, got, err)
		}
	}
	for _, size := range []int{0, 32, 39, 41, 48} {
		if _, err := unwrapTripleDES(kek, make([]byte, size)); err != ErrDecrypt {
			t.Errorf("%d octets: %v", size, err)
		}
	}
	if _, err := unwrapTripleDES(kek[1:], wrapped); err != ErrDecrypt {
		t.Errorf("short key: %v", err)
	}
}

// TestWeakWrap checks that the key of a strong cipher is not taken out of a weak wrap, where AllowWeak would not be asked.
func TestWeakWrap(t *testing.T) {
	kek := []byte("24 octets of a Triple-DES key")[:24]
	for _, weak := range []bool{true, false} {
		ri := &KEKRecipientInfo{recipient: recipient{algorithm: AlgorithmIdentifier{Algorithm: oidTripleDESWrap}, key: contentKey{size: 24, weak: weak}}, EncryptedKey: make([]byte, 40)}
		_, err := ri.Unwrap(kek)
		var unsupported *UnsupportedError
		if weak && err != ErrDecrypt || !weak && (!errors.As(err, &unsupported) || !strings.Contains(err.Error(), "3des-wrap")) {
			t.Errorf("weak cipher %t: %v", weak, err)
		}
	}
}

func TestKEKRecipientForms(t *testing.T) {
	id, wrap, key := element(0x04, []byte("id")), element(0x30, oidElement(t, oidAES128Wrap)), element(0x04, make([]byte, 24))
	date := element(0x18, []byte("20261121101234Z"))
	version := element(0x02, []byte{4})
	for _, test := range []struct {
		name  string
		raw   []byte
		wrong bool
	}{
		{"plain", element(0xa2, version, element(0x30, id), wrap, key), false},
		{"date", element(0xa2, version, element(0x30, id, date), wrap, key), false},
		{"date and attribute", element(0xa2, version, element(0x30, id, date, element(0x30)), wrap, key), false},
		{"attribute", element(0xa2, version, element(0x30, id, element(0x30)), wrap, key), false},
		{"no version", element(0xa2, element(0x30, id), wrap, key), true},
		{"no identifier", element(0xa2, version, element(0x30), wrap, key), true},
		{"surplus in the identifier", element(0xa2, version, element(0x30, id, element(0x30), date), wrap, key), true},
		{"no algorithm", element(0xa2, version, element(0x30, id), key), true},
		{"no key", element(0xa2, version, element(0x30, id), wrap), true},
		{"surplus", element(0xa2, version, element(0x30, id), wrap, key, key), true},
	} {
		e := cbcEnvelope(t, padAES(nil))
		e.recipients = [][]byte{test.raw}
		info, err := Read(bytes.NewReader(e.marshal(t)), Limits{})
		if test.wrong != errors.Is(err, ErrMalformed) || !test.wrong && err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if test.wrong {
			continue
		}
		ri := info.(*EnvelopedData).Recipients[0].(*KEKRecipientInfo)
		if (ri.Date != nil) != strings.HasPrefix(test.name, "date") || string(ri.KeyIdentifier) != "id" {
			t.Errorf("%s: %+v", test.name, ri)
		}
		if ri.Recipient().Matches(envIdentityNamed(t, "rsa").cert) {
			t.Errorf("%s: matches a certificate", test.name)
		}
	}
	var unsupported *UnsupportedError
	ri := &KEKRecipientInfo{recipient: recipient{algorithm: AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 7}}}}
	if _, err := ri.Unwrap(make([]byte, 16)); !errors.As(err, &unsupported) || !strings.Contains(err.Error(), "rc2-wrap") {
		t.Errorf("RC2 wrap: %v", err)
	}
	ri.key.unusable = &UnsupportedError{What: "content"}
	if _, err := ri.Unwrap(make([]byte, 16)); err != ri.key.unusable {
		t.Errorf("unusable content: %v", err)
	}
}
