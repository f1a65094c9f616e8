//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/certstore/vault"
)

// TestKillPasswd kills `vault passwd` before each of its steps, moving the device secret to another folder. Each time the
// vault opens, with every key in it; after the next change there is one device secret, and nothing else is left behind.
func TestKillPasswd(t *testing.T) {
	dir := killDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	must := func(args ...string) {
		t.Helper()
		if out, err := program(t, nil, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	if err := os.WriteFile(in("password"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must("ca", "init", "--dir", in("ca"), "--name", "Kill", "--unprotected")
	must("ca", "issue", "--dir", in("ca"), "--key", "p256", "--purpose", "mail", "--email", killAlice, "-o", in("a.p12"), "--p12-password-file", in("password"))
	must("--home", in("home"), "cert", "import", in("a.p12"), "--p12-password-file", in("password"), "--unprotected")

	const least = 20 // files of leftovers, a secret, the vault and the configuration, some steps each
	for at := 1; ; at++ {
		home, folder := in(fmt.Sprintf("home%d", at)), in(fmt.Sprintf("folder%d", at))
		copyTree(t, in("home"), home)
		cmd := program(t, []string{killSteps + "=" + in("steps"), fmt.Sprintf("%s=%d", killAt, at)}, "--home", home, "vault", "passwd", "--device", folder)
		out, err := cmd.CombinedOutput()
		killed := err != nil
		if killed && cmd.ProcessState.Exited() {
			t.Fatalf("step %d: %v\n%s", at, err, out)
		}
		wantKeys(t, at, home)
		must("--home", home, "vault", "passwd", "--device", folder)
		wantKeys(t, at, home)
		if n := len(glob(t, folder, "*")) + len(glob(t, home, "sealmail-vault-*")); n != 1 {
			t.Errorf("step %d: %d device secrets", at, n)
		}
		if left := append(glob(t, home, ".*"), glob(t, home, "*.leftover")...); len(left) > 0 {
			t.Errorf("step %d: left behind: %v", at, left)
		}
		if !killed {
			if at < least {
				t.Errorf("%d steps", at)
			}
			return
		}
	}
}

// wantKeys opens everything in an unprotected vault.
func wantKeys(t *testing.T, at int, home string) {
	t.Helper()
	v, err := vault.Setting{}.Open(filepath.Join(home, "vault.json"))
	if err != nil {
		t.Fatalf("step %d: %v", at, err)
	}
	entries, err := v.Entries()
	if err != nil || len(entries) != 1 {
		t.Fatalf("step %d: %d entries, %v", at, len(entries), err)
	}
	for _, e := range entries {
		if _, err := v.Get(e.ID); err != nil {
			t.Errorf("step %d: %v", at, err)
		}
	}
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return names
}
