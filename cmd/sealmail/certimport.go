package main

import (
	"context"
	"os/user"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newCertImportCommand(a *app) *cobra.Command {
	var (
		p        client.CertImportParams
		password secretFlags
	)
	cmd := &cobra.Command{
		Use:   "import FILE…",
		Short: "Take certificates and keys into the store",
		Long: `Imports PEM, DER, PKCS#7 and PKCS#12 files. A key with its certificate becomes an identity of yours, a certificate alone
that of a correspondent; key and certificate may be in two of the files, and the certificate of a key that is here
already makes that an identity. Nothing becomes trusted by this: for that there is ` + "`sealmail cert trust`" + `.

All files are read before anything is stored: where one of them cannot be used, all stays as it was. What is stored
when an import is interrupted, or the disk is full, stays, and it is said how much that is. What is odd in a file is
named and passed over. The network is not touched, unless --fetch-issuers says so: then certificates of
authorities that are missing are asked for where the certificates say that they are, and kept if the signature fits.

` + exitCodesHelp,
		Example: "  sealmail cert import bob.pem\n  sealmail cert import alice.p12 --p12-password-file secret\n  sealmail cert import key.pem certificate.pem",
		Args:    argCount(1, -1, "at least one file"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			p.Files, p.Password = args, password.forFiles(ctx, a)
			printed := false
			p.Imported = func(lines []client.CertificateLine) error {
				if printed && !a.flags.json {
					return term.PrintMoreCertificates(a.out, lines)
				}
				printed = true
				return a.printCertificates(lines)
			}
			_, err := c.CertImport(ctx, p)
			return err
		}),
	}
	password.add(cmd, "p12-password", "the password of the PKCS#12 file or the encrypted key")
	cmd.Flags().BoolVar(&p.FetchIssuers, "fetch-issuers", false, "get missing certificates of authorities from where the certificates say")
	cmd.Flags().BoolVar(&p.InsecureLoopback, "insecure-loopback", false, "with --fetch-issuers: ask this machine too")
	cmd.Flags().BoolVar(&a.flags.unprotected, "unprotected", false, "if the vault has to be made: without a passphrase")
	return cmd
}

// forFiles returns a function that gives the password of a file: what the flags say is for all of them, and is read once; a
// person at the terminal is asked for each.
func (s *secretFlags) forFiles(ctx context.Context, a *app) func(file string) ([]byte, error) {
	var given []byte
	return func(file string) ([]byte, error) {
		if !s.given() {
			one := secretFlags{what: "the password of " + filepath.Base(file)}
			return one.read(ctx, a)
		}
		if given != nil {
			return given, nil
		}
		secret, err := s.read(ctx, a)
		if err == nil {
			given = append([]byte{}, secret...)
		}
		return given, err
	}
}

func newCertExportCommand(a *app) *cobra.Command {
	var (
		p        client.CertExportParams
		password secretFlags
		output   string
	)
	cmd := &cobra.Command{
		Use:   "export FINGERPRINT|ADDRESS -o FILE",
		Short: "Write a certificate, or an identity with its key, to a file",
		Long: `Writes a certificate and those of its issuers as PEM, or, where FILE ends in .p7c or .p7b, as PKCS#7; where it ends in
.der or .cer, the certificate alone. With --key, and only then, the private key goes along: FILE must be a .p12, and
needs a password. That a key was exported is written down in the store: destroyed here, it lives on there.

With --legacy the file is encrypted as old programs want it (GnuPG 2.2, Windows Server 2016, macOS 10.14), which makes
guessing the password cheap.

` + exitCodesHelp,
		Example: "  sealmail cert export alice@example.org -o alice.pem\n  sealmail cert export alice@example.org --key -o alice.p12 --p12-password-file secret",
		Args:    argCount(1, 1, "one certificate"),
		RunE: a.withClient(func(ctx context.Context, c *client.Client, args []string) error {
			p.Which, p.By = args[0], userName()
			p.Password = func() ([]byte, error) { return password.choose(ctx, a) }
			p.Replace = a.mayReplace
			return c.CertExport(ctx, p, client.Output{Name: output, Stdout: a.out})
		}),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "-", "write to this `file`; - is stdout")
	cmd.Flags().BoolVar(&p.WithKey, "key", false, "export the private key too")
	cmd.Flags().BoolVar(&p.Legacy, "legacy", false, "with --key: encrypt it as old programs want it")
	password.add(cmd, "p12-password", "the password for the PKCS#12 file")
	return cmd
}

// userName is what the machine calls the person.
func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}
