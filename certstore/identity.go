package certstore

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// keyKind is the kind of a vault's entry that holds a PKCS#8 private key.
const keyKind = "pkcs8"

// Identity is a certificate of one's own. Its private key stays in the vault until it is asked for.
type Identity struct {
	Chain  []*x509.Certificate // leaf first, as far up as known
	Label  string              // what the user calls it, or empty
	Source string              // where it came from, for people
	Added  time.Time

	keys Keys
}

type identityMeta struct {
	Version int       `json:"version"`
	Label   string    `json:"label,omitempty"`
	Source  string    `json:"source,omitempty"`
	Added   time.Time `json:"added"`
}

// Certificate returns the leaf.
func (i *Identity) Certificate() *x509.Certificate { return i.Chain[0] }

// PrivateKey fetches the key from the vault: an *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey or
// *ecdh.PrivateKey. While the vault is locked the error wraps vault.ErrLocked.
func (i *Identity) PrivateKey() (crypto.PrivateKey, error) {
	if i.keys == nil {
		return nil, fmt.Errorf("private key of %s: %w", displayName(i.Certificate()), ErrNoKey)
	}
	der, err := i.keys.Get(keyID(i.Certificate()))
	if err != nil {
		return nil, fmt.Errorf("private key of %s: %w", displayName(i.Certificate()), err)
	}
	defer clear(der)
	key, err := parseKeyDER(der)
	if err != nil {
		return nil, err
	}
	if !matchesKey(i.Certificate(), key) {
		return nil, ErrKeyMismatch
	}
	return key, nil
}

// Signer fetches the private key as one that signs. Keys for key agreement only (X25519) do not.
func (i *Identity) Signer() (crypto.Signer, error) {
	key, err := i.PrivateKey()
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: %s cannot sign", ErrUnsupportedKey, KeyAlgorithm(i.Certificate()))
	}
	return signer, nil
}

// keyID names a private key in the vault. Certificates over the same key, renewed ones for example, share it.
func keyID(c *x509.Certificate) string { return "key:" + KeyFingerprint(c) }

// AddIdentity stores a certificate with its issuers and its private key, and returns it. What is there already is
// replaced. The vault must be unlocked.
func (s *Store) AddIdentity(ctx context.Context, pair KeyPair, label, source string, added time.Time) (*Identity, error) {
	if len(pair.Chain) == 0 {
		return nil, ErrNoCertificate
	}
	leaf := pair.Chain[0]
	if !matchesKey(leaf, pair.Key) {
		return nil, ErrKeyMismatch
	}
	if s.keys == nil {
		return nil, errors.New("there is no vault to put the private key into")
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: %T", ErrUnsupportedKey, pair.Key)
	}
	defer clear(der)
	// The key first: a kill in between leaves a key that nothing points to, not an identity that cannot open anything.
	if err := s.keys.Put(ctx, keyID(leaf), keyKind, der); err != nil {
		return nil, err
	}
	identity := &Identity{Chain: slices.Clone(pair.Chain), Label: label, Source: source, Added: added.UTC(), keys: s.keys}
	dir := filepath.Join(s.dir, identitiesDir, Fingerprint(leaf))
	meta := identityMeta{Version: metaVersion, Label: label, Source: source, Added: identity.Added}
	if err := s.writePair(filepath.Join(dir, chainFile), filepath.Join(dir, metaFile), pair.Chain, meta); err != nil {
		return nil, err
	}
	return identity, nil
}

// Identities returns all identities, those whose validity began last first. They can be listed while the vault is
// locked.
func (s *Store) Identities() ([]*Identity, []Problem, error) {
	root := filepath.Join(s.dir, identitiesDir)
	fingerprints, problems, err := s.list(root, true)
	if err != nil {
		return nil, nil, err
	}
	var identities []*Identity
	for _, fingerprint := range fingerprints {
		dir := filepath.Join(root, fingerprint)
		identity, err := s.readIdentity(dir, fingerprint)
		if errors.Is(err, fs.ErrNotExist) {
			continue // AddIdentity was killed before it wrote the certificate; the next one goes on from there
		}
		if err != nil {
			problems = append(problems, Problem{dir, err})
			continue
		}
		identities = append(identities, identity)
	}
	slices.SortStableFunc(identities, func(a, b *Identity) int { return newestFirst(a.Certificate(), b.Certificate()) })
	return identities, problems, nil
}

func (s *Store) readIdentity(dir, fingerprint string) (*Identity, error) {
	chain, err := readChain(filepath.Join(dir, chainFile), fingerprint)
	if err != nil {
		return nil, err
	}
	var meta identityMeta
	if _, err := readMeta(filepath.Join(dir, metaFile), &meta); err != nil {
		return nil, err
	}
	return &Identity{Chain: chain, Label: meta.Label, Source: meta.Source, Added: meta.Added, keys: s.keys}, nil
}

// newestFirst orders certificates by the beginning of their validity, and those of the same moment by fingerprint, so
// that a choice between them does not depend on chance.
func newestFirst(a, b *x509.Certificate) int {
	if order := b.NotBefore.Compare(a.NotBefore); order != 0 {
		return order
	}
	if fa, fb := Fingerprint(a), Fingerprint(b); fa < fb {
		return -1
	} else if fa > fb {
		return 1
	}
	return 0
}
