package archive_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// now is the time that all tests live at.
func now() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC) }

// memory is a Keeper that forgets with the process.
type memory map[string][]byte

func (m memory) Key(_ context.Context, name string) ([]byte, error) {
	if k, ok := m[name]; ok {
		return bytes.Clone(k), nil
	}
	return nil, fs.ErrNotExist
}

func (m memory) Keep(_ context.Context, name string, key []byte) error {
	m[name] = bytes.Clone(key)
	return nil
}

// certificate makes a self-signed certificate.
func certificate(t testing.TB, name string) archive.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now().Add(-time.Hour), NotAfter: now().AddDate(2, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return archive.Signer{Key: key, Chain: []*x509.Certificate{c}}
}

// world is a folder with what an archive in it needs.
type world struct {
	t      testing.TB
	dir    string
	kept   archive.Keeper
	signer archive.Signer
	write  archive.WriteOptions

	trusted  []*x509.Certificate   // who signed before
	sealed   func(*archive.Sealed) // unless nil, is told what is archived
	messages archive.Number        // that were archived by archive
}

type ecKey = *ecdsa.PrivateKey

// fastDir makes a folder where syncing costs nothing, if there is such a place.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "archive-test")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// newWorld makes one in which segments are full after three messages. Its tokens are words, which their verifier knows.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: filepath.Join(fastDir(t), "archive"), kept: memory{}, signer: certificate(t, "Archive")}
	w.setWrite()
	return w
}

// setWrite sets how it writes.
func (w *world) setWrite() {
	w.write = archive.WriteOptions{
		Signer: w.signer, MaxMessages: 3,
		Stamp: w.trustedStamp(),
		Evidence: func(_ context.Context, leaves [][]byte) ([]byte, error) {
			var sums []string
			for _, leaf := range leaves {
				sums = append(sums, fmt.Sprintf("%x", sha512.Sum512(leaf)))
			}
			return []byte(strings.Join(sums, "\n")), nil
		},
	}
}

// trustedStamp makes tokens that prove something.
func (*world) trustedStamp() func(context.Context, []byte) ([]byte, error) {
	return func(_ context.Context, data []byte) ([]byte, error) {
		return fmt.Appendf(nil, "token over %x", sha512.Sum512(data)), nil
	}
}

func (w *world) options() archive.Options { return archive.Options{Keeper: w.kept, Now: now} }

func (w *world) storage(disk safeio.Disk) archive.Storage { return archive.NewFolder(disk, w.dir) }

// create makes the archive.
func (w *world) create() {
	w.t.Helper()
	if err := archive.Create(w.t.Context(), w.storage(safeio.Disk{}), w.options(), w.signer, nil); err != nil {
		w.t.Fatal(err)
	}
}

// open opens the archive, until the test ends.
func (w *world) open() *archive.Archive {
	w.t.Helper()
	a, err := archive.Open(w.t.Context(), w.storage(safeio.Disk{}), w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = a.Close() })
	return a
}

// octets of message i.
func octets(i int) string {
	return fmt.Sprintf("From: a@example.org\r\nSubject: %d\r\n\r\n%s\r\n", i, strings.Repeat("text ", i))
}

// add archives messages from up to to, each with its number as UID, and returns the segments that were reported.
func (w *world) add(ctx context.Context, disk safeio.Disk, from, to int) (sealed []*archive.Sealed, err error) {
	a, err := archive.Open(ctx, w.storage(disk), w.options())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	writer, err := a.Write(ctx, w.write)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, writer.Close()) }()
	seal := func() error {
		s, err := writer.Seal(ctx)
		if err == nil && s != nil {
			sealed = append(sealed, s)
			if w.sealed != nil {
				w.sealed(s)
			}
		}
		return err
	}
	for i := from; i <= to; i++ {
		m := archive.Message{Origin: archive.Origin{Account: "work", Folder: "INBOX", UIDValidity: 7, UID: uint32(i)}, Flags: []string{`\Seen`}, InternalDate: now(), Findings: json.RawMessage(`{"verdict":"passed"}`)}
		if _, err := writer.Add(ctx, m, strings.NewReader(octets(i))); err != nil {
			return sealed, err
		}
		if writer.Full() {
			if err := seal(); err != nil {
				return sealed, err
			}
		}
	}
	return sealed, seal()
}

