package cms_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func TestReadMalformed(t *testing.T) {
	good := newDraft(testP256()).marshal(t)
	if _, _, _, err := readSigned(good, cms.Limits{}, nil); err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, _, _, err := readSigned(good[:n], cms.Limits{}, nil); !errors.Is(err, cms.ErrMalformed) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	for name, trailing := range map[string][]byte{"text": []byte("\r\nx"), "another message": good} {
		_, _, _, err := readSigned(append(bytes.Clone(good), trailing...), cms.Limits{}, nil)
		if !errors.Is(err, cms.ErrTrailing) || !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("%s behind: %v", name, err)
		}
	}
	for name, l := range map[string]cms.Limits{
		"depth":        {Depth: 3},
		"structure":    {Structure: 500},
		"certificates": {Certificates: 1},
		"signers":      {Signers: 1},
	} {
		message := sign(t, nil, options(testP256(), testP384()))
		want := map[string]error{"depth": cms.ErrTooDeep, "structure": cms.ErrTooLarge}[name]
		if want == nil {
			want = cms.ErrTooMany
		}
		if _, _, _, err := readSigned(message, l, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadContentOfOtherForm(t *testing.T) {
	for name, tt := range map[string]struct {
		content []byte
		want    error
	}{
		"PKCS #7":   {[]byte{0x30, 0}, errWantUnsupported},
		"nothing":   {nil, cms.ErrMalformed},
		"two":       {[]byte{4, 0, 4, 0}, cms.ErrMalformed},
		"[0] in it": {[]byte{0x24, 2, 0x80, 0}, cms.ErrMalformed},
	} {
		explicit := cbasn1.Tag(0).Constructed().ContextSpecific()
		message := marshal(func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(cms.OIDSignedData)
				b.AddASN1(explicit, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(1)
						b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddASN1ObjectIdentifier(cms.OIDData)
							b.AddASN1(explicit, func(b *cryptobyte.Builder) { b.AddBytes(tt.content) })
						})
						b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
					})
				})
			})
		})
		if _, _, _, err := readSigned(message, cms.Limits{}, nil); !isError(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := cms.Read(bytes.NewReader([]byte{0x30, 4, 6, 2, 0x2a, 3}), cms.Limits{})
	if !isError(err, errWantUnsupported) {
		t.Errorf("unknown content type: %v", err)
	}
}

// TestOddCertificates reads a message with members of the CertificateSet that are no X.509 certificates, or broken.
func TestOddCertificates(t *testing.T) {
	d := newDraft(testP256())
	d.extra = bytes.Join([][]byte{
		{0xa0, 2, 5, 0}, {0xa1, 2, 5, 0}, {0xa2, 0x80, 5, 0, 0, 0}, {0xa3, 2, 5, 0}, // other choices
		{0x30, 2, 5, 0}, // no certificate at all
	}, nil)
	s, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Certificates) != 2 {
		t.Errorf("%d certificates", len(s.Certificates))
	}
	if _, err := s.Certificates[0].Parse(); err == nil {
		t.Error("what is no certificate was parsed")
	}
}
