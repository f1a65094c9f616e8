package server_test

import (
	"crypto"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
	"github.com/sealmail/sealmail/tsa/server"
)

func serial(t testing.TB, a *server.Authority) *big.Int {
	t.Helper()
	return tokenFor(t, a, newRequest(t, crypto.SHA256)).Info.SerialNumber
}

// check notes a serial number, and fails if it was seen before or is no positive number of at most 160 bits.
func check(t testing.TB, seen map[string]bool, n *big.Int) {
	t.Helper()
	if n.Sign() <= 0 || n.BitLen() > 160 {
		t.Fatalf("serial number %v", n)
	}
	if seen[n.String()] {
		t.Fatalf("serial number %v comes twice", n)
	}
	seen[n.String()] = true
}

func TestSerialsOverRestarts(t *testing.T) {
	o := options(t, tsatest.NewPKI(t), tsatest.ECKey(t))
	seen := map[string]bool{}
	for range 5 {
		a, err := server.New(o)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			check(t, seen, serial(t, a))
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	}
}

// Should the whole state be lost, a new beginning repeats nothing.
func TestSerialsAfterLossOfState(t *testing.T) {
	o := options(t, tsatest.NewPKI(t), tsatest.ECKey(t))
	seen := map[string]bool{}
	for range 3 {
		a, err := server.New(o)
		if err != nil {
			t.Fatal(err)
		}
		check(t, seen, serial(t, a))
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(o.State); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStateInUse(t *testing.T) {
	o := options(t, tsatest.NewPKI(t), tsatest.ECKey(t))
	a, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.New(o); !errors.Is(err, server.ErrStateInUse) {
		t.Errorf("a second one: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	der, err := newRequest(t, crypto.SHA256).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	reply, err := a.Respond(t.Context(), der)
	if !errors.Is(err, server.ErrState) {
		t.Errorf("after it was closed: %v", err)
	}
	if response, err := tsa.ParseResponse(reply); err != nil || response.FailInfo != tsa.SystemFailure {
		t.Errorf("after it was closed: %+v, %v", response, err)
	}
	start(t, o)
}

// A state that cannot be read is no reason to begin anew.
func TestStateDamaged(t *testing.T) {
	for name, data := range map[string]string{
		"empty":           "",
		"no JSON":         "1025\n",
		"other version":   `{"version":2,"prefix":4611686018427387905,"reserved":1024}`,
		"no prefix":       `{"version":1,"reserved":1024}`,
		"unknown field":   `{"version":1,"prefix":4611686018427387905,"reserved":1024,"next":7}`,
		"negative":        `{"version":1,"prefix":4611686018427387905,"reserved":-1}`,
		"something after": `{"version":1,"prefix":4611686018427387905,"reserved":1024} {}`,
		"used up":         `{"version":1,"prefix":4611686018427387905,"reserved":18446744073709551615}`,
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, tsatest.NewPKI(t), tsatest.ECKey(t))
			if err := os.Mkdir(o.State, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(o.State, "serials.json"), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the lock is not left behind
				a, err := server.New(o)
				if err == nil {
					_ = a.Close()
				}
				if !errors.Is(err, server.ErrState) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}
