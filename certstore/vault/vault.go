package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/sealmail/sealmail/internal/safeio"
)

// Errors of a vault. They arrive wrapped.
var (
	ErrLocked     = errors.New("vault is locked")
	ErrPassphrase = errors.New("wrong passphrase")
	ErrEmpty      = errors.New("empty passphrase")
	ErrNotExist   = fmt.Errorf("vault: %w", fs.ErrNotExist) // no such vault, or no such entry
	ErrExist      = fmt.Errorf("vault: %w", fs.ErrExist)
	ErrDamaged    = errors.New("vault is damaged")
	ErrVersion    = errors.New("vault is of a kind that is not known; a newer program made it")
	// ErrRootChanged says that another process gave the vault another root since it was unlocked here.
	ErrRootChanged = errors.New("vault was rewritten under another root; it must be unlocked again")
)

// keyFileName is where the device secret of an unprotected vault is, in the vault's folder.
const keyFileName = "vault.key"

// lockPoll is how often a writer that waits for another looks again.
const lockPoll = 10 * time.Millisecond

// Protection is what is to unlock a new vault: a passphrase, or nothing but access to the folder.
type Protection struct {
	Passphrase  []byte
	Unprotected bool   // must be stated; excludes a passphrase
	Scrypt      Scrypt // zero: the default cost
}

// Entry is what can be known of an entry while the vault is locked.
type Entry struct {
	ID   string
	Kind string
}

// Vault is an open vault file, locked or unlocked. It may be used by several goroutines.
type Vault struct {
	disk safeio.Disk
	path string

	mu       sync.Mutex
	file     *file
	info     fs.FileInfo // of the file when it was read
	root     []byte      // nil: locked
	warnings []string
}

// Create makes a new vault file at path, in a folder that exists, and returns it unlocked. Where there is a vault
// already, the error is [ErrExist]. A key file that an unfinished Create left behind is replaced.
func Create(ctx context.Context, disk safeio.Disk, path string, p Protection) (*Vault, error) {
	v := &Vault{disk: disk, path: path}
	unlock, err := v.lockFile(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	v.clearUp()
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%w: %s", ErrExist, path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var device []byte
	v.root = random(keySize)
	v.file = &file{Format: formatName, Version: formatVersion, Entries: []record{}}
	v.file.Root, device, err = newRoot(v.root, p)
	if err != nil {
		return nil, err
	}
	if device != nil {
		// Before the vault itself: after a kill between the two there is no vault, rather than one that nothing opens.
		if err := disk.WriteFile(v.keyFile(), device, 0o600); err != nil {
			return nil, fmt.Errorf("write key of vault: %w", err)
		}
	}
	return v, v.write(v.file)
}

// newRoot wraps a root key. The device secret, where there is one, is for the caller to store.
func newRoot(key []byte, p Protection) (r root, device []byte, err error) {
	r.ID = fmt.Sprintf("%x", random(rootIDSize))
	switch {
	case p.Unprotected && len(p.Passphrase) > 0:
		return root{}, nil, errors.New("a vault is protected by a passphrase or unprotected, not both")
	case p.Unprotected:
		device = random(keySize)
		r.Device = &deviceRecord{Kind: deviceFile, Name: keyFileName}
	case len(p.Passphrase) == 0:
		return root{}, nil, ErrEmpty
	default:
		cost := p.Scrypt
		if cost == (Scrypt{}) {
			cost = defaultScrypt()
		}
		if err := cost.validate(); err != nil {
			return root{}, nil, err
		}
		r.Scrypt = &scryptRecord{N: cost.N, R: cost.R, P: cost.P, Salt: random(saltSize)}
	}
	wrapping, err := r.wrappingKey(p.Passphrase, device)
	if err != nil {
		return root{}, nil, err
	}
	defer clear(wrapping)
	r.Wrapped, err = seal(wrapping, key, rootAssociated(r.ID))
	return r, device, err
}

// Open reads the vault file at path. An unprotected vault is unlocked by that; another one is locked until
// [Vault.Unlock]. The error wraps [ErrNotExist] where there is no file.
func Open(disk safeio.Disk, path string) (*Vault, error) {
	v := &Vault{disk: disk, path: path}
	if err := v.read(); err != nil {
		return nil, err
	}
	if !v.Protected() {
		return v, v.Unlock(nil)
	}
	return v, nil
}

// Protected reports whether a passphrase is needed. Whoever stores something in a vault that is not protected should
// say so to the user.
func (v *Vault) Protected() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.file.Root.Scrypt != nil
}

