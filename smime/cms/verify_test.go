package cms_test

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"io"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
)

// TestVerify says which error each way of being wrong has.
func TestVerify(t *testing.T) {
	ecdsa := func(hash asn1.ObjectIdentifier) cms.AlgorithmIdentifier {
		return cms.AlgorithmIdentifier{Algorithm: hash}
	}
	p256 := testP256().cert
	sha1OfCert, sha256OfCert := hashOf(crypto.SHA1, p256.Raw), hashOf(crypto.SHA256, p256.Raw)
	utcTime := []byte("\x17\x0d261121100211Z")
	for name, tt := range map[string]struct {
		change func(*draft)
		want   error // nil: verifies
	}{
		"good":                   {func(*draft) {}, nil},
		"good, by key id":        {func(d *draft) { d.keyID = true }, nil},
		"attributes unsorted":    {func(d *draft) { d.add(cms.OIDAttributeSigningTime, utcTime); d.unsorted = true }, nil},
		"signed unsorted":        {func(d *draft) { d.add(cms.OIDAttributeSigningTime, utcTime); d.asSent(t) }, nil},
		"signed so, sent sorted": {func(d *draft) { d.add(cms.OIDAttributeSigningTime, utcTime); d.asSent(t); d.unsorted = false }, cms.ErrSignature},
		"no attributes":          {func(d *draft) { d.attributes = nil }, nil},
		"unsorted as content":    {func(d *draft) { d.asSent(t); d.content, d.signed, d.attributes = d.signed, nil, nil }, cms.ErrAttributesAsContent},
		"unknown attribute":      {func(d *draft) { d.add(oidUnknown, []byte{5, 0}, []byte{5, 0}) }, nil},
		"unknown announced":      {func(d *draft) { d.announced = append(d.announced, oidUnknown, oidMD5) }, nil},
		"white space behind":     {func(d *draft) { d.trailing = []byte("\r\n \x00\x00") }, nil},
		"id-ecPublicKey":         {func(d *draft) { d.signature = ecdsa(oidECPublicKey) }, nil},
		"id-ecPublicKey, curve":  {func(d *draft) { d.signature = cms.AlgorithmIdentifier{Algorithm: oidECPublicKey, Parameters: derP256} }, nil},
		"digest parameters NULL": {func(d *draft) { d.digest.Parameters = []byte{5, 0} }, nil},

		"content changed":        {func(d *draft) { d.content = []byte("Pay 99 euros.") }, cms.ErrMessageDigest},
		"content changed, plain": {func(d *draft) { d.attributes = nil; d.signed = []byte("other") }, cms.ErrSignature},
		"attributes changed":     {func(d *draft) { d.signed = d.set(); d.add(cms.OIDAttributeSigningTime, utcTime) }, cms.ErrSignature},
		"attributes dropped":     {func(d *draft) { d.signed = d.set(); d.attributes = nil }, cms.ErrSignature},
		"attributes as content": {func(d *draft) {
			set := d.set()
			d.signed, d.content, d.attributes = set, set, nil
		}, cms.ErrAttributesAsContent},
		"attributes as content of another type": {func(d *draft) {
			set := d.set()
			d.signed, d.content, d.attributes, d.contentType = set, set, nil, cms.OIDTSTInfo
		}, cms.ErrAttributesAsContent},
		"signature empty":     {func(d *draft) { d.value = []byte{} }, cms.ErrSignature},
		"signature too long":  {func(d *draft) { d.value = append(d.sign(t), 0) }, cms.ErrSignature},
		"signature of zeroes": {func(d *draft) { d.value = []byte{0x30, 6, 2, 1, 0, 2, 1, 0} }, cms.ErrSignature},

		"no attributes, other type": {func(d *draft) { d.attributes = nil; d.contentType = cms.OIDTSTInfo }, cms.ErrMissingAttribute},
		"empty attributes":          {func(d *draft) { d.attributes = []cms.Attribute{} }, cms.ErrMissingAttribute},
		"no content-type":           {func(d *draft) { d.attributes = d.attributes[1:] }, cms.ErrMissingAttribute},
		"no message-digest":         {func(d *draft) { d.attributes = d.attributes[:1] }, cms.ErrMissingAttribute},
		"another content-type":      {func(d *draft) { d.contentType = cms.OIDTSTInfo }, cms.ErrContentType},
		"content-type no identifier": {func(d *draft) {
			d.attributes[0].Values = [][]byte{{5, 0}}
		}, cms.ErrAttributes},
		"content-type beyond int": {func(d *draft) {
			d.attributes[0].Values = [][]byte{append([]byte{6, 20}, bytes.Repeat([]byte{0xff}, 19)...)}
			d.attributes[0].Values[0] = append(d.attributes[0].Values[0], 1)
		}, cms.ErrContentType},
		"content-type twice":         {func(d *draft) { d.attributes = append(d.attributes, d.attributes[0]) }, cms.ErrDuplicateAttribute},
		"message-digest twice":       {func(d *draft) { d.attributes = append(d.attributes, d.attributes[1]) }, cms.ErrDuplicateAttribute},
		"unknown attribute twice":    {func(d *draft) { d.add(oidUnknown); d.add(oidUnknown) }, cms.ErrDuplicateAttribute},
		"content-type of two values": {func(d *draft) { two(&d.attributes[0]) }, cms.ErrMultiValued},
		"message-digest of two":      {func(d *draft) { two(&d.attributes[1]) }, cms.ErrMultiValued},
		"message-digest of none":     {func(d *draft) { d.attributes[1].Values = nil }, cms.ErrMultiValued},
		"message-digest no octets":   {func(d *draft) { d.attributes[1].Values = [][]byte{{5, 0}} }, cms.ErrAttributes},
		"signing time of two":        {func(d *draft) { d.add(cms.OIDAttributeSigningTime, utcTime, utcTime) }, cms.ErrMultiValued},
		"signing time twice": {func(d *draft) {
			d.add(cms.OIDAttributeSigningTime, utcTime)
			d.add(cms.OIDAttributeSigningTime, utcTime)
		}, cms.ErrDuplicateAttribute},
		"signing time malformed":      {func(d *draft) { d.add(cms.OIDAttributeSigningTime, []byte("\x17\x0b2611211002Z")) }, cms.ErrAttributes},
		"signing time another type":   {func(d *draft) { d.add(cms.OIDAttributeSigningTime, []byte{5, 0}) }, cms.ErrAttributes},
		"capabilities of two":         {func(d *draft) { d.add(cms.OIDAttributeSMIMECapabilities, []byte{0x30, 0}, []byte{0x30, 0}) }, cms.ErrMultiValued},
		"signing-certificate of two":  {func(d *draft) { d.add(cms.OIDAttributeSigningCertificateV2, []byte{0x30, 0}, []byte{0x30, 0}) }, cms.ErrMultiValued},
		"algorithm protection of two": {func(d *draft) { d.add(cms.OIDAttributeAlgorithmProtection, []byte{0x30, 0}, []byte{0x30, 0}) }, cms.ErrMultiValued},

		"digest not announced":       {func(d *draft) { d.announced = []asn1.ObjectIdentifier{oidSHA384} }, cms.ErrNotHashed},
		"digest unknown":             {func(d *draft) { d.digest.Algorithm = oidUnknown }, errWantUnsupported},
		"signature unknown":          {func(d *draft) { d.signature.Algorithm = oidUnknown }, errWantUnsupported},
		"DSA":                        {func(d *draft) { d.signature.Algorithm = oidDSAWithSHA256 }, errWantUnsupported},
		"signature parameters":       {func(d *draft) { d.signature.Parameters = []byte{0x30, 0} }, errWantUnsupported},
		"signature of RSA":           {func(d *draft) { d.signature.Algorithm = oidRSA }, cms.ErrAlgorithmMismatch},
		"digest and signature":       {func(d *draft) { d.signature = ecdsa(oidECDSAWithSHA384) }, cms.ErrDigestAlgorithm},
		"MD5":                        {func(d *draft) { d.digest.Algorithm = oidMD5 }, cms.ErrBrokenDigest},
		"MD5 in the signature":       {func(d *draft) { d.signature.Algorithm = oidMD5WithRSA }, cms.ErrBrokenDigest},
		"SHA-1":                      {weakenToSHA1, errWantWeak},
		"SHA-1, and content changed": {func(d *draft) { weakenToSHA1(d); d.content = []byte("x") }, cms.ErrMessageDigest},

		"algorithm protection": {func(d *draft) {
			d.add(cms.OIDAttributeAlgorithmProtection, algorithmProtection(1, d.digest, d.signature))
		}, nil},
		"algorithm protection with NULL": {func(d *draft) {
			digest := d.digest
			digest.Parameters = []byte{5, 0}
			d.add(cms.OIDAttributeAlgorithmProtection, algorithmProtection(1, digest, d.signature))
		}, nil},
		"another digest protected": {func(d *draft) {
			d.add(cms.OIDAttributeAlgorithmProtection, algorithmProtection(1, ecdsa(oidSHA384), d.signature))
		}, cms.ErrAlgorithmProtection},
		"another signature protected": {func(d *draft) {
			d.add(cms.OIDAttributeAlgorithmProtection, algorithmProtection(1, d.digest, ecdsa(oidECPublicKey)))
		}, cms.ErrAlgorithmProtection},
		"MAC protected": {func(d *draft) {
			d.add(cms.OIDAttributeAlgorithmProtection, algorithmProtection(2, d.digest, d.signature))
		}, cms.ErrAlgorithmProtection},
		"protection malformed": {func(d *draft) { d.add(cms.OIDAttributeAlgorithmProtection, []byte{5, 0}) }, cms.ErrAlgorithmProtection},

		"signing-certificate v2": {func(d *draft) {
			d.add(cms.OIDAttributeSigningCertificateV2, signingCertificate(nil, sha256OfCert, issuerSerial(p256.RawIssuer, 2)))
		}, nil},
		"signing-certificate v2, SHA-384": {func(d *draft) {
			d.add(cms.OIDAttributeSigningCertificateV2, signingCertificate(oidSHA384, hashOf(crypto.SHA384, p256.Raw), nil))
		}, nil},
		"signing-certificate v1": {func(d *draft) {
			d.add(cms.OIDAttributeSigningCertificate, signingCertificate(nil, sha1OfCert, issuerSerial(p256.RawIssuer, 2)))
		}, nil},
		"signing-certificate v1, wrong hash": {func(d *draft) {
			d.add(cms.OIDAttributeSigningCertificate, signingCertificate(nil, sha256OfCert[:20], nil))
		}, cms.ErrSigningCertificate},
		"signing-certificate v2, wrong hash": {func(d *draft) {
			d.add(cms.OIDAttributeSigningCertificateV2, signingCertificate(nil, hashOf(crypto.SHA256, nil), nil))
		}, cms.ErrSigningCertificate},
		"v1 right, v2 wrong": {func(d *draft) {
			d.add(cms.OIDAttributeSigningCertificate, signingCertificate(nil, sha1OfCert, nil))
			d.add(cms.OIDAttributeSigningCertificateV2, signingCertificate(nil, hashOf(crypto.SHA256, nil), nil))
		}, cms.ErrSigningCertificate},
		"v2 right, v1 wrong": {func(d *draft) {
			d.add(cms.OIDAttributeSigningCertificate, signingCertificate(nil, sha256OfCert[:20], nil))
			d.add(cms.OIDAttributeSigningCertificateV2, signingCertificate(nil, sha256OfCert, nil))
		}, cms.ErrSigningCertificate},
		"signing-certificate, wrong serial": {func(d *draft) {
			d.add(cms.OIDAttributeSigningCertificateV2, signingCertificate(nil, sha256OfCert, issuerSerial(p256.RawIssuer, 3)))
		}, cms.ErrSigningCertificate},
		"signing-certificate, wrong issuer": {func(d *draft) {
			d.add(cms.OIDAttributeSigningCertificateV2, signingCertificate(nil, sha256OfCert, issuerSerial(p256.RawSubject, 2)))
		}, cms.ErrSigningCertificate},
		"signing-certificate, MD5": {func(d *draft) {
			d.add(cms.OIDAttributeSigningCertificateV2, signingCertificate(oidMD5, sha256OfCert[:16], nil))
		}, cms.ErrBrokenDigest},
		"signing-certificate, unknown hash": {func(d *draft) {
			d.add(cms.OIDAttributeSigningCertificateV2, signingCertificate(oidUnknown, sha256OfCert, nil))
		}, errWantUnsupported},
		"signing-certificate malformed": {func(d *draft) { d.add(cms.OIDAttributeSigningCertificateV2, []byte{0x30, 0}) }, cms.ErrSigningCertificate},
		"signing-certificate of nobody": {func(d *draft) { d.add(cms.OIDAttributeSigningCertificateV2, []byte{0x30, 2, 0x30, 0}) }, cms.ErrSigningCertificate},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDraft(testP256())
			tt.change(d)
			s, digest, _, err := readSigned(d.marshal(t), cms.Limits{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			// The type is that of the message, but where the test is about its being another.
			o := cms.VerifyOptions{ContentType: s.EContentType}
			err = s.SignerInfos[0].Verify(p256, digest, o)
			if tt.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			checkOnly(t, err, tt.want)
			if tt.want == errWantWeak {
				o.AllowWeak = true
				if err := s.SignerInfos[0].Verify(p256, digest, o); err != nil {
					t.Errorf("weak and allowed: %v", err)
				}
			} else if o.AllowWeak = true; s.SignerInfos[0].Verify(p256, digest, o) == nil {
				t.Error("AllowWeak lets it pass")
			}
		})
	}
}

