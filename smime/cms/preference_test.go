package cms_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"os"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms"
)

func TestEncryptionKeyPreference(t *testing.T) {
	o := options(testP256())
	o.Signers[0].EncryptTo = testRSA().cert
	s, _, err := verifyAll(sign(t, nil, o), nil, cms.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	id, ok := s.SignerInfos[0].EncryptionKeyPreference()
	if !ok || !id.Matches(testRSA().cert) || id.Matches(testP256().cert) {
		t.Errorf("%v, %v", id, ok)
	}

	issuerAndSerial := append([]byte{0xa0, 5, 0x30, 0}, 2, 1, 7)
	for name, test := range map[string]struct {
		values [][]byte
		serial int64
		keyID  string
	}{
		"issuer and serial":       {[][]byte{issuerAndSerial}, 7, ""},
		"recipient key":           {[][]byte{{0xa1, 4, 4, 2, 'i', 'd'}}, 0, "id"},
		"recipient key with date": {[][]byte{append([]byte{0xa1, 21, 4, 2, 'i', 'd', 0x18, 15}, "20261121100211Z"...)}, 0, "id"},
		"subject key":             {[][]byte{{0x82, 2, 'i', 'd'}}, 0, "id"},
		"no attribute":            {nil, 0, ""},
		"two values":              {[][]byte{issuerAndSerial, {0x82, 2, 'i', 'd'}}, 0, ""},
		"no such choice":          {[][]byte{{0x83, 2, 'i', 'd'}}, 0, ""},
		"empty key":               {[][]byte{{0x82, 0}}, 0, ""},
		"octets behind":           {[][]byte{append(bytes.Clone(issuerAndSerial), 0)}, 0, ""},
		"no serial":               {[][]byte{{0xa0, 2, 0x30, 0}}, 0, ""},
		"more than a serial":      {[][]byte{{0xa0, 8, 0x30, 0, 2, 1, 7, 2, 1, 7}}, 0, ""},
	} {
		si := &cms.SignerInfo{}
		if test.values != nil {
			si.SignedAttributes = cms.Attributes{{Type: cms.OIDAttributeEncryptionKeyPreference, Values: test.values}}
		}
		id, ok := si.EncryptionKeyPreference()
		if want := test.serial != 0 || test.keyID != ""; ok != want {
			t.Errorf("%s: read: %v", name, ok)
		}
		if ok && (string(id.SubjectKeyID) != test.keyID || test.serial != 0 && id.Serial.Int64() != test.serial) {
			t.Errorf("%s: %v", name, id)
		}
	}
}

// TestEncryptionKeyPreferenceOfNSS reads what Thunderbird's library writes.
func TestEncryptionKeyPreferenceOfNSS(t *testing.T) {
	message, err := os.ReadFile(peertest.Corpora(t, "thunderbird", "alice.sig.SHA256.opaque"))
	if err != nil {
		t.Fatal(err)
	}
	_, body, found := bytes.Cut(bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
	if !found {
		t.Fatal("no header")
	}
	der, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := verifyAll(der, nil, cms.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	id, ok := s.SignerInfos[0].EncryptionKeyPreference()
	if !ok {
		t.Fatal("not found")
	}
	for _, raw := range s.Certificates {
		if cert, err := raw.Parse(); err == nil && id.Matches(cert) {
			return
		}
	}
	t.Error("it names none of the certificates that came along")
}
