package bag_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/mailbox/archive/bag"
)

// memory is a Sink whose files are strings. Once it has taken left octets it fails, where left is not zero. At its steps, which are
// counted in each creating, writing and closing, it fails once: at the one of that number, where it is not zero.
type memory struct {
	files map[string]string
	left  int
	step  int
}

func (m *memory) fails() error {
	if m.step--; m.step == 0 {
		return errFull
	}
	return nil
}

var errFull = errors.New("full")

func (m *memory) Create(name string) (io.WriteCloser, error) {
	if err := m.fails(); err != nil {
		return nil, err
	}
	return &memoryFile{m: m, name: name}, nil
}

type memoryFile struct {
	bytes.Buffer
	m    *memory
	name string
}

func (f *memoryFile) Write(p []byte) (int, error) {
	if err := f.m.fails(); err != nil {
		return 0, err
	}
	if f.m.left > 0 {
		if f.m.left -= len(p); f.m.left <= 0 {
			return 0, errFull
		}
	}
	return f.Buffer.Write(p)
}

func (f *memoryFile) Close() error {
	f.m.files[f.name] = f.String()
	return f.m.fails()
}

// put writes a payload file.
func put(w *bag.Writer, name, text string) error {
	f, err := w.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, strings.NewReader(text))
	return errors.Join(err, f.Close())
}

