package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Copy is a vault as a backup takes it along: with both, and the passphrase if there is one, it opens anywhere.
type Copy struct {
	File []byte
	// Secret is the device secret, under the name that its place has it by. Vaults of version 1 may have none.
	SecretName string
	Secret     []byte
	Entries    []Entry // what is in the file
}

// secretPrefix begins the names of device secrets.
const secretPrefix = "sealmail-vault-"

// IsSecretName reports whether a file beside a vault may be a device secret, that of the present root or of an earlier one.
func IsSecretName(name string) bool {
	return name == keyFileName || strings.HasPrefix(name, secretPrefix) && validRootID(strings.TrimPrefix(name, secretPrefix))
}

// Copy returns the vault file at path and its device secret, which belong together: no writer is let in between. It needs
// no passphrase. The error wraps [ErrNotExist] where there is no vault, and [ErrDevice] where its secret cannot be had.
func (s Setting) Copy(ctx context.Context, path string) (Copy, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return Copy{}, fmt.Errorf("%w: %s", ErrNotExist, path) // and no lock file is made for it
	}
	v := &Vault{setting: s, path: path}
	unlock, err := v.lockFile(ctx)
	if err != nil {
		return Copy{}, err
	}
	defer unlock()
	p, err := readPrivate(path, maxFile)
	if err != nil {
		return Copy{}, fmt.Errorf("read vault: %w", err)
	}
	if v.file, err = parseFile(p.data); err != nil {
		return Copy{}, err
	}
	c := Copy{File: p.data}
	for _, e := range v.file.Entries {
		c.Entries = append(c.Entries, Entry{ID: e.ID, Kind: e.Kind})
	}
	if r := v.file.Root; r.Device != nil {
		of := secret{Root: r.ID, Device: r.Device}
		c.SecretName = of.name()
		if c.Secret, err = v.getSecret(of); err != nil {
			return Copy{}, err
		}
	}
	return c, nil
}

// PlaceSecret stores the device secret of a vault file that comes out of a backup, and is at path now, where the file says
// that it is: in the keyring, or in a folder, if that is there. Where it cannot be stored there, or is not kept, it goes
// beside the file, and beside is true. A vault that has no device secret takes none.
func (s Setting) PlaceSecret(path, name string, octets []byte) (d Device, beside bool, err error) {
	v := &Vault{setting: s, path: path}
	if err := v.read(); err != nil {
		return d, false, err
	}
	r := v.file.Root
	if r.Device == nil {
		return d, false, nil
	}
	of := secret{Root: r.ID, Device: r.Device}
	if name != of.name() || len(octets) != keySize {
		return d, false, fmt.Errorf("%w: the copy has no device secret for it", ErrDevice)
	}
	d = Device{Kind: r.Device.Kind, Folder: r.Device.Folder}
	if r.Device.elsewhere() && v.reachable(r.Device) && v.putSecret(of, octets) == nil {
		return d, false, nil
	}
	besideIt := v.besideIt()
	if err := besideIt.Put(of.name(), octets); err != nil {
		return d, false, fmt.Errorf("store the vault's device secret: %w", err)
	}
	again, err := besideIt.Get(of.name())
	if err != nil || !bytes.Equal(again, octets) {
		return d, false, fmt.Errorf("the vault's device secret is not kept as it is in %s: %w", filepath.Dir(path), errors.Join(err, ErrDevice))
	}
	return d, r.Device.elsewhere(), nil
}

// elsewhere reports whether the place is another than the folder of the vault.
func (d *deviceRecord) elsewhere() bool { return d.Kind == DeviceFolder || d.Kind == DeviceKeyring }

// reachable reports whether a place may be written to. A folder that is not there is on a disk that is not, and making it
// would put the secret onto another.
func (v *Vault) reachable(d *deviceRecord) bool {
	if d.Kind != DeviceFolder {
		return true
	}
	info, err := os.Stat(d.Folder)
	return err == nil && info.IsDir()
}

// besideIt is the folder of the vault, where [Setting.PlaceSecret] puts what has no other place on this machine.
func (v *Vault) besideIt() folderPlace {
	return folderPlace{disk: v.setting.Disk, dir: filepath.Dir(v.path), warn: v.warn}
}
