package client

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/internal/discover"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/smime/spool"
)

// Options is what the use cases need from outside.
type Options struct {
	Home    config.Home
	Account string        // name or address; empty: the default one
	Timeout time.Duration // on each network step
	Disk    safeio.Disk
	Now     func() time.Time
	Stdin   io.Reader // what a file named "-" holds
	System  fs.FS     // the root folder of the system, where roots for e-mail are looked for
	// MaxLayer bounds the octets that may come out of the layers of a message, all together, and so what opening it takes on
	// disk; 0 is DefaultMaxLayer. A message that is itself larger than a quarter of it may come to four times its own size.
	MaxLayer int64

	// Passphrase gives the vault's passphrase; create says that a new vault is being made.
	Passphrase func(ctx context.Context, create bool) ([]byte, error)
	// PassphraseGiven says that Passphrase need ask nobody. Then the keyring is not asked either.
	PassphraseGiven bool
	// Keyring is the operating system's; nil: there is none.
	Keyring vault.SecretPlace
	// AgentCommand is the command line of a process that runs RunAgent.
	AgentCommand []string
	// Deriving, if set, is called before each derivation of a key from a passphrase.
	Deriving func()
	// Unprotected makes a new vault without a passphrase.
	Unprotected bool

	Dial          func(ctx context.Context, network, address string) (net.Conn, error)
	DialStore     func(context.Context, mailbox.Options) (mailbox.Store, error)
	DialSubmitter func(context.Context, mailbox.Options) (mailbox.Submitter, error)

	// Resolver answers questions to the DNS for SRV records.
	Resolver discover.Resolver

	// Detail tells the person what is done, who wants to know; nil: nobody does.
	Detail func(message string)
	// Progress, unless nil, is told how far something is that may take long, often, and by several goroutines.
	Progress func(Progress)
	// Say tells the person something that is no result: a warning, a note. It may be called while a result is being used.
	Say func(message string)
}

// Client runs use cases for one home and one account. What a use case does not need is not opened. It is not for
// concurrent use.
type Client struct {
	o      Options
	config *config.Config

	opening sync.Mutex // of the vault, which a use case may need at several places at once
	vault   *vault.Vault
	locked  error // why the vault could not be unlocked: nobody is asked twice

	online atomic.Bool // a mail server was reached
}

// New reads the configuration. The caller closes the client.
func New(o Options) (*Client, error) {
	if err := o.Home.Check(); err != nil {
		return nil, err
	}
	if err := finishRestore(o); err != nil {
		return nil, err
	}
	loaded, err := config.Load(o.Home.ConfigFile)
	if err != nil {
		return nil, err
	}
	c := &Client{o: o, config: loaded}
	c.closeConfig()
	return c, nil
}

// Close forgets the keys.
func (c *Client) Close() {
	if c.vault != nil {
		c.vault.Lock()
	}
}

func (c *Client) account() (config.Account, error) { return c.config.Account(c.o.Account) }

// optionalAccount returns the account, or none where none was asked for and none is set up: filters on files work
// without one.
func (c *Client) optionalAccount() (config.Account, bool, error) {
	if c.o.Account == "" && len(c.config.Accounts) == 0 {
		return config.Account{}, false, nil
	}
	a, err := c.account()
	return a, err == nil, err
}

// spoolOptions are for what comes from the person or the server as it is: who gives it has room for it.
func (c *Client) spoolOptions() spool.Options { return spool.Options{Dir: os.TempDir()} }

// DefaultMaxLayer is Options.MaxLayer where that names no other number. Compressed text may come to 200 times its size,
// so that a message of the size that servers take would fill a disk.
const DefaultMaxLayer = 1 << 30

// layerOptions are for what comes out of all layers of a message of so many octets together. Without compression each has
// no more than the one around it, but where line feeds become line ends: a message of any size can be opened, signed and
// encrypted three times over.
func (c *Client) layerOptions(size int64) spool.Options {
	return spool.Options{Dir: os.TempDir(), Limit: max(cmp.Or(c.o.MaxLayer, DefaultMaxLayer), 4*size)}
}

// explainOpen says what a message that was not opened is to blame for.
func explainOpen(what string, err error) error {
	hint := ""
	if errors.Is(err, spool.ErrTooLarge) {
		hint = "compressed text of this size is not opened: ask the sender for the message without compression"
	}
	return failed(what, err, hint)
}

