package client

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
)

// InitParams are the words of `init`.
type InitParams struct {
	Name, Address, DisplayName string
	IMAP, SMTP, User           string
	Store                      string // where mail is in files, in place of IMAP
	Password                   []byte
	// PasswordFile or PasswordCommand is where Password came from, if it is to be read there each time and not kept in the vault.
	PasswordFile, PasswordCommand string
	OAuthTokenCommand             string   // prints the token that stands in for a password
	ServerCA                      []string // files
	P12                           []string // files
	P12Password                   []byte
	Trust, TSATrust               []string // files
	TSA                           []string // URLs
	Access                        *TSAAccess
	Timestamp                     string
	Default                       bool // the account is the one where none is named
	NoCheck, InsecureLoopback     bool
}

// account is the account that the words describe, validated.
func (p InitParams) account(c *config.Config) (config.Account, error) {
	if p.Store != "" && p.IMAP != "" {
		return config.Account{}, usage("init", errors.New("--imap and --store exclude each other"), "mail is read from one of them")
	}
	if p.IMAP+p.Store == "" || p.SMTP == "" {
		return config.Account{}, usage("init", errors.New("the servers are not named"), "--imap imaps://HOST and --smtp submissions://HOST")
	}
	a := config.Account{
		Name: p.Name, Address: p.Address, DisplayName: p.DisplayName, User: p.User, TSA: p.TSA,
		Timestamp: config.TimestampPolicy(p.Timestamp), InsecureLoopback: p.InsecureLoopback,
		PasswordCommand: p.PasswordCommand, OAuthTokenCommand: p.OAuthTokenCommand,
	}
	if p.PasswordFile != "" {
		var err error
		if a.PasswordFile, err = filepath.Abs(p.PasswordFile); err != nil {
			return a, failed(p.PasswordFile, err, "")
		}
	}
	if a.Name == "" {
		a.Name = p.Address
	}
	var err error
	if p.Store != "" {
		if a.IMAP, err = mailbox.ParseFiles(p.Store); err != nil {
			return a, usage("--store", err, "write it like maildir:/home/alice/Maildir or mbox:/home/alice/mail")
		}
	} else if a.IMAP, err = mailbox.ParseEndpoint(p.IMAP); err != nil {
		return a, usage("--imap", err, "write it like imaps://imap.example.org:993")
	}
	if a.SMTP, err = mailbox.ParseEndpoint(p.SMTP); err != nil {
		return a, usage("--smtp", err, "write it like submissions://smtp.example.org:465")
	}
	// Through the file's own text and back, so that what is accepted here is what loads later.
	text, err := config.WithAccount(c.Path, nil, a)
	if err != nil {
		return a, wordsUsage("init", err)
	}
	parsed, err := config.Parse(c.Path, text)
	if err != nil {
		return a, wordsUsage("init", err)
	}
	return parsed.Accounts[0], nil
}

// wordsUsage says that the words of a command would make no configuration.
func wordsUsage(command string, err error) error {
	var broken *config.Error
	if errors.As(err, &broken) {
		err = errors.New(broken.Why)
	}
	return usage(command, err, "see `sealmail "+command+" --help`")
}

// authority is what the words say of the timestamp authority, validated; nil: nothing.
func (p InitParams) authority(c *config.Config) (*config.TSA, error) {
	if p.Access == nil {
		return nil, nil
	}
	if err := checkAccess("init", p.TSA, p.Access); err != nil {
		return nil, err
	}
	t := config.TSA{URL: p.TSA[0], User: p.Access.User, P12: p.Access.P12, InsecureLoopback: p.InsecureLoopback}
	if t.P12 != "" {
		var err error
		if t.P12, err = filepath.Abs(t.P12); err != nil {
			return nil, failed(p.Access.P12, err, "")
		}
	}
	if _, err := config.WithTSA(c.Path, nil, t); err != nil {
		return nil, wordsUsage("init", err)
	}
	return &t, nil
}

// CheckAddress says whether the address is one, before anything is looked for by it.
func (p InitParams) CheckAddress() error {
	parsed, err := mail.ParseAddress(p.Address)
	if err != nil || parsed.Name != "" || parsed.Address != p.Address {
		return usage("init", fmt.Errorf("%q is not an e-mail address", p.Address), "write it like alice@example.org")
	}
	return nil
}

// CheckInit says whether Init can be done with these words, before any secret is asked for.
func (c *Client) CheckInit(p InitParams) error {
	_, err := c.planInit(p)
	return err
}

