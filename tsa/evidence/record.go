package evidence

import (
	"crypto"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/tsa"
)

// Bounds on a record. A renewal every year for a thousand years, over the largest trees that there are, fits in.
const (
	MaxSize       = 64 << 20 // octets of a record
	maxChains     = 256
	maxTimeStamps = 1024 // of all chains
	maxLists      = 64   // of one reduced hash tree: its depth
	maxHashes     = 1 << 20
	maxAlgorithms = 64

	// Octets that verification hashes because each chain is over all older ones, whose length stands before them, so that
	// what was hashed for one is of no use for the next.
	maxRehashed = 1 << 30
)

const recordVersion = 1

// Tags of optional fields (RFC 4998 appendix A.1).
var (
	tagCryptoInfos     = contextTag(0) // of an EvidenceRecord
	tagEncryptionInfo  = contextTag(1)
	tagDigest          = contextTag(0) // of an ArchiveTimeStamp
	tagAttributes      = contextTag(1)
	tagReducedHashtree = contextTag(2)
)

func contextTag(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

// Errors of reading a record.
var (
	// ErrMalformed says that octets are no EvidenceRecord in DER (RFC 4998 section 3.1).
	ErrMalformed = errors.New("malformed evidence record")
	// ErrVersion says that a record has a version other than 1.
	ErrVersion = errors.New("unsupported version of an evidence record")
	// ErrTooLarge says that a record exceeds a bound.
	ErrTooLarge = errors.New("evidence record is too large")
)

// Record is an EvidenceRecord (RFC 4998 section 3.1). What was read must not be changed: it is the octets that count.
type Record struct {
	// Chains is the archiveTimeStampSequence: each chain has the hash algorithm of its own, and covers those before it.
	Chains []Chain

	algorithms []cms.AlgorithmIdentifier // digestAlgorithms that were read
	extra      []byte                    // DER of cryptoInfos and encryptionInfo, as they were read; see Parse
}

// Chain is an ArchiveTimeStampChain: each time-stamp covers the one before it.
type Chain []ArchiveTimeStamp

// PartialHashtree is a list of hashes that have one father, in binary ascending order.
type PartialHashtree [][]byte

// ArchiveTimeStamp is one proof of a time (RFC 4998 section 4.1).
type ArchiveTimeStamp struct {
	// Hash is that of the tree, and of the token's imprint.
	Hash crypto.Hash
	// ReducedHashtree leads from the digest, in its first list, to the root, which the token is over. Without it the token is
	// over the digest itself.
	ReducedHashtree []PartialHashtree
	// TimeStamp is a TimeStampToken (RFC 3161), in DER.
	TimeStamp []byte

	raw   []byte     // as it was read: later chains are over these octets
	token *tsa.Token // TimeStamp, read
}

// NewRecord makes the record of a data object that was stamped for the first time.
func NewRecord(first ArchiveTimeStamp) *Record {
	return &Record{Chains: []Chain{{first}}}
}

// Parse reads an EvidenceRecord in DER, of at most [MaxSize]. Tokens are RFC 3161's: other kinds of time-stamps, which the
// RFC allows, are refused. What may help to validate certificates (cryptoInfos) and how the objects were encrypted before
// they were hashed (encryptionInfo) is kept as it is and takes no part. The error wraps [ErrMalformed], [ErrVersion],
// [ErrTooLarge], [ErrHash] or that of [tsa.ParseToken].
func Parse(der []byte) (*Record, error) {
	if len(der) > MaxSize {
		return nil, fmt.Errorf("%w: more than %d octets", ErrTooLarge, MaxSize)
	}
	in := cryptobyte.String(der)
	var seq, algorithms, chains cryptobyte.String
	var v int64
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&v) {
		return nil, fmt.Errorf("%w: it is no EvidenceRecord", ErrMalformed)
	}
	if v != recordVersion {
		return nil, fmt.Errorf("%w: %d", ErrVersion, v)
	}
	if !seq.ReadASN1(&algorithms, cbasn1.SEQUENCE) {
		return nil, fmt.Errorf("%w: digestAlgorithms", ErrMalformed)
	}
	r := new(Record)
	for !algorithms.Empty() {
		if len(r.algorithms) == maxAlgorithms {
			return nil, fmt.Errorf("%w: more than %d digest algorithms", ErrTooLarge, maxAlgorithms)
		}
		algorithm, ok := cms.ReadAlgorithmIdentifier(&algorithms, cbasn1.SEQUENCE)
		if !ok || algorithm.Algorithm == nil {
			return nil, fmt.Errorf("%w: digestAlgorithms", ErrMalformed)
		}
		r.algorithms = append(r.algorithms, algorithm)
	}
	before := seq
	if !seq.SkipOptionalASN1(tagCryptoInfos) || !seq.SkipOptionalASN1(tagEncryptionInfo) {
		return nil, fmt.Errorf("%w: cryptoInfos or encryptionInfo", ErrMalformed)
	}
	r.extra = before[:len(before)-len(seq)]
	if !seq.ReadASN1(&chains, cbasn1.SEQUENCE) || !seq.Empty() {
		return nil, fmt.Errorf("%w: archiveTimeStampSequence", ErrMalformed)
	}
	if err := r.readChains(chains); err != nil {
		return nil, err
	}
	return r, nil
}

