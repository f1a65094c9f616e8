package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Put stores a secret under id, in place of what may be there, and returns when it is on the disk. Names are visible
// ASCII of up to 200 octets. The error is [ErrLocked] while the vault is locked.
func (v *Vault) Put(ctx context.Context, id, kind string, secret []byte) error {
	return v.update(ctx, func(f *file, root []byte) error { return f.put(root, id, kind, secret) })
}

// Get returns the secret stored under id. The error wraps [ErrNotExist] where there is none, [ErrLocked] while the
// vault is locked, and [ErrDamaged] where the entry was tampered with.
func (v *Vault) Get(id string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.root == nil {
		return nil, ErrLocked
	}
	// Another process may have put it there since, or may have taken it away.
	if err := v.refresh(); err != nil {
		return nil, err
	}
	return v.file.get(v.root, id)
}

// Key returns the random key of 32 octets stored under id, and makes it at first need. It is for those who encrypt
// files of their own: caches, indexes.
func (v *Vault) Key(ctx context.Context, id string) ([]byte, error) {
	key, err := v.Get(id)
	if err == nil || !errors.Is(err, ErrNotExist) {
		return key, err
	}
	err = v.update(ctx, func(f *file, root []byte) error {
		// Under the lock once more: another process may have made it.
		if key, err = f.get(root, id); err == nil || !errors.Is(err, ErrNotExist) {
			return err
		}
		key = random(keySize)
		return f.put(root, id, "key", key)
	})
	if err != nil {
		return nil, err
	}
	return key, nil
}

// Delete removes an entry. Old copies of the file, if there are any, still hold it. The error wraps [ErrNotExist]
// where there is no such entry.
func (v *Vault) Delete(ctx context.Context, id string) error {
	return v.update(ctx, func(f *file, _ []byte) error {
		i, ok := f.find(id)
		if !ok {
			return fmt.Errorf("%w: entry %s", ErrNotExist, id)
		}
		f.Entries = slices.Delete(f.Entries, i, i+1)
		return nil
	})
}

// Entries lists what is stored, locked or not, in the order in which it was put there.
func (v *Vault) Entries() ([]Entry, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.refresh(); err != nil {
		return nil, err
	}
	entries := make([]Entry, len(v.file.Entries))
	for i, e := range v.file.Entries {
		entries[i] = Entry{ID: e.ID, Kind: e.Kind}
	}
	return entries, nil
}

// update changes the file as it is on disk now.
func (v *Vault) update(ctx context.Context, change func(f *file, root []byte) error) error {
	return v.underLock(ctx, func(changed *file) error {
		if err := change(changed, v.root); err != nil {
			return err
		}
		if err := v.write(changed); err != nil {
			return err
		}
		if err := v.clearLeftovers(); err != nil {
			v.warn(err.Error()) // the entry is written; the next writer tries again
		}
		return nil
	})
}

// underLock has use change, and write, a copy of the file as it is on disk now: memory must not run ahead of a disk that
// refuses. Other writers, and other uses of v, wait. The error is [ErrLocked] while the vault is locked.
func (v *Vault) underLock(ctx context.Context, use func(changed *file) error) error {
	if v.Locked() {
		return ErrLocked
	}
	unlock, err := v.lockFile(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.root == nil {
		return ErrLocked
	}
	// Always from the disk: a time stamp that is too coarse must not lose another's entry.
	if err := v.read(); err != nil {
		return err
	}
	changed := *v.file
	changed.Entries = slices.Clone(v.file.Entries)
	return use(&changed)
}

func (f *file) put(root []byte, id, kind string, secret []byte) error {
	if !validName(id) || !validName(kind) {
		return fmt.Errorf("vault: %q and %q cannot name an entry", id, kind)
	}
	if len(secret) > maxSecret {
		return fmt.Errorf("vault: secret of %d octets is too large", len(secret))
	}
	key := random(keySize)
	defer clear(key)
	e := record{ID: id, Kind: kind}
	err := e.wrap(root, key)
	if err != nil {
		return err
	}
	if e.Secret, err = seal(key, secret, associated("secret", id, kind)); err != nil {
		return err
	}
	if i, ok := f.find(id); ok {
		f.Entries[i] = e
		return nil
	}
	if len(f.Entries) == maxEntries {
		return fmt.Errorf("vault: more than %d entries", maxEntries)
	}
	f.Entries = append(f.Entries, e)
	return nil
}

func (f *file) get(root []byte, id string) ([]byte, error) {
	i, ok := f.find(id)
	if !ok {
		return nil, fmt.Errorf("%w: entry %s", ErrNotExist, id)
	}
	e := f.Entries[i]
	key, err := e.unwrap(root)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	secret, err := open(key, e.Secret, associated("secret", e.ID, e.Kind))
	if err != nil {
		return nil, fmt.Errorf("%w: entry %s does not open", ErrDamaged, id)
	}
	return secret, nil
}

// unwrap returns the entry's own key.
func (e *record) unwrap(root []byte) ([]byte, error) {
	key, err := open(root, e.Key, associated("key", e.ID, e.Kind))
	if err != nil {
		return nil, fmt.Errorf("%w: the key of entry %s does not open", ErrDamaged, e.ID)
	}
	return key, nil
}

// wrap puts the entry's own key under a root.
func (e *record) wrap(root, key []byte) (err error) {
	e.Key, err = seal(root, key, associated("key", e.ID, e.Kind))
	return err
}