// initPlan is what an Init sets up.
type initPlan struct {
	account   config.Account
	authority *config.TSA // nil: nothing is said of one
	present   bool        // all is there already, just so
}

// planInit returns what is to be set up.
func (c *Client) planInit(p InitParams) (plan initPlan, err error) {
	if plan.account, err = p.account(c.config); err != nil {
		return plan, err
	}
	if plan.authority, err = p.authority(c.config); err != nil {
		return plan, err
	}
	plan.present, err = plan.in(c.config)
	return plan, err
}

// in says whether the configuration has all of it; an error says that it has something else in its place.
func (plan initPlan) in(now *config.Config) (present bool, err error) {
	for _, old := range now.Accounts {
		if old.Name != plan.account.Name {
			continue
		}
		// What only a person writes there says nothing against it.
		wanted := plan.account
		wanted.Default, wanted.Addresses, wanted.Folders = old.Default, append(wanted.Addresses[:1:1], old.Addresses[1:]...), old.Folders
		wanted.Revocation, wanted.HeaderConfidentiality = old.Revocation, old.HeaderConfidentiality
		if !reflect.DeepEqual(old, wanted) {
			return false, usage("init", fmt.Errorf("account %s is set up with other words in %s", old.Name, now.Path), "change it there, or name another account with --account")
		}
		present = true
	}
	if plan.authority == nil {
		return present, nil
	}
	old, found := now.TSA(plan.authority.URL)
	if old.URL = plan.authority.URL; found && old != *plan.authority {
		return false, usage("init", fmt.Errorf("the timestamp authority %s is set up with other words in %s", old.URL, now.Path), "change them there, in its table")
	}
	return present && found, nil
}

// initFiles is what the files of an Init hold.
type initFiles struct {
	pairs                     []certstore.KeyPair
	serverCA, trust, tsaTrust []*x509.Certificate
}

func (p InitParams) readFiles(o Options) (f initFiles, err error) {
	for _, name := range p.P12 {
		data, err := o.readSmall(name)
		if err != nil {
			return f, err
		}
		pairs, err := decodePKCS12(name, data, p.P12Password)
		if err != nil {
			return f, err
		}
		f.pairs = append(f.pairs, pairs...)
	}
	if p.Access != nil && p.Access.P12 != "" {
		if _, err := o.readTLSCertificate(p.Access.P12, p.Access.P12Password); err != nil {
			return f, err
		}
	}
	for _, group := range []struct {
		names []string
		certs *[]*x509.Certificate
	}{{p.ServerCA, &f.serverCA}, {p.Trust, &f.trust}, {p.TSATrust, &f.tsaTrust}} {
		if *group.certs, err = o.readCertificates(group.names); err != nil {
			return f, err
		}
	}
	return f, nil
}

