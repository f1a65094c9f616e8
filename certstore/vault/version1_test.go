package vault_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/certstore/vault"
)

// version1 copies a vault that was made by an earlier program.
func version1(t *testing.T, kind string) (path string) {
	t.Helper()
	dir := t.TempDir()
	from := filepath.Join("testdata", "version1", kind)
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, e.Name()), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "vault.json")
}

// TestVersion1 opens vaults of version 1, writes to them, and gives them a root of version 2.
func TestVersion1(t *testing.T) {
	for kind, passphrase := range map[string]string{"passphrase": "correct horse", "unprotected": ""} {
		t.Run(kind, func(t *testing.T) {
			path := version1(t, kind)
			v := reopen(t, path)
			if v.Protected() != (passphrase != "") {
				t.Fatal("protected or not, wrongly")
			}
			if v.Protected() {
				if err := v.Unlock([]byte("correct pony")); !errors.Is(err, vault.ErrPassphrase) {
					t.Fatalf("a wrong passphrase: %v", err)
				}
			}
			if err := v.Unlock([]byte(passphrase)); err != nil {
				t.Fatal(err)
			}
			wantSecret(t, v, "key:a", "secret a")
			wantSecret(t, v, "key:b", "")
			put(t, v, "key:c", "secret c")
			if !strings.Contains(read(t, path), `"version": 1,`) {
				t.Error("an entry made it a file that earlier programs do not open")
			}

			if err := v.Rotate(t.Context(), protection("new")); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(read(t, path), `"version": 2,`) {
				t.Error("the new root is not of version 2")
			}
			if _, err := os.Lstat(filepath.Join(filepath.Dir(path), "vault.key")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the old device secret is still there (%v)", err)
			}
			v = reopen(t, path)
			if err := v.Unlock([]byte("new")); err != nil {
				t.Fatal(err)
			}
			wantSecret(t, v, "key:a", "secret a")
			wantSecret(t, v, "key:c", "secret c")
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
