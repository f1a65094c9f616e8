package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/internal/safeio"
)

// onDisk runs a command, and returns its exit code and all that it printed.
func onDisk(t *testing.T, disk safeio.Disk, args ...string) (code int, said string) {
	t.Helper()
	var out bytes.Buffer
	e := environment{
		in: strings.NewReader(""), out: &out, err: &out, now: time.Now, dial: (&net.Dialer{}).DialContext, disk: disk,
		getenv: func(string) string { return "" },
	}
	code = run(t.Context(), e, args)
	return code, out.String()
}

// memoryDir returns a folder in memory where the system has such a thing: what is synced there costs nothing.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sealmail-backup-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// backupHome makes a home with a key, an authority's folder beside it, and returns the folder that both are in.
func backupHome(t *testing.T) (dir string, command func(args ...string)) {
	t.Helper()
	dir = memoryDir(t)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("password", "secret\n")
	write("passphrase", "battery stäple\n")
	command = func(args ...string) {
		t.Helper()
		if code, said := onDisk(t, safeio.Disk{}, args...); code != exitGood {
			t.Fatalf("%s: exit %d\n%s", strings.Join(args, " "), code, said)
		}
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	home := []string{"--home", file("home")}
	command(append(home, "ca", "init", "--dir", file("ca"), "--name", "Backup", "--unprotected")...)
	for _, name := range []string{"alice.p12", "recovery.pem"} {
		command(append(home, "ca", "issue", "--dir", file("ca"), "--key", "p256", "--purpose", "mail", "--email", "alice@example.test",
			"-o", file(name), "--p12-password-file", file("password"))...)
	}
	command(append(home, "cert", "import", file("alice.p12"), "--p12-password-file", file("password"), "--passphrase-file", file("passphrase"))...)
	return dir, command
}

// TestBackupOpensWithoutSealmail has openssl and tar open a backup as the documentation says, by passphrase and by key.
func TestBackupOpensWithoutSealmail(t *testing.T) {
	peertest.Command(t, "openssl")
	peertest.Command(t, "tar")
	dir, command := backupHome(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	command("--home", file("home"), "backup", "-o", file("backup"), "--backup-passphrase-file", file("passphrase"), "--to", file("recovery.pem"))
	want, err := os.ReadFile(file("home/vault.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"passphrase": {"-pwri_password", "battery stäple"},
		"key":        {"-inkey", file("recovery.pem"), "-recip", file("recovery.pem")},
	} {
		t.Run(name, func(t *testing.T) {
			peertest.Run(t, "openssl", append([]string{"cms", "-decrypt", "-inform", "DER", "-binary", "-in", file("backup"), "-out", file(name + ".tar")}, args...)...)
			if got := peertest.Run(t, "tar", "-xOf", file(name+".tar"), "data/vault.json"); !bytes.Equal(got, want) {
				t.Errorf("another vault: %q", got)
			}
			list := string(peertest.Run(t, "tar", "-tf", file(name+".tar")))
			if !strings.HasPrefix(list, "sealmail-backup.json\n") || !strings.Contains(list, "\ndevice/sealmail-vault-") {
				t.Errorf("in it:\n%s", list)
			}
		})
	}
}

// TestRestoreInterrupted ends a restoration before each of its steps on the disk, as a kill would. The home is empty then, or
// whole as soon as any command looks at it, and nothing stays behind beside it.
func TestRestoreInterrupted(t *testing.T) {
	dir, command := backupHome(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	command("--home", file("home"), "backup", "-o", file("backup"), "--to", file("recovery.pem"))
	want := namesBelow(t, file("home"))
	want = slices.DeleteFunc(want, func(name string) bool { return strings.HasSuffix(name, ".lock") })
	errKilled := errors.New("killed")
	wholes, step := 0, 0
	for done := false; !done; step++ {
		parent := file(fmt.Sprint(step))
		home := filepath.Join(parent, "home")
		at, killed := 0, false
		disk := safeio.Disk{Before: func(string, string) error {
			killed = killed || at == step
			at++
			if killed {
				return errKilled
			}
			return nil
		}}
		code, said := onDisk(t, disk, "--home", home, "restore", file("backup"), "--key", file("recovery.pem"), "--cert", file("recovery.pem"))
		done = !killed
		if done != (code == exitGood) {
			t.Fatalf("step %d: exit %d\n%s", step, code, said)
		}
		code, said = onDisk(t, safeio.Disk{}, "--home", home, "vault", "status")
		got := namesBelow(t, home)
		switch whole := slices.Equal(got, want); {
		case whole && code == exitGood:
			wholes++
		case len(got) > 0 || code != exitFailed || done:
			t.Fatalf("step %d: exit %d with\n%s\nin\n%s", step, code, strings.Join(got, "\n"), said)
		default:
			command("--home", home, "restore", file("backup"), "--key", file("recovery.pem"), "--cert", file("recovery.pem"))
		}
		if beside, err := os.ReadDir(parent); err != nil || len(beside) != 1 {
			t.Fatalf("step %d: left beside it: %v, %v", step, beside, err)
		}
	}
	if step < 25 || wholes < 4 {
		t.Errorf("%d steps, whole after %d", step, wholes)
	}
}

// namesBelow lists the files in a folder and below.
func namesBelow(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
