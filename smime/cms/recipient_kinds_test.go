package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
)

// TestKeyManagements encrypts in every way to every kind of key, and opens it again.
func TestKeyManagements(t *testing.T) {
	text := []byte("in all ways")
	rsaWays := []KeyManagement{RSAPKCS1v15, RSAOAEPSHA256, RSAOAEPSHA384, RSAOAEPSHA512}
	agreements := []KeyManagement{ECDHStdSHA256, ECDHStdSHA384, ECDHStdSHA512, ECDHHKDFSHA256, ECDHHKDFSHA384, ECDHHKDFSHA512}
	for name, ways := range map[string][]KeyManagement{"rsa": rsaWays, "p256": agreements, "p384": agreements, "p521": agreements, "x25519": agreements} {
		id := envIdentityNamed(t, name)
		for _, m := range ways {
			for _, c := range ciphers {
				message := encryptMessage(t, text, EnvelopedDataOptions{Cipher: c.cipher, Recipients: []Recipient{{Certificate: id.cert, KeyManagement: m}}})
				e, got, err := openMessage(t, bytes.NewReader(message), id, Limits{})
				if err != nil || !bytes.Equal(got, text) {
					t.Errorf("%v to %s with %v: %q, %v", c.cipher, name, m, got, err)
					continue
				}
				if want := strings.HasPrefix(m.String(), "rsa-oaep"); want != (e.Recipients[0].AlgorithmName() == "rsa-oaep") {
					t.Errorf("%v is called %s", m, e.Recipients[0].AlgorithmName())
				}
				if wantVersion := map[bool]int{true: 0, false: 2}[name == "rsa" || c.authenticated]; e.Version != wantVersion {
					t.Errorf("%v to %s with %v: version %d", c.cipher, name, m, e.Version)
				}
				checkOtherKeys(t, e.Recipients[0], name)
			}
		}
	}
}

// checkOtherKeys checks that all keys but the right one fail in the same way.
func checkOtherKeys(t *testing.T, ri RecipientInfo, right string) {
	t.Helper()
	agreement, ok := ri.(*KeyAgreeRecipientInfo)
	if !ok {
		return
	}
	for _, curve := range []ecdh.Curve{ecdh.P256(), ecdh.P384(), ecdh.P521(), ecdh.X25519()} {
		key, err := curve.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if cek, err := agreement.Unwrap(key); err != ErrDecrypt || cek != nil {
			t.Errorf("message to %s with another key on %v: %v", right, curve, err)
		}
	}
}

// TestX25519LowOrder checks that a point that makes the shared secret known to all is refused like any other that does
// not fit.
func TestX25519LowOrder(t *testing.T) {
	id := envIdentityNamed(t, "x25519")
	order8, ok := new(big.Int).SetString("39382357235489614581723060781553021112529911719440698176882885853963445705823", 10)
	if !ok {
		t.Fatal("not a number")
	}
	points := [][]byte{make([]byte, 32), append([]byte{1}, make([]byte, 31)...), littleEndian(order8)}
	for _, m := range []asn1.ObjectIdentifier{oidStdDHSHA256KDF, oidStdDHHKDFSHA256} {
		for _, point := range points {
			ri := agreeBy(t, m, Originator{PublicKeyAlgorithm: AlgorithmIdentifier{Algorithm: oidX25519}, PublicKey: point})
			// What is wrapped is wrapped under the key that everybody knows to come out.
			scheme, _ := keyAgreementByOID(m)
			kek, err := scheme.deriveKey(make([]byte, 32), AlgorithmIdentifier{Algorithm: oidAES128Wrap}, nil, 16)
			if err != nil {
				t.Fatal(err)
			}
			if ri.EncryptedKey, err = wrapKey(kek, testCEK); err != nil {
				t.Fatal(err)
			}
			if cek, err := ri.Unwrap(id.agreement); err != ErrDecrypt {
				t.Errorf("point %x: %x, %v", point, cek, err)
			}
		}
	}
	for name, o := range map[string]Originator{
		"short":     {PublicKeyAlgorithm: AlgorithmIdentifier{Algorithm: oidX25519}, PublicKey: make([]byte, 31)},
		"empty":     {PublicKeyAlgorithm: AlgorithmIdentifier{Algorithm: oidX25519}, PublicKey: []byte{}},
		"NIST":      {PublicKeyAlgorithm: AlgorithmIdentifier{Algorithm: oidECPublicKey}, PublicKey: make([]byte, 32)},
		"begins 02": {PublicKeyAlgorithm: AlgorithmIdentifier{Algorithm: oidX25519}, PublicKey: append([]byte{2}, make([]byte, 31)...)},
	} {
		if _, err := agreeBy(t, oidStdDHSHA256KDF, o).Unwrap(id.agreement); err != ErrDecrypt {
			t.Errorf("%s: %v", name, err)
		}
	}
	var unsupported *UnsupportedError
	if _, err := agreeBy(t, oidCofactorDHSHA256KDF, Originator{PublicKeyAlgorithm: AlgorithmIdentifier{Algorithm: oidX25519}, PublicKey: make([]byte, 32)}).Unwrap(id.agreement); !errors.As(err, &unsupported) {
		t.Errorf("cofactor scheme: %v", err)
	}
}

