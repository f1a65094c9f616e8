package vault_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/safeio"
)

// TestInterrupted ends Create and Rotate before each of their steps, on the disk and in the keyring, as a kill would. Then
// the vault is the old one or the new one, whole, and nothing stays behind once it is written again.
func TestInterrupted(t *testing.T) {
	beside, folder, inKeyring := vault.Device{Kind: vault.DeviceBeside}, vault.Device{Kind: vault.DeviceFolder}, vault.Device{Kind: vault.DeviceKeyring}
	for _, test := range []struct{ from, to vault.Device }{{beside, beside}, {beside, folder}, {folder, inKeyring}, {inKeyring, beside}} {
		t.Run(string(test.from.Kind+" to "+test.to.Kind), func(t *testing.T) {
			t.Parallel()
			steps := 0
			for ; !interrupt(t, test.from, test.to, steps); steps++ {
			}
			if least := 25; steps < least {
				t.Errorf("%d steps, fewer than two secrets, two files of leftovers and three vaults take", steps)
			}
		})
	}
}

var errKilled = errors.New("killed")

// interrupt makes a vault and gives it another root, and ends that before the step of this number. It reports whether all
// was done before.
func interrupt(t *testing.T, from, to vault.Device, at int) (done bool) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "vault.json")
	for _, d := range []*vault.Device{&from, &to} {
		if d.Kind == vault.DeviceFolder {
			d.Folder = filepath.Join(dir, "folder")
		}
	}
	step, killed := 0, false
	before := func() error {
		killed = killed || step == at
		step++
		if killed {
			return errKilled
		}
		return nil
	}
	ring := &keyring{before: func(string) error { return before() }}
	dying := vault.Setting{Disk: safeio.Disk{Before: func(string, string) error { return before() }}, Keyring: ring}
	alive := vault.Setting{Keyring: ring}
	old, fresh := protection("old"), protection("new")
	old.Device, fresh.Device = from, to

	v, err := dying.Create(t.Context(), path, old)
	if killed {
		ring.before = nil
		if _, statErr := os.Lstat(path); errors.Is(statErr, fs.ErrNotExist) {
			if err == nil {
				t.Fatalf("step %d: a vault that is not there", at)
			}
			if _, err := alive.Create(t.Context(), path, old); err != nil {
				t.Fatalf("step %d: %v", at, err)
			}
		}
		check(t, alive, ring, path, at, "old")
		return false
	}
	if err == nil {
		err = v.Put(t.Context(), "key:a", "test", []byte("secret a"))
	}
	if err == nil {
		err = v.Rotate(t.Context(), fresh)
	}
	ring.before = nil
	if !killed {
		if err != nil {
			t.Fatal(err)
		}
		check(t, alive, ring, path, at, "new")
		return true
	}
	check(t, alive, ring, path, at, "old", "new")
	return false
}

// check opens the vault with one of the passphrases, and one alone, writes to it, and looks for what is left behind.
func check(t *testing.T, s vault.Setting, ring *keyring, path string, at int, passphrases ...string) {
	t.Helper()
	var opened []*vault.Vault
	for _, passphrase := range passphrases {
		if v, err := unlock(s, path, passphrase); err == nil {
			opened = append(opened, v)
		} else if !errors.Is(err, vault.ErrPassphrase) {
			t.Fatalf("step %d: %v", at, err)
		}
	}
	if len(opened) != 1 {
		t.Fatalf("step %d: opens with %d passphrases", at, len(opened))
	}
	v := opened[0]
	entries, err := v.Entries()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		wantSecret(t, v, e.ID, "secret a")
	}
	put(t, v, "key:b", "secret b")
	if warnings := v.Warnings(); len(warnings) > 0 {
		t.Errorf("step %d: %q", at, warnings)
	}
	dir := filepath.Dir(path)
	secrets := slices.Concat(deviceFiles(t, dir), deviceFiles(t, filepath.Join(dir, "folder")))
	for name := range ring.secrets {
		secrets = append(secrets, name)
	}
	if len(secrets) != 1 {
		t.Errorf("step %d: device secrets %v", at, secrets)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range left {
		if base := filepath.Base(name); !slices.Contains([]string{"vault.json", "vault.json.lock", "folder"}, base) && !slices.Contains(secrets, name) {
			t.Errorf("step %d: left behind: %s", at, base)
		}
	}
	if hidden, _ := filepath.Glob(filepath.Join(dir, ".*")); len(hidden) > 0 {
		t.Errorf("step %d: left behind: %v", at, hidden)
	}
	if _, err := unlock(s, path, fmt.Sprint(at)); !errors.Is(err, vault.ErrPassphrase) {
		t.Errorf("step %d: any passphrase opens it: %v", at, err)
	}
}
