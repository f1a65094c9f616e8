package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newCertRequestCommand(a *app) *cobra.Command {
	var (
		p      client.CertRequestParams
		output string
	)
	cmd := &cobra.Command{
		Use:   "request [ADDRESS…] -o FILE",
		Short: "Make a key, and ask an authority for its certificate",
		Long: `Makes a private key, which stays in the vault, and writes a request for its certificate (PKCS#10), to be sent to an
authority. When the certificate comes, ` + "`sealmail cert import FILE`" + ` joins it with its key.

` + exitCodesHelp,
		Example: "  sealmail cert request alice@example.org --name 'Alice Adams' -o alice.csr\n  sealmail cert request alice@example.org adams@example.org --key rsa3072 -o alice.csr",
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			if output == "" {
				return usagef("-o FILE, or -o - for stdout", "where the request is to be written is not said")
			}
			p.Addresses, p.Replace = args, a.mayReplace
			result, err := c.CertRequest(ctx, p, client.Output{Name: output, Stdout: a.out})
			return a.printRequest(result, output, err)
		}),
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "", "write the request to this `file`; - is stdout")
	f.StringVar(&p.Name, "name", "", "the `name` of the owner")
	f.StringVar(&p.Organization, "organization", "", "the owner's organization, by `name`")
	f.StringVar(&p.Key, "key", "p256", "the `kind` of key: p256, p384, rsa2048, rsa3072, ed25519")
	f.StringVar(&p.Purpose, "purpose", "mail", "the `purpose`: mail, sign or encrypt")
	f.BoolVar(&a.flags.unprotected, "unprotected", false, "if the vault has to be made: without a passphrase")
	return cmd
}

func newCertRenewCommand(a *app) *cobra.Command {
	var (
		p          client.CertRenewParams
		passphrase secretFlags
		output     string
	)
	cmd := &cobra.Command{
		Use:   "renew FINGERPRINT|ADDRESS {-o FILE | --ca DIR}",
		Short: "Ask for a certificate to take the place of one of yours",
		Long: `Makes a new private key, or takes the old one again, and writes a request for a certificate with the same names and for
the same use. With --ca your own authority certifies it at once. The old certificate stays, with its key, to read what
was encrypted to it; others learn of the new one from your next signed mail.

` + exitCodesHelp,
		Example: "  sealmail cert renew alice@example.org -o alice.csr\n  sealmail cert renew 3f9c2a7b --ca ./ca",
		Args:    argCount(1, 1, "one certificate of yours"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			switch {
			case output == "" && p.CA == "":
				return usagef("-o FILE for a request, or --ca DIR for your own authority", "where the certificate is to come from is not said")
			case output != "" && p.CA != "":
				return usagef("give one of the two", "-o and --ca exclude each other")
			case p.SameKey && p.Key != "":
				return usagef("give one of the two", "--same-key and --key exclude each other")
			}
			p.Which, p.Replace = args[0], a.mayReplace
			p.CAPassphrase = func() ([]byte, error) { return passphrase.read(ctx, a) }
			result, err := c.CertRenew(ctx, p, client.Output{Name: output, Stdout: a.out})
			return a.printRequest(result, output, err)
		}),
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "", "write a request to this `file`; - is stdout")
	f.StringVar(&p.CA, "ca", "", "have the authority in this `folder` certify it at once")
	f.StringVar(&p.Key, "key", "", "the `kind` of the new key: p256, p384, rsa2048, rsa3072, ed25519 (default: as before)")
	f.BoolVar(&p.SameKey, "same-key", false, "certify the old key once more: who has a copy of it can go on reading")
	passphrase.add(cmd, "ca-passphrase", "the authority's passphrase")
	return cmd
}

func (a *app) printRequest(r *client.RequestResult, output string, err error) error {
	if r == nil || err != nil {
		return err
	}
	switch {
	case a.flags.json && output == "-":
		return nil // the request is what stdout is for
	case a.flags.json:
		return a.printJSON(r)
	case r.Certificate != nil:
		return a.printCertificates([]client.CertificateLine{*r.Certificate})
	case output == "-":
		a.say("%s", term.RequestWords(r))
		return nil
	}
	return term.PrintRequest(a.out, r)
}