// readChains reads the content of the archiveTimeStampSequence.
func (r *Record) readChains(in cryptobyte.String) error {
	var stamps, hashes, rehashed int
	all := in
	for !in.Empty() {
		var list cryptobyte.String
		if rehashed += len(all) - len(in); rehashed > maxRehashed {
			return fmt.Errorf("%w: to verify its chains takes more than %d octets to be hashed", ErrTooLarge, maxRehashed)
		}
		if !in.ReadASN1(&list, cbasn1.SEQUENCE) || list.Empty() {
			return fmt.Errorf("%w: ArchiveTimeStampChain", ErrMalformed)
		}
		if len(r.Chains) == maxChains {
			return fmt.Errorf("%w: more than %d chains", ErrTooLarge, maxChains)
		}
		var chain Chain
		for !list.Empty() {
			if stamps++; stamps > maxTimeStamps {
				return fmt.Errorf("%w: more than %d time-stamps", ErrTooLarge, maxTimeStamps)
			}
			a, err := readArchiveTimeStamp(&list, &hashes)
			if err != nil {
				return fmt.Errorf("time-stamp %d of chain %d: %w", len(chain)+1, len(r.Chains)+1, err)
			}
			chain = append(chain, a)
		}
		r.Chains = append(r.Chains, chain)
	}
	if len(r.Chains) == 0 {
		return fmt.Errorf("%w: it has no time-stamp", ErrMalformed)
	}
	return nil
}

// readArchiveTimeStamp reads one; hashes counts those of the whole record.
func readArchiveTimeStamp(in *cryptobyte.String, hashes *int) (a ArchiveTimeStamp, err error) {
	malformed := func(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }
	var raw, seq, reduced, token cryptobyte.String
	var algorithm cms.AlgorithmIdentifier
	var tree bool
	if !in.ReadASN1Element(&raw, cbasn1.SEQUENCE) {
		return a, malformed("ArchiveTimeStamp")
	}
	a.raw = raw
	ok := raw.ReadASN1(&seq, cbasn1.SEQUENCE)
	named := ok && seq.PeekASN1Tag(tagDigest)
	if named {
		algorithm, ok = cms.ReadAlgorithmIdentifier(&seq, tagDigest)
	}
	if !ok || !seq.SkipOptionalASN1(tagAttributes) ||
		!seq.ReadOptionalASN1(&reduced, &tree, tagReducedHashtree) ||
		!seq.ReadASN1Element(&token, cbasn1.SEQUENCE) || !seq.Empty() {
		return a, malformed("ArchiveTimeStamp")
	}
	a.TimeStamp = token
	if a.token, err = tsa.ParseToken(token); err != nil {
		return a, err
	}
	// Section 4.1: without digestAlgorithm, that of the time-stamp is the one of the tree.
	if a.Hash, err = a.token.Info.Imprint.Hash(true); err != nil {
		return a, fmt.Errorf("%w: %w", ErrHash, err)
	}
	if named {
		if a.Hash, err = tsa.HashOf(algorithm, true); err != nil {
			return a, fmt.Errorf("%w: %w", ErrHash, err)
		}
	}
	if tree && reduced.Empty() {
		return a, malformed("reducedHashtree is empty")
	}
	for !reduced.Empty() {
		var content cryptobyte.String
		if !reduced.ReadASN1(&content, cbasn1.SEQUENCE) || content.Empty() {
			return a, malformed("PartialHashtree")
		}
		if len(a.ReducedHashtree) == maxLists {
			return a, fmt.Errorf("%w: hash tree of more than %d levels", ErrTooLarge, maxLists)
		}
		var list PartialHashtree
		for !content.Empty() {
			var value cryptobyte.String
			// A value of another length would let the octets of one hash count for the next one.
			if !content.ReadASN1(&value, cbasn1.OCTET_STRING) || len(value) != a.Hash.Size() {
				return a, malformed("hash in a PartialHashtree")
			}
			if *hashes++; *hashes > maxHashes {
				return a, fmt.Errorf("%w: more than %d hashes", ErrTooLarge, maxHashes)
			}
			list = append(list, value)
		}
		a.ReducedHashtree = append(a.ReducedHashtree, list)
	}
	return a, nil
}

