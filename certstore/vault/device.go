package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sealmail/sealmail/internal/safeio"
)

// SecretPlace keeps small secrets outside the vault file, each under a name of letters, digits and hyphens.
type SecretPlace interface {
	// Get returns the secret of this name. The error wraps fs.ErrNotExist where there is none.
	Get(name string) ([]byte, error)
	// Put stores a secret, in place of what may be there, and returns when it is durable.
	Put(name string, secret []byte) error
	// Delete removes a secret. The error wraps fs.ErrNotExist where there is none.
	Delete(name string) error
}

// DeviceKind is a kind of place for the device secret.
type DeviceKind string

// The places: in the folder of the vault, where a copy of that folder has both; in another folder; in the keyring of the
// operating system.
const (
	DeviceBeside  DeviceKind = "beside"
	DeviceFolder  DeviceKind = "folder"
	DeviceKeyring DeviceKind = "keyring"

	deviceFile DeviceKind = "file" // in files of version 1: beside the vault, under a name that never changes
)

// keyFileName is the name of the device secret in version 1.
const keyFileName = "vault.key"

// maxFolder bounds the path of a folder, in octets.
const maxFolder = 4096

// Device says where the device secret is. The zero value is beside the vault.
type Device struct {
	Kind   DeviceKind
	Folder string // for DeviceFolder: its absolute path
}

// deviceRecord is a Device in the file.
type deviceRecord struct {
	Kind   DeviceKind `json:"kind"`
	Folder string     `json:"folder,omitempty"`
	Name   string     `json:"name,omitempty"` // in version 1
}

func (d Device) record() (*deviceRecord, error) {
	r := &deviceRecord{Kind: d.Kind, Folder: d.Folder}
	if r.Kind == "" {
		r.Kind = DeviceBeside
	}
	if r.Kind == deviceFile {
		return nil, fmt.Errorf("a device secret cannot be kept in a place of kind %q", d.Kind)
	}
	if r.Kind == DeviceFolder && !filepath.IsAbs(r.Folder) {
		return nil, fmt.Errorf("the folder for the device secret, %q, is not an absolute path", r.Folder)
	}
	return r, r.validate()
}

func (d *deviceRecord) validate() error {
	switch d.Kind {
	case deviceFile, DeviceBeside, DeviceFolder, DeviceKeyring:
	default:
		return fmt.Errorf("%w: device secret of kind %q", ErrVersion, d.Kind)
	}
	// These come from a file that somebody may have swapped. A folder may be any, but what is looked for in it has a name
	// that nobody chooses.
	name := ""
	if d.Kind == deviceFile {
		name = keyFileName
	}
	folder := d.Kind == DeviceFolder
	if d.Name != name || folder != (d.Folder != "") || len(d.Folder) > maxFolder || strings.ContainsRune(d.Folder, 0) {
		return fmt.Errorf("%w: device secret has an unexpected place", ErrDamaged)
	}
	return nil
}

// secret is a device secret: which, and where.
type secret struct {
	Root   string        `json:"root"` // the identifier of the root that it is for
	Device *deviceRecord `json:"device"`
}

// name contains the root's identifier, so that the secret of one root never takes the place of another's.
func (s secret) name() string {
	if s.Device.Kind == deviceFile {
		return keyFileName
	}
	return secretPrefix + s.Root
}

// places are where a device secret is looked for, in this order; it is written to the first.
func (v *Vault) places(d *deviceRecord) ([]SecretPlace, error) {
	folder := func(dir string) SecretPlace { return folderPlace{disk: v.setting.Disk, dir: dir, warn: v.warn} }
	switch d.Kind {
	case DeviceKeyring:
		if v.setting.Keyring == nil {
			return nil, fmt.Errorf("%w: it is in the operating system's keyring, which is not at hand", ErrDevice)
		}
		return []SecretPlace{v.setting.Keyring}, nil
	case DeviceFolder:
		if !filepath.IsAbs(d.Folder) {
			return nil, fmt.Errorf("%w: its folder %q is no path here", ErrDevice, d.Folder)
		}
		places := []SecretPlace{folder(d.Folder)}
		if other := v.setting.Folder; other != "" && filepath.Clean(other) != filepath.Clean(d.Folder) {
			places = append(places, folder(other))
		}
		return places, nil
	}
	return []SecretPlace{folder(filepath.Dir(v.path))}, nil
}

