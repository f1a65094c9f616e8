package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/config"
)

// memoryKeyring is a keyring in memory.
type memoryKeyring struct {
	secrets map[string][]byte
	err     error // of every step
}

func newKeyring() *memoryKeyring { return &memoryKeyring{secrets: map[string][]byte{}} }

func (k *memoryKeyring) Get(name string) ([]byte, error) {
	if k.err != nil {
		return nil, k.err
	}
	secret, ok := k.secrets[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(secret), nil
}

func (k *memoryKeyring) Put(name string, secret []byte) error {
	if k.err != nil {
		return k.err
	}
	k.secrets[name] = bytes.Clone(secret)
	return nil
}

func (k *memoryKeyring) Delete(name string) error {
	if k.err != nil {
		return k.err
	}
	if _, ok := k.secrets[name]; !ok {
		return fs.ErrNotExist
	}
	delete(k.secrets, name)
	return nil
}

// home is a home with a vault, and what its commands find around them.
type home struct {
	t       *testing.T
	dir     string
	said    []string
	derived int // keys from passphrases
	asked   int // for the passphrase

	passphrase string // nobody gives one where it is empty
	keyring    *memoryKeyring
}

// newHome makes a home in which the accounts a and b are set up, with the passphrase "first".
func newHome(t *testing.T) *home {
	t.Helper()
	h := &home{t: t, dir: filepath.Join(t.TempDir(), "home"), passphrase: "first", keyring: newKeyring()}
	if err := os.Mkdir(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cheap := vault.Protection{Passphrase: []byte(h.passphrase), Scrypt: vault.Scrypt{N: 1 << 10, R: 8, P: 1}}
	if _, err := (vault.Setting{}).Create(t.Context(), config.HomeAt(h.dir).Vault(), cheap); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if _, err := h.client().Init(t.Context(), initWords(name)); err != nil {
			t.Fatal(err)
		}
	}
	h.derived, h.asked = 0, 0
	return h
}

func initWords(name string) client.InitParams {
	return client.InitParams{Name: name, Address: name + "@example.test", IMAP: "imaps://localhost", SMTP: "submissions://localhost",
		Password: []byte("password of " + name), NoCheck: true}
}

func (h *home) options() client.Options {
	return client.Options{
		Home: config.HomeAt(h.dir), Timeout: time.Minute, Now: now, Say: h.say, Keyring: h.keyring,
		Passphrase: func(context.Context, bool) ([]byte, error) {
			h.asked++
			if h.passphrase == "" {
				return nil, errors.New("nobody answers")
			}
			return []byte(h.passphrase), nil
		},
		Deriving: func() { h.derived++ },
	}
}

// say keeps what is said, but for what is missing from the accounts on purpose.
func (h *home) say(m string) {
	if !strings.HasPrefix(m, "note: there is no certificate for ") && !strings.HasPrefix(m, "note: commands that name no account ") {
		h.said = append(h.said, m)
	}
}

func (h *home) client() *client.Client {
	h.t.Helper()
	c, err := client.New(h.options())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(c.Close)
	return c
}

// opens says whether a command that needs the vault gets at what is in it, and what that took.
func (h *home) opens() error {
	h.t.Helper()
	h.derived, h.asked, h.said = 0, 0, nil
	c := h.client()
	for range 2 { // and again, in the same process
		if err := vaultOf(c); err != nil {
			return err
		}
	}
	return nil
}

// vaultOf has a use case need the vault: the account is set up as it is, and its password stored once more.
func vaultOf(c *client.Client) error {
	_, err := c.Init(context.Background(), initWords("a"))
	return err
}

func (h *home) wantOpen(what string, derived, asked int) {
	h.t.Helper()
	if err := h.opens(); err != nil {
		h.t.Errorf("%s: %v (said %q)", what, err, h.said)
	} else if h.derived != derived || h.asked != asked {
		h.t.Errorf("%s: derived %d times and asked %d times, want %d and %d", what, h.derived, h.asked, derived, asked)
	}
}

func (h *home) wantClosed(what, why string) {
	h.t.Helper()
	if err := h.opens(); err == nil || !strings.Contains(err.Error(), why) {
		h.t.Errorf("%s: %v, want %q", what, err, why)
	}
}

func (h *home) wantSaid(want string) {
	h.t.Helper()
	if !slices.ContainsFunc(h.said, func(s string) bool { return strings.Contains(s, want) }) {
		h.t.Errorf("said %q, and not %q", h.said, want)
	}
}

// TestOneDerivation: a process stretches the passphrase once, whatever it needs the vault for.
func TestOneDerivation(t *testing.T) {
	h := newHome(t)
	h.wantOpen("with the passphrase", 1, 1)
	h.passphrase = "wrong"
	h.wantClosed("with a wrong one", "wrong passphrase")
	if h.derived != 1 || h.asked != 1 {
		t.Errorf("tried %d times, asked %d times", h.derived, h.asked)
	}
}

// TestKeyringUnlocks: the passphrase in the keyring saves asking for it; what is wrong with the keyring is said, and a person is
// asked then.
func TestKeyringUnlocks(t *testing.T) {
	h := newHome(t)
	h.wantOpen("before", 1, 1)
	if r, err := h.client().Unlock(t.Context(), client.UnlockParams{Keyring: true}); err != nil || !r.Keyring || r.Until != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	if stored := slices.Collect(maps.Values(h.keyring.secrets)); len(stored) != 1 || string(stored[0]) != "first" {
		t.Fatalf("the keyring has %q", stored)
	}
	h.passphrase = ""
	h.wantOpen("by the keyring", 1, 0)

	// A passphrase that is given counts more.
	o := h.options()
	o.PassphraseGiven = true
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := vaultOf(c); err == nil || h.asked != 1 {
		t.Errorf("with a passphrase that is given: %v, asked %d times", err, h.asked)
	}

	// It follows a new passphrase.
	h.passphrase = ""
	if _, err := h.client().VaultPasswd(t.Context(), client.PasswdParams{New: func(context.Context) ([]byte, error) { return []byte("second"), nil }}); err != nil {
		t.Fatal(err)
	}
	h.wantOpen("by the keyring, after a new passphrase", 1, 0)

	h.keyring.err = errors.New("it does not answer")
	h.wantClosed("with a keyring that fails", "nobody answers")
	h.wantSaid("not unlocked by the keyring: it does not answer")
	h.passphrase = "second"
	h.wantOpen("with a keyring that fails, by a person", 1, 1)
	h.keyring.err = nil
	for name := range h.keyring.secrets {
		h.keyring.secrets[name] = []byte("third")
	}
	h.wantOpen("with a wrong passphrase in the keyring", 2, 1)
	h.wantSaid("not unlocked by the keyring: wrong passphrase")

	if r, err := h.client().Lock(t.Context(), true); err != nil || r.Keyring || len(h.keyring.secrets) != 0 {
		t.Errorf("%+v, %v, %d secrets", r, err, len(h.keyring.secrets))
	}
	h.passphrase = ""
	h.wantClosed("after lock", "nobody answers")
	if len(h.said) != 0 {
		t.Errorf("said %q", h.said)
	}
	if r, err := h.client().Lock(t.Context(), true); err != nil || r.Ended {
		t.Errorf("a second lock: %+v, %v", r, err)
	}
}

// TestUnprotectedLeavesTheKeyring: a vault without a passphrase has none in the keyring.
func TestUnprotectedLeavesTheKeyring(t *testing.T) {
	h := newHome(t)
	if _, err := h.client().Unlock(t.Context(), client.UnlockParams{Keyring: true}); err != nil {
		t.Fatal(err)
	}
	if s, err := h.client().VaultPasswd(t.Context(), client.PasswdParams{Unprotected: true}); err != nil || s.Protected || s.Keyring {
		t.Fatalf("%+v, %v", s, err)
	}
	if len(h.keyring.secrets) != 0 {
		t.Error("the passphrase is still in the keyring")
	}
	h.passphrase = ""
	h.wantOpen("unprotected", 0, 0)
	if _, err := h.client().Unlock(t.Context(), client.UnlockParams{Keyring: true}); client.KindOf(err) != client.Usage {
		t.Errorf("unlock: %v", err)
	}
}

// TestDeviceInKeyring: the configuration says where a new vault's device secret goes, and without it nothing opens.
func TestDeviceInKeyring(t *testing.T) {
	h := &home{t: t, dir: filepath.Join(t.TempDir(), "home"), passphrase: "first", keyring: newKeyring()}
	if err := os.Mkdir(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "config.toml"), []byte("[vault]\ndevice = 'keyring'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.client().Init(t.Context(), initWords("a")); err != nil {
		t.Fatal(err)
	}
	s, err := h.client().VaultStatus(t.Context())
	if err != nil || s.Device == nil || s.Device.Place != "keyring" || s.Weak != nil || len(h.keyring.secrets) != 1 || s.Rotated == nil || !s.Rotated.Equal(now()) {
		t.Fatalf("%+v, %v", s, err)
	}
	h.wantOpen("with the keyring", 1, 1)
	h.keyring = newKeyring()
	h.wantClosed("without it", "device secret cannot be had")
	if h.derived != 0 {
		t.Error("a key was derived for nothing")
	}
}

// TestInitsAtOnce: what several set up in one home at the same time is all there.
func TestInitsAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	o := client.Options{Home: config.HomeAt(dir), Timeout: time.Minute, Now: now, Say: func(string) {}, Unprotected: true}
	const inits = 6
	var running sync.WaitGroup
	for i := range inits {
		running.Go(func() {
			c, err := client.New(o)
			if err == nil {
				defer c.Close()
				_, err = c.Init(context.Background(), initWords(fmt.Sprintf("a%d", i/2))) // each twice
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	c, err := config.Load(o.Home.ConfigFile)
	if err != nil || len(c.Accounts) != inits/2 {
		t.Fatalf("%d accounts, %v", len(c.Accounts), err)
	}
	v, err := vault.Setting{}.Open(o.Home.Vault())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range c.Accounts {
		if password, err := v.Get("password:" + a.Name); err != nil || string(password) != "password of "+a.Name {
			t.Errorf("%s: %q, %v", a.Name, password, err)
		}
	}
}

// TestModesAreMended: what is open to others is closed, and the person hears of it once.
func TestModesAreMended(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such modes")
	}
	h := newHome(t)
	file := filepath.Join(h.dir, "config.toml")
	modes := func() string {
		var all string
		for _, path := range []string{h.dir, file, filepath.Join(h.dir, "vault.json")} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			all += fmt.Sprintf("%04o ", info.Mode().Perm())
		}
		return all
	}
	const closed = "0700 0600 0600 "
	if got := modes(); got != closed {
		t.Fatalf("init left the modes %s", got)
	}
	for path, mode := range map[string]fs.FileMode{h.dir: 0o775, file: 0o666, filepath.Join(h.dir, "vault.json"): 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	h.wantOpen("with open files", 1, 1)
	for _, mode := range []string{"mode 0775", "mode 0666", "mode 0644"} {
		h.wantSaid(mode)
	}
	if got := modes(); got != "0700 0644 0600 " { // that others read the configuration does no harm
		t.Errorf("the modes are %s", got)
	}
	h.wantOpen("again", 1, 1)
	if len(h.said) != 0 {
		t.Errorf("said %q", h.said)
	}

	// Unless a command in it may hold a password.
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, bytes.Replace(text, []byte("[account.b]\n"), []byte("[account.b]\npassword_command = 'echo secret'\n"), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.wantOpen("with a command", 1, 1)
	h.wantSaid("config.toml was open to other users (mode 0644)")
	if got := modes(); got != closed {
		t.Errorf("the modes are %s", got)
	}
}
