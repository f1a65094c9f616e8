package client_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/config"
)

// world is a folder with an authority and what it issued.
type world struct {
	t    testing.TB
	dir  string
	said []string // warnings
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	if _, err := client.CAInit(t.Context(), w.options(), client.CAInitParams{Dir: w.in("ca"), Name: "Test", Key: "p256", Days: 3650, Unprotected: true}); err != nil {
		t.Fatal(err)
	}
	return w
}

func now() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC) }

func (w *world) in(name string) string { return filepath.Join(w.dir, name) }

func (w *world) options() client.Options {
	return client.Options{Home: config.HomeAt(w.in("home")), Timeout: time.Second, Now: now, Say: func(m string) { w.said = append(w.said, m) },
		Passphrase: func(context.Context, bool) ([]byte, error) { return []byte("secret"), nil }}
}

func (w *world) client() *client.Client {
	w.t.Helper()
	c, err := client.New(w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return c
}

// issue makes name.pem for name@example.org, with key and certificates, and returns how to use it.
func (w *world) issue(name, key string) client.KeyFiles {
	w.t.Helper()
	_, err := client.CAIssue(w.t.Context(), w.options(), client.CAIssueParams{Dir: w.in("ca"), Purpose: "mail", Key: key,
		Email: []string{name + "@example.org"}, Name: name, Output: client.Output{Name: w.in(name + ".pem")}})
	if err != nil {
		w.t.Fatal(err)
	}
	return client.KeyFiles{Key: []string{w.in(name + ".pem")}}
}

func (w *world) write(name, text string) string {
	w.t.Helper()
	if err := os.WriteFile(w.in(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.in(name)
}

func (w *world) read(name string) string {
	w.t.Helper()
	data, err := os.ReadFile(w.in(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}
