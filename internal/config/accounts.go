package config

import (
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ownAddresses returns an account's addresses as addr-specs (RFC 5322 section 3.4.1), the first one first, each once.
func ownAddresses(first string, further []string) ([]string, error) {
	var own []string
	for _, text := range append([]string{first}, further...) {
		parsed, err := mail.ParseAddress(text)
		if err != nil || parsed.Name != "" || !plain(parsed.Address) {
			return nil, fmt.Errorf("address %q is not an e-mail address", text)
		}
		if slices.ContainsFunc(own, func(a string) bool { return strings.EqualFold(a, parsed.Address) }) {
			return nil, fmt.Errorf("addresses: %s stands there twice (`address` is one of them)", parsed.Address)
		}
		own = append(own, parsed.Address)
	}
	return own, nil
}

// plain tells whether an address needs no quotation marks, without which it would be read as another.
func plain(address string) bool {
	again, err := mail.ParseAddress(address)
	return err == nil && again.Name == "" && again.Address == address
}

// maxFolder bounds a folder's name, which is far more than servers take.
const maxFolder = 1000

// validate refuses names that no folder has, and a trash that is more than that: what lies in it is removed for good.
func (f Folders) validate() error {
	for _, named := range []struct{ key, name string }{{"sent", f.Sent}, {"drafts", f.Drafts}, {"trash", f.Trash}, {"archive", f.Archive}} {
		if len(named.name) > maxFolder || !utf8.ValidString(named.name) || strings.ContainsFunc(named.name, unicode.IsControl) ||
			strings.TrimSpace(named.name) != named.name {
			return fmt.Errorf("%s: %q is no name of a folder", named.key, named.name)
		}
	}
	if f.Trash != "" && (f.Trash == f.Sent || f.Trash == f.Drafts || f.Trash == f.Archive || strings.EqualFold(f.Trash, "INBOX")) {
		return errors.New("trash: the folder has another use as well")
	}
	return nil
}

// Account returns the account of this name or own address; for an empty name the one marked default, or the only one.
// Where there is none, the error wraps ErrNoAccount and names those that there are.
func (c *Config) Account(name string) (Account, error) {
	if name != "" {
		if i := slices.IndexFunc(c.Accounts, func(a Account) bool { return a.Name == name }); i >= 0 {
			return c.Accounts[i], nil
		}
		if a, found := c.AccountFor(name); found {
			return a, nil
		}
		if len(c.Accounts) == 0 {
			return Account{}, fmt.Errorf("%w: %q is not in %s", ErrNoAccount, name, c.Path)
		}
		return Account{}, fmt.Errorf("%w: %q is not in %s, which has %s", ErrNoAccount, name, c.Path, c.names())
	}
	for _, a := range c.Accounts {
		if a.Default {
			return a, nil
		}
	}
	switch len(c.Accounts) {
	case 1:
		return c.Accounts[0], nil
	case 0:
		return Account{}, fmt.Errorf("%w: none is set up in %s", ErrNoAccount, c.Path)
	}
	return Account{}, fmt.Errorf("%w: there are %d, and none is marked default: %s", ErrNoAccount, len(c.Accounts), c.names())
}

// AccountFor returns the account that has this own address. Of several it is one whose first address it is, before that the
// one marked default, else the first by name.
func (c *Config) AccountFor(address string) (Account, bool) {
	best, rank := Account{}, 0
	for _, a := range c.Accounts {
		r := 0
		switch {
		case !a.Owns(address):
			continue
		case a.Default:
			r += 1
		}
		if r++; strings.EqualFold(a.Address, address) {
			r += 2
		}
		if r > rank {
			best, rank = a, r
		}
	}
	return best, rank > 0
}

// maxNames is how many accounts an error names.
const maxNames = 10

// names lists the accounts for an error.
func (c *Config) names() string {
	var names []string
	for _, a := range c.Accounts[:min(len(c.Accounts), maxNames)] {
		names = append(names, a.Name)
	}
	if more := len(c.Accounts) - len(names); more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names, ", "), more)
	}
	return strings.Join(names, ", ")
}
