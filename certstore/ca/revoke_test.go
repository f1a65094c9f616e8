package ca_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/safeio"
)

func mailFor(address string) ca.Profile {
	return ca.Profile{Purpose: ca.Mail, Key: ca.P256, Emails: []string{address}}
}

// revoke revokes a certificate a minute after it was issued.
func revoke(t testing.TB, a *ca.Authority, serial string, reason ca.Reason) []ca.Revocation {
	t.Helper()
	revocations, err := a.Revoke(t.Context(), ca.RevokeOptions{Serial: serial, Reason: reason, Now: now().Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	return revocations
}

// list returns the current list of an issuer, whose signature holds.
func list(t testing.TB, a *ca.Authority, i ca.Issuer, at time.Time) *x509.RevocationList {
	t.Helper()
	l, err := a.CRL(t.Context(), i, at)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.CheckSignatureFrom(a.Certificate(i)); err != nil {
		t.Fatal(err)
	}
	return l
}

func onList(l *x509.RevocationList, serial string) *x509.RevocationListEntry {
	i := slices.IndexFunc(l.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return certstore.SerialHex(e.SerialNumber) == serial })
	if i < 0 {
		return nil
	}
	return &l.RevokedCertificateEntries[i]
}

func TestRevoke(t *testing.T) {
	a, dir := newAuthority(t, nil)
	codes := map[ca.Reason]int{ca.Unspecified: 0, ca.KeyCompromise: 1, ca.AffiliationChanged: 3, ca.Superseded: 4, ca.CessationOfOperation: 5, ca.CertificateHold: 6, ca.PrivilegeWithdrawn: 9}
	serials := make(map[ca.Reason]string)
	kept := serialOf(issue(t, a, mailFor("kept@example.org")))
	before := list(t, a, ca.MailIssuer, now())
	for reason := range codes {
		serials[reason] = serialOf(issue(t, a, mailFor(string(reason)+"@example.org")))
		since := now().Add(-time.Minute)
		got, err := a.Revoke(t.Context(), ca.RevokeOptions{Serial: serials[reason], Reason: reason, InvalidityDate: since, Now: now().Add(time.Minute)})
		if err != nil || len(got) != 1 || got[0].Reason != reason || got[0].Issuer != ca.MailIssuer || !got[0].Revoked.Equal(now().Add(time.Minute)) || !got[0].InvalidityDate.Equal(since) {
			t.Errorf("%s: %+v, %v", reason, got, err)
		}
	}
	// Another process sees the same.
	l := list(t, reopen(t, dir), ca.MailIssuer, now().Add(time.Minute))
	if len(l.RevokedCertificateEntries) != len(codes) || onList(l, kept) != nil || l.Number.Cmp(before.Number) <= 0 {
		t.Errorf("%d entries, number %v after %v", len(l.RevokedCertificateEntries), l.Number, before.Number)
	}
	for reason, code := range codes {
		e := onList(l, serials[reason])
		if e == nil || e.ReasonCode != code || !e.RevocationTime.Equal(now().Add(time.Minute)) {
			t.Fatalf("%s: %+v", reason, e)
		}
		var since time.Time
		i := slices.IndexFunc(e.Extensions, func(x pkixExtension) bool { return x.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 24}) })
		if i < 0 {
			t.Fatalf("%s: no invalidity date", reason)
		}
		if _, err := asn1.UnmarshalWithParams(e.Extensions[i].Value, &since, "generalized"); err != nil || !since.Equal(now().Add(-time.Minute)) {
			t.Errorf("%s: invalid since %v, %v", reason, since, err)
		}
		hasReason := slices.ContainsFunc(e.Extensions, func(x pkixExtension) bool { return x.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 21}) })
		if hasReason != (code != 0) {
			t.Errorf("%s: reason is written: %v", reason, hasReason)
		}
	}
	records, err := a.Records()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if (r.Revocation == nil) != (r.Serial == kept) {
			t.Errorf("%s: %+v", r.Name, r.Revocation)
		}
	}
}

