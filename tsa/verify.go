package tsa

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"slices"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
)

// PathFunc builds and validates the certification path of an authority for time stamping, as of the time at. bag holds
// further certificates that may help, from anywhere: they deserve no trust. It returns the path, cert first, or why
// there is none. Trust anchors for time stamping are its business.
type PathFunc func(cert *x509.Certificate, bag []*x509.Certificate, at time.Time) (chain []*x509.Certificate, err error)

// VerifyOptions says what a token is held against.
type VerifyOptions struct {
	Path PathFunc // required
	// Revocation finds out whether certificates of the path were revoked; nil: it is not asked.
	Revocation RevocationFunc

	Extra    []*x509.Certificate     // where else the authority's certificate and those above it may be; untrusted
	Nonce    *big.Int                // the token must carry this nonce; nil: it may carry any or none
	Policies []asn1.ObjectIdentifier // the token must have been issued under one of these; empty: under any

	// Until is a later time at which the authority must still be trusted, as where nothing but a later token keeps this one
	// worth something (RFC 4998 section 5.3); zero: what counts is the time of the token alone.
	Until time.Time

	// AllowWeak accepts SHA-1 and short keys, for reading old mail.
	AllowWeak bool
}

// Result is what a verified token proves: the data existed at Time.
type Result struct {
	Time      time.Time
	Accuracy  time.Duration // Time may be off by as much either way; 0: not stated
	Ordering  bool          // see TSTInfo.Before
	Serial    *big.Int
	Policy    asn1.ObjectIdentifier
	Authority *x509.Certificate
	Chain     []*x509.Certificate // as PathFunc returned it, Authority first
}

// Verify checks that the token is a trusted authority's and stands over message, which is read to its end. Errors of
// the reader are returned as they are. All others are a *[TokenError]; where several rules are broken it tells of the
// gravest, in the order of the codes.
func (t *Token) Verify(message io.Reader, o VerifyOptions) (*Result, error) {
	return t.verify(o, func(hash crypto.Hash) ([]byte, error) {
		h := hash.New()
		if _, err := io.Copy(h, message); err != nil {
			return nil, err
		}
		return h.Sum(nil), nil
	})
}

// VerifyDigest is Verify for a message whose digest under hash is known.
func (t *Token) VerifyDigest(hash crypto.Hash, digest []byte, o VerifyOptions) (*Result, error) {
	return t.verify(o, known(hash, digest))
}

// digestFunc returns the digest of the message under the hash of the token's imprint.
type digestFunc func(crypto.Hash) ([]byte, error)

// known is the digestFunc for a digest that was made already.
func known(hash crypto.Hash, digest []byte) digestFunc {
	return func(h crypto.Hash) ([]byte, error) {
		if h != hash {
			return nil, mismatch(ErrImprint, "it is made with %v, not %v", h, hash)
		}
		return digest, nil
	}
}

func (t *Token) verify(o VerifyOptions, digest digestFunc) (*Result, error) {
	result, err := t.check(o, digest)
	if err != nil {
		return nil, err
	}
	cert := result.Authority
	if o.Path == nil {
		return nil, untrusted(ErrPath, "nothing was supplied to judge it by")
	}
	// The authority is judged at the time that it states: RFC 3161 section 4.3 and appendix B.
	chain, err := o.Path(cert, t.bag(o.Extra), t.Info.GenTime)
	if err != nil {
		return nil, &TokenError{CodeUntrusted, ErrPath, err}
	}
	if len(chain) == 0 || !chain[0].Equal(cert) {
		return nil, untrusted(ErrPath, "path does not start at its certificate")
	}
	if err := t.checkRevocation(chain, o); err != nil {
		return nil, err
	}
	if o.Until.After(t.Info.GenTime) {
		if _, err := o.Path(cert, t.bag(o.Extra), o.Until); err != nil {
			return nil, &TokenError{CodeUntrusted, ErrOutdated, err}
		}
	}
	result.Chain = chain
	return result, nil
}

