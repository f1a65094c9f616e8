package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
)

// sample makes a vault with two entries and returns its path and file.
func sample(t testing.TB) (path string, data []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "vault.json")
	v, err := Create(t.Context(), safeio.Disk{}, path, Protection{Passphrase: []byte("x"), Scrypt: Scrypt{N: 1 << 10, R: 8, P: 1}})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"key:a", "key:b"} {
		if err := v.Put(t.Context(), id, "test", []byte("secret of "+id)); err != nil {
			t.Fatal(err)
		}
	}
	if data, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return path, data
}

func TestSecretsAreNotOnDisk(t *testing.T) {
	_, data := sample(t)
	if bytes.Contains(data, []byte("secret of")) {
		t.Fatal("a secret stands in the file")
	}
}

// TestTampering changes the file as somebody with write access could. Nothing opens as what it is not.
func TestTampering(t *testing.T) {
	tests := []struct {
		name   string
		change func(*file)
		want   error
	}{
		{"nothing", func(*file) {}, nil},
		{"secrets swapped", func(f *file) {
			f.Entries[0].Secret, f.Entries[1].Secret = f.Entries[1].Secret, f.Entries[0].Secret
		}, ErrDamaged},
		{"entries swapped whole", func(f *file) {
			a, b := &f.Entries[0], &f.Entries[1]
			a.Secret, b.Secret, a.Key, b.Key = b.Secret, a.Secret, b.Key, a.Key
		}, ErrDamaged},
		{"renamed", func(f *file) { f.Entries[1].ID = "key:c"; f.Entries[0].ID = "key:b" }, ErrDamaged},
		{"another kind", func(f *file) { f.Entries[0].Kind = "other" }, ErrDamaged},
		{"bit of the key", func(f *file) { f.Entries[0].Key[20] ^= 1 }, ErrDamaged},
		{"bit of the secret", func(f *file) { f.Entries[0].Secret[13] ^= 1 }, ErrDamaged},
		{"bit of the root", func(f *file) { f.Root.Wrapped[20] ^= 1 }, ErrPassphrase},
		{"another root id", func(f *file) { f.Root.ID = strings.Repeat("0", 32) }, ErrDevice},
		{"another time", func(f *file) { f.Root.Made = new(time.Time) }, ErrPassphrase},
		{"another salt", func(f *file) { f.Root.Scrypt.Salt[0] ^= 1 }, ErrPassphrase},
		{"no passphrase", func(f *file) { f.Root.Scrypt = nil }, ErrDamaged},
		{"no device secret", func(f *file) { f.Version, f.Root.Device = 1, nil }, ErrPassphrase},
		{"device secret in the keyring", func(f *file) { f.Root.Device.Kind = DeviceKeyring }, ErrPassphrase}, // found beside the vault, and no key of it
		{"device secret in a folder", func(f *file) { f.Root.Device = &deviceRecord{Kind: DeviceFolder, Folder: "/nowhere"} }, ErrPassphrase},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path, data := sample(t)
			f, err := parseFile(data)
			if err != nil {
				t.Fatal(err)
			}
			test.change(f)
			changed, err := f.encode()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, changed, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := openAll(path); !errors.Is(err, test.want) || test.want == nil && err != nil {
				t.Fatalf("got %v, want %v", err, test.want)
			}
		})
	}
}

func openAll(path string) error {
	v, err := Open(safeio.Disk{}, path)
	if err != nil {
		return err
	}
	if err := v.Unlock([]byte("x")); err != nil {
		return err
	}
	for _, e := range v.file.Entries {
		if _, err := v.Get(e.ID); err != nil {
			return err
		}
	}
	return nil
}

