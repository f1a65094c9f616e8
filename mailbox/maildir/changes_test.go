//go:build unix

package maildir_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/maildir"
)

const text = "Message-ID: <1@example.test>\nSubject: test\n\nbody\n"

// put puts a file there, as another program would.
func put(t testing.TB, elem ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(elem...), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rename(t testing.TB, dir, from, to string) {
	t.Helper()
	if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
		t.Fatal(err)
	}
}

// flags returns the flags of all messages.
func flags(t testing.TB, s mailbox.Store, folder string) map[mailbox.UID]string {
	t.Helper()
	list, err := s.List(t.Context(), folder, 1)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[mailbox.UID]string)
	for _, m := range list {
		all[m.UID] = strings.Join(m.Flags, " ")
		var got bytes.Buffer
		if err := s.Fetch(t.Context(), folder, m.UID, &got); err != nil || got.Len() != int(m.Size) {
			t.Errorf("message %d: %d octets, %v; want %d", m.UID, got.Len(), err, m.Size)
		}
	}
	return all
}

func want(t testing.TB, what string, got map[mailbox.UID]string, want map[mailbox.UID]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func files(t testing.TB, dir string, subs ...string) (names []string) {
	t.Helper()
	for _, sub := range subs {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, sub+"/"+e.Name())
		}
	}
	return names
}

