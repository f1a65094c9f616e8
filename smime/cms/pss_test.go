package cms_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidPSS  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidMGF1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
)

func rsaPublicKeyOfSize(bits int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
}

// pssParameters encodes RSASSA-PSS-params; nil and negative mean absent.
func pssParameters(hash, mgf, mgfHash asn1.ObjectIdentifier, salt, trailer int64) []byte {
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			explicit := func(tag uint8, build func(*cryptobyte.Builder)) {
				b.AddASN1(cbasn1.Tag(tag).Constructed().ContextSpecific(), build)
			}
			if hash != nil {
				explicit(0, func(b *cryptobyte.Builder) {
					addAlgorithm(b, cbasn1.SEQUENCE, cms.AlgorithmIdentifier{Algorithm: hash})
				})
			}
			if mgf != nil {
				inner := marshal(func(b *cryptobyte.Builder) {
					addAlgorithm(b, cbasn1.SEQUENCE, cms.AlgorithmIdentifier{Algorithm: mgfHash})
				})
				explicit(1, func(b *cryptobyte.Builder) {
					addAlgorithm(b, cbasn1.SEQUENCE, cms.AlgorithmIdentifier{Algorithm: mgf, Parameters: inner})
				})
			}
			if salt >= 0 {
				explicit(2, func(b *cryptobyte.Builder) { b.AddASN1Int64(salt) })
			}
			if trailer >= 0 {
				explicit(3, func(b *cryptobyte.Builder) { b.AddASN1Int64(trailer) })
			}
		})
	})
}

func TestVerifyPSS(t *testing.T) {
	good := pssParameters(oidSHA256, oidMGF1, oidSHA256, 32, -1)
	for name, tt := range map[string]struct {
		parameters []byte
		salt       int
		want       error
	}{
		"good":                {good, 32, nil},
		"salt of 20":          {pssParameters(oidSHA256, oidMGF1, oidSHA256, 20, -1), 20, nil},
		"salt by default":     {pssParameters(oidSHA256, oidMGF1, oidSHA256, -1, -1), 20, nil},
		"trailer field":       {pssParameters(oidSHA256, oidMGF1, oidSHA256, 32, 1), 32, nil},
		"another salt length": {good, 20, cms.ErrSignature},
		"no salt":             {pssParameters(oidSHA256, oidMGF1, oidSHA256, 0, -1), 32, errWantUnsupported},
		"salt too long":       {pssParameters(oidSHA256, oidMGF1, oidSHA256, 1<<40, -1), 32, errWantUnsupported},
		"salt impossible":     {pssParameters(oidSHA256, oidMGF1, oidSHA256, 250, -1), 32, cms.ErrSignature},
		"another trailer":     {pssParameters(oidSHA256, oidMGF1, oidSHA256, 32, 2), 32, cms.ErrMalformed},
		"another hash":        {pssParameters(oidSHA384, oidMGF1, oidSHA384, 32, -1), 32, cms.ErrAlgorithmMismatch},
		"SHA-1 by default":    {[]byte{0x30, 0}, 20, cms.ErrAlgorithmMismatch},
		"MD5":                 {pssParameters(oidMD5, oidMGF1, oidMD5, 32, -1), 32, cms.ErrBrokenDigest},
		"two hashes":          {pssParameters(oidSHA256, oidMGF1, oidSHA384, 32, -1), 32, errWantUnsupported},
		"MGF by default":      {pssParameters(oidSHA256, nil, nil, 32, -1), 32, errWantUnsupported},
		"unknown MGF":         {pssParameters(oidSHA256, oidUnknown, oidSHA256, 32, -1), 32, errWantUnsupported},
		"absent":              {nil, 32, cms.ErrMalformed},
		"NULL":                {[]byte{5, 0}, 32, cms.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDraft(testRSA())
			d.signature = cms.AlgorithmIdentifier{Algorithm: oidPSS, Parameters: tt.parameters}
			key := d.signer.key.(*rsa.PrivateKey)
			var err error
			d.value, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, hashOf(crypto.SHA256, d.set()), &rsa.PSSOptions{SaltLength: tt.salt})
			if err != nil {
				t.Fatal(err)
			}
			s, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{})
			if tt.want != nil {
				checkOnly(t, err, tt.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if name := cms.SignatureName(s.SignerInfos[0], d.signer.cert); name != "rsa-pss" {
				t.Errorf("name is %q", name)
			}
		})
	}
}

// TestVerifyPSSKey has a certificate whose key is for RSASSA-PSS alone, which crypto/x509 leaves unread.
func TestVerifyPSSKey(t *testing.T) {
	parameters := pssParameters(oidSHA256, oidMGF1, oidSHA256, 32, -1)
	for name, tt := range map[string]struct {
		key  []byte // parameters of the key
		want error
	}{
		"unrestricted":   {nil, nil},
		"same":           {parameters, nil},
		"shorter salt":   {pssParameters(oidSHA256, oidMGF1, oidSHA256, 20, -1), nil},
		"longer salt":    {pssParameters(oidSHA256, oidMGF1, oidSHA256, 40, -1), cms.ErrAlgorithmMismatch},
		"another digest": {pssParameters(oidSHA384, oidMGF1, oidSHA384, 32, -1), cms.ErrAlgorithmMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDraft(testRSA())
			d.signature = cms.AlgorithmIdentifier{Algorithm: oidPSS, Parameters: parameters}
			key := d.signer.key.(*rsa.PrivateKey)
			var err error
			d.value, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, hashOf(crypto.SHA256, d.set()), &rsa.PSSOptions{SaltLength: 32})
			if err != nil {
				t.Fatal(err)
			}
			s, digest, _, err := readSigned(d.marshal(t), cms.Limits{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			cert := *d.signer.cert
			cert.PublicKey = nil
			cert.RawSubjectPublicKeyInfo = pssOnly(t, d.signer.cert, tt.key)
			err = s.SignerInfos[0].Verify(&cert, digest, cms.VerifyOptions{ContentType: cms.OIDData})
			if tt.want == nil && err != nil {
				t.Error(err)
			}
			if tt.want != nil {
				checkOnly(t, err, tt.want)
			}
			s.SignerInfos[0].Signature = bytes.Clone(s.SignerInfos[0].Signature)
			s.SignerInfos[0].Signature[9] ^= 1
			if s.SignerInfos[0].Verify(&cert, digest, cms.VerifyOptions{ContentType: cms.OIDData}) == nil {
				t.Error("verifies with a changed signature")
			}
		})
	}
}

// pssOnly returns the public key of cert marked as one for RSASSA-PSS alone, under these parameters.
func pssOnly(t *testing.T, cert *x509.Certificate, parameters []byte) []byte {
	t.Helper()
	in := cryptobyte.String(cert.RawSubjectPublicKeyInfo)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipASN1(cbasn1.SEQUENCE) {
		t.Fatal("no public key")
	}
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addAlgorithm(b, cbasn1.SEQUENCE, cms.AlgorithmIdentifier{Algorithm: oidPSS, Parameters: parameters})
			b.AddBytes(seq)
		})
	})
}
