package bag_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox/archive/bag"
)

func TestMain(m *testing.M) { peertest.Main(m) }

var noon = time.Date(2026, 11, 22, 12, 0, 1, 5, time.FixedZone("", 3600))

// zipped makes a bag with small, empty, large and oddly named files, as a ZIP file.
func zipped(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := bag.NewZIP(&b, "000001", noon)
	if err != nil {
		t.Fatal(err)
	}
	write(t, z, nil, "1.eml", "x", "empty", "", "ü/ß", "text", "limit", strings.Repeat("l", 1<<20), "large", strings.Repeat("L", 3<<20), "last", "x")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestZIP reads a ZIP file with Go, and its local headers by hand: sizes stand there unless a file is large.
func TestZIP(t *testing.T) {
	octets := zipped(t)
	if !bytes.Equal(octets, zipped(t)) {
		t.Error("the same bag is another ZIP file")
	}
	r, err := zip.NewReader(bytes.NewReader(octets), int64(len(octets)))
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{"data/1.eml": 1, "data/empty": 0, "data/ü/ß": 4, "data/limit": 1 << 20, "data/large": 3 << 20, "data/last": 1}
	for _, f := range r.File {
		name, below := strings.CutPrefix(f.Name, "000001/")
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if want, payload := sizes[name]; err != nil || !below || payload && len(text) != want {
			t.Errorf("%s: %d octets, %v", f.Name, len(text), err)
		}
		if f.Method != zip.Store || f.Mode() != 0o644 || f.NonUTF8 || !f.Modified.Equal(time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: method %d, mode %v, time %v", f.Name, f.Method, f.Mode(), f.Modified)
		}
		start, err := f.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		local := octets[start-30-int64(len(f.Name)):]
		described := binary.LittleEndian.Uint16(local[6:])&8 != 0
		size := int(binary.LittleEndian.Uint32(local[22:]))
		if large := len(text) > 1<<20; described != large || !large && size != len(text) {
			t.Errorf("%s: %d octets: sizes behind it: %v; before it: %d", f.Name, len(text), described, size)
		}
		delete(sizes, name)
	}
	if len(sizes) > 0 {
		t.Errorf("absent: %v", sizes)
	}
}

// TestZIPPeers has others read the ZIP file, and the checksums of what they took out of it.
func TestZIPPeers(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "000001.zip")
	if err := os.WriteFile(file, zipped(t), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("unzip", func(t *testing.T) {
		if out := string(peertest.Run(t, "unzip", "-t", file)); !strings.Contains(out, "No errors detected") {
			t.Error(out)
		}
	})
	t.Run("python3", func(t *testing.T) {
		if out := string(peertest.Run(t, "python3", "-m", "zipfile", "-t", file)); strings.TrimSpace(out) != "Done testing" {
			t.Error(out)
		}
		peertest.Run(t, "python3", "-m", "zipfile", "-e", file, dir)
		for _, algorithm := range []string{"sha512", "sha256"} {
			for _, list := range []string{"manifest-", "tagmanifest-"} {
				peertest.Run(t, "sh", "-c", `cd "$1" && "$2" --strict -c "$3"`, "sh", filepath.Join(dir, "000001"), algorithm+"sum", list+algorithm+".txt")
			}
		}
	})
}

// cut takes so many octets and fails.
type cut int

func (c *cut) Write(p []byte) (int, error) {
	if len(p) > int(*c) {
		return 0, errFull
	}
	*c -= cut(len(p))
	return len(p), nil
}

func TestZIPMistakes(t *testing.T) {
	for _, base := range []string{"", "..", "a/b", "/a", "~"} {
		if _, err := bag.NewZIP(io.Discard, base, noon); !errors.Is(err, bag.ErrName) {
			t.Errorf("base %q: %v", base, err)
		}
	}
	for _, date := range []time.Time{{}, time.Date(1979, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2107, 12, 31, 23, 30, 0, 0, time.FixedZone("", -3600))} {
		if _, err := bag.NewZIP(io.Discard, "a", date); err == nil {
			t.Errorf("the time %v is taken", date)
		}
	}
	z, err := bag.NewZIP(io.Discard, "a", noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Create("../x"); !errors.Is(err, bag.ErrName) {
		t.Errorf("a path that leads outside: %v", err)
	}
	f, err := z.Create("x")
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); !errors.Is(err, bag.ErrOrder) {
		t.Errorf("closed in the midst of a file: %v", err)
	}
	if _, err := z.Create("y"); !errors.Is(err, bag.ErrOrder) {
		t.Errorf("two at once: %v", err)
	}
	if err := errors.Join(f.Close(), z.Close()); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{"file": f.Close(), "ZIP": z.Close()} {
		if !errors.Is(err, bag.ErrOrder) {
			t.Errorf("%s closed twice: %v", what, err)
		}
	}
}

// TestZIPFull ends the room at many places: closing the bag or the ZIP file tells.
func TestZIPFull(t *testing.T) {
	attempt := func(room int) (left int, err error) {
		c := cut(room)
		z, err := bag.NewZIP(&c, "000001", noon)
		if err != nil {
			t.Fatal(err)
		}
		w, err := bag.NewWriter(z)
		if err != nil {
			return 0, err
		}
		for _, name := range []string{"1.eml", "large"} {
			_ = put(w, name, strings.Repeat("x", len(name)<<18)) // what fails here has to fail in the end
		}
		return int(c), errors.Join(w.Close(nil), z.Close())
	}
	left, err := attempt(8 << 20)
	if err != nil {
		t.Fatal(err)
	}
	whole := 8<<20 - left
	for _, room := range []int{0, 100, 5000, 1 << 20, 2 << 20, whole - 4000, whole - 100, whole - 1} {
		if _, err := attempt(room); err == nil {
			t.Errorf("room for %d of %d octets is enough", room, whole)
		}
	}
	if _, err := attempt(whole); err != nil {
		t.Errorf("room for all: %v", err)
	}
}
