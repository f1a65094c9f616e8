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
	// ErrDevice says that the secret outside the vault file is missing or cannot be reached.
	ErrDevice = errors.New("the vault's device secret cannot be had")
	// ErrLeftover says that the vault has its new root, and that a device secret of an earlier one is still there. Every
	// later write tries again to remove it.
	ErrLeftover = errors.New("an old device secret of the vault could not be removed")
)

// lockPoll is how often a writer that waits for another looks again.
const lockPoll = 10 * time.Millisecond

// Protection is what is to unlock a vault: a passphrase, or nothing but access to its folder, and always a device secret
// that is made for it.
type Protection struct {
	Passphrase  []byte
	Unprotected bool      // must be stated; excludes a passphrase
	Scrypt      Scrypt    // zero: the default cost
	Device      Device    // where the device secret is to be kept; zero: beside the vault
	Made        time.Time // when that was so decided; zero: not written down
}

// Setting is what a vault finds around it. The zero value is the real disk, without a keyring.
type Setting struct {
	Disk    safeio.Disk
	Keyring SecretPlace // nil: there is none
	// Folder is where a device secret that is kept in a folder is looked for as well: the file names the folder by its path
	// when it was written, and a disk may be found elsewhere now.
	Folder string
	// Deriving, if set, is called before a key is derived from a passphrase, which takes long and much memory on purpose.
	Deriving func()
}

// Entry is what can be known of an entry while the vault is locked.
type Entry struct {
	ID   string
	Kind string
}

// Vault is an open vault file, locked or unlocked. It may be used by several goroutines.
type Vault struct {
	setting Setting
	path    string

	mu       sync.Mutex
	file     *file
	info     fs.FileInfo // of the file when it was read
	root     []byte      // nil: locked
	warnings []string
}

// Create is [Setting.Create] on a disk, with nothing else around it.
func Create(ctx context.Context, disk safeio.Disk, path string, p Protection) (*Vault, error) {
	return Setting{Disk: disk}.Create(ctx, path, p)
}

// Open is [Setting.Open] on a disk, with nothing else around it.
func Open(disk safeio.Disk, path string) (*Vault, error) { return Setting{Disk: disk}.Open(path) }

// Create makes a new vault file at path, in a folder that exists, and returns it unlocked. Where there is a vault
// already, the error is [ErrExist]. What an unfinished Create left behind is removed.
func (s Setting) Create(ctx context.Context, path string, p Protection) (*Vault, error) {
	v := &Vault{setting: s, path: path}
	unlock, err := v.lockFile(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%w: %s", ErrExist, path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f := &file{Format: formatName, Entries: []record{}}
	if err := v.install(f, random(keySize), p); err != nil && !errors.Is(err, ErrLeftover) {
		return nil, err
	} else if err != nil {
		v.warn(err.Error())
	}
	return v, nil
}

// Open reads the vault file at path. An unprotected vault is unlocked by that; another one is locked until
// [Vault.Unlock]. The error wraps [ErrNotExist] where there is no file.
func (s Setting) Open(path string) (*Vault, error) {
	v, err := s.Load(path)
	if err != nil {
		return nil, err
	}
	if !v.Protected() {
		return v, v.Unlock(nil)
	}
	return v, nil
}

// Load reads the vault file at path and leaves the vault locked, whatever it takes to unlock it.
func (s Setting) Load(path string) (*Vault, error) {
	v := &Vault{setting: s, path: path}
	if err := v.read(); err != nil {
		return nil, err
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

// Unlock makes the secrets available until [Vault.Lock]. The error is [ErrPassphrase] where the passphrase is wrong, and
// wraps [ErrDevice] where the device secret cannot be had. It takes as long as the vault's cost says.
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
	if v.file.Root.Scrypt != nil && len(passphrase) == 0 {
		return ErrPassphrase // no vault has an empty one, so that this need not be tried, which is slow on purpose
	}
	device, err := v.deviceSecret()
	if err != nil {
		return err
	}
	defer clear(device)
	r := &v.file.Root
	if v.setting.Deriving != nil && r.Scrypt != nil {
		v.setting.Deriving()
	}
	wrapping, err := r.wrappingKey(passphrase, device)
	if err != nil {
		return err
	}
	defer clear(wrapping)
	key, err := open(wrapping, r.Wrapped, r.associated())
	if err != nil {
		if r.Scrypt != nil {
			return ErrPassphrase
		}
		return fmt.Errorf("%w: its device secret does not belong to it", ErrDamaged)
	}
	v.root = key
	return nil
}

// deviceSecret returns the secret outside the file, or nil where there is none.
func (v *Vault) deviceSecret() ([]byte, error) {
	for {
		r := &v.file.Root
		if r.Device == nil {
			return nil, nil
		}
		device, err := v.getSecret(secret{Root: r.ID, Device: r.Device})
		if err == nil {
			return device, nil
		}
		// Another process may have replaced root and device secret since the file was read.
		if readErr := v.read(); readErr != nil {
			return nil, readErr
		}
		if v.file.Root.ID == r.ID {
			return nil, err
		}
	}
}

// Lock forgets the root key.
func (v *Vault) Lock() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.root)
	v.root = nil
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

// write replaces the file. It is not taken over into memory here: the next refresh does that.
func (v *Vault) write(f *file) error {
	data, err := f.encode()
	if err != nil {
		return err
	}
	if err := v.setting.Disk.WriteFile(v.path, data, 0o600); err != nil {
		return fmt.Errorf("write vault: %w", err)
	}
	return nil
}

// lockFile keeps other writers out, in this process and in others, and removes the temporary files that killed ones left.
func (v *Vault) lockFile(ctx context.Context) (unlock func(), err error) {
	lock := flock.New(v.path+".lock", flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("lock vault: %w", err)
	}
	_ = safeio.RemoveStale(filepath.Dir(v.path)) // not being able to is no reason not to write
	return func() { _ = lock.Unlock() }, nil
}
