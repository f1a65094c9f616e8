package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
)

func newCertImportCommand(a *app) *cobra.Command {
	var password secretFlags
	cmd := &cobra.Command{
		Use:   "import FILE…",
		Short: "Take certificates and keys into the store",
		Long: `Imports PEM, DER, PKCS#7 and PKCS#12 files. A key with its certificate becomes an identity of yours, a certificate alone
that of a correspondent. Nothing becomes trusted by this: for that there is ` + "`sealmail cert trust`" + `.

` + exitCodesHelp,
		Example: "  sealmail cert import bob.pem\n  sealmail cert import alice.p12 --p12-password-file secret",
		Args:    argCount(1, -1, "at least one file"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			var imported []client.CertificateLine
			for _, name := range args {
				more, err := c.CertImport(ctx, name, func() ([]byte, error) { return password.read(ctx, a) })
				if err != nil {
					if len(imported) > 0 {
						err = errors.Join(a.printCertificates(imported), err)
					}
					return err
				}
				imported = append(imported, more...)
			}
			return a.printCertificates(imported)
		}),
	}
	password.add(cmd, "p12-password", "the password of the PKCS#12 file")
	cmd.Flags().BoolVar(&a.flags.unprotected, "unprotected", false, "if the vault has to be made: without a passphrase")
	return cmd
}

func newCertExportCommand(a *app) *cobra.Command {
	var (
		p        client.CertExportParams
		password secretFlags
		output   string
	)
	cmd := &cobra.Command{
		Use:   "export FINGERPRINT|ADDRESS -o FILE",
		Short: "Write a certificate, or an identity with its key, to a file",
		Long: `Writes a certificate and those of its issuers as PEM, or, where FILE ends in .p7c, as PKCS#7. With --key, and only then,
the private key goes along: FILE must be a .p12, and needs a password.

` + exitCodesHelp,
		Example: "  sealmail cert export alice@example.org -o alice.pem\n  sealmail cert export alice@example.org --key -o alice.p12 --p12-password-file secret",
		Args:    argCount(1, 1, "one certificate"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			p.Which = args[0]
			if p.WithKey {
				if p.Password, err = password.read(ctx, a); err != nil {
					return err
				}
			}
			return c.CertExport(ctx, p, client.Output{Name: output, Stdout: a.out})
		}),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "-", "write to this `file`; - is stdout")
	cmd.Flags().BoolVar(&p.WithKey, "key", false, "export the private key too")
	password.add(cmd, "p12-password", "the password for the PKCS#12 file")
	return cmd
}
