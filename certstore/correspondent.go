package certstore

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime/cms"
)

// Correspondent is a certificate of somebody else's, and what is known about its owner.
type Correspondent struct {
	Chain     []*x509.Certificate // leaf first; its issuers as far as they are known
	Source    string              // where it was seen first, for people
	Message   string              // Message-ID of the mail in which a person was first told of it, if it was in one
	FirstSeen time.Time
	Untold    bool      // it was collected, and nobody was told of it yet
	ToldAt    time.Time // when a person was, if that was later than FirstSeen; else zero

	Capabilities   cms.Capabilities // what its owner's programs announced; nil: nothing is known
	CapabilitiesAt time.Time        // when that was
	PreferredAt    time.Time        // when its owner last named it as the one to encrypt to (RFC 8551 section 2.5.3); zero: never
	UsedAt         time.Time        // when mail was first encrypted to it; zero: never

	HeaderProtection   bool      // its owner's newest mail protects its header as RFC 9788 says
	HeaderProtectionAt time.Time // when that was
}

// Certificate returns the leaf.
func (c Correspondent) Certificate() *x509.Certificate { return c.Chain[0] }

// toldAt is when a person was told of it.
func (c Correspondent) toldAt() time.Time { return later(c.FirstSeen, c.ToldAt) }

// KnownCapabilities returns what the correspondent announced, or else what the certificate itself says (RFC 4262).
// known is false where there is neither.
func (c Correspondent) KnownCapabilities() (capabilities cms.Capabilities, known bool) {
	if c.Capabilities != nil {
		return c.Capabilities, true
	}
	return cms.CertificateCapabilities(c.Certificate())
}

type correspondentMeta struct {
	Version        int       `json:"version"`
	Source         string    `json:"source,omitempty"`
	Message        string    `json:"message,omitempty"`
	FirstSeen      time.Time `json:"first_seen"`
	Untold         bool      `json:"untold,omitempty"`
	ToldAt         time.Time `json:"told_at,omitzero"`
	Capabilities   []byte    `json:"capabilities,omitempty"` // DER
	CapabilitiesAt time.Time `json:"capabilities_at,omitzero"`
	PreferredAt    time.Time `json:"preferred_at,omitzero"`
	UsedAt         time.Time `json:"used_at,omitzero"`

	HeaderProtection   bool      `json:"header_protection,omitempty"`
	HeaderProtectionAt time.Time `json:"header_protection_at,omitzero"`
}

// AddCorrespondent is AddCorrespondents for one, and reports whether it was new.
func (s *Store) AddCorrespondent(ctx context.Context, c Correspondent) (added bool, err error) {
	n, err := s.AddCorrespondents(ctx, []Correspondent{c})
	return n > 0, err
}

// addStep is how many certificates are added between two looks at the context.
const addStep = 1024

// AddCorrespondents stores certificates, and returns how many of them were new. Of one that is there already, the first
// sighting is kept, and the newer of what its owner announced. Nothing is ever taken away by it. After an error some may
// be stored, each whole.
func (s *Store) AddCorrespondents(ctx context.Context, list []Correspondent) (added int, err error) {
	for step := range slices.Chunk(list, addStep) {
		if err := ctx.Err(); err != nil {
			return added, err
		}
		n, err := s.addCorrespondents(step)
		added += n
		if err != nil {
			return added, err
		}
	}
	return added, nil
}

func (s *Store) addCorrespondents(list []Correspondent) (added int, err error) {
	var issuers []*x509.Certificate
	// What is said of one certificate several times is put together first: each file is read once, and written at most once.
	type entry struct {
		Correspondent
		changed bool
	}
	entries := map[string]*entry{}
	var order []*entry
	for _, c := range list {
		if len(c.Chain) == 0 {
			return 0, ErrNoCertificate
		}
		issuers = append(issuers, c.Chain[1:]...)
		fingerprint := Fingerprint(c.Certificate())
		e := entries[fingerprint]
		if e == nil {
			known, err := s.readCorrespondent(fingerprint)
			if err != nil { // nothing there, or nothing that could be kept
				added++
				known = c
			}
			e = &entry{known, err != nil}
			entries[fingerprint], order = e, append(order, e)
		}
		e.changed = e.learn(c) || e.changed
	}
	var files []safeio.NewFile
	for _, e := range order {
		if !e.changed {
			continue
		}
		more, err := s.correspondentFiles(e.Correspondent)
		if err != nil {
			return 0, err
		}
		files = append(files, more...)
	}
	defer s.issuers.Clear()
	return added, s.write(append(s.issuerFiles(issuers), files...)...)
}

