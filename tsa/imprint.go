package tsa

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/smime/cms"
)

// MessageImprint is the hash of what is stamped (RFC 3161 section 2.4.1).
type MessageImprint struct {
	HashAlgorithm cms.AlgorithmIdentifier // as it was encoded: a token repeats it from the request
	HashedMessage []byte
}

// NewMessageImprint returns the imprint for a digest made with SHA-256, SHA-384 or SHA-512. The error wraps ErrDigest
// for other hashes, and ErrMalformed for a digest of the wrong length.
func NewMessageImprint(hash crypto.Hash, digest []byte) (MessageImprint, error) {
	algorithm, err := HashAlgorithm(hash)
	if err != nil {
		return MessageImprint{}, err
	}
	if len(digest) != hash.Size() {
		return MessageImprint{}, fmt.Errorf("%w: digest of %d octets for %v", ErrMalformed, len(digest), hash)
	}
	return MessageImprint{HashAlgorithm: algorithm, HashedMessage: digest}, nil
}

// HashAlgorithm returns the identifier of SHA-256, SHA-384 or SHA-512. The error wraps ErrDigest for other hashes.
func HashAlgorithm(hash crypto.Hash) (cms.AlgorithmIdentifier, error) {
	for _, d := range digests {
		if d.hash == hash && !d.weak {
			return cms.AlgorithmIdentifier{Algorithm: d.oid}, nil // without parameters: RFC 5754 section 2
		}
	}
	return cms.AlgorithmIdentifier{}, fmt.Errorf("%w: %v", ErrDigest, hash)
}

// HashOf returns the hash that an identifier names. The error wraps ErrDigest for one that is not known, for one with
// parameters, and, unless they are allowed, for weak ones (SHA-1).
func HashOf(a cms.AlgorithmIdentifier, allowWeak bool) (crypto.Hash, error) {
	for _, d := range digests {
		switch {
		case !d.oid.Equal(a.Algorithm):
		case d.weak && !allowWeak:
			return 0, fmt.Errorf("%w: %v is too weak", ErrDigest, d.hash)
		case !noParameters(a):
			return 0, fmt.Errorf("%w: %v with parameters", ErrDigest, d.hash)
		default:
			return d.hash, nil
		}
	}
	return 0, fmt.Errorf("%w: %v", ErrDigest, a.Algorithm)
}

// Hash returns the hash algorithm of the imprint. The error is that of [HashOf], or wraps ErrMalformed if the digest is not
// as long as the algorithm makes it.
func (m MessageImprint) Hash(allowWeak bool) (crypto.Hash, error) {
	hash, err := HashOf(m.HashAlgorithm, allowWeak)
	if err == nil && len(m.HashedMessage) != hash.Size() {
		return 0, fmt.Errorf("%w: digest of %d octets for %v", ErrMalformed, len(m.HashedMessage), hash)
	}
	return hash, err
}

// Equal reports whether both are the same hash of the same octets. Absent parameters and NULL are the same.
func (m MessageImprint) Equal(o MessageImprint) bool {
	return m.HashAlgorithm.Algorithm.Equal(o.HashAlgorithm.Algorithm) &&
		(bytes.Equal(m.HashAlgorithm.Parameters, o.HashAlgorithm.Parameters) ||
			noParameters(m.HashAlgorithm) && noParameters(o.HashAlgorithm)) &&
		bytes.Equal(m.HashedMessage, o.HashedMessage)
}

// noParameters reports whether parameters are absent or NULL, which mean the same for hashes (RFC 5754 section 2).
func noParameters(a cms.AlgorithmIdentifier) bool {
	return len(a.Parameters) == 0 || bytes.Equal(a.Parameters, []byte{0x05, 0x00})
}

func readMessageImprint(s *cryptobyte.String, m *MessageImprint) bool {
	var seq, hashed cryptobyte.String
	var ok bool
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return false
	}
	if m.HashAlgorithm, ok = cms.ReadAlgorithmIdentifier(&seq, cbasn1.SEQUENCE); !ok || m.HashAlgorithm.Algorithm == nil ||
		!seq.ReadASN1(&hashed, cbasn1.OCTET_STRING) || !seq.Empty() {
		return false
	}
	m.HashedMessage = hashed
	return true
}

func addMessageImprint(b *cryptobyte.Builder, m MessageImprint) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		m.HashAlgorithm.AddTo(b, cbasn1.SEQUENCE)
		b.AddASN1OctetString(m.HashedMessage)
	})
}

// Extension is an extension of a request or of a TSTInfo, with its value undecoded.
type Extension struct {
	ID       asn1.ObjectIdentifier
	Critical bool
	Value    []byte // the content of extnValue
}

// readExtensions reads Extensions (RFC 5280 section 4.1) under an implicit context-specific tag, if it is there.
func readExtensions(s *cryptobyte.String, tag uint8, out *[]Extension) bool {
	var list cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&list, &present, cbasn1.Tag(tag).ContextSpecific().Constructed()) {
		return false
	}
	if present && list.Empty() {
		return false // SEQUENCE SIZE (1..MAX)
	}
	for !list.Empty() {
		var ext, value cryptobyte.String
		var e Extension
		if !list.ReadASN1(&ext, cbasn1.SEQUENCE) ||
			!ext.ReadASN1ObjectIdentifier(&e.ID) ||
			!readDefaultFalse(&ext, &e.Critical) ||
			!ext.ReadASN1(&value, cbasn1.OCTET_STRING) || !ext.Empty() {
			return false
		}
		e.Value = value
		*out = append(*out, e)
	}
	return true
}

func addExtensions(b *cryptobyte.Builder, tag uint8, extensions []Extension) {
	if len(extensions) == 0 {
		return
	}
	b.AddASN1(cbasn1.Tag(tag).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		for _, e := range extensions {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(e.ID)
				if e.Critical {
					b.AddASN1Boolean(true)
				}
				b.AddASN1OctetString(e.Value)
			})
		}
	})
}

// readDefaultFalse reads a BOOLEAN DEFAULT FALSE. In DER it is absent where it is FALSE (X.690 section 11.5).
func readDefaultFalse(s *cryptobyte.String, out *bool) bool {
	if !s.PeekASN1Tag(cbasn1.BOOLEAN) {
		*out = false
		return true
	}
	return s.ReadASN1Boolean(out) && *out
}
