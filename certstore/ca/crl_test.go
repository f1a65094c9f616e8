package ca_test

import (
	"bytes"
	"crypto/x509/pkix"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore/ca"
)

type pkixExtension = pkix.Extension

const day = 24 * time.Hour

func TestCRL(t *testing.T) {
	a, _ := newAuthority(t, nil)
	l, err := a.MakeCRL(t.Context(), ca.MailIssuer, 3, now())
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case !bytes.Equal(l.AuthorityKeyId, a.Issuing().SubjectKeyId), l.Issuer.String() != a.Issuing().Subject.String():
		t.Error("issuer")
	case !l.ThisUpdate.Equal(now()), !l.NextUpdate.Equal(now().Add(3 * day)):
		t.Errorf("%v to %v", l.ThisUpdate, l.NextUpdate)
	case len(l.Extensions) != 2: // number and key identifier: it speaks for all
		t.Errorf("extensions %v", l.Extensions)
	}
	if l, err = a.MakeCRL(t.Context(), ca.ServicesIssuer, 0, now()); err != nil || !l.NextUpdate.Equal(now().Add(7*day)) {
		t.Errorf("%v, %v", l.NextUpdate, err)
	}
	for name, days := range map[string]int{"negative": -1, "beyond reason": 1 << 30} {
		if _, err := a.MakeCRL(t.Context(), ca.MailIssuer, days, now()); !errors.Is(err, ca.ErrCRL) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := a.MakeCRL(t.Context(), "other", 0, now()); !errors.Is(err, ca.ErrCRL) {
		t.Errorf("no issuer: %v", err)
	}
}

// TestCRLNumber: it grows within a second, between processes, when the clock goes back, and when the last list is lost.
func TestCRLNumber(t *testing.T) {
	_, dir := newAuthority(t, nil)
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := make(map[string]bool)
	last := new(big.Int)
	for range 3 {
		wg.Go(func() {
			a := reopen(t, dir)
			for range 3 {
				l, err := a.MakeCRL(t.Context(), ca.MailIssuer, 0, now())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if seen[l.Number.String()] {
					t.Errorf("number %v comes twice", l.Number)
				}
				if seen[l.Number.String()] = true; l.Number.Cmp(last) > 0 {
					last = l.Number
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	a := reopen(t, dir)
	l, err := a.MakeCRL(t.Context(), ca.MailIssuer, 0, now().Add(-365*day))
	if err != nil || l.Number.Cmp(last) <= 0 {
		t.Errorf("when the clock went back: %v after %v, %v", l.Number, last, err)
	}
	if err := os.Remove(filepath.Join(dir, "issuing.crl")); err != nil {
		t.Fatal(err)
	}
	after := list(t, a, ca.MailIssuer, now().Add(time.Hour))
	if after.Number.Cmp(l.Number) <= 0 {
		t.Errorf("when the last one was lost: %v after %v", after.Number, l.Number)
	}
	if after.Number.BitLen() > 159 { // RFC 5280 section 5.2.3: 20 octets
		t.Errorf("number %v", after.Number)
	}
}

// TestCRLExpired: a certificate that has expired stands on one list made after that, and then on none.
func TestCRLExpired(t *testing.T) {
	a, _ := newAuthority(t, nil)
	p := mailFor("alice@example.org")
	p.Days = 10
	short, long := serialOf(issue(t, a, p)), serialOf(issue(t, a, mailFor("bob@example.org")))
	for _, serial := range []string{short, long} {
		revoke(t, a, serial, ca.Superseded)
	}
	for _, test := range []struct {
		after time.Duration
		want  bool
	}{{9 * day, true}, {11 * day, true}, {12 * day, false}, {13 * day, false}} {
		l, err := a.MakeCRL(t.Context(), ca.MailIssuer, 0, now().Add(test.after))
		if err != nil {
			t.Fatal(err)
		}
		if got := onList(l, short) != nil; got != test.want || onList(l, long) == nil {
			t.Errorf("after %v: %v", test.after, got)
		}
	}
	// Revoked when it has long expired, it stands on a list once as well; and to those who ask it is revoked for ever.
	p.NotBefore, p.NotAfter = now().Add(-9*day), now().Add(-8*day)
	expired := serialOf(issue(t, a, p))
	for i, want := range []bool{true, false, false} {
		at := now().Add(time.Duration(20+i) * day)
		var err error
		if i == 0 {
			_, err = a.Revoke(t.Context(), ca.RevokeOptions{Serial: expired, Reason: ca.KeyCompromise, Now: at})
		} else {
			_, err = a.MakeCRL(t.Context(), ca.MailIssuer, 0, at)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := onList(list(t, a, ca.MailIssuer, at), expired) != nil; got != want {
			t.Errorf("revoked after its end, list %d: %v", i, got)
		}
	}
	if statusOf(t, a, ca.MailIssuer, short) != "revoked" {
		t.Error("what is dropped from the list is good again")
	}
}

// TestCRLRenewed: who asks for the list gets it as it is for half of its time, and then a new one.
func TestCRLRenewed(t *testing.T) {
	a, dir := newAuthority(t, nil)
	first := list(t, a, ca.MailIssuer, now())
	if l := list(t, a, ca.MailIssuer, now().Add(3*day)); l.Number.Cmp(first.Number) != 0 {
		t.Error("made anew before half of its time")
	}
	if l := list(t, a, ca.MailIssuer, now().Add(4*day)); l.Number.Cmp(first.Number) <= 0 || !l.ThisUpdate.Equal(now().Add(4*day)) {
		t.Errorf("after half of its time: %v", l.ThisUpdate)
	}
	if l := list(t, a, ca.RootIssuer, now().Add(300*day)); !l.ThisUpdate.Equal(now()) {
		t.Errorf("root: %v", l.ThisUpdate)
	}
	// An old list in the place of the new: the revocation is missed, and it is made anew.
	old, err := os.ReadFile(filepath.Join(dir, "issuing.crl"))
	if err != nil {
		t.Fatal(err)
	}
	serial := serialOf(issue(t, a, mailFor("alice@example.org")))
	revoke(t, a, serial, ca.Superseded)
	if err := os.WriteFile(filepath.Join(dir, "issuing.crl"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	if onList(list(t, a, ca.MailIssuer, now().Add(4*day)), serial) == nil {
		t.Error("a list that lacks a revocation is served")
	}
	for name, damage := range map[string]func([]byte) []byte{
		"cut":       func(b []byte) []byte { return b[:len(b)-1] },
		"signature": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
	} {
		if err := os.WriteFile(filepath.Join(dir, "issuing.crl"), damage(bytes.Clone(old)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := a.CRL(t.Context(), ca.MailIssuer, now()); !errors.Is(err, ca.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "root.crl")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.CRL(t.Context(), ca.RootIssuer, now()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no list of the root: %v", err)
	}
}
