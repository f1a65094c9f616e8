package ca_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/internal/safeio"
)

// What tells a process that it is the victim: the authority's folder, and the step at which it kills itself.
const (
	victimDir  = "SEALMAIL_TEST_VICTIM_DIR"
	victimStep = "SEALMAIL_TEST_VICTIM_STEP"
)

// TestVictim is the process that the test below kills, and no test of its own: it issues a certificate, revokes it, makes a
// list, and says what it has done as soon as it is done.
func TestVictim(t *testing.T) {
	dir := os.Getenv(victimDir)
	if dir == "" {
		t.Skip("runs for the tests of kills only")
	}
	at, err := strconv.Atoi(os.Getenv(victimStep))
	if err != nil {
		t.Fatal(err)
	}
	armed, count := false, 0
	a, err := ca.Open(dir, safeio.Disk{Before: func(string, string) error {
		if !armed {
			return nil
		}
		if count++; count != at {
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
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	armed = true
	// Whoever reads knows a whole line from one that the kill has cut off.
	serial := serialOf(issue(t, a, mailFor("alice@example.org")))
	fmt.Printf("issued %s.\n", serial)
	revoke(t, a, serial, ca.KeyCompromise)
	fmt.Printf("revoked %s.\n", serial)
	l, err := a.MakeCRL(t.Context(), ca.MailIssuer, 0, now())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("list %v.\n", l.Number)
	fmt.Printf("answer %s.\n", statusOf(t, a, ca.MailIssuer, serial)) // which makes a responder, once
}

// TestKills kills a process at every step on the disk. What it said it had done, is done: nothing issued is forgotten,
// nothing revoked is good, no number comes twice. And the next process works with what there is.
func TestKills(t *testing.T) {
	_, dir := newAuthority(t, nil)
	issued, revoked, numbers := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	for step := 1; ; step++ {
		finished := runVictim(t, dir, step, func(what, value string) {
			switch what {
			case "issued":
				issued[value] = true
			case "revoked":
				revoked[value] = true
			case "list":
				if numbers[value] {
					t.Errorf("step %d: number %s comes twice", step, value)
				}
				numbers[value] = true
			case "answer":
				if value != "revoked" {
					t.Errorf("step %d: answer %s", step, value)
				}
			}
		})
		a := reopen(t, dir)
		records, err := a.Records()
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		l := list(t, a, ca.MailIssuer, now())
		for serial := range issued {
			i := slices.IndexFunc(records, func(r ca.Record) bool { return r.Serial == serial })
			if i < 0 {
				t.Fatalf("step %d: %s was issued and is not known", step, serial)
			}
			stands := records[i].Revocation != nil
			if revoked[serial] && !stands || stands != (onList(l, serial) != nil) || stands != (statusOf(t, a, ca.MailIssuer, serial) == "revoked") {
				t.Errorf("step %d: %s revoked: %v, known: %v", step, serial, revoked[serial], stands)
			}
		}
		if finished {
			if step < 25 {
				t.Errorf("only %d steps", step)
			}
			break
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, ".sealmail-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	if serial := serialOf(issue(t, reopen(t, dir), mailFor("bob@example.org"))); issued[serial] {
		t.Error("a serial number comes twice")
	}
}

// runVictim lets a process of its own work until it kills itself at a step, and reports each of its lines. It returns
// true where the process came to its end.
func runVictim(t *testing.T, dir string, step int, did func(what, value string)) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVictim$", "-test.v")
	cmd.Env = append(os.Environ(), victimDir+"="+dir, victimStep+"="+strconv.Itoa(step))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var what, value string
		if n, _ := fmt.Sscanf(lines.Text(), "%s %s", &what, &value); n == 2 && len(value) > 1 && value[len(value)-1] == '.' {
			did(what, value[:len(value)-1])
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.Exited()) { // neither killed nor finished
		t.Fatalf("step %d: %v", step, err)
	}
	return err == nil
}

// TestInitOverKills is part of what TestInitInterrupted does by faults: a folder without settings is no authority, whatever
// else is in it.
func TestInitOverKills(t *testing.T) {
	a, dir := newAuthority(t, nil)
	if err := os.Remove(filepath.Join(dir, "ca.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Open(dir, safeio.Disk{}, nil); !errors.Is(err, ca.ErrNotExist) {
		t.Errorf("%v", err)
	}
	again, err := ca.Init(t.Context(), initOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	if certstore.Fingerprint(again.Root()) == certstore.Fingerprint(a.Root()) {
		t.Error("the same root")
	}
	revoke(t, again, serialOf(issue(t, again, mailFor("alice@example.org"))), ca.Superseded)
}
