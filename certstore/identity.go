package certstore

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

	keys   Keys
	parsed parsedKey
}

// parsedKey is the last private key that was parsed, which takes RSA some time, and what it was parsed from.
type parsedKey struct {
	mu   sync.Mutex
	from [sha256.Size]byte
	key  crypto.PrivateKey
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
	return privateKey(i.keys, i.Certificate(), &i.parsed)
}

// Key fetches the private key of any certificate from the vault, be it an identity's or not: a key may be there before its
// certificate is. Where there is none, the error is that of the vault.
func (s *Store) Key(cert *x509.Certificate) (crypto.PrivateKey, error) {
	return privateKey(s.keys, cert, &parsedKey{})
}

// privateKey asks the vault each time, which may be locked by now.
func privateKey(keys Keys, cert *x509.Certificate, last *parsedKey) (crypto.PrivateKey, error) {
	if keys == nil {
		return nil, fmt.Errorf("private key of %s: %w", displayName(cert), ErrNoKey)
	}
	der, err := keys.Get(keyID(cert))
	if err != nil {
		return nil, fmt.Errorf("private key of %s: %w", displayName(cert), err)
	}
	defer clear(der)
	last.mu.Lock()
	defer last.mu.Unlock()
	from := sha256.Sum256(der)
	if last.key != nil && last.from == from {
		return last.key, nil
	}
	key, err := parseKeyDER(der)
	if err != nil {
		return nil, err
	}
	if !KeyMatches(cert, key) {
		return nil, ErrKeyMismatch
	}
	last.from, last.key = from, key
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
func keyID(c *x509.Certificate) string { return EntryOfKey(KeyFingerprint(c)) }

const keyIDPrefix = "key:"

// KeyOfEntry returns the [KeyFingerprint] of the private key that a vault's entry of this name holds, and whether it holds
// one.
func KeyOfEntry(id string) (fingerprint string, ok bool) { return strings.CutPrefix(id, keyIDPrefix) }

// EntryOfKey is the name of the vault's entry for the private key with this [KeyFingerprint].
func EntryOfKey(fingerprint string) (id string) { return keyIDPrefix + fingerprint }

// AddIdentity stores a certificate with its issuers and its private key, and returns it. What is there already is
// replaced, and the request for it, if there was one, is done with. The vault must be unlocked.
func (s *Store) AddIdentity(ctx context.Context, pair KeyPair, label, source string, added time.Time) (*Identity, error) {
	if len(pair.Chain) == 0 {
		return nil, ErrNoCertificate
	}
	leaf := pair.Chain[0]
	if !KeyMatches(leaf, pair.Key) {
		return nil, ErrKeyMismatch
	}
	// The key first: a kill in between leaves a key that nothing points to, not an identity that cannot open anything.
	if err := s.putKey(ctx, leaf, pair.Key); err != nil {
		return nil, err
	}
	identity := &Identity{Chain: slices.Clone(pair.Chain), Label: label, Source: source, Added: added.UTC(), keys: s.keys}
	meta := identityMeta{Version: metaVersion, Label: label, Source: source, Added: identity.Added}
	file, err := record(s.identityPath(Fingerprint(leaf)), meta, pair.Chain)
	if err != nil {
		return nil, err
	}
	if err := s.write(file); err != nil {
		return nil, err
	}
	return identity, s.fulfil(leaf)
}

// putKey puts the private key of a certificate into the vault.
func (s *Store) putKey(ctx context.Context, c *x509.Certificate, key crypto.PrivateKey) error {
	if s.keys == nil {
		return errors.New("there is no vault to put the private key into")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("%w: %T", ErrUnsupportedKey, key)
	}
	defer clear(der)
	return s.keys.Put(ctx, keyID(c), keyKind, der)
}

// Identities returns all identities, those whose validity began last first. They can be listed while the vault is
// locked.
func (s *Store) Identities() ([]*Identity, []Problem, error) {
	fingerprints, problems, err := s.list(filepath.Join(s.dir, identitiesDir))
	if err != nil {
		return nil, nil, err
	}
	var identities []*Identity
	for _, fingerprint := range fingerprints {
		var meta identityMeta
		chain, err := readRecord(s.identityPath(fingerprint), fingerprint, &meta)
		if err != nil {
			problems = append(problems, Problem{s.identityPath(fingerprint), err})
			continue
		}
		identities = append(identities, &Identity{Chain: chain, Label: meta.Label, Source: meta.Source, Added: meta.Added, keys: s.keys})
	}
	slices.SortStableFunc(identities, func(a, b *Identity) int {
		return cmp.Or(b.Certificate().NotBefore.Compare(a.Certificate().NotBefore), b.Added.Compare(a.Added), newestFirst(a.Certificate(), b.Certificate()))
	})
	return identities, problems, nil
}

func (s *Store) identityPath(fingerprint string) string {
	return filepath.Join(s.dir, identitiesDir, fingerprint+".pem")
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
