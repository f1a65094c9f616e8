package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
)

var (
	oidSHA512WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}
	oidECDSAWithSHA512 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}
)

// schemeDrafts are good messages under each scheme and name of it, with the short name that it must get.
func schemeDrafts() map[string]struct {
	draft *draft
	named string
} {
	id := func(oid asn1.ObjectIdentifier, parameters []byte) cms.AlgorithmIdentifier {
		return cms.AlgorithmIdentifier{Algorithm: oid, Parameters: parameters}
	}
	pss := func(hash asn1.ObjectIdentifier, size int64) cms.AlgorithmIdentifier {
		return id(oidPSS, pssParameters(hash, oidMGF1, hash, size, -1))
	}
	return map[string]struct {
		draft *draft
		named string
	}{
		"RSA":                 {newDraftOf(testRSA(), cms.RSASSAPKCS1v15, crypto.SHA256, id(oidRSA, derNull)), "rsa-pkcs1v15"},
		"RSA with SHA-256":    {newDraftOf(testRSA(), cms.RSASSAPKCS1v15, crypto.SHA256, id(oidSHA256WithRSA, derNull)), "rsa-pkcs1v15"},
		"RSA with SHA-384":    {newDraftOf(testRSA(), cms.RSASSAPKCS1v15, crypto.SHA384, id(oidSHA384WithRSA, derNull)), "rsa-pkcs1v15"},
		"RSA with SHA-512":    {newDraftOf(testRSA(), cms.RSASSAPKCS1v15, crypto.SHA512, id(oidSHA512WithRSA, nil)), "rsa-pkcs1v15"},
		"PSS SHA-256":         {newDraftOf(testRSA(), cms.RSASSAPSS, crypto.SHA256, pss(oidSHA256, 32)), "rsa-pss"},
		"PSS SHA-384":         {newDraftOf(testRSA(), cms.RSASSAPSS, crypto.SHA384, pss(oidSHA384, 48)), "rsa-pss"},
		"PSS SHA-512":         {newDraftOf(testRSA(), cms.RSASSAPSS, crypto.SHA512, pss(oidSHA512, 64)), "rsa-pss"},
		"PSS, key of its own": {newDraftOf(testPSS(), cms.RSASSAPSS, crypto.SHA256, pss(oidSHA256, 32)), "rsa-pss"},
		"P-256":               {newDraftOf(testP256(), cms.ECDSA, crypto.SHA256, id(oidECDSAWithSHA256, nil)), "ecdsa-p256"},
		"P-384":               {newDraftOf(testP384(), cms.ECDSA, crypto.SHA384, id(oidECDSAWithSHA384, nil)), "ecdsa-p384"},
		"P-521":               {newDraftOf(testP521(), cms.ECDSA, crypto.SHA512, id(oidECDSAWithSHA512, nil)), "ecdsa-p521"},
		"P-521 with SHA-256":  {newDraftOf(testP521(), cms.ECDSA, crypto.SHA256, id(oidECDSAWithSHA256, nil)), "ecdsa-p521"},
		"P-256, key's name":   {newDraftOf(testP256(), cms.ECDSA, crypto.SHA384, id(oidECPublicKey, nil)), "ecdsa-p256"},
		"Ed25519":             {ed25519Draft(), "ed25519"},
	}
}

// TestVerifySchemes has every scheme with signed attributes and without, good and with another content.
func TestVerifySchemes(t *testing.T) {
	for name, tt := range schemeDrafts() {
		for _, attributes := range []bool{true, false} {
			d := *tt.draft
			wrong := cms.ErrMessageDigest
			if !attributes {
				d.attributes = nil
				if tt.named != "ed25519" {
					wrong = cms.ErrSignature
				}
			}
			message := d.marshal(t)
			s, content, err := verifyAll(message, nil, cms.VerifyOptions{Content: bytes.NewReader(d.content)})
			if err != nil {
				t.Errorf("%s, attributes %v: %v", name, attributes, err)
				continue
			}
			if !bytes.Equal(content, d.content) {
				t.Errorf("%s: content %q", name, content)
			}
			if got := cms.SignatureName(s.SignerInfos[0], d.signer.cert); got != tt.named {
				t.Errorf("%s: named %q", name, got)
			}
			forged := bytes.Replace(message, []byte("10 euros"), []byte("99 euros"), 1)
			_, _, err = verifyAll(forged, nil, cms.VerifyOptions{Content: bytes.NewReader(d.content)})
			checkOnly(t, err, wrong)
			if !attributes {
				// The changed content given again, too.
				changed := bytes.Replace(d.content, []byte("10 euros"), []byte("99 euros"), 1)
				_, _, err = verifyAll(forged, nil, cms.VerifyOptions{Content: bytes.NewReader(changed)})
				checkOnly(t, err, cms.ErrSignature)
			}
		}
	}
}