// learn takes over what is new in a later sighting of the same certificate, and reports whether there was anything.
func (c *Correspondent) learn(seen Correspondent) (changed bool) {
	if seen.Capabilities != nil && (c.Capabilities == nil || seen.CapabilitiesAt.After(c.CapabilitiesAt)) {
		c.Capabilities, c.CapabilitiesAt, changed = seen.Capabilities, seen.CapabilitiesAt, true
	}
	if seen.PreferredAt.After(c.PreferredAt) {
		c.PreferredAt, changed = seen.PreferredAt, true
	}
	if c.UsedAt.IsZero() && !seen.UsedAt.IsZero() {
		c.UsedAt, changed = seen.UsedAt, true
	}
	if seen.HeaderProtectionAt.After(c.HeaderProtectionAt) {
		c.HeaderProtection, c.HeaderProtectionAt, changed = seen.HeaderProtection, seen.HeaderProtectionAt, true
	}
	if c.Untold && !seen.Untold {
		c.Untold, c.ToldAt, c.Message, changed = false, seen.FirstSeen, seen.Message, true
	}
	return changed
}

// correspondentFiles are the certificate, and the marks by which it is found.
func (s *Store) correspondentFiles(c Correspondent) ([]safeio.NewFile, error) {
	meta := correspondentMeta{Version: metaVersion, Source: c.Source, Message: c.Message, FirstSeen: c.FirstSeen.UTC(),
		Untold: c.Untold, ToldAt: c.ToldAt.UTC(), PreferredAt: c.PreferredAt.UTC(), UsedAt: c.UsedAt.UTC(),
		HeaderProtection: c.HeaderProtection, HeaderProtectionAt: c.HeaderProtectionAt.UTC()}
	if c.Capabilities != nil {
		var err error
		meta.CapabilitiesAt = c.CapabilitiesAt.UTC()
		if meta.Capabilities, err = c.Capabilities.Marshal(); err != nil {
			return nil, err
		}
	}
	fingerprint := Fingerprint(c.Certificate())
	var files []safeio.NewFile
	for _, mark := range s.marks(c.Certificate(), fingerprint) {
		files = append(files, safeio.NewFile{Path: mark, Perm: 0o600})
	}
	file, err := record(s.correspondentPath(fingerprint), meta, c.Chain[:1])
	return append(files, file), err
}

