package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"path/filepath"
	"time"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
)

func (c *Client) mailboxOptions(e mailbox.Endpoint, a config.Account, credentials mailbox.Credentials, roots *x509.CertPool) mailbox.Options {
	return mailbox.Options{
		Endpoint: e, Credentials: credentials, TLSRoots: roots,
		Timeout: c.o.Timeout, InsecureLoopback: a.InsecureLoopback, Dial: c.o.Dial,
	}
}

// dialStore connects to the account's mail. Files want no password.
func (c *Client) dialStore(ctx context.Context, a config.Account) (mailbox.Store, error) {
	if a.IMAP.Scheme.IsFiles() {
		return c.openFiles(ctx, a.IMAP)
	}
	o, err := c.serverOptions(ctx, a, a.IMAP)
	if err != nil {
		return nil, err
	}
	s, err := c.o.DialStore(ctx, o)
	if err == nil {
		c.online.Store(true)
	}
	return s, explainLogin(err, a)
}

// openFiles opens mail that is in files.
func (c *Client) openFiles(ctx context.Context, e mailbox.Endpoint) (mailbox.Store, error) {
	s, err := c.o.DialStore(ctx, mailbox.Options{Endpoint: e})
	if err != nil {
		hint := "make the directory, or mend `store` in the account"
		if e.Scheme == mailbox.SchemeMaildir {
			hint = "make it with `mkdir -p " + filepath.Join(e.Path, "{cur,new,tmp}") + "`, or mend `store` in the account"
		}
		return nil, failed(e.String(), err, hint)
	}
	return s, nil
}

// dialSubmitter connects to where the account's mail is sent.
func (c *Client) dialSubmitter(ctx context.Context, a config.Account) (mailbox.Submitter, error) {
	o, err := c.serverOptions(ctx, a, a.SMTP)
	if err != nil {
		return nil, err
	}
	s, err := c.o.DialSubmitter(ctx, o)
	if err == nil {
		c.online.Store(true)
	}
	return s, explainLogin(err, a)
}

// serverOptions is how to reach one of the account's servers.
func (c *Client) serverOptions(ctx context.Context, a config.Account, e mailbox.Endpoint) (mailbox.Options, error) {
	credentials, err := c.credentials(ctx, a)
	if err != nil {
		return mailbox.Options{}, err
	}
	roots, err := c.serverRoots()
	if err != nil {
		return mailbox.Options{}, err
	}
	return c.mailboxOptions(e, a, credentials, roots), nil
}

// explainLogin is explainServer for the way up to the log-in, which an account may make without a password.
func explainLogin(err error, a config.Account) error {
	if auth, refused := errors.AsType[*mailbox.AuthError](err); refused && a.OAuthTokenCommand != "" {
		return failed("", auth, "check the user, and the command of oauth_token_command: it must print a token that this server takes and that is not over")
	}
	return explainServer(err)
}

// explainServer says what a mail server or the way to it answered, without the steps that it came through, and adds what
// a person can do about it.
func explainServer(err error) error {
	if err == nil {
		return nil
	}
	var (
		known   *Error
		connect *mailbox.ConnectError
		auth    *mailbox.AuthError
		quota   *mailbox.QuotaError
		large   *mailbox.TooLargeError
		all     *mailbox.RefusedRecipientsError
		refused *mailbox.RefusedError
		lacks   *mailbox.UnsupportedError
		answer  *mailbox.ServerError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &connect):
		return failed("", connect, connectHint(connect))
	case errors.As(err, &auth) && auth.Temporary:
		return failed("", auth, "try again later")
	case errors.As(err, &auth):
		return failed("", auth, "check user and password; `sealmail init` with the same words and --password-file stores a new one")
	case errors.As(err, &quota):
		return failed("", quota, "delete mail at the server, or ask for more space")
	case errors.As(err, &large):
		return failed("", large, "send less at once")
	case errors.As(err, &all):
		return failed("", all, "")
	case errors.As(err, &refused):
		return failed("", refused, "")
	case errors.As(err, &lacks) && lacks.Extension == "UIDPLUS":
		return failed("", lacks, "`sealmail flag ID --remove deleted` takes the mark off a message")
	case errors.As(err, &lacks):
		return failed("", lacks, "ask who runs the server for it, or write to an address in ASCII letters")
	case errors.As(err, &answer):
		return failed("", err, "try again; if it stays so, ask who runs the server")
	}
	return failed("", err, "")
}

// connectHint says what to do where there is no connection.
func connectHint(e *mailbox.ConnectError) string {
	var (
		invalid x509.CertificateInvalidError
		other   x509.HostnameError
	)
	switch {
	case errors.As(e, &invalid) && invalid.Reason == x509.Expired:
		return "check this machine's clock; if it is right, the server needs a new certificate: tell who runs it"
	case errors.As(e, &other):
		return "check the host: another server answers there, or it has a wrong certificate"
	}
	return map[mailbox.Reason]string{
		mailbox.ReasonUnreachable: "check the host, the port and the network",
		mailbox.ReasonTimeout:     "try again, or allow more with --timeout",
		mailbox.ReasonUntrusted:   "if the server is yours, trust its authority: `sealmail cert trust CA.pem --for server`",
		mailbox.ReasonTLS:         "check the port: imaps:// and submissions:// begin with TLS, imap:// and submission:// with STARTTLS",
		mailbox.ReasonNoSTARTTLS:  "use imaps:// or submissions://; sealmail does not talk in clear text",
		mailbox.ReasonUnavailable: "try again later",
		mailbox.ReasonLost:        "try again",
		mailbox.ReasonProtocol:    "check the host and the port; if they are right, try again, and tell who runs the server",
	}[e.Reason]
}

// httpClient is what timestamp authorities are asked with, and the pages that say which servers a domain has. Their servers
// are trusted as mail servers are.
func (c *Client) httpClient(extra ...*x509.Certificate) (*http.Client, error) {
	roots, err := c.serverRoots(extra...)
	if err != nil {
		return nil, err
	}
	return &http.Client{Timeout: c.o.Timeout, Transport: &http.Transport{
		DialContext: c.o.Dial, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: c.o.Timeout, ResponseHeaderTimeout: c.o.Timeout, MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout: idleHTTP,
	}}, nil
}

// idleHTTP is how long a connection is kept for the next question. Who watches makes a client anew for each look at a folder.
const idleHTTP = 30 * time.Second
