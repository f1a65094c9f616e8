package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// envIdentity is somebody who can be encrypted to.
type envIdentity struct {
	cert      *x509.Certificate
	key       crypto.Signer    // nil where the key cannot sign
	agreement *ecdh.PrivateKey // such a key
}

// unwrap does what a caller does with a recipient of either kind.
func (id envIdentity) unwrap(t testing.TB, ri RecipientInfo) ([]byte, error) {
	t.Helper()
	switch ri := ri.(type) {
	case *KeyTransRecipientInfo:
		return ri.Unwrap(id.key.(crypto.Decrypter))
	case *KeyAgreeRecipientInfo:
		return ri.Unwrap(id.agreementKey(t))
	}
	return nil, fmt.Errorf("no key for %T", ri)
}

func (id envIdentity) agreementKey(t testing.TB) *ecdh.PrivateKey {
	t.Helper()
	if id.agreement != nil {
		return id.agreement
	}
	key, err := id.key.(*ecdsa.PrivateKey).ECDH()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEnvIdentity(key crypto.Signer, serial int64) (envIdentity, error) {
	cert, err := newEnvCertificate(key.Public(), key, serial)
	return envIdentity{cert: cert, key: key}, err
}

func newEnvCertificate(public crypto.PublicKey, signer crypto.Signer, serial int64) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "recipient", Organization: []string{"Test"}},
		NotBefore:    time.Unix(1.7e9, 0),
		NotAfter:     time.Unix(4e9, 0),
		SubjectKeyId: []byte{1, 2, 3, byte(serial)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// newX25519Certificate makes what crypto/x509 does not: it has a certificate made for an Ed25519 key of the same octets,
// and changes the algorithm of the key. The signature does not fit any more, which is not looked at here.
func newX25519Certificate(public *ecdh.PublicKey, signer crypto.Signer, serial int64) (*x509.Certificate, error) {
	cert, err := newEnvCertificate(ed25519.PublicKey(public.Bytes()), signer, serial)
	if err != nil {
		return nil, err
	}
	ed, x := []byte{0x06, 3, 0x2b, 0x65, 0x70}, []byte{0x06, 3, 0x2b, 0x65, 0x6e} // 1.3.101.112, 1.3.101.110
	return x509.ParseCertificate(bytes.Replace(cert.Raw, ed, x, 1))
}

// envIdentities are made once: an RSA key takes its time.
var envIdentities = sync.OnceValues(func() (map[string]envIdentity, error) {
	identities := map[string]envIdentity{}
	add := func(name string, key crypto.Signer, err error) error {
		if err != nil {
			return err
		}
		identities[name], err = newEnvIdentity(key, int64(len(identities)+1))
		return err
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	err = add("rsa", rsaKey, err)
	for name, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		key, keyErr := ecdsa.GenerateKey(curve, rand.Reader)
		err = errors.Join(err, add(name, key, keyErr))
	}
	agreement, agreementErr := ecdh.X25519().GenerateKey(rand.Reader)
	if err = errors.Join(err, agreementErr); err != nil {
		return nil, err
	}
	cert, err := newX25519Certificate(agreement.PublicKey(), rsaKey, int64(len(identities)+1))
	identities["x25519"] = envIdentity{cert: cert, agreement: agreement}
	return identities, err
})

func envIdentityNamed(t testing.TB, name string) envIdentity {
	t.Helper()
	identities, err := envIdentities()
	if err != nil {
		t.Fatal(err)
	}
	id, ok := identities[name]
	if !ok {
		t.Fatalf("no identity %s", name)
	}
	return id
}

func (id envIdentity) recipient(t testing.TB, form IdentifierForm) Recipient {
	t.Helper()
	m, err := DefaultKeyManagement(id.cert)
	if err != nil {
		t.Fatal(err)
	}
	return Recipient{Certificate: id.cert, ID: form, KeyManagement: m}
}

func encryptMessage(t testing.TB, text []byte, o EnvelopedDataOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewEnvelopedDataWriter(t.Context(), &out, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func readMessage(t testing.TB, message []byte) *EnvelopedData {
	t.Helper()
	info, err := Read(bytes.NewReader(message), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	e, ok := info.(*EnvelopedData)
	if !ok {
		t.Fatalf("message is a %T", info)
	}
	return e
}

// openMessage decrypts with the first recipient that is the identity's.
func openMessage(t testing.TB, src io.Reader, id envIdentity, l Limits) (*EnvelopedData, []byte, error) {
	t.Helper()
	return openMessageWith(t, src, id, l, DecryptOptions{})
}

func openMessageWith(t testing.TB, src io.Reader, id envIdentity, l Limits, o DecryptOptions) (*EnvelopedData, []byte, error) {
	t.Helper()
	info, err := Read(src, l)
	if err != nil {
		return nil, nil, err
	}
	e, ok := info.(*EnvelopedData)
	if !ok {
		return nil, nil, fmt.Errorf("message is a %T", info)
	}
	for _, ri := range e.Recipients {
		if !ri.Recipient().Matches(id.cert) {
			continue
		}
		cek, err := id.unwrap(t, ri)
		if err != nil {
			return e, nil, err
		}
		var out bytes.Buffer
		if err := e.Decrypt(t.Context(), &out, cek, o); err != nil {
			return e, nil, err
		}
		return e, out.Bytes(), nil
	}
	return e, nil, errors.New("no recipient matches")
}

func TestEnvelopedRoundTrip(t *testing.T) {
	const full = maxSegments * segmentSize
	big := make([]byte, 3*full+777)
	_, _ = rand.Read(big)
	texts := [][]byte{{}, []byte("x"), []byte("exactly 16 bytes"), []byte("a few words more than a block"), big}
	for _, size := range []int{segmentSize - 1, segmentSize, segmentSize + 1, full - 1, full, full + 1, 2 * full} {
		texts = append(texts, big[:size])
	}
	for _, c := range ciphers {
		for _, name := range []string{"rsa", "p256", "p384", "p521", "x25519"} {
			for _, form := range []IdentifierForm{IssuerAndSerialNumber, SubjectKeyIdentifier} {
				t.Run(fmt.Sprintf("%v/%s/%d", c.cipher, name, form), func(t *testing.T) {
					t.Parallel()
					id := envIdentityNamed(t, name)
					o := EnvelopedDataOptions{Cipher: c.cipher, Recipients: []Recipient{id.recipient(t, form)}}
					for _, text := range texts {
						message := encryptMessage(t, text, o)
						e, got, err := openMessage(t, bytes.NewReader(message), id, Limits{})
						if err != nil {
							t.Fatalf("%d octets: %v", len(text), err)
						}
						if !bytes.Equal(got, text) {
							t.Fatalf("%d octets do not come back", len(text))
						}
						if e.Cipher != c.cipher || e.Authenticated != c.authenticated || !e.EContentType.Equal(OIDData) {
							t.Fatalf("cipher %v, authenticated %t, content type %v", e.Cipher, e.Authenticated, e.EContentType)
						}
						if id := e.Recipients[0].Recipient(); (len(id.SubjectKeyID) > 0) != (form == SubjectKeyIdentifier) {
							t.Fatalf("recipient %+v", id)
						}
					}
				})
			}
		}
	}
}

func TestEnvelopedVersion(t *testing.T) {
	// RFC 5652 section 6.1, RFC 5083 section 2.1.
	rsaID, ecID := envIdentityNamed(t, "rsa"), envIdentityNamed(t, "p256")
	tests := []struct {
		name       string
		cipher     Cipher
		recipients []Recipient
		want       int
	}{
		{"RSA by issuer and serial number", AES256CBC, []Recipient{rsaID.recipient(t, IssuerAndSerialNumber)}, 0},
		{"RSA by key identifier", AES256CBC, []Recipient{rsaID.recipient(t, SubjectKeyIdentifier)}, 2},
		{"ECDH", AES256CBC, []Recipient{ecID.recipient(t, IssuerAndSerialNumber)}, 2},
		{"both", AES256CBC, []Recipient{rsaID.recipient(t, IssuerAndSerialNumber), ecID.recipient(t, IssuerAndSerialNumber)}, 2},
		{"authenticated", AES256GCM, []Recipient{ecID.recipient(t, IssuerAndSerialNumber)}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := readMessage(t, encryptMessage(t, nil, EnvelopedDataOptions{Cipher: test.cipher, Recipients: test.recipients}))
			if e.Version != test.want {
				t.Fatalf("version %d, want %d", e.Version, test.want)
			}
			if len(e.Recipients) != len(test.recipients) {
				t.Fatalf("%d recipients, want %d", len(e.Recipients), len(test.recipients))
			}
		})
	}
}

// TestEnvelopedManyRecipients checks that each opens the message, that the names are right, and that a key on another's
// RecipientInfo does not open it.
func TestEnvelopedManyRecipients(t *testing.T) {
	names := map[string]string{"rsa": "rsa-pkcs1v15", "p256": "ecdh-p256", "p384": "ecdh-p384", "p521": "ecdh-p521", "x25519": "ecdh-x25519"}
	var recipients []Recipient
	for name := range names {
		recipients = append(recipients, envIdentityNamed(t, name).recipient(t, IssuerAndSerialNumber))
	}
	text := []byte("to all of you")
	message := encryptMessage(t, text, EnvelopedDataOptions{Cipher: AES256GCM, Recipients: recipients})
	for name, algorithm := range names {
		id := envIdentityNamed(t, name)
		e, got, err := openMessage(t, bytes.NewReader(message), id, Limits{})
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%s: %q, %v", name, got, err)
		}
		for _, ri := range e.Recipients {
			if ri.Recipient().Matches(id.cert) && ri.AlgorithmName() != algorithm {
				t.Errorf("%s: algorithm %s, want %s", name, ri.AlgorithmName(), algorithm)
			}
			if ri.CEKSize() != 32 {
				t.Errorf("%s: CEK of %d octets", name, ri.CEKSize())
			}
		}
	}
	other, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, ri := range readMessage(t, message).Recipients {
		if ri, ok := ri.(*KeyAgreeRecipientInfo); ok {
			if _, err := ri.Unwrap(other); err != ErrDecrypt {
				t.Errorf("%s with another key: %v", ri.AlgorithmName(), err)
			}
		}
	}
}

// TestEnvelopedContentType checks that a content other than id-data has its type authenticated (RFC 5083 section 2.1).
func TestEnvelopedContentType(t *testing.T) {
	id := envIdentityNamed(t, "p256")
	o := EnvelopedDataOptions{Cipher: AES128GCM, Recipients: []Recipient{id.recipient(t, IssuerAndSerialNumber)}, ContentType: OIDSignedData}
	message := encryptMessage(t, []byte("signed"), o)
	e, text, err := openMessage(t, bytes.NewReader(message), id, Limits{})
	if err != nil || string(text) != "signed" {
		t.Fatalf("%q, %v", text, err)
	}
	if !e.EContentType.Equal(OIDSignedData) || len(e.AuthenticatedAttributes) != 1 {
		t.Fatalf("content type %v, attributes %v", e.EContentType, e.AuthenticatedAttributes)
	}
	// The type in EncryptedContentInfo stands outside of what is authenticated. 1.2.840.113549.1.7.2 → .1 and .3
	oid := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02}
	at := bytes.Index(message, oid) + len(oid) - 1
	for _, last := range []byte{1, 3} {
		changed := bytes.Clone(message)
		changed[at] = last
		if _, _, err := openMessage(t, bytes.NewReader(changed), id, Limits{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("content type changed to …7.%d: %v", last, err)
		}
	}
	// In CBC there is nothing to authenticate with, and nothing is claimed.
	o.Cipher = AES128CBC
	e, _, err = openMessage(t, bytes.NewReader(encryptMessage(t, []byte("signed"), o)), id, Limits{})
	if err != nil || e.AuthenticatedAttributes != nil || !e.EContentType.Equal(OIDSignedData) {
		t.Fatalf("CBC: %v, %v", e.AuthenticatedAttributes, err)
	}
}

func TestEnvelopedSlowReader(t *testing.T) {
	id := envIdentityNamed(t, "rsa")
	text := bytes.Repeat([]byte("0123456789"), 1000)
	for _, c := range []Cipher{AES256CBC, AES256GCM} {
		message := encryptMessage(t, text, EnvelopedDataOptions{Cipher: c, Recipients: []Recipient{id.recipient(t, IssuerAndSerialNumber)}})
		for name, r := range map[string]io.Reader{
			"one byte": iotest.OneByteReader(bytes.NewReader(message)),
			"data+err": iotest.DataErrReader(bytes.NewReader(message)),
			"half":     iotest.HalfReader(bytes.NewReader(message)),
		} {
			_, got, err := openMessage(t, r, id, Limits{})
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("%v %s: %d octets, %v", c, name, len(got), err)
			}
		}
	}
}
