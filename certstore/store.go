package certstore

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sealmail/sealmail/internal/safeio"
)

// Names inside a store's folder.
const (
	identitiesDir     = "identities"
	correspondentsDir = "correspondents"
	anchorsDir        = "anchors"
	chainFile         = "chain.pem"
	metaFile          = "meta.json"

	metaVersion  = 1
	maxStoreFile = 1 << 20 // octets
)

// Errors of a store.
var (
	// ErrNotFound says that the store does not have the certificate.
	ErrNotFound = errors.New("certificate is not in the store")
	// ErrKeyMismatch says that a private key does not belong to the certificate it came with.
	ErrKeyMismatch = errors.New("private key does not belong to the certificate")
)

// Keys keeps private keys for a [Store]. A *vault.Vault does; so can something that unlocks one at first need.
type Keys interface {
	Get(id string) ([]byte, error)
	Put(ctx context.Context, id, kind string, secret []byte) error
}

// Store is a folder with identities, the certificates of correspondents, and trust anchors, each in a file named after
// its fingerprint:
//
//	identities/FINGERPRINT/chain.pem, meta.json
//	correspondents/FINGERPRINT.pem, FINGERPRINT.json
//	anchors/PURPOSE/FINGERPRINT.pem, FINGERPRINT.json
//
// Private keys are not there but in Keys. A folder that is missing is empty; one that cannot be read is an error, and
// never taken for empty. A single file that is odd is reported as a [Problem] and costs nobody else anything. Files are
// replaced whole, so that several processes may use a store at once.
type Store struct {
	dir  string
	disk safeio.Disk
	keys Keys

	cleared sync.Map // folders that clearUp has been through
}

// New returns the store in this folder, which is made when something is first put there. keys may be nil for a store
// whose private keys are not needed.
func New(dir string, disk safeio.Disk, keys Keys) *Store {
	return &Store{dir: dir, disk: disk, keys: keys}
}

// Problem is a file in a store that cannot be used.
type Problem struct {
	Path string
	Err  error
}

func (p Problem) Error() string { return p.Path + ": " + p.Err.Error() }

// Unwrap returns what is wrong with the file.
func (p Problem) Unwrap() error { return p.Err }

// list returns the names of a folder's members that stand for a certificate, their fingerprints, and its odd members.
// Files end in .pem, folders do not.
func (s *Store) list(dir string, folders bool) (fingerprints []string, problems []Problem, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("certificate store: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || !folders && filepath.Ext(name) == ".json" {
			continue // temporary files, and what stands beside a .pem
		}
		fingerprint, isPEM := strings.CutSuffix(name, ".pem")
		if !validFingerprint(fingerprint) || isPEM == folders {
			problems = append(problems, Problem{filepath.Join(dir, name), errors.New("not a file of the certificate store")})
			continue
		}
		fingerprints = append(fingerprints, fingerprint)
	}
	return fingerprints, problems, nil
}

func validFingerprint(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == 32 && s == strings.ToLower(s)
}

// readChain reads a PEM file whose first certificate has this fingerprint.
func readChain(path, fingerprint string) ([]*x509.Certificate, error) {
	data, err := readLimited(path)
	if err != nil {
		return nil, err
	}
	chain, err := ParseCertificates(data)
	if err != nil {
		return nil, err
	}
	if Fingerprint(chain[0]) != fingerprint {
		return nil, fmt.Errorf("%w: the file is not named after its certificate", ErrMalformed)
	}
	return chain, nil
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxStoreFile+1))
	if err == nil && len(data) > maxStoreFile {
		err = ErrTooLarge
	}
	return data, err
}

// readMeta reads what is known of a certificate beside the certificate itself into meta, and says whether there is
// such a file. Unknown fields are passed over: they are a newer program's, which knows how to do without them.
func readMeta(path string, meta any) (present bool, err error) {
	data, err := readLimited(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return false, fmt.Errorf("%s: %w: %w", path, ErrMalformed, err)
	}
	if version.Version != metaVersion {
		return false, fmt.Errorf("%s: %w: version %d is not known", path, ErrMalformed, version.Version)
	}
	if err := json.Unmarshal(data, meta); err != nil {
		return false, fmt.Errorf("%s: %w: %w", path, ErrMalformed, err)
	}
	return true, nil
}

// writePair writes what stands beside a certificate and then the certificate, whose presence is what counts: after a
// kill between the two there is nothing.
func (s *Store) writePair(pemPath, metaPath string, chain []*x509.Certificate, meta any) error {
	data, err := json.MarshalIndent(meta, "", "  ")
	if err != nil {
		return err
	}
	if err := s.disk.MkdirAll(filepath.Dir(pemPath), 0o700); err != nil {
		return fmt.Errorf("certificate store: %w", err)
	}
	s.clearUp(filepath.Dir(pemPath))
	if err := s.disk.WriteFile(metaPath, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("certificate store: %w", err)
	}
	certificates := EncodeCertificates(chain...)
	if old, err := readLimited(pemPath); err == nil && bytes.Equal(old, certificates) {
		return nil // as when only capabilities are new
	}
	if err := s.disk.WriteFile(pemPath, certificates, 0o600); err != nil {
		return fmt.Errorf("certificate store: %w", err)
	}
	return nil
}

// clearUp removes what killed writers left in a folder. Once is enough, and keeps an import of many certificates from
// listing the folder for each. That something cannot be removed is no reason not to write.
func (s *Store) clearUp(dir string) {
	if _, done := s.cleared.LoadOrStore(dir, true); !done {
		_ = safeio.RemoveStale(dir)
	}
}