// derP256 is the object identifier of the curve.
var derP256 = []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}

// two gives an attribute its value twice.
func two(a *cms.Attribute) { a.Values = append(a.Values, a.Values[0]) }

func weakenToSHA1(d *draft) {
	d.hash = crypto.SHA1
	d.announced = []asn1.ObjectIdentifier{oidSHA1}
	d.digest.Algorithm = oidSHA1
	d.signature.Algorithm = oidECDSAWithSHA1
	d.resetAttributes()
}

func TestVerifyRSA(t *testing.T) {
	null := []byte{5, 0}
	for name, tt := range map[string]struct {
		id        identity
		signature cms.AlgorithmIdentifier
		want      error
	}{
		"rsaEncryption":                {testRSA(), cms.AlgorithmIdentifier{Algorithm: oidRSA, Parameters: null}, nil},
		"rsaEncryption, no parameters": {testRSA(), cms.AlgorithmIdentifier{Algorithm: oidRSA}, nil},
		"sha256WithRSAEncryption":      {testRSA(), cms.AlgorithmIdentifier{Algorithm: oidSHA256WithRSA, Parameters: null}, nil},
		"sha384WithRSAEncryption":      {testRSA(), cms.AlgorithmIdentifier{Algorithm: oidSHA384WithRSA, Parameters: null}, cms.ErrDigestAlgorithm},
		"sha1WithRSAEncryption":        {testRSA(), cms.AlgorithmIdentifier{Algorithm: oidSHA1WithRSA, Parameters: null}, cms.ErrDigestAlgorithm},
		"ecdsa-with-SHA256":            {testRSA(), cms.AlgorithmIdentifier{Algorithm: oidECDSAWithSHA256}, cms.ErrAlgorithmMismatch},
		"other parameters":             {testRSA(), cms.AlgorithmIdentifier{Algorithm: oidRSA, Parameters: []byte{0x30, 0}}, errWantUnsupported},
		"1024 bits":                    {testRSAWeak(), cms.AlgorithmIdentifier{Algorithm: oidRSA}, errWantWeak},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDraft(tt.id)
			d.signature = tt.signature
			_, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{})
			if tt.want == nil && err != nil {
				t.Error(err)
			}
			if tt.want != nil {
				checkOnly(t, err, tt.want)
			}
			if tt.want == errWantWeak {
				if _, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{AllowWeak: true}); err != nil {
					t.Errorf("weak and allowed: %v", err)
				}
			}
		})
	}
}