// write makes a bag of files.
func write(t testing.TB, sink bag.Sink, info []bag.Field, files ...string) *bag.Writer {
	t.Helper()
	w, err := bag.NewWriter(sink)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(files); i += 2 {
		if err := put(w, files[i], files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(info); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWriter compares a whole bag, octet by octet.
func TestWriter(t *testing.T) {
	sink := &memory{files: map[string]string{}}
	w := write(t, sink, []bag.Field{{"Bagging-Date", "2026-11-22"}, {"X", "2"}, {"X", "1"}},
		"b/ü", "two", "a b", "", "100%\r\n", "x")
	want := map[string]string{
		"bagit.txt":     "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
		"data/b/ü":      "two",
		"data/a b":      "",
		"data/100%\r\n": "x",
		"bag-info.txt":  "Bagging-Date: 2026-11-22\nX: 2\nX: 1\nPayload-Oxum: 4.3\n",
	}
	sums := map[string]func(string) string{
		"sha512": func(s string) string { return fmt.Sprintf("%x", sha512.Sum512([]byte(s))) },
		"sha256": func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) },
	}
	for algorithm, sum := range sums {
		want["manifest-"+algorithm+".txt"] = sum("x") + "  data/100%25%0D%0A\n" + sum("") + "  data/a b\n" + sum("two") + "  data/b/ü\n"
	}
	for algorithm, sum := range sums {
		text := ""
		for _, name := range []string{"bag-info.txt", "bagit.txt", "manifest-sha256.txt", "manifest-sha512.txt"} {
			text += sum(want[name]) + "  " + name + "\n"
		}
		want["tagmanifest-"+algorithm+".txt"] = text
	}
	if diff := cmp.Diff(want, sink.files); diff != "" {
		t.Error(diff)
	}
	files := w.Files()
	if len(files) != 3 || files[0].Name != "data/b/ü" || files[0].Size != 3 || files[0].SHA512 != sha512.Sum512([]byte("two")) ||
		files[0].SHA256 != sha256.Sum256([]byte("two")) {
		t.Errorf("files: %v", files)
	}
}

// TestNames has names that would be another file somewhere, and such that are odd but good.
func TestNames(t *testing.T) {
	w, err := bag.NewWriter(&memory{files: map[string]string{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Straße/a", "K", "a/b", "..a", "a/.b", "x~", "data/x", "\n", "%2e%2e/x", strings.Repeat("n", 4096)} {
		if err := put(w, name, "x"); err != nil {
			t.Errorf("%.30q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "../x", "a/../../x", "a/..", "/x", "a//b", "a/", "./a", "~", "~root/x", `a\b`, `..\x`, "c:x", "c:/x",
		"x:y", "a\x00", "\xff", strings.Repeat("m", 4097), "NUL", "nul.txt", "x/Com1.tar.gz", "LPT0", "aux .x", "x.", "x /y",
		"straße/A", "\u212a", "k", "A/B", "a", "a/b/c", "K/x"} {
		if err := put(w, name, "x"); !errors.Is(err, bag.ErrName) {
			t.Errorf("%.30q: %v", name, err)
		}
	}
	if err := w.Close(nil); err != nil || len(w.Files()) != 10 {
		t.Errorf("%d files, %v", len(w.Files()), err)
	}
}

func TestFields(t *testing.T) {
	for _, f := range []bag.Field{{"", "x"}, {"a:b", "x"}, {" a", "x"}, {"a\t", "x"}, {"a\nb", "x"}, {"a", ""}, {"a", " x"}, {"a", "x "}, {"a", "x\ny"},
		{"a", "x\rPayload-Oxum: 1.1"}, {"payload-oxum", "1.1"}, {"a", "\xff"}, {"\ufeffa", "x"}, {"a", "x\x00"}} {
		w, err := bag.NewWriter(&memory{files: map[string]string{}})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(put(w, "a", "x"), w.Close([]bag.Field{f})); !errors.Is(err, bag.ErrField) {
			t.Errorf("%q: %v", f, err)
		}
		// It is a mistake of the caller's that takes nothing from the bag.
		if err := w.Close([]bag.Field{{"a b", "x: y"}}); err != nil {
			t.Errorf("%q: then: %v", f, err)
		}
	}
}

// TestOrder: what cannot become a whole bag is refused.
func TestOrder(t *testing.T) {
	w, err := bag.NewWriter(&memory{files: map[string]string{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(nil); !errors.Is(err, bag.ErrEmpty) {
		t.Errorf("no files: %v", err)
	}
	f, err := w.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Create("b"); !errors.Is(err, bag.ErrOrder) {
		t.Errorf("two at once: %v", err)
	}
	if err := w.Close(nil); !errors.Is(err, bag.ErrOrder) {
		t.Errorf("closed in the midst of a file: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := f.Write([]byte("x")); !errors.Is(err, bag.ErrOrder) {
		t.Errorf("written to behind the end: %v", err)
	}
	if err := f.Close(); !errors.Is(err, bag.ErrOrder) {
		t.Errorf("closed twice: %v", err)
	}
	if err := w.Close(nil); err != nil || len(w.Files()) != 1 {
		t.Errorf("%v, %v", w.Files(), err)
	}
	if err := errors.Join(put(w, "c", ""), nil); !errors.Is(err, bag.ErrOrder) {
		t.Errorf("a file in a bag that is closed: %v", err)
	}
	if err := w.Close(nil); !errors.Is(err, bag.ErrOrder) {
		t.Errorf("closed twice: %v", err)
	}
}

// TestFull lets the sink fail after each number of octets, and once at each step: no bag is complete.
func TestFull(t *testing.T) {
	attempt := func(sink *memory) error {
		w, err := bag.NewWriter(sink)
		if err != nil {
			return err
		}
		for _, name := range []string{"a", "b"} {
			_ = put(w, name, "text") // what fails here has to fail in the end
		}
		return w.Close(nil)
	}
	whole := &memory{files: map[string]string{}}
	if err := attempt(whole); err != nil {
		t.Fatal(err)
	}
	octets, steps := 0, -whole.step
	for _, text := range whole.files {
		octets += len(text)
	}
	for n := 1; n <= octets; n++ {
		if err := attempt(&memory{files: map[string]string{}, left: n}); !errors.Is(err, errFull) {
			t.Fatalf("%d of %d octets: %v", n, octets, err)
		}
	}
	if err := attempt(&memory{files: map[string]string{}, left: octets + 1}); err != nil {
		t.Errorf("enough room: %v", err)
	}
	for n := 1; n <= steps; n++ {
		if err := attempt(&memory{files: map[string]string{}, step: n}); !errors.Is(err, errFull) {
			t.Errorf("step %d of %d fails: %v", n, steps, err)
		}
	}
}