func TestRevokeAgain(t *testing.T) {
	a, _ := newAuthority(t, nil)
	serial := serialOf(issue(t, a, mailFor("alice@example.org")))
	held := revoke(t, a, serial, ca.CertificateHold)[0]
	later := ca.RevokeOptions{Serial: serial, Now: now().Add(time.Hour)}
	for _, step := range []struct {
		reason  ca.Reason
		refused bool
		stands  ca.Reason
	}{
		{ca.CertificateHold, false, ca.CertificateHold},
		{ca.Superseded, false, ca.Superseded}, // for good, since the hold
		{ca.Superseded, false, ca.Superseded},
		{ca.Unspecified, true, ca.Superseded},
		{ca.CertificateHold, true, ca.Superseded},
		{ca.KeyCompromise, true, ca.Superseded},
	} {
		later.Reason = step.reason
		got, err := a.Revoke(t.Context(), later)
		if errors.Is(err, ca.ErrRevoked) != step.refused || !step.refused && (err != nil || got[0].Reason != step.stands || !got[0].Revoked.Equal(held.Revoked)) {
			t.Errorf("%s: %+v, %v", step.reason, got, err)
		}
		want := map[ca.Reason]int{ca.CertificateHold: 6, ca.Superseded: 4}[step.stands]
		if e := onList(list(t, a, ca.MailIssuer, later.Now), serial); e == nil || e.ReasonCode != want || !e.RevocationTime.Equal(held.Revoked) {
			t.Errorf("after %s: %+v", step.reason, e)
		}
	}
}

