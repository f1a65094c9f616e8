package main

import (
	"context"
	"errors"
	"iter"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newVerifyCommand(a *app) *cobra.Command {
	var (
		p          client.VerifyParams
		keys       keyFlags
		at, output string
	)
	var cmd *cobra.Command
	cmd = &cobra.Command{
		Use:   "verify FILE… [-o FILE]",
		Short: "Judge the signatures of messages in files",
		Long: `Says of each message who signed it, when, and whether that is to be believed. FILE is a message (.eml), an mbox
file or a Maildir folder with any number of them, bare CMS (.p7m, .p7s with --content), or - for stdin. Touches no
network unless --online says so: then the responders and lists that the certificates of trusted paths name are asked
whether one was revoked.

The exit code is 0 only where every message passed; an unsigned message is 1.

With -o, what the signature covers goes to a file: the entity inside all layers, decrypted where it was encrypted, octet
for octet as it was signed. Nothing is written where the message does not pass; a file that is there already then stays
as it is. With -o - the entity goes to stdout, and what is said of the message to stderr.

` + exitCodesHelp,
		Example: `  sealmail verify mail.eml
  sealmail verify --trust root.pem --tsa-trust root.pem --json *.eml
  sealmail verify mail.eml -o content.eml
  sealmail verify mail.eml --crl issuing.crl --revocation hard
  sealmail verify --content report.pdf report.pdf.p7s --at 2026-11-21T10:00:00Z`,
		Args: argCount(1, -1, "at least one file"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) (err error) {
			if at != "" {
				if p.At, err = parseTime("at", at); err != nil {
					return err
				}
			}
			if cmd.Flags().Changed("output") {
				if err := a.checkVerifyTo(output, args); err != nil {
					return err
				}
			}
			if p.Keys, err = keys.read(ctx, a); err != nil {
				return err
			}
			p.Brief = !a.flags.json
			if output != "" {
				return a.verifyTo(ctx, c, p, args[0], output)
			}
			return a.verifyFiles(ctx, c, p, args)
		}),
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "", "write what the signature covers to this `file`, if the message passed; - is stdout")
	f.StringArrayVar(&p.Trust, "trust", nil, "trust the anchors in this `file` and no others (repeat for more); else the store's")
	f.StringArrayVar(&p.TSATrust, "tsa-trust", nil, "trust the timestamp anchors in this `file` and no others")
	f.StringVar(&p.Content, "content", "", "the content that a detached .p7s signs, in this `file`")
	f.StringVar(&at, "at", "", "judge as of this `time` (RFC 3339) instead of now")
	f.StringArrayVar(&p.CRLs, "crl", nil, "a `file` with revocation lists, in DER or PEM; repeat for more")
	f.StringArrayVar(&p.OCSPResponses, "ocsp", nil, "a `file` with an OCSP response, in DER; repeat for more")
	f.BoolVar(&p.Online, "online", false, "ask responders and distribution points about revocation")
	f.StringVar(&p.Revocation, "revocation", "soft", "what an unknown revocation status does, as a `word`: soft reports it, hard holds back the verdict, off does not ask")
	addAllowWeak(cmd, &p.AllowWeak)
	keys.add(cmd)
	return cmd
}

// verifyFiles judges each file; one that cannot be read does not stop the others, and outranks a bad verdict.
func (a *app) verifyFiles(ctx context.Context, c *client.Client, p client.VerifyParams, files []string) error {
	first := true
	return tellEach(a, c.Verify(ctx, p, files), func(report *client.Report) (good bool, err error) {
		if a.flags.json {
			err = a.printJSON(report)
		} else {
			err = term.PrintVerified(a.out, report, len(files) > 1 || report.File != nil && *report.File != files[0], !first)
		}
		first = false
		return report.Verdict == "passed", err
	})
}

// tellEach tells of results. One that could not be had does not stop the others, and outranks one that is not good.
func tellEach[T any](a *app, results iter.Seq2[T, error], tell func(T) (good bool, err error)) error {
	var broken error
	allGood := true
	for result, err := range results {
		if err != nil {
			printError(a.err, broken, a.errColor)
			broken = err
			continue
		}
		good, err := tell(result)
		if err != nil {
			return err
		}
		allGood = allGood && good
	}
	switch {
	case broken != nil:
		return broken
	case !allGood:
		return errAnswerIsNo
	}
	return nil
}

