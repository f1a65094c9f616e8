package revocation

import (
	"bytes"
	"errors"
	"math/big"
	"math/bits"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// Extensions of lists and of their entries (RFC 5280 sections 5.2 and 5.3).
const (
	oidCRLNumber                certpath.OID = "\x55\x1d\x14" // 2.5.29.20
	oidReasonCode               certpath.OID = "\x55\x1d\x15" // 2.5.29.21
	oidInvalidityDate           certpath.OID = "\x55\x1d\x18" // 2.5.29.24
	oidDeltaCRLIndicator        certpath.OID = "\x55\x1d\x1b" // 2.5.29.27
	oidIssuingDistributionPoint certpath.OID = "\x55\x1d\x1c" // 2.5.29.28
	oidCertificateIssuer        certpath.OID = "\x55\x1d\x1d" // 2.5.29.29
	oidExpiredCertsOnCRL        certpath.OID = "\x55\x1d\x3c" // 2.5.29.60
)

// The tags of fields, as in section A.2 of the RFC, whose module has implicit tags.
const (
	tagExplicit0 = cbasn1.Tag(0xa0)
	tagExplicit1 = cbasn1.Tag(0xa1)
	tagExplicit2 = cbasn1.Tag(0xa2)
	tagImplicit1 = cbasn1.Tag(0x81)
	tagImplicit2 = cbasn1.Tag(0x82)
	tagImplicit3 = cbasn1.Tag(0x83)
	tagImplicit4 = cbasn1.Tag(0x84)
	tagImplicit5 = cbasn1.Tag(0x85)
)

// IssuingDistributionPoint is RFC 5280 section 5.2.5: what a list is about. Its zero value, which a list without the
// extension has, is all certificates of the list's issuer, for all reasons.
type IssuingDistributionPoint struct {
	Name                       certpath.DistributionPointName
	OnlyContainsUserCerts      bool
	OnlyContainsCACerts        bool
	OnlyContainsAttributeCerts bool
	IndirectCRL                bool
	OnlySomeReasons            certpath.ReasonFlags
	HasOnlySomeReasons         bool // without them the list covers all reasons
}

var errValue = errors.New("malformed DER")

// maxNumber bounds cRLNumber: it has at most 20 octets (RFC 5280 section 5.2.3).
const maxNumber = 160

// readExtensions reads crlExtensions. An extension that is malformed, or critical and not understood, makes the list
// unusable (RFC 5280 section 5.2).
func (l *CRL) readExtensions(in cryptobyte.String) error {
	extensions, err := certpath.ReadExtensions(&in)
	if err != nil || !in.Empty() {
		return malformed("the extensions of the list")
	}
	for _, e := range extensions {
		known, err := l.readExtension(e)
		switch {
		case err != nil:
			l.unusable("its extension " + e.ID.String() + " is malformed: " + err.Error())
		case !known && e.Critical:
			l.unusable("it has a critical extension that is not understood (" + e.ID.String() + ")")
		}
	}
	return nil
}

func (l *CRL) readExtension(e certpath.Extension) (known bool, err error) {
	in := cryptobyte.String(e.Value)
	ok := true
	switch e.ID {
	case oidCRLNumber:
		l.Number, ok = readNumber(&in)
	case oidDeltaCRLIndicator:
		l.BaseNumber, ok = readNumber(&in)
	case certpath.OIDAuthorityKeyIdentifier:
		l.rawAKID = e.Value
		l.AuthorityKeyID, err = certpath.ParseAuthorityKeyIdentifier(e.Value)
		return true, err
	case oidIssuingDistributionPoint:
		l.rawScope = e.Value
		l.Scope, err = readIssuingDistributionPoint(in)
		return true, err
	case certpath.OIDFreshestCRL:
		l.FreshestCRL, err = certpath.ParseDistributionPoints(e.Value)
		return true, err
	case oidExpiredCertsOnCRL:
		ok = in.ReadASN1GeneralizedTime(&l.ExpiredFrom)
	case certpath.OIDIssuerAltName, certpath.OIDAuthorityInfoAccess:
		return true, nil // nothing in them bears on what the list says
	default:
		return false, nil
	}
	if !ok || !in.Empty() {
		return true, errValue
	}
	return true, nil
}

func readNumber(in *cryptobyte.String) (*big.Int, bool) {
	n := new(big.Int)
	if !in.ReadASN1Integer(n) || n.Sign() < 0 || n.BitLen() > maxNumber {
		return new(big.Int), false // not nil: a list with an unreadable deltaCRLIndicator is no complete one
	}
	return n, true
}

func readIssuingDistributionPoint(in cryptobyte.String) (IssuingDistributionPoint, error) {
	var p IssuingDistributionPoint
	var content, name cryptobyte.String
	var hasName bool
	if !in.ReadASN1(&content, cbasn1.SEQUENCE) || !in.Empty() || !content.ReadOptionalASN1(&name, &hasName, tagExplicit0) {
		return p, errValue
	}
	if hasName {
		var err error
		if p.Name, err = certpath.ReadDistributionPointName(name); err != nil {
			return p, err
		}
	}
	ok := readFlag(&content, tagImplicit1, &p.OnlyContainsUserCerts) && readFlag(&content, tagImplicit2, &p.OnlyContainsCACerts)
	if ok && content.PeekASN1Tag(tagImplicit3) {
		p.HasOnlySomeReasons = true
		p.OnlySomeReasons, ok = certpath.ReadReasonFlags(&content, tagImplicit3)
	}
	if !ok || !readFlag(&content, tagImplicit4, &p.IndirectCRL) ||
		!readFlag(&content, tagImplicit5, &p.OnlyContainsAttributeCerts) || !content.Empty() {
		return p, errValue
	}
	// RFC 5280 section 5.2.5: at most one of the three may be TRUE.
	var only uint
	for i, flag := range []bool{p.OnlyContainsUserCerts, p.OnlyContainsCACerts, p.OnlyContainsAttributeCerts} {
		if flag {
			only |= 1 << i
		}
	}
	if bits.OnesCount(only) > 1 {
		return p, errors.New("it is for two kinds of certificates only")
	}
	return p, nil
}

// readFlag reads an optional BOOLEAN under this tag, whose default is FALSE.
func readFlag(in *cryptobyte.String, tag cbasn1.Tag, flag *bool) bool {
	if !in.PeekASN1Tag(tag) {
		return true
	}
	var content cryptobyte.String
	if !in.ReadASN1(&content, tag) || len(content) != 1 || content[0] != 0 && content[0] != 0xff {
		return false
	}
	*flag = content[0] == 0xff
	return true
}

// sameName reports whether two names of a point or an issuer are the same.
func sameName(a, b certpath.GeneralName) bool {
	if a.Kind != b.Kind {
		return false
	}
	if a.Kind == certpath.DirectoryName {
		return a.Directory.Equal(b.Directory)
	}
	return bytes.Equal(a.Raw, b.Raw)
}
