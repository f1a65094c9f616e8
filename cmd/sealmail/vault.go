package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// agentCommand is the hidden command that is the agent's process.
const agentCommand = "vault-agent"

func newVaultCommand(a *app) *cobra.Command {
	group := &cobra.Command{
		Use:   "vault",
		Short: "The file with your keys: how it is protected, and a new passphrase",
		Long: `The vault is the file with your private keys and passwords. What opens it is your passphrase and a device secret:
random octets that are kept outside the file, so that a copy of the file alone, old or new, opens with no passphrase.

` + exitCodesHelp,
		Example: "  sealmail vault status\n  sealmail vault passwd",
	}
	group.AddCommand(newVaultStatusCommand(a), newVaultPasswdCommand(a))
	return group
}

func newVaultStatusCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say how the vault is protected, and what is weak about it",
		Long: `Says where the vault is, how it is protected, where its device secret is and whether that is a weak place, what is in
it by kind, when it was last rotated, and until when an agent holds its key. It needs no passphrase.

` + exitCodesHelp,
		Example: "  sealmail vault status\n  sealmail vault status --json",
		Args:    argCount(0, 0, "no arguments"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, _ []string) error {
			status, err := c.VaultStatus(ctx)
			return a.vaultStatus(status, err)
		}),
	}
}

func (a *app) vaultStatus(status *client.VaultStatus, err error) error {
	switch {
	case err != nil:
		return err
	case a.flags.json:
		return a.printJSON(status)
	}
	return term.PrintVaultStatus(a.out, status)
}

func newVaultPasswdCommand(a *app) *cobra.Command {
	var (
		p     client.PasswdParams
		fresh secretFlags
	)
	cmd := &cobra.Command{
		Use:   "passwd",
		Short: "Give the vault a new passphrase, root key and device secret",
		Long: `Gives the vault a new passphrase, a new root key and a new device secret, and removes the old one: an old copy of the
file does not open any more, whoever knows the old passphrase. The old passphrase is needed, also while an agent runs,
which is ended. A kill at any instant leaves the old vault or the new one.

--device says where the device secret is kept from now on, and without a new passphrase the old one stays:
  beside    in the vault's folder: who copies the folder has both, so that this is the weakest place
  keyring   in the operating system's keyring
  /FOLDER   in a folder, best on another disk or a stick

` + exitCodesHelp,
		Example: `  sealmail vault passwd
  sealmail vault passwd --passphrase-file old --new-passphrase-file new
  sealmail vault passwd --device /media/stick/sealmail`,
		Args: argCount(0, 0, "no arguments"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, _ []string) error {
			if fresh.given() || p.Device == "" && !p.Unprotected {
				p.New = func(ctx context.Context) ([]byte, error) {
					if fresh.given() || a.prompt == nil {
						return fresh.read(ctx, a)
					}
					return a.chooseSecret("New passphrase for the vault: ")
				}
			}
			status, err := c.VaultPasswd(ctx, p)
			if err == nil && !status.Protected {
				a.say("warning: the vault is unprotected: who reads the disk reads the keys")
			}
			return a.vaultStatus(status, err)
		}),
	}
	fresh.add(cmd, "new-passphrase", "the vault's new passphrase")
	cmd.Flags().BoolVar(&p.Unprotected, "unprotected", false, "take the passphrase away: who reads the disk reads the keys")
	cmd.Flags().StringVar(&p.Device, "device", "", "where the device secret is kept from now on: `place` beside, keyring, or /FOLDER")
	return cmd
}

func newUnlockCommand(a *app) *cobra.Command {
	var p client.UnlockParams
	cmd := &cobra.Command{
		Use:   "unlock",
		Short: "Unlock the vault for a while, so that no command asks for the passphrase",
		Long: `Takes the passphrase once, and starts a process in the background that holds the vault's key for your commands, behind a
socket that only you can open. With it no command asks, and none pays for stretching the passphrase. It ends after its
time, by lock, and when the vault gets another passphrase.

--keyring puts the passphrase into the operating system's keyring instead, where commands look from then on; with --for
both is done.

What unlocks the vault is asked in this order: the agent; --passphrase-file, --passphrase-command or
$SEALMAIL_PASSPHRASE_FILE; the keyring, if it was told; a person at the terminal.

` + exitCodesHelp,
		Example: "  sealmail unlock --for 8h\n  sealmail unlock --keyring",
		Args:    argCount(0, 0, "no arguments"),
	}
	duration := cmd.Flags().Duration("for", 8*time.Hour, "how long, as a `duration` like 30m")
	cmd.Flags().BoolVar(&p.Keyring, "keyring", false, "put the passphrase into the operating system's keyring")
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, _ []string) error {
		if *duration <= 0 {
			return usagef("write it like 8h", "--for must be more than nothing")
		}
		if !p.Keyring || cmd.Flags().Changed("for") {
			p.For = *duration
		}
		result, err := c.Unlock(ctx, p)
		switch {
		case err != nil:
			return err
		case a.flags.json:
			return a.printJSON(result)
		}
		return term.PrintUnlock(a.out, result)
	})
	return cmd
}

func newLockCommand(a *app) *cobra.Command {
	var keyring bool
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "End what unlock began",
		Long: `Ends the agent, whose key is wiped; that there was none is no error. --keyring also takes the passphrase out of the
operating system's keyring.

` + exitCodesHelp,
		Example: "  sealmail lock\n  sealmail lock --keyring",
		Args:    argCount(0, 0, "no arguments"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, _ []string) error {
			result, err := c.Lock(ctx, keyring)
			switch {
			case err != nil:
				return err
			case a.flags.json:
				return a.printJSON(result)
			}
			return term.PrintLock(a.out, result)
		}),
	}
	cmd.Flags().BoolVar(&keyring, "keyring", false, "take the passphrase out of the operating system's keyring")
	return cmd
}

// newAgentCommand is what unlock starts. A person has no use for it.
func newAgentCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     agentCommand,
		Short:   "Hold the vault's key, as unlock starts it",
		Long:    "Is started by unlock, which hands it a key on stdin.\n\n" + exitCodesHelp,
		Example: "  sealmail " + agentCommand,
		Hidden:  true,
		Args:    argCount(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			out, ok := a.out.(io.WriteCloser)
			if !ok {
				return errors.New("the agent answers to a pipe")
			}
			return client.RunAgent(cmd.Context(), a.in, out, a.now)
		},
	}
}
