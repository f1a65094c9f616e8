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
	anchorsDir        = "anchors"
	correspondentsDir = "correspondents"
	addressesDir      = "addresses"
	issuersDir        = "issuers"

	metaVersion  = 2
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
//	identities/FINGERPRINT.pem             with the certificates above it
//	anchors/PURPOSE/FINGERPRINT.pem
//	correspondents/FI/FINGERPRINT.pem      in folders by the first two digits
//	addresses/HA/HASH-FINGERPRINT          marks: which correspondents' certificates name the address with this hash
//	issuers/HA/HASH-FINGERPRINT.pem        authorities, by the hash of their names
//	exports/TIME-RANDOM.json               private keys that left
//
// A file begins with a line of JSON, what is known beside the certificates, and goes on in PEM. So what belongs together
// is replaced together, and other programs read the certificates where they lie.
//
// Private keys are not there but in Keys. A folder that is missing is empty; one that cannot be read is an error, and
// never taken for empty. A single file that is odd is reported as a [Problem] and costs nobody else anything. Files are
// replaced whole, so that several processes may use a store at once. What a choice for one address costs does not depend
// on how many correspondents there are.
type Store struct {
	dir  string
	disk safeio.Disk
	keys Keys

	made    sync.Map // folders that are there, and that clearUp has been through
	issuers sync.Map // what IssuersOf found, by the name of the issuer
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

// list returns the fingerprints after which the files of a folder are named, and its odd members.
func (s *Store) list(dir string) (fingerprints []string, problems []Problem, err error) {
	entries, err := readDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		name := e.Name()
		fingerprint, isPEM := strings.CutSuffix(name, ".pem")
		switch {
		case strings.HasPrefix(name, "."): // a temporary file
		case !isPEM || !validFingerprint(fingerprint):
			problems = append(problems, Problem{filepath.Join(dir, name), errors.New("not a file of the certificate store")})
		default:
			fingerprints = append(fingerprints, fingerprint)
		}
	}
	return fingerprints, problems, nil
}

// readDir lists a folder of the store; one that is not there is empty.
func readDir(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("certificate store: %w", err)
	}
	return entries, nil
}

func validFingerprint(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == 32 && s == strings.ToLower(s)
}

// shard is the folder below dir for a name that begins with hex digits: no folder holds more than a small part.
func (s *Store) shard(dir, name string) string { return filepath.Join(s.dir, dir, name[:2], name) }

// readRecord reads a file whose first certificate has this fingerprint, and what stands before it into meta, which is left
// as it is where nothing does.
func readRecord(path, fingerprint string, meta any) ([]*x509.Certificate, error) {
	data, err := readLimited(path)
	if err != nil {
		return nil, err
	}
	if line, rest, ok := bytes.Cut(data, []byte("\n")); ok && bytes.HasPrefix(line, []byte("{")) {
		if err := readMeta(line, meta); err != nil {
			return nil, err
		}
		data = rest
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

// readMeta reads the line of JSON. Unknown fields are passed over: they are a newer program's, which knows how to do
// without them.
func readMeta(line []byte, meta any) error {
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(line, &version); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if version.Version != metaVersion {
		return fmt.Errorf("%w: version %d is not known", ErrMalformed, version.Version)
	}
	if err := json.Unmarshal(line, meta); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// record is the file that readRecord reads.
func record(path string, meta any, chain []*x509.Certificate) (safeio.NewFile, error) {
	line, err := json.Marshal(meta)
	if err != nil {
		return safeio.NewFile{}, err
	}
	return safeio.NewFile{Path: path, Data: append(append(line, '\n'), EncodeCertificates(chain...)...), Perm: 0o600}, nil
}

// write writes files, and the folders that they are in.
func (s *Store) write(files ...safeio.NewFile) error {
	for _, f := range files {
		if err := s.makeDir(filepath.Dir(f.Path)); err != nil {
			return fmt.Errorf("certificate store: %w", err)
		}
	}
	if err := s.disk.WriteFiles(files); err != nil {
		return fmt.Errorf("certificate store: %w", err)
	}
	return nil
}

// makeDir makes a folder where it is missing, and removes what killed writers left in it. Once is enough, and keeps an
// import of many certificates from listing the folder for each. That something cannot be removed is no reason not to
// write.
func (s *Store) makeDir(dir string) error {
	if _, done := s.made.Load(dir); done {
		return nil
	}
	if err := s.disk.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	_ = safeio.RemoveStale(dir)
	s.made.Store(dir, true)
	return nil
}

// remove removes a file, and reports whether it was there.
func (s *Store) remove(path string) (bool, error) {
	err := s.disk.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("certificate store: %w", err)
	}
	return true, nil
}
