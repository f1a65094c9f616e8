package revocation

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// maxChecked bounds the signatures on responses that were given which are checked in one Check, as such responses come with
// any number of certificates that say they are their responder's. Those that were asked for do not count: what a message
// brings along must not use up what they need.
const maxChecked = 256

var (
	errResponder = errors.New("it is signed neither by the issuer of the certificate nor by a responder of that issuer")
	errChecked   = errors.New("too many signatures would have to be checked")
)

// byResponses finds the status of path[0] in responses. Where they differ, revoked counts before good, and else what was
// said last. path ends with an anchor.
func (r *run) byResponses(path []*certpath.Certificate, responses []*Response, notes *notes) Answer {
	var best Answer
	for _, response := range responses {
		if a := r.byResponse(path, response, notes); worse(a, best) {
			best = a
		}
	}
	return best
}

// worse reports whether a counts before b. Of two revocations it is the one because of a key in other hands, then the one
// that took effect first: a hold may have become more, and its old answer be sent along.
func worse(a, b Answer) bool {
	switch {
	case a.Status != b.Status:
		return a.Status > b.Status
	case a.Status == Good:
		return a.At.After(b.At)
	case a.KeyCompromise != b.KeyCompromise:
		return a.KeyCompromise
	}
	return a.Status == Revoked && a.effective().Before(b.effective())
}

// effective is from when a revocation counts.
func (a Answer) effective() time.Time {
	if a.KeyCompromise && !a.Invalidity.IsZero() && a.Invalidity.Before(a.At) {
		return a.Invalidity
	}
	return a.At
}

// byResponse is RFC 6960 section 3.2: what a client asks of a response before it takes it.
func (r *run) byResponse(path []*certpath.Certificate, response *Response, notes *notes) Answer {
	c, issuer := path[0], path[1]
	var best Answer
	authorized := false
	for _, single := range response.Singles {
		if !single.ID.names(c, issuer) { // step 1
			continue
		}
		if !authorized { // steps 2 to 4, once, and only for a response that is about this certificate
			if err := r.authorize(response, path); err != nil {
				notes.add("the OCSP response of " + stamp(response.ProducedAt) + ": " + err.Error())
				return Answer{}
			}
			authorized = true
		}
		a, why := r.bySingle(c, response, single)
		if why != "" {
			notes.add("the OCSP response of " + stamp(response.ProducedAt) + ": " + why)
		}
		if worse(a, best) {
			best = a
		}
	}
	return best
}

// bySingle is steps 5 and 6: the times of an answer.
func (r *run) bySingle(c *certpath.Certificate, response *Response, single SingleResponse) (a Answer, why string) {
	speaks := single.window()
	if single.Unusable != "" {
		return a, single.Unusable
	}
	if why := speaks.early(r.now); why != "" {
		return a, why
	}
	if speaks.from.After(response.ProducedAt.Add(skew)) {
		return a, "it tells of a time after it was made"
	}
	stale := speaks.stale(r.at)
	switch single.Status {
	case Revoked:
		found := revocation{at: single.RevokedAt, reason: single.Reason, stated: single.ReasonStated, invalidity: single.Invalidity}
		if stale != "" && found.lifts() {
			return a, stale
		}
		a = found.answer(SourceOCSP)
	case Good:
		if stale == "" {
			stale = speaks.forgotten(c.NotAfter, single.ArchiveCutoff)
		}
		if stale != "" {
			return a, stale
		}
		a = Answer{Status: Good, At: speaks.from, Source: SourceOCSP, Why: "the responder said on " + stamp(speaks.from) + " that it is good"}
	default:
		return a, "the responder does not know the certificate"
	}
	a.Until, a.Evidence = speaks.until, Evidence{OCSPResponses: [][]byte{response.Raw}}
	return a, ""
}

// authorize asks whether a response was signed by who may: the issuer of the certificate in question, or a responder
// whose certificate that issuer signed for OCSP (RFC 6960 section 4.2.2.2). Responders that are trusted for other reasons
// there are none.
func (r *run) authorize(response *Response, path []*certpath.Certificate) error {
	if response.Unusable != "" {
		return errors.New(response.Unusable)
	}
	if response.ProducedAt.After(r.now.Add(skew)) {
		return fmt.Errorf("it is dated in the future, on %s", stamp(response.ProducedAt))
	}
	// A certificate that ended before what counts was said or asked for may be in other hands by then.
	at := r.at
	if response.ProducedAt.After(at) {
		at = response.ProducedAt
	}
	issuer := path[1]
	if response.isBy(issuer) {
		if err := r.signed(response, issuer); err == nil {
			return r.holds(path[1:], at)
		} else if !slices.ContainsFunc(response.Certificates, response.isBy) {
			return err
		}
	}
	failure := errResponder
	for _, c := range response.Certificates {
		if !response.isBy(c) || !c.Issuer.Equal(issuer.Subject) {
			continue
		}
		if failure = mayRespond(c); failure != nil {
			continue
		}
		if failure = r.signed(response, c); failure != nil {
			continue
		}
		// The issuer's signature on the certificate is part of this.
		if failure = r.holds(append([]*certpath.Certificate{c}, path[1:]...), at); failure == nil {
			return nil
		}
		failure = fmt.Errorf("the certificate of its responder does not hold: %w", failure)
	}
	return failure
}

// isBy reports whether the response says that it is by the holder of this certificate.
func (r *Response) isBy(c *certpath.Certificate) bool {
	if r.ResponderName != nil {
		return r.ResponderName.Equal(c.Subject)
	}
	key := sha1.Sum(publicKeyBits(c)) // RFC 6960 section 4.2.1
	return bytes.Equal(r.ResponderKeyHash, key[:])
}

// mayRespond asks of a certificate what only responders have. Any extended key usage is not enough (RFC 6960 section
// 4.2.2.2).
func mayRespond(c *certpath.Certificate) error {
	if !slices.Contains(c.ExtendedKeyUsage, certpath.OIDOCSPSigning) {
		return errors.New("the certificate of its responder is not for OCSP signing")
	}
	if c.HasKeyUsage && c.KeyUsage&(certpath.DigitalSignature|certpath.ContentCommitment) == 0 {
		return errors.New("the key of its responder is not for signatures")
	}
	return nil
}

func (r *run) signed(response *Response, signer *certpath.Certificate) error {
	if slices.Contains(r.responses, response) {
		if r.checked++; r.checked > maxChecked {
			return errChecked
		}
	}
	return signer.CheckSignature(response.SignatureAlgorithm, response.RawTBS, response.Signature, r.Policy)
}
