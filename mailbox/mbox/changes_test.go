//go:build unix

package mbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/mbox"
)

// content returns flags and octets of all messages of a folder.
func content(t testing.TB, s mailbox.Store, folder string) map[mailbox.UID]string {
	t.Helper()
	list, err := s.List(t.Context(), folder, 1)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[mailbox.UID]string)
	for _, m := range list {
		var b bytes.Buffer
		if err := s.Fetch(t.Context(), folder, m.UID, &b); err != nil || b.Len() != int(m.Size) {
			t.Errorf("message %d: %d octets, %v; want %d", m.UID, b.Len(), err, m.Size)
		}
		all[m.UID] = strings.Join(m.Flags, " ") + "|" + b.String()
	}
	return all
}

func want(t testing.TB, what string, got, want map[mailbox.UID]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func add(t testing.TB, s mailbox.Store, folder, text string, flags ...string) {
	t.Helper()
	m := mailbox.NewMessage{Flags: flags, Date: time.Unix(1e9, 0), Size: int64(len(text)), Body: strings.NewReader(text)}
	if _, err := s.Append(t.Context(), folder, m); err != nil {
		t.Fatal(err)
	}
}

// TestOthersChangeIt: what other programs say of a message in its header leaves it its UID, and what they remove is gone.
func TestOthersChangeIt(t *testing.T) {
	dir := newDir(t)
	inbox := filepath.Join(dir, "inbox")
	write(t, inbox, separator+"A: 1\n\n>From x\n\n"+separator+"A: 2\nStatus: RO\nX-Status: AF\n\ny\n\n"+separator+"A: 1\n\n>From x\n\n")
	s := open(t, dir)
	defer s.Close()
	one, two := "A: 1\r\n\r\nFrom x\r\n", "A: 2\r\nStatus: RO\r\nX-Status: AF\r\n\r\ny\r\n"
	want(t, "at first", content(t, s, "INBOX"), map[mailbox.UID]string{1: "|" + one, 2: `\Answered \Flagged \Seen|` + two, 3: "|" + one})
	write(t, inbox, separator+"A: 1\nStatus: RO\n\n>From x\n\n"+separator+"A: 2\n\ny\n\n"+separator+"A: 3\n\n")
	now := map[mailbox.UID]string{1: `\Seen|` + "A: 1\r\nStatus: RO\r\n\r\nFrom x\r\n", 2: "|A: 2\r\n\r\ny\r\n", 4: "|A: 3\r\n"}
	want(t, "changed", content(t, s, "INBOX"), now)
	want(t, "by another", content(t, open(t, dir), "INBOX"), now)
	// Flags of ours stand beside the file, which stays as it is.
	before, err := os.ReadFile(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetFlags(t.Context(), "INBOX", []mailbox.UID{1, 2}, mailbox.FlagChange{Add: []string{"x"}, Remove: []string{`\Seen`}}); err != nil {
		t.Fatal(err)
	}
	now[1], now[2] = "x"+strings.TrimPrefix(now[1], `\Seen`), "x"+now[2]
	want(t, "flags", content(t, open(t, dir), "INBOX"), now)
	if after, err := os.ReadFile(inbox); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file was changed: %q, %v", after, err)
	}
	// A file that does not end as it should is gone on with all the same.
	write(t, inbox, separator+"A: 1\n\nno line end")
	add(t, s, "INBOX", "A: 9\r\n\r\nFrom me\r\nno line end")
	want(t, "appended", content(t, s, "INBOX"), map[mailbox.UID]string{5: "|A: 1\r\n\r\nno line end\r\n", 6: "|A: 9\r\n\r\nFrom me\r\nno line end"})
}

func TestHostileFiles(t *testing.T) {
	dir := newDir(t)
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, separator+"A: 1\n\n")
	if err := errors.Join(os.Symlink(outside, filepath.Join(dir, "link")), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
		os.Mkdir(filepath.Join(dir, "folder"), 0o700)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "text"), "no mail\n")
	write(t, filepath.Join(dir, ".hidden"), separator+"A: 1\n\n")
	write(t, filepath.Join(dir, "mail"), separator+"A: 1\n\n")
	s := open(t, dir)
	defer s.Close()
	folders, err := s.Folders(t.Context())
	if err != nil || len(folders) != 2 || folders[1].Name != "mail" {
		t.Errorf("folders: %v, %v", folders, err)
	}
	for _, name := range []string{"link", "pipe", "folder", "text", ".hidden", "../x", "a/b", "x.lock", strings.Repeat("x", 300)} {
		m := mailbox.NewMessage{Size: 4, Body: strings.NewReader("x:\r\n")}
		if _, err := s.Append(t.Context(), name, m); !errors.Is(err, mailbox.ErrNoFolder) {
			t.Errorf("%.20s: %v", name, err)
		}
	}
	if text, err := os.ReadFile(outside); err != nil || string(text) != separator+"A: 1\n\n" {
		t.Errorf("what is outside is %q, %v", text, err)
	}
}

