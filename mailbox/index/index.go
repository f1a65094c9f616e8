// Package index keeps what a client knows of one folder of one account between two runs: for each message a record of
// the caller's making, and the cursor up to which the folder has been read. The file is encrypted.
//
// It is a cache and nothing else. All that is in it can be had again from the server, so a file that is damaged,
// missing, or made under another key costs time and no mail: fetch again and save. Do not keep here what exists nowhere
// else. An old file put in the place of a newer one is not noticed.
//
// Cursor and records are one file, replaced as a whole: after a kill either both are new or both are old, so that no
// message falls between them.
package index

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

// ErrDamaged says that the file is not one that was saved under this name with this key: it was damaged, altered,
// copied from another name, or made under another key or by a newer version. Start again from an empty State.
var ErrDamaged = errors.New("the index is damaged or was made under another key")

// ErrInvalid says that a State cannot be saved: its records are not in ascending order below Next, or it is too large.
var ErrInvalid = errors.New("not a valid index")

// State is what is known of a folder.
type State struct {
	// UIDValidity is the numbering that the UIDs belong to. When the folder has another one, nothing here holds.
	UIDValidity uint32 `json:"uid_validity"`
	// Next is the cursor: all messages with lower UIDs have been seen.
	Next mailbox.UID `json:"next"`
	// Records are in ascending order of their UIDs, all below Next.
	Records []Record `json:"records"`
}

// Record is what the caller keeps of one message.
type Record struct {
	UID  mailbox.UID     `json:"uid"`
	Data json.RawMessage `json:"data"`
}

// The file is magic, version, nonce and the AES-256-GCM ciphertext of the State as JSON. Magic, version and the file's
// name are authenticated with it.
const (
	magic    = "sealmail index\n"
	version  = 1
	header   = len(magic) + 1
	nonceLen = 12
	tagLen   = 16
	maxFile  = 1 << 30
)

// Index is the cache of one folder. It takes no locks: of two processes that save, the later one wins.
type Index struct {
	disk safeio.Disk
	path string
	aead cipher.AEAD
}

// Open names the file and the key of an index; it touches neither disk nor file. One key can serve many files as long
// as the last elements of their paths differ.
func Open(disk safeio.Disk, path string, key [32]byte) (*Index, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Index{disk: disk, path: path, aead: aead}, nil
}

// bound is what the ciphertext is bound to beside its key.
func (x *Index) bound() []byte {
	return append([]byte(magic), append([]byte{version}, filepath.Base(x.path)...)...)
}

// Load reads the index. Where there is none yet, it is the zero State. The error wraps ErrDamaged, or tells why the
// file could not be read.
func (x *Index) Load() (State, error) {
	file, err := os.Open(x.path)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("index: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return State{}, fmt.Errorf("index: %w", err)
	}
	s, err := x.open(data)
	if err != nil {
		return State{}, fmt.Errorf("index %s: %w: %w", filepath.Base(x.path), ErrDamaged, err)
	}
	return s, nil
}

func (x *Index) open(data []byte) (State, error) {
	switch {
	case len(data) > maxFile:
		return State{}, errors.New("too large")
	case len(data) < header+nonceLen+tagLen || !bytes.HasPrefix(data, []byte(magic)):
		return State{}, errors.New("not an index")
	case data[len(magic)] != version:
		return State{}, fmt.Errorf("version %d is unknown", data[len(magic)])
	}
	nonce, sealed := data[header:header+nonceLen], data[header+nonceLen:]
	plain, err := x.aead.Open(sealed[:0], nonce, sealed, x.bound())
	if err != nil {
		return State{}, err
	}
	var s State
	if err := json.Unmarshal(plain, &s); err != nil {
		return State{}, err
	}
	return s, s.check()
}

// Save replaces the index. When it returns nil, the new one is durable; after an error or a kill the old or the new one
// is there, whole. Records whose Data is not JSON are an error.
func (x *Index) Save(s State) error {
	if err := s.check(); err != nil {
		return fmt.Errorf("index: %w: %w", ErrInvalid, err)
	}
	plain, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("index: %w: %w", ErrInvalid, err)
	}
	if len(plain) > maxFile-header-nonceLen-tagLen {
		return fmt.Errorf("index: %w: %d octets are too many", ErrInvalid, len(plain))
	}
	data := make([]byte, header+nonceLen, header+nonceLen+len(plain)+tagLen)
	copy(data, magic)
	data[len(magic)] = version
	nonce := data[header:]
	_, _ = rand.Read(nonce) // never fails
	// What a kill left behind goes with the next write. That it cannot go is no reason not to write.
	_ = safeio.RemoveStale(filepath.Dir(x.path))
	if err := x.disk.WriteFile(x.path, x.aead.Seal(data, nonce, plain, x.bound()), 0o600); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	return nil
}

func (s State) check() error {
	var last mailbox.UID
	for _, r := range s.Records {
		if r.UID <= last {
			return fmt.Errorf("UID %d comes after %d", r.UID, last)
		}
		last = r.UID
	}
	if last > 0 && last >= s.Next {
		return fmt.Errorf("UID %d is not below the cursor %d", last, s.Next)
	}
	return nil
}
