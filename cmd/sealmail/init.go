package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newInitCommand(a *app) *cobra.Command {
	var (
		p        client.InitParams
		password secretFlags
		p12      secretFlags
		tsa      tsaFlags
	)
	cmd := &cobra.Command{
		Use:   "init ADDRESS --imap URL --smtp URL",
		Short: "Set up an account",
		Long: `Sets up an account: its servers, its certificate and key, what it trusts. The password and the key go into the vault,
which is made at first need with the passphrase given then, or --unprotected. The servers are tried at once, unless
--no-check; nothing is written where something fails.

An authority that wants to know who asks gets a table [tsa."URL"] in the configuration, by --tsa-user and --tsa-p12; the
passwords go into the vault.

imaps:// and submissions:// mean TLS from the start, imap:// and submission:// mean STARTTLS, which is required.

` + exitCodesHelp,
		Example: `  sealmail init alice@example.org --imap imaps://imap.example.org --smtp submissions://smtp.example.org \
    --password-file pw --p12 alice.p12 --p12-password-file p12pw --trust root.pem \
    --tsa https://tsa.example.org --tsa-trust tsa-root.pem --passphrase-file pass`,
		Args: argCount(1, 1, "one address"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			p.Address = args[0]
			p.Name = a.flags.account
			if p.Access, err = tsa.access(p.TSA); err != nil {
				return err
			}
			if err := c.CheckInit(p); err != nil {
				return err
			}
			if p.Password, err = password.read(ctx, a); err != nil {
				return err
			}
			if len(p.P12) > 0 {
				if p.P12Password, err = p12.read(ctx, a); err != nil {
					return err
				}
			}
			if err := tsa.readSecrets(ctx, a, p.Access); err != nil {
				return err
			}
			result, err := c.Init(ctx, p)
			if err != nil {
				return err
			}
			if a.flags.json {
				return a.printJSON(result)
			}
			return term.PrintInit(a.out, result)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&p.IMAP, "imap", "", "where mail is read: imaps://HOST:PORT or imap://HOST:PORT")
	f.StringVar(&p.SMTP, "smtp", "", "where mail is sent: submissions://HOST:PORT or submission://HOST:PORT")
	f.StringVar(&p.User, "user", "", "the user `name` at the servers (default: the address)")
	f.StringVar(&p.DisplayName, "display-name", "", "the `name` to write beside the address in From")
	password.add(cmd, "password", "the password for the servers")
	f.StringArrayVar(&p.ServerCA, "server-ca", nil, "trust the anchors in this `file` for the servers, beside the system's")
	f.StringArrayVar(&p.P12, "p12", nil, "your certificate and key, in this PKCS#12 `file`; repeat for more")
	p12.add(cmd, "p12-password", "the password of the PKCS#12 file")
	f.StringArrayVar(&p.Trust, "trust", nil, "trust the anchors in this `file` for mail; repeat for more")
	f.StringArrayVar(&p.TSA, "tsa", nil, "ask the timestamp authority at this `URL`; repeat for more, asked in this order")
	f.StringArrayVar(&p.TSATrust, "tsa-trust", nil, "trust the anchors in this `file` for timestamps; repeat for more")
	f.StringVar(&p.Timestamp, "timestamp", "", "`policy`: required (the default with --tsa), preferred, or off")
	f.BoolVar(&p.NoCheck, "no-check", false, "do not try the servers")
	f.BoolVar(&a.flags.unprotected, "unprotected", false, "keep the vault without a passphrase: who reads the disk reads the keys")
	f.BoolVar(&p.InsecureLoopback, "insecure-loopback", false, "allow clear text to a loopback address, and nowhere else")
	tsa.add(cmd)
	return cmd
}

func newDoctorCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check everything an account needs",
		Long: `Checks the configuration, the vault, certificates and keys, trust anchors, the servers and the timestamp authority;
names what is wrong, and how to mend it. The exit code is 1 where something is.

` + exitCodesHelp,
		Example: "  sealmail doctor\n  sealmail doctor --json",
		Args:    argCount(0, 0, "no arguments"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, _ []string) (err error) {
			healthy := true
			for finding := range c.Doctor(ctx) {
				healthy = healthy && finding.Status != client.FindingBad
				if a.flags.json {
					err = a.printJSON(finding)
				} else {
					err = term.PrintFinding(a.out, finding)
				}
				if err != nil {
					return err
				}
			}
			if !healthy {
				return errAnswerIsNo
			}
			return nil
		}),
	}
}
