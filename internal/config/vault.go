package config

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// The words for where the vault's device secret is to be, beside the absolute path of a folder.
const (
	DeviceBeside  = "beside"
	DeviceKeyring = "keyring"
)

const vaultHint = "`sealmail vault passwd --help` shows what there is"

// Vault is how the vault is to be protected and unlocked.
type Vault struct {
	// Device is where the next device secret goes: DeviceBeside, DeviceKeyring, or the absolute path of a folder; empty where
	// nothing is said.
	Device string
	// Keyring says that the operating system's keyring has the passphrase.
	Keyring bool
}

// fileVault is the table as it stands in the file.
type fileVault struct {
	Device  string `toml:"device,omitempty"`
	Keyring bool   `toml:"keyring,omitempty"`
}

func (f fileVault) validate() (Vault, error) {
	switch {
	case f.Device == "", f.Device == DeviceBeside, f.Device == DeviceKeyring:
	case !filepath.IsAbs(f.Device) || strings.ContainsRune(f.Device, 0):
		return Vault{}, fmt.Errorf("device is %q, not beside, keyring, or the absolute path of a folder", f.Device)
	}
	return Vault(f), nil
}

var (
	tableHeader = regexp.MustCompile(`^\s*\[`)
	vaultHeader = regexp.MustCompile(`^\s*\[\s*vault\s*\]\s*(#.*)?$`)
	vaultKey    = regexp.MustCompile(`^\s*(device|keyring)\s*=`)
)

// WithVault returns the text of the configuration in data with other words for the vault; what else stands there stays as
// it is, comments included. A text in which the words cannot be exchanged line by line is an *Error.
func WithVault(path string, data []byte, v Vault) ([]byte, error) {
	if _, err := fileVault(v).validate(); err != nil {
		return nil, &Error{Path: path, Why: "vault: " + err.Error(), Hint: vaultHint}
	}
	before, err := Parse(path, data)
	if err != nil {
		return nil, err
	}
	block, err := toml.Marshal(fileVault(v))
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(data), "\n")
	var out []string
	if at := slices.IndexFunc(lines, func(l string) bool { return vaultHeader.MatchString(strings.TrimRight(l, "\r\n")) }); at >= 0 {
		header := lines[at]
		if !strings.HasSuffix(header, "\n") {
			header += "\n"
		}
		out = append(slices.Clone(lines[:at]), header, string(block))
		rest := lines[at+1:]
		for len(rest) > 0 && !tableHeader.MatchString(rest[0]) {
			if !vaultKey.MatchString(rest[0]) {
				out = append(out, rest[0])
			}
			rest = rest[1:]
		}
		out = append(out, rest...)
	} else if len(block) > 0 {
		text := bytes.TrimRight(data, "\n")
		if len(text) > 0 {
			text = append(slices.Clone(text), "\n\n"...)
		}
		out = []string{string(text), "[vault]\n", string(block)}
	} else {
		return data, nil
	}
	text := []byte(strings.Join(out, ""))
	after, err := Parse(path, text)
	if err == nil && (after.Vault != v || !reflect.DeepEqual(after.Accounts, before.Accounts) || !reflect.DeepEqual(after.TSAs, before.TSAs)) {
		err = errors.New("changed otherwise")
	}
	if err != nil {
		return nil, &Error{Path: path, Why: "the words for the vault cannot be put in by a program",
			Hint: "write by hand: [vault], and below it: " + strings.Join(strings.Fields(string(block)), " ")}
	}
	return text, nil
}
