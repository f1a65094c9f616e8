package cms_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
)

// readSigned reads a whole SignedData. For a detached one, detached is what is hashed.
func readSigned(src []byte, l cms.Limits, detached []byte) (*cms.SignedData, *cms.ContentDigest, []byte, error) {
	info, err := cms.Read(bytes.NewReader(src), l)
	if err != nil {
		return nil, nil, nil, err
	}
	s, ok := info.(*cms.SignedData)
	if !ok {
		return nil, nil, nil, fmt.Errorf("%T instead of a SignedData", info)
	}
	var content bytes.Buffer
	digest, err := s.ReadContent(context.Background(), &content)
	if err != nil {
		return nil, nil, nil, err
	}
	if s.Detached() {
		var hashes []crypto.Hash
		for _, si := range s.SignerInfos {
			if h, err := si.Digest(); err == nil {
				hashes = append(hashes, h)
			}
		}
		if digest, err = cms.NewContentDigest(hashes...); err != nil {
			return nil, nil, nil, err
		}
		_, _ = digest.Write(detached)
	}
	return s, digest, content.Bytes(), nil
}

// verifyAll verifies every signer with the certificates in the message, and returns the content.
func verifyAll(src []byte, detached []byte, o cms.VerifyOptions) (*cms.SignedData, []byte, error) {
	s, digest, content, err := readSigned(src, cms.Limits{}, detached)
	if err != nil {
		return nil, nil, err
	}
	if len(s.SignerInfos) == 0 {
		return nil, nil, errors.New("no signer")
	}
	o.ContentType = s.EContentType
	for i, si := range s.SignerInfos {
		raw, ok := s.Certificate(si.SID)
		if !ok {
			return nil, nil, fmt.Errorf("signer %d: no certificate", i)
		}
		cert, err := raw.Parse()
		if err != nil {
			return nil, nil, err
		}
		if err := si.Verify(cert, digest, o); err != nil {
			return nil, nil, fmt.Errorf("signer %d: %w", i, err)
		}
	}
	return s, content, nil
}

func options(ids ...identity) cms.SignedDataOptions {
	var o cms.SignedDataOptions
	for _, id := range ids {
		o.Certificates = append(o.Certificates, id.cert)
		scheme, digest, err := cms.DefaultSignature(id.cert)
		if err != nil {
			panic(err) // the certificates are those of this package
		}
		o.Signers = append(o.Signers, cms.Signer{
			Certificate: id.cert, Key: id.key, Scheme: scheme, Digest: digest, SigningTime: testTime,
		})
	}
	return o
}

