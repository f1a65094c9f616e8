package vault_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/certstore/vault"
)

// TestCopy takes vaults to a machine that has the place of their device secret, and to one that does not: they open there
// with the passphrase, and after the next rotation no device secret of before is left.
func TestCopy(t *testing.T) {
	for _, kind := range []vault.DeviceKind{vault.DeviceBeside, vault.DeviceFolder, vault.DeviceKeyring} {
		for _, there := range []bool{true, false} {
			name := string(kind) + ", which is there"
			if !there {
				name = string(kind) + ", which is not there"
			}
			t.Run(name, func(t *testing.T) { copyVault(t, kind, there) })
		}
	}
}

func copyVault(t *testing.T, kind vault.DeviceKind, there bool) {
	stick := filepath.Join(t.TempDir(), "stick")
	p := protection("old")
	p.Device = vault.Device{Kind: kind}
	if kind == vault.DeviceFolder {
		p.Device.Folder = stick
	}
	here := vault.Setting{Keyring: &keyring{}}
	path := filepath.Join(t.TempDir(), "vault.json")
	v, err := here.Create(t.Context(), path, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Put(t.Context(), "key:a", "test", []byte("secret a")); err != nil {
		t.Fatal(err)
	}
	c, err := here.Copy(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := os.ReadFile(path); err != nil || !bytes.Equal(want, c.File) || !vault.IsSecretName(c.SecretName) {
		t.Fatalf("%v; secret %q", err, c.SecretName)
	}

	if len(c.Entries) != 1 || c.Entries[0].ID != "key:a" {
		t.Errorf("entries %v", c.Entries)
	}
	if err := os.RemoveAll(stick); err != nil {
		t.Fatal(err)
	}
	ring := &keyring{}
	another := vault.Setting{Keyring: ring}
	if there && kind == vault.DeviceFolder {
		if err := os.Mkdir(stick, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if !there {
		ring.before = func(string) error { return errKilled }
	}
	dir := t.TempDir()
	path = filepath.Join(dir, "vault.json")
	if err := os.WriteFile(path, c.File, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := another.PlaceSecret(path, c.SecretName+"0", c.Secret); !errors.Is(err, vault.ErrDevice) {
		t.Errorf("another's secret: %v", err)
	}
	if _, _, err := another.PlaceSecret(path, c.SecretName, c.Secret[1:]); !errors.Is(err, vault.ErrDevice) {
		t.Errorf("half a secret: %v", err)
	}
	d, beside, err := another.PlaceSecret(path, c.SecretName, c.Secret)
	if err != nil || d.Kind != kind || beside != (!there && kind != vault.DeviceBeside) {
		t.Fatalf("%+v, beside %v, %v", d, beside, err)
	}
	if _, err := os.Lstat(stick); (err == nil) != (there && kind == vault.DeviceFolder) {
		t.Errorf("the folder of a stick that is not there: %v", err)
	}
	if v, err = another.Open(path); err != nil {
		t.Fatal(err)
	}
	if info, err := v.Info(); err != nil || info.Beside != beside {
		t.Errorf("info %+v, %v", info, err)
	}
	if err := v.Unlock([]byte("old")); err != nil {
		t.Fatal(err)
	}
	if got, err := v.Get("key:a"); err != nil || string(got) != "secret a" {
		t.Errorf("%q, %v", got, err)
	}
	if err := v.Rotate(t.Context(), protection("new")); err != nil {
		t.Errorf("rotation: %v", err)
	}
	for _, left := range []string{filepath.Join(dir, c.SecretName), filepath.Join(stick, c.SecretName)} {
		if _, err := os.Lstat(left); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", left, err)
		}
	}
	if len(ring.secrets) > 0 {
		t.Error("the keyring has a secret of before")
	}
}

// TestCopyOfWhatIsNotWhole has no backup that would not open.
func TestCopyOfWhatIsNotWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.json")
	if _, err := (vault.Setting{}).Copy(t.Context(), path); !errors.Is(err, vault.ErrNotExist) {
		t.Errorf("no vault: %v", err)
	}
	if _, err := os.Lstat(path + ".lock"); err == nil {
		t.Error("a lock was made for it")
	}
	p := protection("old")
	p.Device = vault.Device{Kind: vault.DeviceKeyring}
	if _, err := (vault.Setting{Keyring: &keyring{}}).Create(t.Context(), path, p); err != nil {
		t.Fatal(err)
	}
	if _, err := (vault.Setting{Keyring: &keyring{}}).Copy(t.Context(), path); !errors.Is(err, vault.ErrDevice) {
		t.Errorf("without its device secret: %v", err)
	}
}
