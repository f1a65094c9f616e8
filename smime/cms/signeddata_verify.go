package cms

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Verification is what came of verifying one signature.
type Verification struct {
	SignerInfo *SignerInfo
	// Certificate is the one that the signature verifies with; if Err is not nil, the first that the signer names and
	// that can be parsed, or nil.
	Certificate *x509.Certificate
	// Err is nil if the signature verifies. Else it is an error of SignerInfo.Verify, or [ErrNoCertificate].
	Err error
	// Weak is a *[WeakError] where the signature verifies only because VerifyOptions.AllowWeak is set.
	Weak error
}

// Bounds on the certificates that are tried, for each may cost an operation with a key.
const (
	maxSignerCertificates  = 8         // for one signature
	maxFurtherCertificates = 32        // for all signatures of a message, beyond the first for each
	maxParsedCertificates  = 512 << 10 // octets of those in the message that are parsed
)

// Verify verifies every signature over content, with the certificates that the message carries and others that are at
// hand, and returns one result for each, in the order of SignerInfos. Where several certificates bear the key identifier
// that a signer names, eight of them are tried, those first that are valid at the time that the signer claims, and beyond
// the first of each signature 32 in all; of those in the message at most 512 KiB are parsed. The message must have been read
// to its end, by ReadContent or ReadDetached.
//
// The error is nil only if there are signatures and all of them verify: else it is [ErrNoSigners], [ErrContentType] if
// the message is not of the type that is expected, or the error of the first signature that does not verify. Whether
// the certificates are to be trusted is another question.
func (s *SignedData) Verify(content *ContentDigest, o VerifyOptions, others ...*x509.Certificate) ([]Verification, error) {
	if !s.complete { // there may be signers that were not read
		return nil, errors.New("message was not read to its end")
	}
	if len(s.SignerInfos) == 0 {
		return nil, ErrNoSigners
	}
	if !s.EContentType.Equal(o.ContentType) {
		return nil, fmt.Errorf("%w: the message is of type %v", ErrContentType, s.EContentType)
	}
	if o.ParseCertificate == nil {
		o.ParseCertificate = RawCertificate.Parse
	}
	o.whole = &wholeContent{src: o.Content}
	bag := certificateBag{parsed: make([]parsedCertificate, len(s.Certificates)), parse: o.ParseCertificate, room: maxParsedCertificates}
	further := maxFurtherCertificates
	results := make([]Verification, len(s.SignerInfos))
	var failed error
	for i, si := range s.SignerInfos {
		results[i] = s.verifyOne(si, content, o, &bag, others, &further)
		if err := results[i].Err; err != nil && failed == nil {
			failed = fmt.Errorf("signature %d of %d: %w", i+1, len(results), err)
		}
	}
	return results, failed
}

// certificateBag holds the certificates of the message that some signer names, parsed once for all of them.
type certificateBag struct {
	parsed []parsedCertificate // in the order of the message
	parse  func(RawCertificate) (*x509.Certificate, error)
	room   int // octets that may be parsed yet
}

type parsedCertificate struct {
	cert *x509.Certificate
	err  error
}

// certificate returns the certificate at this place of the message.
func (b *certificateBag) certificate(i int, raw RawCertificate) (*x509.Certificate, error) {
	p := &b.parsed[i]
	if p.cert != nil || p.err != nil {
		return p.cert, p.err
	}
	var err error
	if len(raw) > b.room {
		err = fmt.Errorf("the certificates have more than %d octets", maxParsedCertificates)
	} else {
		b.room -= len(raw)
		p.cert, err = b.parse(raw)
	}
	if err != nil {
		p.err = &UnsupportedError{What: "signer's certificate: " + err.Error()}
	}
	return p.cert, p.err
}

func (s *SignedData) verifyOne(
	si *SignerInfo, content *ContentDigest, o VerifyOptions, bag *certificateBag, others []*x509.Certificate, further *int,
) Verification {
	result := Verification{SignerInfo: si, Err: ErrNoCertificate}
	var candidates []*x509.Certificate
	for i, raw := range s.Certificates {
		if len(candidates) == maxSignerCertificates || !si.SID.MatchesRaw(raw) {
			continue
		}
		cert, err := bag.certificate(i, raw)
		if err != nil {
			result.Err = err
			continue
		}
		candidates = append(candidates, cert)
	}
	for _, cert := range others {
		if len(candidates) < maxSignerCertificates && si.SID.Matches(cert) {
			candidates = append(candidates, cert)
		}
	}
	if at, ok := si.SigningTime(); ok && len(candidates) > 1 {
		// A certificate and its renewal may verify both: then it is the one that was valid when the signer says to have signed.
		slices.SortStableFunc(candidates, func(a, b *x509.Certificate) int { return cmp.Compare(outOfDate(a, at), outOfDate(b, at)) })
	}
	for i, cert := range candidates {
		if i > 0 {
			if *further == 0 {
				break
			}
			*further--
		}
		weak, err := si.verifyWeak(cert, content, o)
		if err == nil {
			return Verification{SignerInfo: si, Certificate: cert, Weak: weak}
		}
		if result.Certificate == nil {
			result.Certificate, result.Err = cert, err
		}
	}
	return result
}

// outOfDate is 1 for a certificate that is not valid at this time, and else 0.
func outOfDate(c *x509.Certificate, at time.Time) int {
	if at.Before(c.NotBefore) || at.After(c.NotAfter) {
		return 1
	}
	return 0
}

// verifyWeak is Verify that also tells what would be wrong if weak algorithms were not allowed.
func (si *SignerInfo) verifyWeak(cert *x509.Certificate, content *ContentDigest, o VerifyOptions) (weak, err error) {
	strict := o
	strict.AllowWeak = false
	err = si.Verify(cert, content, strict)
	var weakness *WeakError
	if o.AllowWeak && errors.As(err, &weakness) {
		return err, si.Verify(cert, content, o)
	}
	return nil, err
}
