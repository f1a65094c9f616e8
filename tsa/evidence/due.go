package evidence

import (
	"crypto"
	"crypto/x509"
	"errors"
	"time"

	"github.com/sealmail/sealmail/tsa"
)

// DueReason is why a record has to be renewed.
type DueReason string

// The reasons.
const (
	// DueExpiry: a certificate of the last authority's path ends.
	DueExpiry DueReason = "certificate-ends"
	// DueSignature: the signature of the last token is made with what is too weak.
	DueSignature DueReason = "signature-weak"
	// DueHash: the hash algorithm of the last chain is too weak, or will be. Nothing but hash-tree renewal helps.
	DueHash DueReason = "hash-weak"
)

// Due says by when a record has to be renewed, and for what. Afterwards it may be too late (RFC 4998 section 5.1).
type Due struct {
	Time        time.Time
	Reason      DueReason
	Certificate *x509.Certificate // the one that ends first; nil where it is an algorithm
}

// HashTree says that it has to be hash-tree renewal, to another hash algorithm.
func (d Due) HashTree() bool { return d.Reason == DueHash }

// Due returns by when the record has to be renewed. It looks at the last time-stamp alone, and needs no data objects: it says
// nothing of whether the record is right. trusted says until when a hash algorithm is to be relied on, the zero time where no
// end is known; a nil trusted knows of none. What is too weak by the rules for tokens is due at o.At. Of the options Path, Extra and At
// count. The error is [ErrTime], [ErrNothing], or that of the token: one that nobody trusts need not be renewed.
func (r *Record) Due(o VerifyOptions, trusted func(crypto.Hash) time.Time) (Due, error) {
	if o.At.IsZero() {
		return Due{}, ErrTime
	}
	last := r.last()
	if last == nil {
		return Due{}, ErrNothing
	}
	token, err := last.readToken()
	if err != nil {
		return Due{}, err
	}
	verify := func(weak bool) (*tsa.Result, error) {
		return token.VerifyDigest(last.Hash, token.Info.Imprint.HashedMessage, tsa.VerifyOptions{Path: o.Path, Extra: o.Extra, AllowWeak: weak})
	}
	result, err := verify(false)
	weak := errors.Is(err, tsa.ErrAlgorithm) || errors.Is(err, tsa.ErrDigest)
	if weak {
		result, err = verify(true)
	}
	if err != nil {
		return Due{}, err
	}
	var due Due
	earlier := func(d Due) {
		if due.Reason == "" || d.Time.Before(due.Time) {
			due = d
		}
	}
	// The gravest first: of two at the same time it is the one that is told.
	if _, err := tsa.HashAlgorithm(last.Hash); err != nil {
		earlier(Due{o.At, DueHash, nil})
	} else if trusted != nil {
		if end := trusted(last.Hash); !end.IsZero() {
			earlier(Due{end, DueHash, nil})
		}
	}
	if weak {
		earlier(Due{o.At, DueSignature, nil})
	}
	for _, cert := range result.Chain {
		earlier(Due{cert.NotAfter, DueExpiry, cert})
	}
	return due, nil
}