// getSecret returns a device secret: from its place, or from beside the vault, where a restored backup has it on a machine
// without that place.
func (v *Vault) getSecret(s secret) ([]byte, error) {
	octets, err := v.getFromPlace(s)
	if err == nil || !s.Device.elsewhere() {
		return octets, err
	}
	if beside, besideErr := v.besideIt().Get(s.name()); besideErr == nil && len(beside) == keySize {
		return beside, nil
	}
	return nil, err
}

func (v *Vault) getFromPlace(s secret) ([]byte, error) {
	places, err := v.places(s.Device)
	if err != nil {
		return nil, err
	}
	var octets []byte
	for _, place := range places {
		if octets, err = place.Get(s.name()); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s is not %s", ErrDevice, s.name(), v.where(s.Device))
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrDevice, err)
	case len(octets) != keySize:
		return nil, fmt.Errorf("%w: %s, %s, has a wrong size", ErrDevice, s.name(), v.where(s.Device))
	}
	return octets, nil
}

func (v *Vault) where(d *deviceRecord) string {
	switch d.Kind {
	case DeviceKeyring:
		return "in the keyring"
	case DeviceFolder:
		return "in " + d.Folder
	}
	return "in " + filepath.Dir(v.path)
}

// putSecret stores a device secret, and reads it again: a place that loses or alters what it takes would cost all keys.
func (v *Vault) putSecret(s secret, octets []byte) error {
	places, err := v.places(s.Device)
	if err != nil {
		return err
	}
	if err := places[0].Put(s.name(), octets); err != nil {
		return fmt.Errorf("store the vault's device secret: %w", err)
	}
	again, err := places[0].Get(s.name())
	if err != nil {
		return fmt.Errorf("read back the vault's device secret: %w", err)
	}
	defer clear(again)
	if string(again) != string(octets) {
		return fmt.Errorf("the vault's device secret is not kept as it is %s", v.where(s.Device))
	}
	return nil
}

// deleteSecret removes a device secret from wherever it may be. It is no error if it is not there, but if its place
// cannot be looked into; unless it was beside the vault, because it has no such place on this machine.
func (v *Vault) deleteSecret(s secret) error {
	beside := s.Device.elsewhere() && v.besideIt().Delete(s.name()) == nil
	if err := v.deleteFromPlace(s); err != nil && !beside {
		return err
	}
	return nil
}

func (v *Vault) deleteFromPlace(s secret) error {
	places, err := v.places(s.Device)
	if err != nil {
		return err
	}
	var problems []error
	for _, place := range places {
		if err := place.Delete(s.name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
	}
	if len(problems) < len(places) {
		return nil
	}
	return errors.Join(problems...)
}

// folderPlace keeps secrets as files in a folder.
type folderPlace struct {
	disk safeio.Disk
	dir  string
	warn func(string)
}

func (p folderPlace) Get(name string) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	f, err := readPrivate(filepath.Join(p.dir, name), keySize)
	p.warn(f.warning)
	return f.data, err
}

func (p folderPlace) Put(name string, secret []byte) error {
	if err := p.check(); err != nil {
		return err
	}
	_ = safeio.RemoveStale(p.dir) // what a kill left behind; not being able to is no reason not to write
	return p.disk.WriteFile(filepath.Join(p.dir, name), secret, 0o600)
}

func (p folderPlace) Delete(name string) error {
	// A folder that is not there may be on a disk that is not there now.
	if _, err := os.Stat(p.dir); err != nil {
		return fmt.Errorf("%s cannot be looked into (%v)", p.dir, err)
	}
	return p.disk.Remove(filepath.Join(p.dir, name))
}

// check sees to it that no other user can put files into the folder.
func (p folderPlace) check() error {
	warning, err := safeio.ClosePathToOthers(p.dir, 0o022)
	p.warn(warning)
	return err
}
