//go:build unix

package maildir_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/maildir"
)

// The environment of the process that is killed.
const (
	envDir  = "MAILDIR_KILL_DIR"
	envStep = "MAILDIR_KILL_STEP" // of the disk, before which it kills itself
	envDo   = "MAILDIR_KILL_DO"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if os.Getenv(envDir) == "" {
		peertest.Main(m)
		return
	}
	if err := victim(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var appended = strings.Repeat("line\r\n", 5000)

func victim(ctx context.Context) error {
	step, err := strconv.Atoi(os.Getenv(envStep))
	if err != nil {
		return err
	}
	count := 0
	s, err := maildir.Open(maildir.Options{Path: os.Getenv(envDir), Clock: time.Now, Disk: safeio.Disk{Before: func(string, string) error {
		if count == step {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				return err
			}
			select {} // the signal comes
		}
		count++
		return nil
	}}})
	if err != nil {
		return err
	}
	switch os.Getenv(envDo) {
	case "Append":
		m := mailbox.NewMessage{Flags: []string{`\Seen`, "x"}, Size: int64(len(appended)), Body: strings.NewReader(appended), Date: time.Unix(1e9, 0)}
		_, err = s.Append(ctx, "New", m)
	case "Move":
		_, err = s.Move(ctx, "INBOX", []mailbox.UID{1, 2}, "Other")
	case "Delete":
		err = s.Delete(ctx, "INBOX", []mailbox.UID{1})
	case "SetFlags":
		err = s.SetFlags(ctx, "INBOX", []mailbox.UID{1, 2}, mailbox.FlagChange{Add: []string{`\Flagged`, "x"}})
	}
	if err == nil {
		fmt.Println("done")
	}
	return err
}

// TestKillAtEachStep kills a process before each step of its disk. Afterwards no message is lost, none is there twice or in part,
// what was there keeps its UID, and others can go on.
func TestKillAtEachStep(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, do := range []string{"Append", "Move", "Delete", "SetFlags"} {
		for step, killed := 0, true; killed; step++ {
			dir := newMaildir(t)
			put(t, dir, "cur", "100.a:2,S")
			put(t, dir, "new", "200.b")
			put(t, dir, "new", "300.c")
			s := open(t, dir)
			if err := s.CreateFolder(t.Context(), "Other"); err != nil {
				t.Fatal(err)
			}
			before := flags(t, s, "INBOX")
			flags(t, s, "Other")
			cmd := exec.Command(exe)
			cmd.Env = append(os.Environ(), envDir+"="+dir, envStep+"="+strconv.Itoa(step), envDo+"="+do)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			err := cmd.Run()
			var exit *exec.ExitError
			killed = errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
			if err != nil && !killed {
				t.Fatalf("%s: the victim failed by itself: %v\n%s", do, err, errs.String())
			}
			done := strings.Contains(out.String(), "done")
			name := fmt.Sprintf("%s killed before step %d", do, step)

			here, there := flags(t, s, "INBOX"), flags(t, s, "Other")
			for uid, flags := range here {
				if was, known := before[uid]; !known || do != "SetFlags" && was != flags {
					t.Errorf("%s: message %d, %q", name, uid, flags)
				}
			}
			lost := len(before) - len(here) - len(there)
			switch {
			case do == "Append" || do == "SetFlags":
				if lost != 0 {
					t.Errorf("%s: %v", name, here)
				}
			case do == "Move" && (lost != 0 || done && len(there) != 2), do == "Delete" && (here[2] != "" || lost > 1 || done && lost != 1):
				t.Errorf("%s: %v and %v", name, here, there)
			}
			if do == "Append" {
				afterAppend(t, name, s, done)
			}
			if do == "SetFlags" && done && (here[1] != `\Flagged \Seen x` || here[2] != `\Flagged x`) {
				t.Errorf("%s: %v", name, here)
			}
			// The next one goes on, and tidies up.
			m := mailbox.NewMessage{Size: 4, Body: strings.NewReader("x:\r\n")}
			for _, folder := range []string{"INBOX", "New"} {
				m.Body = strings.NewReader("x:\r\n")
				if _, err := s.Append(t.Context(), folder, m); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if left := append(files(t, dir, "tmp"), files(t, dir+"/.New", "tmp")...); len(left) > 0 {
				t.Errorf("%s: left in tmp: %q", name, left)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// afterAppend: the message is there as a whole or not at all.
func afterAppend(t *testing.T, name string, s mailbox.Store, done bool) {
	t.Helper()
	list, err := s.List(t.Context(), "New", 1)
	if errors.Is(err, mailbox.ErrNoFolder) && !done {
		return
	}
	if err != nil || len(list) > 1 || done && len(list) != 1 {
		t.Errorf("%s: %v, %v", name, list, err)
		return
	}
	for _, m := range list {
		var got bytes.Buffer
		if err := s.Fetch(t.Context(), "New", m.UID, &got); err != nil || got.String() != appended {
			t.Errorf("%s: %d octets, %v", name, got.Len(), err)
		}
		if strings.Join(m.Flags, " ") != `\Seen x` || !m.InternalDate.Equal(time.Unix(1e9, 0)) {
			t.Errorf("%s: %v", name, m)
		}
	}
}
