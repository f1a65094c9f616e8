package ca

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/safeio"
)

// Errors of an authority.
var (
	// ErrExist says that there is an authority in the folder already.
	ErrExist = fmt.Errorf("certificate authority: %w", fs.ErrExist)
	// ErrNotExist says that there is none.
	ErrNotExist = fmt.Errorf("certificate authority: %w", fs.ErrNotExist)
	// ErrProfile says that what was asked for cannot be certified.
	ErrProfile = errors.New("certificate cannot be issued")
	// ErrDamaged says that the authority's files do not go together.
	ErrDamaged = errors.New("certificate authority is damaged")
	// ErrNoRootKey says that something needs the root's private key, which is kept elsewhere.
	ErrNoRootKey = errors.New("the root's private key is not here")
)

// Names inside an authority's folder.
const (
	settingsFile = "ca.json"
	chainFile    = "chain.pem"
	keysDir      = "keys"
	vaultFile    = "vault.json"

	keyKind = "pkcs8" // of entries in a vault

	settingsVersion = 1
	maxFile         = 1 << 20 // octets, of each file but a revocation list
)

// backdate is how far validity begins in the past, for machines whose clocks are slow.
const backdate = 5 * time.Minute

// InitOptions is what a new authority is to be.
type InitOptions struct {
	Dir          string
	Name         string // common name of the root; those of the issuers begin with it
	Organization string // may be empty
	Key          KeyType
	Days         int    // validity of the certificates; 0: ten years
	BaseURL      string // where revocation lists and issuers will be found; may be empty
	Protection   vault.Protection
	Disk         safeio.Disk
	Now          time.Time
}

// Authority is an open certificate authority. Private keys are fetched when something is to be signed. It is safe for
// concurrent use, and so is the folder by several processes.
type Authority struct {
	dir      string
	disk     safeio.Disk
	settings settings
	certs    map[Issuer]*x509.Certificate
	keys     *vault.Vault // of the issuers that are online
	rootKeys *vault.Vault // nil: locked, or kept elsewhere

	final      sync.Map // Revocation by serial number, but for those on hold: the others never change
	lists      lists
	responders responders
}

type settings struct {
	Version int       `json:"version"`
	Name    string    `json:"name"`
	BaseURL string    `json:"base_url,omitempty"`
	Created time.Time `json:"created"`
}

// Init makes a new authority in a folder that has none, and returns it ready to issue. Should it be interrupted, the
// folder has no authority, and Init can be called again.
func Init(ctx context.Context, o InitOptions) (*Authority, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	switch _, err := os.Lstat(filepath.Join(o.Dir, settingsFile)); {
	case err == nil:
		return nil, fmt.Errorf("%w: %s", ErrExist, o.Dir)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	a := &Authority{dir: o.Dir, disk: o.Disk, certs: make(map[Issuer]*x509.Certificate), settings: settings{
		Version: settingsVersion, Name: o.Name, BaseURL: strings.TrimSuffix(o.BaseURL, "/"), Created: o.Now.UTC().Truncate(time.Second),
	}}
	keys := make(map[Issuer]crypto.Signer)
	for _, i := range []Issuer{RootIssuer, MailIssuer, ServicesIssuer} {
		var err error
		if keys[i], err = o.Key.Generate(); err != nil {
			return nil, err
		}
	}
	if err := a.certify(o, keys); err != nil {
		return nil, err
	}
	var err error
	if a.rootKeys, err = a.storeKeys(ctx, string(RootIssuer), keys, o.Protection, RootIssuer); err != nil {
		return nil, err
	}
	if a.keys, err = a.storeKeys(ctx, string(MailIssuer), keys, o.Protection, online()...); err != nil {
		return nil, err
	}
	return a, a.writeFiles(keys)
}

func (o *InitOptions) validate() error {
	if o.Key == "" {
		o.Key = P256
	}
	if o.Days == 0 {
		o.Days = 3650
	}
	switch {
	case o.Now.IsZero():
		return fmt.Errorf("%w: no time was given", ErrProfile)
	case strings.TrimSpace(o.Name) == "":
		return fmt.Errorf("%w: a certificate authority needs a name", ErrProfile)
	case o.Key != P256 && o.Key != P384 && o.Key != RSA3072:
		return fmt.Errorf("%w: an authority's key is one of p256, p384, rsa3072, not %q", ErrProfile, string(o.Key))
	case o.Days < 1 || o.Days > 365*50:
		return fmt.Errorf("%w: validity of %d days", ErrProfile, o.Days)
	}
	if o.BaseURL == "" {
		return nil
	}
	// RFC 5280 section 8: plain http, because checking a certificate must not need another certificate.
	u, err := url.Parse(o.BaseURL)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%w: base URL %q is not of the form http://HOST/PATH", ErrProfile, o.BaseURL)
	}
	return nil
}

// writeFiles writes the certificates, the first revocation lists and, last, the settings, whose presence makes the folder
// an authority.
func (a *Authority) writeFiles(keys map[Issuer]crypto.Signer) error {
	data, err := json.MarshalIndent(a.settings, "", "  ")
	if err != nil {
		return err
	}
	for _, i := range []Issuer{RootIssuer, MailIssuer, ServicesIssuer} {
		if err := a.write(string(i)+".pem", certstore.EncodeCertificates(a.certs[i])); err != nil {
			return err
		}
		list, err := a.signCRL(i, keys[i], crlContent{number: big.NewInt(a.settings.Created.Unix()), days: i.crlDays(), now: a.settings.Created})
		if err != nil {
			return err
		}
		if err := a.write(i.crlFile(), list); err != nil {
			return err
		}
	}
	chain := certstore.EncodeCertificates(a.certs[MailIssuer], a.certs[ServicesIssuer], a.certs[RootIssuer])
	if err := a.write(chainFile, chain); err != nil {
		return err
	}
	return a.write(settingsFile, append(data, '\n'))
}

// write writes one of the files that everybody may read.
func (a *Authority) write(name string, data []byte) error {
	if err := a.disk.WriteFile(filepath.Join(a.dir, name), data, 0o644); err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	return nil
}

// readBounded reads a small file of the authority.
func readBounded(path string) ([]byte, error) { return readAtMost(path, maxFile) }

func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%w: %s is too large", ErrDamaged, path)
	}
	return data, err
}

// Open opens an authority. The passphrase unlocks the keys of the issuers that are online, and is ignored where they are
// unprotected. The error wraps [vault.ErrPassphrase] where it is wrong.
func Open(dir string, disk safeio.Disk, passphrase []byte) (*Authority, error) {
	a := &Authority{dir: dir, disk: disk, certs: make(map[Issuer]*x509.Certificate)}
	data, err := readBounded(filepath.Join(dir, settingsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNotExist, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	if err := json.Unmarshal(data, &a.settings); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, settingsFile, err)
	}
	if a.settings.Version != settingsVersion {
		return nil, fmt.Errorf("%w: version %d is not known", ErrDamaged, a.settings.Version)
	}
	if err := a.readIssuers(); err != nil {
		return nil, err
	}
	if a.keys, err = vault.Open(disk, a.vaultPath(string(MailIssuer))); err != nil {
		return nil, err
	}
	return a, a.keys.Unlock(passphrase)
}

// Protected reports whether the keys are under a passphrase.
func (a *Authority) Protected() bool { return a.keys.Protected() }

// Warnings returns what was found wrong with file permissions, and mended.
func (a *Authority) Warnings() []string { return a.keys.Warnings() }
