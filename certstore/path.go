package certstore

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// PathCode is the stable word for why there is no valid path.
type PathCode = certpath.Code

// The codes, which say the same as those of package certpath.
const (
	NoAnchor               = certpath.NoAnchor
	Expired                = certpath.Expired
	NotYetValid            = certpath.NotYetValid
	KeyUsage               = certpath.KeyUsageMismatch
	ExtendedKeyUsage       = certpath.ExtendedKeyUsage
	NotACA                 = certpath.NotACA
	NameConstraints        = certpath.NameConstraint
	PathLength             = certpath.PathLength
	BadSignature           = certpath.BadSignature
	CriticalExtension      = certpath.CriticalExtension
	UnsupportedCertificate = certpath.UnsupportedCertificate
	ChainInvalid           = certpath.ChainInvalid
)

// PathError says why a certificate has no valid path. Reason is a sentence for people.
type PathError struct {
	Code        PathCode
	Reason      string
	Certificate *x509.Certificate // the one that breaks the path, nil where it is none in particular
	Err         error             // the cause underneath, which may be a *[certpath.Error], or nil
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
	// DistrustAfter has, by the DER of an anchor, the time from which on nothing that is issued below it is trusted: what
	// it certified before stays good. Root programs part with authorities in this way.
	DistrustAfter map[string]time.Time
}

// Path returns a valid path from leaf to an anchor, both included and leaf first, for this use at this time. Further
// issuers may come from bag, the certificates that came with a message. The error is always a *[PathError]; of several
// reasons the gravest that can be told is given: an unknown issuer before an expired certificate, and a breach of a
// constraint before both wherever a path is found at all.
func (v Validator) Path(leaf *x509.Certificate, bag []*x509.Certificate, use Use, at time.Time) ([]*x509.Certificate, error) {
	chain, err := v.path(leaf, bag, use, at)
	if err != nil {
		return nil, err
	}
	anchor := chain[len(chain)-1]
	if until, ok := v.DistrustAfter[string(anchor.Raw)]; ok && leaf.NotBefore.After(until) {
		return nil, &PathError{Code: NoAnchor, Certificate: anchor, Reason: fmt.Sprintf("%s is not trusted for %s for what it issued after %s",
			displayName(anchor), use.Purpose(), until.UTC().Format(time.DateOnly))}
	}
	return chain, nil
}

func (v Validator) path(leaf *x509.Certificate, bag []*x509.Certificate, use Use, at time.Time) ([]*x509.Certificate, error) {
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
	known, err := v.Cache.known(v)
	if err != nil {
		return nil, err
	}
	// The leaf comes along in most bags, and is nobody's issuer.
	others := slices.DeleteFunc(slices.Clone(bag), func(c *x509.Certificate) bool { return c != nil && bytes.Equal(c.Raw, leaf.Raw) })
	sent, err := parseAll(others)
	if err != nil {
		return nil, err
	}
	parsed, err := certpath.FromX509(leaf)
	if err != nil {
		return nil, &PathError{Code: ChainInvalid, Certificate: leaf, Err: err,
			Reason: "the certificate of " + displayName(leaf) + " cannot be read: " + err.Error()}
	}
	// The standard library's certificate of each of ours.
	origin := func(c *certpath.Certificate) *x509.Certificate {
		if c == parsed {
			return leaf
		}
		if original := sent.origin[c]; original != nil {
			return original
		}
		return known.origin(c)
	}
	builder := certpath.Builder{Anchors: known.anchors.set, Issuers: []*certpath.Set{known.intermediates.set, sent.set}}
	path, err := builder.Build(parsed, certpath.Parameters{Time: at, KeyPurpose: use.keyPurpose(), Algorithms: pathAlgorithms})
	var failure *certpath.Error
	// What only a change of time would mend is said where nothing else is wrong.
	if errors.As(err, &failure) && failure.Code != Expired && failure.Code != NotYetValid {
		return nil, explain(failure, use, origin)
	}
	if err := checkLeaf(leaf, use); err != nil {
		return nil, err
	}
	if failure != nil {
		return nil, explain(failure, use, origin)
	}
	chain := make([]*x509.Certificate, 0, len(path.Certificates)+1)
	for _, c := range slices.Backward(path.Certificates) {
		chain = append(chain, origin(c))
	}
	if len(chain) == 0 { // the leaf is an anchor itself
		return append(chain, leaf), nil
	}
	return append(chain, origin(path.Anchor)), nil
}

