package main

import (
	"context"

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
	cmd.AddCommand(newCertRequestCommand(a), newCertRenewCommand(a), newCertImportCommand(a), newCertListCommand(a), newCertShowCommand(a), newCertExportCommand(a),
		newCertTrustCommand(a), newCertDistrustCommand(a), newCertFindCommand(a), newCertForgetCommand(a), newCertShareCommand(a))
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
	cmd.Flags().StringVar(&p.Kind, "kind", "", "only this `kind`: identity, correspondent, anchor, request or issuer")
	return cmd
}

func newCertShowCommand(a *app) *cobra.Command {
	var (
		tree     bool
		password secretFlags
	)
	cmd := &cobra.Command{
		Use:   "show FINGERPRINT|ADDRESS|FILE",
		Short: "Show what a certificate says, and whether it is trusted",
		Long: `Shows certificates from the store, by the first digits of the fingerprint or by address, or from a file: names,
addresses, issuer, validity, uses, where it was seen first, and whether a path leads to a trust anchor; --tree draws it.
Whether it is revoked is said as far as it was found out before; the network is not touched, other than by cert find.

The exit code is 1 where a certificate shown is not trusted for mail now, or is known to be revoked.

` + exitCodesHelp,
		Example: "  sealmail cert show bob@example.org\n  sealmail cert show ./bob.pem --json\n  sealmail cert show alice@example.org --tree",
		Args:    argCount(1, 1, "one certificate"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			shown, err := c.CertShow(ctx, args[0], password.forFiles(ctx, a))
			if err != nil {
				return err
			}
			good := true
			for _, cert := range shown {
				good = good && cert.Trusted
				switch {
				case a.flags.json:
					err = a.printJSON(cert)
				case tree:
					err = term.PrintCertificateTree(a.out, cert)
				default:
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
	password.add(cmd, "p12-password", "the password of the PKCS#12 file or the encrypted key")
	cmd.Flags().BoolVar(&tree, "tree", false, "draw the chain, the anchor first")
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