// checkVerifyTo refuses words that do not go together with -o.
func (a *app) checkVerifyTo(output string, files []string) error {
	switch {
	case output == "":
		return usagef("name a file, or - for stdout", "-o is empty")
	case len(files) > 1:
		return usagef("verify them one by one", "-o writes the content of one message, and %d are named", len(files))
	case output == "-" && a.flags.json:
		return usagef("write the content to a file", "--json and -o - both want stdout")
	}
	return nil
}

// verifyTo judges one file and writes its content.
func (a *app) verifyTo(ctx context.Context, c *client.Client, p client.VerifyParams, file, output string) error {
	if err := a.checkRaw(output); err != nil {
		return err
	}
	report, err := c.VerifyTo(ctx, p, file, client.Output{Name: output, Stdout: a.out})
	if err != nil {
		return err
	}
	switch {
	case a.flags.json:
		err = a.printJSON(report)
	case output == "-":
		err = term.PrintVerified(a.err, report, false, false)
	default:
		err = term.PrintVerified(a.out, report, false, false)
	}
	if err == nil && report.Verdict != "passed" {
		err = errAnswerIsNo
	}
	return err
}

// addAllowWeak adds the flag that old mail needs.
func addAllowWeak(cmd *cobra.Command, allow *bool) {
	cmd.Flags().BoolVar(allow, "allow-weak", false, "accept SHA-1 and short RSA keys, and open 3DES and RC2")
}

func newDecryptCommand(a *app) *cobra.Command {
	var (
		p    client.DecryptParams
		keys keyFlags
	)
	return a.filterCommand(&cobra.Command{
		Use:   "decrypt [FILE] -o FILE",
		Short: "Take the encryption off a message in a file",
		Long: `Writes the MIME entity that was encrypted, signature included if there is one. Nothing is written before the whole
message was checked: an altered message leaves no output.

` + exitCodesHelp,
		Example: "  sealmail decrypt mail.eml -o clear.eml\n  sealmail decrypt --p12 bob.p12 --p12-password-file secret < mail.eml > clear.eml",
	}, func(cmd *cobra.Command) {
		keys.add(cmd)
		addAllowWeak(cmd, &p.AllowWeak)
	}, func(ctx context.Context, c *client.Client, in string, out client.Output) (err error) {
		if err := a.checkRaw(out.Name); err != nil {
			return err
		}
		if p.Keys, err = keys.read(ctx, a); err != nil {
			return err
		}
		return c.Decrypt(ctx, p, in, out)
	})
}

func newSignCommand(a *app) *cobra.Command {
	var s signFlags
	return a.filterCommand(&cobra.Command{
		Use:   "sign [FILE] -o FILE",
		Short: "Sign a MIME entity or a message in a file",
		Long: `Signs a MIME entity with your certificate, by default as multipart/signed. A whole message keeps its header outside, and
gets a protected copy of it inside (RFC 9788). With an account that has a timestamp authority, the signature is
timestamped.

With --bare the signature goes out alone, without MIME around it (a .p7s, or with --opaque a .p7m): for programs that
write the entity themselves, as mutt does.

` + exitCodesHelp,
		Example: `  sealmail sign mail.eml -o signed.eml
  sealmail sign --opaque --p12 alice.p12 --p12-password-file secret < part > signed
  sealmail sign --bare part -o smime.p7s`,
	}, func(cmd *cobra.Command) {
		s.add(cmd)
		addBare(cmd, &s.p.Bare)
	}, func(ctx context.Context, c *client.Client, in string, out client.Output) error {
		if s.p.Bare {
			if err := a.checkRaw(out.Name); err != nil {
				return err
			}
		}
		p, err := s.read(ctx, a)
		if err != nil {
			return err
		}
		return c.Sign(ctx, p, in, out)
	})
}

