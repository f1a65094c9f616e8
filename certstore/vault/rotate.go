package vault

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Rotate gives an unlocked vault a new root key, under a new passphrase or the same, and a new device secret, and wraps
// the key of each entry anew. With that the old file and the old device secret open nothing that is written from now on,
// and, once the old device secret is removed, an old copy of the file opens nothing at all. After a kill at any instant
// the vault is the old one or the new one.
//
// The error wraps [ErrLeftover] where all was done but for the removal of the old device secret. After any other error
// the vault on disk is the old one, with the exception that [safeio.Disk.WriteFile] names. Other processes that hold
// the old root get [ErrRootChanged].
func (v *Vault) Rotate(ctx context.Context, p Protection) error { return v.Shred(ctx, p) }

// Shred is [Vault.Rotate] that leaves entries behind: their wrapped keys are nowhere under the new root, and old copies of
// the file, which still hold them, open with the old device secret only, which is removed. Both are one change: after a
// kill at any instant the entries are there, or the root that wrapped them is gone with them. Entries that are not there are
// passed over.
func (v *Vault) Shred(ctx context.Context, p Protection, ids ...string) error {
	return v.underLock(ctx, func(changed *file) error {
		changed.Entries = slices.DeleteFunc(changed.Entries, func(e record) bool { return slices.Contains(ids, e.ID) })
		key := random(keySize)
		for i := range changed.Entries {
			e := &changed.Entries[i]
			own, err := e.unwrap(v.root)
			if err != nil {
				return err
			}
			err = e.wrap(key, own)
			clear(own)
			if err != nil {
				return err
			}
		}
		return v.install(changed, key, p)
	})
}

// RootKey returns the root of an unlocked vault with its identifier, for [Vault.UnlockByRoot] in another process. Who has
// it can do without passphrase and device secret, until the vault gets another root.
func (v *Vault) RootKey() (id string, key []byte, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.root == nil {
		return "", nil, ErrLocked
	}
	return v.file.Root.ID, bytes.Clone(v.root), nil
}

// UnlockByRoot is Unlock with what [Vault.RootKey] returned: nothing is derived. The error is [ErrRootChanged] where the
// vault has another root by now.
func (v *Vault) UnlockByRoot(id string, key []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.root != nil {
		return nil
	}
	if err := v.refresh(); err != nil {
		return err
	}
	if id != v.file.Root.ID {
		return ErrRootChanged
	}
	if len(key) != keySize {
		return fmt.Errorf("%w: a root key has %d octets", ErrDamaged, keySize)
	}
	if len(v.file.Entries) > 0 {
		own, err := v.file.Entries[0].unwrap(key)
		if err != nil {
			return err
		}
		clear(own)
	}
	v.root = bytes.Clone(key)
	return nil
}

// Info is what a vault says of its protection, locked or not. It is as true as the file: only unlocking proves it.
type Info struct {
	RootID    string
	Protected bool      // a passphrase is needed
	Scrypt    Scrypt    // its cost; zero where there is no passphrase
	Device    Device    // where the device secret is; of no kind where there is none
	Beside    bool      // it lies beside the vault all the same, as a restored backup has put it
	Made      time.Time // when root and device secret were last replaced; zero: unknown
}

// Info reads the file again, if it changed, and returns what it says.
func (v *Vault) Info() (Info, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.refresh(); err != nil {
		return Info{}, err
	}
	r := v.file.Root
	info := Info{RootID: r.ID, Protected: r.Scrypt != nil}
	if s := r.Scrypt; s != nil {
		info.Scrypt = Scrypt{N: s.N, R: s.R, P: s.P}
	}
	if d := r.Device; d != nil {
		info.Device = Device{Kind: d.Kind, Folder: d.Folder}
		if d.Kind == deviceFile {
			info.Device.Kind = DeviceBeside
		}
		if d.elsewhere() {
			_, err := os.Lstat(filepath.Join(filepath.Dir(v.path), secret{r.ID, d}.name()))
			info.Beside = err == nil
		}
	}
	if r.Made != nil {
		info.Made = *r.Made
	}
	return info, nil
}
