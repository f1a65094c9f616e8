package interop

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"go.mozilla.org/pkcs7"

	"github.com/sealmail/sealmail/internal/peertest"
)

const pkcs7How = "`NewSignedData`, `AddSigner`, `Encrypt`, `EncryptUsingPSK`, `DegenerateCertificate`; `Parse`, `Verify`, `Decrypt`, `DecryptUsingPSK`"

// hasNoFunction is what the documentation of a library says by silence.
const hasNoFunction = limit("has no function for it")

// oidEnvelopedData is the content type in DER. GCM belongs into AuthEnvelopedData (RFC 5084).
var oidEnvelopedData = []byte{0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3}

// pkcs7Cap bounds what is given to the library, which has no bounds of its own.
const pkcs7Cap = 1 << 20

// mozilla is go.mozilla.org/pkcs7, which chooses the cipher by a global variable.
type mozilla struct {
	*pki
	mutex *sync.Mutex
}

func startPKCS7(t testing.TB, p *pki) (peer, string) {
	checkout, err := peertest.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	modules, err := os.ReadFile(filepath.Join(checkout, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`go\.mozilla\.org/pkcs7 v\S+`).Find(modules)
	return mozilla{p, &sync.Mutex{}}, string(version)
}

// guarded runs f, which may panic.
func guarded(f func() ([]byte, error)) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, limit(fmt.Sprintf("panics: %v", r))
		}
	}()
	if out, err = f(); err != nil {
		err = limit(err.Error())
	}
	return out, err
}

var pkcs7Digests = map[crypto.Hash]asn1.ObjectIdentifier{
	crypto.SHA1: pkcs7.OIDDigestAlgorithmSHA1, crypto.SHA256: pkcs7.OIDDigestAlgorithmSHA256,
	crypto.SHA384: pkcs7.OIDDigestAlgorithmSHA384, crypto.SHA512: pkcs7.OIDDigestAlgorithmSHA512,
}

var pkcs7Ciphers = map[string]int{
	"aes-128-cbc": pkcs7.EncryptionAlgorithmAES128CBC, "aes-256-cbc": pkcs7.EncryptionAlgorithmAES256CBC,
	"aes-128-gcm": pkcs7.EncryptionAlgorithmAES128GCM, "aes-256-gcm": pkcs7.EncryptionAlgorithmAES256GCM,
}

func (m mozilla) write(t testing.TB, f form) ([]byte, error) {
	switch f.kind {
	case certsOnly:
		if f.crl {
			return nil, hasNoFunction
		}
		var chain []byte
		for _, cert := range m.certificates(f) {
			chain = append(chain, cert.Raw...)
		}
		return guarded(func() ([]byte, error) { return pkcs7.DegenerateCertificate(chain) })
	case signedData:
		return guarded(func() ([]byte, error) { return m.sign(t, f) })
	case envelopedData:
		cipher, ok := pkcs7Ciphers[f.cipher]
		if !ok || f.originators || f.attributes || f.ber {
			return nil, hasNoFunction
		}
		var certs []*x509.Certificate
		for _, r := range f.recipients {
			if r.way != rsaPKCS1v15 || r.keyID {
				return nil, hasNoFunction
			}
			certs = append(certs, m.ids[r.who].cert)
		}
		message, err := m.with(cipher, func() ([]byte, error) { return pkcs7.Encrypt(content, certs) })
		if err == nil && strings.HasSuffix(f.cipher, "gcm") && bytes.Contains(message[:20], oidEnvelopedData) {
			err = limit("puts GCM into EnvelopedData")
		}
		return message, err
	case encryptedData:
		if cipher, ok := pkcs7Ciphers[f.cipher]; ok {
			return m.with(cipher, func() ([]byte, error) { return pkcs7.EncryptUsingPSK(content, m.kek[:keySize(f.cipher)]) })
		}
	}
	return nil, hasNoFunction
}

// with runs f while the library's cipher is this one.
func (m mozilla) with(cipher int, f func() ([]byte, error)) ([]byte, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	before := pkcs7.ContentEncryptionAlgorithm
	defer func() { pkcs7.ContentEncryptionAlgorithm = before }()
	pkcs7.ContentEncryptionAlgorithm = cipher
	return guarded(f)
}

// revocationValues is RFC 5126 section 6.3.4 as encoding/asn1 writes it.
type revocationValues struct {
	CRLs      []asn1.RawValue `asn1:"explicit,tag:0"`
	Responses []asn1.RawValue `asn1:"explicit,tag:1"`
}

func (p *pki) revocationValues(t testing.TB) (v revocationValues) {
	t.Helper()
	var response struct {
		Status asn1.Enumerated
		Bytes  struct {
			Type  asn1.ObjectIdentifier
			Basic []byte
		} `asn1:"explicit,tag:0"`
	}
	if _, err := asn1.Unmarshal(p.ocsp, &response); err != nil {
		t.Fatal(err)
	}
	v.CRLs = []asn1.RawValue{{FullBytes: p.crl}}
	v.Responses = []asn1.RawValue{{FullBytes: response.Bytes.Basic}}
	return v
}

func (m mozilla) sign(t testing.TB, f form) ([]byte, error) {
	if f.crl || f.ocsp || f.ber {
		return nil, hasNoFunction
	}
	s, err := pkcs7.NewSignedData(content)
	if err != nil {
		return nil, err
	}
	for _, sg := range f.signers {
		if sg.pss || sg.keyID {
			return nil, hasNoFunction
		}
		id := m.ids[sg.who]
		s.SetDigestAlgorithm(pkcs7Digests[sg.hash])
		if f.bare {
			err = s.SignWithoutAttr(id.cert, id.key, pkcs7.SignerInfoConfig{})
		} else {
			var config pkcs7.SignerInfoConfig
			if f.values {
				config.ExtraUnsignedAttributes = []pkcs7.Attribute{{Type: oidRevocationValues, Value: m.revocationValues(t)}}
			}
			err = s.AddSigner(id.cert, id.key, config)
		}
		if err != nil {
			return nil, err
		}
	}
	if f.detached {
		s.Detach()
	}
	return s.Finish()
}

func (m mozilla) read(t testing.TB, f form, message, detached []byte) ([]byte, error) {
	t.Helper()
	if len(message) > pkcs7Cap {
		t.Fatalf("a message of %d octets", len(message))
	}
	return guarded(func() ([]byte, error) {
		p, err := pkcs7.Parse(message)
		if err != nil {
			return nil, err
		}
		switch f.kind {
		case certsOnly:
			for _, want := range m.certificates(f) {
				found := false
				for _, cert := range p.Certificates {
					found = found || cert.Equal(want)
				}
				if !found {
					return nil, errors.New("does not find the certificates")
				}
			}
			if f.crl && len(p.CRLs) != 1 {
				return nil, errors.New("does not find the revocation list")
			}
			return nil, nil
		case signedData:
			if f.detached {
				p.Content = detached
			}
			return p.Content, p.Verify()
		case envelopedData:
			var got []byte
			for _, r := range f.recipients {
				id := m.ids[r.who]
				if id.cert == nil {
					return nil, hasNoFunction
				}
				if got, err = p.Decrypt(id.cert, id.key); err != nil {
					return nil, err
				}
			}
			return got, nil
		case encryptedData:
			return p.DecryptUsingPSK(m.contentKey(f, message))
		}
		return nil, hasNoFunction
	})
}
