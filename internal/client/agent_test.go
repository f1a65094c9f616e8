//go:build linux || darwin

package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/agent"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/config"
)

// runAgent is what the process does that unlock starts, here in the test itself.
func (h *home) runAgent(ctx context.Context) (ended chan error) {
	h.t.Helper()
	v, err := vault.Setting{Keyring: h.keyring}.Load(config.HomeAt(h.dir).Vault())
	if err == nil {
		err = v.Unlock([]byte("first"))
	}
	if err != nil {
		h.t.Fatal(err)
	}
	id, key, err := v.RootKey()
	if err != nil {
		h.t.Fatal(err)
	}
	socket, err := agent.Path(config.HomeAt(h.dir).Agent(), h.t.TempDir())
	if err != nil {
		h.t.Fatal(err)
	}
	task, err := json.Marshal(agent.Task{Socket: socket, ID: id, Until: time.Now().Add(time.Hour)})
	if err != nil {
		h.t.Fatal(err)
	}
	out, in := io.Pipe()
	ended = make(chan error, 1)
	go func() {
		ended <- client.RunAgent(ctx, io.MultiReader(bytes.NewReader(key), bytes.NewReader(task)), in, time.Now)
	}()
	if said, err := io.ReadAll(out); err != nil || string(said) != "ready\n" {
		h.t.Fatalf("%q, %v", said, err)
	}
	return ended
}

// TestAgentUnlocks: with it nobody is asked and nothing is derived; it ends with lock, and when the vault gets another root.
func TestAgentUnlocks(t *testing.T) {
	h := newHome(t)
	if socket, err := agent.Path(config.HomeAt(h.dir).Agent(), "/"); err != nil || len(socket) < len(h.dir) {
		t.Skip("the folder for tests has too long a name for a socket in it")
	}
	ended := h.runAgent(t.Context())
	h.passphrase = ""
	h.wantOpen("by the agent", 0, 0)
	if s, err := h.client().VaultStatus(t.Context()); err != nil || s.Agent == nil || s.Entries["password"] != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	if r, err := h.client().Lock(t.Context(), false); err != nil || !r.Ended {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	h.wantClosed("after lock", "nobody answers")
	if len(h.said) != 0 {
		t.Errorf("said %q", h.said)
	}

	// Another process replaces the root, and cannot end this agent.
	ended = h.runAgent(t.Context())
	v, err := vault.Setting{}.Load(config.HomeAt(h.dir).Vault())
	if err == nil {
		err = v.Unlock([]byte("first"))
	}
	if err == nil {
		err = v.Rotate(t.Context(), vault.Protection{Passphrase: []byte("first"), Scrypt: vault.Scrypt{N: 1 << 10, R: 8, P: 1}})
	}
	if err != nil {
		t.Fatal(err)
	}
	h.passphrase = "first"
	h.wantOpen("after another root", 1, 1)
	h.wantSaid("the agent held the key of another root, and has ended")
	if t.Failed() {
		return // it may never end
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	h.wantOpen("without an agent", 1, 1)
	if len(h.said) != 0 {
		t.Errorf("said %q", h.said)
	}
}

// TestUnlockWithoutProgram: an agent that cannot be started is an error, and the vault opens as before.
func TestUnlockWithoutProgram(t *testing.T) {
	h := newHome(t)
	if r, err := h.client().Unlock(t.Context(), client.UnlockParams{For: time.Hour}); err == nil {
		t.Errorf("%+v", r)
	}
	h.wantOpen("by the passphrase", 1, 1)
}
