package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/scrypt"
)

const (
	keySize      = 32 // octets: AES-256
	saltSize     = 16
	sealOverhead = 12 + 16 // nonce and tag
	rootIDSize   = 16
)

// Scrypt is the cost of deriving a key from the passphrase (RFC 7914). The zero value means the default.
type Scrypt struct {
	N int // a power of two
	R int
	P int
}

// defaultScrypt takes a quarter of a second and 32 MiB.
func defaultScrypt() Scrypt { return Scrypt{N: 1 << 15, R: 8, P: 3} }

// Bounds on the cost that a file may ask for: nobody who swaps the file can make unlocking take gigabytes or minutes.
const (
	minScryptN      = 1 << 10
	maxScryptMemory = 256 << 20 // octets: 128·N·r
	maxScryptR      = 32
	maxScryptP      = 16
)

func (s Scrypt) validate() error {
	switch {
	case s.N < minScryptN || s.N&(s.N-1) != 0, s.R < 1, s.R > maxScryptR, s.P < 1, s.P > maxScryptP,
		s.N > maxScryptMemory/128/s.R:
		return fmt.Errorf("%w: cost of the passphrase out of bounds (N %d, r %d, p %d)", ErrDamaged, s.N, s.R, s.P)
	}
	return nil
}

// root is the wrapped root key and how to get at it.
type root struct {
	ID      string        `json:"id"` // names this root key; changes with it
	Made    *time.Time    `json:"made,omitempty"`
	Scrypt  *scryptRecord `json:"scrypt,omitempty"`
	Device  *deviceRecord `json:"device,omitempty"`
	Wrapped []byte        `json:"wrapped"`
}

type scryptRecord struct {
	N    int    `json:"n"`
	R    int    `json:"r"`
	P    int    `json:"p"`
	Salt []byte `json:"salt"`
}

// newRoot wraps a root key under what p says and under a new device secret, which is for the caller to store.
func newRoot(key []byte, p Protection) (r root, device []byte, err error) {
	if p.Unprotected && len(p.Passphrase) > 0 {
		return root{}, nil, errors.New("a vault is protected by a passphrase or unprotected, not both")
	}
	if !p.Unprotected && len(p.Passphrase) == 0 {
		return root{}, nil, ErrEmpty
	}
	r.ID = hex.EncodeToString(random(rootIDSize))
	if !p.Made.IsZero() {
		made := p.Made.UTC().Truncate(time.Second)
		r.Made = &made
	}
	if r.Device, err = p.Device.record(); err != nil {
		return root{}, nil, err
	}
	if !p.Unprotected {
		cost := p.Scrypt
		if cost == (Scrypt{}) {
			cost = defaultScrypt()
		}
		if err := cost.validate(); err != nil {
			return root{}, nil, err
		}
		r.Scrypt = &scryptRecord{N: cost.N, R: cost.R, P: cost.P, Salt: random(saltSize)}
	}
	device = random(keySize)
	wrapping, err := r.wrappingKey(p.Passphrase, device)
	if err != nil {
		return root{}, nil, err
	}
	defer clear(wrapping)
	r.Wrapped, err = seal(wrapping, key, r.associated())
	return r, device, err
}

// ofVersion1 reports whether the root is one of the two kinds that files of version 1 have: under a passphrase alone, or
// under a key file alone.
func (r *root) ofVersion1() bool { return r.Device == nil || r.Device.Kind == deviceFile }

func (r *root) validate(version int) error {
	if !validRootID(r.ID) {
		return fmt.Errorf("%w: root without identifier", ErrDamaged)
	}
	if len(r.Wrapped) != keySize+sealOverhead {
		return fmt.Errorf("%w: root has a wrong size", ErrDamaged)
	}
	if r.Scrypt == nil && r.Device == nil {
		return fmt.Errorf("%w: nothing unlocks the root", ErrDamaged)
	}
	if s := r.Scrypt; s != nil {
		if len(s.Salt) != saltSize {
			return fmt.Errorf("%w: salt has a wrong size", ErrDamaged)
		}
		if err := (Scrypt{N: s.N, R: s.R, P: s.P}).validate(); err != nil {
			return err
		}
	}
	if d := r.Device; d != nil {
		if err := d.validate(); err != nil {
			return err
		}
	}
	if r.ofVersion1() != (version == 1) || version == 1 && r.Made != nil {
		return fmt.Errorf("%w: root is not of version %d", ErrDamaged, version)
	}
	return nil
}

func validRootID(id string) bool {
	octets, err := hex.DecodeString(id)
	return err == nil && len(octets) == rootIDSize && strings.ToLower(id) == id // it becomes the name of a file
}

// wrappingKey derives the key that wraps the root. Each input is preceded by its length, so that no two pairs of
// passphrase and device give the same.
func (r *root) wrappingKey(passphrase, device []byte) ([]byte, error) {
	var input []byte
	add := func(part []byte) {
		input = binary.BigEndian.AppendUint32(input, uint32(len(part)))
		input = append(input, part...)
	}
	var stretched []byte
	if s := r.Scrypt; s != nil {
		var err error
		if stretched, err = scrypt.Key(passphrase, s.Salt, s.N, s.R, s.P, keySize); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	add(stretched)
	add(device)
	key, err := hkdf.Key(sha256.New, input, nil, "sealmail vault root v1", keySize)
	clear(stretched)
	clear(input)
	return key, err
}

// associated is the data that binds a sealed value to its place.
func associated(role string, parts ...string) []byte {
	out := []byte("sealmail-vault v1\x00" + role)
	for _, part := range parts {
		out = binary.BigEndian.AppendUint32(append(out, 0), uint32(len(part)))
		out = append(out, part...)
	}
	return out
}

// associated binds the wrapped root to its identifier and, from version 2 on, to where the device secret is and to when it
// was made: the rest of the record makes the wrapping key itself.
func (r *root) associated() []byte {
	if r.ofVersion1() {
		return associated("root", r.ID)
	}
	made := ""
	if r.Made != nil {
		made = r.Made.UTC().Format(time.RFC3339)
	}
	return associated("root of version 2", r.ID, string(r.Device.Kind), r.Device.Folder, made)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func seal(key, plaintext, associated []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plaintext, associated), nil
}

func open(key, sealed, associated []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, nil, sealed, associated)
}

// random returns n octets. crypto/rand does not fail.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
