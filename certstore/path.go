package certstore

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// PathCode is the stable word for why there is no valid path.
type PathCode string

const (
	NoAnchor               PathCode = "no-anchor"               // no trust anchor is reached
	Expired                PathCode = "expired"                 // valid once, not any more
	NotYetValid            PathCode = "not-yet-valid"           // valid later
	KeyUsage               PathCode = "key-usage"               // the leaf's key usage does not cover the use
	ExtendedKeyUsage       PathCode = "extended-key-usage"      // nor does its extended key usage, or an issuer's
	NotACA                 PathCode = "not-a-ca"                // an issuer is no certificate authority
	NameConstraints        PathCode = "name-constraints"        // an issuer may not certify this name
	PathLength             PathCode = "path-length"             // more intermediates than an issuer allows
	BadSignature           PathCode = "bad-signature"           // a certificate was not signed by its issuer's key
	CriticalExtension      PathCode = "critical-extension"      // a critical extension that is not understood
	UnsupportedCertificate PathCode = "unsupported-certificate" // an algorithm that is unknown or too weak
	ChainInvalid           PathCode = "chain-invalid"           // any other breach of RFC 5280 section 6
)

// PathError says why a certificate has no valid path. Reason is a sentence for people.
type PathError struct {
	Code        PathCode
	Reason      string
	Certificate *x509.Certificate // the one that breaks the path, nil where it is none in particular
	Err         error             // the cause underneath, or nil
}

func (e *PathError) Error() string { return "certificate path: " + e.Reason }

// Unwrap returns the cause underneath.
func (e *PathError) Unwrap() error { return e.Err }

// Validator finds and checks certification paths (RFC 5280 section 6). Anchors are all that is trusted; there is no
// fallback to the system's. Intermediates are known issuers, trusted for nothing. The zero value trusts nobody. A
// Validator is data, may be copied, and may be used by several goroutines.
//
// Revocation is not its business: the path that it returns says which certificates to ask about.
type Validator struct {
	Anchors       []*x509.Certificate
	Intermediates []*x509.Certificate
	Cache         *PathCache // remembers the paths that were found; copies of the Validator share it; nil: none is
}

// Path returns a valid path from leaf to an anchor, both included and leaf first, for this use at this time. Further
// issuers may come from bag, the certificates that came with a message. The error is always a *[PathError]; of several
// reasons the gravest that can be told is given: an unknown issuer before an expired certificate, and a breach of a
// constraint before both wherever a path is found at all.
func (v Validator) Path(leaf *x509.Certificate, bag []*x509.Certificate, use Use, at time.Time) ([]*x509.Certificate, error) {
	// The standard library takes the zero time for now: here it is a mistake of the caller's.
	if at.IsZero() {
		return nil, &PathError{Code: ChainInvalid, Reason: "no time was given to judge the certificate at"}
	}
	if v.Cache == nil {
		return v.search(leaf, bag, use, at)
	}
	var room [4 << 10]byte
	key, ok := appendPathKey(room[:0], leaf, bag, use)
	if !ok {
		return v.search(leaf, bag, use, at)
	}
	if issuers, ok := v.Cache.get(v, key, at); ok {
		return append([]*x509.Certificate{leaf}, issuers...), nil
	}
	chain, err := v.search(leaf, bag, use, at)
	if err == nil {
		v.Cache.put(v, key, bag, at, chain)
	}
	return chain, err
}

func (v Validator) search(leaf *x509.Certificate, bag []*x509.Certificate, use Use, at time.Time) ([]*x509.Certificate, error) {
	s := v.newSearch(leaf, bag, use)
	chain, err := s.find(at, s.extendedKeyUsages())
	if err == nil {
		return chain, nil
	}
	return nil, s.explain(at, err)
}

// search is the work on one leaf.
type search struct {
	leaf                 *x509.Certificate
	use                  Use
	anchors              []*x509.Certificate
	issuers              []*x509.Certificate // anchors first, then those that are not trusted
	roots, intermediates *x509.CertPool
}

func (v Validator) newSearch(leaf *x509.Certificate, bag []*x509.Certificate, use Use) *search {
	s := &search{leaf: leaf, use: use, anchors: v.Anchors, roots: x509.NewCertPool(), intermediates: x509.NewCertPool()}
	for _, c := range v.Anchors {
		s.roots.AddCert(c)
		s.issuers = append(s.issuers, c)
	}
	for _, c := range slices.Concat(v.Intermediates, bag) {
		if c != nil && !isCostly(c) {
			s.intermediates.AddCert(c)
			s.issuers = append(s.issuers, c)
		}
	}
	return s
}

// maxIssuerRSABits bounds the keys of issuers that are not trusted themselves. Checking one signature costs as the square
// of the length, and a message may bring along a key of a million bits: minutes, and hours for a longer one. crypto/tls
// has this bound, crypto/x509 has none.
const maxIssuerRSABits = 8192

// isCostly reports whether a signature of this issuer costs more to check than any honest one: it is as good as unknown.
func isCostly(issuer *x509.Certificate) bool {
	key, ok := issuer.PublicKey.(*rsa.PublicKey)
	return ok && key.N.BitLen() > maxIssuerRSABits
}