// TestGrownInTheMidst: a file that became longer otherwise than at its end is read anew, as a whole.
func TestGrownInTheMidst(t *testing.T) {
	dir := newDir(t)
	inbox := filepath.Join(dir, "inbox")
	write(t, inbox, separator+"A: 1\n\nx\n\n"+separator+"A: 2\n\n")
	s := open(t, dir)
	defer s.Close()
	want(t, "at first", content(t, s, "INBOX"), map[mailbox.UID]string{1: "|A: 1\r\n\r\nx\r\n", 2: "|A: 2\r\n"})
	write(t, inbox, separator+"A: 1\nStatus: RO\n\nx\n\n"+separator+"A: 2\n\n"+separator+"A: 3\n\n")
	want(t, "grown", content(t, s, "INBOX"), map[mailbox.UID]string{1: `\Seen|` + "A: 1\r\nStatus: RO\r\n\r\nx\r\n", 2: "|A: 2\r\n", 3: "|A: 3\r\n"})
}

// TestPermissions: a file that is written anew is open to those that it was open to.
func TestPermissions(t *testing.T) {
	for _, perm := range []os.FileMode{0o600, 0o660} {
		dir := newDir(t)
		inbox := filepath.Join(dir, "inbox")
		write(t, inbox, separator+"A: 1\n\n"+separator+"A: 2\n\n")
		if err := os.Chmod(inbox, perm); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir)
		want(t, "INBOX", content(t, s, "INBOX"), map[mailbox.UID]string{1: "|A: 1\r\n", 2: "|A: 2\r\n"})
		if err := errors.Join(s.Delete(t.Context(), "INBOX", []mailbox.UID{1}), s.Close()); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(inbox); err != nil || info.Mode().Perm() != perm {
			t.Errorf("%v, %v; it was %v", info.Mode(), err, perm)
		}
	}
}

// TestEmptyMessage: one that is nothing but its separator line is read, and keeps nothing from being read behind it.
func TestEmptyMessage(t *testing.T) {
	dir := newDir(t)
	write(t, filepath.Join(dir, "inbox"), separator+"A: 1\n\n"+separator+"\n"+separator+"A: 3\n\n")
	s := open(t, dir)
	defer s.Close()
	want(t, "INBOX", content(t, s, "INBOX"), map[mailbox.UID]string{1: "|A: 1\r\n", 2: "|", 3: "|A: 3\r\n"})
	if _, err := s.Append(t.Context(), "INBOX", mailbox.NewMessage{Body: strings.NewReader("")}); !errors.Is(err, mailbox.ErrSize) {
		t.Errorf("an empty one is stored: %v", err)
	}
}

// TestOneFile: a file alone is INBOX, and there are no other folders.
func TestOneFile(t *testing.T) {
	path := filepath.Join(newDir(t), "alice")
	write(t, path, separator+"A: 1\n\n")
	s := open(t, path)
	defer s.Close()
	add(t, s, "INBOX", "A: 2\r\n")
	want(t, "INBOX", content(t, s, "INBOX"), map[mailbox.UID]string{1: "|A: 1\r\n", 2: "|A: 2\r\n"})
	dir := newDir(t)
	write(t, filepath.Join(dir, "INBOX"), separator+"A: 1\n\n")
	capitals := open(t, dir)
	defer capitals.Close()
	want(t, "in capitals", content(t, capitals, "INBOX"), map[mailbox.UID]string{1: "|A: 1\r\n"})
	if err := s.CreateFolder(t.Context(), "Sent"); !errors.Is(err, mailbox.ErrNoFolder) {
		t.Errorf("Sent: %v", err)
	}
}

