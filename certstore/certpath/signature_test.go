package certpath

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

const (
	testSHA1RSA     OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"
	testSHA256RSA   OID = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"
	testSHA256ECDSA OID = "\x2a\x86\x48\xce\x3d\x04\x03\x02"
)

// pss writes RSASSA-PSS-params, whose hashes are SHA-2 by the last arc.
func pss(hash, mask byte, salt ...byte) []byte {
	identifier := func(arc byte) []byte {
		return tlv(0x30, tlv(6, []byte{0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, arc}), tlv(5))
	}
	return tlv(0x30, tlv(0xa0, identifier(hash)), tlv(0xa1, tlv(0x30, tlv(6, []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08")), identifier(mask))), tlv(0xa2, tlv(2, salt)))
}

// certificateOf is as much of a certificate as a signature check needs.
func certificateOf(t *testing.T, key crypto.Signer) *Certificate {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	c := new(Certificate)
	c.readKey(spki, nil)
	return c
}

func TestCheckSignature(t *testing.T) {
	rsaKey := func(bits int) *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	ecKey := func(curve elliptic.Curve) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, short := rsaKey(2048), rsaKey(1024)
	p256, p224 := ecKey(elliptic.P256()), ecKey(elliptic.P224())
	longPSS := certificateOf(t, long)
	longPSS.PublicKeyAlgorithm = AlgorithmIdentifier{Algorithm: oidRSAPSS, Parameters: pss(1, 1, 32)}
	message := []byte("signed")
	signed := func(key crypto.Signer, options crypto.SignerOpts) []byte {
		digest := message
		if h := options.HashFunc(); h != 0 {
			d := h.New()
			d.Write(message)
			digest = d.Sum(nil)
		}
		signature, err := key.Sign(rand.Reader, digest, options)
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	salt := func(n int) *rsa.PSSOptions { return &rsa.PSSOptions{SaltLength: n, Hash: crypto.SHA256} }
	with := func(id OID, parameters []byte) AlgorithmIdentifier {
		return AlgorithmIdentifier{Algorithm: id, Parameters: parameters}
	}
	null := tlv(5)
	const good, bad, unsupported, weak = "", "signature", "unsupported", "weak"
	tests := []struct {
		what      string
		c         *Certificate
		algorithm AlgorithmIdentifier
		signature []byte
		policy    AlgorithmPolicy
		want      string
	}{
		{"RSA", certificateOf(t, long), with(testSHA256RSA, null), signed(long, crypto.SHA256), AlgorithmPolicy{}, good},
		{"RSA without parameters", certificateOf(t, long), with(testSHA256RSA, nil), signed(long, crypto.SHA256), AlgorithmPolicy{}, good},
		{"RSA with others", certificateOf(t, long), with(testSHA256RSA, tlv(4)), signed(long, crypto.SHA256), AlgorithmPolicy{}, unsupported},
		{"RSA with another hash", certificateOf(t, long), with(testSHA256RSA, null), signed(long, crypto.SHA384), AlgorithmPolicy{}, bad},
		{"RSA by another key", certificateOf(t, rsaKey(2048)), with(testSHA256RSA, null), signed(long, crypto.SHA256), AlgorithmPolicy{}, bad},
		{"SHA-1", certificateOf(t, long), with(testSHA1RSA, null), signed(long, crypto.SHA1), AlgorithmPolicy{}, weak},
		{"SHA-1 where it is allowed", certificateOf(t, long), with(testSHA1RSA, null), signed(long, crypto.SHA1), AlgorithmPolicy{AllowSHA1: true}, good},
		{"MD5", certificateOf(t, long), with("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", null), signed(long, crypto.SHA256), AlgorithmPolicy{AllowSHA1: true}, unsupported},
		{"1024 bits", certificateOf(t, short), with(testSHA256RSA, null), signed(short, crypto.SHA256), AlgorithmPolicy{}, weak},
		{"1024 bits where they are allowed", certificateOf(t, short), with(testSHA256RSA, null), signed(short, crypto.SHA256), AlgorithmPolicy{MinRSABits: 1024}, good},
		{"2048 bits where 3072 are asked for", certificateOf(t, long), with(testSHA256RSA, null), signed(long, crypto.SHA256), AlgorithmPolicy{MinRSABits: 3072}, weak},
		{"PSS", certificateOf(t, long), with(oidRSAPSS, pss(1, 1, 32)), signed(long, salt(32)), AlgorithmPolicy{}, good},
		{"PSS with another salt", certificateOf(t, long), with(oidRSAPSS, pss(1, 1, 20)), signed(long, salt(20)), AlgorithmPolicy{}, good},
		{"PSS with a salt other than it says", certificateOf(t, long), with(oidRSAPSS, pss(1, 1, 32)), signed(long, salt(20)), AlgorithmPolicy{}, bad},
		{"PSS without salt", certificateOf(t, long), with(oidRSAPSS, pss(1, 1, 0)), signed(long, salt(32)), AlgorithmPolicy{}, unsupported},
		{"PSS with two hashes", certificateOf(t, long), with(oidRSAPSS, pss(1, 2, 32)), signed(long, salt(32)), AlgorithmPolicy{}, unsupported},
		{"PSS without parameters", certificateOf(t, long), with(oidRSAPSS, nil), signed(long, salt(32)), AlgorithmPolicy{}, unsupported},
		{"a key for PSS", longPSS, with(oidRSAPSS, pss(1, 1, 32)), signed(long, salt(32)), AlgorithmPolicy{}, good},
		{"a key for PSS with more salt", longPSS, with(oidRSAPSS, pss(1, 1, 20)), signed(long, salt(20)), AlgorithmPolicy{}, bad},
		{"a key for PSS with another hash", longPSS, with(oidRSAPSS, pss(2, 2, 48)), signed(long, &rsa.PSSOptions{SaltLength: 48, Hash: crypto.SHA384}), AlgorithmPolicy{}, bad},
		{"a key for PSS alone", longPSS, with(testSHA256RSA, null), signed(long, crypto.SHA256), AlgorithmPolicy{}, bad},
		{"ECDSA", certificateOf(t, p256), with(testSHA256ECDSA, nil), signed(p256, crypto.SHA256), AlgorithmPolicy{}, good},
		{"ECDSA with parameters", certificateOf(t, p256), with(testSHA256ECDSA, tlv(4)), signed(p256, crypto.SHA256), AlgorithmPolicy{}, unsupported},
		{"ECDSA with SHA-1", certificateOf(t, p256), with("\x2a\x86\x48\xce\x3d\x04\x01", nil), signed(p256, crypto.SHA1), AlgorithmPolicy{}, weak},
		{"ECDSA on P-224", certificateOf(t, p224), with(testSHA256ECDSA, nil), signed(p224, crypto.SHA256), AlgorithmPolicy{}, unsupported},
		{"ECDSA by an RSA key", certificateOf(t, long), with(testSHA256ECDSA, nil), signed(p256, crypto.SHA256), AlgorithmPolicy{}, bad},
		{"RSA by an EC key", certificateOf(t, p256), with(testSHA256RSA, null), signed(long, crypto.SHA256), AlgorithmPolicy{}, bad},
		{"Ed25519", certificateOf(t, edKey), with(oidEd25519, nil), signed(edKey, crypto.Hash(0)), AlgorithmPolicy{}, good},
		{"Ed25519 with parameters", certificateOf(t, edKey), with(oidEd25519, null), signed(edKey, crypto.Hash(0)), AlgorithmPolicy{}, bad},
		{"Ed25519, false", certificateOf(t, edKey), with(oidEd25519, nil), make([]byte, 64), AlgorithmPolicy{}, bad},
		{"a key that is none", new(Certificate), with(testSHA256RSA, null), signed(long, crypto.SHA256), AlgorithmPolicy{}, unsupported},
		{"an algorithm that nobody knows", certificateOf(t, long), with("\x2a\x03", null), nil, AlgorithmPolicy{}, unsupported},
	}
	for _, test := range tests {
		err := test.c.CheckSignature(test.algorithm, message, test.signature, test.policy)
		var isUnsupported *UnsupportedError
		var isWeak *WeakError
		got := ""
		switch {
		case errors.As(err, &isUnsupported):
			got = unsupported
		case errors.As(err, &isWeak):
			got = weak
		case errors.Is(err, ErrSignature):
			got = bad
		case err != nil:
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %v, want %q", test.what, err, test.want)
		}
	}
}

// TestLongKeys: a signature by a key of thousands of bits is not looked at.
func TestLongKeys(t *testing.T) {
	for bits, want := range map[int]bool{MaxRSABits: false, MaxRSABits + 1: true, 1 << 19: true} {
		modulus := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		c := &Certificate{PublicKey: &rsa.PublicKey{N: modulus.SetBit(modulus, 0, 1), E: 65537}}
		err := c.CheckSignature(AlgorithmIdentifier{Algorithm: testSHA256RSA}, nil, make([]byte, bits/8), AlgorithmPolicy{})
		var unsupported *UnsupportedError
		if errors.As(err, &unsupported) != want {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

// TestKeyNames reads the keys that OpenSSL makes, of which few can be used here.
func TestKeyNames(t *testing.T) {
	for _, test := range []struct {
		arguments, want string
		usable          bool
	}{
		{"rsa:2048", "RSA of 2048 bits", true},
		{"rsa-pss -pkeyopt rsa_keygen_bits:2048", "RSA of 2048 bits", true},
		{"ec -pkeyopt ec_paramgen_curve:P-384", "ECDSA on P-384", true},
		{"ed25519", "Ed25519", true},
		{"ed448", "Ed448", false},
		{"ec -pkeyopt ec_paramgen_curve:brainpoolP256r1", "the elliptic curve brainpoolP256r1", false},
		{"ec -pkeyopt ec_paramgen_curve:brainpoolP512r1", "the elliptic curve brainpoolP512r1", false},
		{"ec -pkeyopt ec_paramgen_curve:secp256k1", "the elliptic curve secp256k1", false},
		{"ec -pkeyopt ec_paramgen_curve:sect233k1", "the elliptic curve 1.3.132.0.26", false},
		{"ec -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit", "an elliptic curve with explicit parameters", false},
	} {
		arguments := append([]string{"req", "-x509", "-subj", "/CN=odd", "-nodes", "-keyout", "/dev/null", "-outform", "DER", "-newkey"}, strings.Fields(test.arguments)...)
		c := mustParse(t, peertest.Run(t, "openssl", arguments...))
		if c.KeyName() != test.want || len(c.Problems) > 0 {
			t.Errorf("%s: %s, %v", test.arguments, c.KeyName(), c.Problems)
		}
		err := verifySignature(c, c, AlgorithmPolicy{})
		var unsupported *UnsupportedError
		if test.usable && err != nil || !test.usable && !errors.As(err, &unsupported) {
			t.Errorf("%s: %v", test.arguments, err)
		}
	}
}

// TestFromX509 takes a key over that was parsed already, and nothing else.
func TestFromX509(t *testing.T) {
	key := testKeys()[0]
	c := newRoot(t, "root", key, nil)
	parsed, err := FromX509(c)
	if err != nil || parsed.PublicKey != c.PublicKey || !parsed.Equal(mustParse(t, c.Raw)) {
		t.Errorf("%v, %v", parsed, err)
	}
	digest := sha256.Sum256(nil)
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.CheckSignature(AlgorithmIdentifier{Algorithm: testSHA256ECDSA}, nil, signature, AlgorithmPolicy{}); err != nil {
		t.Error(err)
	}
}
