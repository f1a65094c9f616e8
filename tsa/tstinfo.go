package tsa

import (
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// TSTInfo is what a token says (RFC 3161 section 2.4.2).
type TSTInfo struct {
	Policy       asn1.ObjectIdentifier
	Imprint      MessageImprint
	SerialNumber *big.Int
	GenTime      time.Time     // UTC
	Accuracy     time.Duration // GenTime may be off by as much either way; 0: not stated
	Ordering     bool          // tokens of this authority are in the order of their GenTime, whatever the accuracy
	Nonce        *big.Int      // nil: none
	TSA          []byte        // DER of the GeneralName of the authority, a hint; nil: none
	Extensions   []Extension
}

// Before reports whether a token that says t was surely issued before one that says u. That both are of one authority
// is for the caller to know: pass false if they are not, or if it is not known (RFC 3161 section 2.4.2).
func (t *TSTInfo) Before(u *TSTInfo, sameAuthority bool) bool {
	if sameAuthority && t.Ordering && u.Ordering {
		return t.GenTime.Before(u.GenTime)
	}
	return u.GenTime.Sub(t.GenTime) > t.Accuracy+u.Accuracy
}

// ParseTSTInfo reads the DER of a TSTInfo. The error wraps ErrTooLarge, ErrMalformed or ErrVersion.
func ParseTSTInfo(der []byte) (*TSTInfo, error) {
	if len(der) > MaxSize {
		return nil, fmt.Errorf("%w: TSTInfo of more than %d octets", ErrTooLarge, MaxSize)
	}
	malformed := func(what string) error { return fmt.Errorf("%w: TSTInfo: %s", ErrMalformed, what) }
	input := cryptobyte.String(der)
	var seq cryptobyte.String
	var v int64
	switch {
	case !input.ReadASN1(&seq, cbasn1.SEQUENCE):
		return nil, malformed("it is no SEQUENCE in DER")
	case !input.Empty():
		return nil, malformed("something is behind it")
	case !seq.ReadASN1Integer(&v):
		return nil, malformed("version")
	case v != version:
		return nil, fmt.Errorf("%w: TSTInfo has version %d", ErrVersion, v)
	}
	var t TSTInfo
	var genTime cryptobyte.String
	switch {
	case !seq.ReadASN1ObjectIdentifier(&t.Policy):
		return nil, malformed("policy")
	case !readMessageImprint(&seq, &t.Imprint):
		return nil, malformed("messageImprint")
	case !readInteger(&seq, &t.SerialNumber):
		return nil, malformed("serialNumber")
	case !seq.ReadASN1(&genTime, cbasn1.GeneralizedTime):
		return nil, malformed("genTime is no GeneralizedTime")
	}
	var err error
	if t.GenTime, err = parseGenTime(string(genTime)); err != nil {
		return nil, err
	}
	switch {
	case !readAccuracy(&seq, &t.Accuracy):
		return nil, malformed("accuracy")
	case !readDefaultFalse(&seq, &t.Ordering):
		return nil, malformed("ordering")
	case !readOptionalInteger(&seq, &t.Nonce):
		return nil, malformed("nonce")
	case !readGeneralName(&seq, &t.TSA):
		return nil, malformed("tsa")
	case !readExtensions(&seq, 1, &t.Extensions):
		return nil, malformed("extensions")
	case !seq.Empty():
		return nil, malformed("something is behind its members")
	}
	return &t, nil
}

// Marshal returns the DER of the TSTInfo. GenTime is written with the fraction of a second that it has. The error
// wraps ErrMalformed if a field cannot be encoded.
func (t *TSTInfo) Marshal() ([]byte, error) {
	switch year := t.GenTime.UTC().Year(); {
	case t.SerialNumber == nil:
		return nil, fmt.Errorf("%w: TSTInfo without serial number", ErrMalformed)
	case year < 1 || year > 9999:
		return nil, fmt.Errorf("%w: GenTime in year %d", ErrMalformed, year)
	case t.Accuracy < 0 || t.Accuracy > maxAccuracy:
		return nil, fmt.Errorf("%w: accuracy of %v", ErrMalformed, t.Accuracy)
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 256)) // enough for most
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(version)
		b.AddASN1ObjectIdentifier(t.Policy)
		addMessageImprint(b, t.Imprint)
		b.AddASN1BigInt(t.SerialNumber)
		b.AddASN1(cbasn1.GeneralizedTime, func(b *cryptobyte.Builder) {
			b.AddBytes([]byte(t.GenTime.UTC().Format(genTimeFormat)))
		})
		addAccuracy(b, t.Accuracy)
		if t.Ordering {
			b.AddASN1Boolean(true)
		}
		if t.Nonce != nil {
			b.AddASN1BigInt(t.Nonce)
		}
		if t.TSA != nil {
			// A GeneralName is a CHOICE, so that the tag is explicit.
			b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(t.TSA) })
		}
		addExtensions(b, 1, t.Extensions)
	})
	return finish(b, "TSTInfo")
}