// TestLocks: while another program has the one lock or the other, nothing is read or written.
func TestLocks(t *testing.T) {
	dir := newDir(t)
	inbox := filepath.Join(dir, "inbox")
	write(t, inbox, separator+"A: 1\n\n")
	s := open(t, dir)
	defer s.Close()
	held := func(name string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := s.UIDs(ctx, "INBOX"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	write(t, inbox+".lock", "")
	held("dot-lock")
	if err := os.Remove(inbox + ".lock"); err != nil {
		t.Fatal(err)
	}
	// Python's lockf is fcntl. It says when it has the lock, and keeps it until its input ends.
	cmd := exec.Command(peertest.Command(t, "python3"), "-c",
		"import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print('locked', flush=True); sys.stdin.read()", inbox)
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	held("fcntl")
	if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	want(t, "free", content(t, s, "INBOX"), map[mailbox.UID]string{1: "|A: 1\r\n"})
}

const python = `
import json, mailbox, sys
box = mailbox.mbox(sys.argv[1], create=False)
if len(sys.argv) > 2:
    box.lock()
    m = mailbox.mboxMessage("Subject: 4\n\nFrom Python\n")
    m.set_flags("RF")
    box.add(m)
    box.flush()
    box.unlock()
print(json.dumps([box.get_bytes(key).decode("latin-1") for key in box.keys()]))
`

// TestPython: Python's module reads what the store wrote, and the other way round.
func TestPython(t *testing.T) {
	dir := newDir(t)
	s := open(t, dir)
	defer s.Close()
	add(t, s, "INBOX", "A: 1\r\n\r\nFrom here\r\n>From there\r\n")
	add(t, s, "INBOX", "A: 2\r\n\r\n\r\n\r\n", `\Seen`)
	var got []string
	peer := peertest.Command(t, "python3")
	if err := json.Unmarshal(peertest.Run(t, peer, "-c", python, filepath.Join(dir, "inbox")), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"A: 1\n\n>From here\n>>From there\n", "A: 2\n\n\n\n"}, got); diff != "" {
		t.Error(diff)
	}
	peertest.Run(t, peer, "-c", python, filepath.Join(dir, "inbox"), "add")
	want(t, "with Python's", content(t, s, "INBOX"), map[mailbox.UID]string{
		1: "|A: 1\r\n\r\nFrom here\r\n>From there\r\n", 2: `\Seen|` + "A: 2\r\n\r\n\r\n\r\n",
		3: `\Flagged \Seen|` + "Subject: 4\r\nStatus: R\r\nX-Status: F\r\n\r\nFrom Python\r\n"})
}

// The environment of the process that is killed.
const (
	envDir  = "MBOX_KILL_DIR"
	envStep = "MBOX_KILL_STEP" // of the disk, before which it kills itself
	envDo   = "MBOX_KILL_DO"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if os.Getenv(envDir) == "" {
		peertest.Main(m)
		return
	}
	step, err := strconv.Atoi(os.Getenv(envStep))
	if err == nil {
		count := 0
		err = victim(context.Background(), os.Getenv(envDir), os.Getenv(envDo), func(string, string) error {
			if count++; count <= step {
				return nil
			}
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				return err
			}
			select {} // the signal comes
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func victim(ctx context.Context, dir, do string, before func(op, path string) error) error {
	s, err := mbox.Open(mbox.Options{Path: dir, Clock: time.Now, Disk: safeio.Disk{Before: before}})
	if err != nil {
		return err
	}
	switch do {
	case "Append":
		_, err = s.Append(ctx, "INBOX", mailbox.NewMessage{Size: 6, Body: strings.NewReader("A: 3\r\n")})
	case "Move":
		_, err = s.Move(ctx, "INBOX", []mailbox.UID{1, 2}, "Other")
	case "Delete":
		err = s.Delete(ctx, "INBOX", []mailbox.UID{1})
	}
	return err
}

// TestEachStep kills a process before each step of its disk, and lets each step fail. No message is lost or there in part, and
// what was there keeps its UID.
func TestEachStep(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[mailbox.UID]string{1: "|A: 1\r\n", 2: "|A: 2\r\n\r\nx\r\n"}
	broken := errors.New("the disk is full")
	for _, do := range []string{"Append", "Move", "Delete"} {
		for _, kill := range []bool{true, false} {
			for step, stopped := 0, true; stopped; step++ {
				dir := newDir(t)
				write(t, filepath.Join(dir, "inbox"), separator+"A: 1\n\n"+separator+"A: 2\n\nx\n\n")
				s := open(t, dir)
				if err := s.CreateFolder(t.Context(), "Other"); err != nil {
					t.Fatal(err)
				}
				want(t, do, content(t, s, "INBOX"), texts)
				content(t, s, "Other")
				if kill {
					cmd := exec.Command(exe)
					cmd.Env = append(os.Environ(), envDir+"="+dir, envStep+"="+strconv.Itoa(step), envDo+"="+do)
					err := cmd.Run()
					var exit *exec.ExitError
					stopped = errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
					if err != nil && !stopped {
						t.Fatal(err)
					}
				} else {
					count := 0
					err := victim(t.Context(), dir, do, func(string, string) error {
						if count++; count == step+1 {
							return broken
						}
						return nil
					})
					if stopped = count > step; stopped != errors.Is(err, broken) {
						t.Errorf("%s, step %d: %v", do, step, err)
					}
				}
				here, there := content(t, s, "INBOX"), content(t, s, "Other")
				for uid, text := range here {
					if texts[uid] != text && (do != "Append" || text != "|A: 3\r\n") {
						t.Errorf("%s, step %d: message %d is %q", do, step, uid, text)
					}
				}
				n := len(here) + len(there)
				moved := len(there) == 2 && (len(here) == 0 || len(here) == 2) || len(there) == 0 && len(here) == 2
				if do == "Append" && (n < 2 || n > 3 || !kill && stopped && n != 2 || !stopped && n != 3) || do == "Move" && !moved ||
					do == "Delete" && (here[2] == "" || !stopped && n != 1) {
					t.Errorf("%s, kill %v, step %d: %v and %v", do, kill, step, here, there)
				}
				// The next one leaves no copy of what was deleted.
				if err := errors.Join(s.Close(), open(t, dir).Close()); err != nil {
					t.Error(err)
				}
				if left, err := filepath.Glob(filepath.Join(dir, ".sealmail-*")); err != nil || len(left) > 0 {
					t.Errorf("%s, kill %v, step %d: %q, %v", do, kill, step, left, err)
				}
			}
		}
	}
}
