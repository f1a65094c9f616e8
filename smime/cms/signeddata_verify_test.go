package cms_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// TestVerifyMessage has four signers, and spoils each of their signatures in turn: the others stay good.
func TestVerifyMessage(t *testing.T) {
	signers := []identity{testRSA(), testP256(), testPSS(), testEd25519()}
	o := options(signers...)
	o.Signers[1].SID, o.Signers[3].SID = cms.SubjectKeyIdentifier, cms.SubjectKeyIdentifier
	message := stream(t, []byte("signed by four"), o)
	verify := func(message []byte, others ...*x509.Certificate) ([]cms.Verification, error) {
		s, digest, _, err := readSigned(message, cms.Limits{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData}, others...)
	}
	good, err := verify(message)
	if err != nil || len(good) != 4 {
		t.Fatalf("%d results, %v", len(good), err)
	}
	for i := range good {
		spoiled := bytes.Clone(message)
		spoiled[region(t, message, good[i].SignerInfo.Signature)[1]-1] ^= 1
		results, err := verify(spoiled)
		checkOnly(t, err, cms.ErrSignature)
		for j, r := range results {
			if want := map[bool]error{true: cms.ErrSignature}[i == j]; !errors.Is(r.Err, want) || r.Certificate == nil {
				t.Errorf("signer %d spoiled: signer %d: %v", i, j, r.Err)
			}
		}
	}
	spoiled := bytes.Replace(message, []byte("by four"), []byte("by five"), 1)
	results, err := verify(spoiled)
	checkOnly(t, err, cms.ErrMessageDigest)
	for _, r := range results {
		checkOnly(t, r.Err, cms.ErrMessageDigest)
	}

	// Certificates that are not in the message.
	o.Certificates = o.Certificates[:1]
	message = stream(t, []byte("signed by four"), o)
	results, err = verify(message, testP256().cert, testEd25519().cert)
	checkOnly(t, err, cms.ErrNoCertificate)
	for _, r := range results {
		if r.Err != nil {
			checkOnly(t, r.Err, cms.ErrNoCertificate)
		} else if !r.SignerInfo.SID.Matches(r.Certificate) {
			t.Errorf("%v is not the signer", r.Certificate.Subject)
		}
	}
	if missing := slices.DeleteFunc(results, func(r cms.Verification) bool { return r.Err == nil }); len(missing) != 1 || missing[0].Certificate != nil {
		t.Errorf("%d certificates are missing", len(missing))
	}
	if _, err := verify(message, testP256().cert, testEd25519().cert, testPSS().cert); err != nil {
		t.Error(err)
	}
}

// TestVerifyMessageType asks for another type than the message has, although its signature is good.
func TestVerifyMessageType(t *testing.T) {
	o := options(testP256())
	o.ContentType = cms.OIDTSTInfo
	s, digest, _, err := readSigned(sign(t, []byte("token"), o), cms.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, contentType := range [][]int{cms.OIDData, nil} {
		results, err := s.Verify(digest, cms.VerifyOptions{ContentType: contentType})
		checkOnly(t, err, cms.ErrContentType)
		if results != nil {
			t.Errorf("as %v: results", contentType)
		}
	}
	if _, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDTSTInfo}); err != nil {
		t.Error(err)
	}
}

// TestNoSigners has content, or none, and certificates, and nobody who signed.
func TestNoSigners(t *testing.T) {
	for _, text := range []string{"content", ""} {
		d := newDraft(testP256())
		d.content = []byte(text)
		s, digest, content, err := readSigned(withoutSigners(t, d.marshal(t)), cms.Limits{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		results, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData, AllowWeak: true})
		checkOnly(t, err, cms.ErrNoSigners)
		// A bag of certificates may have a content, if it has no octets.
		if results != nil || s.CertsOnly() != (text == "") || string(content) != text || len(s.Certificates) != 1 {
			t.Errorf("%q: %d results, certs-only %v, content %q", text, len(results), s.CertsOnly(), content)
		}
	}
}

