package certstore

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/internal/safeio"
)

// issuerMeta is what is known of an authority's certificate: nothing as yet.
type issuerMeta struct {
	Version int `json:"version"`
}

// maxIssuers bounds how many certificates IssuersOf looks at for one leaf.
const maxIssuers = 64

// issuerFiles are the files for those of these certificates that the store does not have. Authorities are kept once, and
// not with each certificate that they issued.
func (s *Store) issuerFiles(certs []*x509.Certificate) []safeio.NewFile {
	var files []safeio.NewFile
	for _, c := range certs {
		known := s.issuersNamed(c.RawSubject)
		if len(known) >= maxIssuers || slices.ContainsFunc(known, c.Equal) {
			continue
		}
		path := s.shard(issuersDir, issuerHash(c.RawSubject)+"-"+Fingerprint(c)+".pem")
		if slices.ContainsFunc(files, func(f safeio.NewFile) bool { return f.Path == path }) {
			continue
		}
		// What cannot be encoded was never parsed.
		if file, err := record(path, issuerMeta{Version: metaVersion}, []*x509.Certificate{c}); err == nil {
			files = append(files, file)
		}
	}
	return files
}

// AddIssuers keeps certificates of authorities, which help to build paths and are trusted for nothing. It returns how
// many were new.
func (s *Store) AddIssuers(certs ...*x509.Certificate) (int, error) {
	files := s.issuerFiles(certs)
	err := s.write(files...)
	s.issuers.Clear()
	return len(files), err
}

// Issuers returns all certificates of authorities that are kept to build paths.
func (s *Store) Issuers() ([]*x509.Certificate, []Problem, error) {
	shards, err := readDir(filepath.Join(s.dir, issuersDir))
	if err != nil {
		return nil, nil, err
	}
	var list []*x509.Certificate
	var problems []Problem
	for _, shard := range shards {
		dir := filepath.Join(s.dir, issuersDir, shard.Name())
		entries, err := readDir(dir)
		if err != nil {
			problems = append(problems, Problem{dir, err})
			continue
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			_, rest, _ := strings.Cut(e.Name(), "-")
			fingerprint, isPEM := strings.CutSuffix(rest, ".pem")
			if strings.HasPrefix(e.Name(), ".") {
				continue
			}
			if !isPEM || !validFingerprint(fingerprint) {
				problems = append(problems, Problem{path, errors.New("not a file of the certificate store")})
				continue
			}
			chain, err := readRecord(path, fingerprint, &issuerMeta{})
			if err != nil {
				problems = append(problems, Problem{path, err})
				continue
			}
			list = append(list, chain[0])
		}
	}
	return list, problems, nil
}

// IssuersOf returns the certificates in the store that may stand above one, by their names, the nearest first. What
// cannot be read is as good as unknown: a path that needs it is not found.
func (s *Store) IssuersOf(leaf *x509.Certificate) []*x509.Certificate {
	var found []*x509.Certificate
	for next := []*x509.Certificate{leaf}; len(next) > 0 && len(found) < maxIssuers; next = next[1:] {
		if selfIssued(next[0]) {
			continue
		}
		for _, issuer := range s.issuersNamed(next[0].RawIssuer) {
			if !issuer.Equal(leaf) && !slices.ContainsFunc(found, issuer.Equal) && len(found) < maxIssuers {
				found, next = append(found, issuer), append(next, issuer)
			}
		}
	}
	return found
}

// issuersNamed returns the authorities of one name, and remembers them.
func (s *Store) issuersNamed(name []byte) []*x509.Certificate {
	if known, ok := s.issuers.Load(string(name)); ok {
		if list, ok := known.([]*x509.Certificate); ok {
			return list
		}
	}
	hash := issuerHash(name)
	dir := filepath.Dir(s.shard(issuersDir, hash))
	entries, err := readDir(dir)
	if err != nil {
		return nil
	}
	var list []*x509.Certificate
	for _, e := range entries {
		rest, ofName := strings.CutPrefix(e.Name(), hash+"-")
		fingerprint, isPEM := strings.CutSuffix(rest, ".pem")
		if !ofName || !isPEM || !validFingerprint(fingerprint) {
			continue
		}
		if chain, err := readRecord(filepath.Join(dir, e.Name()), fingerprint, &issuerMeta{}); err == nil {
			list = append(list, chain[0])
		}
	}
	s.issuers.Store(string(name), list)
	return list
}

func issuerHash(name []byte) string {
	sum := sha256.Sum256(name)
	return hex.EncodeToString(sum[:16])
}