// ed25519Draft returns a good one, by Ed25519.
func ed25519Draft() *draft {
	return newDraftOf(testEd25519(), cms.Ed25519, crypto.SHA512, cms.AlgorithmIdentifier{Algorithm: oidEd25519})
}

func TestVerifyEd25519(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*draft)
		want   error
	}{
		"good":          {func(*draft) {}, nil},
		"parameters":    {func(d *draft) { d.signature.Parameters = []byte{0x30, 0} }, errWantUnsupported},
		"with SHA-256":  {func(d *draft) { *d = *newDraft(d.signer); d.scheme, d.signature.Algorithm = cms.Ed25519, oidEd25519 }, cms.ErrDigestAlgorithm},
		"no attributes": {func(d *draft) { d.attributes = nil }, errWantUnsupported},
		"as ECDSA":      {func(d *draft) { d.signature.Algorithm = oidECPublicKey }, cms.ErrAlgorithmMismatch},
		"over a digest": {func(d *draft) { d.signed = hashOf(crypto.SHA512, d.set()) }, cms.ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			d := ed25519Draft()
			tt.change(d)
			_, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{})
			if tt.want != nil {
				checkOnly(t, err, tt.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// lying is a content that is not as long as it says.
type lying struct {
	*bytes.Reader
	size int64
}

func (l lying) Size() int64 { return l.size }

// TestVerifyEd25519Content verifies signatures that stand over the content itself (RFC 8419 section 3.1).
func TestVerifyEd25519Content(t *testing.T) {
	content := newDraft(testEd25519()).content
	for name, tt := range map[string]struct {
		content cms.SizeReaderAt
		want    error // nil: verifies
	}{
		"the content":          {bytes.NewReader(content), nil},
		"none":                 {nil, errWantUnsupported},
		"another":              {bytes.NewReader(bytes.ToUpper(content)), cms.ErrMessageDigest},
		"a shorter one":        {bytes.NewReader(content[1:]), cms.ErrMessageDigest},
		"empty":                {bytes.NewReader(nil), cms.ErrMessageDigest},
		"shorter than it says": {lying{bytes.NewReader(content), int64(len(content)) + 1}, io.EOF},
		"negative":             {lying{bytes.NewReader(content), -1}, errWantUnsupported},
		"more than 16 MiB":     {lying{bytes.NewReader(content), 16<<20 + 1}, errWantUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			d := ed25519Draft()
			d.attributes = nil
			_, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{Content: tt.content})
			if tt.want != nil {
				checkOnly(t, err, tt.want)
			} else if err != nil {
				t.Error(err)
			}
			d.signed = []byte("something else")
			_, _, err = verifyAll(d.marshal(t), nil, cms.VerifyOptions{Content: tt.content})
			if tt.want == nil {
				checkOnly(t, err, cms.ErrSignature)
			} else if err == nil {
				t.Error("what was signed is something else")
			}
		})
	}
	// As much as is allowed.
	d := ed25519Draft()
	d.content, d.attributes = make([]byte, 16<<20), nil
	if _, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{Content: bytes.NewReader(d.content)}); err != nil {
		t.Error(err)
	}
	// Where there are signed attributes, the content is not read again.
	d = ed25519Draft()
	if _, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{Content: lying{bytes.NewReader(nil), 1}}); err != nil {
		t.Error(err)
	}
}