// withoutSigners empties the last element of a SignedData, the SignerInfos, and shortens what is around it.
func withoutSigners(t *testing.T, message []byte) []byte {
	t.Helper()
	return marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(cms.OIDSignedData)
			b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					in := cryptobyte.String(message)
					var info, content, signed, element cryptobyte.String
					if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !info.SkipASN1(cbasn1.OBJECT_IDENTIFIER) ||
						!info.ReadASN1(&content, cbasn1.Tag(0).Constructed().ContextSpecific()) || !content.ReadASN1(&signed, cbasn1.SEQUENCE) {
						t.Fatal("no SignedData")
					}
					for range 4 { // version, digestAlgorithms, encapContentInfo, certificates
						signed.ReadAnyASN1Element(&element, new(cbasn1.Tag))
						b.AddBytes(element)
					}
					b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
				})
			})
		})
	})
}

// TestReadDetached reads detached signatures with their content, and what is none.
func TestReadDetached(t *testing.T) {
	const text = "Content-Type: text/plain\r\n\r\nHello\r\n"
	o := options(testP256(), testEd25519())
	read := func(message []byte, content io.Reader, l cms.Limits) (*cms.SignedData, *cms.ContentDigest, error) {
		info, err := cms.Read(bytes.NewReader(message), l)
		if err != nil {
			t.Fatal(err)
		}
		s := info.(*cms.SignedData)
		digest, err := s.ReadDetached(t.Context(), content)
		return s, digest, err
	}
	attached := sign(t, []byte(text), o)
	s, digest, err := read(attached, strings.NewReader(text), cms.Limits{})
	checkOnly(t, err, cms.ErrTwoContents)
	if digest != nil || len(s.SignerInfos) != 2 {
		t.Error("a message with its own content gives a digest, or its signers are not known")
	}
	o.Detached = true
	detached := sign(t, []byte(text), o)
	for content, want := range map[string]error{text: nil, strings.ToUpper(text): cms.ErrMessageDigest, "": cms.ErrMessageDigest} {
		s, digest, err := read(detached, strings.NewReader(content), cms.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData}); !errors.Is(err, want) {
			t.Errorf("%q: %v", content, err)
		}
	}
	for name, tt := range map[string]struct {
		content io.Reader
		limits  cms.Limits
		want    error
	}{
		"content just so large": {strings.NewReader(text), cms.Limits{Content: int64(len(text))}, nil},
		"content too large":     {strings.NewReader(text), cms.Limits{Content: int64(len(text)) - 1}, cms.ErrTooLarge},
		"content breaks off":    {io.MultiReader(strings.NewReader(text), failingReader{io.ErrClosedPipe}), cms.Limits{}, io.ErrClosedPipe},
		"ends unexpectedly":     {io.MultiReader(strings.NewReader(text), failingReader{io.ErrUnexpectedEOF}), cms.Limits{}, io.ErrUnexpectedEOF},
	} {
		_, digest, err := read(detached, tt.content, tt.limits)
		if !errors.Is(err, tt.want) || (digest == nil) != (tt.want != nil) || errors.Is(err, cms.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	info, err := cms.Read(bytes.NewReader(detached), cms.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s = info.(*cms.SignedData)
	if _, err := s.ReadDetached(ctx, cancelling{cancel}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := s.ReadDetached(t.Context(), strings.NewReader(text)); err == nil {
		t.Error("a message was read twice")
	}
}

// TestVerifyIncomplete has a message that breaks off behind its first signer, who signed well, and a caller who goes on
// all the same.
func TestVerifyIncomplete(t *testing.T) {
	o := options(testP256(), testEd25519())
	o.Detached = true
	message := sign(t, []byte("content"), o)
	digest, err := cms.NewContentDigest(crypto.SHA256, crypto.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := digest.Write([]byte("content")); err != nil {
		t.Fatal(err)
	}
	for cut, wantErr := range map[int]bool{0: false, 1: true} {
		info, err := cms.Read(bytes.NewReader(message[:len(message)-cut]), cms.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		s := info.(*cms.SignedData)
		if _, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData}); err == nil {
			t.Error("verified before it was read")
		}
		if _, err := s.ReadContent(t.Context(), nil); (err != nil) != wantErr {
			t.Errorf("%d octets short: %v", cut, err)
		}
		if wantErr && len(s.SignerInfos) != 1 {
			t.Fatalf("%d signers were read", len(s.SignerInfos))
		}
		if results, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData}); (err != nil) != wantErr {
			t.Errorf("%d octets short: %d results, %v", cut, len(results), err)
		}
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// cancelling is a content without end, whose reader loses patience.
type cancelling struct{ cancel context.CancelFunc }

func (c cancelling) Read(p []byte) (int, error) {
	c.cancel()
	return len(p), nil
}

// TestSameKeyIdentifier has several certificates under the key identifier that the signer names.
func TestSameKeyIdentifier(t *testing.T) {
	signer := testP256()
	renamed := func(serial int64, id identity) *x509.Certificate {
		template := *issue(serial, id.key).cert
		template.SubjectKeyId = signer.cert.SubjectKeyId
		return mustCertificate(&template, testCA().cert, id.key, testCA().key)
	}
	var impostors []*x509.Certificate // other keys under the same key identifier
	for serial := range int64(8) {
		impostors = append(impostors, renamed(100+serial, otherP256()))
	}
	renewed := renamed(200, signer) // the same key
	for name, tt := range map[string]struct {
		bag    []*x509.Certificate
		others []*x509.Certificate
		want   error
		cert   *x509.Certificate // that must come out
	}{
		"alone":                   {[]*x509.Certificate{signer.cert}, nil, nil, signer.cert},
		"behind another":          {[]*x509.Certificate{impostors[0], signer.cert}, nil, nil, signer.cert},
		"before another":          {[]*x509.Certificate{signer.cert, impostors[0]}, nil, nil, signer.cert},
		"behind seven":            {append(slices.Clone(impostors[:7]), signer.cert), nil, nil, signer.cert},
		"at hand":                 {impostors[:1], []*x509.Certificate{testRSA().cert, signer.cert}, nil, signer.cert},
		"beside its renewal":      {[]*x509.Certificate{renewed, signer.cert}, nil, nil, signer.cert},
		"the renewal alone":       {[]*x509.Certificate{renewed}, nil, cms.ErrSigningCertificate, renewed}, // RFC 5035
		"another alone":           {impostors[:1], nil, cms.ErrSigningCertificate, impostors[0]},
		"beyond what is tried":    {impostors, []*x509.Certificate{signer.cert}, cms.ErrSigningCertificate, nil},
		"none of this identifier": {[]*x509.Certificate{testRSA().cert}, []*x509.Certificate{testP384().cert}, cms.ErrNoCertificate, nil},
	} {
		o := options(signer)
		o.Signers[0].SID = cms.SubjectKeyIdentifier
		o.Certificates = tt.bag
		s, digest, _, err := readSigned(sign(t, []byte("content"), o), cms.Limits{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		matching := 0
		for _, c := range tt.bag {
			if bytes.Equal(c.SubjectKeyId, signer.cert.SubjectKeyId) {
				matching++
			}
		}
		if got := s.CertificatesFor(s.SignerInfos[0].SID); len(got) != matching {
			t.Errorf("%s: %d certificates of %d", name, len(got), matching)
		}
		results, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData}, tt.others...)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if tt.cert != nil && !tt.cert.Equal(results[0].Certificate) {
			t.Errorf("%s: another certificate", name)
		}
	}
	// Many signers share what may be tried beyond the first certificate of each: four of them 7, the fifth the other 4.
	o := options(signer, signer, signer, signer, signer, signer)
	for i := range o.Signers {
		o.Signers[i].SID = cms.SubjectKeyIdentifier
	}
	s, digest, _, err := readSigned(sign(t, []byte("content"), o), cms.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Certificates = nil
	for _, c := range append(slices.Clone(impostors[:7]), signer.cert) {
		s.Certificates = append(s.Certificates, c.Raw)
	}
	many, _ := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData})
	for i, r := range many {
		if tried := i < 4; tried != (r.Err == nil) || !tried && !errors.Is(r.Err, cms.ErrSigningCertificate) {
			t.Errorf("signature %d of many: %v", i+1, r.Err)
		}
	}
	// Without signing-certificate attributes, the key decides alone.
	d := newDraft(signer)
	d.keyID = true
	d.extra = slices.Concat(impostors[0].Raw, renewed.Raw)
	if s, digest, _, err = readSigned(d.marshal(t), cms.Limits{}, nil); err != nil {
		t.Fatal(err)
	}
	results, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData})
	if err != nil || !results[0].Certificate.Equal(renewed) {
		t.Errorf("without the attribute: %v", err)
	}
	// Where several would do, it is the one that was valid when the signer says to have signed.
	template := *renewed
	template.SerialNumber, template.NotAfter = big.NewInt(201), testTime.AddDate(0, 0, -1)
	lapsed := mustCertificate(&template, testCA().cert, signer.key, testCA().key)
	for name, tt := range map[string]struct {
		claimed time.Time
		want    *x509.Certificate
	}{"no time claimed": {want: lapsed}, "time claimed": {testTime, renewed}, "earlier time": {testTime.AddDate(0, 0, -2), lapsed}} {
		d.resetAttributes()
		if !tt.claimed.IsZero() {
			d.add(cms.OIDAttributeSigningTime, marshal(func(b *cryptobyte.Builder) { b.AddASN1UTCTime(tt.claimed) }))
		}
		d.extra = slices.Concat(lapsed.Raw, renewed.Raw)
		if s, digest, _, err = readSigned(d.marshal(t), cms.Limits{}, nil); err != nil {
			t.Fatal(err)
		}
		results, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData})
		if err != nil || !results[0].Certificate.Equal(tt.want) {
			t.Errorf("%s: certificate %v, %v", name, results[0].Certificate.SerialNumber, err)
		}
	}
}

