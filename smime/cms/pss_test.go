package cms_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
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

// The fields of RSASSA-PSS-params one by one, to be put together by pssRaw.
func pssHash(hash asn1.ObjectIdentifier, parameters []byte) []byte {
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			addAlgorithm(b, cbasn1.SEQUENCE, cms.AlgorithmIdentifier{Algorithm: hash, Parameters: parameters})
		})
	})
}

func pssMGF(mgf, hash asn1.ObjectIdentifier, parameters []byte) []byte {
	a := cms.AlgorithmIdentifier{Algorithm: mgf}
	if hash != nil {
		a.Parameters = marshal(func(b *cryptobyte.Builder) {
			addAlgorithm(b, cbasn1.SEQUENCE, cms.AlgorithmIdentifier{Algorithm: hash, Parameters: parameters})
		})
	}
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { addAlgorithm(b, cbasn1.SEQUENCE, a) })
	})
}

func pssSalt(salt int64) []byte {
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(2).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddASN1Int64(salt) })
	})
}

func pssRaw(fields ...[]byte) []byte {
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(fields, nil)) })
	})
}

var derNull = []byte{5, 0}

// TestVerifyPSS has every field of the parameters right and wrong (RFC 4056 section 3, RFC 4055 section 3.1).
func TestVerifyPSS(t *testing.T) {
	good := pssParameters(oidSHA256, oidMGF1, oidSHA256, 32, -1)
	for name, tt := range map[string]struct {
		parameters []byte
		salt       int
		want       error
	}{
		"good":            {good, 32, nil},
		"hash with NULL":  {pssRaw(pssHash(oidSHA256, derNull), pssMGF(oidMGF1, oidSHA256, derNull), pssSalt(32)), 32, nil},
		"salt of 20":      {pssParameters(oidSHA256, oidMGF1, oidSHA256, 20, -1), 20, nil},
		"salt of 1":       {pssParameters(oidSHA256, oidMGF1, oidSHA256, 1, -1), 1, nil},
		"salt by default": {pssParameters(oidSHA256, oidMGF1, oidSHA256, -1, -1), 20, nil},
		"largest salt":    {pssParameters(oidSHA256, oidMGF1, oidSHA256, 222, -1), 222, nil}, // 256 - 32 - 2
		"trailer field":   {pssParameters(oidSHA256, oidMGF1, oidSHA256, 32, 1), 32, nil},

		"salt shorter than said": {good, 31, cms.ErrSignature},
		"salt longer than said":  {good, 33, cms.ErrSignature},
		"default, and 32":        {pssParameters(oidSHA256, oidMGF1, oidSHA256, -1, -1), 32, cms.ErrSignature},
		"no salt":                {pssParameters(oidSHA256, oidMGF1, oidSHA256, 0, -1), 32, errWantUnsupported},
		"negative salt":          {pssRaw(pssHash(oidSHA256, nil), pssMGF(oidMGF1, oidSHA256, nil), pssSalt(-1)), 32, errWantUnsupported},
		"salt too long":          {pssParameters(oidSHA256, oidMGF1, oidSHA256, 1<<40, -1), 32, errWantUnsupported},
		"salt beyond int":        {pssRaw(pssHash(oidSHA256, nil), pssMGF(oidMGF1, oidSHA256, nil), []byte{0xa2, 11, 2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0}), 32, cms.ErrMalformed},
		"salt does not fit key":  {pssParameters(oidSHA256, oidMGF1, oidSHA256, 223, -1), 32, cms.ErrSignature},
		"salt no integer":        {pssRaw(pssHash(oidSHA256, nil), pssMGF(oidMGF1, oidSHA256, nil), []byte{0xa2, 3, 4, 1, 32}), 32, cms.ErrMalformed},

		"trailer of 2":       {pssParameters(oidSHA256, oidMGF1, oidSHA256, 32, 2), 32, cms.ErrMalformed},
		"trailer of 0":       {pssParameters(oidSHA256, oidMGF1, oidSHA256, 32, 0), 32, cms.ErrMalformed},
		"trailer of 0xbc":    {pssParameters(oidSHA256, oidMGF1, oidSHA256, 32, 0xbc), 32, cms.ErrMalformed},
		"field behind":       {pssRaw(pssHash(oidSHA256, nil), pssMGF(oidMGF1, oidSHA256, nil), pssSalt(32), []byte{0xa4, 3, 2, 1, 1}), 32, cms.ErrMalformed},
		"fields in disorder": {pssRaw(pssMGF(oidMGF1, oidSHA256, nil), pssHash(oidSHA256, nil), pssSalt(32)), 32, cms.ErrMalformed},
		"octets behind":      {append(bytes.Clone(good), 5, 0), 32, cms.ErrMalformed},

		"another hash":            {pssParameters(oidSHA384, oidMGF1, oidSHA384, 32, -1), 32, cms.ErrDigestAlgorithm},
		"hash by default":         {pssRaw(pssMGF(oidMGF1, oidSHA256, nil), pssSalt(32)), 32, errWantUnsupported},
		"SHA-1 by default":        {[]byte{0x30, 0}, 20, cms.ErrDigestAlgorithm},
		"MD5":                     {pssParameters(oidMD5, oidMGF1, oidMD5, 32, -1), 32, cms.ErrBrokenDigest},
		"unknown hash":            {pssParameters(oidUnknown, oidMGF1, oidUnknown, 32, -1), 32, errWantUnsupported},
		"hash with parameters":    {pssRaw(pssHash(oidSHA256, []byte{2, 1, 1}), pssMGF(oidMGF1, oidSHA256, nil), pssSalt(32)), 32, cms.ErrMalformed},
		"MGF over another hash":   {pssParameters(oidSHA256, oidMGF1, oidSHA384, 32, -1), 32, errWantUnsupported},
		"MGF by default":          {pssParameters(oidSHA256, nil, nil, 32, -1), 32, errWantUnsupported},
		"unknown MGF":             {pssParameters(oidSHA256, oidUnknown, oidSHA256, 32, -1), 32, errWantUnsupported},
		"MGF hash and parameters": {pssRaw(pssHash(oidSHA256, nil), pssMGF(oidMGF1, oidSHA256, []byte{2, 1, 1}), pssSalt(32)), 32, cms.ErrMalformed},
		"MGF without hash":        {pssRaw(pssHash(oidSHA256, nil), pssMGF(oidMGF1, nil, nil), pssSalt(32)), 32, cms.ErrMalformed},
		"absent":                  {nil, 32, cms.ErrMalformed},
		"NULL":                    {[]byte{5, 0}, 32, cms.ErrMalformed},
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
			cert := pssOnly(testRSA(), tt.key).cert
			if cert.PublicKey != nil {
				t.Fatal("crypto/x509 reads such a key now")
			}
			err = s.SignerInfos[0].Verify(cert, digest, cms.VerifyOptions{ContentType: cms.OIDData})
			if tt.want == nil && err != nil {
				t.Error(err)
			}
			if tt.want != nil {
				checkOnly(t, err, tt.want)
			}
			s.SignerInfos[0].Signature = bytes.Clone(s.SignerInfos[0].Signature)
			s.SignerInfos[0].Signature[9] ^= 1
			if s.SignerInfos[0].Verify(cert, digest, cms.VerifyOptions{ContentType: cms.OIDData}) == nil {
				t.Error("verifies with a changed signature")
			}
		})
	}
}