func TestVerifyOtherCertificate(t *testing.T) {
	d := newDraft(testP256())
	s, digest, _, err := readSigned(d.marshal(t), cms.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := cms.VerifyOptions{ContentType: cms.OIDData}
	checkOnly(t, s.SignerInfos[0].Verify(otherP256().cert, digest, o), cms.ErrSignerIdentifier)
	// Another key under the same name is no better.
	checkOnly(t, s.SignerInfos[0].Verify(issue(2, otherP256().key).cert, digest, o), cms.ErrSignature)
	if s.SignerInfos[0].Verify(nil, digest, o) == nil || s.SignerInfos[0].Verify(testP256().cert, nil, o) == nil {
		t.Error("verifies without certificate or content")
	}
	// A certificate without a key identifier has none that could match.
	d.keyID = true
	if s, digest, _, err = readSigned(d.marshal(t), cms.Limits{}, nil); err != nil {
		t.Fatal(err)
	}
	cert := *testP256().cert
	cert.SubjectKeyId = nil
	checkOnly(t, s.SignerInfos[0].Verify(&cert, digest, o), cms.ErrSignerIdentifier)
}

func TestVerifySmallRSA(t *testing.T) {
	// crypto/rsa refuses to make or use such a key: the certificate is changed to claim one.
	cert := *testRSA().cert
	d := newDraft(testRSA())
	d.signature.Algorithm = oidRSA
	s, digest, _, err := readSigned(d.marshal(t), cms.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for bits, want := range map[int]error{512: errWantWeak, 20_000: errWantUnsupported} {
		cert.PublicKey = rsaPublicKeyOfSize(bits)
		err := s.SignerInfos[0].Verify(&cert, digest, cms.VerifyOptions{ContentType: cms.OIDData, AllowWeak: true})
		checkOnly(t, err, want)
	}
	cert.PublicKey = nil
	cert.RawSubjectPublicKeyInfo = nil
	err = s.SignerInfos[0].Verify(&cert, digest, cms.VerifyOptions{ContentType: cms.OIDData})
	checkOnly(t, err, errWantUnsupported)
	err = s.SignerInfos[0].Verify(pssOnly(testRSA(), nil).cert, digest, cms.VerifyOptions{ContentType: cms.OIDData})
	checkOnly(t, err, cms.ErrAlgorithmMismatch)
}

// countingReaderAt counts how often it is read.
type countingReaderAt struct {
	*bytes.Reader
	reads int
}

func (c *countingReaderAt) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.Reader.ReadAt(p, off)
}

// TestEd25519ContentOnce: content that is wanted whole is read once, however many signatures want it.
func TestEd25519ContentOnce(t *testing.T) {
	d := ed25519Draft()
	d.attributes = nil
	s, digest, _, err := readSigned(d.marshal(t), cms.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		s.SignerInfos = append(s.SignerInfos, s.SignerInfos[0])
	}
	content := &countingReaderAt{Reader: bytes.NewReader(d.content)}
	if _, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData, Content: content}, testEd25519().cert); err != nil {
		t.Error(err)
	}
	if content.reads != 1 {
		t.Errorf("the content was read %d times", content.reads)
	}
}
