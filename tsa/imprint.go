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
	for _, d := range digests {
		if d.hash != hash || d.weak {
			continue
		}
		if len(digest) != hash.Size() {
			return MessageImprint{}, fmt.Errorf("%w: digest of %d octets for %v", ErrMalformed, len(digest), hash)
		}
		// Parameters are absent: RFC 5754 section 2.
		return MessageImprint{HashAlgorithm: cms.AlgorithmIdentifier{Algorithm: d.oid}, HashedMessage: digest}, nil
	}
	return MessageImprint{}, fmt.Errorf("%w: %v", ErrDigest, hash)
}

// Hash returns the hash algorithm of the imprint. The error wraps ErrDigest for one that is not known, for one with
// parameters, and, unless they are allowed, for weak ones (SHA-1); it wraps ErrMalformed if the digest is not as long
// as the algorithm makes it.
func (m MessageImprint) Hash(allowWeak bool) (crypto.Hash, error) {
	for _, d := range digests {
		if !d.oid.Equal(m.HashAlgorithm.Algorithm) {
			continue
		}
		if d.weak && !allowWeak {
			return 0, fmt.Errorf("%w: %v is too weak", ErrDigest, d.hash)
		}
		if !noParameters(m.HashAlgorithm) {
			return 0, fmt.Errorf("%w: %v with parameters", ErrDigest, d.hash)
		}
		if len(m.HashedMessage) != d.hash.Size() {
			return 0, fmt.Errorf("%w: digest of %d octets for %v", ErrMalformed, len(m.HashedMessage), d.hash)
		}
		return d.hash, nil
	}
	return 0, fmt.Errorf("%w: %v", ErrDigest, m.HashAlgorithm.Algorithm)
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
	var seq, alg cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) ||
		!seq.ReadASN1(&alg, cbasn1.SEQUENCE) ||
		!alg.ReadASN1ObjectIdentifier(&m.HashAlgorithm.Algorithm) {
		return false
	}
	if !alg.Empty() {
		var params cryptobyte.String
		var tag cbasn1.Tag
		if !alg.ReadAnyASN1Element(&params, &tag) || !alg.Empty() {
			return false
		}
		m.HashAlgorithm.Parameters = params
	}
	var hashed cryptobyte.String
	if !seq.ReadASN1(&hashed, cbasn1.OCTET_STRING) || !seq.Empty() {
		return false
	}
	m.HashedMessage = hashed
	return true
}

func addMessageImprint(b *cryptobyte.Builder, m MessageImprint) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(m.HashAlgorithm.Algorithm)
			b.AddBytes(m.HashAlgorithm.Parameters)
		})
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
