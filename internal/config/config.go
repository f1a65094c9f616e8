package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/sealmail/sealmail/mailbox"
)

// TimestampPolicy says what sending does about trusted timestamps.
type TimestampPolicy string

// The policies: required fails closed when no authority answers, preferred goes on without and says so, off asks none.
const (
	TimestampRequired  TimestampPolicy = "required"
	TimestampPreferred TimestampPolicy = "preferred"
	TimestampOff       TimestampPolicy = "off"
)

// RevocationPolicy says what is done where it cannot be found out whether a certificate is revoked.
type RevocationPolicy string

// The policies: soft goes on and says so, hard holds back verdicts and refuses recipients, off does not ask.
const (
	RevocationSoft RevocationPolicy = "soft"
	RevocationHard RevocationPolicy = "hard"
	RevocationOff  RevocationPolicy = "off"
)

// HeaderConfidentiality says which header fields of encrypted mail are hidden from everybody on the way.
type HeaderConfidentiality string

// The policies are those of RFC 9788 section 3.2: baseline hides what a person has written, shy the names of people and the
// time zone as well, none hides nothing.
const (
	HeaderConfidentialityBaseline HeaderConfidentiality = "baseline"
	HeaderConfidentialityShy      HeaderConfidentiality = "shy"
	HeaderConfidentialityNone     HeaderConfidentiality = "none"
)

// Account is one validated account. It is never changed after loading.
type Account struct {
	Name            string
	Address         string   // addr-spec
	Addresses       []string // all own addresses, addr-specs; the first is Address
	DisplayName     string   // may be empty
	Default         bool
	IMAP            mailbox.Endpoint // where mail is read: a server, or files
	SMTP            mailbox.Endpoint
	User            string
	PasswordCommand string // empty: the file, or the vault
	PasswordFile    string

	// OAuthTokenCommand prints an OAuth 2.0 access token, which is shown at each log-in in place of a password; empty: a
	// password is.
	OAuthTokenCommand string

	TSA              []string // URLs, asked in this order
	Timestamp        TimestampPolicy
	Revocation       RevocationPolicy
	InsecureLoopback bool

	HeaderConfidentiality HeaderConfidentiality

	Folders Folders
}

// Folders are the names of folders with a use, where the person has said them; empty: the server says (RFC 6154).
type Folders struct {
	Sent, Drafts, Trash, Archive string
}

// Owns tells whether an address is one of the account's own.
func (a Account) Owns(address string) bool {
	return slices.ContainsFunc(a.Addresses, func(own string) bool { return strings.EqualFold(own, address) })
}

// Config is the validated configuration.
type Config struct {
	Path     string
	Accounts []Account // sorted by name
	TSAs     []TSA     // sorted by URL: those that want to know who asks
	Vault    Vault
}

// Error is what is wrong with the configuration, and how to mend it. It means that nothing was attempted.
type Error struct {
	Path string
	Line int // 0: of the whole file
	Why  string
	Hint string
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Why)
	}
	return fmt.Sprintf("%s: %s", e.Path, e.Why)
}

// ErrNoAccount means that no account answers to what was asked for.
var ErrNoAccount = errors.New("no such account")

// fileAccount is an account as it stands in the file.
type fileAccount struct {
	Address          string   `toml:"address"`
	Addresses        []string `toml:"addresses,omitempty"`
	DisplayName      string   `toml:"display_name,omitempty"`
	Default          bool     `toml:"default,omitempty"`
	IMAP             string   `toml:"imap,omitempty"`
	Store            string   `toml:"store,omitempty"`
	SMTP             string   `toml:"smtp"`
	User             string   `toml:"user"`
	PasswordCommand  string   `toml:"password_command,omitempty"`
	PasswordFile     string   `toml:"password_file,omitempty"`
	OAuthToken       string   `toml:"oauth_token_command,omitempty"`
	TSA              []string `toml:"tsa,omitempty"`
	Timestamp        string   `toml:"timestamp"`
	Revocation       string   `toml:"revocation,omitempty"`
	InsecureLoopback bool     `toml:"insecure_loopback,omitempty"`

	HeaderConfidentiality string `toml:"header_confidentiality,omitempty"`

	Sent    string `toml:"sent,omitempty"`
	Drafts  string `toml:"drafts,omitempty"`
	Trash   string `toml:"trash,omitempty"`
	Archive string `toml:"archive,omitempty"`
}

var knownKeys = []string{"address", "addresses", "display_name", "default", "imap", "store", "smtp", "user", "password_command", "password_file",
	"oauth_token_command", "tsa", "timestamp", "revocation", "header_confidentiality", "insecure_loopback", "sent", "drafts", "trash", "archive"}

var knownVaultKeys = []string{"device", "keyring"}

type file struct {
	Account map[string]fileAccount `toml:"account,omitempty"`
	TSA     map[string]fileTSA     `toml:"tsa,omitempty"`
	Vault   fileVault              `toml:"vault,omitempty"`
}

