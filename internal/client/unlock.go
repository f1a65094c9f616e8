package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sealmail/sealmail/internal/agent"
)

// UnlockParams are the words of `unlock`.
type UnlockParams struct {
	For     time.Duration // how long the agent runs; 0: none is started
	Keyring bool          // the passphrase is put into the operating system's keyring
}

// UnlockResult is what `unlock` did.
type UnlockResult struct {
	Until   *time.Time `json:"until"`   // when the agent ends; null: none was started
	Keyring bool       `json:"keyring"` // the keyring has the passphrase
}

// Unlock takes the passphrase once and has an agent hold the vault's root, or the keyring hold the passphrase, so that later
// commands need none.
func (c *Client) Unlock(ctx context.Context, p UnlockParams) (*UnlockResult, error) {
	v, err := c.loadVault()
	if err != nil {
		return nil, err
	}
	defer v.Lock()
	defer c.sayWarnings(v)
	if !v.Protected() {
		return nil, usage("unlock", errors.New("the vault has no passphrase, and opens without"), "`sealmail vault passwd` gives it one")
	}
	passphrase, err := c.unlockByPassphrase(ctx, v, c.config.Vault.Keyring && !p.Keyring)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	r := &UnlockResult{Keyring: c.config.Vault.Keyring || p.Keyring}
	if p.Keyring {
		if err := c.setKeyring(ctx, passphrase); err != nil {
			return nil, err
		}
	}
	if p.For <= 0 {
		return r, nil
	}
	id, key, err := v.RootKey()
	if err != nil {
		return nil, failed("vault", err, "")
	}
	defer clear(key)
	until := c.o.Now().Add(p.For).UTC().Truncate(time.Second)
	if err := c.startAgent(ctx, id, key, until); err != nil {
		return nil, failed("unlock", err, "the vault opens with "+passphraseHint+" as before")
	}
	r.Until = &until
	return r, nil
}

// startAgent starts an agent in place of the one that may run.
func (c *Client) startAgent(ctx context.Context, id string, key []byte, until time.Time) error {
	if _, err := c.endAgent(ctx); err != nil {
		return err
	}
	socket, err := c.agentSocket()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	return agent.Start(ctx, c.o.AgentCommand, agent.Task{Socket: socket, ID: id, Until: until}, key)
}

// RunAgent is the process that Unlock starts: it takes what it is to hold from in, tells out that it is ready, and runs
// until its time is over or the context ends.
func RunAgent(ctx context.Context, in io.Reader, out io.WriteCloser, now func() time.Time) error {
	return agent.Run(ctx, in, out, now)
}

// LockResult is what `lock` did.
type LockResult struct {
	Ended   bool `json:"ended"`   // there was an agent
	Keyring bool `json:"keyring"` // the keyring still has the passphrase
}

// Lock ends the agent, and with keyring takes the passphrase out of the operating system's keyring.
func (c *Client) Lock(ctx context.Context, keyring bool) (*LockResult, error) {
	ended, err := c.endAgent(ctx)
	if err != nil {
		return nil, failed("lock", fmt.Errorf("the agent was not ended: %w", err), "end the process by hand")
	}
	if keyring {
		if err := c.setKeyring(ctx, nil); err != nil {
			return nil, err
		}
	}
	return &LockResult{Ended: ended, Keyring: c.config.Vault.Keyring}, nil
}
