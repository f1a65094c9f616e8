package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sealmail/sealmail/internal/client"
)

// keyFlags give a key for one command, in place of the store's.
type keyFlags struct {
	p12       []string
	password  secretFlags
	key, cert []string
}

func (k *keyFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&k.p12, "p12", nil, "use the key in this PKCS#12 `file` in place of the store's")
	k.password.add(cmd, "p12-password", "the password of the PKCS#12 file")
	cmd.Flags().StringArrayVar(&k.key, "key", nil, "use the private key in this PEM or DER `file` in place of the store's")
	cmd.Flags().StringArrayVar(&k.cert, "cert", nil, "certificates that belong to --key, or may be needed to verify, from this `file`")
}

func (k *keyFlags) given() bool {
	return len(k.p12)+len(k.key)+len(k.cert) > 0 || k.password.given()
}

func (k *keyFlags) read(ctx context.Context, a *app) (client.KeyFiles, error) {
	files := client.KeyFiles{P12: k.p12, Key: k.key, Cert: k.cert}
	if len(k.p12) == 0 && !k.password.given() {
		return files, nil
	}
	if len(k.p12)+len(k.key) == 0 {
		return files, usagef("name the file with --p12", "a password is given for no PKCS#12 file")
	}
	var err error
	files.P12Password, err = k.password.read(ctx, a)
	return files, err
}

// signFlags say how to sign a file.
type signFlags struct {
	keys keyFlags
	tsa  tsaFlags
	p    client.SignParams
}

func (s *signFlags) add(cmd *cobra.Command) {
	s.keys.add(cmd)
	cmd.Flags().BoolVar(&s.p.Opaque, "opaque", false, "put the content inside the signature (application/pkcs7-mime)")
	cmd.Flags().BoolVar(&s.p.NoTimestamp, "no-timestamp", false, "sign without a trusted timestamp")
	cmd.Flags().StringArrayVar(&s.p.TSA, "tsa", nil, "ask the timestamp authority at this `URL`")
	s.tsa.add(cmd)
}

func (s *signFlags) given() bool {
	return s.keys.given() || s.p.Opaque || s.p.NoTimestamp || len(s.p.TSA) > 0 || s.tsa.given()
}

func (s *signFlags) read(ctx context.Context, a *app) (client.SignParams, error) {
	var err error
	if s.p.Access, err = s.tsa.access(s.p.TSA); err != nil {
		return s.p, err
	}
	if s.p.Keys, err = s.keys.read(ctx, a); err != nil {
		return s.p, err
	}
	return s.p, s.tsa.readSecrets(ctx, a, s.p.Access)
}
