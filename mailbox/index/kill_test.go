//go:build unix

package index

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

// The environment of the process that is killed.
const (
	envDir  = "INDEX_KILL_DIR"
	envStep = "INDEX_KILL_STEP" // of the disk, before which it kills itself
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envDir); dir != "" {
		if err := killedStory(dir, os.Getenv(envStep)); err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const killSize = chunkSize + 100

// killedStory is what is killed: a new index gets messages, loses some, so that a segment is rewritten, and gets more. It writes
// down what is done into a file beside.
func killedStory(dir, at string) error {
	last, err := strconv.Atoi(at)
	if err != nil {
		return err
	}
	count := 0
	disk := safeio.Disk{Before: func(string, string) error {
		if count++; count == last {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				return err
			}
			select {}
		}
		return nil
	}}
	ctx := context.Background()
	x, _, err := Open(ctx, disk, filepath.Join(dir, "index"), testKey)
	if err != nil {
		return err
	}
	for i, do := range killSteps(x) {
		if err := do(ctx); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "done"), []byte(strconv.Itoa(i+1)), 0o600); err != nil {
			return err
		}
	}
	return x.Close()
}

// killSteps are the steps of the story; killStates is which messages are there before the first, and after each.
func killSteps(x *Index) []func(context.Context) error {
	add := func(first, last mailbox.UID) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := x.Add(ctx, testFolder, testMessages(first, last, killSize))
			return err
		}
	}
	return []func(context.Context) error{
		func(ctx context.Context) error {
			_, err := x.Begin(ctx, testFolder.Name, testFolder.UIDValidity)
			return err
		},
		add(1, 4),
		add(5, 6),
		func(ctx context.Context) error { return x.Remove(ctx, testFolder, []mailbox.UID{1, 2, 3, 4}) },
		add(7, 8),
	}
}

func killStates() [][]mailbox.UID {
	return [][]mailbox.UID{nil, nil, {1, 2, 3, 4}, {1, 2, 3, 4, 5, 6}, {5, 6}, {5, 6, 7, 8}}
}

// TestKill kills a process that uses an index before each step of the disk: what it had done is there, what it was doing is
// there as a whole or not at all, and whoever comes next goes on as if nothing had happened.
func TestKill(t *testing.T) {
	states := killStates()
	for step := 1; ; step++ {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), envDir+"="+dir, envStep+"="+strconv.Itoa(step))
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
		if err != nil && !killed {
			t.Fatalf("step %d: %v\n%s", step, err, out)
		}
		text, err := os.ReadFile(filepath.Join(dir, "done"))
		done := 0
		if err == nil {
			if done, err = strconv.Atoi(string(text)); err != nil {
				t.Fatal(err)
			}
		}
		x := testOpen(t, safeio.Disk{}, filepath.Join(dir, "index"))
		uids, err := x.UIDs(t.Context(), testFolder.Name)
		if err != nil || !slices.Equal(uids, states[done]) && !(done+1 < len(states) && slices.Equal(uids, states[done+1])) {
			t.Fatalf("step %d: after %d steps there are %v, %v", step, done, uids, err)
		}
		x.mustHold(t, killSize, uids...)
		if _, err := x.Begin(t.Context(), testFolder.Name, testFolder.UIDValidity); err != nil {
			t.Fatal(err)
		}
		x.add(t, testMessages(101, 102, killSize)...)
		x.mustUIDs(t, append(uids, 101, 102)...)
		x.mustHold(t, killSize, append(uids, 101, 102)...)
		if err := x.Remove(t.Context(), testFolder, append(uids, 101, 102)); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(x.dir, "*"+segmentSuffix))
		if err != nil || len(files) > 0 {
			t.Errorf("step %d: left behind: %v, %v", step, files, err)
		}
		if t.Failed() {
			t.FailNow()
		}
		if !killed {
			t.Logf("%d steps", step-1)
			return
		}
	}
}
