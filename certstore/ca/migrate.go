package ca

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
)

// Earlier versions kept a list of what was issued in one file.
const (
	oldIndex     = "index.json"
	oldIndexKept = "index.old.json"
	maxOldIndex  = 256 << 20 // octets
)

// migrate notes the holders of keys that an earlier version has certified, once, and then sets its list aside. A kill
// in between makes it start again, which changes nothing that is done.
func (a *Authority) migrate() error {
	data, err := readAtMost(filepath.Join(a.dir, oldIndex), maxOldIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	var index struct {
		Version int `json:"version"`
		Issued  []struct {
			Serial string `json:"serial"`
		} `json:"issued"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, oldIndex, err)
	}
	if index.Version != 1 {
		return fmt.Errorf("%w: %s has version %d, which is not known", ErrDamaged, oldIndex, index.Version)
	}
	for _, r := range index.Issued {
		cert, _, err := a.issuedCertificate(r.Serial)
		if err != nil {
			return err // it is listed, and so was handed out
		}
		name := holderFile(cert)
		h, err := a.readHolder(name)
		if err != nil {
			return err
		}
		// That version asked nobody whose key it is. What is there counts, for every new certificate must agree with it.
		if slices.Contains(h.Serials, r.Serial) {
			continue
		}
		h.Serials = append(h.Serials, r.Serial)
		if err := a.writeHolder(name, h); err != nil {
			return err
		}
	}
	if err := a.disk.Rename(filepath.Join(a.dir, oldIndex), filepath.Join(a.dir, oldIndexKept)); err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	return nil
}
