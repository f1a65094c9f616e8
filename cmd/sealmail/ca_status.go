package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newCARevokeCommand(a *app) *cobra.Command {
	var (
		p          client.CARevokeParams
		passphrase caPassphrase
		at         string
	)
	cmd := &cobra.Command{
		Use:   "revoke --dir DIR {--cert FILE | --serial HEX}",
		Short: "Revoke a certificate, or lift the hold on it",
		Long: `Revokes a certificate for good, and makes a new revocation list. Reasons: unspecified, keyCompromise,
affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn, and certificateHold, which another one may
make final later; cACompromise for an issuer. With keyCompromise all certificates for the same key are revoked, and
the key is not certified again. To revoke an issuer the root's key must be there.

With the reason removeFromCRL a hold is lifted, and nothing else can be: the new list has the certificate no more, and
OCSP says that it is good.

` + exitCodesHelp,
		Example: `  sealmail ca revoke --dir ca --ca-passphrase-file secret --cert alice.pem --reason keyCompromise
  sealmail ca revoke --dir ca --ca-passphrase-file secret --cert alice.pem --reason removeFromCRL`,
		Args: argCount(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if p.Dir == "" || (p.Cert == "") == (p.Serial == "") {
				return usagef("see `sealmail ca revoke --help`", "--dir and one of --cert and --serial are needed")
			}
			if at != "" {
				var err error
				if p.InvalidityDate, err = parseTime("at", at); err != nil {
					return err
				}
			}
			p.Passphrase = func() ([]byte, error) { return passphrase.read(ctx, a) }
			p.Confirm = func(what string, lift bool) error {
				switch {
				case a.prompt == nil:
					return nil // a script that revokes means it
				case lift:
					return a.confirm(fmt.Sprintf("Lift the hold on the certificate of %s?", term.Line(what)))
				}
				return a.confirm(fmt.Sprintf("Revoke the certificate of %s?", term.Line(what)))
			}
			result, err := client.CARevoke(ctx, a.options(), p)
			if err != nil {
				return err
			}
			if a.flags.json {
				return a.printJSON(result)
			}
			return term.PrintRevoked(a.out, result)
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.Dir, "dir", "", "the authority's `folder`")
	f.StringVar(&p.Cert, "cert", "", "the certificate in this `file`")
	f.StringVar(&p.Serial, "serial", "", "the certificate with this serial number, in `hex`")
	f.StringVar(&p.Reason, "reason", "", "the `reason` (default: unspecified); removeFromCRL lifts a hold")
	f.StringVar(&at, "at", "", "not to be relied on since this `time` (RFC 3339), where that was earlier")
	passphrase.add(cmd)
	return cmd
}

func newCACRLCommand(a *app) *cobra.Command {
	var (
		p          client.CACRLParams
		passphrase caPassphrase
	)
	cmd := &cobra.Command{
		Use:   "crl --dir DIR -o FILE",
		Short: "Make a revocation list",
		Long: `Makes a new, complete revocation list of the issuer for mail, or of another, and writes it: as PEM where the name ends
in .pem, else in DER. It is valid for seven days, and that of the root, whose key must be there, for a year.

` + exitCodesHelp,
		Example: "  sealmail ca crl --dir ca --ca-passphrase-file secret -o issuing.crl\n  sealmail ca crl --dir ca --ca-passphrase-file secret --root -o root.crl",
		Args:    argCount(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			switch {
			case p.Dir == "" || p.Output.Name == "":
				return usagef("see `sealmail ca crl --help`", "--dir and -o are needed")
			case p.Root && p.Services:
				return usagef("give one of the two", "--root and --services exclude each other")
			}
			if err := checkDays(cmd, p.Days); err != nil {
				return err
			}
			p.Output.Stdout = a.out
			p.Passphrase = func() ([]byte, error) { return passphrase.read(ctx, a) }
			result, err := client.CACRL(ctx, a.options(), p)
			switch {
			case err != nil || p.Output.Name == "-":
				return err
			case a.flags.json:
				return a.printJSON(result)
			}
			return term.PrintCRL(a.out, result)
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.Dir, "dir", "", "the authority's `folder`")
	f.BoolVar(&p.Root, "root", false, "the root's list: which issuers are revoked")
	f.BoolVar(&p.Services, "services", false, "the list of the issuer for servers and timestamps")
	f.IntVar(&p.Days, "days", 0, "`days` that it is valid (default: 7; for the root 365)")
	f.StringVarP(&p.Output.Name, "output", "o", "", "write to this `file`: .pem, or anything else for DER; - is stdout")
	passphrase.add(cmd)
	return cmd
}

func newCAOCSPCommand(a *app) *cobra.Command {
	var (
		p          client.CAOCSPParams
		passphrase caPassphrase
	)
	cmd := &cobra.Command{
		Use:   "ocsp --dir DIR --request FILE -o FILE",
		Short: "Answer one OCSP request",
		Long: `Answers an OCSP request (RFC 6960) from a file, as ` + "`sealmail ca serve`" + ` does over HTTP.

` + exitCodesHelp,
		Example: "  sealmail ca ocsp --dir ca --ca-passphrase-file secret --request request.der -o response.der",
		Args:    argCount(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if p.Dir == "" || p.Request == "" || p.Output.Name == "" {
				return usagef("see `sealmail ca ocsp --help`", "--dir, --request and -o are needed")
			}
			p.Output.Stdout = a.out
			p.Passphrase = func() ([]byte, error) { return passphrase.read(ctx, a) }
			return client.CAOCSP(ctx, a.options(), p)
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.Dir, "dir", "", "the authority's `folder`")
	f.StringVar(&p.Request, "request", "", "the request, in this `file`, in DER")
	f.StringVarP(&p.Output.Name, "output", "o", "", "write the response to this `file`; - is stdout")
	passphrase.add(cmd)
	return cmd
}

func newCAServeCommand(a *app) *cobra.Command {
	var (
		p          client.CAServeParams
		passphrase caPassphrase
	)
	cmd := &cobra.Command{
		Use:   "serve --dir DIR --listen ADDRESS",
		Short: "Serve revocation lists, OCSP and issuers over HTTP",
		Long: `Serves /root.crl, /issuing.crl and /services.crl, /root.cer, /issuing.cer and /services.cer, and /ocsp: what the
certificates name that are issued after ` + "`sealmail ca init --base-url`" + `. The first line on stdout is {"url":…} once it is
ready; SIGTERM ends it with 0. What ` + "`sealmail ca revoke`" + ` does meanwhile is seen at once. The root's key is not needed.

` + exitCodesHelp,
		Example: "  sealmail ca serve --dir ca --ca-passphrase-file secret --listen 127.0.0.1:8080",
		Args:    argCount(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if p.Dir == "" {
				return usagef("see `sealmail ca serve --help`", "--dir is needed")
			}
			p.Passphrase = func() ([]byte, error) { return passphrase.read(ctx, a) }
			return client.CAServe(ctx, a.options(), p, func(url string) error {
				return a.printJSON(struct {
					URL string `json:"url"`
				}{url})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.Dir, "dir", "", "the authority's `folder`")
	f.StringVar(&p.Listen, "listen", "127.0.0.1:0", "listen at this `address`; port 0 takes a free one")
	passphrase.add(cmd)
	return cmd
}
