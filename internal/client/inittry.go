package client

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
)

// tryServers logs in at both servers.
func (c *Client) tryServers(ctx context.Context, a config.Account, password mailbox.Password, serverCA []*x509.Certificate) error {
	roots, err := c.serverRoots(serverCA...)
	if err != nil {
		return err
	}
	credentials := mailbox.Credentials{User: a.User, Password: password}
	if a.OAuthTokenCommand != "" {
		if credentials, err = c.credentials(ctx, a); err != nil {
			return err
		}
	}
	var store mailbox.Store
	if a.IMAP.Scheme.IsFiles() {
		store, err = c.openFiles(ctx, a.IMAP)
	} else {
		store, err = c.o.DialStore(ctx, c.mailboxOptions(a.IMAP, a, credentials, roots))
	}
	if err != nil {
		return explainLogin(err, a)
	}
	if err := store.Close(); err != nil {
		return explainServer(err)
	}
	submitter, err := c.o.DialSubmitter(ctx, c.mailboxOptions(a.SMTP, a, credentials, roots))
	if err != nil {
		return explainLogin(err, a)
	}
	return explainServer(submitter.Close())
}

// tryAuthorities has the timestamp authorities stamp some random octets. Where a timestamp is required one of them must do
// so; what else is amiss is said. Where none is trusted yet there is nothing to hold their answers against.
func (c *Client) tryAuthorities(ctx context.Context, a config.Account, p InitParams, serverCA []*x509.Certificate) error {
	if a.Timestamp == config.TimestampOff {
		return nil
	}
	trust, err := c.onlineStampTrust(p.TSATrust)
	if err != nil || !trust.anchored {
		return err
	}
	octets := make([]byte, 32)
	_, _ = rand.Read(octets) // never fails
	var failures []error
	for _, u := range a.TSA {
		s, err := c.stamperWith([]string{u}, p.Access, trust, serverCA...)
		if err == nil {
			s.required = true // there is nothing else to go on with
			_, err = s.stampBytes(ctx, octets)
		}
		if err != nil {
			failures = append(failures, err)
		}
	}
	if a.Timestamp == config.TimestampRequired && len(failures) == len(a.TSA) {
		return failures[0]
	}
	for _, err := range failures {
		c.o.Say("warning: " + err.Error())
	}
	return nil
}

// certificatesFor returns the fingerprints of the account's certificates: those that were just stored, or else those that the
// store has. Where there are none, it says how to come by one.
func (c *Client) certificatesFor(a config.Account, stored []string) ([]string, error) {
	if len(stored) > 0 {
		return stored, nil
	}
	own, err := c.OwnCertificates(a.Address)
	if err != nil {
		return nil, err
	}
	if len(own) > 0 {
		return own, nil
	}
	c.o.Say(fmt.Sprintf("note: there is no certificate for %s yet, without which nothing is signed or decrypted. There are three ways to one: "+
		"`sealmail cert request %s -o request.csr` makes a key and asks an authority; `sealmail ca issue --help` issues one, if the authority is you; "+
		"or your organization gives you a .p12 file: `sealmail cert import FILE.p12`", a.Address, a.Address))
	return []string{}, nil
}

// OwnCertificates returns the fingerprints of the certificates with key in the store that are for an address and valid now.
func (c *Client) OwnCertificates(address string) ([]string, error) {
	identities, problems, err := c.certificates().Identities()
	if err != nil {
		return nil, storeError(err)
	}
	c.sayProblems(problems)
	now := c.o.Now()
	var own []string
	for _, i := range identities {
		cert := i.Certificate()
		if certstore.MatchAddress(cert, address) && !now.Before(cert.NotBefore) && !now.After(cert.NotAfter) {
			own = append(own, certstore.Fingerprint(cert))
		}
	}
	return own, nil
}

// HasVault tells whether there is a vault.
func (c *Client) HasVault() bool {
	_, err := c.loadVault()
	return !errors.Is(err, fs.ErrNotExist)
}

// HasOtherAccounts tells whether there are accounts but that of this name.
func (c *Client) HasOtherAccounts(name string) bool {
	return slices.ContainsFunc(c.config.Accounts, func(a config.Account) bool { return a.Name != name })
}

// OpenP12 tries to open PKCS#12 files with a password.
func (c *Client) OpenP12(files []string, password []byte) error {
	_, err := InitParams{P12: files, P12Password: password}.readFiles(c.o)
	return err
}

// IsWrongSecret tells whether a server did not take the user and password, or a file did not open with its password: then
// asking once more may help.
func IsWrongSecret(err error) bool {
	var refused *mailbox.AuthError
	return errors.As(err, &refused) && !refused.Temporary || errors.Is(err, certstore.ErrPassword)
}
