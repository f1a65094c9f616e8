package ca

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/sealmail/sealmail/certstore"
)

const (
	indexVersion = 1
	maxIndex     = 256 << 20 // octets
	lockPoll     = 10 * time.Millisecond
)

// Record is what the authority knows of a certificate that it issued.
type Record struct {
	Serial      string    `json:"serial"` // lower-case hex
	Fingerprint string    `json:"fingerprint"`
	Purpose     Purpose   `json:"purpose"`
	Name        string    `json:"name"`
	Addresses   []string  `json:"addresses,omitempty"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Issued      time.Time `json:"issued"`
}

type index struct {
	Version int      `json:"version"`
	Issued  []Record `json:"issued"`
}

// Records lists what was issued, in that order.
func (a *Authority) Records() ([]Record, error) {
	x, err := a.readIndex()
	if err != nil {
		return nil, err
	}
	return x.Issued, nil
}

func (a *Authority) readIndex() (*index, error) {
	path := filepath.Join(a.dir, indexFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &index{Version: indexVersion, Issued: []Record{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	if info.Size() > maxIndex {
		return nil, fmt.Errorf("%w: %s is too large", ErrDamaged, indexFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	x := new(index)
	if err := json.Unmarshal(data, x); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, indexFile, err)
	}
	if x.Version != indexVersion {
		return nil, fmt.Errorf("%w: %s has version %d, which is not known", ErrDamaged, indexFile, x.Version)
	}
	return x, nil
}

// file files a new certificate: first itself, then its line in the index. It is handed out only then, so that there is
// no certificate in the world that the index does not know.
func (a *Authority) file(ctx context.Context, leaf *x509.Certificate, p Profile) error {
	lock := flock.New(filepath.Join(a.dir, indexFile+".lock"), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return fmt.Errorf("certificate authority: lock %s: %w", indexFile, err)
	}
	defer func() { _ = lock.Unlock() }()
	x, err := a.readIndex()
	if err != nil {
		return err
	}
	d := certstore.Describe(leaf)
	for _, known := range x.Issued {
		if known.Serial == d.Serial { // RFC 5280 section 4.1.2.2: unique. Chance is against it; broken randomness is not.
			return fmt.Errorf("%w: serial number %s was issued before", ErrDamaged, d.Serial)
		}
	}
	x.Issued = append(x.Issued, Record{
		Serial: d.Serial, Fingerprint: d.Fingerprint, Purpose: p.Purpose, Name: d.Name, Addresses: d.Addresses,
		NotBefore: d.NotBefore, NotAfter: d.NotAfter, Issued: p.Now.UTC().Truncate(time.Second),
	})
	data, err := json.MarshalIndent(x, "", " ")
	if err != nil {
		return err
	}
	dir := filepath.Join(a.dir, issuedDir)
	if err := a.disk.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	if err := a.disk.WriteFile(filepath.Join(dir, d.Serial+".pem"), certstore.EncodeCertificates(leaf), 0o644); err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	if err := a.disk.WriteFile(filepath.Join(a.dir, indexFile), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	return nil
}
