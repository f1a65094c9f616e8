package safeio_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
)

// killEnv tells the test binary to be the process that is killed: the step at which, and the target's path.
const killEnv = "SAFEIO_TEST_KILL"

// TestKill kills a process (SIGKILL) before each step of a write: the target holds the old content or the new, whole,
// and what the kill left behind goes with RemoveStale.
func TestKill(t *testing.T) {
	if step := os.Getenv(killEnv); step != "" {
		victim(step, os.Getenv(killEnv+"_PATH"))
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	old, replacement := []byte("old"), newContent()
	for _, step := range []string{safeio.OpCreate, safeio.OpWrite, safeio.OpSync, safeio.OpRename, safeio.OpSyncDir, "none"} {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if err := os.WriteFile(path, old, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(exe, "-test.run=^TestKill$")
			cmd.Env = append(os.Environ(), killEnv+"="+step, killEnv+"_PATH="+path)
			out, err := cmd.CombinedOutput()
			if killed := err != nil; killed != (step != "none") {
				t.Fatalf("killed: %v (%v)\n%s", killed, err, out)
			}
			want := old
			if step == safeio.OpSyncDir || step == "none" {
				want = replacement
			}
			if got := read(t, path); !bytes.Equal(got, want) {
				t.Errorf("%d octets, want the %d of old or new", len(got), len(want))
			}
			left := len(names(t, dir)) - 1
			if after := slices.Contains([]string{safeio.OpWrite, safeio.OpSync, safeio.OpRename}, step); after != (left == 1) {
				t.Errorf("%d temporary files after a kill before %s", left, step)
			}
			if err := safeio.RemoveStale(dir); err != nil {
				t.Fatal(err)
			}
			if list := names(t, dir); !slices.Equal(list, []string{"f"}) {
				t.Errorf("left behind: %v", list)
			}
		})
	}
}

func newContent() []byte { return bytes.Repeat([]byte("new "), 10_000) }

// victim writes the file at path and kills its own process at the step.
func victim(step, path string) {
	d := safeio.Disk{Before: func(op, _ string) error {
		if op != step {
			return nil
		}
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		if err := self.Kill(); err != nil {
			return err
		}
		select {} // the kill may take an instant to arrive
	}}
	if err := d.WriteFile(path, newContent(), 0o600); err != nil {
		fmt.Println(err)
	}
}
