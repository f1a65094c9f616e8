package config

import (
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/adrg/xdg"
)

// Home says where everything lies on disk.
type Home struct {
	ConfigFile string // the configuration
	Data       string // certificates and the vault
	State      string // the outbox, serial numbers
	Cache      string // what can be fetched again
	Runtime    string // sockets; where the system has a folder that ends with the session, it is there
}

// HomeAt returns the layout below one folder that holds everything, or, where dir is empty, the XDG folders. Where nothing
// says where these are, it is the zero Home, which [Home.Check] refuses.
func HomeAt(dir string) Home {
	if dir == "" {
		if !xdgKnown() {
			return Home{}
		}
		state := filepath.Join(xdg.StateHome, "sealmail")
		sockets := state
		if session := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(session) {
			sockets = filepath.Join(session, "sealmail")
		}
		return Home{
			ConfigFile: filepath.Join(xdg.ConfigHome, "sealmail", "config.toml"),
			Data:       filepath.Join(xdg.DataHome, "sealmail"),
			State:      state,
			Cache:      filepath.Join(xdg.CacheHome, "sealmail"),
			Runtime:    sockets,
		}
	}
	return Home{
		ConfigFile: filepath.Join(dir, "config.toml"),
		Data:       dir,
		State:      dir,
		Cache:      filepath.Join(dir, "cache"),
		Runtime:    dir,
	}
}

// xdgKnown reports whether the XDG folders are somewhere of the user's. Without $HOME package xdg puts them below the root of
// the file system, and with a relative one into whatever folder the program is run in.
func xdgKnown() bool {
	folders := []string{xdg.ConfigHome, xdg.DataHome, xdg.StateHome, xdg.CacheHome}
	if slices.ContainsFunc(folders, func(folder string) bool { return !filepath.IsAbs(folder) }) {
		return false
	}
	if runtime.GOOS == "windows" || os.Getenv("HOME") != "" { // Windows itself knows its folders
		return true
	}
	named := []string{"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"}
	return !slices.ContainsFunc(named, func(name string) bool { return !filepath.IsAbs(os.Getenv(name)) })
}

// Check returns an *[Error] where it is not known where things lie.
func (h Home) Check() error {
	if h.ConfigFile == "" {
		return &Error{Path: "home", Why: "nothing says where the configuration and the keys are: $HOME is not set, or not an absolute path",
			Hint: "name a folder with --home DIR or $SEALMAIL_HOME, or set $HOME"}
	}
	return nil
}

// Vault is the file that holds the wrapped keys.
func (h Home) Vault() string { return filepath.Join(h.Data, "vault.json") }

// Agent is the socket of the process that holds the unlocked root of the vault.
func (h Home) Agent() string { return filepath.Join(h.Runtime, "agent.sock") }

// Certificates is the folder of identities, correspondents and anchors.
func (h Home) Certificates() string { return filepath.Join(h.Data, "certificates") }

// Evidence is the folder of what verdicts on fetched mail were decided by: certificates, revocation lists, OCSP responses.
func (h Home) Evidence() string { return filepath.Join(h.Data, "evidence") }

// Outbox is the folder of what was accepted and not yet sent.
func (h Home) Outbox() string { return filepath.Join(h.State, "outbox") }

// Index is the file of the local index of a folder of an account.
func (h Home) Index(account, folder string) string {
	return filepath.Join(h.Cache, "index", url.PathEscape(account), url.PathEscape(folder)+".index")
}
