package smime_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/spool"
)

const benchSize = 64 << 20

// bigEntity is an entity of benchSize octets in lines of base64, made as it is read.
func bigEntity() io.Reader {
	line := strings.Repeat("QUJD", 19) + "\r\n"
	lines := &repeater{line: line, left: benchSize / len(line)}
	return io.MultiReader(strings.NewReader("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"), lines)
}

type repeater struct {
	line string
	left int
	rest string
}

func (r *repeater) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if r.rest == "" {
			if r.left == 0 {
				if n == 0 {
					return 0, io.EOF
				}
				return n, nil
			}
			r.left--
			r.rest = r.line
		}
		k := copy(p[n:], r.rest)
		r.rest = r.rest[k:]
		n += k
	}
	return n, nil
}

// peak runs f and returns by how much the heap grew at most while it ran, as far as samples tell.
func peak(f func()) uint64 {
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most.Store(max(most.Load(), now.HeapAlloc))
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	f()
	close(done)
	<-stopped
	return max(most.Load(), before.HeapAlloc) - before.HeapAlloc
}

// BenchmarkPath signs, encrypts and opens a message of 64 MiB from file to file, and reports the peak of the heap.
func BenchmarkPath(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	dir := b.TempDir()
	signed, sealed := filepath.Join(dir, "signed"), filepath.Join(dir, "sealed")
	write := func(b *testing.B, path string, f func(io.Writer) error) {
		b.Helper()
		file, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		defer file.Close()
		if err := f(file); err != nil {
			b.Fatal(err)
		}
	}
	signIt := func(b *testing.B) {
		write(b, signed, func(w io.Writer) error {
			return smime.Sign(b.Context(), w, bigEntity(), alice().signer(), smime.SignOptions{})
		})
	}
	encryptIt := func(b *testing.B) {
		in, err := os.Open(signed)
		if err != nil {
			b.Fatal(err)
		}
		defer in.Close()
		write(b, sealed, func(w io.Writer) error {
			return smime.Encrypt(b.Context(), w, in, []cms.Recipient{bob().recipient(b)}, smime.EncryptOptions{Cipher: cms.AES256GCM})
		})
	}
	openIt := func(b *testing.B) { openFile(b.Context(), b, sealed, dir) }
	for _, step := range []struct {
		name string
		run  func(*testing.B)
	}{{"sign", signIt}, {"encrypt", encryptIt}, {"open", openIt}} {
		b.Run(step.name, func(b *testing.B) {
			b.SetBytes(benchSize)
			most := uint64(0)
			for b.Loop() {
				most = max(most, peak(func() { step.run(b) }))
			}
			b.ReportMetric(float64(most)/(1<<20), "peak-MiB")
		})
	}
}

func openFile(ctx context.Context, b *testing.B, path, dir string) {
	b.Helper()
	in, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		b.Fatal(err)
	}
	m, err := smime.Open(ctx, io.NewSectionReader(in, 0, info.Size()), smime.OpenOptions{
		Decrypters: bob().decrypters(), Spool: spool.Options{Dir: dir},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	if want := "auth-enveloped-data aes-256-gcm decrypted;detached sha256/ecdsa-p256:<nil>;"; describe(m) != want {
		b.Fatal(describe(m))
	}
	if _, err := io.Copy(io.Discard, m.Content); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkMail signs, encrypts and opens mail of 8 KiB, on one processor; keys are the operations with keys that opening
// cannot do without.
func BenchmarkMail(b *testing.B) {
	entity := "Content-Type: text/plain; charset=utf-8\r\n\r\n" + strings.Repeat("All work and no play makes mail a dull box of text lines.\r\n", 140)
	for _, test := range []struct {
		name     string
		from, to identity
		cipher   cms.Cipher
	}{
		{"p256", alice(), bob(), cms.AES256GCM},
		{"rsa2048", aliceRSA(), bobRSA(), cms.AES256CBC},
	} {
		seal := func(b *testing.B) []byte {
			var signed, sealed bytes.Buffer
			if err := smime.Sign(b.Context(), &signed, strings.NewReader(entity), test.from.signer(), smime.SignOptions{}); err != nil {
				b.Fatal(err)
			}
			if err := smime.Encrypt(b.Context(), &sealed, &signed, []cms.Recipient{test.to.recipient(b)}, smime.EncryptOptions{Cipher: test.cipher}); err != nil {
				b.Fatal(err)
			}
			return sealed.Bytes()
		}
		b.Run(test.name+"/seal", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				seal(b)
			}
		})
		b.Run(test.name+"/open", func(b *testing.B) {
			mail := seal(b)
			b.ReportAllocs()
			for b.Loop() {
				m, err := smime.Open(b.Context(), bytes.NewReader(mail), smime.OpenOptions{Decrypters: test.to.decrypters()})
				if err != nil {
					b.Fatal(err)
				}
				if m.Encryption() != smime.StatusDecrypted || m.Layers[1].Signed.Signatures[0].Err != nil {
					b.Fatal(describe(m))
				}
				if err := m.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("p256/keys", func(b *testing.B) {
		key, err := bob().key.(*ecdsa.PrivateKey).ECDH()
		if err != nil {
			b.Fatal(err)
		}
		digest := make([]byte, 32)
		signature, err := alice().key.Sign(nil, digest, crypto.SHA256)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := key.ECDH(key.PublicKey()); err != nil || !ecdsa.VerifyASN1(alice().cert.PublicKey.(*ecdsa.PublicKey), digest, signature) {
				b.Fatal(err)
			}
		}
	})
}