// marks are the files by which a certificate is found for each address in it, those that it merely mentions included.
func (s *Store) marks(c *x509.Certificate, fingerprint string) []string {
	var paths []string
	for _, address := range slices.Concat(Addresses(c), subjectTexts(c)) {
		hash, ok := addressHash(address)
		if !ok {
			continue
		}
		if path := s.shard(addressesDir, hash+"-"+fingerprint); !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// addressHash names an address in the file system, where not each of its characters could stand.
func addressHash(address string) (hash string, ok bool) {
	normalized, ok := NormalizeAddress(address)
	sum := sha256.Sum256([]byte(normalized))
	return hex.EncodeToString(sum[:16]), ok
}

// ForgetCorrespondent removes a correspondent's certificate. The error is [ErrNotFound] where it is not there.
func (s *Store) ForgetCorrespondent(fingerprint string) error {
	if !validFingerprint(fingerprint) {
		return fmt.Errorf("%w: %q is not a fingerprint", ErrNotFound, fingerprint)
	}
	known, readErr := s.readCorrespondent(fingerprint)
	// The certificate first: its presence is what counts, and a mark that leads to nothing does no harm.
	there, err := s.remove(s.correspondentPath(fingerprint))
	if err != nil {
		return err
	}
	if !there {
		return ErrNotFound
	}
	if readErr != nil {
		return nil // which addresses it named is not known any more
	}
	for _, mark := range s.marks(known.Certificate(), fingerprint) {
		if _, err := s.remove(mark); err != nil {
			return err
		}
	}
	return nil
}

// Correspondent returns the correspondent's certificate with this fingerprint. The error is [ErrNotFound] where it is not
// there.
func (s *Store) Correspondent(fingerprint string) (Correspondent, error) {
	if !validFingerprint(fingerprint) {
		return Correspondent{}, fmt.Errorf("%w: %q is not a fingerprint", ErrNotFound, fingerprint)
	}
	c, err := s.readCorrespondent(fingerprint)
	if errors.Is(err, fs.ErrNotExist) {
		return c, ErrNotFound
	}
	return c, err
}

// CorrespondentsFor returns the certificates of others that name an address, be it only in their subject, those whose
// validity began last first.
func (s *Store) CorrespondentsFor(address string) ([]Correspondent, []Problem, error) {
	hash, ok := addressHash(address)
	if !ok {
		return nil, nil, nil
	}
	entries, err := readDir(filepath.Dir(s.shard(addressesDir, hash)))
	if err != nil {
		return nil, nil, err
	}
	var fingerprints []string
	for _, e := range entries {
		if fingerprint, ok := strings.CutPrefix(e.Name(), hash+"-"); ok && validFingerprint(fingerprint) {
			fingerprints = append(fingerprints, fingerprint)
		}
	}
	list, problems := s.readCorrespondents(fingerprints)
	return list, problems, nil
}

// CorrespondentsByFingerprint returns the certificates of others whose fingerprints begin with these two hex digits or
// more.
func (s *Store) CorrespondentsByFingerprint(prefix string) ([]Correspondent, []Problem, error) {
	prefix = strings.ToLower(prefix)
	if len(prefix) < 2 || strings.Trim(prefix, "0123456789abcdef") != "" {
		return nil, nil, nil
	}
	fingerprints, problems, err := s.list(filepath.Join(s.dir, correspondentsDir, prefix[:2]))
	if err != nil {
		return nil, nil, err
	}
	list, more := s.readCorrespondents(slices.DeleteFunc(fingerprints, func(f string) bool { return !strings.HasPrefix(f, prefix) }))
	return list, append(problems, more...), nil
}

// Correspondents returns all certificates of others, those whose validity began last first.
func (s *Store) Correspondents() ([]Correspondent, []Problem, error) {
	shards, err := readDir(filepath.Join(s.dir, correspondentsDir))
	if err != nil {
		return nil, nil, err
	}
	var fingerprints []string
	var problems []Problem
	for _, shard := range shards {
		dir := filepath.Join(s.dir, correspondentsDir, shard.Name())
		if !shard.IsDir() {
			problems = append(problems, Problem{dir, errors.New("not a file of the certificate store")})
			continue
		}
		more, odd, err := s.list(dir)
		if err != nil {
			return nil, nil, err
		}
		fingerprints, problems = append(fingerprints, more...), append(problems, odd...)
	}
	list, more := s.readCorrespondents(fingerprints)
	return list, append(problems, more...), nil
}

// readCorrespondents reads those that are there. A mark may lead to one that was forgotten, or that is not written yet.
func (s *Store) readCorrespondents(fingerprints []string) (list []Correspondent, problems []Problem) {
	for _, fingerprint := range fingerprints {
		c, err := s.readCorrespondent(fingerprint)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			problems = append(problems, Problem{s.correspondentPath(fingerprint), err})
		default:
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b Correspondent) int { return newestFirst(a.Certificate(), b.Certificate()) })
	return list, problems
}

func (s *Store) readCorrespondent(fingerprint string) (Correspondent, error) {
	var meta correspondentMeta
	chain, err := readRecord(s.correspondentPath(fingerprint), fingerprint, &meta)
	if err != nil {
		return Correspondent{}, err
	}
	c := Correspondent{Chain: append(chain[:1:1], s.IssuersOf(chain[0])...), Source: meta.Source, Message: meta.Message,
		FirstSeen: meta.FirstSeen, Untold: meta.Untold, ToldAt: meta.ToldAt, PreferredAt: meta.PreferredAt, UsedAt: meta.UsedAt,
		HeaderProtection: meta.HeaderProtection, HeaderProtectionAt: meta.HeaderProtectionAt}
	if len(meta.Capabilities) > 0 {
		c.CapabilitiesAt = meta.CapabilitiesAt
		if c.Capabilities, err = cms.ParseCapabilities(meta.Capabilities); err != nil {
			return Correspondent{}, err
		}
	}
	return c, nil
}

func (s *Store) correspondentPath(fingerprint string) string {
	return s.shard(correspondentsDir, fingerprint+".pem")
}
