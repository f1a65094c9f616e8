package cms_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
)

func BenchmarkSignStream(b *testing.B) {
	content := make([]byte, 8<<20)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		w, err := cms.NewSignedDataWriter(b.Context(), io.Discard, options(testP256()))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyStream(b *testing.B) {
	content := make([]byte, 8<<20)
	message := stream(b, content, options(testP256()))
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		info, err := cms.Read(bytes.NewReader(message), cms.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		s := info.(*cms.SignedData)
		digest, err := s.ReadContent(b.Context(), io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.SignerInfos[0].Verify(testP256().cert, digest, cms.VerifyOptions{ContentType: cms.OIDData}); err != nil {
			b.Fatal(err)
		}
	}
}

// smallContent is the size of an ordinary mail.
var smallContent = bytes.Repeat([]byte("All work and no play.\r\n"), 8<<10/23)

// BenchmarkSmall is what one small message costs apart from others.
func BenchmarkSmall(b *testing.B) {
	ids := map[string]identity{"rsa": testRSA(), "p256": testP256()}
	for name, id := range ids {
		for _, detached := range []bool{false, true} {
			o := options(id)
			o.Detached = detached
			o.Signers[0].Capabilities = cms.OwnCapabilities()
			form := map[bool]string{false: "opaque", true: "detached"}[detached]
			b.Run("sign/"+name+"/"+form, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					w, err := cms.NewSignedDataWriter(b.Context(), io.Discard, o)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := w.Write(smallContent); err != nil {
						b.Fatal(err)
					}
					if err := w.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
			message := stream(b, smallContent, o)
			b.Run("verify/"+name+"/"+form, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					verifySmall(b, message, id)
				}
			})
		}
	}
}

func verifySmall(b *testing.B, message []byte, id identity) {
	info, err := cms.Read(bytes.NewReader(message), cms.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	s := info.(*cms.SignedData)
	digest, err := s.ReadContent(b.Context(), io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	si := s.SignerInfos[0]
	if s.Detached() {
		h, err := si.Digest()
		if err != nil {
			b.Fatal(err)
		}
		if digest, err = cms.NewContentDigest(h); err != nil {
			b.Fatal(err)
		}
		_, _ = digest.Write(smallContent) // never fails
	}
	raw, _ := s.Certificate(si.SID)
	if len(raw) == 0 {
		b.Fatal("no certificate")
	}
	if err := si.Verify(id.cert, digest, cms.VerifyOptions{ContentType: s.EContentType}); err != nil {
		b.Fatal(err)
	}
}
