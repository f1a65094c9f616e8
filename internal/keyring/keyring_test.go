package keyring

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	backend "github.com/zalando/go-keyring"
)

// memory is a store in memory, which may be told to fail or to hang.
type memory struct {
	mu    sync.Mutex // steps that nobody waits for any more go on
	texts map[string]string
	err   error
	hang  chan struct{}
}

func (m *memory) step() error {
	if m.hang != nil {
		<-m.hang
	}
	return m.err
}

func (m *memory) Get(service, name string) (string, error) {
	if err := m.step(); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	text, ok := m.texts[service+"\x00"+name]
	if !ok {
		return "", backend.ErrNotFound
	}
	return text, nil
}

func (m *memory) Set(service, name, text string) error {
	if err := m.step(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.texts[service+"\x00"+name] = text
	return nil
}

func (m *memory) Delete(service, name string) error {
	if err := m.step(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.texts[service+"\x00"+name]; !ok {
		return backend.ErrNotFound
	}
	delete(m.texts, service+"\x00"+name)
	return nil
}

func inMemory(m *memory) *Keyring {
	m.texts = map[string]string{}
	return &Keyring{service: "test", timeout: time.Minute, present: func() error { return nil }, store: m}
}

// exercise does everything with a secret that there is to do.
func exercise(t *testing.T, k *Keyring) {
	t.Helper()
	const name = "sealmail-vault-00"
	if _, err := k.Get(name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Get of nothing: %v", err)
	}
	if err := k.Delete(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Delete of nothing: %v", err)
	}
	for _, secret := range [][]byte{[]byte("first"), {0, 0xff, '\n', 0}, bytes.Repeat([]byte{0x80}, maxSecret)} {
		if err := k.Put(name, secret); err != nil {
			t.Fatal(err)
		}
		if got, err := k.Get(name); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("%q came back as %q, %v", secret, got, err)
		}
	}
	if _, err := k.Get(name + "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another name: %v", err)
	}
	if err := k.Delete(name); err != nil {
		t.Error(err)
	}
	if _, err := k.Get(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get after Delete: %v", err)
	}
}

func TestKeyring(t *testing.T) { exercise(t, inMemory(&memory{})) }

func TestTooLarge(t *testing.T) {
	m := &memory{}
	if err := inMemory(m).Put("a", make([]byte, maxSecret+1)); err == nil || len(m.texts) > 0 {
		t.Errorf("%v", err)
	}
}

// TestForeignSecret: what others put under the name is refused, and not taken for a secret.
func TestForeignSecret(t *testing.T) {
	m := &memory{}
	k := inMemory(m)
	for _, text := range []string{"not base64!", strings.Repeat("AAAA", maxSecret)} {
		m.texts["test\x00a"] = text
		if _, err := k.Get("a"); !errors.Is(err, ErrDamaged) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// TestUnavailable: a keyring that is not there, fails, or hangs, says so in one way.
func TestUnavailable(t *testing.T) {
	hanging := &memory{hang: make(chan struct{})}
	defer close(hanging.hang)
	hung := inMemory(hanging)
	hung.timeout = time.Millisecond
	absent := inMemory(&memory{})
	absent.present = func() error { return errors.New("no bus") }
	for name, k := range map[string]*Keyring{"hangs": hung, "is absent": absent, "fails": inMemory(&memory{err: errors.New("no answer")})} {
		_, getErr := k.Get("a")
		for verb, err := range map[string]error{"Get": getErr, "Put": k.Put("a", nil), "Delete": k.Delete("a")} {
			if !errors.Is(err, ErrUnavailable) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s of one that %s: %v", verb, name, err)
			}
		}
	}
}