func (s *search) extendedKeyUsages() []x509.ExtKeyUsage {
	switch s.use {
	case TimeStamp:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}
	case ServeTLS:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	// RFC 8550 section 4.4.4: emailProtection or anyExtendedKeyUsage, or no such extension.
	return []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
}

// find looks for a path that is valid at this time. The standard library does basic path processing (RFC 5280 section
// 6.1: signatures, validity, names, basic constraints, key usage of issuers, name constraints, policies); what it does
// not know of mail is checked here.
func (s *search) find(at time.Time, usages []x509.ExtKeyUsage) ([]*x509.Certificate, error) {
	leaf := withSubjectAltNameHandled(s.leaf)
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: s.roots, Intermediates: s.intermediates, CurrentTime: at, KeyUsages: usages,
	})
	if err != nil {
		return nil, err
	}
	var first error
	for _, chain := range chains {
		chain[0] = s.leaf
		err := s.check(chain)
		if err == nil {
			return chain, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// check asks of a path what the standard library does not.
func (s *search) check(chain []*x509.Certificate) error {
	if err := checkKeyUsage(s.leaf, s.use); err != nil {
		return err
	}
	if s.use == TimeStamp {
		if err := checkTimeStampingAlone(s.leaf); err != nil {
			return err
		}
	}
	if s.use.Purpose() == Mail {
		return checkMailNames(chain)
	}
	return nil
}

// checkKeyUsage asks for the bits that the use needs, where there is a key usage extension: without it a key may be
// used for all that its algorithm can do (RFC 5280 section 4.2.1.3, RFC 8550 section 4.4.2).
func checkKeyUsage(leaf *x509.Certificate, use Use) error {
	fail := func(reason string) error {
		return &PathError{Code: KeyUsage, Certificate: leaf, Reason: "the certificate is not for " + reason}
	}
	stated := leaf.KeyUsage != 0 || hasExtension(leaf, oidKeyUsage)
	switch use {
	case EncryptMail:
		bit, name := x509.KeyUsageKeyEncipherment, "keyEncipherment"
		if isAgreementKey(leaf) {
			bit, name = x509.KeyUsageKeyAgreement, "keyAgreement"
		}
		if !isEncryptionKey(leaf) {
			return fail("encryption: nothing can be encrypted to a key of type " + KeyAlgorithm(leaf))
		}
		if stated && leaf.KeyUsage&bit == 0 {
			return fail("encryption: its key usage lacks " + name)
		}
	case ServeTLS:
		if stated && leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment|x509.KeyUsageKeyAgreement) == 0 {
			return fail("servers: its key usage has neither digitalSignature nor keyEncipherment")
		}
	default:
		if !isSigningKey(leaf) {
			return fail("signatures: a key of type " + KeyAlgorithm(leaf) + " cannot sign")
		}
		// nonRepudiation is contentCommitment in newer texts.
		if stated && leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
			return fail("signatures: its key usage has neither digitalSignature nor nonRepudiation")
		}
	}
	return nil
}

var (
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtendedKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// checkTimeStampingAlone is RFC 3161 section 2.3: an authority's certificate has exactly one extended key usage,
// timeStamping, in a critical extension.
func checkTimeStampingAlone(leaf *x509.Certificate) error {
	alone := len(leaf.ExtKeyUsage) == 1 && leaf.ExtKeyUsage[0] == x509.ExtKeyUsageTimeStamping && len(leaf.UnknownExtKeyUsage) == 0
	for _, extension := range leaf.Extensions {
		if alone && extension.Critical && extension.Id.Equal(oidExtendedKeyUsage) {
			return nil
		}
	}
	return &PathError{Code: ExtendedKeyUsage, Certificate: leaf,
		Reason: "the certificate is not for time stamping alone: that must be its only extended key usage, and critical"}
}

func hasExtension(c *x509.Certificate, id asn1.ObjectIdentifier) bool {
	for _, extension := range c.Extensions {
		if extension.Id.Equal(id) {
			return true
		}
	}
	return false
}

// withSubjectAltNameHandled takes a critical subjectAltName that holds none but SmtpUTF8Mailbox names off the list of
// extensions that nobody understands: here they are understood. Such certificates have an empty subject, and then the
// extension must be critical (RFC 5280 section 4.2.1.6).
func withSubjectAltNameHandled(c *x509.Certificate) *x509.Certificate {
	if len(c.UnhandledCriticalExtensions) == 0 || len(Addresses(c)) == 0 {
		return c
	}
	handled := *c
	handled.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(c.UnhandledCriticalExtensions),
		func(id asn1.ObjectIdentifier) bool { return id.Equal(oidSubjectAltName) })
	return &handled
}

// displayName names a certificate in a sentence, quoted because whoever made it chose the words.
func displayName(c *x509.Certificate) string {
	name := c.Subject.CommonName
	if name == "" {
		name = c.Subject.String()
	}
	return fmt.Sprintf("%q", shorten(name, 80))
}

// shorten cuts a text to at most n runes.
func shorten(s string, n int) string {
	count := 0
	for i := range s {
		if count == n {
			return s[:i] + "…"
		}
		count++
	}
	return s
}

// asPathError returns err itself where it is one already.
func asPathError(err error) *PathError {
	var pathErr *PathError
	if errors.As(err, &pathErr) {
		return pathErr
	}
	return nil
}