// TestOthersChangeIt: what other programs do to a message's name leaves it its UID.
func TestOthersChangeIt(t *testing.T) {
	dir := newMaildir(t)
	s := open(t, dir)
	defer s.Close()
	put(t, dir, "new", "200.b.host")
	put(t, dir, "new", "100.a.host")
	put(t, dir, "cur", "300.c.host,S=50:2,FX,more")
	want(t, "at first", flags(t, s, "INBOX"), map[mailbox.UID]string{1: "", 2: "", 3: `\Flagged`})
	rename(t, dir, "new/100.a.host", "cur/100.a.host:2,S")
	rename(t, dir, "cur/300.c.host,S=50:2,FX,more", "cur/300.c.host,S=50:2,RX,more")
	want(t, "renamed", flags(t, s, "INBOX"), map[mailbox.UID]string{1: `\Seen`, 2: "", 3: `\Answered`})
	// A copy is another message; one under the same name is as well, and gets a name of its own.
	put(t, dir, "new", "400.d.host")
	put(t, dir, "cur", "200.b.host:2,DT")
	got := flags(t, s, "INBOX")
	want(t, "copied", got, map[mailbox.UID]string{1: `\Seen`, 2: "", 3: `\Answered`, 4: "", 5: `\Deleted \Draft`})
	want(t, "by another", flags(t, open(t, dir), "INBOX"), got)
	if n := len(files(t, dir, "new", "cur")); n != 5 {
		t.Errorf("%d files", n)
	}
	// Two names of one file are one message, as while a program links it from new to cur.
	if err := os.Link(filepath.Join(dir, "new", "400.d.host"), filepath.Join(dir, "cur", "400.d.host:2,")); err != nil {
		t.Fatal(err)
	}
	want(t, "linked", flags(t, s, "INBOX"), got)
	// Letters that nobody knows, and what stands behind a comma, stay.
	if err := s.SetFlags(t.Context(), "INBOX", []mailbox.UID{3, 4}, mailbox.FlagChange{Add: []string{`\Seen`, `\flagged`}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cur/300.c.host,S=50:2,FRSX,more", "cur/400.d.host:2,FS"} {
		if !slices.Contains(files(t, dir, "cur"), name) {
			t.Errorf("%s is not among %q", name, files(t, dir, "cur"))
		}
	}
	// Between looking and doing.
	for n, do := range []func(uid mailbox.UID) error{
		func(uid mailbox.UID) error { return s.Fetch(t.Context(), "INBOX", uid, new(bytes.Buffer)) },
		func(uid mailbox.UID) error { return s.Delete(t.Context(), "INBOX", []mailbox.UID{uid}) },
	} {
		flags(t, s, "INBOX")
		rename(t, dir, "cur/100.a.host:2,"+[]string{"S", "RS"}[n], "cur/100.a.host:2,"+[]string{"RS", "FRS"}[n])
		if err := do(1); err != nil {
			t.Error(err)
		}
	}
	if err := s.Fetch(t.Context(), "INBOX", 1, new(bytes.Buffer)); !errors.Is(err, mailbox.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	// One that went away and comes again is a new message.
	put(t, dir, "cur", "100.a.host:2,")
	if got := flags(t, s, "INBOX"); got[6] != "" || len(got) != 5 {
		t.Errorf("came again: %v", got)
	}
	path := filepath.Join(dir, "new", "900.e.host")
	put(t, path)
	if _, there := flags(t, s, "INBOX")[7]; !there {
		t.Error("delivered, and not there")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	flags(t, s, "INBOX")
	put(t, path)
	if _, same := flags(t, open(t, dir), "INBOX")[7]; same {
		t.Error("what others removed came again under its old UID")
	}
}

// TestMoveToCopy: a copy in the other folder that has the same name stays, and a field that counts in one folder only does not go along.
func TestMoveToCopy(t *testing.T) {
	dir := newMaildir(t)
	s := open(t, dir)
	defer s.Close()
	if err := s.CreateFolder(t.Context(), "Other"); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{dir, filepath.Join(dir, ".Other")} {
		put(t, at, "cur", "100.a.host,U=7:2,S")
	}
	if _, err := s.Move(t.Context(), "INBOX", []mailbox.UID{1}, "Other"); err != nil {
		t.Fatal(err)
	}
	want(t, "there", flags(t, s, "Other"), map[mailbox.UID]string{1: `\Seen`, 2: `\Seen`})
	names := files(t, filepath.Join(dir, ".Other"), "cur")
	if len(names) != 2 || strings.Count(strings.Join(names, ""), "U=7") != 1 {
		t.Errorf("files: %q", names)
	}
}

func TestLostNumbers(t *testing.T) {
	dir := newMaildir(t)
	put(t, dir, "new", "100.a.host")
	s := open(t, dir)
	defer s.Close()
	status, err := s.Status(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "sealmail-uids")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.List(t.Context(), "INBOX", 1); !errors.Is(err, mailbox.ErrRenumbered) {
		t.Errorf("List: %v", err)
	}
	if err := s.Delete(t.Context(), "INBOX", []mailbox.UID{1}); !errors.Is(err, mailbox.ErrRenumbered) {
		t.Errorf("Delete: %v", err)
	}
	again, err := s.Status(t.Context(), "INBOX")
	if err != nil || again.UIDValidity == status.UIDValidity || again.Messages != 1 {
		t.Errorf("Status: %+v, %v; was %+v", again, err, status)
	}
	want(t, "then", flags(t, s, "INBOX"), map[mailbox.UID]string{1: ""})
}

// TestHostileFiles: what is no file is no message, is not followed, and is not waited for; any name may be that of one.
func TestHostileFiles(t *testing.T) {
	dir := newMaildir(t)
	outside := filepath.Join(t.TempDir(), "outside")
	put(t, outside)
	err := errors.Join(
		os.Symlink(outside, filepath.Join(dir, "cur", "100.link:2,")),
		os.Symlink(outside+"-none", filepath.Join(dir, "new", "101.link")),
		syscall.Mkfifo(filepath.Join(dir, "cur", "102.pipe:2,S"), 0o600),
		os.Mkdir(filepath.Join(dir, "cur", "103.folder:2,"), 0o700),
		os.Symlink(filepath.Dir(outside), filepath.Join(dir, ".link")),
		os.Mkdir(filepath.Join(dir, ".nofolder"), 0o700),
		os.Mkdir(filepath.Join(dir, ".a..b"), 0o700),
		os.MkdirAll(filepath.Join(dir, ".bell\a", "cur"), 0o700),
		os.MkdirAll(filepath.Join(dir, ".INBOX", "cur"), 0o700),
		os.MkdirAll(filepath.Join(dir, ".not&encoded", "cur"), 0o700),
		os.MkdirAll(filepath.Join(dir, ".Größe", "cur"), 0o700),
		os.Symlink(outside, filepath.Join(dir, "dovecot-keywords")),
	)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "cur", ".hidden")
	names := []string{"104.new\nline:2,F", "105 two words:2,F", "106.\xff\xfe:2,F", "noinfo", "107.x:1,F", ":2,F", "108.x:2,aF"}
	for _, name := range names {
		put(t, dir, "cur", name)
	}
	s := open(t, dir)
	defer s.Close()
	got := flags(t, s, "INBOX")
	if len(got) != len(names) {
		t.Errorf("%d messages, want %d: %v", len(got), len(names), got)
	}
	want(t, "by another", flags(t, open(t, dir), "INBOX"), got)
	var uids []mailbox.UID
	for uid := range got {
		uids = append(uids, uid)
	}
	if err := s.SetFlags(t.Context(), "INBOX", uids, mailbox.FlagChange{Add: []string{`\Seen`}}); err != nil {
		t.Error(err)
	}
	for uid, flags := range flags(t, s, "INBOX") {
		if !strings.Contains(flags, `\Seen`) {
			t.Errorf("message %d has the flags %q", uid, flags)
		}
	}
	folders, err := s.Folders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, f := range folders {
		have = append(have, f.Name)
	}
	if slices.Sort(have); !slices.Equal(have, []string{"Größe", "INBOX", "not&encoded"}) {
		t.Errorf("folders: %q", have)
	}
	for _, name := range []string{"Größe", "not&encoded"} {
		if _, err := s.Status(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"../x", "a/b", ".a", "a.", "a..b", "link", "nofolder", strings.Repeat("ä", 200)} {
		if _, err := s.Status(t.Context(), name); !errors.Is(err, mailbox.ErrNoFolder) {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	for _, name := range []string{"../x", "a/b", ".a", "a.", "a..b", "link", strings.Repeat("ä", 200)} {
		if err := s.CreateFolder(t.Context(), name); !errors.Is(err, mailbox.ErrNoFolder) {
			t.Errorf("%.20q was made: %v", name, err)
		}
	}
	if text, err := os.ReadFile(outside); err != nil || len(text) != len("Message-ID: <1@example.test>\nSubject: test\n\nbody\n") {
		t.Errorf("what is outside was changed: %q, %v", text, err)
	}
}

// TestPartsUnderAPattern: what a kill left in tmp is removed also where the path would be a pattern of names.
func TestPartsUnderAPattern(t *testing.T) {
	dir := filepath.Join(newMaildir(t), "mail[old")
	if err := maildir.Make(safeio.Disk{}, dir); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "tmp", "sealmail-1.part")
	put(t, dir, "tmp", "1.of-another")
	s := open(t, dir)
	defer s.Close()
	if _, err := s.Append(t.Context(), "INBOX", mailbox.NewMessage{Size: 4, Body: strings.NewReader("x:\r\n")}); err != nil {
		t.Fatal(err)
	}
	if left := files(t, dir, "tmp"); !slices.Equal(left, []string{"tmp/1.of-another"}) {
		t.Errorf("left in tmp: %q", left)
	}
}

// TestDovecotKeywords: letters from a to z are Dovecot's in each folder; other keywords are remembered with the UIDs.
func TestDovecotKeywords(t *testing.T) {
	dir := newMaildir(t)
	s := open(t, dir)
	defer s.Close()
	if err := s.CreateFolder(t.Context(), "Other"); err != nil {
		t.Fatal(err)
	}
	keywords := "0 $Junk\n1 work\n2 \\Recent\n26 no\nx y\n-1 z\n3\n"
	if err := os.WriteFile(filepath.Join(dir, "dovecot-keywords"), []byte(keywords), 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "cur", "100.a.host:2,Sbcz")
	want(t, "Dovecot's", flags(t, s, "INBOX"), map[mailbox.UID]string{1: `\Seen work`})
	change := mailbox.FlagChange{Add: []string{"$junk", "mine", "$Forwarded"}, Remove: []string{"WORK"}}
	if err := s.SetFlags(t.Context(), "INBOX", []mailbox.UID{1}, change); err != nil {
		t.Fatal(err)
	}
	want(t, "set", flags(t, open(t, dir), "INBOX"), map[mailbox.UID]string{1: `$Forwarded $Junk \Seen mine`})
	if got := files(t, dir, "cur"); !slices.Equal(got, []string{"cur/100.a.host:2,PSacz"}) {
		t.Errorf("files: %q", got)
	}
	if _, err := s.Move(t.Context(), "INBOX", []mailbox.UID{1}, "Other"); err != nil {
		t.Fatal(err)
	}
	want(t, "moved", flags(t, open(t, dir), "Other"), map[mailbox.UID]string{1: `$Forwarded $Junk \Seen mine`})
	if got := files(t, filepath.Join(dir, ".Other"), "cur"); len(got) != 1 || !strings.HasSuffix(got[0], ":2,PS") {
		t.Errorf("files: %q", got)
	}
	if err := s.SetFlags(t.Context(), "Other", []mailbox.UID{1}, mailbox.FlagChange{Remove: []string{"$Junk", "mine"}}); err != nil {
		t.Fatal(err)
	}
	want(t, "taken off", flags(t, open(t, dir), "Other"), map[mailbox.UID]string{1: `$Forwarded \Seen`})
}

// TestNoMaildir: nothing is made where there is none.
func TestNoMaildir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := maildir.Open(maildir.Options{Path: dir, Clock: time.Now}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Error("it was made")
	}
}

// TestFullDisk lets each step of the disk fail in turn: what was not stored, or moved, is where it was, and nothing else is lost.
func TestFullDisk(t *testing.T) {
	broken := errors.New("the disk is full")
	for name, do := range map[string]func(s mailbox.Store) error{
		"Append": func(s mailbox.Store) error {
			body := strings.ReplaceAll(text, "\n", "\r\n")
			_, err := s.Append(t.Context(), "INBOX", mailbox.NewMessage{Flags: []string{"x"}, Size: int64(len(body)), Body: strings.NewReader(body)})
			return err
		},
		"Move": func(s mailbox.Store) error {
			_, err := s.Move(t.Context(), "INBOX", []mailbox.UID{1, 2}, "Other")
			return err
		},
		"Delete": func(s mailbox.Store) error { return s.Delete(t.Context(), "INBOX", []mailbox.UID{1}) },
		"SetFlags": func(s mailbox.Store) error {
			return s.SetFlags(t.Context(), "INBOX", []mailbox.UID{1}, mailbox.FlagChange{Add: []string{"x"}})
		},
	} {
		failed := true
		for step := 1; failed; step++ {
			dir := newMaildir(t)
			put(t, dir, "cur", "100.a:2,S")
			put(t, dir, "new", "200.b")
			good := open(t, dir)
			if err := good.CreateFolder(t.Context(), "Other"); err != nil {
				t.Fatal(err)
			}
			flags(t, good, "INBOX")
			flags(t, good, "Other")
			count := 0
			s, err := maildir.Open(maildir.Options{Path: dir, Clock: time.Now, Disk: safeio.Disk{Before: func(string, string) error {
				if count++; count == step {
					return broken
				}
				return nil
			}}})
			if err != nil {
				t.Fatal(err)
			}
			err = do(s)
			failed = count >= step
			if failed != errors.Is(err, broken) || !failed && err != nil {
				t.Errorf("%s, step %d: %v", name, step, err)
			}
			here, there := flags(t, open(t, dir), "INBOX"), flags(t, open(t, dir), "Other")
			n := len(here) + len(there)
			switch {
			case name == "Append" && failed && n != 2, name == "Append" && !failed && n != 3:
				t.Errorf("Append, step %d: %d messages, %v", step, n, err)
			case name != "Append" && name != "Delete" && n != 2, name == "Delete" && (here[2] != "" || n > 2):
				t.Errorf("%s, step %d: %v and %v", name, step, here, there)
			}
			// What failed can be done again, and the numbering stands.
			count = -1000
			if err := do(s); err != nil {
				t.Errorf("%s, step %d, again: %v", name, step, err)
			}
			if status, err := good.Status(t.Context(), "INBOX"); err != nil {
				t.Errorf("%s, step %d: %+v, %v", name, step, status, err)
			}
			if left := files(t, dir, "tmp"); len(left) > 0 {
				t.Errorf("%s, step %d: left in tmp: %q", name, step, left)
			}
		}
	}
}