// check reads every message, and returns how many there are.
func (w *world) check() int {
	w.t.Helper()
	a := w.open()
	ctx := w.t.Context()
	var pulled archive.UIDSet
	for i := 1; i <= a.Segments(); i++ {
		s, err := a.Segment(ctx, i)
		if err != nil {
			w.t.Fatal(err)
		}
		c, err := s.Contents(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		pulled.Union(c.Folders[0].UIDs)
	}
	for n := archive.Number(1); n <= a.Messages(); n++ {
		s, err := a.SegmentOf(ctx, n)
		if err != nil {
			w.t.Fatal(err)
		}
		r, err := s.Record(ctx, n)
		if err != nil {
			w.t.Fatal(err)
		}
		var got bytes.Buffer
		if err := s.Octets(ctx, r, &got); err != nil {
			w.t.Fatal(err)
		}
		if got.String() != octets(int(r.UID)) || !pulled.Has(r.UID) {
			w.t.Errorf("message %d, UID %d: %q", n, r.UID, &got)
		}
	}
	if pulled.Len() != int64(a.Messages()) {
		w.t.Errorf("%d messages, and %d UIDs", a.Messages(), pulled.Len())
	}
	return int(a.Messages())
}

func TestWriteRead(t *testing.T) {
	w := newWorld(t)
	w.create()
	for _, test := range []struct{ from, to, segments int }{{1, 7, 3}, {8, 8, 1}, {9, 14, 2}} {
		sealed, err := w.add(t.Context(), safeio.Disk{}, test.from, test.to)
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed) != test.segments {
			t.Errorf("%d to %d: %d segments", test.from, test.to, len(sealed))
		}
		if n := w.check(); n != test.to {
			t.Errorf("%d messages, want %d", n, test.to)
		}
	}
	a := w.open()
	if h, _ := a.Head(); h.Segments != 6 || h.Sequence != 7 || len(h.Unstamped) != 0 {
		t.Errorf("head %+v", h)
	}
}

// TestKillWriter ends writers at each step of theirs. Whatever they reported is there afterwards, what is there is whole, and the
// next one goes on.
func TestKillWriter(t *testing.T) {
	killed := errors.New("killed")
	for step, done := 0, false; !done; step++ {
		w := newWorld(t)
		w.create()
		if _, err := w.add(t.Context(), safeio.Disk{}, 1, 4); err != nil {
			t.Fatal(err)
		}
		n := 0
		disk := safeio.Disk{Before: func(string, string) error {
			if n++; n > step {
				return killed
			}
			return nil
		}}
		sealed, err := w.add(t.Context(), disk, 5, 11)
		if done = err == nil; !done && !errors.Is(err, killed) {
			t.Fatalf("step %d: %v", step, err)
		}
		reported := 4
		for _, s := range sealed {
			reported = int(s.Last)
		}
		if n := w.check(); n < reported {
			t.Errorf("step %d: %d messages, and %d were reported", step, n, reported)
		}
		there := w.check()
		if _, err := w.add(t.Context(), safeio.Disk{}, 100, 100); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		if n := w.check(); n < there+1 || n > 12 {
			t.Errorf("step %d: %d messages afterwards, %d before", step, n, there)
		}
	}
}

// TestLinkedFolder has the archive behind a symbolic link: what lies there is seen all the same.
func TestLinkedFolder(t *testing.T) {
	w := newWorld(t)
	w.create()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(w.dir, link); err != nil {
		t.Skip(err)
	}
	straight, err := w.storage(safeio.Disk{}).List(t.Context())
	if err != nil || len(straight) == 0 {
		t.Fatal(straight, err)
	}
	linked, err := archive.NewFolder(safeio.Disk{}, link).List(t.Context())
	if err != nil || !slices.Equal(linked, straight) {
		t.Errorf("%q, %v; want %q", linked, err, straight)
	}
}

// TestForgedHead has somebody else sign another head: nothing is built on it.
func TestForgedHead(t *testing.T) {
	w := newWorld(t)
	w.fill(4)
	own := w.signer.Chain[0]
	w.write.Trusted = func(_ context.Context, signer *x509.Certificate, _ []*x509.Certificate, at time.Time) error {
		if !signer.Equal(own) || !at.Equal(now()) {
			return fmt.Errorf("signed by %q at %v", signer.Subject, at)
		}
		return nil
	}
	if _, err := w.add(t.Context(), safeio.Disk{}, 5, 5); err != nil {
		t.Fatal(err)
	}
	a := w.open()
	if err := a.Forge(t.Context(), certificate(t, "Archive"), func(h *archive.Head) { h.Statements = 0 }); err != nil {
		t.Fatal(err)
	}
	before := w.check()
	if _, err := w.add(t.Context(), safeio.Disk{}, 6, 6); !errors.Is(err, archive.ErrSignature) {
		t.Errorf("a forged head: %v", err)
	}
	if after := w.check(); after != before {
		t.Errorf("%d messages, and %d before", after, before)
	}
}