func littleEndian(n *big.Int) []byte {
	b := n.FillBytes(make([]byte, 32))
	for i := range 16 {
		b[i], b[31-i] = b[31-i], b[i]
	}
	return b
}

// agreeBy is a key agreement by this scheme, with AES-128 key wrap.
func agreeBy(t testing.TB, scheme asn1.ObjectIdentifier, o Originator) *KeyAgreeRecipientInfo {
	t.Helper()
	ri := keyAgreeWith(t, oidAES128Wrap, o)
	ri.algorithm.Algorithm = scheme
	return ri
}

// TestStaticOriginator unwraps where the sender's key stands in a certificate, which is in the message or at hand, and
// where a point is compressed.
func TestStaticOriginator(t *testing.T) {
	for _, name := range []string{"p256", "p384", "p521", "x25519"} {
		sender, receiver := envIdentityNamed(t, name), newAgreementIdentity(t, name)
		ukm := []byte("different each time")
		for _, scheme := range keyAgreements {
			if scheme.cofactor && name == "x25519" {
				continue
			}
			secret, err := sender.agreementKey(t).ECDH(receiver.PublicKey())
			if err != nil {
				t.Fatal(err)
			}
			kek, err := scheme.deriveKey(secret, AlgorithmIdentifier{Algorithm: oidAES128Wrap}, ukm, 16)
			if err != nil {
				t.Fatal(err)
			}
			wrapped, err := wrapKey(kek, testCEK)
			if err != nil {
				t.Fatal(err)
			}
			unwrap := func(o Originator, sent []RawCertificate, given ...*x509.Certificate) ([]byte, error) {
				ri := agreeBy(t, scheme.oid, o)
				ri.UKM, ri.EncryptedKey, ri.originators = ukm, wrapped, sent
				return ri.Unwrap(receiver, given...)
			}
			byName, err := NewCertificateIdentifier(sender.cert, IssuerAndSerialNumber)
			if err != nil {
				t.Fatal(err)
			}
			byKey, err := NewCertificateIdentifier(sender.cert, SubjectKeyIdentifier)
			if err != nil {
				t.Fatal(err)
			}
			other := envIdentityNamed(t, "rsa").cert
			for what, id := range map[string]CertificateIdentifier{"name": byName, "key identifier": byKey} {
				for where, cek := range map[string]func() ([]byte, error){
					"in the message": func() ([]byte, error) {
						return unwrap(Originator{Certificate: id}, []RawCertificate{{0x30}, other.Raw, sender.cert.Raw})
					},
					"at hand": func() ([]byte, error) { return unwrap(Originator{Certificate: id}, nil, other, nil, sender.cert) },
				} {
					if got, err := cek(); err != nil || !bytes.Equal(got, testCEK) {
						t.Errorf("%s, %v: originator by %s, %s: %x, %v", name, scheme.oid, what, where, got, err)
					}
				}
			}
			var unsupported *UnsupportedError
			if _, err := unwrap(Originator{Certificate: byName}, []RawCertificate{other.Raw}, other); !errors.As(err, &unsupported) {
				t.Errorf("%s: originator that is missing: %v", name, err)
			}
			if _, err := unwrap(Originator{Certificate: byKey}, []RawCertificate{withoutKey(t, sender.cert)}); !errors.As(err, &unsupported) {
				t.Errorf("%s: originator without a key: %v", name, err)
			}
			if name != "x25519" {
				point := Originator{PublicKeyAlgorithm: AlgorithmIdentifier{Algorithm: oidECPublicKey}, PublicKey: compressPoint(t, sender)}
				if got, err := unwrap(point, nil); err != nil || !bytes.Equal(got, testCEK) {
					t.Errorf("%s: compressed point: %x, %v", name, got, err)
				}
				point.PublicKey = append([]byte{5 - point.PublicKey[0]}, point.PublicKey[1:]...) // the other of the two points
				if got, err := unwrap(point, nil); err != nil || !bytes.Equal(got, testCEK) {
					t.Errorf("%s: its negative, whose secret is the same: %x, %v", name, got, err)
				}
			}
		}
	}
	p256 := newAgreementIdentity(t, "p256")
	for what, point := range map[string][]byte{
		"no x of a point": append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...), "short": {3, 1}, "of P-384": compressPoint(t, envIdentityNamed(t, "p384")),
	} {
		o := Originator{PublicKeyAlgorithm: AlgorithmIdentifier{Algorithm: oidECPublicKey}, PublicKey: point}
		if _, err := agreeBy(t, oidStdDHSHA256KDF, o).Unwrap(p256); err != ErrDecrypt {
			t.Errorf("compressed, %s: %v", what, err)
		}
	}
}