// TestOddSignerCertificate has certificates that crypto/x509 refuses: the message is read, others verify, and a signer
// whose own certificate it is gets an error of its own.
func TestOddSignerCertificate(t *testing.T) {
	rest := make([]byte, 64) // more than any curve needs
	brainpool := marshal(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidECPublicKey)
				b.AddASN1ObjectIdentifier([]int{1, 3, 36, 3, 3, 2, 8, 1, 1, 7}) // brainpoolP256r1
			})
			b.AddASN1BitString(append([]byte{4}, rest...))
		})
	})
	p256 := testP256().cert
	for name, odd := range map[string][]byte{
		"negative serial": reissue(p256, tbsSerial, []byte{2, 1, 0xfe}),
		"brainpool":       reissue(p256, tbsKey, brainpool),
		"explicit curve":  reissue(p256, tbsKey, []byte{0x30, 0x0f, 0x30, 0x0b, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x30, 0, 3, 0}),
		"garbage":         {0x30, 4, 0xff, 0xff, 0xff, 0xff},
		"empty":           {0x30, 0},
		"indefinite":      append(append([]byte{0x30, 0x80}, p256.Raw[4:]...), 0, 0),
		"text inside":     append([]byte{0x30, 11}, "certificate"...),
	} {
		if _, err := x509.ParseCertificate(odd); err == nil {
			t.Errorf("%s is parsed now", name)
		}
		d := newDraft(testP384())
		d.signature.Algorithm = oidECDSAWithSHA256
		d.extra = odd
		s, digest, _, err := readSigned(d.marshal(t), cms.Limits{}, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(s.Certificates) != 2 || !bytes.Equal(s.Certificates[0], odd) {
			t.Errorf("%s: %d certificates", name, len(s.Certificates))
		}
		if _, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData}); err != nil {
			t.Errorf("%s beside: %v", name, err)
		}
	}
	// As the signer's own.
	for name, odd := range map[string][]byte{
		"negative serial": reissue(p256, tbsSerial, []byte{2, 1, 0xfe}),
		"brainpool":       reissue(p256, tbsKey, brainpool),
	} {
		d := newDraft(identity{&x509.Certificate{Raw: odd, SubjectKeyId: p256.SubjectKeyId}, testP256().key})
		d.keyID = true
		s, digest, _, err := readSigned(d.marshal(t), cms.Limits{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.CertificatesFor(s.SignerInfos[0].SID)) != 1 {
			t.Errorf("%s: not found by its key identifier", name)
		}
		results, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData})
		checkOnly(t, err, errWantUnsupported)
		if results[0].Certificate != nil {
			t.Errorf("%s: came out parsed", name)
		}
		// One that can be read is not kept from being tried.
		if _, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData}, p256); err != nil {
			t.Errorf("%s in the message, and the right one at hand: %v", name, err)
		}
	}
}