// TestAttributesAsContentSchemes makes the forgery with every scheme: a good signature over attributes, presented as one
// over a content.
func TestAttributesAsContentSchemes(t *testing.T) {
	for name, tt := range schemeDrafts() {
		d := *tt.draft
		set := d.set()
		d.value = d.sign(t)
		d.content, d.attributes = set, nil
		_, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{Content: bytes.NewReader(set), AllowWeak: true})
		if !errors.Is(err, cms.ErrAttributesAsContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDefaultSignature(t *testing.T) {
	for name, tt := range map[string]struct {
		id     identity
		scheme cms.SignatureScheme
		hash   crypto.Hash
		text   string
	}{
		"RSA":          {testRSA(), cms.RSASSAPKCS1v15, crypto.SHA256, "rsa-pkcs1v15"},
		"PSS":          {testPSS(), cms.RSASSAPSS, crypto.SHA256, "rsa-pss"},
		"PSS, SHA-384": {testPSSSHA384(), cms.RSASSAPSS, crypto.SHA384, "rsa-pss"},
		"P-256":        {testP256(), cms.ECDSA, crypto.SHA256, "ecdsa"},
		"P-384":        {testP384(), cms.ECDSA, crypto.SHA384, "ecdsa"},
		"P-521":        {testP521(), cms.ECDSA, crypto.SHA512, "ecdsa"},
		"Ed25519":      {testEd25519(), cms.Ed25519, crypto.SHA512, "ed25519"},
	} {
		scheme, hash, err := cms.DefaultSignature(tt.id.cert)
		if err != nil || scheme != tt.scheme || hash != tt.hash || scheme.String() != tt.text {
			t.Errorf("%s: %v, %v, %v", name, scheme, hash, err)
		}
	}
	for name, cert := range map[string]*x509.Certificate{
		"nothing":      {},
		"P-224":        {PublicKey: &ecdsa.PublicKey{Curve: elliptic.P224()}},
		"X25519":       {RawSubjectPublicKeyInfo: append([]byte{0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 3, 0x21, 0}, make([]byte, 32)...)},
		"a string":     {PublicKey: "key"},
		"bad PSS":      {RawSubjectPublicKeyInfo: pssOnly(testRSA(), []byte{0x30, 0}).cert.RawSubjectPublicKeyInfo[:50]},
		"unknown hash": pssOnly(testRSA(), pssParameters(oidUnknown, oidMGF1, oidUnknown, 20, -1)).cert,
	} {
		if scheme, hash, err := cms.DefaultSignature(cert); !isError(err, errWantUnsupported) || scheme != 0 || hash != 0 {
			t.Errorf("%s: %v, %v, %v", name, scheme, hash, err)
		}
	}
	if text := cms.SignatureScheme(0).String(); text != "signature scheme 0" {
		t.Errorf("none is %q", text)
	}
}

// TestNamedAlgorithms has signatures under algorithms that are not implemented, or broken: the error and SignatureName
// say which.
func TestNamedAlgorithms(t *testing.T) {
	oid := func(arcs ...int) asn1.ObjectIdentifier { return arcs }
	for name, tt := range map[string]struct {
		digest, signature asn1.ObjectIdentifier // nil: a good one
		want              error
		text              string
	}{
		"DSA":               {nil, oid(1, 2, 840, 10040, 4, 1), errWantUnsupported, "signature algorithm dsa"},
		"DSA with SHA-1":    {nil, oid(1, 2, 840, 10040, 4, 3), errWantUnsupported, "signature algorithm dsa-sha1"},
		"DSA with SHA-256":  {nil, oidDSAWithSHA256, errWantUnsupported, "signature algorithm dsa-sha256"},
		"RSA with MD2":      {nil, oid(1, 2, 840, 113549, 1, 1, 2), cms.ErrBrokenDigest, "rsa-md2"},
		"RSA with MD4":      {nil, oid(1, 2, 840, 113549, 1, 1, 3), cms.ErrBrokenDigest, "rsa-md4"},
		"RSA with MD5":      {nil, oidMD5WithRSA, cms.ErrBrokenDigest, "rsa-md5"},
		"RSA with MD5, OIW": {nil, oid(1, 3, 14, 3, 2, 3), cms.ErrBrokenDigest, "rsa-md5"},
		"RSA with SHA-3":    {nil, oid(2, 16, 840, 1, 101, 3, 4, 3, 14), errWantUnsupported, "signature algorithm rsa-sha3-256"},
		"RSA with RIPEMD":   {nil, oid(1, 3, 36, 3, 3, 1, 2), errWantUnsupported, "signature algorithm rsa-ripemd160"},
		"PSS with SHAKE":    {nil, oid(1, 3, 6, 1, 5, 5, 7, 6, 30), errWantUnsupported, "signature algorithm rsa-pss-shake128"},
		"ECDSA with SHA-3":  {nil, oid(2, 16, 840, 1, 101, 3, 4, 3, 10), errWantUnsupported, "signature algorithm ecdsa-sha3-256"},
		"plain ECDSA":       {nil, oid(0, 4, 0, 127, 0, 7, 1, 1, 4, 1, 3), errWantUnsupported, "signature algorithm ecdsa-plain-sha256"},
		"Ed448":             {nil, oid(1, 3, 101, 113), errWantUnsupported, "signature algorithm ed448"},
		"GOST 2001":         {nil, oid(1, 2, 643, 2, 2, 3), errWantUnsupported, "signature algorithm gost-r-34.10-2001"},
		"GOST 2012":         {nil, oid(1, 2, 643, 7, 1, 1, 3, 2), errWantUnsupported, "signature algorithm gost-r-34.10-2012-256"},
		"SM2":               {nil, oid(1, 2, 156, 10197, 1, 501), errWantUnsupported, "signature algorithm sm2-sm3"},
		"ML-DSA":            {nil, oid(2, 16, 840, 1, 101, 3, 4, 3, 18), errWantUnsupported, "signature algorithm ml-dsa-65"},
		"unknown":           {nil, oidUnknown, errWantUnsupported, "signature algorithm 2.999.1"},
		"MD2":               {oid(1, 2, 840, 113549, 2, 2), nil, cms.ErrBrokenDigest, "md2"},
		"MD4":               {oid(1, 2, 840, 113549, 2, 4), nil, cms.ErrBrokenDigest, "md4"},
		"MD5":               {oidMD5, nil, cms.ErrBrokenDigest, "md5"},
		"SHA-0":             {oid(1, 3, 14, 3, 2, 18), nil, cms.ErrBrokenDigest, "sha"},
		"SHA3-256":          {oid(2, 16, 840, 1, 101, 3, 4, 2, 8), nil, errWantUnsupported, "digest algorithm sha3-256"},
		"SHA-512/256":       {oid(2, 16, 840, 1, 101, 3, 4, 2, 6), nil, errWantUnsupported, "digest algorithm sha512-256"},
		"RIPEMD-160":        {oid(1, 3, 36, 3, 2, 1), nil, errWantUnsupported, "digest algorithm ripemd160"},
		"GOST":              {oid(1, 2, 643, 2, 2, 9), nil, errWantUnsupported, "digest algorithm gost-r-34.11-94"},
		"Streebog":          {oid(1, 2, 643, 7, 1, 1, 2, 2), nil, errWantUnsupported, "digest algorithm gost-r-34.11-2012-256"},
		"SM3":               {oid(1, 2, 156, 10197, 1, 401), nil, errWantUnsupported, "digest algorithm sm3"},
	} {
		for _, attributes := range []bool{true, false} {
			d := newDraft(testP256())
			if !attributes {
				d.attributes = nil
			}
			if tt.digest != nil {
				d.digest.Algorithm = tt.digest
				d.announced = append(d.announced, tt.digest)
			} else {
				d.signature.Algorithm = tt.signature
			}
			s, digest, _, err := readSigned(d.marshal(t), cms.Limits{}, nil)
			if err != nil {
				t.Errorf("%s is not read: %v", name, err)
				continue
			}
			err = s.SignerInfos[0].Verify(d.signer.cert, digest, cms.VerifyOptions{ContentType: cms.OIDData, AllowWeak: true})
			checkOnly(t, err, tt.want)
			if !strings.HasSuffix(err.Error(), " "+tt.text) {
				t.Errorf("%s: error is %q", name, err)
			}
			if got := cms.SignatureName(s.SignerInfos[0], d.signer.cert); tt.signature != nil && name != "unknown" && (got == "" || !strings.HasSuffix(tt.text, got)) {
				t.Errorf("%s: name is %q", name, got)
			}
		}
	}
}
