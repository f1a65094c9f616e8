package client

import (
	"context"
	"errors"
	"io/fs"

	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/agent"
	"github.com/sealmail/sealmail/internal/config"
)

// PasswdParams are the words of `vault passwd`.
type PasswdParams struct {
	// New gives the new passphrase; nil: the protection by a passphrase stays as it is.
	New func(ctx context.Context) ([]byte, error)
	// Unprotected takes the passphrase away.
	Unprotected bool
	// Device is where the device secret goes from now on, as the configuration says it; empty: where the configuration says,
	// else where it is.
	Device string
}

// VaultPasswd gives the vault a new root, under a new passphrase or the old, and a new device secret. The old passphrase is
// needed, if there is one, also while an agent runs.
func (c *Client) VaultPasswd(ctx context.Context, p PasswdParams) (*VaultStatus, error) {
	if p.Unprotected && p.New != nil {
		return nil, usage("vault passwd", errors.New("--unprotected and a new passphrase exclude each other"), "")
	}
	if _, err := config.WithVault(c.config.Path, nil, config.Vault{Device: p.Device}); err != nil {
		return nil, wordsUsage("vault passwd", err)
	}
	if p.Device == config.DeviceKeyring { // else what may have been left there would be looked for at each change from now on
		if _, err := c.keyringPassphrase(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, failed("keyring", err, "--device /FOLDER keeps the device secret in a folder; nothing was changed")
		}
	}
	if err := c.rotate(ctx, p); err != nil {
		return nil, err
	}
	v, err := c.loadVault()
	if err != nil {
		return nil, err
	}
	return c.vaultStatus(ctx, v)
}

// rotate gives the vault a new root, and destroys those of its entries that are named.
func (c *Client) rotate(ctx context.Context, p PasswdParams, doomed ...string) error {
	v, err := c.loadVault()
	if err != nil {
		return err
	}
	defer v.Lock()
	defer c.sayWarnings(v)
	protection, err := c.newProtection(ctx, v, p)
	if err != nil {
		return err
	}
	defer clear(protection.Passphrase)
	switch err := v.Shred(ctx, protection, doomed...); {
	case errors.Is(err, vault.ErrLeftover):
		c.o.Say("warning: " + err.Error() + "; the next change of the vault tries again")
	case err != nil:
		return failed("vault", err, "nothing was changed, unless `sealmail vault status` shows a new time of rotation")
	}
	return c.afterRotation(ctx, p, protection)
}

// newProtection unlocks the vault, without the agent, and returns what is to protect it.
func (c *Client) newProtection(ctx context.Context, v *vault.Vault, p PasswdParams) (vault.Protection, error) {
	info, err := v.Info()
	if err != nil {
		return vault.Protection{}, failed("vault", err, "")
	}
	protection := vault.Protection{Device: info.Device, Made: c.o.Now(), Unprotected: p.Unprotected || !info.Protected && p.New == nil}
	for _, word := range []string{c.config.Vault.Device, p.Device} {
		if word != "" {
			protection.Device = deviceOf(word)
		}
	}
	var old []byte
	if info.Protected {
		old, err = c.unlockByPassphrase(ctx, v, c.config.Vault.Keyring)
	} else if err = v.Unlock(nil); err != nil {
		err = c.explainUnlock(err)
	}
	switch {
	case err != nil:
		return vault.Protection{}, err
	case p.New != nil:
		if protection.Passphrase, err = p.New(ctx); err == nil && len(protection.Passphrase) == 0 {
			err = vault.ErrEmpty
		}
		if err != nil {
			return vault.Protection{}, usage("new passphrase", err, "give it with --new-passphrase-file or --new-passphrase-command")
		}
	case !protection.Unprotected:
		protection.Passphrase = old
	}
	return protection, nil
}

// afterRotation has the configuration, the keyring and the agent follow.
func (c *Client) afterRotation(ctx context.Context, p PasswdParams, now vault.Protection) error {
	if p.Device != "" {
		if err := c.updateVaultConfig(ctx, func(v *config.Vault) { v.Device = p.Device }); err != nil {
			return err
		}
	}
	if c.config.Vault.Keyring {
		if err := c.setKeyring(ctx, now.Passphrase); err != nil {
			return err
		}
	}
	ended, err := c.endAgent(ctx)
	switch {
	case err != nil:
		c.o.Say("warning: the agent, whose key opens nothing any more, was not ended: " + err.Error())
	case ended:
		c.o.Say("the agent was ended; `sealmail unlock` starts a new one")
	}
	return nil
}

// endAgent reports whether there was one. That there can be none on this system is no error.
func (c *Client) endAgent(ctx context.Context) (ended bool, err error) {
	socket, err := c.agentSocket()
	if err == nil {
		err = agent.End(ctx, socket)
	}
	if errors.Is(err, agent.ErrNone) || errors.Is(err, agent.ErrUnavailable) {
		return false, nil
	}
	return err == nil, err
}
