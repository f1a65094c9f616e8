package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newCertTrustCommand(a *app) *cobra.Command {
	var (
		purposes []string
		system   bool
	)
	cmd := &cobra.Command{
		Use:   "trust {FILE|FINGERPRINT… --for mail|tsa|server | --system}",
		Short: "Trust anchors for a purpose",
		Long: `Makes the certificates in FILE, or authorities that came with your own certificates, trust anchors for mail, for
timestamps (tsa) or for TLS servers, and for nothing else; with --account for that account alone. What each of them can
then vouch for is all mail, all timestamps, or all servers: check the fingerprint first.

With --system the roots that Mozilla trusts for e-mail are taken from NSS's root module (libnssckbi.so), and marked
public: their authorities are audited, so that what a certificate says of an organization is shown as validated. Run it
again to take over what was added and removed since; what was removed is taken away from all accounts.

` + exitCodesHelp,
		Example: "  sealmail cert trust root.pem --for mail\n  sealmail cert trust 3f9c2a7b5d1e8c04 --for mail\n  sealmail cert trust --system",
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case system && len(args) > 0:
				return usagef("give one of the two", "--system and files exclude each other")
			case system && slices.ContainsFunc(purposes, func(p string) bool { return p != "mail" }):
				return usagef("", "--system is for mail")
			case system:
				return nil
			}
			return argCount(1, -1, "at least one file, or --system")(cmd, args)
		},
		RunE: a.withClient(func(_ context.Context, c *client.Client, args []string) error {
			if system {
				return a.trustSystem(c)
			}
			if len(purposes) == 0 {
				return usagef("--for mail, --for tsa, or --for server", "what to trust it for is not said")
			}
			for _, name := range args {
				if err := a.trustFile(c, name, purposes); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	cmd.Flags().StringArrayVar(&purposes, "for", nil, "the `purpose`: mail, tsa or server; repeat for more")
	cmd.Flags().BoolVar(&system, "system", false, "take the roots for e-mail that come with NSS")
	return cmd
}

func (a *app) trustSystem(c *client.Client) error {
	r, err := c.CertTrustSystem()
	if err != nil {
		return err
	}
	if a.flags.json {
		return a.printJSON(r)
	}
	return term.PrintSystemTrust(a.out, r)
}

func (a *app) trustFile(c *client.Client, name string, purposes []string) error {
	anchors, err := c.CertAnchors(name)
	if err != nil {
		return err
	}
	if a.prompt != nil {
		for _, anchor := range anchors {
			if err := a.confirm(fmt.Sprintf("Trust %s (SHA-256 %s) for %s?", term.Line(anchor.Subject), anchor.Fingerprint, strings.Join(purposes, " and "))); err != nil {
				return err
			}
		}
	}
	trusted, err := c.CertTrust(anchors, purposes...)
	if err != nil {
		return err
	}
	return a.printCertificates(trusted)
}

func newCertDistrustCommand(a *app) *cobra.Command {
	var purpose string
	cmd := &cobra.Command{
		Use:   "distrust FINGERPRINT [--for mail|tsa|server]",
		Short: "Take a trust anchor away",
		Long: `Takes an anchor away, for one purpose or for all; with --account from that account alone, where it is one for named
accounts only. What it vouched for is not trusted any more, unless another anchor vouches for it too; nothing else is
removed.

` + exitCodesHelp,
		Example: "  sealmail cert distrust 3f9c2a7b --for mail",
		Args:    argCount(1, 1, "one fingerprint, or eight of its digits"),
		RunE: a.withClient(func(_ context.Context, c *client.Client, args []string) error {
			lines, err := c.CertDistrust(args[0], purpose)
			if err != nil {
				return err
			}
			return a.printCertificates(lines)
		}),
	}
	cmd.Flags().StringVar(&purpose, "for", "", "only this `purpose`: mail, tsa or server")
	return cmd
}
