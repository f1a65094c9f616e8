package vault_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/certstore/vault"
)

// keyring is a keyring in memory. Before, if set, is called before each step; its error is returned.
type keyring struct {
	mu      sync.Mutex
	secrets map[string][]byte
	before  func(op string) error
	forgets bool // takes secrets, and keeps others
}

func (k *keyring) step(op string) error {
	if k.before == nil {
		return nil
	}
	return k.before(op)
}

func (k *keyring) Get(name string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.step("get"); err != nil {
		return nil, err
	}
	s, ok := k.secrets[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(s), nil
}

func (k *keyring) Put(name string, secret []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.step("put"); err != nil {
		return err
	}
	if k.secrets == nil {
		k.secrets = map[string][]byte{}
	}
	k.secrets[name] = bytes.Clone(secret)
	if k.forgets {
		k.secrets[name][0] ^= 1
	}
	return nil
}

func (k *keyring) Delete(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.step("delete"); err != nil {
		return err
	}
	if _, ok := k.secrets[name]; !ok {
		return fs.ErrNotExist
	}
	delete(k.secrets, name)
	return nil
}

// TestDeviceMoves from each place to each other, and is found there, and only there.
func TestDeviceMoves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.json")
	first, second := filepath.Join(t.TempDir(), "a", "b"), t.TempDir()
	ring := &keyring{}
	s := vault.Setting{Keyring: ring}
	beside, inKeyring := vault.Device{Kind: vault.DeviceBeside}, vault.Device{Kind: vault.DeviceKeyring}
	folder := func(dir string) vault.Device { return vault.Device{Kind: vault.DeviceFolder, Folder: dir} }
	v, err := s.Create(t.Context(), path, protection("x"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, v, "key:a", "secret a")
	for _, device := range []vault.Device{folder(first), inKeyring, folder(second), folder(first), beside, inKeyring, inKeyring, beside} {
		p := protection("x")
		p.Device = device
		if err := v.Rotate(t.Context(), p); err != nil {
			t.Fatalf("%v: %v", device, err)
		}
		again, err := unlock(s, path, "x")
		if err != nil {
			t.Fatalf("%v: %v", device, err)
		}
		wantSecret(t, again, "key:a", "secret a")
		if info, err := again.Info(); err != nil || info.Device != device {
			t.Errorf("%v: %+v, %v", device, info, err)
		}
		count := map[vault.Device]int{
			beside: len(deviceFiles(t, filepath.Dir(path))), folder(first): len(deviceFiles(t, first)), folder(second): len(deviceFiles(t, second)),
			inKeyring: len(ring.secrets),
		}
		for place, n := range count {
			if want := map[bool]int{true: 1}[place == device]; n != want {
				t.Errorf("in %v, there are %d secrets in %v", device, n, place)
			}
		}
	}
}

// TestFolderElsewhere: a folder that is found under another path than the file says is looked into as well, and what is
// there is removed when it is not needed any more.
func TestFolderElsewhere(t *testing.T) {
	path, old := filepath.Join(t.TempDir(), "vault.json"), filepath.Join(t.TempDir(), "stick")
	p := protection("x")
	p.Device = vault.Device{Kind: vault.DeviceFolder, Folder: old}
	if _, err := (vault.Setting{}).Create(t.Context(), path, p); err != nil {
		t.Fatal(err)
	}
	if mode := stat(t, old).Mode().Perm(); mode != 0o700 {
		t.Errorf("the folder was made with the mode %v", mode)
	}
	found := filepath.Join(t.TempDir(), "found")
	if err := os.Rename(old, found); err != nil {
		t.Fatal(err)
	}
	if _, err := unlock(vault.Setting{}, path, "x"); !errors.Is(err, vault.ErrDevice) || !strings.Contains(err.Error(), old) {
		t.Errorf("without the folder: %v", err)
	}
	v, err := unlock(vault.Setting{Folder: found}, path, "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Rotate(t.Context(), protection("x")); err != nil {
		t.Fatal(err)
	}
	if left := deviceFiles(t, found); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func stat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// TestOpenFolder: a folder that others may write to is closed to them before a secret is taken from it.
func TestOpenFolder(t *testing.T) {
	_, path := create(t, "x")
	dir := filepath.Dir(path)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	v, err := unlock(vault.Setting{}, path, "x")
	if err != nil {
		t.Fatal(err)
	}
	if mode := stat(t, dir).Mode().Perm(); mode != 0o755 || len(v.Warnings()) != 1 || !strings.Contains(v.Warnings()[0], "mode 0777") {
		t.Errorf("mode %v, warnings %q", mode, v.Warnings())
	}
}

// TestKeyringThatFails: nothing changes where a secret cannot be stored as it is.
func TestKeyringThatFails(t *testing.T) {
	errFault := errors.New("no bus")
	for name, ring := range map[string]*keyring{
		"refuses": {before: func(op string) error { return map[string]error{"put": errFault}[op] }},
		"forgets": {forgets: true},
		"is deaf": {before: func(op string) error { return map[string]error{"get": errFault}[op] }},
	} {
		t.Run(name, func(t *testing.T) {
			s := vault.Setting{Keyring: ring}
			path := filepath.Join(t.TempDir(), "vault.json")
			p := protection("x")
			p.Device.Kind = vault.DeviceKeyring
			if _, err := s.Create(t.Context(), path, p); err == nil {
				t.Error("a vault was made")
			}
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is a vault (%v)", err)
			}
			v, err := s.Create(t.Context(), path, protection("x"))
			if err != nil {
				t.Fatal(err)
			}
			put(t, v, "key:a", "secret a")
			before := read(t, path)
			if err := v.Rotate(t.Context(), p); err == nil {
				t.Error("the root was replaced")
			}
			if read(t, path) != before {
				t.Error("the file was changed")
			}
			wantSecret(t, v, "key:a", "secret a")
			ring.before, ring.forgets = nil, false
			put(t, v, "key:b", "secret b")
			if len(ring.secrets) != 0 {
				t.Errorf("left in the keyring: %d", len(ring.secrets))
			}
		})
	}
}