func TestParseFileRefuses(t *testing.T) {
	_, data := sample(t)
	edit := func(change func(m map[string]any)) []byte {
		var m map[string]any
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	root := func(m map[string]any) map[string]any { return m["root"].(map[string]any) }
	cost := func(key string, value int) []byte {
		return edit(func(m map[string]any) { root(m)["scrypt"].(map[string]any)[key] = value })
	}
	device := func(d map[string]any) []byte { return edit(func(m map[string]any) { root(m)["device"] = d }) }
	tests := map[string]struct {
		data []byte
		want error
	}{
		"empty":             {nil, ErrDamaged},
		"another format":    {[]byte(`{"format":"other","version":1}`), ErrDamaged},
		"newer":             {edit(func(m map[string]any) { m["version"] = 3; m["new"] = 1 }), ErrVersion},
		"unknown field":     {edit(func(m map[string]any) { m["new"] = 1 }), ErrDamaged},
		"truncated":         {data[:len(data)/2], ErrDamaged},
		"trailing":          {append(bytes.Clone(data), "{}"...), ErrDamaged},
		"N of gigabytes":    {cost("n", 1<<30), ErrDamaged},
		"N negative":        {cost("n", -1024), ErrDamaged},
		"N of nothing":      {cost("n", 2), ErrDamaged},
		"r of gigabytes":    {cost("r", 1<<30), ErrDamaged},
		"p of hours":        {cost("p", 1<<20), ErrDamaged},
		"nothing unlocks":   {edit(func(m map[string]any) { m["version"] = 1; delete(root(m), "scrypt"); delete(root(m), "device") }), ErrDamaged},
		"unknown device":    {device(map[string]any{"kind": "tpm"}), ErrVersion},
		"device elsewhere":  {device(map[string]any{"kind": "beside", "name": "../../x"}), ErrDamaged},
		"folder, and none":  {device(map[string]any{"kind": "folder"}), ErrDamaged},
		"beside a folder":   {device(map[string]any{"kind": "beside", "folder": "/x"}), ErrDamaged},
		"folder with a NUL": {device(map[string]any{"kind": "folder", "folder": "/x\x00y"}), ErrDamaged},
		"folder too long":   {device(map[string]any{"kind": "folder", "folder": "/" + strings.Repeat("x", maxFolder)}), ErrDamaged},
		"of both versions":  {device(map[string]any{"kind": "file", "name": "vault.key"}), ErrDamaged},
		"no device secret":  {edit(func(m map[string]any) { delete(root(m), "device") }), ErrDamaged},
		"version 1 with 2":  {edit(func(m map[string]any) { m["version"] = 1 }), ErrDamaged},
		"id of a path":      {edit(func(m map[string]any) { root(m)["id"] = "../../x" }), ErrDamaged},
		"id in capitals":    {edit(func(m map[string]any) { root(m)["id"] = strings.Repeat("AB", 16) }), ErrDamaged},
		"root too short":    {edit(func(m map[string]any) { root(m)["wrapped"] = "AAAA" }), ErrDamaged},
		"entry there twice": {edit(func(m map[string]any) { e := m["entries"].([]any); m["entries"] = append(e, e[0]) }), ErrDamaged},
		"entry not sealed":  {edit(func(m map[string]any) { m["entries"].([]any)[0].(map[string]any)["secret"] = "AAAA" }), ErrDamaged},
		"entry without id":  {edit(func(m map[string]any) { m["entries"].([]any)[0].(map[string]any)["id"] = "" }), ErrDamaged},
	}
	for name, test := range tests {
		if _, err := parseFile(test.data); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// FuzzParseFile: what is accepted is within the bounds, and says the same when it is written and read again.
func FuzzParseFile(f *testing.F) {
	_, data := sample(f)
	f.Add(data)
	f.Add([]byte(`{"format":"sealmail-vault","version":1,"root":{"scrypt":{"n":1073741824,"r":8,"p":1}}}`))
	f.Add([]byte(`{"format":"sealmail-vault","version":3}`))
	for _, name := range []string{"passphrase", "unprotected"} {
		old, err := os.ReadFile(filepath.Join("testdata", "version1", name, "vault.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(old)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, err := parseFile(data)
		if err != nil {
			return
		}
		if s := parsed.Root.Scrypt; s != nil && 128*s.N*s.R > maxScryptMemory {
			t.Fatalf("asks for %d octets", 128*s.N*s.R)
		}
		if d := parsed.Root.Device; d != nil && d.Kind != deviceFile && strings.ContainsAny((secret{parsed.Root.ID, d}).name(), "/\\.\x00") {
			t.Fatalf("names the secret %q", (secret{parsed.Root.ID, d}).name())
		}
		first, err := parsed.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseFile(first)
		if err != nil {
			t.Fatalf("does not read what it wrote: %v", err)
		}
		second, err := again.encode()
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("does not keep what it read (%v)", err)
		}
	})
}

// FuzzParseLeftovers: what is accepted names device secrets by roots alone, and comes back as it was.
func FuzzParseLeftovers(f *testing.F) {
	id := strings.Repeat("0a", rootIDSize)
	f.Add([]byte(`{"secrets":[{"root":"` + id + `","device":{"kind":"beside"}},{"root":"` + id + `","device":{"kind":"folder","folder":"/x"}}]}`))
	f.Add([]byte(`{"secrets":[{"root":"` + id + `","device":{"kind":"file","name":"vault.key"}}]}`))
	f.Add([]byte(`{"secrets":[{"root":"../x","device":{"kind":"keyring"}}]}`))
	f.Add([]byte(`{"secrets":[{"root":"` + id + `"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		secrets, err := parseLeftovers(data)
		if err != nil {
			return
		}
		for _, s := range secrets {
			if name := s.name(); name != keyFileName && strings.Trim(strings.TrimPrefix(name, "sealmail-vault-"), "0123456789abcdef") != "" {
				t.Fatalf("would remove %q", name)
			}
		}
		written, err := json.Marshal(leftovers{secrets})
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseLeftovers(written)
		if err != nil || !reflect.DeepEqual(again, secrets) {
			t.Fatalf("%+v comes back as %+v, %v", secrets, again, err)
		}
	})
}
