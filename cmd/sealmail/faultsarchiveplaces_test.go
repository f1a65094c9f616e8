//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

// badPlaces names folders that are no archives, and certificates that are none. Nothing is made or changed.
func (w *killWorld) badPlaces(t *testing.T) {
	foreign, file := filepath.Join(w.dir, "foreign"), filepath.Join(w.dir, "file")
	if err := errors.Join(os.Mkdir(foreign, 0o700), os.WriteFile(filepath.Join(foreign, "letter.txt"), []byte("mine"), 0o600), os.WriteFile(file, []byte("mine"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{foreign, file} {
		w.runIn(t, nil, "archive", "pull", "--to", to).says(t, exitFailed, to, "\nhint: ")
		w.runIn(t, nil, "archive", "list", "--archive", to).says(t, exitFailed, to, "\nhint: ")
	}
	if left := tree(t, foreign); len(left) > 2 {
		t.Errorf("in a folder that is no archive there is now %v", left)
	}
	w.runIn(t, nil, w.pullArgs("--recovery", w.file("letter.txt"))...).says(t, exitFailed, "letter.txt", "\nhint: ")
	w.runIn(t, nil, w.pullArgs("--recovery", filepath.Join(w.dir, "nothing"))...).says(t, exitFailed, "nothing", "\nhint: ")
	w.runIn(t, nil, w.pullArgs("--signer", "0000")...).says(t, exitFailed, "archiving certificate: there is none of your own with the fingerprint", "\nhint: ")
	w.sealmail(t, w.home(killAlice), w.pullArgs()...).says(t, exitFailed, "archiving certificate: there is none", "\nhint: `sealmail ca issue --purpose archive`")
	if _, err := os.Stat(w.archive()); err == nil {
		t.Error("there is an archive now")
	}
	w.run(t, killBob, w.pullArgs("INBOX", "--recovery", w.file(killAlice+".pem"))...).mustBe(t, exitGood)
	w.runIn(t, nil, w.pullArgs("INBOX", "--recovery", w.file(killCarol+".pem"))...).says(t, exitUsage, "--recovery", "\nhint: ")
	// What somebody else puts there is not touched, and is found.
	if err := os.WriteFile(filepath.Join(w.archive(), "seg", "note.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.runIn(t, nil, w.pullArgs(archiveSecond)...).mustBe(t, exitGood)
	if v := w.verdict(t); v.Damage+v.Notes == 0 {
		t.Errorf("a file that is no part of the archive was not found: %+v", v)
	}
	if err := os.Remove(filepath.Join(w.archive(), "seg", "note.txt")); err != nil {
		t.Error(err)
	}
	w.mended(t, outcome{}, archiveSecond)
}

// putBack exchanges the archive for an older copy, which this home notices.
func (w *killWorld) putBack(t *testing.T) {
	w.run(t, killBob, w.pullArgs("INBOX")...).mustBe(t, exitGood)
	older, newer := filepath.Join(w.dir, "older"), filepath.Join(w.dir, "newer")
	copyTree(t, w.archive(), older)
	w.run(t, killBob, w.pullArgs(archiveSecond)...).mustBe(t, exitGood)
	if err := errors.Join(os.Rename(w.archive(), newer), os.Rename(older, w.archive())); err != nil {
		t.Fatal(err)
	}
	before := tree(t, w.archive())
	head := filepath.Join(w.archive(), "head")
	for _, args := range [][]string{
		w.pullArgs("INBOX"), {"archive", "hold", "case", "--all", "--archive", w.archive()}, {"archive", "renew", "--now", "--archive", w.archive()},
		{"archive", "verify", w.archive()}, {"archive", "verify", w.archive(), "--witness", head},
		w.pullArgs("INBOX"), // and it is not forgotten
	} {
		w.runIn(t, nil, args...).mustBe(t, exitNo)
	}
	if after := tree(t, w.archive()); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error("the archive was changed")
	}
	if err := errors.Join(os.Rename(w.archive(), older), os.Rename(newer, w.archive())); err != nil {
		t.Fatal(err)
	}
	w.mended(t, outcome{}, archiveSecond)
}

// badWitness cannot write the copy of the head.
func (w *killWorld) badWitness(t *testing.T) {
	w.runIn(t, nil, w.pullArgs("--witness", filepath.Join(w.dir, "missing", "head"))...).says(t, exitFailed, "missing", "\nhint: name another file with --witness")
	witness := filepath.Join(w.dir, "witness")
	steps := 0
	o := w.runIn(t, func(e *environment) { e.disk = broken(witness, 4, syscall.ENOSPC, &steps) }, w.pullArgs("INBOX", "--witness", witness)...)
	o.says(t, exitFailed, "no space left on device", "\nhint: name another file with --witness; the archive itself is whole")
	if n := len(killed{outcome: o}.told(t)); n != 3 {
		t.Errorf("%d messages were told of\n%s", n, o.err)
	}
	w.mended(t, o, "INBOX")
	w.run(t, killBob, w.pullArgs("INBOX", "--witness", witness)...).mustBe(t, exitGood)
	w.run(t, killBob, "archive", "verify", w.archive(), "--witness", witness).mustBe(t, exitGood)
}

// clocks archives when the archiving certificate has ended, and with a clock that goes backwards.
func (w *killWorld) clocks(t *testing.T) {
	at := func(d time.Duration) func(*environment) {
		return func(e *environment) { e.now = func() time.Time { return time.Now().Add(d) } }
	}
	w.runIn(t, at(10*365*24*time.Hour), w.pullArgs("INBOX")...).mustBe(t, exitFailed)
	w.runIn(t, at(-10*365*24*time.Hour), w.pullArgs("INBOX")...).mustBe(t, exitFailed)
	if _, err := os.Stat(w.archive()); err == nil {
		t.Error("there is an archive now")
	}
	w.run(t, killBob, w.pullArgs("INBOX")...).mustBe(t, exitGood)
	w.runIn(t, at(-time.Minute), w.pullArgs(archiveSecond)...).mustBe(t, exitGood)
	w.mended(t, outcome{}, archiveSecond)
}

// oddFolders archives from folders that are missing, or empty.
func (w *killWorld) oddFolders(t *testing.T) {
	if err := w.store(t, killBob).CreateFolder(t.Context(), "empty"); err != nil {
		t.Fatal(err)
	}
	o := w.runIn(t, nil, w.pullArgs("INBOX", "missing")...).says(t, exitFailed, "missing", "\nhint: ")
	w.mended(t, o, "INBOX")
	if o := w.runIn(t, nil, w.pullArgs("empty")...).mustBe(t, exitGood); o.out != "" {
		t.Errorf("archived of an empty folder: %s", o.out)
	}
	w.runIn(t, nil, w.pullArgs("INBOX", "--all")...).mustBe(t, exitUsage)
	w.runIn(t, nil, w.pullArgs("INBOX", "--no-timestamp", "--expunge-verified", "--yes")...).mustBe(t, exitUsage)
	w.runIn(t, nil, w.pullArgs("--all")...).mustBe(t, exitGood)
	w.mended(t, outcome{}, archiveSecond)
}

// lockedVault archives where nobody opens the vault.
func (w *killWorld) lockedVault(t *testing.T) {
	passphrase, wrong := filepath.Join(w.dir, "passphrase"), filepath.Join(w.dir, "wrong")
	if err := errors.Join(os.WriteFile(passphrase, []byte("correct horse\n"), 0o600), os.WriteFile(wrong, []byte("battery staple\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	w.run(t, killBob, "vault", "passwd", "--new-passphrase-file", passphrase).mustBe(t, exitGood)
	open := func(args ...string) []string { return append(args, "--passphrase-file", passphrase) }
	w.runIn(t, nil, w.pullArgs()...).says(t, exitFailed, "vault is locked", "\nhint: ")
	w.runIn(t, nil, append(w.pullArgs(), "--passphrase-file", wrong)...).says(t, exitFailed, "wrong passphrase")
	if _, err := os.Stat(w.archive()); err == nil {
		t.Error("there is an archive now")
	}
	w.runIn(t, nil, open(w.pullArgs()...)...).mustBe(t, exitGood)
	for _, args := range [][]string{w.pullArgs(archiveSecond), {"archive", "read", "1", "--archive", w.archive()}, {"archive", "hold", "case", "--all", "--archive", w.archive()}} {
		w.runIn(t, nil, args...).says(t, exitFailed, "vault is locked", "\nhint: ")
	}
	w.runIn(t, nil, open(w.pullArgs(archiveSecond)...)...).mustBe(t, exitGood)
	w.runIn(t, nil, open("archive", "verify", w.archive())...).mustBe(t, exitGood)
}

// revokedArchiver has archiving certificates that must not sign: one is revoked, one leads to nobody who is trusted.
func (w *killWorld) revokedArchiver(t *testing.T) {
	port, err := quietPort()
	if err != nil {
		t.Fatal(err)
	}
	ca, p12, password := filepath.Join(w.dir, "pki"), filepath.Join(w.dir, "revoked.p12"), w.file("password")
	must := func(args ...string) outcome {
		t.Helper()
		return w.runIn(t, nil, args...).mustBe(t, exitGood)
	}
	must("ca", "init", "--dir", ca, "--name", "Online", "--base-url", "http://127.0.0.1:"+port+"/pki", "--unprotected")
	must("ca", "issue", "--dir", ca, "--purpose", "archive", "--key", "p256", "--name", "Revoked Archive", "-o", p12, "--p12-password-file", password)
	must("cert", "import", p12, "--p12-password-file", password)
	var fingerprint string
	for _, line := range killLines[client.CertificateLine](t, must("cert", "list")) {
		if strings.Contains(line.Subject, "Revoked Archive") {
			fingerprint = line.Fingerprint
		}
	}
	w.runIn(t, nil, w.pullArgs("--signer", fingerprint)...).says(t, exitFailed, "archiving certificate: ", "\nhint: ") // of nobody who is trusted
	must("cert", "trust", filepath.Join(ca, "root.pem"), "--for", "mail")
	must("cert", "export", fingerprint, "-o", filepath.Join(w.dir, "revoked.pem"))
	must("ca", "revoke", "--dir", ca, "--cert", filepath.Join(w.dir, "revoked.pem"), "--reason", "keyCompromise", "--yes")
	authority, _ := startServing(t, "ca", "serve", "--dir", ca, "--listen", "127.0.0.1:"+port)
	defer stopServing(t, authority)
	w.runIn(t, nil, w.pullArgs("--signer", fingerprint)...).says(t, exitFailed, "archiving certificate: Revoked Archive: ", "revoked", "\nhint: ")
	w.runIn(t, nil, w.pullArgs()...).mustBe(t, exitGood) // by the other one
	for _, args := range [][]string{{"archive", "hold", "case", "--all"}, {"archive", "renew", "--now"}} {
		w.runIn(t, nil, append(args, "--archive", w.archive(), "--signer", fingerprint)...).says(t, exitFailed, "archiving certificate: Revoked Archive: ", "revoked")
	}
	w.mended(t, outcome{}, archiveSecond)
}
