package cms

import (
	"io"
	"runtime"
	"testing"
	"testing/synctest"
)

// zeroReader yields size octets.
type zeroReader struct{ size int64 }

func (z *zeroReader) Read(p []byte) (int, error) {
	if z.size == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.size)
	clear(p[:n])
	z.size -= n
	return int(n), nil
}

// pipeMessage encrypts size octets at one end of a pipe and decrypts them at the other.
func pipeMessage(t testing.TB, c Cipher, id envIdentity, size int64) {
	t.Helper()
	r, w := io.Pipe()
	go func() {
		enc, err := NewEnvelopedDataWriter(t.Context(), w, EnvelopedDataOptions{Cipher: c, Recipients: []Recipient{id.recipient(t, IssuerAndSerialNumber)}})
		if err == nil {
			_, err = io.CopyBuffer(struct{ io.Writer }{enc}, &zeroReader{size}, make([]byte, 32<<10))
		}
		if err == nil {
			err = enc.Close()
		}
		w.CloseWithError(err)
	}()
	info, err := Read(r, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	e := info.(*EnvelopedData)
	cek, err := id.unwrap(t, e.Recipients[0])
	if err != nil {
		t.Fatal(err)
	}
	var out countingWriter
	if err := e.Decrypt(t.Context(), &out, cek, DecryptOptions{}); err != nil {
		t.Fatal(err)
	}
	if int64(out) != size {
		t.Fatalf("%d octets of %d", out, size)
	}
}

// TestEnvelopedWriterAbandoned checks that a message that is not closed leaves no goroutine behind, which would fail a
// bubble of synctest, and that nothing is written between calls.
func TestEnvelopedWriterAbandoned(t *testing.T) {
	id := envIdentityNamed(t, "p256")
	for _, c := range []Cipher{AES256CBC, AES256GCM} {
		for _, size := range []int{0, 100, maxSegments * segmentSize, 3 * maxSegments * segmentSize, 3*maxSegments*segmentSize + 1} {
			synctest.Test(t, func(t *testing.T) {
				var out countingWriter
				w, err := NewEnvelopedDataWriter(t.Context(), &out, EnvelopedDataOptions{Cipher: c, Recipients: []Recipient{id.recipient(t, IssuerAndSerialNumber)}})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(make([]byte, size)); err != nil {
					t.Fatal(err)
				}
				before := out
				synctest.Wait()
				if out != before {
					t.Errorf("%v, %d octets: %d octets were written while nobody called", c, size, out-before)
				}
			})
		}
	}
}

type countingWriter int64

func (w *countingWriter) Write(p []byte) (int, error) {
	*w += countingWriter(len(p))
	return len(p), nil
}

// TestEnvelopedConstantMemory checks that a message sixteen times as long allocates no more in both directions
// together: all that was ever allocated is counted, so there is no peak to miss.
func TestEnvelopedConstantMemory(t *testing.T) {
	id := envIdentityNamed(t, "p256")
	allocated := func(c Cipher, size int64) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		pipeMessage(t, c, id, size)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for _, c := range []Cipher{AES256CBC, AES256GCM} {
		small, large := allocated(c, 2<<20), allocated(c, 32<<20)
		if large > small+(1<<20) {
			t.Errorf("%v: %d octets allocated for 2 MiB, %d for 32 MiB", c, small, large)
		}
	}
}

func BenchmarkEnveloped(b *testing.B) {
	const size = 16 << 20
	id := envIdentityNamed(b, "p256")
	for _, c := range []Cipher{AES256CBC, AES256GCM} {
		b.Run(c.String()+"/encrypt", func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				enc, err := NewEnvelopedDataWriter(b.Context(), io.Discard, EnvelopedDataOptions{Cipher: c, Recipients: []Recipient{id.recipient(b, IssuerAndSerialNumber)}})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.CopyBuffer(struct{ io.Writer }{enc}, &zeroReader{size}, make([]byte, 32<<10)); err != nil {
					b.Fatal(err)
				}
				if err := enc.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.String()+"/both", func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				pipeMessage(b, c, id, size)
			}
		})
	}
}
