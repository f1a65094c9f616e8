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

// Part is one of the folders that a home consists of.
type Part struct {
	Name string // config, data, state, cache
	Dir  string
	// Has tells which files and folders directly in Dir belong to the part, where others share the folder; nil: all.
	Has func(name string) bool
}

// Parts are all that is in a home, but for sockets: what was written first comes last, so that who copies them in this order
// copies nothing that points to something that was not there yet. Below one folder for everything, the names of what lies
// there tell them apart.
func (h Home) Parts() []Part {
	named := map[string][]string{"config": {filepath.Base(h.ConfigFile)}, "state": {filepath.Base(h.Outbox())}}
	parts := []Part{
		{Name: "config", Dir: filepath.Dir(h.ConfigFile)},
		{Name: "data", Dir: h.Data},
		{Name: "state", Dir: h.State},
		{Name: "cache", Dir: h.Cache},
	}
	for i := range parts {
		p := &parts[i]
		var others []string // that have other places in the same folder
		shared := false
		for _, q := range parts {
			if q.Name == p.Name {
				continue
			}
			if q.Dir == p.Dir {
				shared = true
				others = append(others, named[q.Name]...)
			} else if filepath.Dir(q.Dir) == p.Dir {
				others = append(others, filepath.Base(q.Dir))
			}
		}
		own, rest := named[p.Name], !shared || p.Name == "data"
		if shared || len(others) > 0 {
			p.Has = func(name string) bool { return slices.Contains(own, name) || rest && !slices.Contains(others, name) }
		}
	}
	return parts
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

// Drafts is the folder of what was written and could neither be sent nor be put into the account's own folder of drafts.
func (h Home) Drafts() string { return filepath.Join(h.State, "drafts") }

// Index is the folder of the local index of an account.
func (h Home) Index(account string) string {
	return filepath.Join(h.Cache, "index", url.PathEscape(account))
}

// Archives is the folder of what is remembered of archives: where they are, and what they were when they were last written.
func (h Home) Archives() string { return filepath.Join(h.Data, "archives") }

// ArchiveIndex is the folder of the local index of an archive.
func (h Home) ArchiveIndex(id string) string {
	return filepath.Join(h.Cache, "archives", url.PathEscape(id))
}

// Restores is the file that says which messages of an archive are put back into an account, and are there.
func (h Home) Restores(account, archive string) string {
	return filepath.Join(h.State, "restores", url.PathEscape(account), url.PathEscape(archive)+".jsonl")
}

// Alerts is the file of what watching an account has said, and does not say again.
func (h Home) Alerts(account string) string {
	return filepath.Join(h.Cache, "alerts", url.PathEscape(account)+".json")
}

// Moves is the file of moves of messages that may have to be brought to their end.
func (h Home) Moves(account string) string {
	return filepath.Join(h.Cache, "moves", url.PathEscape(account)+".json")
}
