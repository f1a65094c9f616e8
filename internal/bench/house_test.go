//go:build unix

package bench

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
)

// senders is how many people the messages of a house are from.
const senders = 10

// house is a folder with an authority, an authority below it that issues, and certificates of that one, all with keys of
// one kind: root.pem and issuing.pem; NAME.key and NAME.pem, with the issuing authority's, for those who send, sender0 and so on, and
// for the reader. Messages, if there are any, are in the folder messages.
type house struct {
	dir string
}

func (h house) in(elem ...string) string { return filepath.Join(append([]string{h.dir}, elem...)...) }

func sender(i int) string { return fmt.Sprintf("sender%d", i%senders) }

const reader = "reader"

func address(name string) string { return name + "@example.test" }

// kind makes private keys.
type kind func() (crypto.Signer, error)

func rsa2048() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }

func p256() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// newHouse builds a house that ends with the test.
func newHouse(t testing.TB, k kind) house {
	t.Helper()
	h := house{t.TempDir()}
	keys := make([]crypto.Signer, senders+3)
	errs := make([]error, len(keys))
	var making sync.WaitGroup
	for i := range keys {
		making.Go(func() { keys[i], errs[i] = k() })
	}
	making.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	root := h.certify(t, "root", keys[0], nil, nil)
	issuing := h.certify(t, "issuing", keys[1], root, keys[0])
	h.write(t, "root.pem", certstore.EncodeCertificates(root))
	h.write(t, "issuing.pem", certstore.EncodeCertificates(issuing))
	for i, key := range keys[2:] {
		name := reader
		if i < senders {
			name = sender(i)
		}
		h.write(t, name+".pem", certstore.EncodeCertificates(h.certify(t, name, key, issuing, keys[1]), issuing))
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		h.write(t, name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	return h
}

// certify issues a certificate: self-signed without a parent, for an authority unless the parent is one that has a parent.
func (h house) certify(t testing.TB, name string, key crypto.Signer, parent *x509.Certificate, by crypto.Signer) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"Example GmbH"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour), BasicConstraintsValid: true,
	}
	if parent == nil || bytes.Equal(parent.RawSubject, parent.RawIssuer) {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	} else {
		template.EmailAddresses, template.ExtKeyUsage = []string{address(name)}, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
		template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
		if _, ec := key.(*ecdsa.PrivateKey); ec {
			template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement
		}
	}
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (h house) write(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(h.in(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// pair reads somebody's key and certificates.
func (h house) pair(name string) (certstore.KeyPair, error) {
	var all certstore.Bundle
	for _, file := range []string{name + ".key", name + ".pem"} {
		data, err := os.ReadFile(h.in(file))
		if err != nil {
			return certstore.KeyPair{}, err
		}
		bundle, err := certstore.ParsePEM(data)
		if err != nil {
			return certstore.KeyPair{}, err
		}
		all.Keys, all.Certificates = append(all.Keys, bundle.Keys...), append(all.Certificates, bundle.Certificates...)
	}
	pairs, _ := all.KeyPairs()
	if len(pairs) != 1 {
		return certstore.KeyPair{}, fmt.Errorf("%s has %d keys", name, len(pairs))
	}
	return pairs[0], nil
}

// root reads the trust anchor.
func (h house) root() (*x509.Certificate, error) {
	data, err := os.ReadFile(h.in("root.pem"))
	if err != nil {
		return nil, err
	}
	bundle, err := certstore.ParsePEM(data)
	if err != nil {
		return nil, err
	}
	return bundle.Certificates[0], nil
}

// signing reads who signs, and how their kind of key does.
func (h house) signing(name string) (smime.Signer, error) {
	pair, err := h.pair(name)
	if err != nil {
		return smime.Signer{}, err
	}
	key, ok := pair.Key.(crypto.Signer)
	if !ok {
		return smime.Signer{}, fmt.Errorf("the key of %s cannot sign", name)
	}
	return smime.Signer{Key: key, Chain: pair.Chain}, nil
}

// recipient is the reader, to whom all is encrypted.
func (h house) recipient() (cms.Recipient, error) {
	pair, err := h.pair(reader)
	if err != nil {
		return cms.Recipient{}, err
	}
	r := cms.Recipient{Certificate: pair.Chain[0], KeyManagement: cms.RSAPKCS1v15}
	if _, ec := pair.Key.(*ecdsa.PrivateKey); ec {
		r.KeyManagement = cms.ECDHStdSHA256
	}
	return r, nil
}

// letter is an entity of text of this many octets, and a few more.
func letter(i, size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Content-Type: text/plain; charset=us-ascii\r\n\r\nThis is letter number %d.\r\n", i)
	for line := 0; b.Len() < size; line++ {
		fmt.Fprintf(&b, "Line %d of a letter that says nothing in particular, and takes its room to say it.\r\n", line)
	}
	return b.Bytes()
}

// form is how messages carry their header.
type form int

const (
	plain     form = iota // outside alone, as most programs write messages
	protected             // inside as well, as `sealmail send` does
)

// writeMessages fills the folder messages: signed by one of the senders, with a detached signature and their certificates,
// and encrypted to the reader.
func (h house) writeMessages(t testing.TB, n int, cipher cms.Cipher, f form) {
	t.Helper()
	if err := os.MkdirAll(h.in("messages"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		signer, err := h.signing(sender(i))
		if err != nil {
			t.Fatal(err)
		}
		h.write(t, filepath.Join("messages", fmt.Sprintf("%04d.eml", i)), h.message(t, i, signer, cipher, f, nil))
	}
}

// message makes one message of a sender; alter, if set, has its way between signing and encrypting.
func (h house) message(t testing.TB, i int, signer smime.Signer, cipher cms.Cipher, f form, alter func([]byte) []byte) []byte {
	t.Helper()
	var fields entity.Header
	for _, f := range [][2]string{
		{"From", address(sender(i))}, {"To", address(reader)}, {"Subject", fmt.Sprintf("Letter %d", i)},
		{"Date", time.Now().Format(time.RFC1123Z)}, {"Message-ID", fmt.Sprintf("<%d@example.test>", i)},
	} {
		field, err := entity.NewField(f[0], f[1])
		if err != nil {
			t.Fatal(err)
		}
		fields = append(fields, field)
	}
	var payload io.Reader = bytes.NewReader(letter(i, letterSize))
	if f == protected {
		var err error
		if payload, fields, err = smime.ProtectHeaders(payload, fields, smime.HPCipher); err != nil {
			t.Fatal(err)
		}
	}
	var signed, message bytes.Buffer
	if err := smime.Sign(t.Context(), &signed, payload, signer, smime.SignOptions{SigningTime: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if alter != nil {
		altered := alter(signed.Bytes())
		if bytes.Equal(altered, signed.Bytes()) {
			t.Fatal("nothing is altered")
		}
		signed = *bytes.NewBuffer(altered)
	}
	to, err := h.recipient()
	if err != nil {
		t.Fatal(err)
	}
	if err := smime.WriteOuterHeader(&message, fields); err != nil {
		t.Fatal(err)
	}
	if err := smime.Encrypt(t.Context(), &message, &signed, []cms.Recipient{to}, smime.EncryptOptions{Cipher: cipher}); err != nil {
		t.Fatal(err)
	}
	return message.Bytes()
}

// messages reads the folder messages, in order.
func (h house) messages() ([][]byte, error) {
	files, err := filepath.Glob(h.in("messages", "*.eml"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s: no messages (%v)", h.dir, err)
	}
	var list [][]byte
	for _, file := range files { // sorted
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		list = append(list, data)
	}
	return list, nil
}
