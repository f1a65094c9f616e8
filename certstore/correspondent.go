package certstore

import (
	"crypto/x509"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
)

// Correspondent is a certificate of somebody else's, and what is known about its owner.
type Correspondent struct {
	Chain        []*x509.Certificate // leaf first; issuers that came with it
	Source       string              // where it was seen first, for people
	FirstSeen    time.Time
	Capabilities cms.Capabilities // what its owner's programs announced; nil: nothing is known
	// CapabilitiesAt is when they were announced.
	CapabilitiesAt time.Time
}

// Certificate returns the leaf.
func (c Correspondent) Certificate() *x509.Certificate { return c.Chain[0] }

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
	FirstSeen      time.Time `json:"first_seen"`
	Capabilities   []byte    `json:"capabilities,omitempty"` // DER
	CapabilitiesAt time.Time `json:"capabilities_at,omitzero"`
}

// AddCorrespondent stores a certificate, and reports whether it was new. Of one that is there already, the first
// sighting is kept, the newer of the capabilities, and the issuers of both.
func (s *Store) AddCorrespondent(c Correspondent) (added bool, err error) {
	if len(c.Chain) == 0 {
		return false, ErrNoCertificate
	}
	fingerprint := Fingerprint(c.Certificate())
	known, err := s.readCorrespondent(fingerprint)
	added = err != nil // nothing there, or nothing that could be kept
	if !added {
		merged := merge(known, c)
		if equalCorrespondent(merged, known) {
			return false, nil
		}
		c = merged
	}
	meta := correspondentMeta{Version: metaVersion, Source: c.Source, FirstSeen: c.FirstSeen.UTC()}
	if c.Capabilities != nil {
		meta.CapabilitiesAt = c.CapabilitiesAt.UTC()
		if meta.Capabilities, err = c.Capabilities.Marshal(); err != nil {
			return false, err
		}
	}
	pemPath, metaPath := s.correspondentPaths(fingerprint)
	return added, s.writePair(pemPath, metaPath, c.Chain, meta)
}

// merge adds what is new in seen to what is known of the same certificate.
func merge(known, seen Correspondent) Correspondent {
	if seen.Capabilities != nil && (known.Capabilities == nil || seen.CapabilitiesAt.After(known.CapabilitiesAt)) {
		known.Capabilities, known.CapabilitiesAt = seen.Capabilities, seen.CapabilitiesAt
	}
	known.Chain = slices.Clone(known.Chain)
	for _, issuer := range seen.Chain[1:] {
		if !slices.ContainsFunc(known.Chain, issuer.Equal) && len(known.Chain) <= maxChain {
			known.Chain = append(known.Chain, issuer)
		}
	}
	return known
}

func equalCorrespondent(a, b Correspondent) bool {
	return len(a.Chain) == len(b.Chain) && a.CapabilitiesAt.Equal(b.CapabilitiesAt) && (a.Capabilities == nil) == (b.Capabilities == nil)
}

// Correspondents returns all certificates of others, those whose validity began last first.
func (s *Store) Correspondents() ([]Correspondent, []Problem, error) {
	dir := filepath.Join(s.dir, correspondentsDir)
	fingerprints, problems, err := s.list(dir, false)
	if err != nil {
		return nil, nil, err
	}
	var correspondents []Correspondent
	for _, fingerprint := range fingerprints {
		c, err := s.readCorrespondent(fingerprint)
		if err != nil {
			problems = append(problems, Problem{filepath.Join(dir, fingerprint+".pem"), err})
			continue
		}
		correspondents = append(correspondents, c)
	}
	slices.SortStableFunc(correspondents, func(a, b Correspondent) int { return newestFirst(a.Certificate(), b.Certificate()) })
	return correspondents, problems, nil
}

func (s *Store) readCorrespondent(fingerprint string) (Correspondent, error) {
	pemPath, metaPath := s.correspondentPaths(fingerprint)
	chain, err := readChain(pemPath, fingerprint)
	if err != nil {
		return Correspondent{}, err
	}
	var meta correspondentMeta
	if _, err := readMeta(metaPath, &meta); err != nil {
		return Correspondent{}, err
	}
	c := Correspondent{Chain: chain, Source: meta.Source, FirstSeen: meta.FirstSeen}
	if len(meta.Capabilities) > 0 {
		c.CapabilitiesAt = meta.CapabilitiesAt
		if c.Capabilities, err = cms.ParseCapabilities(meta.Capabilities); err != nil {
			return Correspondent{}, fmt.Errorf("%s: %w", metaPath, err)
		}
	}
	return c, nil
}

func (s *Store) correspondentPaths(fingerprint string) (pemPath, metaPath string) {
	base := filepath.Join(s.dir, correspondentsDir, fingerprint)
	return base + ".pem", base + ".json"
}
