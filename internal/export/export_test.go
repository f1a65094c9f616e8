package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sealmail/sealmail/internal/export"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/archive/bag"
	"github.com/sealmail/sealmail/mailbox/maildir"
	"github.com/sealmail/sealmail/mailbox/mbox"
)

func TestMain(m *testing.M) { peertest.Main(m) }

func clock() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

var kinds = []export.Kind{export.EML, export.Mbox, export.Maildir, export.Bag}

// odd returns messages that some form of storage could alter: of no octets, without final line end, with line ends of other kinds,
// lines that begin with "From ", 8-bit octets, NULs and lines of all lengths.
func odd() []string {
	list := []string{"", "x", "\r\n", "\r\n\r\n", "\r", "\r\n\r", "A: b\r\n\r\n", "A: b\r\n\r\nno end", "A: b\r\n\r\nno end\r", "A: b\r\n\r\nbare\nLF\n", "A: b\nLF\n\nalone\n",
		"A: b\r\n\r\nbare\rCR\r\n", "A: b\r\n\r\nFrom me\r\n>From you\r\n>>From >From\r\n", "From x Sat Nov 21 10:02:11 2026\r\nA: b\r\n\r\n",
		"A: b\r\n\r\n\r\nFrom x Sat Nov 21 10:02:11 2026\r\n\r\nB: c\r\n", "A: b\r\n\r\nFrom x Sat Nov 21 10:02:11 2026", "A: b\r\n\r\n>From", "A: b\r\n\r\n.\r\n..\r\n",
		"A: b\r\n\r\n\x00\xff\x80\x00\r\n", "A: b\r\nStatus: RO\r\nContent-Length: 3\r\n\r\nmore than three\r\n", "A: b\r\n\r\nx\r\n\r\n\r\n\r\n", "A: b\r\n\r\nx\r\n\n", "\n", "\nx",
		"A: b\r\n\r\n" + strings.Repeat("x", 3<<20), "A: b\r\n\r\n" + strings.Repeat("From x\r\n", 200_000), "A: " + strings.Repeat("ü", 1<<20) + "\r\n\r\n"}
	parts := []string{"A: b", "\r\n", "\r\n\r\n", "\n", "\r", "From ", ">From ", "From x Sat Nov 21 10:02:11 2026", "\x00", "\xfc", "é", "text", " ", "."}
	chance := rand.New(rand.NewPCG(8493, 4155))
	for len(list) < 300 {
		var b strings.Builder
		for range chance.IntN(30) {
			b.WriteString(parts[chance.IntN(len(parts))])
		}
		list = append(list, b.String())
	}
	return list
}

// fits reports whether a kind takes a message.
func fits(kind export.Kind, text string) bool {
	if kind != export.Mbox && kind != export.Maildir {
		return true
	}
	before, _, found := strings.Cut(text, "\n")
	return !(found && !strings.HasSuffix(before, "\r")) && (kind == export.Mbox || text != "")
}

// message is one of odd, with all that is known of it.
func message(i int, text string) export.Message {
	return export.Message{Number: uint64(i + 1), Folder: []string{"INBOX", "Työ/2026.1", "a b"}[i%3], Flags: [][]string{nil, {`\Answered`, `\Seen`}, {"$Forwarded", `\Flagged`, "own"}}[i%3],
		Date: time.Unix(1_700_000_000+int64(i), 0), Size: int64(len(text)), Octets: iotest.HalfReader(strings.NewReader(text)),
		Record: json.RawMessage(fmt.Sprintf("{\n \"verdict\": %d\n}", i))}
}

