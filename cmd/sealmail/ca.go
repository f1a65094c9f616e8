package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

func newCACommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "A small certificate authority for a team",
		Long: `Makes a certificate authority in a folder, issues certificates for people, mail servers and timestamps, revokes them,
and says to all who ask which are revoked.

` + exitCodesHelp,
		Example: `  sealmail ca init --dir ca --name "Example CA" --ca-passphrase-file secret
  sealmail ca issue --dir ca --ca-passphrase-file secret --key p256 --purpose mail --email alice@example.org -o alice.p12 --p12-password-file p12pw`,
	}
	cmd.AddCommand(newCAInitCommand(a), newCAIssueCommand(a), newCARevokeCommand(a), newCACRLCommand(a), newCAOCSPCommand(a), newCAServeCommand(a))
	return cmd
}

// caPassphrase protects the keys of an authority.
type caPassphrase struct {
	secretFlags
	unprotected bool
}

func (s *caPassphrase) add(cmd *cobra.Command) {
	s.secretFlags.add(cmd, "ca-passphrase", "the passphrase of the authority's keys")
}

func newCAInitCommand(a *app) *cobra.Command {
	var (
		p          client.CAInitParams
		passphrase caPassphrase
	)
	cmd := &cobra.Command{
		Use:   "init --dir DIR --name NAME",
		Short: "Make a root and an issuing authority",
		Long: `Makes a certificate authority in a folder: a root, and below it two issuers, for mail and for servers and timestamps.
Writes root.pem (the trust anchor), issuing.pem, services.pem and chain.pem. Refuses a folder that holds an authority
already. The folder keys/root can be moved away: it is needed to revoke an issuer, and once a year for ` + "`ca crl --root`" + `.

` + exitCodesHelp,
		Example: "  sealmail ca init --dir ca --name \"Example CA\" --ca-passphrase-file secret",
		Args:    argCount(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.Dir == "" || p.Name == "" {
				return usagef("--dir says where, --name says whose it is", "an authority needs a folder and a name")
			}
			if passphrase.given() && passphrase.unprotected {
				return usagef("give one of the two", "--unprotected and a passphrase exclude each other")
			}
			if err := checkDays(cmd, p.Days); err != nil {
				return err
			}
			p.Unprotected = passphrase.unprotected
			if !p.Unprotected {
				var err error
				if p.Passphrase, err = passphrase.choose(cmd.Context(), a); err != nil {
					return err
				}
			}
			result, err := client.CAInit(cmd.Context(), a.options(), p)
			if err != nil {
				return err
			}
			if a.flags.json {
				return a.printJSON(result)
			}
			return term.PrintCAInit(a.out, result)
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.Dir, "dir", "", "the authority's `folder`")
	f.StringVar(&p.Name, "name", "", "the authority's `name`")
	f.StringVar(&p.Organization, "organization", "", "the organization's `name`")
	f.StringVar(&p.Key, "key", "p256", "`kind` of keys: p256, p384 or rsa3072")
	f.IntVar(&p.Days, "days", 3650, "`days` that the root is valid")
	f.StringVar(&p.BaseURL, "base-url", "", "`URL` below which issuers, CRLs and OCSP will be served")
	passphrase.add(cmd)
	f.BoolVar(&passphrase.unprotected, "unprotected", false, "keep the authority's keys without a passphrase")
	return cmd
}

// checkDays refuses a validity of no days, which is no wish for the default one.
func checkDays(cmd *cobra.Command, days int) error {
	if cmd.Flags().Changed("days") && days < 1 {
		return usagef("leave it out for the default", "--days must be 1 or more")
	}
	return nil
}

func newCAIssueCommand(a *app) *cobra.Command {
	var (
		p                   client.CAIssueParams
		passphrase          caPassphrase
		password            secretFlags
		notBefore, notAfter string
		days                int
	)
	cmd := &cobra.Command{
		Use:   "issue --dir DIR --purpose PURPOSE {--key KIND | --csr FILE} -o FILE",
		Short: "Issue a certificate",
		Long: `Issues a certificate for a key made here (--key) or for a certificate request (--csr). The output is PKCS#12 with key
and chain where it ends in .p12, else PEM. A certificate that can encrypt, for a key made here, says that its owner's
sealmail takes AES-GCM.

` + exitCodesHelp,
		Example: `  sealmail ca issue --dir ca --ca-passphrase-file secret --key p256 --purpose mail --email alice@example.org --name "Alice Adams" -o alice.p12 --p12-password-file p12pw
  sealmail ca issue --dir ca --ca-passphrase-file secret --key p256 --purpose tls --dns mail.example.org -o server.pem`,
		Args: argCount(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			var err error
			switch {
			case p.Dir == "" || p.Output.Name == "" || p.Purpose == "":
				return usagef("see `sealmail ca issue --help`", "--dir, --purpose and -o are needed")
			case (p.Key == "") == (p.CSR == ""):
				return usagef("--key makes a key here, --csr takes a request", "give one of --key and --csr")
			case notAfter != "" && days != 0:
				return usagef("give one of the two", "--not-after and --days exclude each other")
			}
			if err := checkDays(cmd, days); err != nil {
				return err
			}
			if notBefore != "" {
				if p.NotBefore, err = parseTime("not-before", notBefore); err != nil {
					return err
				}
			}
			if notAfter != "" {
				if p.NotAfter, err = parseTime("not-after", notAfter); err != nil {
					return err
				}
			}
			p.Validity = time.Duration(days) * 24 * time.Hour
			p.Passphrase = func() ([]byte, error) { return passphrase.read(ctx, a) }
			if strings.HasSuffix(p.Output.Name, ".p12") {
				if p.P12Password, err = password.choose(ctx, a); err != nil {
					return err
				}
			}
			p.Output.Stdout = a.out
			result, err := client.CAIssue(ctx, a.options(), p)
			switch {
			case err != nil || p.Output.Name == "-":
				return err
			case a.flags.json:
				return a.printJSON(result)
			}
			return term.PrintIssued(a.out, result)
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.Dir, "dir", "", "the authority's `folder`")
	f.StringVar(&p.Purpose, "purpose", "", "`purpose`: mail, sign, encrypt, tsa, archive or tls")
	f.StringVar(&p.Key, "key", "", "make a key of this `kind`: p256, p384, rsa2048, rsa3072 or ed25519")
	f.StringVar(&p.CSR, "csr", "", "certify the key of the request in this `file`")
	f.StringArrayVar(&p.Email, "email", nil, "an `address` of the owner; repeat for more")
	f.StringArrayVar(&p.DNS, "dns", nil, "a host `name` or IP address of the server; repeat for more")
	f.StringVar(&p.Name, "name", "", "the owner's `name`")
	f.StringVar(&p.Organization, "organization", "", "the owner's organization's `name`")
	f.StringVar(&notBefore, "not-before", "", "valid from this `time` (RFC 3339)")
	f.StringVar(&notAfter, "not-after", "", "valid to this `time` (RFC 3339)")
	f.IntVar(&days, "days", 0, "`days` of validity (default: two years, for servers 397 days, for timestamps more)")
	f.StringVarP(&p.Output.Name, "output", "o", "", "write to this `file`: .p12, or anything else for PEM; - is stdout")
	passphrase.add(cmd)
	password.add(cmd, "p12-password", "the password for the PKCS#12 file")
	return cmd
}
