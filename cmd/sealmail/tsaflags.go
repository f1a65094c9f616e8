package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
)

// tsaFlags say what a timestamp authority knows this client by, where it wants to know.
type tsaFlags struct {
	user, p12             string
	password, p12Password secretFlags
	loopback              bool
}

// add defines the flags, and for a command that has none yet --insecure-loopback.
func (t *tsaFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&t.user, "tsa-user", "", "the user `name` at the authority of --tsa (HTTP basic authentication, over https)")
	t.password.add(cmd, "tsa-password", "the password for the authority")
	f.StringVar(&t.p12, "tsa-p12", "", "show the authority of --tsa the certificate in this PKCS#12 `file`, inside TLS")
	t.p12Password.add(cmd, "tsa-p12-password", "the password of the PKCS#12 file for the authority")
	if f.Lookup("insecure-loopback") == nil {
		f.BoolVar(&t.loopback, "insecure-loopback", false, "send the authority's password to a loopback address over http too")
	}
}

func (t *tsaFlags) given() bool {
	return t.user != "" || t.p12 != "" || t.password.given() || t.p12Password.given()
}

// access returns what the flags say, without the secrets; nil where they say nothing. urls are those of --tsa.
func (t *tsaFlags) access(urls []string) (*client.TSAAccess, error) {
	if !t.given() {
		return nil, nil
	}
	switch {
	case t.user == "" && t.password.given():
		return nil, usagef("name the user with --tsa-user", "a password is given for no user of a timestamp authority")
	case t.p12 == "" && t.p12Password.given():
		return nil, usagef("name the file with --tsa-p12", "a password is given for no PKCS#12 file of a timestamp authority")
	case len(urls) == 0:
		return nil, usagef("name the authority with --tsa URL", "--tsa-user and --tsa-p12 are for an authority that is named")
	case len(urls) > 1:
		return nil, usagef("for several, give each a table [tsa.\"URL\"] in the configuration", "--tsa-user and --tsa-p12 are for one authority, and --tsa names %d", len(urls))
	}
	return &client.TSAAccess{User: t.user, P12: t.p12, InsecureLoopback: t.loopback}, nil
}

// readSecrets puts the secrets in.
func (t *tsaFlags) readSecrets(ctx context.Context, a *app, access *client.TSAAccess) (err error) {
	if access == nil {
		return nil
	}
	if access.User != "" {
		if access.Password, err = t.password.read(ctx, a); err != nil {
			return err
		}
	}
	if access.P12 != "" {
		access.P12Password, err = t.p12Password.read(ctx, a)
	}
	return err
}

// read is access with its secrets.
func (t *tsaFlags) read(ctx context.Context, a *app, urls []string) (*client.TSAAccess, error) {
	access, err := t.access(urls)
	if err != nil {
		return nil, err
	}
	return access, t.readSecrets(ctx, a, access)
}