func TestRevokeRefuses(t *testing.T) {
	a, _ := newAuthority(t, nil)
	serial := serialOf(issue(t, a, mailFor("alice@example.org")))
	for name, test := range map[string]struct {
		o    ca.RevokeOptions
		want error
	}{
		"never issued":     {ca.RevokeOptions{Serial: "0123456789abcdef", Reason: ca.Superseded, Now: now()}, ca.ErrUnknown},
		"no serial":        {ca.RevokeOptions{Reason: ca.Superseded, Now: now()}, ca.ErrUnknown},
		"a path":           {ca.RevokeOptions{Serial: "../issued/" + serial, Reason: ca.Superseded, Now: now()}, ca.ErrUnknown},
		"capitals":         {ca.RevokeOptions{Serial: strings.ToUpper(serial) + "A", Reason: ca.Superseded, Now: now()}, ca.ErrUnknown},
		"the root":         {ca.RevokeOptions{Serial: certstore.SerialHex(a.Root().SerialNumber), Reason: ca.CACompromise, Now: now()}, ca.ErrReason},
		"for issuers":      {ca.RevokeOptions{Serial: serial, Reason: ca.CACompromise, Now: now()}, ca.ErrReason},
		"for delta lists":  {ca.RevokeOptions{Serial: serial, Reason: "removeFromCRL", Now: now()}, ca.ErrReason},
		"no reason":        {ca.RevokeOptions{Serial: serial, Now: now()}, ca.ErrReason},
		"no time":          {ca.RevokeOptions{Serial: serial, Reason: ca.Superseded}, ca.ErrReason},
		"invalid tomorrow": {ca.RevokeOptions{Serial: serial, Reason: ca.Superseded, Now: now(), InvalidityDate: now().Add(time.Hour)}, ca.ErrReason},
	} {
		if _, err := a.Revoke(t.Context(), test.o); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l := list(t, a, ca.MailIssuer, now()); len(l.RevokedCertificateEntries) != 0 {
		t.Errorf("%d entries", len(l.RevokedCertificateEntries))
	}
	for name, want := range map[string]ca.Reason{"": ca.Unspecified, "KEYcompromise": ca.KeyCompromise, "certificateHold": ca.CertificateHold} {
		if got, err := ca.ParseReason(name); got != want || err != nil {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"removeFromCRL", "aACompromise", "1", "key compromise"} {
		if _, err := ca.ParseReason(name); !errors.Is(err, ca.ErrReason) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestCompromisedKey: all certificates of the key are revoked, of both issuers, and it gets no more.
func TestCompromisedKey(t *testing.T) {
	a, _ := newAuthority(t, nil)
	key := newKey(t)
	certify := func(p ca.Profile) string { p.CSR = request(t, key, nil); return serialOf(issue(t, a, p)) }
	names := ca.Profile{Purpose: ca.Mail, Emails: []string{"r@example.org"}, Name: "R"}
	first, second, third := certify(names), certify(names), certify(names)
	names.Purpose = ca.TSA
	service := certify(names)
	other := serialOf(issue(t, a, mailFor("other@example.org")))
	revoke(t, a, third, ca.Superseded)
	got := revoke(t, a, second, ca.KeyCompromise)
	if len(got) != 3 || got[0].Serial != second {
		t.Fatalf("%+v", got)
	}
	mail, services := list(t, a, ca.MailIssuer, now()), list(t, a, ca.ServicesIssuer, now())
	for serial, reason := range map[string]int{first: 1, second: 1, third: 4} {
		if e := onList(mail, serial); e == nil || e.ReasonCode != reason {
			t.Errorf("%s: %+v", serial, e)
		}
	}
	if onList(services, service) == nil || onList(mail, service) != nil || onList(mail, other) != nil || len(services.RevokedCertificateEntries) != 1 {
		t.Error("lists of two issuers are mixed up, or lack one")
	}
	_, err := a.Issue(t.Context(), ca.Profile{Purpose: ca.Mail, CSR: request(t, key, nil), Now: now()})
	if !errors.Is(err, ca.ErrProfile) || !strings.Contains(err.Error(), "compromised") {
		t.Errorf("certified again: %v", err)
	}
}

// TestRootOffline: without the root's key everything works but what is the root's alone, and that says what is missing.
func TestRootOffline(t *testing.T) {
	passphrase := []byte("secret")
	_, dir := newAuthority(t, func(o *ca.InitOptions) {
		o.Protection = vault.Protection{Passphrase: passphrase, Scrypt: vault.Scrypt{N: 1 << 10, R: 8, P: 1}}
	})
	safe := filepath.Join(t.TempDir(), "safe")
	if err := os.Rename(filepath.Join(dir, "keys", "root"), safe); err != nil {
		t.Fatal(err)
	}
	open := func() *ca.Authority {
		a, err := ca.Open(dir, safeio.Disk{}, passphrase)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := open()
	revoke(t, a, serialOf(issue(t, a, mailFor("alice@example.org"))), ca.Superseded)
	list(t, a, ca.ServicesIssuer, now())
	root := list(t, a, ca.RootIssuer, now())
	if root.NextUpdate.Sub(root.ThisUpdate) < 360*24*time.Hour {
		t.Errorf("the root's list is valid from %v to %v", root.ThisUpdate, root.NextUpdate)
	}
	issuing := certstore.SerialHex(a.Issuing().SerialNumber)
	_, crlErr := a.MakeCRL(t.Context(), ca.RootIssuer, 0, now())
	_, revokeErr := a.Revoke(t.Context(), ca.RevokeOptions{Serial: issuing, Reason: ca.CACompromise, Now: now()})
	for _, err := range []error{a.UnlockRoot(passphrase), crlErr, revokeErr} {
		if !errors.Is(err, ca.ErrNoRootKey) || !strings.Contains(err.Error(), filepath.Join("keys", "root")) {
			t.Errorf("%v", err)
		}
	}
	if err := os.Rename(safe, filepath.Join(dir, "keys", "root")); err != nil {
		t.Fatal(err)
	}
	a = open()
	if err := a.UnlockRoot([]byte("wrong")); !errors.Is(err, vault.ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	if _, err := a.MakeCRL(t.Context(), ca.RootIssuer, 0, now()); !errors.Is(err, ca.ErrNoRootKey) {
		t.Errorf("locked: %v", err)
	}
	if err := a.UnlockRoot(passphrase); err != nil {
		t.Fatal(err)
	}
	revoke(t, a, issuing, ca.CACompromise)
	if e := onList(list(t, open(), ca.RootIssuer, now()), issuing); e == nil || e.ReasonCode != 2 {
		t.Errorf("issuer on the root's list: %+v", e)
	}
	if _, err := a.Issue(t.Context(), ca.Profile{Purpose: ca.Mail, Key: ca.P256, Emails: []string{"b@example.org"}, Now: now()}); !errors.Is(err, ca.ErrRevoked) {
		t.Errorf("a revoked issuer issues: %v", err)
	}
	issue(t, a, ca.Profile{Purpose: ca.TLS, Key: ca.P256, DNS: []string{"example.org"}})
}

// TestRevokeOverFaults makes each step of a revocation fail in turn. What was revoked stays revoked in lists and answers,
// what was reported as done is done, list numbers only grow, and another try works.
func TestRevokeOverFaults(t *testing.T) {
	_, dir := newAuthority(t, nil)
	number := list(t, reopen(t, dir), ca.MailIssuer, now()).Number
	revoked := make(map[string]bool)
	for step := 1; ; step++ {
		a, fault := faulty(t, dir)
		serial := serialOf(issue(t, a, mailFor("alice@example.org")))
		o := ca.RevokeOptions{Serial: serial, Reason: ca.KeyCompromise, Now: now()}
		fault.arm(step)
		_, err := a.Revoke(t.Context(), o)
		struck := fault.struck()
		if err != nil && !errors.Is(err, errFault) {
			t.Fatalf("step %d: %v", step, err)
		}
		fault.arm(0)
		after := reopen(t, dir)
		l := list(t, after, ca.MailIssuer, now())
		answer := statusOf(t, after, ca.MailIssuer, serial)
		if err == nil {
			revoked[serial] = true
		}
		// The list, as it is asked for, and the answer agree whatever was interrupted.
		if on := onList(l, serial) != nil; on != (answer == "revoked") || revoked[serial] && !on {
			t.Errorf("step %d (%v): on the list: %v, answer: %s", step, err, on, answer)
		}
		for s := range revoked {
			if onList(l, s) == nil || statusOf(t, after, ca.MailIssuer, s) != "revoked" {
				t.Errorf("step %d: %s is no longer revoked", step, s)
			}
		}
		if l.Number.Cmp(number) < 0 {
			t.Errorf("step %d: number %v after %v", step, l.Number, number)
		}
		number = l.Number
		if _, err := after.Revoke(t.Context(), o); err != nil {
			t.Fatalf("step %d, again: %v", step, err)
		}
		revoked[serial] = true
		if !struck {
			if step < 14 {
				t.Fatalf("only %d steps", step)
			}
			return
		}
	}
}

// TestDamagedRevocation: a revocation that cannot be read stops lists and answers; nothing is good because of it.
func TestDamagedRevocation(t *testing.T) {
	a, dir := newAuthority(t, nil)
	serial := serialOf(issue(t, a, mailFor("alice@example.org")))
	revoke(t, a, serial, ca.Superseded)
	file := filepath.Join(dir, "revoked", serial+".json")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty":          {},
		"half":           whole[:len(whole)/2],
		"another":        bytes.Replace(whole, []byte(serial), []byte("00"+serial[2:]), 1),
		"unknown reason": bytes.Replace(whole, []byte("superseded"), []byte("whatever"), 1),
		"strange issuer": bytes.Replace(whole, []byte("issuing"), []byte("nobody"), 1),
		"too large":      append(bytes.Repeat([]byte{' '}, 1<<20), whole...),
	} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		a := reopen(t, dir)
		if _, err := a.MakeCRL(t.Context(), ca.MailIssuer, 0, now()); !errors.Is(err, ca.ErrDamaged) {
			t.Errorf("%s, list: %v", name, err)
		}
		response, err := a.RespondOCSP(t.Context(), ocspRequest(t, a, ca.MailIssuer, serial), now())
		if !errors.Is(err, ca.ErrDamaged) || response.Status != ca.OCSPInternalError {
			t.Errorf("%s, answer: %+v, %v", name, response, err)
		}
	}
}
