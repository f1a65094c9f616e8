package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/safeio"
)

// cheap keeps tests fast; it is no cost for real use.
func cheap() vault.Scrypt { return vault.Scrypt{N: 1 << 10, R: 8, P: 1} }

func create(t *testing.T, passphrase string) (*vault.Vault, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vault.json")
	v, err := vault.Create(t.Context(), safeio.Disk{}, path, protection(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	return v, path
}

func protection(passphrase string) vault.Protection {
	if passphrase == "" {
		return vault.Protection{Unprotected: true}
	}
	return vault.Protection{Passphrase: []byte(passphrase), Scrypt: cheap()}
}

func reopen(t *testing.T, path string) *vault.Vault {
	t.Helper()
	v, err := vault.Open(safeio.Disk{}, path)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func put(t *testing.T, v *vault.Vault, id, secret string) {
	t.Helper()
	if err := v.Put(t.Context(), id, "test", []byte(secret)); err != nil {
		t.Fatal(err)
	}
}

func wantSecret(t *testing.T, v *vault.Vault, id, want string) {
	t.Helper()
	got, err := v.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Fatalf("entry %s is %q, want %q", id, got, want)
	}
}

func TestPassphrase(t *testing.T) {
	v, path := create(t, "correct horse")
	put(t, v, "key:a", "secret a")
	put(t, v, "key:b", "")

	v = reopen(t, path)
	if !v.Protected() || !v.Locked() {
		t.Fatal("a vault with a passphrase opens unlocked")
	}
	if _, err := v.Get("key:a"); !errors.Is(err, vault.ErrLocked) {
		t.Fatalf("Get while locked: %v", err)
	}
	if err := v.Put(t.Context(), "key:c", "test", nil); !errors.Is(err, vault.ErrLocked) {
		t.Fatalf("Put while locked: %v", err)
	}
	if entries, err := v.Entries(); err != nil || len(entries) != 2 || entries[0] != (vault.Entry{ID: "key:a", Kind: "test"}) {
		t.Fatalf("entries %v, %v", entries, err)
	}
	for _, wrong := range []string{"", "Correct horse", "correct horse "} {
		if err := v.Unlock([]byte(wrong)); !errors.Is(err, vault.ErrPassphrase) {
			t.Fatalf("Unlock(%q): %v", wrong, err)
		}
	}
	if err := v.Unlock([]byte("correct horse")); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, v, "key:a", "secret a")
	wantSecret(t, v, "key:b", "")
	v.Lock()
	if _, err := v.Get("key:a"); !errors.Is(err, vault.ErrLocked) {
		t.Fatalf("Get after Lock: %v", err)
	}
}

func TestUnprotected(t *testing.T) {
	v, path := create(t, "")
	put(t, v, "key:a", "secret a")
	v = reopen(t, path)
	if v.Protected() || v.Locked() {
		t.Fatal("an unprotected vault opens locked")
	}
	wantSecret(t, v, "key:a", "secret a")

	keyFile := deviceFile(t, filepath.Dir(path))
	if err := os.WriteFile(keyFile, bytes.Repeat([]byte{1}, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(safeio.Disk{}, path); !errors.Is(err, vault.ErrDamaged) {
		t.Fatalf("another's key file: %v", err)
	}
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(safeio.Disk{}, path); !errors.Is(err, vault.ErrDevice) {
		t.Fatalf("no key file: %v", err)
	}
}

// deviceFile returns the one file in the folder that holds a device secret.
func deviceFile(t *testing.T, dir string) string {
	t.Helper()
	files := deviceFiles(t, dir)
	if len(files) != 1 {
		t.Fatalf("device secrets: %v", files)
	}
	return files[0]
}

func deviceFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "sealmail-vault-*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestCreateRefuses(t *testing.T) {
	_, path := create(t, "x")
	if _, err := vault.Create(t.Context(), safeio.Disk{}, path, protection("y")); !errors.Is(err, vault.ErrExist) {
		t.Errorf("a second vault: %v", err)
	}
	fresh := filepath.Join(t.TempDir(), "vault.json")
	for name, p := range map[string]vault.Protection{
		"nothing":     {},
		"both":        {Passphrase: []byte("x"), Unprotected: true},
		"cost":        {Passphrase: []byte("x"), Scrypt: vault.Scrypt{N: 1 << 24, R: 8, P: 1}},
		"cost not 2ⁿ": {Passphrase: []byte("x"), Scrypt: vault.Scrypt{N: 3000, R: 8, P: 1}},
		"no keyring":  {Unprotected: true, Device: vault.Device{Kind: vault.DeviceKeyring}},
		"old place":   {Unprotected: true, Device: vault.Device{Kind: "file"}},
		"no place":    {Unprotected: true, Device: vault.Device{Kind: "tpm"}},
		"no folder":   {Unprotected: true, Device: vault.Device{Kind: vault.DeviceFolder, Folder: "here"}},
	} {
		if _, err := vault.Create(t.Context(), safeio.Disk{}, fresh, p); err == nil {
			t.Errorf("%s: made a vault", name)
		}
	}
	if _, err := vault.Open(safeio.Disk{}, fresh); !errors.Is(err, vault.ErrNotExist) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no vault: %v", err)
	}
}

func TestReplaceAndDelete(t *testing.T) {
	v, path := create(t, "")
	put(t, v, "key:a", "one")
	put(t, v, "key:a", "two")
	wantSecret(t, reopen(t, path), "key:a", "two")
	if err := v.Delete(t.Context(), "key:a"); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Get("key:a"); !errors.Is(err, vault.ErrNotExist) {
		t.Fatalf("Get after Delete: %v", err)
	}
	if err := v.Delete(t.Context(), "key:a"); !errors.Is(err, vault.ErrNotExist) {
		t.Fatalf("second Delete: %v", err)
	}
	for _, id := range []string{"", "with space", "ünicode", strings.Repeat("x", 201), "nul\x00"} {
		if err := v.Put(t.Context(), id, "test", nil); err == nil {
			t.Errorf("Put(%q) worked", id)
		}
	}
}

func TestKey(t *testing.T) {
	v, path := create(t, "")
	a, err := v.Key(t.Context(), "index")
	if err != nil || len(a) != 32 {
		t.Fatalf("%d octets, %v", len(a), err)
	}
	b, err := reopen(t, path).Key(t.Context(), "index")
	if err != nil || !bytes.Equal(a, b) {
		t.Fatalf("the second call gave another key (%v)", err)
	}
	other, err := v.Key(t.Context(), "cache")
	if err != nil || bytes.Equal(a, other) {
		t.Fatalf("two names share a key (%v)", err)
	}
}

// TestTwoWriters opens the vault twice, as two processes would: what one writes the other sees, and none is lost.
func TestTwoWriters(t *testing.T) {
	v, path := create(t, "x")
	var wg sync.WaitGroup
	const writers, each = 4, 5
	for w := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			mine, err := vault.Open(safeio.Disk{}, path)
			if err == nil {
				err = mine.Unlock([]byte("x"))
			}
			for i := 0; err == nil && i < each; i++ {
				id := fmt.Sprintf("key:%d-%d", w, i)
				err = mine.Put(context.Background(), id, "test", []byte(id))
			}
			if err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	entries, err := v.Entries()
	if err != nil || len(entries) != writers*each {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for _, e := range entries {
		wantSecret(t, v, e.ID, e.ID)
	}
	if err := reopenUnlocked(t, path).Delete(t.Context(), "key:0-0"); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Get("key:0-0"); !errors.Is(err, vault.ErrNotExist) {
		t.Fatalf("an entry that another process deleted: %v", err)
	}
}

func reopenUnlocked(t *testing.T, path string) *vault.Vault {
	t.Helper()
	v := reopen(t, path)
	if err := v.Unlock([]byte("x")); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRootChanged(t *testing.T) {
	v, path := create(t, "x")
	put(t, v, "key:a", "old")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Create(t.Context(), safeio.Disk{}, path, protection("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Get("key:a"); !errors.Is(err, vault.ErrRootChanged) {
		t.Errorf("Get: %v", err)
	}
	if err := v.Put(t.Context(), "key:b", "test", nil); !errors.Is(err, vault.ErrRootChanged) {
		t.Errorf("Put: %v", err)
	}
}

func TestWaitingForTheLockEnds(t *testing.T) {
	v, _ := create(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Put(ctx, "key:a", "test", nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("Put with a cancelled context: %v", err)
	}
}

func TestPermissionsAreMended(t *testing.T) {
	v, path := create(t, "")
	put(t, v, "key:a", "secret")
	for _, name := range []string{path, deviceFile(t, filepath.Dir(path))} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: mode %v, %v", name, info.Mode(), err)
		}
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v = reopen(t, path)
	if w := v.Warnings(); len(w) != 2 || !strings.Contains(w[0], "0644") {
		t.Errorf("warnings: %q", w)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode was not mended: %v, %v", info.Mode(), err)
	}
	if w := reopen(t, path).Warnings(); len(w) != 0 {
		t.Errorf("warned twice: %q", w)
	}
}

// TestFaults makes each step of a write fail. The vault is the old one or the new one.
func TestFaults(t *testing.T) {
	errFault := errors.New("no space left")
	for _, op := range []string{safeio.OpCreate, safeio.OpWrite, safeio.OpSync, safeio.OpRename, safeio.OpSyncDir} {
		t.Run(op, func(t *testing.T) {
			armed := false
			disk := safeio.Disk{Before: func(o, _ string) error {
				if armed && o == op {
					return errFault
				}
				return nil
			}}
			path := filepath.Join(t.TempDir(), "vault.json")
			v, err := vault.Create(t.Context(), disk, path, protection("x"))
			if err != nil {
				t.Fatal(err)
			}
			put(t, v, "key:a", "old")
			armed = true
			if err := v.Put(t.Context(), "key:a", "test", []byte("new")); !errors.Is(err, errFault) {
				t.Fatalf("Put: %v", err)
			}
			armed = false
			want := "old"
			if op == safeio.OpSyncDir {
				want = "new"
			}
			wantSecret(t, v, "key:a", want)
			wantSecret(t, reopenUnlocked(t, path), "key:a", want)
		})
	}
}
