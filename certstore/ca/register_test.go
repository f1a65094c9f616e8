package ca_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/internal/safeio"
)

// TestRegister issues from several processes' worth of authorities at once: every certificate is known, none twice.
func TestRegister(t *testing.T) {
	_, dir := newAuthority(t, nil)
	var wg sync.WaitGroup
	const writers, each = 3, 4
	for range writers {
		wg.Go(func() {
			a, err := ca.Open(dir, safeio.Disk{}, nil)
			for i := 0; err == nil && i < each; i++ {
				_, err = a.Issue(context.Background(), ca.Profile{Purpose: ca.Mail, Key: ca.P256, Emails: []string{"a@example.org"}, Now: now()})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	a := reopen(t, dir)
	records, err := a.Records()
	if err != nil || len(records) != writers*each {
		t.Fatalf("%d records, %v", len(records), err)
	}
	seen := make(map[string]bool)
	for _, r := range records {
		data, err := os.ReadFile(filepath.Join(dir, "issued", r.Serial+".pem"))
		if err != nil {
			t.Fatal(err)
		}
		certs, err := certstore.ParseCertificates(data)
		if err != nil || certstore.Fingerprint(certs[0]) != r.Fingerprint || seen[r.Serial] || r.Revocation != nil || r.Issuer != ca.MailIssuer {
			t.Errorf("%+v: %v", r, err)
		}
		seen[r.Serial] = true
	}
}

func reopen(t testing.TB, dir string) *ca.Authority {
	t.Helper()
	a, err := ca.Open(dir, safeio.Disk{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func serialOf(i *ca.Issued) string { return certstore.SerialHex(i.Certificate().SerialNumber) }

// TestOldIndex takes over what an earlier version listed: the keys that it certified are known, and what it cannot read
// stops everything.
func TestOldIndex(t *testing.T) {
	a, dir := newAuthority(t, nil)
	key := newKey(t)
	old := issue(t, a, ca.Profile{Purpose: ca.Mail, CSR: request(t, key, nil)})
	if err := os.RemoveAll(filepath.Join(dir, "holders")); err != nil {
		t.Fatal(err)
	}
	index, err := json.Marshal(map[string]any{"version": 1, "issued": []map[string]any{{"serial": serialOf(old), "purpose": "mail", "name": "Requester"}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "index.json")
	for name, data := range map[string]string{"no JSON": "{", "version": `{"version":2}`, "not issued": `{"version":1,"issued":[{"serial":"aa"}]}`, "a path": `{"version":1,"issued":[{"serial":"../x"}]}`} {
		if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := a.Issue(t.Context(), ca.Profile{Purpose: ca.TSA, Key: ca.P256, Name: "x", Now: now()})
		if !errors.Is(err, ca.ErrDamaged) && !errors.Is(err, ca.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(file, index, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = a.Issue(t.Context(), ca.Profile{Purpose: ca.Mail, CSR: request(t, key, nil), Emails: []string{"mallory@example.org"}, Now: now()})
	if !errors.Is(err, ca.ErrProfile) || !strings.Contains(err.Error(), "has been certified for") {
		t.Errorf("another holder of an old key: %v", err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old index is read each time: %v", err)
	}
	if records, err := a.Records(); err != nil || len(records) != 1 {
		t.Errorf("%d records, %v", len(records), err)
	}
}

// TestHolders: a key is for one holder, who may renew; never for two; and never the authority's own.
func TestHolders(t *testing.T) {
	a, dir := newAuthority(t, nil)
	key := newKey(t)
	certify := func(p ca.Profile) error {
		p.CSR, p.Now = request(t, key, nil), now()
		_, err := a.Issue(t.Context(), p)
		return err
	}
	for _, step := range []struct {
		what    string
		p       ca.Profile
		refused bool
	}{
		{"first", ca.Profile{Purpose: ca.Mail, Emails: []string{"alice@example.org"}}, false},
		{"renewed", ca.Profile{Purpose: ca.Mail, Emails: []string{"Alice@EXAMPLE.org"}, Name: "Alice Adams"}, false},
		{"with another address", ca.Profile{Purpose: ca.Mail, Emails: []string{"adams@example.org", "alice@example.org"}}, false},
		{"somebody else", ca.Profile{Purpose: ca.Mail, Emails: []string{"bob@example.org"}}, true},
		{"step by step", ca.Profile{Purpose: ca.Mail, Emails: []string{"adams@example.org"}}, true},
		{"another purpose, nobody's", ca.Profile{Purpose: ca.TLS, DNS: []string{"example.org"}}, true},
	} {
		if err := certify(step.p); (err != nil) != step.refused || err != nil && !errors.Is(err, ca.ErrProfile) {
			t.Errorf("%s: %v", step.what, err)
		}
	}
	// What a kill left behind of an issue is no holder: the serial number has no certificate.
	key = newKey(t)
	if err := certify(ca.Profile{Purpose: ca.Mail, Emails: []string{"carol@example.org"}}); err != nil {
		t.Fatal(err)
	}
	records, err := a.Records()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(records, func(r ca.Record) bool { return slices.Contains(r.Addresses, "carol@example.org") })
	if err := os.Remove(filepath.Join(dir, "issued", records[i].Serial+".pem")); err != nil {
		t.Fatal(err)
	}
	if err := certify(ca.Profile{Purpose: ca.Mail, Emails: []string{"dave@example.org"}}); err != nil {
		t.Errorf("after an interrupted issue: %v", err)
	}
}

// TestIssueOverFaults makes each step of an issue fail in turn. Whatever was handed out is known; what failed can be done
// again with the same key; nothing is in the way.
func TestIssueOverFaults(t *testing.T) {
	_, dir := newAuthority(t, nil)
	key := newKey(t)
	var handedOut []*x509.Certificate
	for step := 1; ; step++ {
		a, fault := faulty(t, dir)
		fault.arm(step)
		issued, err := a.Issue(t.Context(), ca.Profile{Purpose: ca.Mail, CSR: request(t, key, nil), Now: now()})
		if err == nil {
			handedOut = append(handedOut, issued.Certificate())
		}
		if !fault.struck() {
			if step < 8 {
				t.Fatalf("only %d steps", step)
			}
			break
		}
		if err != nil && !errors.Is(err, errFault) {
			t.Fatalf("step %d: %v", step, err)
		}
	}
	records, err := reopen(t, dir).Records()
	if err != nil {
		t.Fatal(err)
	}
	for _, cert := range handedOut {
		if !slices.ContainsFunc(records, func(r ca.Record) bool { return r.Fingerprint == certstore.Fingerprint(cert) }) {
			t.Errorf("%x was handed out and is not known", cert.SerialNumber)
		}
	}
	leftovers, err := filepath.Glob(filepath.Join(dir, "*", ".sealmail-*"))
	if err != nil || len(leftovers) > 0 {
		t.Errorf("left behind: %q, %v", leftovers, err)
	}
}

var errFault = errors.New("no space left")

// fault fails one step on the disk.
type fault struct{ at, count int }

func (f *fault) arm(step int) { f.at, f.count = step, 0 }
func (f *fault) struck() bool { return f.at > 0 && f.count >= f.at }

// faulty opens an authority whose disk can fail.
func faulty(t testing.TB, dir string) (*ca.Authority, *fault) {
	t.Helper()
	f := new(fault)
	a, err := ca.Open(dir, safeio.Disk{Before: func(string, string) error {
		if f.count++; f.count == f.at {
			return errFault
		}
		return nil
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a, f
}

// TestDamagedCertificate: what is in the folder of issued certificates and is none of them stops the reader.
func TestDamagedCertificate(t *testing.T) {
	a, dir := newAuthority(t, nil)
	first, second := issue(t, a, ca.Profile{Purpose: ca.TSA, Key: ca.P256, Name: "x"}), issue(t, a, ca.Profile{Purpose: ca.TSA, Key: ca.P256, Name: "y"})
	for name, data := range map[string][]byte{
		"no certificate":     []byte("x"),
		"another":            certstore.EncodeCertificates(second.Certificate()),
		"too large":          bytes.Repeat([]byte{'x'}, 1<<20+1),
		"a strange issuer's": certstore.EncodeCertificates(a.Root()),
	} {
		if err := os.WriteFile(filepath.Join(dir, "issued", serialOf(first)+".pem"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Records(); !errors.Is(err, ca.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
