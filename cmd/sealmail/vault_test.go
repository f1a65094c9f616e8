//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/peertest"
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

// TestKeyringOfTheSystem has the device secret and the passphrase in a real keyring, on a bus of its own.
func TestKeyringOfTheSystem(t *testing.T) {
	bus, daemon := peertest.Command(t, "dbus-run-session"), peertest.Command(t, "gnome-keyring-daemon")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{"password": "secret\n", "passphrase": "correct horse\n"} {
		if err := os.WriteFile(in(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const script = `
"$DAEMON" --unlock --components=secrets >/dev/null || exit 90
"$SEALMAIL" ca init --dir ca --name Test --unprotected || exit 91
"$SEALMAIL" ca issue --dir ca --key p256 --purpose mail --email a@example.test -o a.p12 --p12-password-file password || exit 92
key() { "$SEALMAIL" --home home cert export a@example.test --key --p12-password-file password -o "$1"; }
"$SEALMAIL" --home home cert import a.p12 --p12-password-file password --passphrase-file passphrase || exit 93
"$SEALMAIL" --home home vault passwd --device keyring --passphrase-file passphrase || exit 94
key no.p12 && exit 95
"$SEALMAIL" --home home unlock --keyring --passphrase-file passphrase || exit 96
key yes.p12 || exit 97
"$SEALMAIL" --home home lock --keyring || exit 98
key no.p12 && exit 99
exit 0
`
	own := program(t, []string{"HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "XDG_DATA_HOME=" + dir, "DAEMON=" + daemon})
	cmd := exec.CommandContext(t.Context(), bus, "--", "/bin/sh", "-c", script)
	cmd.Env = append(own.Env, "SEALMAIL="+own.Path)
	cmd.Dir, cmd.Stdin, cmd.WaitDelay = dir, strings.NewReader("keyring password"), 10*time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"a secret in the operating system's keyring", "keyring has the passphrase", "the vault's passphrase is needed"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if left := glob(t, in("home"), "sealmail-vault-*"); len(left) > 0 {
		t.Errorf("left beside the vault: %v", left)
	}
}