const maxSize = 1 << 20

// Load reads and validates the configuration. A file that is not there is an empty configuration; anything else that is
// wrong is an *Error.
func Load(path string) (*Config, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Config{Path: path}, nil
	}
	if err != nil {
		return nil, &Error{Path: path, Why: err.Error(), Hint: "make the file readable, or name another home with --home"}
	}
	if info.Size() > maxSize {
		return nil, &Error{Path: path, Why: "larger than 1 MiB", Hint: "this is not a sealmail configuration"}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &Error{Path: path, Why: err.Error(), Hint: "make the file readable, or name another home with --home"}
	}
	return Parse(path, data)
}

// Parse validates the configuration in data; path is for its errors.
func Parse(path string, data []byte) (*Config, error) {
	var f file
	decoder := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return nil, decodeError(path, err)
	}
	c := &Config{Path: path}
	var err error
	if c.Vault, err = f.Vault.validate(); err != nil {
		return nil, &Error{Path: path, Line: lineOf(data, "[vault", ""), Why: "vault: " + err.Error(), Hint: "mend this line; " + vaultHint}
	}
	var at string
	if c.TSAs, at, err = validateTSAs(f.TSA); err != nil {
		return nil, &Error{Path: path, Line: lineOf(data, "[tsa", at), Why: fmt.Sprintf("tsa %q: %v", withoutUser(at), err), Hint: "mend this line; " + tsaHint}
	}
	for name, fa := range f.Account {
		a, err := fa.validate(name)
		if err != nil {
			return nil, &Error{Path: path, Line: lineOf(data, "[account", name), Why: fmt.Sprintf("account %q: %v", name, err),
				Hint: "mend this line; `sealmail init --help` shows what an account looks like"}
		}
		c.Accounts = append(c.Accounts, a)
	}
	slices.SortFunc(c.Accounts, func(a, b Account) int { return strings.Compare(a.Name, b.Name) })
	defaults := 0
	for _, a := range c.Accounts {
		if a.Default {
			defaults++
		}
	}
	if defaults > 1 {
		return nil, &Error{Path: path, Why: "more than one account is marked default", Hint: "leave `default = true` with one of them"}
	}
	return c, nil
}

func decodeError(path string, err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		first := strict.Errors[0]
		row, _ := first.Position()
		key := withoutUser(strings.Join(first.Key(), "."))
		known, of := knownKeys, "an account"
		switch first.Key()[0] {
		case "vault":
			known, of = knownVaultKeys, "the vault"
		case "tsa":
			known, of = knownTSAKeys, "a timestamp authority"
		}
		hint := "known keys of " + of + " are " + strings.Join(known, ", ")
		if near := nearest(first.Key()[len(first.Key())-1], known); near != "" {
			hint = "did you mean `" + near + "`?"
		}
		return &Error{Path: path, Line: row, Why: "unknown key " + strconv.Quote(key), Hint: hint}
	}
	var syntax *toml.DecodeError
	if errors.As(err, &syntax) {
		row, _ := syntax.Position()
		why := strings.TrimPrefix(syntax.Error(), "toml: ")
		if strings.Contains(why, ":") { // it may repeat an address with a password in it
			why = withoutUser(why)
		}
		return &Error{Path: path, Line: row, Why: why, Hint: "the file is TOML; mend the syntax at this line"}
	}
	return &Error{Path: path, Why: err.Error(), Hint: "the file is TOML; mend its syntax"}
}

// nearest returns the known key that differs from key in at most two letters.
func nearest(key string, known []string) string {
	best, bestDistance := "", 3
	for _, k := range known {
		if d := distance(key, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance counts the letters to insert, delete or replace between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func lineOf(data []byte, table, name string) int {
	for i, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), table) && strings.Contains(line, name) {
			return i + 1
		}
	}
	return 0
}

