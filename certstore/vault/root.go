package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"golang.org/x/crypto/scrypt"
)

const (
	keySize      = 32 // octets: AES-256
	saltSize     = 16
	sealOverhead = 12 + 16 // nonce and tag
	rootIDSize   = 16

	deviceFile = "file" // the only kind of device secret there is as yet
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

// deviceRecord says where the secret outside the vault file is.
type deviceRecord struct {
	Kind string `json:"kind"`
	Name string `json:"name"` // for "file": a name in the vault's folder
}

func (r *root) validate() error {
	if id, err := hex.DecodeString(r.ID); err != nil || len(id) != rootIDSize {
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
		if d.Kind != deviceFile {
			return fmt.Errorf("%w: device secret of kind %q", ErrVersion, d.Kind)
		}
		// The name comes from a file that somebody may have swapped: it must not lead elsewhere.
		if d.Name != keyFileName {
			return fmt.Errorf("%w: device secret has an unexpected name", ErrDamaged)
		}
	}
	return nil
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

func rootAssociated(id string) []byte { return associated("root", id) }

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