// Init sets up an account. The servers are tried before anything is written; what is there already, just so, is no
// error, and its password and keys are stored anew.
func (c *Client) Init(ctx context.Context, p InitParams) (*InitResult, error) {
	plan, err := c.planInit(p)
	if err != nil {
		return nil, err
	}
	a := plan.account
	files, err := p.readFiles(c.o)
	if err != nil {
		return nil, err
	}
	for _, pair := range files.pairs {
		if !certstore.MatchAddress(pair.Chain[0], a.Address) {
			c.o.Say(fmt.Sprintf("warning: the certificate of %s is not for %s", certstore.Name(pair.Chain[0]), a.Address))
		}
	}
	if !p.NoCheck {
		if err := c.tryServers(ctx, a, mailbox.Password(p.Password), files.serverCA); err != nil {
			return nil, err
		}
		if err := c.tryAuthorities(ctx, a, p, files.serverCA); err != nil {
			return nil, err
		}
	}
	v, err := c.openVault(ctx, true)
	if err != nil {
		return nil, err
	}
	result := &InitResult{Account: a.Name, Address: a.Address, Config: c.config.Path, Timestamp: string(a.Timestamp), Protected: v.Protected(), Checked: !p.NoCheck, Certificates: []string{}}
	if a.PasswordFile+a.PasswordCommand+a.OAuthTokenCommand == "" {
		if err := v.Put(ctx, passwordEntry(a.Name), "password", p.Password); err != nil {
			return nil, failed("vault", err, "")
		}
	}
	if err := plan.keepTSASecrets(ctx, v, p.Access); err != nil {
		return nil, err
	}
	store := c.certificates()
	now := c.o.Now()
	for _, pair := range files.pairs {
		if _, err := store.AddIdentity(ctx, pair, pair.Label, "set-up of "+a.Name, now); err != nil {
			return nil, failed("", err, "")
		}
		result.Certificates = append(result.Certificates, certstore.Fingerprint(pair.Chain[0]))
	}
	for _, group := range []struct {
		purpose certstore.Purpose
		certs   []*x509.Certificate
	}{{certstore.Server, files.serverCA}, {certstore.Mail, files.trust}, {certstore.TimeStamping, files.tsaTrust}} {
		for _, cert := range group.certs {
			if err := store.Trust(certstore.Anchor{Certificate: cert, Added: now}, group.purpose); err != nil {
				return nil, failed("", err, "")
			}
		}
	}
	// The configuration last: an account that is named there is complete.
	if !plan.present || p.Default {
		if err := c.addToConfig(ctx, plan, p.Default); err != nil {
			return nil, err
		}
	}
	if result.Certificates, err = c.certificatesFor(a, result.Certificates); err != nil {
		return nil, err
	}
	switch usual, err := c.config.Account(""); {
	case err != nil:
		c.o.Say("note: none of your accounts is the one for commands that name none: `sealmail init` with the same words and --default makes it that")
	case !plan.present && usual.Name != a.Name:
		c.o.Say(fmt.Sprintf("note: commands that name no account go on with %s; --account %s means this one", usual.Name, a.Name))
	}
	var chains [][]*x509.Certificate
	for _, pair := range files.pairs {
		chains = append(chains, pair.Chain)
	}
	if err := c.sayUntrusted(chains...); err != nil {
		return nil, err
	}
	return result, c.sayNoStampAnchor(a)
}

// sayNoStampAnchor tells who wants timestamps that none will be taken: no authority is trusted for them.
func (c *Client) sayNoStampAnchor(a config.Account) error {
	if len(a.TSA) == 0 || a.Timestamp == config.TimestampOff {
		return nil
	}
	anchors, err := c.anchors(certstore.TimeStamping)
	if err == nil && len(anchors) == 0 {
		c.o.Say("note: no authority is trusted for timestamps yet: `sealmail cert trust ROOT.pem --for tsa`")
	}
	return err
}

// keepTSASecrets puts what the timestamp authority is told into the vault.
func (plan initPlan) keepTSASecrets(ctx context.Context, v *vault.Vault, access *TSAAccess) error {
	if plan.authority == nil {
		return nil
	}
	if access.User != "" {
		if err := v.Put(ctx, tsaPasswordEntry(*plan.authority), "password", access.Password); err != nil {
			return failed("vault", err, "")
		}
	}
	if access.P12 != "" {
		if err := v.Put(ctx, tsaP12PasswordEntry(*plan.authority), "password", access.P12Password); err != nil {
			return failed("vault", err, "")
		}
	}
	return nil
}

// addToConfig writes the account and what is said of its authority into the configuration, unless somebody did just that
// meanwhile, and that it is the default one; else the only account that there was before stays that.
func (c *Client) addToConfig(ctx context.Context, plan initPlan, asDefault bool) error {
	return c.updateConfig(ctx, func(text []byte) ([]byte, error) {
		now, err := config.Parse(c.config.Path, text)
		if err != nil {
			return nil, err
		}
		present, err := plan.in(now)
		if err == nil && !present {
			text, err = plan.add(c.config.Path, text, now)
		}
		if err == nil && asDefault {
			return config.WithDefault(c.config.Path, text, plan.account.Name)
		}
		if err == nil && !present && len(now.Accounts) == 1 {
			// Commands that name no account have meant that one so far, and go on to do so.
			if marked, err := config.WithDefault(c.config.Path, text, now.Accounts[0].Name); err == nil {
				return marked, nil
			}
		}
		return text, err
	})
}

// add returns the text of the configuration, of which now is what it says, with what it does not have yet.
func (plan initPlan) add(path string, text []byte, now *config.Config) (_ []byte, err error) {
	if !slices.ContainsFunc(now.Accounts, func(a config.Account) bool { return a.Name == plan.account.Name }) {
		if text, err = config.WithAccount(path, text, plan.account); err != nil {
			return nil, err
		}
	}
	if plan.authority == nil {
		return text, nil
	}
	if _, found := now.TSA(plan.authority.URL); found {
		return text, nil
	}
	return config.WithTSA(path, text, *plan.authority)
}