// stream signs content by the streaming writer.
func stream(t testing.TB, content []byte, o cms.SignedDataOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := cms.NewSignedDataWriter(t.Context(), &out, o)
	if err != nil {
		t.Fatal(err)
	}
	for rest := content; len(rest) > 0; {
		n := min(len(rest), 1000)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func sign(t testing.TB, content []byte, o cms.SignedDataOptions) []byte {
	t.Helper()
	der, err := cms.Sign(t.Context(), content, o)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestSignThenVerify(t *testing.T) {
	identities := map[string]struct {
		id        identity
		scheme    cms.SignatureScheme // 0: by default
		digest    crypto.Hash         // 0: by default
		wantHash  string
		wantNamed string
	}{
		"rsa":             {testRSA(), 0, 0, "sha256", "rsa-pkcs1v15"},
		"rsa-sha384":      {testRSA(), cms.RSASSAPKCS1v15, crypto.SHA384, "sha384", "rsa-pkcs1v15"},
		"rsa-sha512":      {testRSA(), cms.RSASSAPKCS1v15, crypto.SHA512, "sha512", "rsa-pkcs1v15"},
		"pss-sha256":      {testRSA(), cms.RSASSAPSS, crypto.SHA256, "sha256", "rsa-pss"},
		"pss-sha384":      {testRSA(), cms.RSASSAPSS, crypto.SHA384, "sha384", "rsa-pss"},
		"pss-sha512":      {testRSA(), cms.RSASSAPSS, crypto.SHA512, "sha512", "rsa-pss"},
		"pss-only":        {testPSS(), 0, 0, "sha256", "rsa-pss"},
		"pss-only-sha384": {testPSSSHA384(), 0, 0, "sha384", "rsa-pss"},
		"p256":            {testP256(), 0, 0, "sha256", "ecdsa-p256"},
		"p256-sha384":     {testP256(), cms.ECDSA, crypto.SHA384, "sha384", "ecdsa-p256"},
		"p384":            {testP384(), 0, 0, "sha384", "ecdsa-p384"},
		"p521":            {testP521(), 0, 0, "sha512", "ecdsa-p521"},
		"p521-sha256":     {testP521(), cms.ECDSA, crypto.SHA256, "sha256", "ecdsa-p521"},
		"ed25519":         {testEd25519(), 0, 0, "sha512", "ed25519"},
		"ed25519-stated":  {testEd25519(), cms.Ed25519, crypto.SHA512, "sha512", "ed25519"},
	}
	contents := map[string][]byte{
		"empty": nil,
		"small": []byte("Content-Type: text/plain\r\n\r\nHello\r\n"),
		"large": bytes.Repeat([]byte("0123456789abcde\n"), 2_500),
	}
	for name, tt := range identities {
		t.Run(name, func(t *testing.T) {
			for contentName, content := range contents {
				for _, detached := range []bool{false, true} {
					for _, form := range []cms.IdentifierForm{cms.IssuerAndSerialNumber, cms.SubjectKeyIdentifier} {
						o := options(tt.id)
						o.Detached = detached
						o.Signers[0].SID = form
						if tt.scheme != 0 {
							o.Signers[0].Scheme, o.Signers[0].Digest = tt.scheme, tt.digest
						}
						o.Signers[0].Capabilities = cms.OwnCapabilities()
						for way, message := range map[string][]byte{"Sign": sign(t, content, o), "Writer": stream(t, content, o)} {
							s, got, err := verifyAll(message, content, cms.VerifyOptions{})
							if err != nil {
								t.Fatalf("%s %s, detached %v, form %v: %v", contentName, way, detached, form, err)
							}
							if s.Detached() != detached || !detached && !bytes.Equal(got, content) {
								t.Fatalf("%s %s: detached %v, %d octets of content", contentName, way, s.Detached(), len(got))
							}
							checkSignerInfo(t, s.SignerInfos[0], tt.id.cert, tt.wantHash, tt.wantNamed)
						}
					}
				}
			}
		})
	}
}

func checkSignerInfo(t *testing.T, si *cms.SignerInfo, cert *x509.Certificate, digest, named string) {
	t.Helper()
	if at, ok := si.SigningTime(); !ok || !at.Equal(testTime) {
		t.Errorf("signing time is %v, %v", at, ok)
	}
	if h, err := si.Digest(); err != nil || cms.DigestName(h) != digest {
		t.Errorf("digest is %v, %v; want %s", h, err, digest)
	}
	if got := cms.SignatureName(si, cert); got != named {
		t.Errorf("algorithm is %q, want %q", got, named)
	}
	if !si.SMIMECapabilities().Supports(cms.AES256GCM) {
		t.Error("AES-256-GCM is not among the capabilities")
	}
	ids, err := si.SigningCertificates()
	if err != nil || len(ids) != 1 || ids[0].Serial.Cmp(cert.SerialNumber) != 0 {
		t.Errorf("signing certificates: %v, %v", ids, err)
	}
}

func TestSeveralSigners(t *testing.T) {
	o := options(testRSA(), testP256(), testP384(), testEd25519())
	o.Certificates = append(o.Certificates, testCA().cert, testCA().cert)
	content := []byte("signed by four")
	for _, message := range [][]byte{sign(t, content, o), stream(t, content, o)} {
		s, got, err := verifyAll(message, nil, cms.VerifyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(s.SignerInfos) != 4 || len(s.DigestAlgorithms) != 3 || len(s.Certificates) != 5 || !bytes.Equal(got, content) {
			t.Errorf("%d signers, %d digest algorithms, %d certificates, content %q",
				len(s.SignerInfos), len(s.DigestAlgorithms), len(s.Certificates), got)
		}
	}
}

func TestUnsignedAttributes(t *testing.T) {
	token := []byte{0x30, 0x03, 0x02, 0x01, 0x07}
	o := options(testP256())
	var value []byte
	o.Signers[0].UnsignedAttributes = func(_ context.Context, signature []byte) ([]cms.Attribute, error) {
		value = bytes.Clone(signature)
		return []cms.Attribute{{Type: cms.OIDAttributeTimeStampToken, Values: [][]byte{token}}}, nil
	}
	s, _, err := verifyAll(stream(t, []byte("content"), o), nil, cms.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	si := s.SignerInfos[0]
	if !bytes.Equal(value, si.Signature) {
		t.Error("the callback saw another signature value")
	}
	if tokens := si.TimeStampTokens(); len(tokens) != 1 || !bytes.Equal(tokens[0], token) {
		t.Errorf("tokens: %x", tokens)
	}

	failure := errors.New("authority is down")
	o.Signers[0].UnsignedAttributes = func(context.Context, []byte) ([]cms.Attribute, error) { return nil, failure }
	w, err := cms.NewSignedDataWriter(t.Context(), io.Discard, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, failure) {
		t.Errorf("Close: %v", err)
	}
	if err := w.Close(); !errors.Is(err, failure) {
		t.Errorf("second Close: %v", err)
	}
}

// TestSignEarlier signs again with the time that is asked for, and asks again for the unsigned attributes; once.
func TestSignEarlier(t *testing.T) {
	claimed := time.Date(2026, 11, 21, 10, 0, 5, 0, time.UTC)
	proven := claimed.Add(-3 * time.Second)
	for name, test := range map[string]struct {
		proven []time.Time // what each call finds
		fails  bool
		want   time.Time
	}{
		"clock is right":    {[]time.Time{claimed}, false, claimed},
		"clock is ahead":    {[]time.Time{proven, proven}, false, proven},
		"proof goes back":   {[]time.Time{proven, proven.Add(-time.Second)}, true, time.Time{}},
		"earlier, and once": {[]time.Time{proven, proven.Add(time.Hour)}, false, proven},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(testP256())
			signer := &o.Signers[0]
			signer.SigningTime = claimed
			last, calls := claimed, 0
			signer.UnsignedAttributes = func(context.Context, []byte) ([]cms.Attribute, error) {
				at := test.proven[calls]
				calls++
				if at.Before(last) {
					last = at
					return nil, &cms.SignEarlierError{SigningTime: at}
				}
				return nil, nil
			}
			var message bytes.Buffer
			w, err := cms.NewSignedDataWriter(t.Context(), &message, o)
			if err != nil {
				t.Fatal(err)
			}
			if err = w.Close(); (err != nil) != test.fails {
				t.Fatal(err)
			}
			if calls != len(test.proven) {
				t.Errorf("%d calls", calls)
			}
			if test.fails {
				return
			}
			s, _, err := verifyAll(message.Bytes(), nil, cms.VerifyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := s.SignerInfos[0].SigningTime(); !ok || !got.Equal(test.want) {
				t.Errorf("signing time %s, want %s", got, test.want)
			}
		})
	}
}

// TestSignLater signs nothing anew for a time that is no earlier: the error is one like others, and ends the signing.
func TestSignLater(t *testing.T) {
	claimed := time.Date(2026, 11, 21, 10, 0, 5, 0, time.UTC)
	for name, at := range map[string]time.Time{"later": claimed.Add(time.Second), "the same": claimed} {
		o := options(testP256())
		calls := 0
		o.Signers[0].SigningTime = claimed
		o.Signers[0].UnsignedAttributes = func(context.Context, []byte) ([]cms.Attribute, error) {
			calls++
			return nil, &cms.SignEarlierError{SigningTime: at}
		}
		w, err := cms.NewSignedDataWriter(t.Context(), io.Discard, o)
		if err != nil {
			t.Fatal(err)
		}
		_, earlier := errors.AsType[*cms.SignEarlierError](w.Close())
		if !earlier || calls != 1 {
			t.Errorf("%s: %t after %d calls", name, earlier, calls)
		}
	}
}

func TestOtherContentType(t *testing.T) {
	o := options(testP256())
	o.ContentType = cms.OIDTSTInfo
	message := sign(t, []byte("token"), o)
	s, digest, _, err := readSigned(message, cms.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !s.EContentType.Equal(cms.OIDTSTInfo) || s.Version != 3 {
		t.Errorf("type %v, version %d", s.EContentType, s.Version)
	}
	cert := testP256().cert
	if err := s.SignerInfos[0].Verify(cert, digest, cms.VerifyOptions{ContentType: cms.OIDTSTInfo}); err != nil {
		t.Error(err)
	}
	for _, other := range []cms.VerifyOptions{{ContentType: cms.OIDData}, {}} {
		if err := s.SignerInfos[0].Verify(cert, digest, other); !errors.Is(err, cms.ErrContentType) {
			t.Errorf("as %v: %v", other.ContentType, err)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*cms.SignedDataOptions)
		want   error // nil: any
	}{
		"no signer":        {func(o *cms.SignedDataOptions) { o.Signers = nil }, cms.ErrNoSigners},
		"no scheme stated": {func(o *cms.SignedDataOptions) { o.Signers[0].Scheme = 0 }, nil},
		"no digest stated": {func(o *cms.SignedDataOptions) { o.Signers[0].Digest = 0 }, nil},
		"unknown scheme":   {func(o *cms.SignedDataOptions) { o.Signers[0].Scheme = 9 }, cms.ErrAlgorithmMismatch},
		"no key":           {func(o *cms.SignedDataOptions) { o.Signers[0].Key = nil }, nil},
		"another's key":    {func(o *cms.SignedDataOptions) { o.Signers[0].Key = testP384().key }, nil},
		"nil certificate":  {func(o *cms.SignedDataOptions) { o.Certificates[0] = nil }, nil},
		"unknown SID form": {func(o *cms.SignedDataOptions) { o.Signers[0].SID = 7 }, nil},
		"SHA-1":            {func(o *cms.SignedDataOptions) { o.Signers[0].Digest = crypto.SHA1 }, new(cms.WeakError)},
		"MD5":              {func(o *cms.SignedDataOptions) { o.Signers[0].Digest = crypto.MD5 }, new(cms.WeakError)},
		"weak RSA":         {func(o *cms.SignedDataOptions) { *o = options(testRSAWeak()) }, new(cms.WeakError)},
		"Ed25519 with SHA-256": {func(o *cms.SignedDataOptions) {
			*o = options(testEd25519())
			o.Signers[0].Digest = crypto.SHA256
		}, cms.ErrDigestAlgorithm},
		"P-256 as RSA":   {func(o *cms.SignedDataOptions) { o.Signers[0].Scheme = cms.RSASSAPKCS1v15 }, cms.ErrAlgorithmMismatch},
		"P-256 as PSS":   {func(o *cms.SignedDataOptions) { o.Signers[0].Scheme = cms.RSASSAPSS }, cms.ErrAlgorithmMismatch},
		"RSA as Ed25519": {func(o *cms.SignedDataOptions) { *o = options(testRSA()); o.Signers[0].Scheme = cms.Ed25519 }, cms.ErrAlgorithmMismatch},
		"PSS key as PKCS #1 v1.5": {func(o *cms.SignedDataOptions) {
			*o = options(testPSS())
			o.Signers[0].Scheme = cms.RSASSAPKCS1v15
		}, cms.ErrAlgorithmMismatch},
		"PSS key under another hash": {func(o *cms.SignedDataOptions) {
			*o = options(testPSSSHA384())
			o.Signers[0].Digest = crypto.SHA512
		}, cms.ErrAlgorithmMismatch},
		"PSS key with a longer salt": {func(o *cms.SignedDataOptions) {
			*o = options(pssOnly(testRSA(), pssParameters(oidSHA256, oidMGF1, oidSHA256, 40, -1)))
		}, cms.ErrAlgorithmMismatch},
		"PSS key for SHA-1": {func(o *cms.SignedDataOptions) { *o = options(pssOnly(testRSA(), []byte{0x30, 0})) }, new(cms.WeakError)},
		"another's key, PSS": {func(o *cms.SignedDataOptions) {
			*o = options(testPSS())
			o.Signers[0].Key = testRSAWeak().key
		}, nil},
		"odd certificate":   {func(o *cms.SignedDataOptions) { o.Certificates = append(o.Certificates, new(x509.Certificate)) }, nil},
		"CRL that is none":  {func(o *cms.SignedDataOptions) { o.CRLs = [][]byte{{5, 0}} }, nil},
		"CRL with a tail":   {func(o *cms.SignedDataOptions) { o.CRLs = [][]byte{{0x30, 0, 0}} }, nil},
		"OCSP that is none": {func(o *cms.SignedDataOptions) { o.OCSPResponses = [][]byte{nil} }, nil},
		"attribute of its own twice": {func(o *cms.SignedDataOptions) {
			o.Signers[0].SignedAttributes = []cms.Attribute{{Type: cms.OIDAttributeMessageDigest, Values: [][]byte{{4, 0}}}}
		}, cms.ErrDuplicateAttribute},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(testP256())
			tt.change(&o)
			der, err := cms.Sign(t.Context(), []byte("content"), o)
			if err == nil || der != nil {
				t.Fatal("was signed")
			}
			var weak *cms.WeakError
			if _, ok := tt.want.(*cms.WeakError); ok {
				if !errors.As(err, &weak) {
					t.Errorf("error is %v", err)
				}
			} else if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error is %v", err)
			}
		})
	}
}
