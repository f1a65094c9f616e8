package ber_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// BenchmarkReaderSmall is what a message of a few hundred octets costs, such as a time-stamp token.
func BenchmarkReaderSmall(b *testing.B) {
	for _, size := range []int{100, 300, 3000} {
		message := ber.AppendElement(nil, ber.Universal, true, ber.TagSequence,
			ber.AppendElement([]byte{2, 1, 5}, ber.Universal, false, ber.TagOctetString, make([]byte, size)))
		read := func(b *testing.B, src io.Reader) {
			r := ber.NewReader(src, ber.Limits{})
			if err := r.Enter(ber.Universal, ber.TagSequence); err != nil {
				b.Fatal(err)
			}
			for range 2 {
				if _, err := r.Element(0); err != nil {
					b.Fatal(err)
				}
			}
			if err := r.Leave(); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprintf("%d/memory", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				read(b, bytes.NewReader(message))
			}
		})
		b.Run(fmt.Sprintf("%d/stream", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				read(b, onlyReader{bytes.NewReader(message)})
			}
		})
	}
}

// onlyReader hides everything but Read.
type onlyReader struct{ io.Reader }

// BenchmarkOctetString reads 16 MiB of content in segments of several sizes, into buffers of several sizes.
func BenchmarkOctetString(b *testing.B) {
	const total = 16 << 20
	for _, segment := range []int{16, 1000, 4096, 16 << 10, 1 << 20, total} {
		message := ber.AppendHeader(nil, ber.Header{Constructed: true, Number: ber.TagOctetString, Length: ber.Indefinite})
		for range total / segment {
			message = ber.AppendElement(message, ber.Universal, false, ber.TagOctetString, make([]byte, segment))
		}
		message = append(message, 0, 0)
		for _, into := range []int{0, 32 << 10, 256 << 10} { // 0: by Next
			b.Run(fmt.Sprintf("segments-%d/into-%d", segment, into), func(b *testing.B) {
				buf := make([]byte, into)
				b.SetBytes(int64(len(message)))
				b.ReportAllocs()
				for b.Loop() {
					o, err := ber.NewReader(onlyReader{bytes.NewReader(message)}, ber.Limits{}).OctetString(ber.Universal, ber.TagOctetString)
					if err != nil {
						b.Fatal(err)
					}
					if into > 0 {
						_, err = io.CopyBuffer(onlyWriter{io.Discard}, o, buf)
					} else {
						err = copyNext(io.Discard, o)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// onlyWriter hides everything but Write.
type onlyWriter struct{ io.Writer }
