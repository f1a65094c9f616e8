package interop

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// identity is a certificate and its key: an *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey or *ecdh.PrivateKey.
type identity struct {
	name string // of the certificate's nickname and files
	cert *x509.Certificate
	key  crypto.PrivateKey
}

// pki is who takes part, and what their authority says. All is made anew in each run.
type pki struct {
	ca   identity
	ids  map[string]identity
	crl  []byte // of the authority, DER
	ocsp []byte // its OCSPResponse about "rsa", DER

	kek, kekID, password, label []byte // secrets, and names, that are no certificates

	contentKeys sync.Map // of an EncryptedData whose key is not the beginning of kek: message to key
}

// contentKey is the key of an EncryptedData.
func (p *pki) contentKey(f form, message []byte) []byte {
	if key, ok := p.contentKeys.Load(string(message)); ok {
		return key.([]byte)
	}
	return p.kek[:keySize(f.cipher)]
}

var (
	notBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC)
)

// newPKI makes an authority that every peer can use, on P-256, and one identity for each kind of key.
func newPKI() (*pki, error) {
	p := &pki{
		ids: map[string]identity{}, kek: make([]byte, 32), kekID: []byte("key of the month"),
		password: []byte("richtiges Paßwort"), label: []byte("label"),
	}
	if _, err := rand.Read(p.kek); err != nil {
		return nil, err
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Interop CA"}, NotBefore: notBefore, NotAfter: notAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	p.ca = identity{name: "ca", key: caKey}
	if p.ca.cert, err = certificate(template, template, caKey.Public(), caKey); err != nil {
		return nil, err
	}
	makers := []struct {
		name string
		key  func() (crypto.PrivateKey, error)
	}{
		{"rsa", func() (crypto.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }},
		{"p256", func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
		{"p384", func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }},
		{"p521", func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) }},
		{"ed25519", func() (crypto.PrivateKey, error) { _, key, err := ed25519.GenerateKey(rand.Reader); return key, err }},
		{"x25519", func() (crypto.PrivateKey, error) { return ecdh.X25519().GenerateKey(rand.Reader) }},
		{"originator", func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
	}
	for i, m := range makers {
		id := identity{name: m.name}
		if id.key, err = m.key(); err != nil {
			return nil, err
		}
		serial := int64(i + 2)
		if id.cert, err = p.issue(m.name, serial, id.key); err != nil {
			return nil, err
		}
		p.ids[m.name] = id
	}
	list := &x509.RevocationList{
		Number: big.NewInt(7), ThisUpdate: notBefore, NextUpdate: notAfter,
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(99), RevocationTime: notBefore}},
	}
	if p.crl, err = x509.CreateRevocationList(rand.Reader, list, p.ca.cert, caKey); err != nil {
		return nil, err
	}
	p.ocsp, err = ocsp.CreateResponse(p.ca.cert, p.ca.cert, ocsp.Response{
		Status: ocsp.Good, SerialNumber: p.ids["rsa"].cert.SerialNumber, ThisUpdate: notBefore, NextUpdate: notAfter,
	}, caKey)
	return p, err
}

// issue makes a certificate to sign and to encrypt with, as far as the key can.
func (p *pki) issue(name string, serial int64, key crypto.PrivateKey) (*x509.Certificate, error) {
	public, ok := key.(interface{ Public() crypto.PublicKey })
	if !ok {
		return nil, errors.New("no private key")
	}
	usage := x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	switch key.(type) {
	case *rsa.PrivateKey:
		usage |= x509.KeyUsageKeyEncipherment
	case *ecdsa.PrivateKey:
		usage |= x509.KeyUsageKeyAgreement
	case *ecdh.PrivateKey:
		usage = x509.KeyUsageKeyAgreement
	}
	return certificate(&x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "Interop " + name}, EmailAddresses: []string{name + "@example.test"},
		NotBefore: notBefore, NotAfter: notAfter, BasicConstraintsValid: true,
		KeyUsage: usage, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		SubjectKeyId: append([]byte("key identifier "), byte(serial)),
	}, p.ca.cert, public.Public(), p.ca.key)
}

func certificate(template, parent *x509.Certificate, public crypto.PublicKey, parentKey crypto.PrivateKey) (*x509.Certificate, error) {
	x25519, ok := public.(*ecdh.PublicKey)
	if ok {
		public = ed25519.PublicKey(x25519.Bytes()) // crypto/x509 certifies no X25519
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, parentKey)
	if err == nil && ok {
		der, err = exchangeKey(der, x25519, parentKey)
	}
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// exchangeKey puts an X25519 key in the place of an Ed25519 key of the same octets, and signs the certificate again.
func exchangeKey(der []byte, public *ecdh.PublicKey, parentKey crypto.PrivateKey) ([]byte, error) {
	var cert struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &cert); err != nil {
		return nil, err
	}
	right, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	wrong, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(public.Bytes()))
	if err != nil {
		return nil, err
	}
	cert.TBS.FullBytes = bytes.Replace(cert.TBS.FullBytes, wrong, right, 1)
	digest := sha256.Sum256(cert.TBS.FullBytes)
	if cert.Signature.Bytes, err = parentKey.(crypto.Signer).Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		return nil, err
	}
	cert.Signature.BitLength = 8 * len(cert.Signature.Bytes)
	return asn1.Marshal(cert)
}

// signer returns the key as one that signs.
func (id identity) signer(t testing.TB) crypto.Signer {
	t.Helper()
	s, ok := id.key.(crypto.Signer)
	if !ok {
		t.Fatalf("%s does not sign", id.name)
	}
	return s
}

func (id identity) pkcs8(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// writePEM writes NAME.pem and NAME.key of everybody, and ca.pem and crl.pem, to dir.
func (p *pki) writePEM(t testing.TB, dir string) {
	t.Helper()
	write := func(name, kind string, der []byte) {
		writeFile(t, filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	write("ca.pem", "CERTIFICATE", p.ca.cert.Raw)
	write("crl.pem", "X509 CRL", p.crl)
	for _, id := range p.ids {
		write(id.name+".pem", "CERTIFICATE", id.cert.Raw)
		write(id.name+".key", "PRIVATE KEY", id.pkcs8(t))
	}
}

func writeFile(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
