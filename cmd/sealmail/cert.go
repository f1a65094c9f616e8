package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newCertCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cert",
		Short: "Certificates: yours, your correspondents', and whom you trust",
		Long: `Keeps certificates: your own with their keys, those of the people you write to, and the anchors that you trust for
mail, for timestamps or for servers.

` + exitCodesHelp,
		Example: "  sealmail cert import bob.pem\n  sealmail cert trust root.pem --for mail\n  sealmail cert list",
	}
	cmd.AddCommand(newCertImportCommand(a), newCertListCommand(a), newCertShowCommand(a), newCertExportCommand(a), newCertTrustCommand(a))
	return cmd
}

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

func newCertListCommand(a *app) *cobra.Command {
	var p client.CertListParams
	cmd := &cobra.Command{
		Use:     "list [TEXT]",
		Short:   "List identities, correspondents and anchors",
		Long:    "Lists the certificates in the store, or those whose name or address contains TEXT.\n\n" + exitCodesHelp,
		Example: "  sealmail cert list\n  sealmail cert list bob@example.org --json",
		Args:    argCount(0, 1, "at most one text"),
		RunE: a.withClient(func(_ context.Context, c *client.Client, args []string) error {
			if len(args) == 1 {
				p.Text = args[0]
			}
			list, err := c.CertList(p)
			if err != nil {
				return err
			}
			return a.printCertificates(list)
		}),
	}
	cmd.Flags().StringVar(&p.Kind, "kind", "", "only this `kind`: identity, correspondent or anchor")
	return cmd
}

func newCertShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show FINGERPRINT|ADDRESS|FILE",
		Short: "Show what a certificate says, and whether it is trusted",
		Long: `Shows certificates from the store, by the first digits of the fingerprint or by address, or from a file: names,
addresses, issuer, validity, uses, and whether a path leads to a trust anchor.

The exit code is 1 where a certificate shown is not trusted for mail now.

` + exitCodesHelp,
		Example: "  sealmail cert show bob@example.org\n  sealmail cert show ./bob.pem --json",
		Args:    argCount(1, 1, "one certificate"),
		RunE: a.withClient(func(_ context.Context, c *client.Client, args []string) error {
			shown, err := c.CertShow(args[0])
			if err != nil {
				return err
			}
			good := true
			for _, cert := range shown {
				good = good && cert.Trusted
				if a.flags.json {
					err = a.printJSON(cert)
				} else {
					err = term.PrintCertificate(a.out, cert)
				}
				if err != nil {
					return err
				}
			}
			if !good {
				return errAnswerIsNo
			}
			return nil
		}),
	}
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

func newCertTrustCommand(a *app) *cobra.Command {
	var purpose string
	cmd := &cobra.Command{
		Use:   "trust FILE… --for mail|tsa|server",
		Short: "Trust anchors for a purpose",
		Long: `Makes the certificates in FILE trust anchors for mail, for timestamps (tsa) or for TLS servers, and for nothing else.
What each of them can then vouch for is all mail, all timestamps, or all servers: check the fingerprint first.

` + exitCodesHelp,
		Example: "  sealmail cert trust root.pem --for mail",
		Args:    argCount(1, -1, "at least one file"),
		RunE: a.withClient(func(_ context.Context, c *client.Client, args []string) error {
			if purpose == "" {
				return usagef("--for mail, --for tsa, or --for server", "what to trust it for is not said")
			}
			for _, name := range args {
				anchors, err := c.CertAnchors(name)
				if err != nil {
					return err
				}
				for _, anchor := range anchors {
					if a.prompt != nil {
						if err := a.confirm(fmt.Sprintf("Trust %s (SHA-256 %s) for %s?", term.Line(anchor.Subject), anchor.Fingerprint, purpose)); err != nil {
							return err
						}
					}
				}
				trusted, err := c.CertTrust(anchors, purpose)
				if err != nil {
					return err
				}
				if err := a.printCertificates(trusted); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	cmd.Flags().StringVar(&purpose, "for", "", "the `purpose`: mail, tsa or server")
	return cmd
}

func (a *app) printCertificates(list []client.CertificateLine) error {
	if !a.flags.json {
		return term.PrintCertificates(a.out, list)
	}
	for _, c := range list {
		if err := a.printJSON(c); err != nil {
			return err
		}
	}
	return nil
}
