package ca_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/internal/safeio"
)

func TestLift(t *testing.T) {
	a, dir := newAuthority(t, nil)
	serial := serialOf(issue(t, a, mailFor("alice@example.org")))
	later := now().Add(time.Hour)
	for _, step := range []struct {
		do   ca.Reason
		want error
		code int // on the list; -1: not there
		ocsp string
	}{
		{ca.RemoveFromCRL, ca.ErrNotHeld, -1, "good"},
		{ca.CertificateHold, nil, 6, "revoked"},
		{ca.RemoveFromCRL, nil, -1, "good"},
		{ca.RemoveFromCRL, ca.ErrNotHeld, -1, "good"},
		{ca.CertificateHold, nil, 6, "revoked"}, // once more
		{ca.Superseded, nil, 4, "revoked"},
		{ca.RemoveFromCRL, ca.ErrRevoked, 4, "revoked"},
	} {
		other := reopen(t, dir) // that another process did it counts at once
		var err error
		if step.do == ca.RemoveFromCRL {
			var hold ca.Revocation
			hold, err = other.Lift(t.Context(), serial, later)
			if err == nil && (hold.Serial != serial || hold.Issuer != ca.MailIssuer || hold.Reason != ca.CertificateHold || !hold.Revoked.Equal(now().Add(time.Minute))) {
				t.Errorf("lifted: %+v", hold)
			}
		} else {
			revoke(t, other, serial, step.do)
		}
		if !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.do, err, step.want)
		}
		code := -1
		if e := onList(list(t, a, ca.MailIssuer, later), serial); e != nil {
			code = e.ReasonCode
		}
		if got := statusOf(t, a, ca.MailIssuer, serial); code != step.code || got != step.ocsp {
			t.Errorf("after %s: reason %d on the list, OCSP says %s; want %d, %s", step.do, code, got, step.code, step.ocsp)
		}
		records, err := a.Records()
		i := slices.IndexFunc(records, func(r ca.Record) bool { return r.Serial == serial })
		if err != nil || i < 0 || (records[i].Revocation == nil) != (step.code < 0) {
			t.Errorf("after %s: %+v, %v", step.do, records, err)
		}
	}
	if _, err := a.Lift(t.Context(), "0123456789abcdef", later); !errors.Is(err, ca.ErrUnknown) {
		t.Errorf("never issued: %v", err)
	}
	if _, err := a.Revoke(t.Context(), ca.RevokeOptions{Serial: serial, Reason: ca.RemoveFromCRL, Now: later}); !errors.Is(err, ca.ErrReason) {
		t.Errorf("a reason to revoke: %v", err)
	}
}

// TestLiftIssuer: an issuer on hold issues nothing, and does again when the hold is lifted, for which the root is needed.
func TestLiftIssuer(t *testing.T) {
	a, dir := newAuthority(t, nil)
	serial := certstore.SerialHex(a.Issuing().SerialNumber)
	if err := a.UnlockRoot(nil); err != nil {
		t.Fatal(err)
	}
	revoke(t, a, serial, ca.CertificateHold)
	p := mailFor("alice@example.org")
	p.Now = now()
	if _, err := a.Issue(t.Context(), p); !errors.Is(err, ca.ErrRevoked) {
		t.Errorf("on hold, it issues: %v", err)
	}
	if _, err := reopen(t, dir).Lift(t.Context(), serial, now()); !errors.Is(err, ca.ErrNoRootKey) {
		t.Errorf("without the root: %v", err)
	}
	if _, err := a.Lift(t.Context(), serial, now()); err != nil {
		t.Fatal(err)
	}
	if onList(list(t, a, ca.RootIssuer, now()), serial) != nil {
		t.Error("still on the list")
	}
	issue(t, a, mailFor("alice@example.org"))
}

// TestLiftCompromised: what stops between the mark of a compromised key and the revocation leaves a hold that stays until the
// revocation is done.
func TestLiftCompromised(t *testing.T) {
	_, dir := newAuthority(t, nil)
	armed := false
	a, err := ca.Open(dir, safeio.Disk{Before: func(op, path string) error {
		if armed && op == safeio.OpRename && filepath.Base(filepath.Dir(path)) == "revoked" {
			return errors.New("injected")
		}
		return nil
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	serial := serialOf(issue(t, a, mailFor("alice@example.org")))
	revoke(t, a, serial, ca.CertificateHold)
	armed = true
	if _, err := a.Revoke(t.Context(), ca.RevokeOptions{Serial: serial, Reason: ca.KeyCompromise, Now: now()}); err == nil {
		t.Fatal("no error")
	}
	armed = false
	if _, err := a.Lift(t.Context(), serial, now()); !errors.Is(err, ca.ErrReason) || statusOf(t, a, ca.MailIssuer, serial) != "revoked" {
		t.Errorf("lifted: %v", err)
	}
	if got := revoke(t, a, serial, ca.KeyCompromise); got[0].Reason != ca.KeyCompromise {
		t.Errorf("%+v", got)
	}
}

// TestLiftInterrupted stops the lifting of a hold before each of its steps. Register, list and OCSP then say the same, and
// lifting again ends it.
func TestLiftInterrupted(t *testing.T) {
	a, dir := newAuthority(t, nil)
	serial := serialOf(issue(t, a, mailFor("alice@example.org")))
	seen := make(map[bool]bool)
	for stop := 1; ; stop++ {
		revoke(t, a, serial, ca.CertificateHold)
		count, armed := 0, true
		dying, err := ca.Open(dir, safeio.Disk{Before: func(op, path string) error {
			if count++; armed && count >= stop { // and nothing after it, as after a kill
				return fmt.Errorf("injected before %s %s", op, path)
			}
			return nil
		}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, liftErr := dying.Lift(t.Context(), serial, now().Add(time.Hour))
		armed = false
		_, statErr := os.Stat(filepath.Join(dir, "revoked", serial+".json"))
		held := statErr == nil
		seen[held] = true
		copied := t.TempDir() // to lift what the reader of the list has not mended
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		l := list(t, reopen(t, dir), ca.MailIssuer, now().Add(time.Hour))
		if (onList(l, serial) != nil) != held || (statusOf(t, a, ca.MailIssuer, serial) == "revoked") != held {
			t.Errorf("step %d: on hold %v, on the list %v, %v", stop, held, !held, liftErr)
		}
		again := reopen(t, copied)
		_, err = again.Lift(t.Context(), serial, now().Add(time.Hour))
		if err != nil && !(errors.Is(err, ca.ErrNotHeld) && !held) {
			t.Errorf("step %d: again: %v", stop, err)
		}
		if onList(list(t, again, ca.MailIssuer, now().Add(time.Hour)), serial) != nil {
			t.Errorf("step %d: on the list after lifting again", stop)
		}
		if liftErr == nil {
			if stop < 6 || !seen[true] {
				t.Errorf("only %d steps", stop)
			}
			return
		}
	}
}
