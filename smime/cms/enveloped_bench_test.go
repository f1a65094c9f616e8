package cms

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"testing"
)

// benchmarkSizes are a small message and the large one of docs/bench.md.
var benchmarkSizes = []int64{8 << 10, 200_000_000}

// sealFor encrypts size octets for the identity and writes the message to dst.
func sealFor(b *testing.B, dst io.Writer, c Cipher, id envIdentity, size int64, buf []byte) {
	b.Helper()
	w, err := NewEnvelopedDataWriter(b.Context(), dst, EnvelopedDataOptions{Cipher: c, Recipients: []Recipient{id.recipient(b, IssuerAndSerialNumber)}})
	if err != nil {
		b.Fatal(err)
	}
	for size > 0 {
		n := min(int64(len(buf)), size)
		if _, err := w.Write(buf[:n]); err != nil {
			b.Fatal(err)
		}
		size -= n
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}

// base64Reader decodes as it is read, line by line, like the body of a mail.
type base64Reader struct {
	text []byte // lines of 76 and a line end of two
	left []byte
	buf  [57 * 512]byte
}

func (r *base64Reader) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		n := 0
		for n < len(r.buf) && len(r.text) > 0 {
			line := r.text[:min(78, len(r.text))]
			r.text = r.text[len(line):]
			m, err := base64.StdEncoding.Decode(r.buf[n:], line[:len(line)-2])
			if err != nil {
				return 0, err
			}
			n += m
		}
		if n == 0 {
			return 0, io.EOF
		}
		r.left = r.buf[:n]
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

func inLines(der []byte) []byte {
	text := make([]byte, 0, len(der)/57*78+200)
	for len(der) > 0 {
		n := min(57, len(der))
		text = append(base64.StdEncoding.AppendEncode(text, der[:n]), '\r', '\n')
		der = der[n:]
	}
	return text
}

func BenchmarkDecrypt(b *testing.B) {
	id := envIdentityNamed(b, "p256")
	for _, size := range benchmarkSizes {
		for _, c := range []Cipher{AES256CBC, AES256GCM} {
			message := bytes.NewBuffer(make([]byte, 0, size+size/1000+4096))
			sealFor(b, message, c, id, size, make([]byte, 32<<10))
			lines := inLines(message.Bytes())
			cek, err := id.unwrap(b, readMessage(b, message.Bytes()).Recipients[0])
			if err != nil {
				b.Fatal(err)
			}
			for name, open := range map[string]func() io.Reader{
				"der":    func() io.Reader { return bytes.NewReader(message.Bytes()) },
				"base64": func() io.Reader { return &base64Reader{text: lines} },
			} {
				b.Run(fmt.Sprintf("%v/%d/%s", c, size, name), func(b *testing.B) {
					b.SetBytes(size)
					b.ReportAllocs()
					for b.Loop() {
						info, err := Read(open(), Limits{})
						if err != nil {
							b.Fatal(err)
						}
						var out countingWriter
						if err := info.(*EnvelopedData).Decrypt(b.Context(), &out, cek, DecryptOptions{}); err != nil {
							b.Fatal(err)
						}
						if int64(out) != size {
							b.Fatal(out)
						}
					}
				})
			}
		}
	}
}

func BenchmarkEncrypt(b *testing.B) {
	id := envIdentityNamed(b, "p256")
	for _, size := range benchmarkSizes {
		for _, c := range []Cipher{AES256CBC, AES256GCM} {
			b.Run(fmt.Sprintf("%v/%d", c, size), func(b *testing.B) {
				buf := make([]byte, 32<<10)
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					sealFor(b, io.Discard, c, id, size, buf)
				}
			})
		}
	}
}
