package revocation

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// Bounds on a revocation list.
const (
	MaxCRL     = 64 << 20  // octets
	MaxEntries = 2_000_000 // certificates
)

// ErrMalformed is what the parsers return, wrapped with what is wrong, for octets that are no list, request or response.
var ErrMalformed = errors.New("malformed revocation information")

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// CRL is a certificate revocation list (RFC 5280 section 5.1). It shares its memory with the DER that it was parsed from,
// and must not be changed. Its entries are not parsed, but looked up by [CRL.Find].
type CRL struct {
	Raw, RawTBS            []byte
	Version                int // 1 or 2, as people count
	SignatureAlgorithm     certpath.AlgorithmIdentifier
	Signature              []byte
	Issuer                 certpath.Name
	ThisUpdate, NextUpdate time.Time // NextUpdate is zero where it is absent
	Entries                int

	Number         *big.Int // cRLNumber (section 5.2.3), nil where absent
	BaseNumber     *big.Int // of deltaCRLIndicator (section 5.2.4), nil in a complete list
	AuthorityKeyID *certpath.AuthorityKeyIdentifier
	Scope          IssuingDistributionPoint
	FreshestCRL    []certpath.DistributionPoint
	ExpiredFrom    time.Time // expiredCertsOnCRL (X.509 section 9.5.2.8), zero where absent

	// Unusable says, as a clause, why the list must not be used: a critical extension that is not understood, or one that
	// is malformed. "" means that it may.
	Unusable string

	entries           cryptobyte.String // content of revokedCertificates
	rawScope, rawAKID []byte

	// signedBy is the digest of the key that was found to have signed the list: it is kept, asked about for many
	// certificates, and large.
	signedBy atomic.Pointer[[sha256.Size]byte]
}

// ParseCRL reads one CertificateList in DER, with nothing behind it, of at most [MaxCRL] octets and [MaxEntries] entries.
// The outline of every entry is checked. The memory that it takes beside der does not grow with the entries.
func ParseCRL(der []byte) (*CRL, error) {
	if len(der) > MaxCRL {
		return nil, malformed(fmt.Sprintf("a list of %d octets, and %d is the most", len(der), MaxCRL))
	}
	in := cryptobyte.String(der)
	var list, tbs cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() || !list.ReadASN1Element(&tbs, cbasn1.SEQUENCE) {
		return nil, malformed("no list, or something follows it")
	}
	l := &CRL{Raw: der, RawTBS: tbs}
	var ok bool
	if l.SignatureAlgorithm, ok = certpath.ReadAlgorithmIdentifier(&list); !ok {
		return nil, malformed("the signature algorithm of the list")
	}
	if !list.ReadASN1BitStringAsBytes(&l.Signature) || !list.Empty() {
		return nil, malformed("the signature of the list")
	}
	if err := l.readTBS(tbs); err != nil {
		return nil, err
	}
	return l, nil
}

// readTBS reads TBSCertList (RFC 5280 section 5.1.2).
func (l *CRL) readTBS(element cryptobyte.String) error {
	var tbs, extensions cryptobyte.String
	element.ReadASN1(&tbs, cbasn1.SEQUENCE)
	l.Version = 1
	if tbs.PeekASN1Tag(cbasn1.INTEGER) {
		// Section 5.1.2.1: where it is present it MUST be version 2.
		if !tbs.ReadASN1Integer(&l.Version) || l.Version != 1 {
			return malformed("the version of the list")
		}
		l.Version = 2
	}
	algorithm, ok := certpath.ReadAlgorithmIdentifier(&tbs)
	if !ok {
		return malformed("the signature algorithm of the list")
	}
	if !algorithm.Equal(l.SignatureAlgorithm) { // section 5.1.1.2
		l.unusable("its signature algorithm differs from that within what is signed")
	}
	var err error
	if l.Issuer, err = certpath.ReadName(&tbs); err != nil {
		return malformed("the issuer of the list: " + err.Error())
	}
	if l.ThisUpdate, ok = certpath.ReadTime(&tbs); !ok {
		return malformed("thisUpdate")
	}
	if tbs.PeekASN1Tag(cbasn1.UTCTime) || tbs.PeekASN1Tag(cbasn1.GeneralizedTime) {
		if l.NextUpdate, ok = certpath.ReadTime(&tbs); !ok {
			return malformed("nextUpdate")
		}
	}
	if tbs.PeekASN1Tag(cbasn1.SEQUENCE) && !tbs.ReadASN1(&l.entries, cbasn1.SEQUENCE) {
		return malformed("the entries of the list")
	}
	var present bool
	if !tbs.ReadOptionalASN1(&extensions, &present, tagExplicit0) || !tbs.Empty() {
		return malformed("the extensions of the list")
	}
	if present {
		if l.Version == 1 { // section 5.1.2.7
			l.unusable("a list of version 1 has no extensions")
		}
		if err := l.readExtensions(extensions); err != nil {
			return err
		}
	}
	return l.scanEntries()
}

// unusable remembers the first reason.
func (l *CRL) unusable(why string) {
	if l.Unusable == "" {
		l.Unusable = why
	}
}

func (l *CRL) window() window { return window{from: l.ThisUpdate, until: l.NextUpdate} }

// title names the list in a sentence.
func (l *CRL) title() string {
	if l.BaseNumber != nil {
		return "the delta list of " + stamp(l.ThisUpdate)
	}
	return "the revocation list of " + stamp(l.ThisUpdate)
}
