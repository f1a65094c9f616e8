package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/agent"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/internal/safeio"
)

const passphraseHint = "--passphrase-file, --passphrase-command or $SEALMAIL_PASSPHRASE_FILE"

// setting is what the vault finds around it.
func (c *Client) setting() vault.Setting {
	s := vault.Setting{Disk: c.o.Disk, Keyring: c.o.Keyring, Deriving: c.o.Deriving}
	if d := deviceOf(c.config.Vault.Device); d.Kind == vault.DeviceFolder {
		s.Folder = d.Folder
	}
	return s
}

// deviceOf is the place that a word of the configuration stands for.
func deviceOf(word string) vault.Device {
	switch word {
	case "", config.DeviceBeside:
		return vault.Device{Kind: vault.DeviceBeside}
	case config.DeviceKeyring:
		return vault.Device{Kind: vault.DeviceKeyring}
	}
	return vault.Device{Kind: vault.DeviceFolder, Folder: word}
}

// openVault opens and unlocks the vault. Where there is none, create makes one.
func (c *Client) openVault(ctx context.Context, create bool) (*vault.Vault, error) {
	c.opening.Lock()
	defer c.opening.Unlock()
	if c.vault != nil && !c.vault.Locked() {
		return c.vault, nil
	}
	if c.locked != nil {
		return nil, c.locked
	}
	v, err := c.loadVault()
	if create && errors.Is(err, fs.ErrNotExist) {
		if err = c.createVault(ctx); !errors.Is(err, fs.ErrExist) {
			return c.vault, err
		}
		v, err = c.loadVault() // somebody else was faster
	}
	if err != nil {
		return nil, err
	}
	c.locked = c.unlock(ctx, v)
	c.sayWarnings(v)
	if c.locked != nil {
		return nil, c.locked
	}
	c.vault = v
	return v, nil
}

// loadVault reads the vault's file, and leaves it locked.
func (c *Client) loadVault() (*vault.Vault, error) {
	path := c.o.Home.Vault()
	v, err := c.setting().Load(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failed("vault", noVaultError{err}, "set up an account with `sealmail init`, or import a key with `sealmail cert import`")
	case errors.Is(err, fs.ErrPermission):
		return nil, failed("vault", err, "see that "+path+" belongs to you, and to nobody else")
	case err != nil:
		return nil, failed("vault", err, "restore "+path+" from a backup")
	}
	c.closeToOthers(c.o.Home.Data, 0o077)
	return v, nil
}

// noVaultError says so in words for who never heard of a vault.
type noVaultError struct{ error }

func (noVaultError) Error() string   { return "there is none yet, and so no key" }
func (e noVaultError) Unwrap() error { return e.error }

// sayWarnings tells what was found wrong with the vault's files.
func (c *Client) sayWarnings(v *vault.Vault) {
	for _, warning := range v.Warnings() {
		c.o.Say("warning: " + warning)
	}
}

// unlock takes the cheapest way that there is: nothing for a vault without a passphrase; the agent, which costs no
// derivation; then the passphrase.
func (c *Client) unlock(ctx context.Context, v *vault.Vault) error {
	if v.Protected() {
		if c.unlockByAgent(ctx, v) {
			return nil
		}
		_, err := c.unlockByPassphrase(ctx, v, c.config.Vault.Keyring)
		return err
	}
	if err := v.Unlock(nil); err != nil {
		return c.explainUnlock(err)
	}
	return nil
}

// unlockByAgent asks the agent. Whatever is wrong with it is said, and no reason not to unlock in another way.
func (c *Client) unlockByAgent(ctx context.Context, v *vault.Vault) bool {
	socket, err := c.agentSocket()
	var info vault.Info
	if err == nil {
		info, err = v.Info()
	}
	var key []byte
	if err == nil {
		key, err = agent.Get(ctx, socket, info.RootID)
	}
	if err == nil {
		err = v.UnlockByRoot(info.RootID, key)
		clear(key)
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, agent.ErrNone), errors.Is(err, agent.ErrUnavailable):
	default:
		c.o.Say("warning: the vault is not unlocked by the agent: " + err.Error())
	}
	return false
}

// agentSocket is where the agent of this home listens.
func (c *Client) agentSocket() (string, error) {
	return agent.Path(c.o.Home.Agent(), os.TempDir())
}

// unlockByPassphrase takes the passphrase that was given, else the keyring's, if that is asked, else a person's, and returns
// it.
func (c *Client) unlockByPassphrase(ctx context.Context, v *vault.Vault, keyring bool) ([]byte, error) {
	// Stretching the passphrase takes 32 MiB, which would let the heap grow to twice that before they are collected.
	defer debug.FreeOSMemory()
	if keyring && !c.o.PassphraseGiven {
		passphrase, err := c.keyringPassphrase()
		if err == nil {
			if err = v.Unlock(passphrase); err == nil {
				return passphrase, nil
			}
			if !errors.Is(err, vault.ErrPassphrase) {
				return nil, c.explainUnlock(err)
			}
		}
		c.o.Say("warning: the vault is not unlocked by the keyring: " + err.Error())
	}
	passphrase, err := c.o.Passphrase(ctx, false)
	if err != nil {
		return nil, failed("vault is locked", err, "unlock it with "+passphraseHint+", or for a while with `sealmail unlock`")
	}
	if err := v.Unlock(passphrase); err != nil {
		return nil, c.explainUnlock(err)
	}
	return passphrase, nil
}

