package vault_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore/vault"
)

func unlock(s vault.Setting, path, passphrase string) (*vault.Vault, error) {
	v, err := s.Load(path)
	if err != nil {
		return nil, err
	}
	return v, v.Unlock([]byte(passphrase))
}

// TestRotate: after it the new passphrase opens everything, and neither the old passphrase nor an old copy of the file
// with the new device secret opens anything.
func TestRotate(t *testing.T) {
	v, path := create(t, "old")
	put(t, v, "key:a", "secret a")
	put(t, v, "key:b", "secret b")
	dir := filepath.Dir(path)
	oldFile, oldDevice := read(t, path), deviceFile(t, dir)
	oldSecret := read(t, oldDevice)
	oldID, oldRoot, err := v.RootKey()
	if err != nil {
		t.Fatal(err)
	}
	other := reopen(t, path)
	if err := other.Unlock([]byte("old")); err != nil {
		t.Fatal(err)
	}

	p := protection("new")
	p.Made = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	if err := v.Rotate(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, v, "key:a", "secret a")
	put(t, v, "key:c", "secret c")
	if _, err := other.Get("key:a"); !errors.Is(err, vault.ErrRootChanged) {
		t.Errorf("who holds the old root reads: %v", err)
	}
	if err := reopen(t, path).UnlockByRoot(oldID, oldRoot); !errors.Is(err, vault.ErrRootChanged) {
		t.Errorf("the old root unlocks: %v", err)
	}
	again, err := unlock(vault.Setting{}, path, "new")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b", "c"} {
		wantSecret(t, again, "key:"+id, "secret "+id)
	}
	if info, err := again.Info(); err != nil || !info.Made.Equal(p.Made) || info.RootID == oldID {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err := unlock(vault.Setting{}, path, "old"); !errors.Is(err, vault.ErrPassphrase) {
		t.Errorf("the old passphrase: %v", err)
	}

	newDevice := deviceFile(t, dir)
	if newDevice == oldDevice || read(t, newDevice) == oldSecret {
		t.Error("the device secret is the old one")
	}
	if err := os.WriteFile(path, []byte(oldFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := unlock(vault.Setting{}, path, "old"); !errors.Is(err, vault.ErrDevice) {
		t.Errorf("an old copy of the file with its passphrase: %v", err)
	}
	if err := os.Rename(newDevice, oldDevice); err != nil {
		t.Fatal(err)
	}
	if _, err := unlock(vault.Setting{}, path, "old"); !errors.Is(err, vault.ErrPassphrase) {
		t.Errorf("an old copy of the file with the new device secret under the old name: %v", err)
	}
	// The old secret is what it lacks: with it the copy opens, so that the refusals above are due to that.
	if err := os.WriteFile(oldDevice, []byte(oldSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := unlock(vault.Setting{}, path, "old"); err != nil {
		t.Error(err)
	}
}

// TestShred: the entry is gone under the new root, with all that old copies of the file could open it with; the others are
// as they were.
func TestShred(t *testing.T) {
	v, path := create(t, "same")
	put(t, v, "key:a", "secret a")
	put(t, v, "key:b", "secret b")
	oldFile := read(t, path)
	if err := v.Shred(t.Context(), protection("same"), "key:a", "key:of nobody"); err != nil {
		t.Fatal(err)
	}
	for _, opened := range []*vault.Vault{v, reopen(t, path)} {
		if err := opened.Unlock([]byte("same")); err != nil {
			t.Fatal(err)
		}
		if _, err := opened.Get("key:a"); !errors.Is(err, vault.ErrNotExist) {
			t.Errorf("the entry opens: %v", err)
		}
		wantSecret(t, opened, "key:b", "secret b")
	}
	if err := os.WriteFile(path, []byte(oldFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := unlock(vault.Setting{}, path, "same"); !errors.Is(err, vault.ErrDevice) {
		t.Errorf("an old copy of the file with the passphrase: %v", err)
	}
}

func TestRotateNeedsTheVaultUnlocked(t *testing.T) {
	_, path := create(t, "x")
	if err := reopen(t, path).Rotate(t.Context(), protection("y")); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("Rotate of a locked vault: %v", err)
	}
	if _, _, err := reopen(t, path).RootKey(); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("RootKey of a locked vault: %v", err)
	}
}

// TestUnlockByRoot derives nothing, and takes no key but the right one.
func TestUnlockByRoot(t *testing.T) {
	v, path := create(t, "x")
	put(t, v, "key:a", "secret a")
	id, key, err := v.RootKey()
	if err != nil {
		t.Fatal(err)
	}
	derived := 0
	s := vault.Setting{Deriving: func() { derived++ }}
	load := func() *vault.Vault {
		v, err := s.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	wrong := bytes.Clone(key)
	wrong[0] ^= 1
	for name, err := range map[string]error{
		"another key": load().UnlockByRoot(id, wrong),
		"half a key":  load().UnlockByRoot(id, key[:16]),
	} {
		if !errors.Is(err, vault.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	v = load()
	if err := v.UnlockByRoot(id, key); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, v, "key:a", "secret a")
	if derived != 0 {
		t.Errorf("derived %d times", derived)
	}
	if err := load().Unlock([]byte("x")); err != nil || derived != 1 {
		t.Errorf("derived %d times, %v", derived, err)
	}
}

// TestLeftover: a device secret that cannot be removed is said, and removed by a later write.
func TestLeftover(t *testing.T) {
	ring := &keyring{}
	s := vault.Setting{Keyring: ring}
	path := filepath.Join(t.TempDir(), "vault.json")
	p := protection("x")
	p.Device.Kind = vault.DeviceKeyring
	v, err := s.Create(t.Context(), path, p)
	if err != nil {
		t.Fatal(err)
	}
	ring.before = func(op string) error { return map[string]error{"delete": errors.New("no bus")}[op] }
	for range 2 {
		if err := v.Rotate(t.Context(), p); !errors.Is(err, vault.ErrLeftover) {
			t.Fatalf("Rotate: %v", err)
		}
	}
	put(t, v, "key:a", "secret a")
	if len(ring.secrets) != 3 || len(v.Warnings()) == 0 {
		t.Errorf("%d secrets, warnings %q", len(ring.secrets), v.Warnings())
	}
	ring.before = nil
	put(t, v, "key:b", "secret b")
	if len(ring.secrets) != 1 {
		t.Errorf("%d secrets are left", len(ring.secrets))
	}
	if v, err = unlock(s, path, "x"); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, v, "key:a", "secret a")
}

// TestReplaced unlocks while another process replaces the root after the file was read.
func TestReplaced(t *testing.T) {
	ring := &keyring{}
	s := vault.Setting{Keyring: ring}
	path := filepath.Join(t.TempDir(), "vault.json")
	p := protection("x")
	p.Device.Kind = vault.DeviceKeyring
	v, err := s.Create(t.Context(), path, p)
	if err != nil {
		t.Fatal(err)
	}
	put(t, v, "key:a", "secret a")
	slow, err := s.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	rotated := make(chan error)
	ring.before = func(op string) error {
		ring.before = nil
		ring.mu.Unlock()
		defer ring.mu.Lock()
		go func() { rotated <- v.Rotate(t.Context(), p) }()
		return <-rotated
	}
	if err := slow.Unlock([]byte("x")); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, slow, "key:a", "secret a")
}
