package cms

import (
	"crypto"
	"hash"
	"slices"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ContentDigest is the digest of a content under one or several algorithms. It takes the content by Write, in constant
// memory, and is what [SignerInfo.Verify] compares a signature with. For a detached signature the caller makes one and
// writes the content to it.
type ContentDigest struct {
	hashes []crypto.Hash
	states []hash.Hash
	size   int64
	head   []byte // the first octets

	room struct { // for one algorithm, as there mostly is
		hashes [1]crypto.Hash
		states [1]hash.Hash
		head   [headSize]byte
	}
}

// headSize is enough for the headers of a SET, a SEQUENCE and an OBJECT IDENTIFIER.
const headSize = 24

// NewContentDigest returns a digest under the given algorithms; one that is named twice is computed once. An algorithm
// that is not implemented is an *[UnsupportedError].
func NewContentDigest(hashes ...crypto.Hash) (*ContentDigest, error) {
	d := new(ContentDigest)
	d.hashes, d.states, d.head = d.room.hashes[:0], d.room.states[:0], d.room.head[:0]
	for _, h := range hashes {
		if DigestName(h) == "" {
			return nil, &UnsupportedError{What: "digest algorithm " + h.String()}
		}
		if !slices.Contains(d.hashes, h) {
			d.hashes = append(d.hashes, h)
			d.states = append(d.states, h.New())
		}
	}
	return d, nil
}

// Write adds octets of the content. It never fails.
func (d *ContentDigest) Write(p []byte) (int, error) {
	for _, state := range d.states {
		state.Write(p)
	}
	if room := headSize - len(d.head); room > 0 {
		d.head = append(d.head, p[:min(room, len(p))]...)
	}
	d.size += int64(len(p))
	return len(p), nil
}

// Size returns how many octets were written.
func (d *ContentDigest) Size() int64 { return d.size }

// Sum returns the digest under h of what was written so far; ok is false if it was not computed under h.
func (d *ContentDigest) Sum(h crypto.Hash) (sum []byte, ok bool) {
	for i := range d.hashes {
		if d.hashes[i] == h {
			return d.states[i].Sum(nil), true
		}
	}
	return nil, false
}

// AttributesAsContent reports whether the content has the form of SignedAttributes in DER: a SET that ends where the
// content ends, and in it a SEQUENCE that starts with an OBJECT IDENTIFIER. Such content under a signature without
// signed attributes is a forgery: RFC 5652 section 5.4 signs the same octets for both.
func (d *ContentDigest) AttributesAsContent() bool {
	set, n, err := ber.ParseHeader(d.head)
	if err != nil || n == 0 || !set.Is(ber.Universal, ber.TagSet) || !set.Constructed || int64(n)+set.Length != d.size {
		return false
	}
	rest := d.head[n:]
	seq, n, err := ber.ParseHeader(rest)
	if err != nil || n == 0 || !seq.Is(ber.Universal, ber.TagSequence) {
		return false
	}
	rest = rest[n:]
	return cryptobyte.String(rest).PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER)
}
