package archive_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// large makes an archive of segments with so many messages of so many octets each.
func large(t testing.TB, segments, messages int, size int64) *world {
	t.Helper()
	w := newWorld(t)
	w.dir = filepath.Join(t.TempDir(), "archive") // not in memory
	w.create()
	w.write.MaxMessages = messages
	a := w.open()
	writer, err := a.Write(t.Context(), w.write)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{})
	for i := range segments * messages {
		m := archive.Message{Origin: archive.Origin{Folder: "INBOX", UIDValidity: 1, UID: uint32(i + 1)}}
		if _, err := writer.Add(t.Context(), m, io.LimitReader(random, size)); err != nil {
			t.Fatal(err)
		}
		if writer.Full() {
			if _, err := writer.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

func BenchmarkVerify(b *testing.B) {
	w := large(b, 8, 512, 64<<10)
	for _, level := range []archive.Level{archive.Quick, archive.Full} {
		b.Run(fmt.Sprint("level ", level), func(b *testing.B) {
			for b.Loop() {
				s, findings := w.verify(w.trusting(level))
				if len(findings) > 0 {
					b.Fatal(findings)
				}
				b.SetBytes(s.Octets)
			}
		})
	}
}

// TestVerifyMemory verifies four times as many messages with about the same memory.
func TestVerifyMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it writes many messages")
	}
	peak := func(segments int) (most uint64) {
		w := large(t, segments, 256, 64)
		v := w.trusting(archive.Full)
		v.Workers = 1 // so that what is measured is not what another one has just thrown away
		calls := 0
		v.Progress = func(archive.Progress) {
			if calls++; calls%100 != 0 {
				return
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		before := m.HeapAlloc
		if _, findings := w.verifyWith(w.storage(safeio.Disk{}), w.options(), v); len(findings) > 0 {
			t.Fatal(findings)
		}
		return most - before
	}
	few, many := peak(4), peak(16)
	t.Logf("%d and %d octets", few, many)
	if many > 2*few+1<<20 {
		t.Errorf("it takes %d octets where it took %d for a quarter", many, few)
	}
}
