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
