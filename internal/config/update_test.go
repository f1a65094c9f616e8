package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
)

// updateIn, in the environment, makes the test binary add accounts to this configuration, and nothing else.
const updateIn = "SEALMAIL_TEST_UPDATE"

const eachWriter = 5

func TestMain(m *testing.M) {
	if path := os.Getenv(updateIn); path != "" {
		if err := addAccounts(path, os.Getpid()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func addAccounts(path string, writer int) error {
	for i := range eachWriter {
		_, err := Update(context.Background(), safeio.Disk{}, path, func(text []byte) ([]byte, error) {
			block := fmt.Sprintf("[account.%d-%d]\naddress = 'a@b.example'\nimap = 'imaps://h'\nsmtp = 'submissions://h'\nuser = 'u'\ntimestamp = 'off'\n", writer, i)
			return append(text, block...), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// TestUpdateByManyAtOnce: processes that change the file at the same time lose nothing of each other's.
func TestUpdateByManyAtOnce(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "new", "config.toml")
	const writers = 4
	var running []*exec.Cmd
	for range writers {
		cmd := exec.CommandContext(t.Context(), exe)
		cmd.Env = append(os.Environ(), updateIn+"="+path)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	c, err := Load(path)
	if err != nil || len(c.Accounts) != writers*eachWriter {
		t.Errorf("%d accounts, %v, want %d", len(c.Accounts), err, writers*eachWriter)
	}
}

// TestUpdateThatFails leaves the file as it was.
func TestUpdateThatFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	const old = "[vault]\nkeyring = true\n"
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	errFault := errors.New("no space left")
	full := safeio.Disk{Before: func(op, _ string) error { return map[string]error{safeio.OpWrite: errFault}[op] }}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	none := func([]byte) ([]byte, error) { return nil, nil }
	for name, test := range map[string]struct {
		ctx    context.Context
		disk   safeio.Disk
		change func([]byte) ([]byte, error)
		want   error
	}{
		"disk":    {t.Context(), full, none, errFault},
		"change":  {t.Context(), safeio.Disk{}, func([]byte) ([]byte, error) { return nil, errFault }, errFault},
		"context": {canceled, safeio.Disk{}, none, context.Canceled},
		"nonsense": {t.Context(), safeio.Disk{}, func([]byte) ([]byte, error) {
			return []byte("[vault]\ndevice = 'here'\n"), nil
		}, &Error{}},
	} {
		_, err := Update(test.ctx, test.disk, path, test.change)
		var broken *Error
		if !errors.Is(err, test.want) && (!errors.As(err, &broken) || !errors.As(test.want, &broken)) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != old {
			t.Errorf("%s: the file is %q, %v", name, got, err)
		}
	}
	if c, err := Update(t.Context(), safeio.Disk{}, path, none); err != nil || c.Vault.Keyring {
		t.Errorf("%+v, %v", c, err)
	}
}
