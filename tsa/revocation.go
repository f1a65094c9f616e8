package tsa

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
)

// RevocationFunc finds out which certificates of an authority's validated path were revoked, as far as it is known now, for
// a token that states the time at. What the token brought along deserves no trust. The error says that this had to be known, and is not.
type RevocationFunc func(chain []*x509.Certificate, brought cms.RevocationValues, at time.Time) ([]Revocation, error)

// Revocation is that a certificate of the path was revoked.
type Revocation struct {
	Certificate *x509.Certificate
	At          time.Time // from when on; zero: from ever
	Reason      string    // by its name in RFC 5280 section 5.3.1; "" where none is stated
	Invalidity  time.Time // invalidityDate (RFC 5280 section 5.3.2); zero where it is not stated
}

// voids reports whether a token is worth nothing any more. An authority that ceased to work in good order was right until
// then; of any other, and where no reason is stated, somebody else may have the key and give tokens any time they like
// (RFC 3161 section 4). Then only what proves the token to be older than that, at the time until, speaks for it.
func (r Revocation) voids(genTime, until time.Time) bool {
	inGoodOrder := []string{"unspecified", "affiliationChanged", "superseded", "cessationOfOperation"}
	if slices.Contains(inGoodOrder, r.Reason) {
		return !genTime.Before(r.At)
	}
	from := r.At
	if !r.Invalidity.IsZero() && r.Invalidity.Before(from) {
		from = r.Invalidity
	}
	return until.IsZero() || !until.Before(from)
}

// checkRevocation asks about the path, which is that of the token's time.
func (t *Token) checkRevocation(chain []*x509.Certificate, o VerifyOptions) error {
	if o.Revocation == nil {
		return nil
	}
	found, err := o.Revocation(chain, t.Revocation, t.Info.GenTime)
	if err != nil {
		return &TokenError{CodeUntrusted, ErrRevocation, err}
	}
	for _, r := range found {
		if r.voids(t.Info.GenTime, o.Until) {
			return untrusted(ErrRevoked, "%s", r)
		}
	}
	return nil
}

// String says what was revoked, and since when.
func (r Revocation) String() string {
	since := "since ever"
	if !r.At.IsZero() {
		since = "since " + r.At.UTC().Format(time.RFC3339)
	}
	if r.Reason == "" {
		return since + ", without a reason"
	}
	return since + ": " + r.Reason
}
