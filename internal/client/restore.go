package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/backup"
	"github.com/sealmail/sealmail/mailbox/outbox"
	"github.com/sealmail/sealmail/smime/cms"
)

// RestoreParams say how to open a backup.
type RestoreParams struct {
	// Passphrase gives the passphrase of the backup. It is asked where no key is given.
	Passphrase func(ctx context.Context) ([]byte, error)
	Keys       KeyFiles
}

// RestoreResult is what was restored.
type RestoreResult struct {
	File      string       `json:"file"`
	Created   time.Time    `json:"created"`
	Files     int          `json:"files"`
	Uncertain int          `json:"uncertain"` // messages of the outbox that were queued, and may have been sent since
	Device    *VaultDevice `json:"device"`    // where the vault's device secret is now; null: there is none
}

var errNoBackup = errors.New("it is no backup of sealmail's")

const noBackupHint = "`sealmail backup -o FILE` makes one"

// Restore puts a backup in the place of a home that is empty. All of it is read and verified first, into folders beside; after
// a kill at any instant the home is empty, or whole.
func (c *Client) Restore(ctx context.Context, p RestoreParams, in string) (*RestoreResult, error) {
	places, of := homePlaces(c.o.Home)
	for i := range places {
		if err := checkEmpty(places[i]); err != nil {
			return nil, err
		}
	}
	src, err := c.openSource(in)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	sealed, err := readBackup(in, io.NewSectionReader(src, 0, src.Size()))
	if err != nil {
		return nil, err
	}
	cek, err := c.openBackup(ctx, in, sealed, p)
	if err != nil {
		return nil, err
	}
	defer clear(cek)
	staging, err := backup.Stage(c.o.Disk, places)
	if err != nil {
		return nil, restoreError(in, err)
	}
	r := &restoring{client: c, staging: staging, of: of, file: in}
	result, err := r.fill(ctx, sealed, cek, src.Size())
	if err == nil {
		err = src.unchanged()
	}
	if err != nil {
		return nil, errors.Join(err, staging.Discard())
	}
	if err := staging.Commit(ctx); err != nil {
		return nil, restoreError(in, err)
	}
	if result.Uncertain > 0 {
		c.o.Say(fmt.Sprintf("note: %d message(s) in the outbox may have been sent since the backup was made: `sealmail outbox list`", result.Uncertain))
	}
	return result, nil
}

// checkEmpty refuses early what Stage will refuse, before anything is asked.
func checkEmpty(p backup.Place) error {
	entries, err := os.ReadDir(p.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return failed("restore", err, "")
	case len(entries) > 0 && !p.Optional:
		return restoreError("restore", fmt.Errorf("%s: %w", p.Dir, backup.ErrNotEmpty))
	}
	return nil
}

// readBackup reads the head of a file.
func readBackup(in string, r io.Reader) (*cms.EnvelopedData, error) {
	read, err := cms.Read(r, cms.Limits{})
	if err != nil {
		return nil, failed(in, errNoBackup, noBackupHint)
	}
	sealed, ok := read.(*cms.EnvelopedData)
	if !ok || !sealed.Authenticated { // without authentication anybody could have altered it
		return nil, failed(in, errNoBackup, noBackupHint)
	}
	if err := sealed.Check(cms.DecryptOptions{}); err != nil {
		return nil, failed(in, err, "")
	}
	return sealed, nil
}

// openBackup finds the key of the content: by the keys that were given, else by the passphrase.
func (c *Client) openBackup(ctx context.Context, in string, sealed *cms.EnvelopedData, p RestoreParams) ([]byte, error) {
	if p.Keys.given() {
		decrypters, _, err := c.decrypters(p.Keys)
		if err != nil {
			return nil, err
		}
		for _, d := range decrypters {
			for _, ri := range sealed.Recipients {
				if cek, err := d.Unwrap(ctx, ri); err == nil {
					return cek, nil
				}
			}
		}
		return nil, failed(in, errors.New("none of the keys opens it"), "give the key of a certificate that `sealmail backup --to` was told, or the passphrase")
	}
	var passphrase []byte
	for _, ri := range sealed.Recipients {
		ri, ok := ri.(*cms.PasswordRecipientInfo)
		if !ok {
			continue
		}
		if passphrase == nil {
			var err error
			if passphrase, err = p.Passphrase(ctx); err != nil {
				return nil, err
			}
			defer clear(passphrase)
		}
		cek, err := ri.Unwrap(passphrase)
		if err == nil {
			return cek, nil
		}
		if !errors.Is(err, cms.ErrDecrypt) {
			return nil, failed(in, err, "")
		}
	}
	if passphrase != nil {
		return nil, failed(in, errors.New("wrong passphrase"), "a backup has a passphrase of its own, which need not be the vault's")
	}
	return nil, failed(in, errors.New("it has no passphrase"), "it opens with the key of a certificate: --p12 FILE, or --key FILE with --cert FILE")
}

