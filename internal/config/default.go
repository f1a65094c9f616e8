package config

import (
	"errors"
	"reflect"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

var (
	accountHeader = regexp.MustCompile(`^\s*\[\s*account\s*\.`)
	defaultKey    = regexp.MustCompile(`^\s*default\s*=`)
)

// WithDefault returns the text of the configuration in data with this account, and no other, marked as the default one; what
// else stands there stays as it is, comments included. A text in which that cannot be done line by line is an *Error.
func WithDefault(path string, data []byte, name string) ([]byte, error) {
	before, err := Parse(path, data)
	if err != nil {
		return nil, err
	}
	var out []string
	inAccount := false
	for line := range strings.Lines(string(data)) {
		switch {
		case tableHeader.MatchString(line):
			inAccount = accountHeader.MatchString(line)
			if !strings.HasSuffix(line, "\n") {
				line += "\n"
			}
			if inAccount && headerOf(line, name) {
				line += "default = true\n"
			}
		case inAccount && defaultKey.MatchString(line):
			continue
		}
		out = append(out, line)
	}
	text := []byte(strings.Join(out, ""))
	after, err := Parse(path, text)
	if err == nil {
		for i := range before.Accounts {
			before.Accounts[i].Default = before.Accounts[i].Name == name
		}
		if _, err = after.Account(name); err == nil && !reflect.DeepEqual(before, after) {
			err = errors.New("changed otherwise")
		}
	}
	if err != nil {
		return nil, &Error{Path: path, Why: "the default account cannot be marked by a program", Hint: "write `default = true` into its table, and into no other"}
	}
	return text, nil
}

// headerOf tells whether a line is the header of an account's table.
func headerOf(line, name string) bool {
	var f struct {
		Account map[string]struct{} `toml:"account"`
	}
	if err := toml.Unmarshal([]byte(line), &f); err != nil {
		return false
	}
	_, found := f.Account[name]
	return found
}