// genTimeFormat writes as much of the fraction as is not zero.
const genTimeFormat = "20060102150405.999999999Z"

// parseGenTime reads YYYYMMDDhhmmss[.s...]Z without trailing zeros in the fraction, of up to nine digits
// (RFC 3161 section 2.4.2).
func parseGenTime(s string) (time.Time, error) {
	const whole = "20060102150405"
	digits, found := strings.CutSuffix(s, "Z")
	if found && len(digits) >= len(whole) && len(digits) <= len(whole)+len(".999999999") {
		// time.Parse takes a fraction behind the seconds although the layout names none.
		t, err := time.Parse(whole, digits)
		if err == nil && t.Year() >= 1 && t.Format(genTimeFormat) == s {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: genTime %.40q", ErrMalformed, s)
}

// maxAccuracy is far beyond any use, and keeps sums of durations from overflowing.
const maxAccuracy = 1 << 31 * time.Second

func readAccuracy(s *cryptobyte.String, out *time.Duration) bool {
	var seq cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&seq, &present, cbasn1.SEQUENCE) {
		return false
	}
	var seconds int64
	var millis, micros time.Duration
	if seq.PeekASN1Tag(cbasn1.INTEGER) && !seq.ReadASN1Integer(&seconds) {
		return false
	}
	if seconds < 0 || seconds > int64(maxAccuracy/time.Second)-1 ||
		!readThousandths(&seq, 0, &millis) || !readThousandths(&seq, 1, &micros) || !seq.Empty() {
		return false
	}
	*out = time.Duration(seconds)*time.Second + millis*time.Millisecond + micros*time.Microsecond
	return true
}

// readThousandths reads an optional INTEGER (1..999) under an implicit tag.
func readThousandths(s *cryptobyte.String, number uint8, out *time.Duration) bool {
	tag := cbasn1.Tag(number).ContextSpecific()
	if !s.PeekASN1Tag(tag) {
		return true
	}
	var n int64
	if !s.ReadASN1Int64WithTag(&n, tag) || n < 1 || n > 999 {
		return false
	}
	*out = time.Duration(n)
	return true
}

// addAccuracy adds the accuracy, rounded up to whole microseconds.
func addAccuracy(b *cryptobyte.Builder, accuracy time.Duration) {
	if accuracy == 0 {
		return
	}
	total := int64((accuracy + time.Microsecond - 1) / time.Microsecond)
	seconds, millis, micros := total/1e6, total/1e3%1e3, total%1e3
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if seconds > 0 {
			b.AddASN1Int64(seconds)
		}
		if millis > 0 {
			b.AddASN1Int64WithTag(millis, cbasn1.Tag(0).ContextSpecific())
		}
		if micros > 0 {
			b.AddASN1Int64WithTag(micros, cbasn1.Tag(1).ContextSpecific())
		}
	})
}

// readGeneralName reads the one GeneralName under the explicit tag [0], if it is there.
func readGeneralName(s *cryptobyte.String, out *[]byte) bool {
	var explicit, name cryptobyte.String
	var present bool
	var tag cbasn1.Tag
	if !s.ReadOptionalASN1(&explicit, &present, cbasn1.Tag(0).ContextSpecific().Constructed()) {
		return false
	}
	if !present {
		return true
	}
	if !explicit.ReadAnyASN1Element(&name, &tag) || !explicit.Empty() || tag&0xc0 != 0x80 {
		return false
	}
	*out = name
	return true
}
