package archive

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	_ "embed" // for the README
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Options are what an archive needs from outside. Who only looks at what everybody may see needs none of it.
type Options struct {
	Keeper   Keeper      // has the segment keys; nil: nobody here has
	Recovery []Unwrapper // private keys that may be those of recovery certificates
	Now      func() time.Time
	// Proven verifies the stamps of a segment, and returns the time that they prove: retention counts from there. nil: nobody
	// here can, and what is to be retained is not destroyed.
	Proven func(ctx context.Context, s Stamps) (time.Time, error)
}

// Archive is an archive that was opened. It is for use by one goroutine.
type Archive struct {
	storage     Storage
	o           Options
	description *description
	head        *Head
	raw         []byte // octets of the head

	open *Segment // the last that was read from
}

// Errors of opening an archive; they arrive wrapped.
var (
	// ErrNoArchive says that there is no archive in this place.
	ErrNoArchive = errors.New("there is no archive here")
	// ErrExist says that there is an archive already, or something else.
	ErrExist = errors.New("there is something here already")
	// ErrAltered says that an object is not the one that the head speaks of.
	ErrAltered = errors.New("it is not what was archived")
	// ErrMissing says that an object that the head speaks of is not there.
	ErrMissing = errors.New("it is missing")
	// ErrRolledBack says that there is more than the head speaks of: the head is not the last that was written.
	ErrRolledBack = errors.New("the head is older than the archive")
	// ErrVersion says that a later version of this program made the archive.
	ErrVersion = errors.New("the archive was made by a later version")
)

// description is what archive.json holds. It never changes.
type description struct {
	Format   string    `json:"format"`
	Version  int       `json:"version"`
	ID       string    `json:"id"`
	Created  time.Time `json:"created"`
	Signer   [][]byte  `json:"signer"`   // the archiving certificate that it began with, and its chain
	Recovery [][]byte  `json:"recovery"` // certificates whose owners can open all of it

	recovery []*x509.Certificate
}

const (
	formatName     = "sealmail-archive"
	formatVersion  = 1
	maxDescription = 1 << 20
)

func newIdentifier() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

func isIdentifier(id string) bool {
	octets, err := hex.DecodeString(id)
	return err == nil && len(octets) == 16 && hex.EncodeToString(octets) == id
}

func parseDescription(text []byte) (*description, error) {
	d := &description{}
	if err := json.Unmarshal(text, d); err != nil || d.Format != formatName || !isIdentifier(d.ID) {
		return nil, fmt.Errorf("%s: %w", descriptionName, ErrAltered)
	}
	if d.Version != formatVersion {
		return nil, ErrVersion
	}
	for _, der := range d.Recovery {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%s: recovery certificate: %w", descriptionName, err)
		}
		d.recovery = append(d.recovery, c)
	}
	return d, nil
}

//go:embed README.txt
var readme []byte

// Create makes an archive where there is nothing yet. Its messages can be opened with the keys of the Keeper, and by the owner
// of each recovery certificate. The error wraps ErrExist where there is something.
func Create(ctx context.Context, s Storage, o Options, signer Signer, recovery []*x509.Certificate) (err error) {
	unlock, err := s.Lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	names, err := s.List(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := leftByCreate(ctx, s, name); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := s.Remove(ctx, name); err != nil {
			return err
		}
	}
	d := description{Format: formatName, Version: formatVersion, ID: newIdentifier(), Created: o.Now().UTC().Truncate(time.Second), Signer: [][]byte{}, Recovery: [][]byte{}}
	for _, c := range signer.Chain {
		d.Signer = append(d.Signer, c.Raw)
	}
	for _, c := range recovery {
		if _, err := recoveryKeyManagement(c); err != nil {
			return fmt.Errorf("recovery certificate: %w", err)
		}
		d.Recovery = append(d.Recovery, c.Raw)
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	h := &Head{Archive: d.ID}
	for name, data := range map[string][]byte{readmeName: readme, descriptionName: append(text, '\n')} {
		if err := writeObject(ctx, s, name, data); err != nil {
			return err
		}
		h.put(ObjectSum{name, sha512.Sum512(data)})
	}
	a := &Archive{storage: s, o: o, description: &d}
	return a.moveHead(ctx, h, signer)
}

// leftByCreate returns ErrExist unless an object is what a Create that was killed leaves behind.
func leftByCreate(ctx context.Context, s Storage, name string) error {
	data, err := readObject(ctx, s, name, maxDescription)
	switch {
	case err != nil && !errors.Is(err, ErrTooLarge):
		return err
	case err == nil && name == readmeName && bytes.Equal(data, readme):
		return nil
	case err == nil && name == descriptionName:
		if _, err := parseDescription(data); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", name, ErrExist)
}

// Open opens an archive. That the head was signed with its own certificate is seen to, and not whether that one may; see
// [Archive.Verify]. The error wraps ErrNoArchive where there is none.
func Open(ctx context.Context, s Storage, o Options) (*Archive, error) {
	a := &Archive{storage: s, o: o}
	return a, a.reload(ctx)
}

// Close closes what was opened.
func (a *Archive) Close() error {
	if a.open == nil {
		return nil
	}
	segment := a.open
	a.open = nil
	return segment.Close()
}

// Refresh reads the head again, which others may have moved since.
func (a *Archive) Refresh(ctx context.Context) error { return a.reload(ctx) }

// reload reads the head, which others may have moved.
func (a *Archive) reload(ctx context.Context) error {
	h, raw, err := readHead(ctx, a.storage)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNoArchive, err)
	}
	if err != nil {
		return err
	}
	text, err := readObject(ctx, a.storage, descriptionName, maxDescription)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", descriptionName, ErrMissing)
	}
	if err != nil {
		return err
	}
	if sum, ok := h.Sum(descriptionName); !ok || sum != sha512.Sum512(text) {
		return fmt.Errorf("%s: %w", descriptionName, ErrAltered)
	}
	d, err := parseDescription(text)
	if err != nil {
		return err
	}
	if d.ID != h.Archive {
		return fmt.Errorf("%s: %w", descriptionName, ErrAltered)
	}
	a.description, a.head, a.raw = d, h, raw
	return nil
}

// ID returns what tells this archive from all others.
func (a *Archive) ID() string { return a.description.ID }

// Created returns when the archive was made, as its maker's clock had it.
func (a *Archive) Created() time.Time { return a.description.Created }

// Head returns the head, and the octets that it was read from: what a witness keeps. It must not be changed.
func (a *Archive) Head() (h *Head, raw []byte) { return a.head, slices.Clone(a.raw) }

// Recovery returns the certificates whose owners can open the archive.
func (a *Archive) Recovery() []*x509.Certificate { return slices.Clone(a.description.recovery) }

// moveHead signs a head and puts it in the place of the present one.
func (a *Archive) moveHead(ctx context.Context, h *Head, signer Signer) error {
	h.Sequence++
	h.Time = a.o.Now().UTC().Truncate(time.Second)
	raw, err := signer.sign(ctx, h.marshal(), false, h.Time)
	if err != nil {
		return err
	}
	if len(raw) > maxHead {
		return fmt.Errorf("%s: %w: begin another archive", headName, ErrTooLarge)
	}
	// What stands when this fails is not known: it is read again by who comes next.
	if err := a.storage.Replace(ctx, headName, raw, a.raw); err != nil {
		return err
	}
	a.head, a.raw = h, bytes.Clone(raw)
	return nil
}
