package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newTSACommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tsa",
		Short: "Trusted timestamps (RFC 3161)",
		Long: `Gets trusted timestamps on files, checks them, and can be a small timestamp authority itself.

` + exitCodesHelp,
		Example: "  sealmail tsa stamp report.pdf -o report.pdf.tsr\n  sealmail tsa verify report.pdf",
	}
	cmd.AddCommand(newTSAStampCommand(a), newTSAVerifyCommand(a), newTSAServeCommand(a), newEvidenceCommand(a))
	return cmd
}

func newTSAStampCommand(a *app) *cobra.Command {
	var (
		p      client.StampParams
		tsa    tsaFlags
		output string
	)
	cmd := &cobra.Command{
		Use:   "stamp FILE [-o FILE.tsr]",
		Short: "Get a timestamp on a file",
		Long: `Sends the hash of a file to the timestamp authority, checks its answer, and writes the response with the token: to
FILE.tsr, unless -o says otherwise, and to stdout for what comes from stdin. The file itself goes nowhere. A timestamp
that lies there is not replaced unasked: it is older, and proves more.

An authority that wants to know who asks is told by --tsa-user or --tsa-p12, over https alone, or by its table
[tsa."URL"] in the configuration.

` + exitCodesHelp,
		Example: `  sealmail tsa stamp report.pdf
  sealmail tsa stamp report.pdf -o proof.tsr --tsa http://tsa.example.org --tsa http://other.example.org --tsa-trust roots.pem
  sealmail tsa stamp report.pdf --tsa https://tsa.example.org --tsa-user alice --tsa-password-file secret
  sealmail tsa stamp - --hash sha512 < report.pdf > report.pdf.tsr`,
		Args: argCount(1, 1, "one file"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			switch {
			case output != "":
			case args[0] == "-":
				output = "-"
			default:
				output, p.Replace = args[0]+".tsr", a.mayReplace
			}
			if a.flags.json && output == "-" {
				return usagef("write the response to a file: -o FILE.tsr", "--json and -o - both want stdout")
			}
			if p.Access, err = tsa.read(ctx, a, p.TSA); err != nil {
				return err
			}
			result, err := c.Stamp(ctx, p, args[0], client.Output{Name: output, Stdout: a.out})
			if err != nil {
				return err
			}
			if a.flags.json {
				return a.printJSON(result)
			}
			a.say("%s", term.StampWords(result))
			return nil
		}),
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "", "write the response to this `file` (default: FILE.tsr); - is stdout")
	addStampFlags(cmd, &p, &tsa)
	return cmd
}

// addStampFlags adds what says who is asked for a timestamp, and for which.
func addStampFlags(cmd *cobra.Command, p *client.StampParams, access *tsaFlags) {
	access.add(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&p.TSA, "tsa", nil, "the authority's `URL` (default: the account's); repeat for more, asked in this order")
	f.StringArrayVar(&p.TSATrust, "tsa-trust", nil, "trust the timestamp anchors in this `file` and no others")
	f.StringVar(&p.Hash, "hash", "sha256", "`digest`: sha256, sha384 or sha512")
	f.StringVar(&p.Policy, "policy", "", "ask for this policy `OID`")
}

func newTSAVerifyCommand(a *app) *cobra.Command {
	var p client.StampVerifyParams
	cmd := &cobra.Command{
		Use:   "verify FILE --token FILE.tsr",
		Short: "Check a timestamp against its file",
		Long: `Checks that a timestamp is for this file, and by an authority that is trusted for timestamps. The timestamp may be a
response (.tsr) or a bare token, of this program or another, in DER or PEM. The exit code is 1 where it is not.

Whether the authority was revoked is looked up in what the token brings along, in the files that are named, and in what
was fetched before: one that ceased in good order was right until then, any other revocation takes the worth of all its
tokens. That its certificate has expired since is no more than a warning. Touches no network.

` + exitCodesHelp,
		Example: `  sealmail tsa verify report.pdf
  sealmail tsa verify report.pdf --token report.pdf.tsr --tsa-trust tsa-root.pem
  sealmail tsa verify - --token report.pdf.tsr --json < report.pdf`,
		Args: argCount(1, 1, "one file"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			if p.Token == "" && args[0] == "-" {
				return usagef("name the timestamp with --token FILE", "what comes from stdin has no timestamp beside it")
			}
			if p.Token == "" {
				p.Token = args[0] + ".tsr"
			}
			result, err := c.VerifyStamp(ctx, p, args[0])
			if err != nil {
				return err
			}
			if a.flags.json {
				return a.printJSON(result)
			}
			_, err = fmt.Fprintln(a.out, term.StampWords(result))
			return err
		}),
	}
	f := cmd.Flags()
	f.StringArrayVar(&p.CRLs, "crl", nil, "a revocation list, in this `file`; repeat for more")
	f.StringArrayVar(&p.OCSPResponses, "ocsp", nil, "an OCSP response, in this `file`; repeat for more")
	f.StringVar(&p.Token, "token", "", "the response or token, in this `file` (default: FILE.tsr)")
	f.StringArrayVar(&p.TSATrust, "tsa-trust", nil, "trust the timestamp anchors in this `file` and no others")
	return cmd
}

func newTSAServeCommand(a *app) *cobra.Command {
	var (
		p        client.TSAServeParams
		password secretFlags
	)
	cmd := &cobra.Command{
		Use:   "serve --listen ADDRESS --p12 FILE --policy OID --state DIR",
		Short: "Be a timestamp authority",
		Long: `Answers timestamp requests over HTTP. The first line on stdout is {"url":…} once it is ready; SIGTERM ends it with 0.
Refuses a certificate that is not fit.

Serial numbers are unique over restarts and kills, as long as --state is kept. With --ordering each token says a later
time than all before it: where the clock was set back, none is issued until it has caught up.

` + exitCodesHelp,
		Example: "  sealmail tsa serve --listen 127.0.0.1:0 --p12 tsa.p12 --p12-password-file secret --policy 1.3.6.1.4.1.99999.1 --state tsa-state\n" +
			"  sealmail tsa serve --listen 192.0.2.1:318 --p12 tsa.p12 --p12-password-file secret --policy 1.3.6.1.4.1.99999.1 --state tsa-state --accuracy 100ms --ordering --hash sha512",
		Args: argCount(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if p.P12 == "" || p.Policy == nil || p.State == "" {
				return usagef("see `sealmail tsa serve --help`", "--p12, --policy and --state are needed")
			}
			var err error
			if p.P12Password, err = password.read(ctx, a); err != nil {
				return err
			}
			return client.TSAServe(ctx, a.options(), p, func(url string) error {
				return a.printJSON(struct {
					URL string `json:"url"`
				}{url})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.Listen, "listen", "127.0.0.1:0", "listen at this `address`; port 0 takes a free one")
	f.StringVar(&p.P12, "p12", "", "the authority's certificate and key, in this PKCS#12 `file`")
	password.add(cmd, "p12-password", "the password of the PKCS#12 file")
	f.StringArrayVar(&p.Policy, "policy", nil, "a policy `OID` to issue under, the first being the default; repeat for more")
	f.StringVar(&p.State, "state", "", "the `folder` that keeps the serial numbers, and the time of the last token")
	f.DurationVar(&p.Accuracy, "accuracy", time.Second, "how far the clock may be off, stated in tokens; 0 states nothing (`duration`)")
	f.BoolVar(&p.Ordering, "ordering", false, "issue tokens that are ordered by their time")
	f.StringArrayVar(&p.Hashes, "hash", nil, "accept this `digest` in requests: sha256, sha384 or sha512; repeat for more (default: all three)")
	return cmd
}
