package main

import (
	"context"
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