// restoring is a backup on its way into the folders beside a home.
type restoring struct {
	client  *Client
	staging *backup.Staging
	of      map[string]partPlace
	file    string
}

// dir is the folder that a part is staged in.
func (r *restoring) dir(part string) (string, bool) {
	if part == devicePart {
		return "", true
	}
	at, ok := r.of[part]
	if !ok {
		return "", false
	}
	return filepath.Join(r.staging.Dir(at.number), at.rest), true
}

// fill decrypts and unpacks a backup, and readies what is not the same on this machine, or not any more.
func (r *restoring) fill(ctx context.Context, sealed *cms.EnvelopedData, cek []byte, size int64) (*RestoreResult, error) {
	extracted, err := r.unpack(ctx, sealed, cek, size)
	if err != nil {
		return nil, err
	}
	result := &RestoreResult{File: r.file, Created: extracted.Manifest.Created.UTC(), Files: extracted.Files}
	home := r.client.o.Home
	staged := func(part, below, file string) (string, error) {
		dir, _ := r.dir(part)
		rest, err := filepath.Rel(below, file)
		return filepath.Join(dir, rest), err
	}
	box, err := staged("state", home.State, home.Outbox())
	if err == nil {
		result.Uncertain, err = outbox.Restored(r.client.o.Disk, box)
	}
	if err != nil {
		return nil, failed("outbox", err, "")
	}
	vaultFile, err := staged("data", home.Data, home.Vault())
	if err == nil {
		result.Device, err = r.placeSecret(vaultFile, extracted.Kept)
	}
	return result, err
}

// unpack decrypts and unpacks at once. What was unpacked counts for nothing before the tag over all of it was checked.
func (r *restoring) unpack(ctx context.Context, sealed *cms.EnvelopedData, cek []byte, size int64) (*backup.Extracted, error) {
	out, in := io.Pipe()
	decrypted := make(chan error, 1)
	go func() {
		err := sealed.Decrypt(ctx, in, cek, cms.DecryptOptions{})
		in.CloseWithError(err) // nil is the end
		decrypted <- err
	}()
	extracted, err := backup.Extract(ctx, out, r.client.o.Disk, size, r.dir)
	_, _ = io.Copy(io.Discard, out) // to the end: only there it shows whether anybody altered it
	switch decryptErr := <-decrypted; {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case decryptErr != nil:
		return nil, failed(r.file, errors.New("it was damaged or altered; nothing was restored"), "take another copy of it")
	case err != nil:
		return nil, restoreError(r.file, err)
	}
	return extracted, nil
}

// restoreError says what a person can do about an error.
func restoreError(in string, err error) error {
	switch {
	case errors.Is(err, backup.ErrNotEmpty):
		return failed("restore", err, "restore into an empty home: name another with --home DIR, or move this one away")
	case errors.Is(err, backup.ErrPlacing):
		return failed("restore", err, "any command goes on with it as soon as it can")
	case errors.Is(err, backup.ErrBusy):
		return failed("restore", err, "wait for it")
	case errors.Is(err, backup.ErrVersion):
		return failed(in, err, "restore it with a newer sealmail")
	}
	return failed(in, err, "")
}

// placeSecret puts the vault's device secret where this machine has a place for it.
func (r *restoring) placeSecret(file string, kept []backup.File) (*VaultDevice, error) {
	c := r.client
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var name string
	var secret []byte
	if len(kept) > 0 {
		name, secret = path.Base(kept[0].Path), kept[0].Data
	}
	device, beside, err := c.setting().PlaceSecret(file, name, secret)
	if err != nil {
		return nil, failed("vault", err, "the backup is of no use without it")
	}
	folder := filepath.Dir(c.o.Home.Vault())
	switch {
	case device.Kind == "":
		return nil, nil
	case beside:
		where := "the keyring"
		if device.Kind == vault.DeviceFolder {
			where = device.Folder
		}
		c.o.Say("warning: the vault's device secret cannot be kept in " + where + " here, and lies beside the vault: `sealmail vault passwd --device` gives it another place")
	case device.Kind == vault.DeviceKeyring:
		return &VaultDevice{Place: string(device.Kind)}, nil
	case device.Kind == vault.DeviceFolder:
		return &VaultDevice{Place: string(device.Kind), Folder: &device.Folder}, nil
	}
	return &VaultDevice{Place: string(vault.DeviceBeside), Folder: &folder}, nil
}

// finishRestore puts in place what a restoration that was killed had ready, before anybody takes the home for empty.
func finishRestore(o Options) error {
	if _, err := os.Lstat(o.Home.ConfigFile); err == nil {
		return nil // it comes last
	}
	places, _ := homePlaces(o.Home)
	finished, err := backup.Finish(o.Disk, places)
	if err != nil {
		return restoreError("restore", err)
	}
	if finished {
		o.Say("note: a restoration that was interrupted is complete now")
	}
	return nil
}