// credentials are what an account logs in with: its password, or an OAuth 2.0 token.
func (c *Client) credentials(ctx context.Context, a config.Account) (mailbox.Credentials, error) {
	if a.OAuthTokenCommand != "" {
		return mailbox.Credentials{User: a.User, Token: func(ctx context.Context) (mailbox.Password, error) { return c.token(ctx, a) }}, nil
	}
	password, err := c.password(ctx, a)
	return mailbox.Credentials{User: a.User, Password: password}, err
}

// token has the account's command print an OAuth 2.0 access token, which is kept nowhere.
func (c *Client) token(ctx context.Context, a config.Account) (mailbox.Password, error) {
	secret, err := c.secret(ctx, secretWords{
		what: "OAuth 2.0 token of account " + a.Name, command: a.OAuthTokenCommand,
		hint: "run the command of oauth_token_command by hand: it must print a token and end with 0",
	})
	if err == nil && len(secret) == 0 {
		err = failed("OAuth 2.0 token of account "+a.Name, errors.New("the command printed nothing"), "run the command of oauth_token_command by hand")
	}
	return mailbox.Password(secret), err
}

// password finds the account's password: from a command, a file, or the vault.
func (c *Client) password(ctx context.Context, a config.Account) (mailbox.Password, error) {
	secret, err := c.secret(ctx, secretWords{
		what: "password of account " + a.Name, command: a.PasswordCommand, file: a.PasswordFile, entry: passwordEntry(a.Name),
		hint: "mend the account in the configuration, or run `sealmail init` again",
	})
	return mailbox.Password(secret), err
}

// secretWords say where a secret is: at the first of the three that is named.
type secretWords struct {
	what, hint           string // for errors
	command, file, entry string // entry is the vault's
}

// secret finds a secret that the configuration speaks of, without its line end.
func (c *Client) secret(ctx context.Context, w secretWords) ([]byte, error) {
	var secret []byte
	var err error
	switch {
	case w.command != "":
		ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
		defer cancel()
		secret, err = RunSecretCommand(ctx, w.command, nil)
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("the command takes longer than %v: %w", c.o.Timeout, err)
		}
	case w.file != "":
		c.closeToOthers(w.file, 0o077)
		secret, err = readSecretFile(w.file)
	default:
		v, openErr := c.openVault(ctx, false)
		if openErr != nil {
			return nil, openErr
		}
		secret, err = v.Get(w.entry)
	}
	if err != nil {
		return nil, failed(w.what, err, w.hint)
	}
	return secret, nil
}

// passwordEntry is where the vault keeps an account's password. Its names are visible ASCII, those of accounts need not
// be.
func passwordEntry(account string) string { return "password:" + url.PathEscape(account) }

// serverRoots are the system's anchors and those that the person trusts for servers.
func (c *Client) serverRoots(extra ...*x509.Certificate) (*x509.CertPool, error) {
	anchors, err := c.anchors(certstore.Server)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a machine without anchors of its own
	}
	for _, anchor := range append(anchors, extra...) {
		pool.AddCert(anchor)
	}
	return pool, nil
}

// accountName is whose anchors count, beside those of all accounts: nobody's, where no account is meant.
func (c *Client) accountName() string {
	a, err := c.account()
	if err != nil {
		return ""
	}
	return a.Name
}

// anchors are the certificates that the person trusts for a purpose. A trust store that cannot be read is an error,
// and never an empty one.
func (c *Client) anchors(purpose certstore.Purpose) ([]*x509.Certificate, error) {
	anchors, problems, err := c.certificates().Anchors(purpose, c.accountName())
	if err != nil {
		return nil, c.storeUnreadable(err)
	}
	c.sayProblems(problems)
	certs := make([]*x509.Certificate, len(anchors))
	for i, anchor := range anchors {
		certs[i] = anchor.Certificate
	}
	return certs, nil
}

func (c *Client) storeUnreadable(err error) error {
	return failed("", err, "make the folder "+c.o.Home.Certificates()+" readable")
}

func (c *Client) sayProblems(problems []certstore.Problem) {
	for _, p := range problems {
		c.o.Say("warning: " + p.Error())
	}
}

// certificates is the certificate store; it unlocks the vault when a private key is first asked for.
func (c *Client) certificates() *certstore.Store {
	return certstore.New(c.o.Home.Certificates(), c.o.Disk, lazyKeys{c})
}
