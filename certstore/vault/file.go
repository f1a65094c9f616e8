package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sealmail/sealmail/internal/safeio"
)

const (
	formatName    = "sealmail-vault"
	formatVersion = 2 // what is written; files of version 1 are read, and stay so until they get another root

	maxFile    = 64 << 20 // octets
	maxEntries = 1 << 18
	maxSecret  = 1 << 20 // octets
	maxName    = 200     // octets of an entry's id or kind
)

// file is the vault on disk. What is not known in it is an error, not something to pass over: it would be lost when
// the file is next written.
type file struct {
	Format  string   `json:"format"`
	Version int      `json:"version"`
	Root    root     `json:"root"`
	Entries []record `json:"entries"`
}

type record struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Key    []byte `json:"key"`    // the entry's key, wrapped under the root
	Secret []byte `json:"secret"` // the secret, sealed under the entry's key
}

func (f *file) find(id string) (int, bool) {
	for i := range f.Entries {
		if f.Entries[i].ID == id {
			return i, true
		}
	}
	return 0, false
}

// parseFile reads a vault file and checks all that can be checked without a key.
func parseFile(data []byte) (*file, error) {
	var head struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	// The version first: a newer file should be called newer, not damaged.
	if err := json.Unmarshal(data, &head); err != nil || head.Format != formatName {
		return nil, fmt.Errorf("%w: not a vault file", ErrDamaged)
	}
	if head.Version < 1 || head.Version > formatVersion {
		return nil, fmt.Errorf("%w: version %d", ErrVersion, head.Version)
	}
	f := new(file)
	if err := decodeStrictly(data, f); err != nil {
		return nil, err
	}
	if err := f.Root.validate(f.Version); err != nil {
		return nil, err
	}
	return f, f.validateEntries()
}

// decodeStrictly reads JSON in which nothing is unknown and behind which nothing follows.
func decodeStrictly(data []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: octets behind its end", ErrDamaged)
	}
	return nil
}

func (f *file) validateEntries() error {
	if len(f.Entries) > maxEntries {
		return fmt.Errorf("%w: more than %d entries", ErrDamaged, maxEntries)
	}
	seen := make(map[string]bool, len(f.Entries))
	for _, e := range f.Entries {
		if !validName(e.ID) || !validName(e.Kind) {
			return fmt.Errorf("%w: an entry has no proper name", ErrDamaged)
		}
		if seen[e.ID] {
			return fmt.Errorf("%w: entry %s is there twice", ErrDamaged, e.ID)
		}
		seen[e.ID] = true
		if len(e.Key) != keySize+sealOverhead || len(e.Secret) < sealOverhead || len(e.Secret) > maxSecret+sealOverhead {
			return fmt.Errorf("%w: entry %s has a wrong size", ErrDamaged, e.ID)
		}
	}
	return nil
}

func (f *file) encode() ([]byte, error) {
	data, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return nil, err
	}
	if len(data) >= maxFile {
		return nil, fmt.Errorf("vault would grow beyond %d octets", maxFile)
	}
	return append(data, '\n'), nil
}

// validName reports whether s can name an entry: visible ASCII, so that it can be shown and compared without doubt.
func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// private is a file that was read.
type private struct {
	data    []byte
	info    fs.FileInfo
	warning string // what was mended, or empty
}

// readPrivate reads a file that only its owner should be able to read. Where others can, that is mended, and a warning
// says so.
func readPrivate(path string, limit int64) (p private, err error) {
	f, err := os.Open(path)
	if err != nil {
		return p, err
	}
	defer f.Close()
	if p.info, err = f.Stat(); err != nil {
		return p, err
	}
	if !p.info.Mode().IsRegular() {
		return p, fmt.Errorf("%s: %w: not a regular file", path, fs.ErrInvalid)
	}
	if p.warning, err = safeio.CloseToOthers(f, 0o077); err != nil {
		return p, err
	}
	p.data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(p.data)) > limit {
		err = fmt.Errorf("%w: %s is larger than %d octets", ErrDamaged, path, limit)
	}
	return p, err
}