// fill exports the messages that fit and returns them by number.
func fill(t testing.TB, e export.Exporter, kind export.Kind, list []string) map[uint64]string {
	t.Helper()
	kept := map[uint64]string{}
	for i, text := range list {
		err := e.Add(t.Context(), message(i, text))
		switch {
		case fits(kind, text):
			if err != nil {
				t.Fatalf("%s: %.50q: %v", kind, text, err)
			}
			kept[uint64(i+1)] = text
		case !errors.Is(err, export.ErrUnfit):
			t.Errorf("%s: %.50q: %v", kind, text, err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return kept
}

// open begins an export in a new folder.
func open(t testing.TB, kind export.Kind) (path string, e export.Exporter) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "out")
	e, err := export.Open(export.Options{Kind: kind, Path: path, Clock: clock, Info: []export.Field{{Label: "Source-Organization", Value: "Test"}}})
	if err != nil {
		t.Fatal(err)
	}
	return path, e
}

func same(t testing.TB, what string, want, got map[uint64]string) {
	t.Helper()
	for number, text := range want {
		if got, there := got[number]; !there || got != text {
			t.Errorf("%s: message %d: %.200q comes out as %.200q", what, number, text, got)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d messages come out of %d", what, len(got), len(want))
	}
}

// TestRoundTrip has odd messages come back with the same octets from each form, and with what else the form keeps.
func TestRoundTrip(t *testing.T) {
	list := odd()
	t.Run("eml", func(t *testing.T) {
		path, e := open(t, export.EML)
		want := fill(t, e, export.EML, list)
		same(t, "eml", want, files(t, path, "%012d.eml"))
	})
	t.Run("bag", func(t *testing.T) {
		path, e := open(t, export.Bag)
		want := fill(t, e, export.Bag, list)
		checkBag(t, path)
		got := map[uint64]string{}
		for i, r := range records(t, path) {
			text, err := os.ReadFile(filepath.Join(path, filepath.FromSlash(r.File)))
			if err != nil {
				t.Fatal(err)
			}
			got[r.Number] = string(text)
			m := message(i, list[i])
			if r.Folder != m.Folder || !slices.Equal(r.Flags, m.Flags) || !r.Date.Equal(m.Date) || r.Size != m.Size || string(r.Record) != fmt.Sprintf(`{"verdict":%d}`, i) {
				t.Errorf("record %d: %+v", i, r)
			}
		}
		same(t, "bag", want, got)
		info, err := os.ReadFile(filepath.Join(path, "bag-info.txt"))
		if err != nil || !strings.HasPrefix(string(info), "Source-Organization: Test\nBagging-Date: 2026-11-22\nPayload-Oxum: ") {
			t.Errorf("%s, %v", info, err)
		}
	})
	t.Run("mbox", func(t *testing.T) {
		path, e := open(t, export.Mbox)
		want := fill(t, e, export.Mbox, list)
		store, err := mbox.Open(mbox.Options{Path: path, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		same(t, "mbox", want, byDate(t, store, nil))
	})
	t.Run("maildir", func(t *testing.T) {
		path, e := open(t, export.Maildir)
		want := fill(t, e, export.Maildir, list)
		store, err := maildir.Open(maildir.Options{Path: path, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		same(t, "maildir", want, byDate(t, store, func(folder string, m mailbox.Info, number uint64) {
			given := message(int(number-1), "")
			if wanted := map[string]string{"INBOX": "INBOX", "Työ/2026.1": "Työ.2026=2E1", "a b": "a b"}[given.Folder]; folder != wanted || !slices.Equal(m.Flags, given.Flags) {
				t.Errorf("message %d: in %s with %v", number, folder, m.Flags)
			}
		}))
	})
}

// byDate returns the messages of a store. Their date is what tells their number.
func byDate(t testing.TB, s mailbox.Store, look func(string, mailbox.Info, uint64)) map[uint64]string {
	t.Helper()
	all := map[uint64]string{}
	folders, err := s.Folders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		list, err := s.List(t.Context(), f.Name, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			var b bytes.Buffer
			if err := s.Fetch(t.Context(), f.Name, m.UID, &b); err != nil {
				t.Fatal(err)
			}
			number := uint64(m.InternalDate.Unix() - 1_700_000_000 + 1)
			all[number] = b.String()
			if look != nil {
				look(f.Name, m, number)
			}
		}
	}
	return all
}

// files returns what is in a folder.
func files(t testing.TB, dir, format string) map[uint64]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[uint64]string{}
	for _, e := range entries {
		var number uint64
		if _, err := fmt.Sscanf(e.Name(), format, &number); err != nil {
			t.Errorf("%s: %v", e.Name(), err)
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[number] = string(text)
	}
	return all
}

// records reads the records of a bag.
func records(t testing.TB, dir string) (list []export.Record) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "data", "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var r export.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

// checkBag has two judges say that a bag is valid: ours, and the one that was written from the RFC alone.
func checkBag(t testing.TB, dir string) {
	t.Helper()
	r, err := bag.Check(t.Context(), os.DirFS(dir), bag.Options{})
	if err != nil || !r.Valid() {
		t.Fatalf("%v, %v", r, err)
	}
	root, err := peertest.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	peertest.Command(t, "sha512sum")
	peertest.Run(t, "sh", filepath.Join(root, "testdata", "bagit", "check.sh"), dir)
}

// TestFolders has mailboxes whose names lead elsewhere, or are those of other files: all is in the export, and of each folder.
func TestFolders(t *testing.T) {
	names := []string{"", "/", "..", "../../../../tmp/x", "/etc/passwd", "a/../../b", "~root", `..\..\x`, "C:", "NUL", "com1.x", "records.jsonl", "x.EML", "000000000001.eml", ".", ".hidden", "-rf",
		"a\x00b", "a\nb", "\xff\xfe", "\u202egpj.exe", "INBOX", "inbox", "INBOX/x", "x.", "x ", "=", "=2E", "a.b", "a..b", ".x.", strings.Repeat("n", 300), strings.Repeat("ü/", 400),
		strings.Repeat("aé", 60), strings.Repeat(strings.Repeat("aé", 30)+"/", 4), "bagit.txt", "data", "cur", "tmp/x", "new", "*?<>|\""}
	for _, kind := range kinds {
		path, e := open(t, kind)
		for i, name := range names {
			m := message(i, fmt.Sprintf("Subject: %d\r\n\r\nx\r\n", i))
			m.Folder = name
			if err := e.Add(t.Context(), m); err != nil {
				t.Fatalf("%s: %.50q: %v", kind, name, err)
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if beside, err := os.ReadDir(filepath.Dir(path)); err != nil || len(beside) != 1 {
			t.Errorf("%s: beside it: %v, %v", kind, beside, err)
		}
		switch kind {
		case export.Bag:
			checkBag(t, path)
			paths := map[string]string{}
			for i, r := range records(t, path) {
				dir, _ := strings.CutSuffix(strings.TrimPrefix(r.File, "data/"), fmt.Sprintf("/%012d.eml", i+1))
				if other, taken := paths[dir]; taken {
					t.Errorf("%q and %q are both in %s", other, names[i], dir)
				}
				if paths[dir] = names[i]; len(dir) > 600 {
					t.Errorf("%d octets: %s", len(dir), dir)
				}
			}
			for want, name := range map[string]string{"=": "", "=/=": "/", "=2E=2E/=2E=2E/=2E=2E/=2E=2E/tmp/x": "../../../../tmp/x", "=7Eroot": "~root", "=2Ehidden": ".hidden",
				"=4EUL": "NUL", "x=2EEML": "x.EML", "=E2=80=AEgpj.exe": "\u202egpj.exe", "=FF=FE": "\xff\xfe", "a=00b": "a\x00b", "=3D2E": "=2E", "x=2E": "x.", "a..b": "a..b"} {
				if got, there := paths[want]; !there || got != name {
					t.Errorf("%q is not in %s", name, want)
				}
			}
		case export.Maildir:
			store, err := maildir.Open(maildir.Options{Path: path, Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			if all := byDate(t, store, nil); len(all) != len(names) {
				t.Errorf("%d of %d messages are in the Maildir", len(all), len(names))
			}
			folders, err := store.Folders(t.Context())
			if err != nil || len(folders) != len(names)-1 { // INBOX has two names
				t.Errorf("%d folders of %d: %v, %v", len(folders), len(names), folders, err)
			}
			_ = store.Close()
		}
	}
}

// TestExisting: what is there stays, whatever it is and whenever it came.
func TestExisting(t *testing.T) {
	for _, kind := range kinds {
		for what, make := range map[string]func(string) error{
			"a file":             func(path string) error { return os.WriteFile(path, []byte("mine"), 0o600) },
			"an empty directory": func(path string) error { return os.Mkdir(path, 0o700) },
			"a link to nothing":  func(path string) error { return os.Symlink("nowhere", path) },
		} {
			for _, before := range []bool{true, false} {
				path := filepath.Join(t.TempDir(), "out")
				if before {
					if err := make(path); err != nil {
						t.Fatal(err)
					}
				}
				e, err := export.Open(export.Options{Kind: kind, Path: path, Clock: clock})
				if !before {
					if err != nil {
						t.Fatal(err)
					}
					if err := errors.Join(e.Add(t.Context(), message(0, "A: b\r\n\r\n")), make(path)); err != nil {
						t.Fatal(err)
					}
					err = e.Close()
				}
				if !errors.Is(err, fs.ErrExist) {
					t.Errorf("%s: %s, there before: %v: %v", kind, what, before, err)
				}
				entries, err := os.ReadDir(filepath.Dir(path))
				if err != nil || len(entries) != 1 {
					t.Errorf("%s: %s: %v, %v", kind, what, entries, err)
				}
				if text, err := os.ReadFile(path); what == "a file" && (err != nil || string(text) != "mine") {
					t.Errorf("%s: it was overwritten: %q, %v", kind, text, err)
				}
			}
		}
	}
}

// fastDir returns a folder in memory where the system has such a thing: what is synced there costs nothing.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sealmail-export-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

var errDisk = errors.New("broken disk")

// run exports some messages, one of them large; each step on the disk is counted. From the step of number fail on all fail, as if the
// program had been killed there; with once, that one alone fails.
func run(t testing.TB, kind export.Kind, path string, fail int, once bool) (steps int, last string, err error) {
	t.Helper()
	disk := safeio.Disk{Before: func(op, path string) error {
		if steps++; steps == fail || !once && fail > 0 && steps > fail {
			if steps == fail {
				last = op
			}
			return errDisk
		}
		return nil
	}}
	e, err := export.Open(export.Options{Kind: kind, Path: path, Clock: clock, Disk: disk})
	if err != nil {
		return steps, last, err
	}
	for i, text := range []string{"A: b\r\n\r\nx\r\n", strings.Repeat("A: b\r\n", 180_000), "A: c\r\n\r\n"} {
		m := message(i, text)
		m.Octets = strings.NewReader(text)
		_ = e.Add(t.Context(), m) // what fails here has to fail in the end
	}
	err = e.Close()
	return steps, last, err
}

// TestSteps fails, and ends, at each step on the disk: there is nothing of the export's name, or all of it.
func TestSteps(t *testing.T) {
	for _, kind := range kinds {
		steps, _, err := run(t, kind, filepath.Join(fastDir(t), "out"), 0, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, once := range []bool{true, false} {
			for n := 1; n <= steps; n++ {
				path := filepath.Join(fastDir(t), "out")
				_, op, err := run(t, kind, path, n, once)
				_, there := os.Lstat(path)
				switch {
				case there == nil && (n < steps-2 || op != safeio.OpSyncDir && op != safeio.OpRemove):
					t.Errorf("%s: step %d of %d, %s, alone %v: the export is there", kind, n, steps, op, once)
				case there != nil && err == nil:
					t.Errorf("%s: step %d of %d, %s, alone %v: there is no export, and no error", kind, n, steps, op, once)
				case err == nil && op != safeio.OpRemove: // of what is left over
					t.Errorf("%s: step %d of %d, %s, alone %v: no error", kind, n, steps, op, once)
				}
				if entries, _ := os.ReadDir(filepath.Dir(path)); once && there != nil && len(entries) > 0 && op != safeio.OpRemove {
					t.Errorf("%s: step %d of %d, %s: left over: %v", kind, n, steps, op, entries)
				}
			}
		}
	}
}

// TestMistakes: what is no export is refused, and what was given up leaves nothing.
func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	if _, err := export.Open(export.Options{Kind: "tar", Path: filepath.Join(dir, "x")}); !errors.Is(err, export.ErrKind) {
		t.Errorf("another kind: %v", err)
	}
	for _, kind := range kinds {
		if _, err := export.Open(export.Options{Kind: kind, Path: filepath.Join(dir, "nowhere", "x"), Clock: clock}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: in no folder: %v", kind, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		const text = "A: b\r\n\r\nx\r\n"
		for what, test := range map[string]struct {
			ctx  context.Context
			m    export.Message
			want error
		}{
			"cancelled":  {ctx, message(1, text), context.Canceled},
			"shorter":    {t.Context(), export.Message{Number: 2, Folder: "INBOX", Size: 13, Octets: strings.NewReader(text)}, mailbox.ErrSize},
			"longer":     {t.Context(), export.Message{Number: 2, Folder: "INBOX", Size: 10, Octets: strings.NewReader(text)}, mailbox.ErrSize},
			"no octets":  {t.Context(), export.Message{Number: 2, Folder: "INBOX"}, export.ErrMessage},
			"one number": {t.Context(), message(0, text), export.ErrMessage},
			"unreadable": {t.Context(), export.Message{Number: 2, Folder: "INBOX", Size: 3, Octets: iotest.ErrReader(errDisk)}, errDisk},
		} {
			for _, abort := range []bool{false, true} {
				path, e := open(t, kind)
				if err := e.Add(t.Context(), message(0, text)); err != nil {
					t.Fatal(err)
				}
				if err := e.Add(test.ctx, test.m); !errors.Is(err, test.want) {
					t.Errorf("%s: %s: %v", kind, what, err)
				}
				if err := e.Add(t.Context(), message(5, text)); !errors.Is(err, test.want) {
					t.Errorf("%s: %s: then: %v", kind, what, err)
				}
				if abort {
					if err := errors.Join(e.Abort(), e.Abort()); err != nil {
						t.Error(err)
					}
				} else if err := e.Close(); !errors.Is(err, test.want) {
					t.Errorf("%s: %s: closed: %v", kind, what, err)
				}
				if err := e.Close(); !errors.Is(err, export.ErrClosed) {
					t.Errorf("%s: %s: closed again: %v", kind, what, err)
				}
				if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) > 0 {
					t.Errorf("%s: %s: left over: %v, %v", kind, what, entries, err)
				}
			}
		}
		path, e := open(t, kind)
		if err := errors.Join(e.Close(), e.Abort()); err != nil {
			t.Errorf("%s: nothing: %v", kind, err)
		}
		if err := e.Add(t.Context(), message(0, text)); !errors.Is(err, export.ErrClosed) {
			t.Errorf("%s: added to what is closed: %v", kind, err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: of no messages: %v, %v", kind, info, err)
		}
	}
}
