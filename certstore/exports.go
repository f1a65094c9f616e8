package certstore

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
)

const (
	exportsDir    = "exports"
	exportVersion = 1 // of a record; others are never read as this one
)

// Export is the record of a private key that left the store in a file. Whoever destroys the key later must know of the
// copies; so records are only ever added.
type Export struct {
	Time        time.Time
	By          string // who did it, as the machine calls them
	File        string // where it went
	Format      string // "pkcs12", or "pkcs12-legacy" under the encryption for old programs; "backup" with all else
	Name        string // of the certificate's owner
	Addresses   []string
	Fingerprint string // of the certificate; empty where the key has none yet
	Key         string // the KeyFingerprint, which renewed certificates share
}

type exportRecord struct {
	Version     int       `json:"version"`
	Time        time.Time `json:"time"`
	By          string    `json:"by,omitempty"`
	File        string    `json:"file"`
	Format      string    `json:"format"`
	Name        string    `json:"name"`
	Addresses   []string  `json:"addresses"`
	Fingerprint string    `json:"fingerprint,omitempty"`
	Key         string    `json:"key"`
}

// NewExport describes the export of a certificate's key.
func NewExport(c *x509.Certificate, file, format, by string, at time.Time) Export {
	d := Describe(c)
	return Export{Time: at.UTC(), By: by, File: file, Format: format, Name: d.Name, Addresses: d.Addresses, Fingerprint: d.Fingerprint, Key: KeyFingerprint(c)}
}

// RecordExport adds a record for each, in a file of its own: no two writers meet, and nothing that is there is touched. They
// are on the disk when this returns without an error; to be sure that no copy goes unrecorded, record first and export then.
func (s *Store) RecordExport(exports ...Export) error {
	var files []safeio.NewFile
	for _, e := range exports {
		line, err := json.Marshal(exportRecord{exportVersion, e.Time.UTC(), e.By, e.File, e.Format, e.Name, e.Addresses, e.Fingerprint, e.Key})
		if err != nil {
			return err
		}
		name := e.Time.UTC().Format("20060102T150405Z") + "-" + rand.Text() + ".json"
		files = append(files, safeio.NewFile{Path: filepath.Join(s.dir, exportsDir, name), Data: append(line, '\n'), Perm: 0o600})
	}
	return s.write(files...)
}

// Exports returns all records, the oldest first. A record that cannot be read is a Problem: there was an export, of which
// nothing else is known.
func (s *Store) Exports() (list []Export, problems []Problem, err error) {
	dir := filepath.Join(s.dir, exportsDir)
	entries, err := readDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue // what killed writers left
		}
		path := filepath.Join(dir, name)
		r, err := readExport(path)
		if err != nil {
			problems = append(problems, Problem{path, err})
			continue
		}
		list = append(list, Export{r.Time, r.By, r.File, r.Format, r.Name, r.Addresses, r.Fingerprint, r.Key})
	}
	slices.SortStableFunc(list, func(a, b Export) int { return a.Time.Compare(b.Time) })
	return list, problems, nil
}

func readExport(path string) (r exportRecord, err error) {
	data, err := readLimited(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if r.Version != exportVersion {
		return r, fmt.Errorf("%w: version %d is not known", ErrMalformed, r.Version)
	}
	if !validFingerprint(r.Fingerprint) && (r.Fingerprint != "" || !validFingerprint(r.Key)) {
		return r, fmt.Errorf("%w: it does not say of which certificate", ErrMalformed)
	}
	return r, nil
}
