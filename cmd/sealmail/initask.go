package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// maxAsked is how often a person may give a wrong password.
const maxAsked = 3

// init gathers what an account needs, in the order in which a person has it at hand, and sets it up. What was given is not
// asked for.
func (a *app) init(ctx context.Context, c *client.Client, w *initWords) (_ *client.InitResult, err error) {
	p := &w.p
	if err := a.checkInitWords(c, w); err != nil {
		return nil, err
	}
	if p.Access, err = w.tsa.access(p.TSA); err != nil {
		return nil, err
	}
	if p.IMAP+p.Store == "" || p.SMTP == "" {
		if err := a.findServers(ctx, c, w); err != nil {
			return nil, err
		}
	}
	if err := c.CheckInit(*p); err != nil {
		return nil, err
	}
	if p.OAuthTokenCommand == "" {
		if p.Password, err = w.password.read(ctx, a); err != nil {
			return nil, err
		}
	}
	if err := a.openP12(ctx, c, w); err != nil {
		return nil, err
	}
	if err := w.tsa.readSecrets(ctx, a, p.Access); err != nil {
		return nil, err
	}
	if err := a.askDefault(c, p); err != nil {
		return nil, err
	}
	for asked := 1; ; asked++ {
		result, err := c.Init(ctx, *p)
		if err == nil || w.password.given() || p.OAuthTokenCommand != "" || asked == maxAsked || !client.IsWrongSecret(err) {
			return result, err
		}
		a.complain(err)
		if p.Password, err = w.password.read(ctx, a); err != nil {
			return nil, err
		}
	}
}

