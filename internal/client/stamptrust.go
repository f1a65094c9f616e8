package client

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/verdict"
	"github.com/sealmail/sealmail/tsa"
)

// stampTrust is by what timestamp authorities are judged.
type stampTrust struct {
	anchored    bool // some are trusted at all
	path        tsa.PathFunc
	revocations *revocations
	mode        verdict.RevocationMode
	// authorities are the certificates of authorities in the store, for tokens that come without.
	authorities func() []*x509.Certificate
}

// stampTrust trusts the anchors in these files, or else those of the store. What is found out about revocation is the
// business of r; a nil r asks nobody.
func (c *Client) stampTrust(files []string, r *revocations, mode verdict.RevocationMode) (*stampTrust, error) {
	var anchors []*x509.Certificate
	var err error
	if len(files) > 0 {
		anchors, err = c.o.readCertificates(files)
	} else {
		anchors, err = c.anchors(certstore.TimeStamping)
	}
	if err != nil {
		return nil, err
	}
	v := certstore.Validator{Anchors: anchors, Cache: new(certstore.PathCache)}
	store := c.certificates()
	return &stampTrust{
		anchored: len(anchors) > 0, revocations: r, mode: mode,
		path: func(cert *x509.Certificate, bag []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
			return v.Path(cert, slices.Concat(bag, store.IssuersOf(cert)), certstore.TimeStamp, at)
		},
		authorities: sync.OnceValue(func() []*x509.Certificate {
			list := slices.Clone(anchors)
			correspondents, _, _ := store.Correspondents() // what cannot be read cannot help
			for _, k := range correspondents {
				list = append(list, k.Chain[0])
			}
			return slices.DeleteFunc(list, func(cert *x509.Certificate) bool { return tsa.CheckCertificate(cert) != nil })
		}),
	}, nil
}

// options are what a token is held against. told, if it is not nil, is given what is known of the revocation of each
// certificate. That nothing is known changes nothing: the anchor for timestamps was chosen by a person.
func (t *stampTrust) options(ctx context.Context, told func(*x509.Certificate, revocation.Answer)) tsa.VerifyOptions {
	o := tsa.VerifyOptions{Path: t.path}
	if t.revocations == nil || t.mode == verdict.RevocationOff {
		return o
	}
	o.Revocation = func(chain []*x509.Certificate, brought cms.RevocationValues, at time.Time) ([]tsa.Revocation, error) {
		answers, err := t.revocations.check(ctx, chain, revocation.Evidence{CRLs: brought.CRLs, OCSPResponses: brought.OCSPResponses}, at)
		if err != nil {
			return nil, err
		}
		var found []tsa.Revocation
		for _, a := range answers {
			cert := chain[a.Index]
			if told != nil {
				told(cert, a)
			}
			if a.Status != revocation.Revoked {
				continue
			}
			r := tsa.Revocation{Certificate: cert, At: a.At, Invalidity: a.Invalidity}
			if a.ReasonStated {
				r.Reason = a.Reason
			}
			found = append(found, r)
		}
		return found, nil
	}
	return o
}

// withStore verifies a token or what holds tokens, and once more with the certificates of authorities in the store where one
// is missing.
func withStore[T any](t *stampTrust, extra []*x509.Certificate, verify func(extra []*x509.Certificate) (T, error)) (T, error) {
	result, err := verify(extra)
	if errors.Is(err, tsa.ErrNoCertificate) {
		if known := t.authorities(); len(known) > 0 {
			return verify(slices.Concat(extra, known))
		}
	}
	return result, err
}

// onlineStampTrust is stampTrust for a command that uses the network anyway, by the account's rules for revocation.
func (c *Client) onlineStampTrust(files []string) (*stampTrust, error) {
	r, err := c.newRevocations(true)
	if err != nil {
		return nil, err
	}
	return c.stampTrust(files, r, c.revocationMode())
}

// orAnybody takes each authority at its word where none is trusted at all, and says so.
func (t *stampTrust) orAnybody(say func(string)) {
	if t.anchored {
		return
	}
	say("warning: no anchor for timestamps is trusted: the authority is taken at its word")
	t.path = func(cert *x509.Certificate, _ []*x509.Certificate, _ time.Time) ([]*x509.Certificate, error) {
		return []*x509.Certificate{cert}, nil
	}
	t.revocations = nil // there is no path to ask about
}

// errNoStampAnchor is that a command needs somebody to trust for timestamps, and there is nobody.
func errNoStampAnchor(what string) error {
	return usage(what, errors.New("no anchor for timestamps is trusted"), "name one with --tsa-trust, or `sealmail cert trust ROOT.pem --for tsa`")
}
