package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// initWords are the words of `init`.
type initWords struct {
	p                   client.InitParams
	password, p12       secretFlags
	tsa                 tsaFlags
	reference, database bool
}

func newInitCommand(a *app) *cobra.Command {
	var w initWords
	cmd := &cobra.Command{
		Use:   "init ADDRESS",
		Short: "Set up an account",
		Long: `Sets up an account: its servers, its certificate and key, what it trusts. The password and the key go into the vault,
which is made at first need with the passphrase given then, or --unprotected. The servers and timestamp authorities are
tried at once, unless --no-check; nothing is written where something fails. What is not given is asked at a terminal;
without one, an error names all that is missing.

Without --imap or --smtp the server is looked for: by the SRV records of the domain; by the page at autoconfig.DOMAIN or
https://DOMAIN/.well-known/autoconfig; with --ispdb in the public database of Thunderbird, which learns the domain; then
by trying imap.DOMAIN, smtp.DOMAIN and mail.DOMAIN. Only servers with TLS and a certificate for their name are taken.
One outside the domain that only the DNS or the database names has to be confirmed. The address is sent nowhere.
-v tells each step.

imaps:// and submissions:// mean TLS from the start, imap:// and submission:// mean STARTTLS, which is required.

--store has mail read from files that other programs deliver to: maildir:/PATH, or mbox:/PATH for a directory of mbox
files or one such file. The password is then for the server that mail is sent by.

The password is copied into the vault. With --password-reference it stays where --password-file or --password-command
has it, and is read there each time. A server that wants OAuth 2.0 is shown the token that --oauth-token-command prints.

An authority that wants to know who asks gets a table [tsa."URL"] in the configuration, by --tsa-user and --tsa-p12; the
passwords go into the vault.

` + exitCodesHelp,
		Example: `  sealmail init alice@example.org
  sealmail init alice@example.org --password-file pw --p12 alice.p12 --p12-password-file p12pw --passphrase-file pass
  sealmail init alice@example.org --imap imaps://imap.example.org --smtp submissions://smtp.example.org \
    --password-file pw --p12 alice.p12 --p12-password-file p12pw --trust root.pem \
    --tsa https://tsa.example.org --tsa-trust tsa-root.pem --passphrase-file pass
  sealmail init alice@example.org --store maildir:/home/alice/Maildir --smtp submissions://smtp.example.org
  sealmail init alice@example.org --oauth-token-command 'oama access alice@example.org'`,
		Args: argCount(1, 1, "one address"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			w.p.Address, w.p.Name = args[0], a.flags.account
			result, err := a.init(ctx, c, &w)
			if err != nil {
				return err
			}
			if a.flags.json {
				return a.printJSON(result)
			}
			return term.PrintInit(a.out, result)
		}),
	}
	p, f := &w.p, cmd.Flags()
	f.StringVar(&p.IMAP, "imap", "", "where mail is read: imaps://HOST:PORT or imap://HOST:PORT (default: looked for)")
	f.StringVar(&p.Store, "store", "", "where mail is in `files`, in place of --imap: maildir:/PATH or mbox:/PATH")
	f.StringVar(&p.SMTP, "smtp", "", "where mail is sent: submissions://HOST:PORT or submission://HOST:PORT (default: looked for)")
	f.BoolVar(&w.database, "ispdb", false, "also look for servers in Thunderbird's database, which learns the domain")
	f.StringVar(&p.User, "user", "", "the user `name` at the servers (default: the address)")
	f.StringVar(&p.DisplayName, "display-name", "", "the `name` to write beside the address in From")
	w.password.add(cmd, "password", "the password for the servers")
	f.BoolVar(&w.reference, "password-reference", false, "read the password anew each time from where it is, and keep no copy")
	f.StringVar(&p.OAuthTokenCommand, "oauth-token-command", "", "log in with the OAuth 2.0 access token that this `command` prints each time")
	f.StringArrayVar(&p.ServerCA, "server-ca", nil, "trust the anchors in this `file` for the servers, beside the system's")
	f.StringArrayVar(&p.P12, "p12", nil, "your certificate and key, in this PKCS#12 `file`; repeat for more")
	w.p12.add(cmd, "p12-password", "the password of the PKCS#12 file")
	f.StringArrayVar(&p.Trust, "trust", nil, "trust the anchors in this `file` for mail; repeat for more")
	f.StringArrayVar(&p.TSA, "tsa", nil, "ask the timestamp authority at this `URL`; repeat for more, asked in this order")
	f.StringArrayVar(&p.TSATrust, "tsa-trust", nil, "trust the anchors in this `file` for timestamps; repeat for more")
	f.StringVar(&p.Timestamp, "timestamp", "", "`policy`: required (the default with --tsa), preferred, or off")
	f.BoolVar(&p.Default, "default", false, "use this account where a command names none")
	f.BoolVar(&p.NoCheck, "no-check", false, "do not try the servers and the authorities, and guess no servers")
	f.BoolVar(&a.flags.unprotected, "unprotected", false, "keep the vault without a passphrase: who reads the disk reads the keys")
	f.BoolVar(&p.InsecureLoopback, "insecure-loopback", false, "allow clear text to a loopback address, and nowhere else")
	w.tsa.add(cmd)
	return cmd
}
