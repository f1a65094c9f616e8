package cms_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
)

func TestCapabilities(t *testing.T) {
	own := cms.OwnCapabilities()
	der, err := own.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	read, err := cms.ParseCapabilities(der)
	if err != nil {
		t.Fatal(err)
	}
	if !read.Supports(cms.AES256GCM) || !read.Supports(cms.AES128CBC) || read.Supports(cms.Cipher(0)) {
		t.Errorf("capabilities are %v", read)
	}
	if cms.Capabilities(nil).Supports(cms.AES256CBC) {
		t.Error("nobody supports something")
	}
	withExtension := &x509.Certificate{Extensions: []pkix.Extension{{Id: cms.OIDAttributeSMIMECapabilities, Value: der}}}
	if c, ok := cms.CertificateCapabilities(withExtension); !ok || !c.Supports(cms.AES256GCM) {
		t.Errorf("of the certificate: %v, %v", c, ok)
	}
	withExtension.Extensions[0].Value = []byte{5, 0}
	if _, ok := cms.CertificateCapabilities(withExtension); ok {
		t.Error("a malformed extension was read")
	}
	if _, ok := cms.CertificateCapabilities(testP256().cert); ok {
		t.Error("a certificate without the extension has capabilities")
	}
}

func TestParseCapabilitiesRefuses(t *testing.T) {
	many := bytes.Repeat([]byte{0x30, 3, 6, 1, 0x2a}, 257)
	for name, tt := range map[string]struct {
		der  []byte
		want error
	}{
		"empty":      {nil, cms.ErrMalformed},
		"NULL":       {[]byte{5, 0}, cms.ErrMalformed},
		"trailing":   {[]byte{0x30, 0, 0}, cms.ErrMalformed},
		"no members": {[]byte{0x30, 2, 5, 0}, cms.ErrMalformed},
		"too many":   {append([]byte{0x30, 0x82, byte(len(many) >> 8), byte(len(many))}, many...), cms.ErrTooMany},
	} {
		if _, err := cms.ParseCapabilities(tt.der); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