// checkInitWords finds what contradicts, and, where nobody can be asked, all that is missing.
func (a *app) checkInitWords(c *client.Client, w *initWords) error {
	p := &w.p
	if err := p.CheckAddress(); err != nil {
		return err
	}
	if p.OAuthTokenCommand != "" && (w.password.given() || w.reference) {
		return usagef("leave out one of them", "--oauth-token-command stands in for a password, and there is one as well")
	}
	if w.reference {
		if !w.password.given() || w.password.file == "-" {
			return usagef("--password-file FILE or --password-command COMMAND", "--password-reference: where the password is read each time is not said")
		}
		p.PasswordFile, p.PasswordCommand = w.password.file, w.password.command
	}
	if a.prompt != nil {
		return nil
	}
	var missing []string
	for _, m := range []struct {
		missing bool
		flags   string
	}{
		{!w.password.given() && p.OAuthTokenCommand == "", "--password-file (or --password-command, --oauth-token-command)"},
		{len(p.P12) > 0 && !w.p12.given(), "--p12-password-file (or --p12-password-command)"},
		{w.tsa.user != "" && !w.tsa.password.given(), "--tsa-password-file (or --tsa-password-command)"},
		{w.tsa.p12 != "" && !w.tsa.p12Password.given(), "--tsa-p12-password-file (or --tsa-p12-password-command)"},
		{!a.flags.unprotected && !a.passphraseFlags().given() && !c.HasVault(), "--passphrase-file (or --passphrase-command, --unprotected)"},
	} {
		if m.missing {
			missing = append(missing, m.flags)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return usagef("give them, or run it at a terminal, where they are asked for; `sealmail init --help` says what each is",
		"init: without a terminal to ask at, these are missing: %s", strings.Join(missing, ", "))
}

// findServers looks for the servers that were not named. What connects them with the address's domain only by the DNS, which
// anybody on the way may have answered for, or by the word of a third party, has to be confirmed (RFC 6186 section 6); a
// person at a terminal confirms whatever was found.
func (a *app) findServers(ctx context.Context, c *client.Client, w *initWords) error {
	p := &w.p
	d := client.DiscoverParams{Address: p.Address, IMAP: p.IMAP+p.Store == "", SMTP: p.SMTP == "", ServerCA: p.ServerCA, NoCheck: p.NoCheck}
	switch {
	case w.database:
		d.Database = func() (bool, error) { return true, nil }
	case a.prompt != nil && !a.flags.yes:
		d.Database = func() (bool, error) {
			return a.agree("The domain does not say which servers it has. Ask the public database of Thunderbird, which learns the domain?")
		}
	}
	a.say("looking for the servers of %s", p.Address)
	found, err := c.Discover(ctx, d)
	if err != nil {
		return err
	}
	foreign, token, questions := false, false, []string{}
	for _, s := range []struct {
		what   string
		url    *string
		server client.DiscoveredServer
	}{{"IMAP", &p.IMAP, found.IMAP}, {"submission", &p.SMTP, found.SMTP}} {
		if *s.url != "" || s.server.URL == "" {
			continue
		}
		*s.url = s.server.URL
		foreign, token = foreign || s.server.Foreign, token || s.server.OAuth
		word := fmt.Sprintf("%s %s (from %s)", s.what, s.server.URL, s.server.Source)
		if s.server.Foreign {
			word = fmt.Sprintf("%s %s (outside the domain; from %s)", s.what, s.server.URL, s.server.Source)
		}
		questions = append(questions, word)
		if a.prompt == nil || a.flags.yes {
			a.say("found %s", word)
		}
	}
	if a.prompt == nil && (p.IMAP+p.Store == "" || p.SMTP == "") {
		return client.NotDiscovered(p.Address, p.IMAP+p.Store == "", p.SMTP == "")
	}
	if p.User == "" {
		p.User = found.User()
	}
	if len(questions) > 0 && (foreign || a.prompt != nil) {
		if err := a.confirmServers(w, questions, foreign); err != nil {
			return err
		}
	}
	for _, s := range []struct {
		what, example string
		url           *string
	}{{"IMAP", "imaps://HOST", &p.IMAP}, {"submission", "submissions://HOST", &p.SMTP}} {
		if *s.url != "" || s.url == &p.IMAP && p.Store != "" {
			continue
		}
		if *s.url, err = a.ask(fmt.Sprintf("The %s server was not found. Its address, like %s: ", s.what, s.example)); err != nil {
			return err
		}
		if *s.url == "" {
			return client.NotDiscovered(p.Address, p.IMAP+p.Store == "", p.SMTP == "")
		}
	}
	if token && p.OAuthTokenCommand == "" {
		return a.askToken(w)
	}
	return nil
}

// confirmServers asks whether the password may go to the servers that were found.
func (a *app) confirmServers(w *initWords, found []string, foreign bool) error {
	const hint = "name those that you know to be yours with --imap and --smtp, or confirm these with --yes"
	user := w.p.User
	if user == "" {
		user = w.p.Address
	}
	question := fmt.Sprintf("Log in as %s at %s?", user, strings.Join(found, " and "))
	if foreign && a.prompt == nil && !a.flags.yes {
		return usagef(hint, "init: servers outside of the address's domain were found, and nothing vouches for them: %s", strings.Join(found, ", "))
	}
	if a.flags.yes {
		return nil
	}
	agreed, err := a.agree(term.Line(question))
	if err == nil && !agreed {
		err = usagef(hint, "not confirmed; nothing was done")
	}
	return err
}

// askToken has a person name the command for tokens, where the server takes nothing else.
func (a *app) askToken(w *initWords) (err error) {
	if a.prompt != nil && !w.password.given() {
		if w.p.OAuthTokenCommand, err = a.ask("The server takes OAuth 2.0 tokens only. The command that prints one: "); err != nil {
			return err
		}
	}
	if w.p.OAuthTokenCommand == "" {
		return usagef("--oauth-token-command COMMAND, such as 'oama access "+w.p.Address+"'; docs/setup.md names some",
			"init: the server takes OAuth 2.0 tokens only, and no password")
	}
	return nil
}

// openP12 asks for the person's certificate, where none is given nor known, and for the password of its file until it opens.
func (a *app) openP12(ctx context.Context, c *client.Client, w *initWords) error {
	p := &w.p
	if len(p.P12) == 0 {
		if a.prompt == nil {
			return nil
		}
		own, err := c.OwnCertificates(p.Address)
		if err != nil || len(own) > 0 {
			return err
		}
		file, err := a.askFile("PKCS#12 file with your certificate and key (.p12, .pfx; none: Enter): ")
		if err != nil || file == "" {
			return err
		}
		p.P12 = []string{file}
	}
	for asked := 1; ; asked++ {
		var err error
		if p.P12Password, err = w.p12.read(ctx, a); err != nil || w.p12.given() {
			return err
		}
		if err = c.OpenP12(p.P12, p.P12Password); err == nil || asked == maxAsked || !client.IsWrongSecret(err) {
			return err
		}
		a.complain(err)
	}
}

// askFile has a person name a file that is there; an empty name is none.
func (a *app) askFile(question string) (string, error) {
	for asked := 1; ; asked++ {
		file, err := a.ask(question)
		if err != nil || file == "" {
			return "", err
		}
		if below, found := strings.CutPrefix(file, "~/"); found { // as a shell would have it
			file = filepath.Join(a.getenv("HOME"), below)
		}
		if _, err := os.Stat(file); err == nil || asked == maxAsked {
			return file, nil
		} else {
			a.complain(err)
		}
	}
}

// askDefault asks a person whether the account is to be the default one, where there are others.
func (a *app) askDefault(c *client.Client, p *client.InitParams) (err error) {
	name := p.Name
	if name == "" {
		name = p.Address
	}
	if p.Default || a.prompt == nil || a.flags.yes || !c.HasOtherAccounts(name) {
		return nil
	}
	p.Default, err = a.agree("There are other accounts. Use this one where a command names none?")
	return err
}

// complain says what is wrong, before a person is asked once more.
func (a *app) complain(err error) {
	fmt.Fprintln(a.err, oneLine(err.Error())+"; once more:")
}