func (fa fileAccount) validate(name string) (Account, error) {
	a := Account{
		Name: name, DisplayName: fa.DisplayName, Default: fa.Default, User: fa.User,
		PasswordCommand: fa.PasswordCommand, PasswordFile: fa.PasswordFile, OAuthTokenCommand: fa.OAuthToken,
		Timestamp: TimestampPolicy(fa.Timestamp), Revocation: RevocationPolicy(fa.Revocation), InsecureLoopback: fa.InsecureLoopback,
		HeaderConfidentiality: HeaderConfidentiality(fa.HeaderConfidentiality),
		Folders:               Folders{Sent: fa.Sent, Drafts: fa.Drafts, Trash: fa.Trash, Archive: fa.Archive},
	}
	// The name becomes a folder of the cache.
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
		return Account{}, errors.New("the name cannot be a folder's")
	}
	var err error
	if a.Addresses, err = ownAddresses(fa.Address, fa.Addresses); err != nil {
		return Account{}, err
	}
	a.Address = a.Addresses[0]
	if err := a.Folders.validate(); err != nil {
		return Account{}, err
	}
	if a.IMAP, err = fa.reading(); err != nil {
		return Account{}, err
	}
	if a.SMTP, err = mailbox.ParseEndpoint(fa.SMTP); err != nil {
		return Account{}, fmt.Errorf("smtp: %w", err)
	}
	if a.SMTP.Scheme != mailbox.SchemeSubmissions && a.SMTP.Scheme != mailbox.SchemeSubmission {
		return Account{}, fmt.Errorf("smtp: %q is not a submissions:// or submission:// address", fa.SMTP)
	}
	if a.User == "" {
		a.User = a.Address
	}
	if fa.PasswordCommand != "" && fa.PasswordFile != "" {
		return Account{}, errors.New("password_command and password_file exclude each other")
	}
	if a.OAuthTokenCommand != "" && fa.PasswordCommand+fa.PasswordFile != "" {
		return Account{}, errors.New("oauth_token_command and a password exclude each other")
	}
	for _, raw := range fa.TSA {
		if _, err := parseTSA(raw); err != nil {
			return Account{}, fmt.Errorf("tsa: %w", err)
		}
		a.TSA = append(a.TSA, raw)
	}
	if a.Timestamp == "" {
		a.Timestamp = TimestampOff
		if len(a.TSA) > 0 {
			a.Timestamp = TimestampRequired
		}
	}
	switch a.Revocation {
	case "":
		a.Revocation = RevocationSoft
	case RevocationSoft, RevocationHard, RevocationOff:
	default:
		return Account{}, fmt.Errorf("revocation is %q, not soft, hard or off", fa.Revocation)
	}
	switch a.HeaderConfidentiality {
	case "":
		a.HeaderConfidentiality = HeaderConfidentialityBaseline
	case HeaderConfidentialityBaseline, HeaderConfidentialityShy, HeaderConfidentialityNone:
	default:
		return Account{}, fmt.Errorf("header_confidentiality is %q, not baseline, shy or none", fa.HeaderConfidentiality)
	}
	switch a.Timestamp {
	case TimestampRequired, TimestampPreferred:
		if len(a.TSA) == 0 {
			return Account{}, fmt.Errorf("timestamp is %s, and no tsa is named", a.Timestamp)
		}
	case TimestampOff:
	default:
		return Account{}, fmt.Errorf("timestamp is %q, not required, preferred or off", fa.Timestamp)
	}
	return a, nil
}

// reading is where mail is read.
func (fa fileAccount) reading() (mailbox.Endpoint, error) {
	if fa.Store != "" {
		if fa.IMAP != "" {
			return mailbox.Endpoint{}, errors.New("imap and store exclude each other")
		}
		e, err := mailbox.ParseFiles(fa.Store)
		if err != nil {
			return e, fmt.Errorf("store: %w", err)
		}
		return e, nil
	}
	e, err := mailbox.ParseEndpoint(fa.IMAP)
	if err != nil {
		return e, fmt.Errorf("imap: %w", err)
	}
	if e.Scheme != mailbox.SchemeIMAPS && e.Scheme != mailbox.SchemeIMAP {
		return e, fmt.Errorf("imap: %q is not an imaps:// or imap:// address", fa.IMAP)
	}
	return e, nil
}

// WithAccount returns the text of the configuration in data with one more account at its end; what stands there stays
// as it is, comments included. The result is validated.
func WithAccount(path string, data []byte, a Account) ([]byte, error) {
	fa := fileAccount{
		Address: a.Address, DisplayName: a.DisplayName, Default: a.Default, IMAP: a.IMAP.String(), SMTP: a.SMTP.String(),
		User: a.User, PasswordCommand: a.PasswordCommand, PasswordFile: a.PasswordFile, OAuthToken: a.OAuthTokenCommand, TSA: a.TSA,
		Timestamp: string(a.Timestamp), Revocation: string(a.Revocation), InsecureLoopback: a.InsecureLoopback,
		Sent: a.Folders.Sent, Drafts: a.Folders.Drafts, Trash: a.Folders.Trash, Archive: a.Folders.Archive,
	}
	if a.IMAP.Scheme.IsFiles() {
		fa.IMAP, fa.Store = "", a.IMAP.String()
	}
	if len(a.Addresses) > 0 {
		fa.Addresses = a.Addresses[1:]
	}
	if a.HeaderConfidentiality != HeaderConfidentialityBaseline { // which is what it is where nothing is said
		fa.HeaderConfidentiality = string(a.HeaderConfidentiality)
	}
	block, err := toml.Marshal(file{Account: map[string]fileAccount{a.Name: fa}})
	if err != nil {
		return nil, err
	}
	// The parent table is implied, and may stand there once only.
	return withBlock(path, data, bytes.TrimPrefix(block, []byte("[account]\n")))
}