func newAgreementIdentity(t testing.TB, name string) *ecdh.PrivateKey {
	t.Helper()
	key, err := envIdentityNamed(t, name).agreementKey(t).Curve().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// withoutKey takes the public key out of a certificate, and leaves its names as they are.
func withoutKey(t testing.TB, c *x509.Certificate) RawCertificate {
	t.Helper()
	return bytes.Replace(c.Raw, c.RawSubjectPublicKeyInfo, element(0x30, bytes.Repeat([]byte{5, 0}, (len(c.RawSubjectPublicKeyInfo)-2)/2)), 1)
}

func compressPoint(t testing.TB, id envIdentity) []byte {
	t.Helper()
	point := id.agreementKey(t).PublicKey().Bytes()
	size := len(point) / 2
	curve := map[int]elliptic.Curve{32: elliptic.P256(), 48: elliptic.P384(), 66: elliptic.P521()}[size]
	return elliptic.MarshalCompressed(curve, new(big.Int).SetBytes(point[1:1+size]), new(big.Int).SetBytes(point[1+size:]))
}

// TestOriginatorInfo reads what an originator sends along.
func TestOriginatorInfo(t *testing.T) {
	cert := envIdentityNamed(t, "p256").cert.Raw
	crl := element(0x30, []byte{5, 0})
	other := element(0xa1, []byte{5, 0})
	tests := []struct {
		name        string
		info        []byte
		certs, crls int
		err         error
	}{
		{"none", nil, 0, 0, nil},
		{"empty", element(0xa0), 0, 0, nil},
		{"certificates", element(0xa0, element(0xa0, cert, other, cert)), 2, 0, nil},
		{"both", element(0xa0, element(0xa0, cert), element(0xa1, crl, other)), 1, 1, nil},
		{"CRLs", element(0xa0, element(0xa1, crl)), 0, 1, nil},
		{"order", element(0xa0, element(0xa1, crl), element(0xa0, cert)), 0, 0, ErrMalformed},
		{"surplus", element(0xa0, element(0xa0, cert), element(0xa2)), 0, 0, ErrMalformed},
		{"too many", element(0xa0, element(0xa0, bytes.Repeat(crl, 11))), 0, 0, ErrTooMany},
		{"too many of other kinds", element(0xa0, element(0xa0, bytes.Repeat(other, 11))), 0, 0, ErrTooMany},
	}
	for _, test := range tests {
		envelope := cbcEnvelope(t, padAES(nil))
		envelope.originator = test.info
		info, err := Read(bytes.NewReader(envelope.marshal(t)), Limits{Certificates: 10})
		if !errors.Is(err, test.err) {
			t.Errorf("%s: %v, want %v", test.name, err, test.err)
		}
		if err != nil {
			continue
		}
		e := info.(*EnvelopedData)
		if len(e.OriginatorCertificates) != test.certs || len(e.OriginatorCRLs) != test.crls {
			t.Errorf("%s: %d certificates, %d CRLs", test.name, len(e.OriginatorCertificates), len(e.OriginatorCRLs))
		}
		if err := e.Decrypt(t.Context(), &bytes.Buffer{}, testCEK, DecryptOptions{}); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestHKDFSalt is the derivation of RFC 8418 section 2.2 with its parts spelt out, by way of HMAC alone.
func TestHKDFSalt(t *testing.T) {
	secret, wrap := bytes.Repeat([]byte{0x0b}, 32), AlgorithmIdentifier{Algorithm: oidAES256Wrap}
	for _, ukm := range [][]byte{nil, []byte("user keying material")} {
		info, err := eccSharedInfo(wrap, ukm, 32)
		if err != nil {
			t.Fatal(err)
		}
		salt := ukm
		if salt == nil {
			salt = make([]byte, 32) // RFC 5869 section 2.2
		}
		want := hmacSHA256(hmacSHA256(salt, secret), append(info, 1))
		got, err := keyAgreement{hash: crypto.SHA256, hkdf: true}.deriveKey(secret, wrap, ukm, 32)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("UKM %q: %x, %v, want %x", ukm, got, err, want)
		}
	}
}

func hmacSHA256(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}
