package keyring

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"time"

	backend "github.com/zalando/go-keyring"
)

// Errors of a keyring, beside fs.ErrNotExist for a secret that is not there. They arrive wrapped.
var (
	ErrUnavailable = errors.New("the operating system's keyring is not available")
	ErrDamaged     = errors.New("the secret in the operating system's keyring was altered")
)

// maxSecret is what every keyring takes, in octets.
const maxSecret = 1 << 10

// store is what a keyring of the system does, without a time limit.
type store interface {
	Get(service, name string) (string, error)
	Set(service, name, text string) error
	Delete(service, name string) error
}

// Keyring is a program's part of the user's keyring. It may be used by several goroutines.
type Keyring struct {
	service string
	timeout time.Duration
	present func() error // says why there is no keyring, where that can be known without asking for it
	store   store
}

// System returns the part of the keyring that belongs to service, a name that the user sees. The timeout bounds each step;
// it has to leave time for a person to answer the keyring's own question.
func System(service string, timeout time.Duration) *Keyring {
	return &Keyring{service: service, timeout: timeout, present: present, store: system{}}
}

// Get returns the secret of this name. The error wraps fs.ErrNotExist where there is none, [ErrUnavailable] where the
// keyring cannot be had, and [ErrDamaged] where the secret is not one that was stored here.
func (k *Keyring) Get(name string) ([]byte, error) {
	var text string
	err := k.within(func() (err error) {
		text, err = k.store.Get(k.service, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	secret, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(secret) > maxSecret {
		return nil, fmt.Errorf("%s: %w", name, ErrDamaged)
	}
	return secret, nil
}

// Put stores a secret of up to 1024 octets, in place of what may be there. The error wraps [ErrUnavailable] where the
// keyring cannot be had.
func (k *Keyring) Put(name string, secret []byte) error {
	if len(secret) > maxSecret {
		return fmt.Errorf("keyring: secret of %d octets is too large", len(secret))
	}
	text := base64.StdEncoding.EncodeToString(secret)
	return k.within(func() error { return k.store.Set(k.service, name, text) })
}

// Delete removes a secret. The error wraps fs.ErrNotExist where there is none, and [ErrUnavailable] where the keyring cannot
// be had.
func (k *Keyring) Delete(name string) error {
	return k.within(func() error { return k.store.Delete(k.service, name) })
}

// within takes a step and waits for it no longer than the timeout. The step itself cannot be broken off: it may yet be
// done later.
func (k *Keyring) within(step func() error) error {
	if err := k.present(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	done := make(chan error, 1)
	go func() { done <- step() }()
	timer := time.NewTimer(k.timeout)
	defer timer.Stop()
	select {
	case err := <-done:
		switch {
		case err == nil:
			return nil
		case errors.Is(err, backend.ErrNotFound):
			return fmt.Errorf("keyring: %w", fs.ErrNotExist)
		}
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case <-timer.C:
		return fmt.Errorf("%w: it does not answer within %v", ErrUnavailable, k.timeout)
	}
}

// system is the keyring of the operating system.
type system struct{}

func (system) Get(service, name string) (string, error) { return backend.Get(service, name) }
func (system) Set(service, name, text string) error     { return backend.Set(service, name, text) }
func (system) Delete(service, name string) error        { return backend.Delete(service, name) }
