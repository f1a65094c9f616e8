package certstore

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// Origin says whose decision an anchor is.
type Origin string

const (
	Private Origin = "private" // one that the user named
	Local   Origin = "local"   // the user's own certificate authority
	Public  Origin = "public"  // from a root program, whose rules give meaning to validation levels
)

// Anchor is a certificate that paths may end at.
type Anchor struct {
	Certificate *x509.Certificate
	Origin      Origin
	Added       time.Time
}

type anchorMeta struct {
	Version int       `json:"version"`
	Origin  Origin    `json:"origin"`
	Added   time.Time `json:"added"`
}

// Trust makes a certificate an anchor for these purposes.
func (s *Store) Trust(anchor Anchor, purposes ...Purpose) error {
	if len(purposes) == 0 {
		return errors.New("no purpose to trust the certificate for")
	}
	if anchor.Origin == "" {
		anchor.Origin = Private
	}
	for _, purpose := range purposes {
		pemPath, metaPath, err := s.anchorPaths(purpose, Fingerprint(anchor.Certificate))
		if err != nil {
			return err
		}
		meta := anchorMeta{Version: metaVersion, Origin: anchor.Origin, Added: anchor.Added.UTC()}
		if err := s.writePair(pemPath, metaPath, []*x509.Certificate{anchor.Certificate}, meta); err != nil {
			return err
		}
	}
	return nil
}

// Distrust takes an anchor away from these purposes. The error is [ErrNotFound] where it was one for none of them.
func (s *Store) Distrust(fingerprint string, purposes ...Purpose) error {
	found := false
	for _, purpose := range purposes {
		pemPath, metaPath, err := s.anchorPaths(purpose, fingerprint)
		if err != nil {
			return err
		}
		// The certificate first: its presence is what counts.
		for _, path := range []string{pemPath, metaPath} {
			err := s.disk.Remove(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("certificate store: %w", err)
			}
			found = found || err == nil && path == pemPath
		}
	}
	if !found {
		return ErrNotFound
	}
	return nil
}

// Anchors returns the anchors for a purpose. An anchor that cannot be read is reported and not trusted. If the anchors
// cannot be listed at all, that is an error: nothing else is trusted in their place.
func (s *Store) Anchors(purpose Purpose) ([]Anchor, []Problem, error) {
	if _, err := ParsePurpose(string(purpose)); err != nil {
		return nil, nil, err
	}
	// A missing folder means no anchors, but only if it is this folder that is missing and not one above it that
	// became unreadable: list tells these apart by the error.
	dir := filepath.Join(s.dir, anchorsDir, string(purpose))
	fingerprints, problems, err := s.list(dir, false)
	if err != nil {
		return nil, nil, fmt.Errorf("trust anchors: %w", err)
	}
	var anchors []Anchor
	for _, fingerprint := range fingerprints {
		anchor, err := s.readAnchor(purpose, fingerprint)
		if err != nil {
			problems = append(problems, Problem{filepath.Join(dir, fingerprint+".pem"), err})
			continue
		}
		anchors = append(anchors, anchor)
	}
	return anchors, problems, nil
}

func (s *Store) readAnchor(purpose Purpose, fingerprint string) (Anchor, error) {
	pemPath, metaPath, err := s.anchorPaths(purpose, fingerprint)
	if err != nil {
		return Anchor{}, err
	}
	chain, err := readChain(pemPath, fingerprint)
	if err != nil {
		return Anchor{}, err
	}
	meta := anchorMeta{Origin: Private} // a .pem that somebody put there by hand
	if _, err := readMeta(metaPath, &meta); err != nil {
		return Anchor{}, err
	}
	return Anchor{Certificate: chain[0], Origin: meta.Origin, Added: meta.Added}, nil
}

func (s *Store) anchorPaths(purpose Purpose, fingerprint string) (pemPath, metaPath string, err error) {
	if _, err := ParsePurpose(string(purpose)); err != nil {
		return "", "", err
	}
	if !validFingerprint(fingerprint) {
		return "", "", fmt.Errorf("%w: %q is not a fingerprint", ErrNotFound, fingerprint)
	}
	base := filepath.Join(s.dir, anchorsDir, string(purpose), fingerprint)
	return base + ".pem", base + ".json", nil
}

// Validator returns a validator that trusts the store's anchors for this purpose, and knows the issuers of one's own
// certificates: colleagues' are often by the same ones.
func (s *Store) Validator(purpose Purpose) (Validator, []Problem, error) {
	anchors, problems, err := s.Anchors(purpose)
	if err != nil {
		return Validator{}, nil, err
	}
	var v Validator
	for _, anchor := range anchors {
		v.Anchors = append(v.Anchors, anchor.Certificate)
	}
	identities, more, err := s.Identities()
	if err != nil {
		return Validator{}, nil, err
	}
	for _, identity := range identities {
		v.Intermediates = append(v.Intermediates, identity.Chain[1:]...)
	}
	return v, append(problems, more...), nil
}
