package ca

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
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
)

// Names inside an authority's folder.
const (
	settingsFile = "ca.json"
	rootFile     = "root.pem"
	issuingFile  = "issuing.pem"
	chainFile    = "chain.pem"
	keysDir      = "keys"
	issuedDir    = "issued"
	indexFile    = "index.json"
	vaultFile    = "vault.json"

	keyEntry = "ca-key" // of the vaults
	keyKind  = "pkcs8"

	settingsVersion = 1
)

// backdate is how far validity begins in the past, for machines whose clocks are slow.
const backdate = 5 * time.Minute

// InitOptions is what a new authority is to be.
type InitOptions struct {
	Dir          string
	Name         string // common name of the root; the issuing authority's ends in "Issuing CA"
	Organization string // may be empty
	Key          KeyType
	Days         int    // validity of both certificates; 0: ten years
	BaseURL      string // where revocation lists and issuers will be found; may be empty
	Protection   vault.Protection
	Disk         safeio.Disk
	Now          time.Time
}

// Authority is an open certificate authority. Its private key is fetched when something is to be signed.
type Authority struct {
	dir      string
	disk     safeio.Disk
	settings settings
	root     *x509.Certificate
	issuing  *x509.Certificate
	keys     *vault.Vault // the issuing authority's
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
	a := &Authority{dir: o.Dir, disk: o.Disk, settings: settings{
		Version: settingsVersion, Name: o.Name, BaseURL: strings.TrimSuffix(o.BaseURL, "/"), Created: o.Now.UTC().Truncate(time.Second),
	}}
	rootKey, err := o.Key.generate()
	if err != nil {
		return nil, err
	}
	issuingKey, err := o.Key.generate()
	if err != nil {
		return nil, err
	}
	if err := a.certify(o, rootKey, issuingKey); err != nil {
		return nil, err
	}
	if _, err := a.storeKey(ctx, "root", rootKey, o.Protection); err != nil {
		return nil, err
	}
	if a.keys, err = a.storeKey(ctx, "issuing", issuingKey, o.Protection); err != nil {
		return nil, err
	}
	return a, a.writeFiles()
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
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%w: base URL %q is not of the form http://HOST/PATH", ErrProfile, o.BaseURL)
	}
	return nil
}

// certify makes the two certificates.
func (a *Authority) certify(o InitOptions, rootKey, issuingKey crypto.Signer) error {
	template := func(name string, key crypto.Signer) (*x509.Certificate, error) {
		id, err := subjectKeyID(key.Public())
		if err != nil {
			return nil, err
		}
		subject := pkix.Name{CommonName: name}
		if o.Organization != "" {
			subject.Organization = []string{o.Organization}
		}
		return &x509.Certificate{
			SerialNumber:          newSerial(),
			Subject:               subject,
			SubjectKeyId:          id,
			NotBefore:             a.settings.Created.Add(-backdate),
			NotAfter:              a.settings.Created.AddDate(0, 0, o.Days),
			BasicConstraintsValid: true,
			IsCA:                  true,
			KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}, nil
	}
	root, err := template(o.Name, rootKey)
	if err != nil {
		return err
	}
	issuing, err := template(o.Name+" Issuing CA", issuingKey)
	if err != nil {
		return err
	}
	issuing.MaxPathLenZero = true // it certifies no further authorities
	a.addURLs(issuing, "root")
	if a.root, err = sign(root, root, rootKey.Public(), rootKey); err != nil {
		return err
	}
	a.issuing, err = sign(issuing, a.root, issuingKey.Public(), rootKey)
	return err
}

// addURLs says where the issuer's revocation list and certificate are found.
func (a *Authority) addURLs(template *x509.Certificate, issuer string) {
	base := a.settings.BaseURL
	if base == "" {
		return
	}
	template.CRLDistributionPoints = []string{base + "/" + issuer + ".crl"}
	template.IssuingCertificateURL = []string{base + "/" + issuer + ".cer"}
	if issuer != "root" {
		template.OCSPServer = []string{base + "/ocsp"}
	}
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfile, err)
	}
	return x509.ParseCertificate(der)
}

func (a *Authority) vaultPath(of string) string { return filepath.Join(a.dir, keysDir, of, vaultFile) }

// storeKey puts a key into a vault of its own. What an interrupted Init left is replaced.
func (a *Authority) storeKey(ctx context.Context, of string, key crypto.Signer, p vault.Protection) (*vault.Vault, error) {
	path := a.vaultPath(of)
	if err := a.disk.RemoveAll(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	if err := a.disk.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	v, err := vault.Create(ctx, a.disk, path, p)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	return v, v.Put(ctx, keyEntry, keyKind, der)
}

// writeFiles writes the certificates and, last, the settings, whose presence makes the folder an authority.
func (a *Authority) writeFiles() error {
	data, err := json.MarshalIndent(a.settings, "", "  ")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{rootFile, certstore.EncodeCertificates(a.root)},
		{issuingFile, certstore.EncodeCertificates(a.issuing)},
		{chainFile, certstore.EncodeCertificates(a.issuing, a.root)},
		{settingsFile, append(data, '\n')},
	} {
		if err := a.disk.WriteFile(filepath.Join(a.dir, f.name), f.data, 0o644); err != nil {
			return fmt.Errorf("certificate authority: %w", err)
		}
	}
	return nil
}

// Open opens an authority. The passphrase unlocks the issuing key, and is ignored where that is unprotected. The error
// wraps [vault.ErrPassphrase] where it is wrong.
func Open(dir string, disk safeio.Disk, passphrase []byte) (*Authority, error) {
	a := &Authority{dir: dir, disk: disk}
	data, err := os.ReadFile(filepath.Join(dir, settingsFile))
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
	if a.root, err = a.readCertificate(rootFile); err != nil {
		return nil, err
	}
	if a.issuing, err = a.readCertificate(issuingFile); err != nil {
		return nil, err
	}
	if err := a.issuing.CheckSignatureFrom(a.root); err != nil {
		return nil, fmt.Errorf("%w: %s is not signed by %s", ErrDamaged, issuingFile, rootFile)
	}
	if a.keys, err = vault.Open(disk, a.vaultPath("issuing")); err != nil {
		return nil, err
	}
	return a, a.keys.Unlock(passphrase)
}

func (a *Authority) readCertificate(name string) (*x509.Certificate, error) {
	data, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	certs, err := certstore.ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
	}
	return certs[0], nil
}

// Root returns the root certificate: what others trust.
func (a *Authority) Root() *x509.Certificate { return a.root }

// Issuing returns the certificate of the issuing authority.
func (a *Authority) Issuing() *x509.Certificate { return a.issuing }

// Protected reports whether the issuing key is under a passphrase.
func (a *Authority) Protected() bool { return a.keys.Protected() }

// Warnings returns what was found wrong with file permissions, and mended.
func (a *Authority) Warnings() []string { return a.keys.Warnings() }

// issuingKey fetches the key that signs.
func (a *Authority) issuingKey() (crypto.Signer, error) {
	der, err := a.keys.Get(keyEntry)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	key, err := certstore.ParsePrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: issuing key: %w", ErrDamaged, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: issuing key cannot sign", ErrDamaged)
	}
	return signer, nil
}
