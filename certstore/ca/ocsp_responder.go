package ca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/vault"
)

// Validity of a responder's certificate. Nobody asks whether it is revoked, so it is short; it is renewed well before its
// end, so that no answer outlives it.
const (
	responderDays  = 14
	responderRenew = 7 * 24 * time.Hour // before the end

	responderKind = "ocsp-responder" // of the entry in the vault
)

func oidOCSPNoCheck() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
}

// responder answers for one issuer, with a key of its own (RFC 6960 section 4.2.2.2), so that the issuer's signs
// certificates and lists alone.
type responder struct {
	cert    *x509.Certificate
	key     crypto.Signer
	keyHash []byte
}

type responders struct {
	mu sync.Mutex
	of map[Issuer]*responder
}

// responder returns the one for an issuer: from memory, else from the vault, else a new one.
func (a *Authority) responder(ctx context.Context, i Issuer, now time.Time) (*responder, error) {
	a.responders.mu.Lock()
	defer a.responders.mu.Unlock()
	if r := a.responders.of[i]; r.serves(a.certs[i], now) {
		return r, nil
	}
	entry := "ocsp-" + string(i)
	r, err := a.storedResponder(entry, i)
	if err != nil {
		return nil, err
	}
	if !r.serves(a.certs[i], now) {
		if r, err = a.newResponder(ctx, entry, i, now); err != nil {
			return nil, err
		}
	}
	if a.responders.of == nil {
		a.responders.of = make(map[Issuer]*responder)
	}
	a.responders.of[i] = r
	return r, nil
}

// serves reports whether the responder can answer now. It is renewed before its end, unless that is the end of its issuer.
func (r *responder) serves(issuer *x509.Certificate, now time.Time) bool {
	if r == nil || now.Before(r.cert.NotBefore) {
		return false
	}
	until := r.cert.NotAfter
	if until.Before(issuer.NotAfter) {
		until = until.Add(-responderRenew)
	}
	return now.Before(until)
}

// storedResponder reads key and certificate, which are one entry so that they cannot part; nil where there is none.
func (a *Authority) storedResponder(entry string, i Issuer) (*responder, error) {
	data, err := a.keys.Get(entry)
	if errors.Is(err, vault.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer clear(data)
	bundle, err := certstore.ParsePEM(data)
	if err != nil {
		return nil, fmt.Errorf("%w: OCSP responder: %w", ErrDamaged, err)
	}
	pairs, _ := bundle.KeyPairs()
	if len(pairs) != 1 || pairs[0].Chain[0].CheckSignatureFrom(a.certs[i]) != nil {
		return nil, fmt.Errorf("%w: OCSP responder", ErrDamaged)
	}
	key, ok := pairs[0].Key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: OCSP responder", ErrDamaged)
	}
	return makeResponder(pairs[0].Chain[0], key)
}

func makeResponder(cert *x509.Certificate, key crypto.Signer) (*responder, error) {
	bits, err := publicKeyBits(cert.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum(bits) // RFC 6960 section 4.2.1: KeyHash is that of SHA-1, and only finds the certificate
	return &responder{cert: cert, key: key, keyHash: sum[:]}, nil
}

func (a *Authority) newResponder(ctx context.Context, entry string, i Issuer, now time.Time) (*responder, error) {
	issuer := a.certs[i]
	issuerKey, err := a.key(i)
	if err != nil {
		return nil, err
	}
	key, err := sameKind(issuer).Generate()
	if err != nil {
		return nil, err
	}
	id, err := subjectKeyID(key.Public())
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{CommonName: "OCSP responder", Organization: issuer.Subject.Organization},
		SubjectKeyId:          id,
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.AddDate(0, 0, responderDays),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		// RFC 6960 section 4.2.2.2.1: its value is NULL.
		ExtraExtensions: []pkix.Extension{{Id: oidOCSPNoCheck(), Value: []byte{5, 0}}},
	}
	if t.NotAfter.After(issuer.NotAfter) {
		t.NotAfter = issuer.NotAfter
	}
	if !t.NotAfter.After(now) {
		return nil, fmt.Errorf("%w: %s expires on %s", ErrProfile, issuer.Subject.CommonName, issuer.NotAfter.UTC().Format(time.RFC3339))
	}
	cert, err := sign(t, issuer, key.Public(), &lintingSigner{Signer: issuerKey})
	if err != nil {
		return nil, err
	}
	if err := a.file(ctx, cert); err != nil {
		return nil, err
	}
	pem, err := certstore.EncodePrivateKey(key)
	if err != nil {
		return nil, err
	}
	defer clear(pem)
	both := append(pem, certstore.EncodeCertificates(cert)...)
	defer clear(both)
	if err := a.keys.Put(ctx, entry, responderKind, both); err != nil {
		return nil, err
	}
	return makeResponder(cert, key)
}

// sameKind is the kind of key that an issuer has.
func sameKind(issuer *x509.Certificate) KeyType {
	key, ok := issuer.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !ok:
		return RSA3072
	case key.Curve.Params().BitSize == 384:
		return P384
	}
	return P256
}