// check applies every rule but the path, and returns what the token says.
func (t *Token) check(o VerifyOptions, digest digestFunc) (*Result, error) {
	var found []error
	cert, err := t.authority(o.Extra)
	found = append(found, err)
	if cert != nil {
		found = append(found, t.checkSignature(cert, o.AllowWeak), t.checkName(cert), CheckCertificate(cert))
	}
	found = append(found, t.checkExtensions(), t.checkImprint(o.AllowWeak, digest), t.checkNonce(o.Nonce), t.checkPolicy(o.Policies))
	if err := gravest(found); err != nil {
		return nil, err
	}
	return &Result{
		Time:      t.Info.GenTime,
		Accuracy:  t.Info.Accuracy,
		Ordering:  t.Info.Ordering,
		Serial:    t.Info.SerialNumber,
		Policy:    t.Info.Policy,
		Authority: cert,
	}, nil
}

// gravest returns the first of the gravest errors. Errors that do not speak of the token, as of a reader that failed,
// come before all others.
func gravest(found []error) error {
	order := []Code{CodeUntrusted, CodeMismatch, CodeBroken}
	var worst error
	rank := -1
	for _, err := range found {
		if err == nil {
			continue
		}
		var token *TokenError
		if !errors.As(err, &token) {
			return err
		}
		if r := slices.Index(order, token.Code); r > rank {
			worst, rank = err, r
		}
	}
	return worst
}

func (t *Token) checkSignature(cert *x509.Certificate, allowWeak bool) error {
	hash, err := t.signer.Digest()
	if err != nil {
		return signatureError(err)
	}
	digest, err := cms.NewContentDigest(hash)
	if err != nil {
		return signatureError(err)
	}
	if _, err := digest.Write(t.content); err != nil {
		return err
	}
	err = t.signer.Verify(cert, digest, cms.VerifyOptions{ContentType: cms.OIDTSTInfo, AllowWeak: allowWeak})
	if err != nil {
		return signatureError(err)
	}
	return nil
}

// signatureError sorts the errors of verifying a SignerInfo.
func signatureError(err error) error {
	var unsupported *cms.UnsupportedError
	var weak *cms.WeakError
	switch {
	case errors.As(err, &unsupported), errors.As(err, &weak):
		return &TokenError{CodeUntrusted, ErrAlgorithm, err}
	case errors.Is(err, cms.ErrSigningCertificate), errors.Is(err, cms.ErrSignerIdentifier):
		return &TokenError{CodeBroken, ErrSigningCertificate, err}
	}
	return &TokenError{CodeBroken, ErrSignature, err}
}

func (t *Token) checkExtensions() error {
	for _, e := range t.Info.Extensions {
		if e.Critical {
			return broken(ErrExtension, "%v", e.ID)
		}
	}
	return nil
}

func (t *Token) checkImprint(allowWeak bool, digest digestFunc) error {
	hash, err := t.Info.Imprint.Hash(allowWeak)
	if errors.Is(err, ErrDigest) {
		return &TokenError{CodeUntrusted, ErrDigest, err}
	}
	if err != nil {
		return &TokenError{CodeBroken, ErrMalformed, err}
	}
	sum, err := digest(hash)
	if err != nil {
		return err
	}
	if !bytes.Equal(sum, t.Info.Imprint.HashedMessage) {
		return mismatch(ErrImprint, "%v digest differs", hash)
	}
	return nil
}

func (t *Token) checkNonce(want *big.Int) error {
	switch {
	case want == nil:
		return nil
	case t.Info.Nonce == nil:
		return mismatch(ErrNonce, "it has no nonce")
	case t.Info.Nonce.Cmp(want) != 0:
		return mismatch(ErrNonce, "nonce differs")
	}
	return nil
}

func (t *Token) checkPolicy(accepted []asn1.ObjectIdentifier) error {
	if len(accepted) == 0 || slices.ContainsFunc(accepted, t.Info.Policy.Equal) {
		return nil
	}
	return mismatch(ErrPolicy, "%v", t.Info.Policy)
}

// bag returns the certificates that a path may be built from; those that cannot be parsed are left out.
func (t *Token) bag(extra []*x509.Certificate) []*x509.Certificate {
	var bag []*x509.Certificate
	for _, raw := range t.Certificates {
		if cert, err := raw.Parse(); err == nil {
			bag = append(bag, cert)
		}
	}
	return append(bag, extra...)
}
