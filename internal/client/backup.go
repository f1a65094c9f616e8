package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/backup"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/smime/cms"
)

// devicePart is the part of a backup with the vault's device secret, which has a place of its own on each machine.
const devicePart = "device"

// exportBackup is how the export of a key in a backup is written down.
const exportBackup = "backup"

// BackupParams say how to seal a backup.
type BackupParams struct {
	// Passphrase gives the passphrase of the backup, which is not that of the vault; nil: only To opens it. It is not asked
	// where nothing can be backed up.
	Passphrase func(ctx context.Context) ([]byte, error)
	To         []string // files of certificates whose keys open it as well
	Caches     bool     // take along what can be fetched again
	By         string   // who makes it, as the machine calls them
	// Replace is asked before a file that is there already is replaced; its error is returned.
	Replace func(file string) error
}

// BackupResult is what a backup holds.
type BackupResult struct {
	File  string `json:"file"`
	Size  int64  `json:"size"`
	Files int    `json:"files"`
	Keys  int    `json:"keys"` // private keys, each of which is written down as exported
}

// Backup writes the whole home into one file: a tar archive inside of a CMS AuthEnvelopedData (RFC 5083), which opens with a
// passphrase (RFC 5652 section 6.2.4), or with the keys of certificates, here and elsewhere.
//
// What is copied is of one piece though others go on working. Files are replaced whole, so that each is as it was at some
// moment; the parts are copied in the order in which what is newer points to what is older ([config.Home.Parts]); and the vault
// and its device secret, which only open together, are read under the lock that writers of the vault take.
func (c *Client) Backup(ctx context.Context, p BackupParams, out Output) (*BackupResult, error) {
	if err := c.checkBackupOutput(out.Name); err != nil {
		return nil, err
	}
	recipients, err := c.backupRecipients(p.To)
	if err != nil {
		return nil, err
	}
	if _, err := c.copyVault(ctx); err != nil { // before anybody is asked anything
		return nil, err
	}
	if err := mayReplace(out.Name, p.Replace); err != nil {
		return nil, err
	}
	if p.Passphrase != nil {
		passphrase, err := p.Passphrase(ctx)
		if err != nil {
			return nil, err
		}
		defer clear(passphrase)
		if len(passphrase) < minPassword {
			c.o.Say(fmt.Sprintf("warning: the passphrase has less than %d octets: who gets the file can guess it", minPassword))
		}
		recipients = append(recipients, cms.Recipient{KeyManagement: cms.PasswordPBKDF2, Password: passphrase})
	}
	result := &BackupResult{File: out.Name}
	keys := &vaultBackup{client: c, file: "standard output", by: p.By, recorded: make(map[string]bool)}
	if out.Name != "-" {
		if keys.file, err = filepath.Abs(out.Name); err != nil {
			return nil, failed("", err, "")
		}
	}
	// Before anything is copied, so that the backup knows of itself; after a kill there is a record too many, and never a copy.
	if err := keys.read(ctx); err != nil {
		return nil, err
	}
	err = c.write(out, func(w io.Writer) error {
		counted := &countingWriter{w: w}
		sealed, err := cms.NewEnvelopedDataWriter(ctx, counted, cms.EnvelopedDataOptions{Cipher: cms.AES256GCM, Recipients: recipients})
		if err != nil {
			return failed("backup", err, "")
		}
		if result.Files, err = c.archive(ctx, sealed, keys, p.Caches); err != nil {
			return backupError(err)
		}
		result.Keys = len(keys.recorded)
		if err := sealed.Close(); err != nil {
			return unwritable(out.Name, err)
		}
		result.Size = counted.n
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.sayOutside()
	return result, nil
}

// backupError is an error of what is read, or of where it is written.
func backupError(err error) error {
	var known *Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, backup.ErrKind):
		return failed("backup", err, "move it out of the home, or put there what it leads to")
	}
	return failed("backup", err, "")
}

// countingWriter counts what went through.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// checkBackupOutput refuses a file that the next backup would take along.
func (c *Client) checkBackupOutput(name string) error {
	if name == "-" {
		return nil
	}
	for _, part := range c.o.Home.Parts() {
		if inside(part.Dir, name) {
			return usage("backup", fmt.Errorf("%s is in the home that it would be a backup of", name), "name a file elsewhere, best on another disk")
		}
	}
	return nil
}

// inside reports whether a file is to lie below a folder.
func inside(dir, name string) bool {
	dir, name = realPath(dir), filepath.Join(realPath(filepath.Dir(name)), filepath.Base(name))
	rest, err := filepath.Rel(dir, name)
	return err == nil && filepath.IsLocal(rest)
}

// realPath is an absolute path without links, as far as there is such a thing.
func realPath(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if end, err := filepath.EvalSymlinks(path); err == nil {
		path = end
	}
	return path
}

// backupRecipients are the certificates, the first of each file, whose keys open a backup.
func (c *Client) backupRecipients(names []string) (list []cms.Recipient, err error) {
	for _, name := range names {
		certs, err := c.o.readCertificates([]string{name})
		if err != nil {
			return nil, err
		}
		management, err := cms.DefaultKeyManagement(certs[0])
		if err != nil {
			return nil, failed(name, err, "name a certificate with an RSA, P-256, P-384, P-521 or X25519 key")
		}
		if !certstore.AllowsUse(certs[0], certstore.EncryptMail) {
			return nil, failed(name, errors.New("its certificate is not for encryption"), "name one that is")
		}
		list = append(list, cms.Recipient{Certificate: certs[0], KeyManagement: management})
	}
	return list, nil
}