func newEncryptCommand(a *app) *cobra.Command {
	var (
		p    client.EncryptParams
		s    signFlags
		sign bool
	)
	return a.filterCommand(&cobra.Command{
		Use:   "encrypt [FILE] --to ADDRESS|CERTIFICATE… -o FILE",
		Short: "Encrypt a MIME entity or a message in a file",
		Long: `Encrypts a MIME entity to each recipient, named by address (their certificate is looked up in the store) or by a
certificate file. A whole message keeps its header outside, less what --header-confidentiality hides (RFC 9788): by
default subject, comments and keywords, with shy the names of people and the time zone as well, with none nothing.
Unless all recipients are known to have programs that read protected headers, what is hidden also stands at the
start of the text. A message that is signed already is left as it is.

With --sign the entity is signed first, as sign does it, and the signed one is encrypted: at once, and without a file in
between. The header is protected once, inside the signature.

With --bare the encrypted message goes out without MIME around it (a .p7m): for programs that write the entity
themselves, as mutt does.

` + exitCodesHelp,
		Example: `  sealmail encrypt signed.eml --to bob@example.org -o sealed.eml
  sealmail encrypt --sign mail.eml --to bob@example.org -o sealed.eml
  sealmail encrypt mail.eml --to bob@example.org --header-confidentiality shy -o sealed.eml
  sealmail encrypt --to ./bob.pem --cipher aes-256-gcm < part > sealed`,
	}, func(cmd *cobra.Command) {
		cmd.Flags().BoolVar(&sign, "sign", false, "sign it before it is encrypted; the flags for keys and timestamps are those of sign")
		s.add(cmd)
		cmd.Flags().StringArrayVar(&p.To, "to", nil, "encrypt to this `address`, or to the certificate in this file; repeat for more")
		addBare(cmd, &p.Bare)
		addHeaderConfidentiality(cmd, &p.HeaderConfidentiality)
		cmd.Flags().StringVar(&p.Cipher, "cipher", "", "`cipher`: aes-256-gcm or aes-256-cbc, or 128 in place of 256 (default: what all recipients are known to take)")
	}, func(ctx context.Context, c *client.Client, in string, out client.Output) error {
		if p.Bare {
			if err := a.checkRaw(out.Name); err != nil {
				return err
			}
		}
		if len(p.To) == 0 {
			return usagef("name one with --to", "encrypting needs a recipient")
		}
		switch {
		case sign:
			signing, err := s.read(ctx, a)
			if err != nil {
				return err
			}
			p.Sign = &signing
		case s.given():
			return usagef("add --sign", "keys and timestamps are for signing, which is not asked for")
		}
		return c.Encrypt(ctx, p, in, out)
	})
}

// checkRaw refuses to write the octets of a message, or of CMS, to a terminal, which would take some of them for commands.
func (a *app) checkRaw(output string) error {
	if output == "-" && a.outIsTerminal {
		return usagef("write to a file, or pipe it; `sealmail read` shows a message", "what a message holds is not written to a terminal as it is")
	}
	return nil
}

// addBare adds the flag for programs that write the MIME entity themselves.
func addBare(cmd *cobra.Command, bare *bool) {
	cmd.Flags().BoolVar(bare, "bare", false, "write CMS in binary, without MIME around it")
}

// filterCommand completes a command that reads one file or stdin and writes one file or stdout.
func (a *app) filterCommand(cmd *cobra.Command, flags func(*cobra.Command), run func(context.Context, *client.Client, string, client.Output) error) *cobra.Command {
	var output string
	cmd.Args = argCount(0, 1, "at most one file")
	cmd.Flags().StringVarP(&output, "output", "o", "-", "write to this `file`; - is stdout")
	flags(cmd)
	cmd.RunE = a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
		if a.flags.json {
			return usagef("this command prints a message", "%s has no JSON output", cmd.CommandPath())
		}
		if output == "" {
			return usagef("name a file, or - for stdout", "-o is empty")
		}
		in := "-"
		if len(args) == 1 {
			in = args[0]
		}
		err := run(ctx, c, in, client.Output{Name: output, Stdout: a.out})
		var known *client.Error
		if errors.As(err, &known) && known.What == "" {
			known.What = cmd.Name()
		}
		return err
	})
	return cmd
}