// explain says why there is no path, with the certificate and the purpose.
func explain(failure *certpath.Error, use Use, origin func(*certpath.Certificate) *x509.Certificate) *PathError {
	e := &PathError{Code: failure.Code, Reason: failure.Reason, Err: failure}
	if failure.Certificate != nil {
		e.Certificate = origin(failure.Certificate)
	}
	if failure.Code == NoAnchor { // anchors are trusted for one purpose
		e.Reason += " for " + string(use.Purpose())
	}
	return e
}

// pathAlgorithms are those that signatures in a path may have. RFC 8550 section 4.3 lets signatures with keys of 1024
// bits be verified; what is to be thought of the message's own key is decided where its signature is.
var pathAlgorithms = certpath.AlgorithmPolicy{MinRSABits: 1024}

// parsedSet is certificates as package certpath has them, and where they are from.
type parsedSet struct {
	set    *certpath.Set
	origin map[*certpath.Certificate]*x509.Certificate
}

// parseAll reads certificates anew. One that is too large for a path is left out; one that never was parsed is a mistake
// of the caller's.
func parseAll(certificates []*x509.Certificate) (parsedSet, error) {
	s := parsedSet{origin: make(map[*certpath.Certificate]*x509.Certificate, len(certificates))}
	list := make([]*certpath.Certificate, 0, len(certificates))
	for _, c := range certificates {
		if c == nil {
			continue
		}
		if len(c.Raw) == 0 {
			return s, &PathError{Code: ChainInvalid, Certificate: c, Reason: "one of the certificates was never parsed"}
		}
		if parsed, err := certpath.FromX509(c); err == nil {
			list, s.origin[parsed] = append(list, parsed), c
		}
	}
	s.set = certpath.NewSet(list)
	return s, nil
}

// maxIssuerRSABits bounds the keys of issuers that are not trusted themselves. Checking one signature costs as the square
// of the length, and a message may bring along a key of a million bits: minutes, and hours for a longer one. crypto/tls
// has this bound, crypto/x509 has none.
const maxIssuerRSABits = certpath.MaxRSABits

// isCostly reports whether a signature of this issuer costs more to check than any honest one: it is as good as unknown.
func isCostly(issuer *x509.Certificate) bool {
	key, ok := issuer.PublicKey.(*rsa.PublicKey)
	return ok && key.N.BitLen() > maxIssuerRSABits
}

// keyPurpose returns the extended key usage that a path must allow. RFC 8550 section 4.4.4: emailProtection or
// anyExtendedKeyUsage, or no such extension.
func (u Use) keyPurpose() certpath.OID {
	switch u {
	case TimeStamp:
		return certpath.OIDTimeStamping
	case ServeTLS:
		return certpath.OIDServerAuth
	}
	return certpath.OIDEmailProtection
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

// validityError says that c is outside its validity, or returns nil (RFC 5280 section 4.1.2.5).
func validityError(c *x509.Certificate, at time.Time, err error) *PathError {
	const layout = "2006-01-02 15:04 MST"
	switch {
	case at.After(c.NotAfter):
		return &PathError{Code: Expired, Certificate: c, Err: err,
			Reason: fmt.Sprintf("the certificate of %s expired on %s", displayName(c), c.NotAfter.UTC().Format(layout))}
	case at.Before(c.NotBefore):
		return &PathError{Code: NotYetValid, Certificate: c, Err: err,
			Reason: fmt.Sprintf("the certificate of %s is not valid before %s", displayName(c), c.NotBefore.UTC().Format(layout))}
	}
	return nil
}

// reasonOf takes the package prefix off an error of crypto/x509.
func reasonOf(err error) string {
	if err == nil {
		return "unknown reason"
	}
	return shorten(strings.TrimPrefix(err.Error(), "x509: "), 200)
}
