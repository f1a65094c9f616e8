package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newCertShareCommand(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "share ADDRESS",
		Short: "Send somebody your certificate, and ask for theirs",
		Long: `Sends a mail that is signed and not encrypted: your certificate comes with the signature, and the text asks for a
signed answer. Most mail programs keep the certificate, and can encrypt to you from then on; theirs is kept here when
you fetch the answer.

` + exitCodesHelp,
		Example: "  sealmail cert share bob@example.org",
		Args:    argCount(1, 1, "one address"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			result, err := c.CertShare(ctx, args[0], dryRun)
			if result != nil && (result.State != nil || a.flags.json) {
				if printErr := a.printSend(result); printErr != nil {
					return printErr
				}
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be sent, and send nothing")
	return cmd
}

func newCertFindCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "find ADDRESS",
		Short: "Show which certificate mail to an address is encrypted to, and why",
		Long: `Lists the certificates in the store that name an address, in the order in which they would be taken, with the reason
for each that would not be. A certificate is taken that speaks for the address, is valid now, is for encryption, has a
path to an anchor for mail and is not known to be revoked; of several the one that its owner named last, then the
newest, then the one with the strongest key.

The exit code is 1 where none can be used.

` + exitCodesHelp,
		Example: "  sealmail cert find bob@example.org --json",
		Args:    argCount(1, 1, "one address"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			found, err := c.CertFind(ctx, args[0])
			if err != nil {
				return err
			}
			if a.flags.json {
				err = a.printJSON(found)
			} else {
				err = term.PrintFound(a.out, found)
			}
			if err == nil && found.Certificate == nil {
				err = errAnswerIsNo
			}
			return err
		}),
	}
}

func newCertForgetCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "forget FINGERPRINT|ADDRESS",
		Short: "Remove a correspondent's certificate, or a request of yours",
		Long: `Removes certificates of a correspondent, and what is known of them. Nothing else ever does. A certificate of your own is
not forgotten, because its key opens old mail.

A request for which no certificate has come is forgotten with its key, which is destroyed: the vault gets a new root
and a new device secret, for which its passphrase is needed. A certificate that comes for the request later is of no
use to you. Copies of the vault together with its old device secret, as in a backup, still hold the key. It stays
where a certificate for it is in the store, as when the request was to renew one with --same-key.

` + exitCodesHelp,
		Example: "  sealmail cert forget 3f9c2a7b\n  sealmail cert forget bob@example.org --yes",
		Args:    argCount(1, 1, "one fingerprint or address"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			forgotten, err := c.CertForget(ctx, args[0], func(lines []client.CertificateLine) error {
				return a.confirm(forgetQuestion(lines))
			})
			if err != nil {
				return err
			}
			return a.printCertificates(forgotten)
		}),
	}
}

// forgetQuestion names what is to be forgotten, and what is destroyed with it.
func forgetQuestion(lines []client.CertificateLine) string {
	var certificates, requests []string
	destroyed := 0
	for _, line := range lines {
		name := fmt.Sprintf("%s (%.16s…)", term.Line(line.Subject), line.Fingerprint)
		if line.Kind == "request" {
			requests = append(requests, name)
		} else {
			certificates = append(certificates, name)
		}
		if line.Key != nil && *line.Key == client.KeyDestroyed {
			destroyed++
		}
	}
	var parts []string
	if len(certificates) > 0 {
		parts = append(parts, "the certificate of "+strings.Join(certificates, ", "))
	}
	if len(requests) > 0 {
		parts = append(parts, "the request for "+strings.Join(requests, ", "))
	}
	switch {
	case destroyed == 1:
		parts = append(parts, "destroy its private key")
	case destroyed > 1:
		parts = append(parts, fmt.Sprintf("destroy %d private keys", destroyed))
	}
	return "Forget " + strings.Join(parts, " and ") + "?"
}