// Marshal returns the DER of the record. What was read is written as it was. The error wraps [ErrHash].
func (r *Record) Marshal() ([]byte, error) {
	algorithms, err := r.digestAlgorithms()
	if err != nil {
		return nil, err
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, size(r.Chains)+len(r.extra)))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(recordVersion)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, a := range algorithms {
				a.AddTo(b, cbasn1.SEQUENCE)
			}
		})
		b.AddBytes(r.extra)
		addSequence(b, r.Chains)
	})
	return b.Bytes()
}

// digestAlgorithms are those that were read and those that came to it (section 3.1: each once, in any order).
func (r *Record) digestAlgorithms() ([]cms.AlgorithmIdentifier, error) {
	list := slices.Clone(r.algorithms)
	for _, chain := range r.Chains {
		for _, a := range chain {
			if a.raw != nil || slices.ContainsFunc(list, func(known cms.AlgorithmIdentifier) bool {
				hash, err := tsa.HashOf(known, true)
				return err == nil && hash == a.Hash
			}) {
				continue
			}
			algorithm, err := tsa.HashAlgorithm(a.Hash)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrHash, err)
			}
			list = append(list, algorithm)
		}
	}
	return list, nil
}

// size is a little more than what a record of these chains takes, so that it is not moved while it is written.
func size(chains []Chain) int {
	const frame = 32 // tags, lengths, algorithm
	n := 3 * frame
	for _, chain := range chains {
		n += frame
		for _, a := range chain {
			n += max(len(a.raw), len(a.TimeStamp)+frame)
			if a.raw != nil {
				continue
			}
			for _, list := range a.ReducedHashtree {
				n += frame/4 + len(list)*(a.Hash.Size()+2)
			}
		}
	}
	return n
}

// addSequence writes an ArchiveTimeStampSequence.
func addSequence(b *cryptobyte.Builder, chains []Chain) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, chain := range chains {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, a := range chain {
					a.add(b)
				}
			})
		}
	})
}

// add writes one. A hash that is not known leaves an error in b.
func (a *ArchiveTimeStamp) add(b *cryptobyte.Builder) {
	if a.raw != nil {
		b.AddBytes(a.raw)
		return
	}
	algorithm, err := tsa.HashAlgorithm(a.Hash)
	if err != nil {
		b.SetError(fmt.Errorf("%w: %w", ErrHash, err))
		return
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		algorithm.AddTo(b, tagDigest)
		if len(a.ReducedHashtree) > 0 {
			b.AddASN1(tagReducedHashtree, func(b *cryptobyte.Builder) {
				for _, list := range a.ReducedHashtree {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						for _, value := range list {
							b.AddASN1OctetString(value)
						}
					})
				}
			})
		}
		b.AddBytes(a.TimeStamp)
	})
}
