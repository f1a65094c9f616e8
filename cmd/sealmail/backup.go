package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newBackupCommand(a *app) *cobra.Command {
	var (
		p          client.BackupParams
		passphrase secretFlags
		output     string
	)
	cmd := &cobra.Command{
		Use:   "backup -o FILE",
		Short: "Seal the whole home into one file",
		Long: `Writes configuration, certificates, keys and passwords, evidence and outbox into one file, sealed with a passphrase
of its own. With --to it opens with the key of that certificate as well, or, where no passphrase is given, with that key
alone. It opens on any machine: the vault goes along with its device secret, and keeps its own passphrase.

The file is a tar archive inside of CMS (RFC 5652, RFC 5083), so that openssl and tar open it without sealmail:
  openssl cms -decrypt -inform DER -binary -in FILE -pwri_password "PASSPHRASE" -out home.tar
  openssl cms -decrypt -inform DER -binary -in FILE -inkey key.pem -recip cert.pem -out home.tar

That each private key left in it is written down in the store: destroyed here, it lives on there. Mail that was fetched
is a cache, and goes along with --caches only. What the configuration names outside of the home does not; it is said.

` + exitCodesHelp,
		Example: `  sealmail backup -o /media/stick/alice.sealmail
  sealmail backup -o alice.sealmail --backup-passphrase-file secret --to recovery.pem`,
		Args: argCount(0, 0, "no arguments, but -o FILE"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, _ []string) error {
			switch {
			case output == "":
				return usagef("name the file with -o FILE; - is stdout", "backup: where to is not said")
			case output == "-" && a.flags.json:
				return usagef("name a file with -o FILE", "backup: --json and the backup cannot both go to stdout")
			}
			p.By, p.Replace = userName(), a.mayReplace
			if passphrase.given() || len(p.To) == 0 {
				p.Passphrase = func(ctx context.Context) ([]byte, error) { return passphrase.choose(ctx, a) }
			}
			if err := a.checkRaw(output); err != nil {
				return err
			}
			result, err := c.Backup(ctx, p, client.Output{Name: output, Stdout: a.out})
			switch {
			case err != nil:
				return err
			case a.flags.json:
				return a.printJSON(result)
			case output == "-":
				return nil
			}
			return term.PrintBackup(a.out, result)
		}),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to this `file`; - is stdout")
	cmd.Flags().StringArrayVar(&p.To, "to", nil, "have the key of the certificate in this `file` open it as well (repeatable)")
	cmd.Flags().BoolVar(&p.Caches, "caches", false, "take along what can be fetched again")
	passphrase.add(cmd, "backup-passphrase", "the passphrase of the backup")
	return cmd
}

func newRestoreCommand(a *app) *cobra.Command {
	var (
		p          client.RestoreParams
		keys       keyFlags
		passphrase secretFlags
	)
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of an empty home",
		Long: `Opens a backup with its passphrase, or with a key that ` + "`backup --to`" + ` was told, and puts it in the place of a
home that is empty. All of it is verified before anything is put in place; a kill at any instant leaves the home empty
or whole.

The vault's device secret goes where this machine has a place for it, or else beside the vault, and that is said.
Messages that were queued in the outbox may have been sent since the backup was made: they come back as uncertain, and
` + "`sealmail outbox flush --resend-uncertain`" + ` sends them. Nothing is asked of any server.

` + exitCodesHelp,
		Example: `  sealmail restore /media/stick/alice.sealmail
  sealmail --home ./alice restore alice.sealmail --p12 recovery.p12 --p12-password-file secret`,
		Args: argCount(1, 1, "one backup"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			if keys.given() && passphrase.given() {
				return usagef("give one of the two", "restore: a key and a passphrase are given")
			}
			var err error
			if p.Keys, err = keys.read(ctx, a); err != nil {
				return err
			}
			p.Passphrase = func(ctx context.Context) ([]byte, error) {
				secret, err := passphrase.read(ctx, a)
				if err == nil && len(secret) == 0 {
					err = errors.New("the passphrase of the backup is empty")
				}
				return secret, err
			}
			result, err := c.Restore(ctx, p, args[0])
			switch {
			case err != nil:
				return err
			case a.flags.json:
				return a.printJSON(result)
			}
			return term.PrintRestored(a.out, result)
		}),
	}
	keys.add(cmd)
	passphrase.add(cmd, "backup-passphrase", "the passphrase of the backup")
	return cmd
}
