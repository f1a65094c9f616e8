package certstore

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
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
	Accounts    []string // by name, the only ones that trust it; none: all do
	// DistrustAfter is the time from which on nothing that it issues is trusted (see [Validator]); zero: there is none.
	DistrustAfter time.Time
}

type anchorMeta struct {
	Version  int       `json:"version"`
	Origin   Origin    `json:"origin"`
	Added    time.Time `json:"added"`
	Accounts []string  `json:"accounts,omitempty"`

	DistrustAfter time.Time `json:"distrust_after,omitzero"`
}

// Trust makes a certificate an anchor for these purposes. One that some accounts trust already is then trusted by these
// and the new ones; one that all trust stays so, and is not changed where one account trusts it on a decision of another kind:
// what the others are shown, and until when they trust it, is not for that account to say.
func (s *Store) Trust(anchor Anchor, purposes ...Purpose) error {
	if len(purposes) == 0 {
		return errors.New("no purpose to trust the certificate for")
	}
	if anchor.Origin == "" {
		anchor.Origin = Private
	}
	var files []safeio.NewFile
	for _, purpose := range purposes {
		merged := anchor
		if known, err := s.readAnchor(purpose, Fingerprint(anchor.Certificate)); err == nil && len(anchor.Accounts) > 0 {
			if len(known.Accounts) == 0 && known.Origin != anchor.Origin {
				continue
			}
			merged.Accounts = known.Accounts
			if len(known.Accounts) > 0 {
				merged.Accounts = slices.Compact(slices.Sorted(slices.Values(slices.Concat(known.Accounts, anchor.Accounts))))
			}
		}
		file, err := s.anchorFile(merged, purpose)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	return s.write(files...)
}

// anchorFile is the file that an anchor for a purpose is kept in.
func (s *Store) anchorFile(anchor Anchor, purpose Purpose) (safeio.NewFile, error) {
	path, err := s.anchorPath(purpose, Fingerprint(anchor.Certificate))
	if err != nil {
		return safeio.NewFile{}, err
	}
	meta := anchorMeta{Version: metaVersion, Origin: anchor.Origin, Added: anchor.Added.UTC(), Accounts: anchor.Accounts, DistrustAfter: anchor.DistrustAfter.UTC()}
	return record(path, meta, []*x509.Certificate{anchor.Certificate})
}

// Distrust takes an anchor away from these purposes. The error is [ErrNotFound] where it was one for none of them.
func (s *Store) Distrust(fingerprint string, purposes ...Purpose) error {
	found := false
	for _, purpose := range purposes {
		path, err := s.anchorPath(purpose, fingerprint)
		if err != nil {
			return err
		}
		there, err := s.remove(path)
		if err != nil {
			return err
		}
		found = found || there
	}
	if !found {
		return ErrNotFound
	}
	return nil
}

// DistrustFor takes an anchor away from one account, where it is one for named accounts only; others that trust it go on. The
// error is [ErrNotFound] where this account is none of those.
func (s *Store) DistrustFor(account, fingerprint string, purpose Purpose) error {
	anchor, err := s.readAnchor(purpose, fingerprint)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !slices.Contains(anchor.Accounts, account) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(anchor.Accounts, func(a string) bool { return a == account })
	if len(others) == 0 { // none would mean all
		return s.Distrust(fingerprint, purpose)
	}
	anchor.Accounts = others
	file, err := s.anchorFile(anchor, purpose)
	if err != nil {
		return err
	}
	return s.write(file)
}

// Anchors returns the anchors for a purpose that an account trusts; for the empty name, those that all accounts trust. An
// anchor that cannot be read is reported and not trusted. If the anchors
// cannot be listed at all, that is an error: nothing else is trusted in their place.
func (s *Store) Anchors(purpose Purpose, account string) ([]Anchor, []Problem, error) {
	anchors, problems, err := s.AllAnchors(purpose)
	return slices.DeleteFunc(anchors, func(a Anchor) bool { return !a.TrustedBy(account) }), problems, err
}

// TrustedBy reports whether an account trusts the anchor; for the empty name, whether all do.
func (a Anchor) TrustedBy(account string) bool {
	return len(a.Accounts) == 0 || slices.Contains(a.Accounts, account)
}

// AllAnchors returns the anchors for a purpose, whichever accounts trust them, and problems and errors as [Store.Anchors].
func (s *Store) AllAnchors(purpose Purpose) ([]Anchor, []Problem, error) {
	if _, err := ParsePurpose(string(purpose)); err != nil {
		return nil, nil, err
	}
	// A missing folder means no anchors, but only if it is this folder that is missing and not one above it that
	// became unreadable: list tells these apart by the error.
	dir := filepath.Join(s.dir, anchorsDir, string(purpose))
	fingerprints, problems, err := s.list(dir)
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
	path, err := s.anchorPath(purpose, fingerprint)
	if err != nil {
		return Anchor{}, err
	}
	meta := anchorMeta{Origin: Private} // a .pem that somebody put there by hand
	chain, err := readRecord(path, fingerprint, &meta)
	if err != nil {
		return Anchor{}, err
	}
	return Anchor{Certificate: chain[0], Origin: meta.Origin, Added: meta.Added, Accounts: meta.Accounts, DistrustAfter: meta.DistrustAfter}, nil
}

func (s *Store) anchorPath(purpose Purpose, fingerprint string) (string, error) {
	if _, err := ParsePurpose(string(purpose)); err != nil {
		return "", err
	}
	if !validFingerprint(fingerprint) {
		return "", fmt.Errorf("%w: %q is not a fingerprint", ErrNotFound, fingerprint)
	}
	return filepath.Join(s.dir, anchorsDir, string(purpose), fingerprint+".pem"), nil
}

// Validator returns a validator that trusts the anchors of an account for this purpose (see [Store.Anchors]), and knows
// the issuers of one's own certificates: colleagues' are often by the same ones.
func (s *Store) Validator(purpose Purpose, account string) (Validator, []Problem, error) {
	anchors, problems, err := s.Anchors(purpose, account)
	if err != nil {
		return Validator{}, nil, err
	}
	var v Validator
	for _, anchor := range anchors {
		v.Anchors = append(v.Anchors, anchor.Certificate)
		if !anchor.DistrustAfter.IsZero() {
			if v.DistrustAfter == nil {
				v.DistrustAfter = map[string]time.Time{}
			}
			v.DistrustAfter[string(anchor.Certificate.Raw)] = anchor.DistrustAfter
		}
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