// copyVault reads the vault with its device secret. A home without one has no key to lose.
func (c *Client) copyVault(ctx context.Context) (vault.Copy, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	copied, err := c.setting().Copy(ctx, c.o.Home.Vault())
	switch {
	case errors.Is(err, fs.ErrNotExist) && !errors.Is(err, vault.ErrDevice):
		return vault.Copy{}, nil
	case errors.Is(err, vault.ErrDevice):
		return copied, failed("backup", err, "without its device secret the vault in the backup would never open: `sealmail vault status` says where it is kept")
	case err != nil:
		return copied, failed("vault", err, "")
	}
	return copied, nil
}

// vaultBackup is the vault on its way into a backup.
type vaultBackup struct {
	client   *Client
	file, by string
	copied   vault.Copy
	recorded map[string]bool // the vault's entries whose keys are written down as exported into this file
}

// read reads the vault, and writes down that its private keys leave: before any of them is in the file. Called again, it
// writes down those that came since.
func (b *vaultBackup) read(ctx context.Context) error {
	copied, err := b.client.copyVault(ctx)
	if err != nil {
		return err
	}
	b.copied = copied
	store := b.client.certificates()
	identities, _, err := store.Identities()
	if err != nil {
		return storeError(err)
	}
	owners := make(map[string][]certstore.Export)
	for _, identity := range identities {
		export := certstore.NewExport(identity.Certificate(), b.file, exportBackup, b.by, b.client.o.Now())
		owners[export.Key] = append(owners[export.Key], export)
	}
	var exports []certstore.Export
	for _, e := range copied.Entries {
		key, ok := certstore.KeyOfEntry(e.ID)
		if !ok || b.recorded[key] {
			continue
		}
		b.recorded[key] = true
		of := owners[key]
		if of == nil { // one that waits for its certificate
			of = []certstore.Export{{Time: b.client.o.Now(), By: b.by, File: b.file, Format: exportBackup, Key: key}}
		}
		exports = append(exports, of...)
	}
	return storeErrorOrNil(store.RecordExport(exports...))
}

// archive writes all parts of the home. Certificates are copied before the vault: there is no identity without its key.
func (c *Client) archive(ctx context.Context, w io.Writer, keys *vaultBackup, caches bool) (files int, err error) {
	buffered := bufio.NewWriterSize(w, 64<<10)
	archive, err := backup.NewWriter(buffered, c.o.Now(), c.spoolOptions())
	if err != nil {
		return 0, err
	}
	for _, part := range c.o.Home.Parts() {
		p := backup.Part{Name: part.Name, Dir: part.Dir, Has: part.Has}
		if part.Name == "cache" && !caches {
			continue
		}
		if part.Name == "data" {
			p.Skip = c.ofVault
			p.Extra = func() ([]backup.File, error) {
				if err := keys.read(ctx); err != nil || keys.copied.File == nil {
					return nil, err
				}
				return []backup.File{{Path: filepath.Base(c.o.Home.Vault()), Data: keys.copied.File}}, nil
			}
		}
		if err := archive.Add(ctx, p); err != nil {
			return 0, err
		}
	}
	device := backup.Part{Name: devicePart, Extra: func() ([]backup.File, error) {
		if keys.copied.Secret == nil {
			return nil, nil
		}
		return []backup.File{{Path: keys.copied.SecretName, Data: keys.copied.Secret}}, nil
	}}
	if err := archive.Add(ctx, device); err != nil {
		return 0, err
	}
	if err := archive.Close(); err != nil {
		return 0, err
	}
	return archive.Files(), buffered.Flush()
}

// ofVault reports whether a file is the vault's, or one that it keeps beside itself.
func (c *Client) ofVault(path string) bool {
	vaultFile := c.o.Home.Vault()
	if filepath.Dir(path) != filepath.Dir(vaultFile) {
		return false
	}
	name := filepath.Base(path)
	return strings.HasPrefix(name, filepath.Base(vaultFile)) || vault.IsSecretName(name)
}

// sayOutside tells of files that the configuration names, and that are not in the backup.
func (c *Client) sayOutside() {
	var names []string
	for _, a := range c.config.Accounts {
		names = append(names, a.PasswordFile)
	}
	for _, t := range c.config.TSAs {
		names = append(names, t.P12)
	}
	for _, name := range names {
		if name != "" && !c.inHome(name) {
			c.o.Say("note: not in the backup, as it lies outside of the home: " + name)
		}
	}
}

func (c *Client) inHome(name string) bool {
	for _, part := range c.o.Home.Parts() {
		if inside(part.Dir, name) {
			return true
		}
	}
	return false
}

// homePlaces are the folders that a restored home takes, and the folder of each part among them: the number of the place, and
// the path below it. The configuration is last: what it names is there.
func homePlaces(h config.Home) (places []backup.Place, of map[string]partPlace) {
	of = make(map[string]partPlace)
	parts := h.Parts()
	for i := len(parts) - 1; i >= 0; i-- {
		p := parts[i]
		place := partPlace{}
		root := p.Dir
		for _, q := range parts { // the outermost part around it
			if rest, err := filepath.Rel(q.Dir, root); err == nil && filepath.IsLocal(rest) {
				root = q.Dir
			}
		}
		for place.number < len(places) && places[place.number].Dir != root {
			place.number++
		}
		if place.number == len(places) {
			places = append(places, backup.Place{Dir: root, Optional: p.Name == "cache" && root == p.Dir})
		}
		place.rest, _ = filepath.Rel(root, p.Dir) // below it, as was found
		of[p.Name] = place
	}
	return places, of
}

// partPlace is where a part of a home is: below which place, and by which path.
type partPlace struct {
	number int
	rest   string
}