func (c *Client) explainUnlock(err error) error {
	hint := "restore " + c.o.Home.Vault() + " from a backup"
	switch {
	case errors.Is(err, vault.ErrPassphrase):
		hint = "check the passphrase that " + passphraseHint + " gives"
	case errors.Is(err, vault.ErrDevice):
		hint = "`sealmail vault status` says where it is kept; without it the vault stays closed"
	}
	return failed("vault", err, hint)
}

// isLocked tells whether err is that the vault could not be unlocked: then no message that needs a key can be read.
func (c *Client) isLocked(err error) bool {
	c.opening.Lock()
	defer c.opening.Unlock()
	return c.locked != nil && errors.Is(err, c.locked)
}

func (c *Client) createVault(ctx context.Context) error {
	path := c.o.Home.Vault()
	protection := vault.Protection{Unprotected: c.o.Unprotected, Device: deviceOf(c.config.Vault.Device), Made: c.o.Now()}
	if !c.o.Unprotected {
		passphrase, err := c.o.Passphrase(ctx, true)
		if err != nil {
			return usage("vault", err, "give a passphrase with --passphrase-file or --passphrase-command, or say --unprotected")
		}
		protection.Passphrase = passphrase
	}
	if err := c.o.Disk.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return failed("vault", err, "")
	}
	v, err := c.setting().Create(ctx, path, protection)
	if err != nil {
		return failed("vault", err, "")
	}
	c.closeToOthers(c.o.Home.Data, 0o077)
	c.sayWarnings(v)
	c.vault = v
	return nil
}

// keyringName is the name of the vault's passphrase in the keyring: one for each vault of the user.
func (c *Client) keyringName() (string, error) {
	path, err := filepath.Abs(c.o.Home.Vault())
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(path))
	return fmt.Sprintf("sealmail-passphrase-%x", sum[:16]), nil
}

var errNoKeyring = errors.New("there is no keyring here")

func (c *Client) keyringPassphrase() ([]byte, error) {
	name, err := c.keyringName()
	if err != nil {
		return nil, err
	}
	if c.o.Keyring == nil {
		return nil, errNoKeyring
	}
	return c.o.Keyring.Get(name)
}

// setKeyring puts the passphrase into the keyring, or, where it is nil, takes it from there, and has the configuration say so.
func (c *Client) setKeyring(ctx context.Context, passphrase []byte) error {
	const hint = "the vault opens with " + passphraseHint + " as well"
	name, err := c.keyringName()
	if err == nil && c.o.Keyring == nil {
		err = errNoKeyring
	}
	if err != nil {
		return failed("keyring", err, hint)
	}
	if passphrase == nil {
		if err = c.o.Keyring.Delete(name); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		err = c.o.Keyring.Put(name, passphrase)
	}
	if err != nil {
		return failed("keyring", err, hint)
	}
	return c.updateVaultConfig(ctx, func(v *config.Vault) { v.Keyring = passphrase != nil })
}

// updateConfig changes the configuration file, and goes on with what it then says.
func (c *Client) updateConfig(ctx context.Context, change func(text []byte) ([]byte, error)) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	updated, err := config.Update(ctx, c.o.Disk, c.config.Path, change)
	var broken *config.Error
	switch {
	case errors.As(err, &broken):
		return err
	case err != nil:
		return failed("configuration", err, "")
	}
	c.config = updated
	return nil
}

// updateVaultConfig changes what the configuration says of the vault.
func (c *Client) updateVaultConfig(ctx context.Context, change func(*config.Vault)) error {
	return c.updateConfig(ctx, func(text []byte) ([]byte, error) {
		now, err := config.Parse(c.config.Path, text)
		if err != nil {
			return nil, err
		}
		change(&now.Vault)
		return config.WithVault(c.config.Path, text, now.Vault)
	})
}

// closeToOthers sees to it that a file or folder with secrets is for its owner alone, and says what was.
func (c *Client) closeToOthers(path string, bits fs.FileMode) {
	warning, err := safeio.ClosePathToOthers(path, bits)
	if err != nil {
		warning = err.Error()
	}
	if warning != "" {
		c.o.Say("warning: " + warning)
	}
}

// closeConfig sees to it that nobody else writes the configuration, which names servers and commands, and that nobody reads
// it where a command in it may have a password among its words.
func (c *Client) closeConfig() {
	bits := fs.FileMode(0o022)
	for _, a := range c.config.Accounts {
		if a.PasswordCommand+a.OAuthTokenCommand != "" {
			bits = 0o077
		}
	}
	for _, t := range c.config.TSAs {
		if t.PasswordCommand+t.P12PasswordCommand != "" {
			bits = 0o077
		}
	}
	c.closeToOthers(c.config.Path, bits)
}

// lazyKeys opens the vault when a key is first asked for, so that what needs no key asks for no passphrase.
type lazyKeys struct{ c *Client }

func (k lazyKeys) Get(id string) ([]byte, error) {
	v, err := k.c.openVault(context.Background(), false)
	if err != nil {
		return nil, err
	}
	return v.Get(id)
}

func (k lazyKeys) Put(ctx context.Context, id, kind string, secret []byte) error {
	v, err := k.c.openVault(ctx, true)
	if err != nil {
		return err
	}
	return v.Put(ctx, id, kind, secret)
}
