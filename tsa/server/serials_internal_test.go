package server

import (
	"bufio"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
)

// seen is a set of serial numbers.
type seen map[string]bool

// add fails the test if the number is there already.
func (s seen) add(t *testing.T, n *big.Int) {
	t.Helper()
	if s[n.String()] {
		t.Fatalf("serial number %v comes twice", n)
	}
	s[n.String()] = true
}

// take takes one number, which the state on the disk must cover.
func (s seen) take(t *testing.T, from *serials) {
	t.Helper()
	n, err := from.take()
	if err != nil {
		t.Fatal(err)
	}
	s.add(t, n)
	st, err := readState(from.path)
	if err != nil {
		t.Fatal(err)
	}
	counter := new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1))
	if counter.Uint64() >= st.Reserved {
		t.Fatalf("number %d is given out, and %d are reserved on the disk", counter, st.Reserved)
	}
}

// steps lists what happens on the disk when numbers are reserved.
func steps() []string {
	return []string{safeio.OpCreate, safeio.OpWrite, safeio.OpSync, safeio.OpRename, safeio.OpSyncDir}
}

func open(t *testing.T, disk safeio.Disk, dir string) *serials {
	t.Helper()
	s, err := openSerials(disk, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	return s
}

func TestSerialsReserveBeforeUse(t *testing.T) {
	dir, all := filepath.Join(t.TempDir(), "deep", "down"), seen{}
	for range 2 {
		s := open(t, safeio.Disk{}, dir)
		for range 2*blockSize + 1 {
			all.take(t, s)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever step of a reservation fails: no number is given out that is not covered, numbers go on when the disk works
// again, and none comes twice after a restart.
func TestSerialsDiskFails(t *testing.T) {
	for _, op := range steps() {
		t.Run(op, func(t *testing.T) {
			failure := errors.New("disk is full")
			failing := false
			disk := safeio.Disk{Before: func(step, _ string) error {
				if failing && step == op {
					return failure
				}
				return nil
			}}
			dir, all := t.TempDir(), seen{}
			s := open(t, disk, dir)
			for range blockSize {
				all.take(t, s)
			}
			failing = true
			for range 2 {
				if n, err := s.take(); !errors.Is(err, failure) {
					t.Fatalf("got %v, %v", n, err)
				}
			}
			failing = false
			all.take(t, s)
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
			failing = true
			if _, err := openSerials(disk, dir); !errors.Is(err, failure) {
				t.Errorf("opened with %v", err)
			}
			failing = false
			all.take(t, open(t, disk, dir))
		})
	}
}

// What tells a process that it is the victim: where its state is, and the step at which it kills itself, if any.
const (
	victimState = "SEALMAIL_TEST_VICTIM_STATE"
	victimStep  = "SEALMAIL_TEST_VICTIM_STEP"
)

// TestVictim is the process that the tests below kill, and no test of its own: it prints serial numbers until then.
func TestVictim(t *testing.T) {
	dir := os.Getenv(victimState)
	if dir == "" {
		t.Skip("runs for the tests of kills only")
	}
	started := false
	disk := safeio.Disk{Before: func(step, _ string) error {
		if !started || step != os.Getenv(victimStep) {
			return nil
		}
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		if err := self.Kill(); err != nil {
			return err
		}
		select {} // the kill may take a moment
	}}
	s := open(t, disk, dir)
	for started = true; ; {
		n, err := s.take()
		if err != nil {
			t.Fatal(err)
		}
		// Whoever reads knows a whole line from one that the kill has cut off.
		fmt.Printf("serial %d.\n", n)
	}
}

func TestSerialsOverKills(t *testing.T) {
	dir, all := t.TempDir(), seen{}
	// Killed early in a block, near its end, and after the next one was begun.
	for _, count := range []int{1, blockSize - 1, blockSize + 1, 2} {
		for _, n := range runVictim(t, dir, "", count) {
			all.add(t, n)
		}
	}
	all.take(t, open(t, safeio.Disk{}, dir))
}

func TestSerialsOverKillsWhileReserving(t *testing.T) {
	dir, all := t.TempDir(), seen{}
	for _, step := range steps() {
		found := runVictim(t, dir, step, -1)
		if len(found) != blockSize {
			t.Errorf("killed at %s after %d numbers, want %d", step, len(found), blockSize)
		}
		for _, n := range found {
			all.add(t, n)
		}
	}
	all.take(t, open(t, safeio.Disk{}, dir))
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// runVictim lets a process of its own take numbers until it kills itself at step, or, with count, until it is killed
// after as many. It returns the numbers, with those that were taken while the kill was on its way.
func runVictim(t *testing.T, dir, step string, count int) []*big.Int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVictim$", "-test.v")
	cmd.Env = append(os.Environ(), victimState+"="+dir, victimStep+"="+step)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var found []*big.Int
	for lines := bufio.NewScanner(out); lines.Scan(); {
		n := new(big.Int)
		if _, err := fmt.Sscanf(lines.Text(), "serial %d.", n); err != nil {
			continue // what the test framework prints, or a part of a line
		}
		found = append(found, n)
		if len(found) == count {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(found) < count {
		t.Fatalf("%d numbers, then %v", len(found), err)
	}
	return found
}