// Locked reports whether secrets are out of reach.
func (v *Vault) Locked() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.root == nil
}

// Warnings returns what was found wrong with file permissions, and mended, one sentence each.
func (v *Vault) Warnings() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.warnings)
}

// Unlock makes the secrets available until [Vault.Lock]. The error is [ErrPassphrase] where the passphrase is wrong.
// It takes as long as the vault's cost says.
func (v *Vault) Unlock(passphrase []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.root != nil {
		return nil
	}
	// Another process may have changed the passphrase since.
	if err := v.refresh(); err != nil {
		return err
	}
	r := &v.file.Root
	if r.Scrypt != nil && len(passphrase) == 0 {
		return ErrPassphrase // no vault has an empty one, so that this need not be tried, which is slow on purpose
	}
	var device []byte
	var err error
	if r.Device != nil {
		if device, err = v.readKeyFile(); err != nil {
			return err
		}
		defer clear(device)
	}
	wrapping, err := r.wrappingKey(passphrase, device)
	if err != nil {
		return err
	}
	defer clear(wrapping)
	key, err := open(wrapping, r.Wrapped, rootAssociated(r.ID))
	if err != nil {
		if r.Scrypt != nil {
			return ErrPassphrase
		}
		return fmt.Errorf("%w: its key file does not belong to it", ErrDamaged)
	}
	v.root = key
	return nil
}

// Lock forgets the root key.
func (v *Vault) Lock() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.root)
	v.root = nil
}

func (v *Vault) keyFile() string { return filepath.Join(filepath.Dir(v.path), keyFileName) }

func (v *Vault) readKeyFile() ([]byte, error) {
	p, err := readPrivate(v.keyFile(), keySize)
	v.warn(p.warning)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: its key file %s is missing", ErrDamaged, v.keyFile())
	case err != nil:
		return nil, fmt.Errorf("read key of vault: %w", err)
	case len(p.data) != keySize:
		return nil, fmt.Errorf("%w: its key file has a wrong size", ErrDamaged)
	}
	return p.data, nil
}

func (v *Vault) warn(warning string) {
	if warning != "" && !slices.Contains(v.warnings, warning) {
		v.warnings = append(v.warnings, warning)
	}
}

// refresh reads the file again if it was replaced since: by another process, or through another Vault.
func (v *Vault) refresh() error {
	info, err := os.Stat(v.path)
	if err == nil && v.info != nil && os.SameFile(info, v.info) && info.ModTime().Equal(v.info.ModTime()) && info.Size() == v.info.Size() {
		return nil
	}
	return v.read()
}

// read reads the file. An unlocked vault keeps to the root that it was unlocked with.
func (v *Vault) read() error {
	p, err := readPrivate(v.path, maxFile)
	v.warn(p.warning)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrNotExist, v.path)
	}
	if err != nil {
		return fmt.Errorf("read vault: %w", err)
	}
	f, err := parseFile(p.data)
	if err != nil {
		return err
	}
	if v.root != nil && f.Root.ID != v.file.Root.ID {
		return ErrRootChanged
	}
	v.file, v.info = f, p.info
	return nil
}

// clearUp removes what killed writers left behind. That something cannot be removed is no reason not to write.
func (v *Vault) clearUp() { _ = safeio.RemoveStale(filepath.Dir(v.path)) }

// write replaces the file. It is not taken over into memory here: the next refresh does that.
func (v *Vault) write(f *file) error {
	data, err := f.encode()
	if err != nil {
		return err
	}
	if err := v.disk.WriteFile(v.path, data, 0o600); err != nil {
		return fmt.Errorf("write vault: %w", err)
	}
	return nil
}

// lockFile keeps other writers out, in this process and in others.
func (v *Vault) lockFile(ctx context.Context) (unlock func(), err error) {
	lock := flock.New(v.path+".lock", flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("lock vault: %w", err)
	}
	return func() { _ = lock.Unlock() }, nil
}
