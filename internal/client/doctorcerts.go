package client

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/config"
)

func (d *doctor) anchors() {
	for _, purpose := range []certstore.Purpose{certstore.Mail, certstore.TimeStamping} {
		check := "anchors " + string(purpose)
		anchors, err := d.client.anchors(purpose)
		switch {
		case err != nil:
			d.bad(check, err, "")
		case len(anchors) == 0:
			hint := "`sealmail cert trust ROOT.pem --for " + string(purpose) + "`"
			if purpose == certstore.Mail {
				hint += ", or `sealmail cert trust --system` for the roots that come with NSS"
			}
			d.say(check, FindingWarning, "none: nothing can be judged by them", hint)
		default:
			d.say(check, FindingGood, fmt.Sprintf("%d", len(anchors)), "")
		}
		for _, anchor := range anchors {
			if anchor.NotAfter.Before(d.now) {
				d.say(check, FindingWarning, fmt.Sprintf("%s expired on %s", certstore.Name(anchor), anchor.NotAfter.UTC().Format(time.DateOnly)), "get the new one from its owner")
			}
		}
	}
}

// identities checks that there is a certificate to sign with and one to be written to, with their keys, for each own address.
func (d *doctor) identities(ctx context.Context, a config.Account) {
	by, err := d.client.selector(d.now, true)
	if err != nil {
		return // said already
	}
	store := d.client.certificates()
	for _, use := range []struct {
		check  string
		choose func(context.Context, string, certstore.Selector) (certstore.Selection, error)
	}{{"signing", store.SigningIdentity}, {"encryption", store.Recipient}} {
		for i, address := range a.Addresses {
			check, missing := use.check, FindingBad
			if i > 0 { // what is written as from there can do without
				check, missing = use.check+" "+address, FindingWarning
			}
			s, err := use.choose(ctx, address, by.Selector)
			switch {
			case err != nil:
				d.bad(check, err, "")
			case s.Chosen != nil && s.Chosen.Identity == nil:
				d.say(check, missing, fmt.Sprintf("certificate %.16s… for %s has no key here, so that mail to you cannot be opened",
					certstore.Fingerprint(s.Chosen.Certificate), address), ownHint(s))
			case s.Chosen == nil:
				d.say(check, missing, refusal(s), ownHint(s))
			default:
				d.identity(check, s.Chosen)
			}
		}
	}
}

func (d *doctor) identity(check string, c *certstore.Candidate) {
	detail := fmt.Sprintf("certificate %.16s… from %s, valid to %s", certstore.Fingerprint(c.Certificate), certstore.IssuerName(c.Certificate), c.Certificate.NotAfter.UTC().Format(time.DateOnly))
	if _, err := c.Identity.PrivateKey(); err != nil {
		d.bad(check, err, "")
		return
	}
	switch {
	case expiresSoon(c.Certificate.NotAfter, d.now) != "":
		d.say(check, FindingWarning, detail+"; it "+expiresSoon(c.Certificate.NotAfter, d.now), fmt.Sprintf("`sealmail cert renew %.8s` asks for the next one", certstore.Fingerprint(c.Certificate)))
	case c.Unchecked != "":
		d.say(check, FindingWarning, detail+"; "+c.Unchecked, "others may not be able to find out either; tell the authority")
	case !d.attached(c.Identity.Chain):
		d.say(check, FindingWarning, detail+"; the certificate of its authority is not with it, and so goes to nobody with what you sign",
			"`sealmail cert import FILE.p12 --fetch-issuers` with your file again gets it, if your certificate says where it is")
	case c.Reason != "":
		d.say(check, FindingWarning, detail+"; "+c.Reason, "others may not trust it either; `sealmail cert trust "+knownRoot(c.Identity.Chain)+" --for mail` if you do")
	default:
		d.say(check, FindingGood, detail, "")
	}
}

// knownRoot is what to call the authority at the end of a chain by: its fingerprint, if its certificate came along.
func knownRoot(chain []*x509.Certificate) string {
	if top := chain[len(chain)-1]; len(chain) > 1 && top.IsCA {
		return certstore.Fingerprint(top)[:16]
	}
	return "ROOT.pem"
}

// attached tells whether a certificate has another above it that goes along with it, or needs none.
func (d *doctor) attached(chain []*x509.Certificate) bool {
	if len(chain) > 1 || bytes.Equal(chain[0].RawIssuer, chain[0].RawSubject) {
		return true
	}
	anchors, err := d.client.anchors(certstore.Mail)
	return err != nil || slices.ContainsFunc(anchors, func(a *x509.Certificate) bool {
		return bytes.Equal(a.RawSubject, chain[0].RawIssuer) && chain[0].CheckSignatureFrom(a) == nil
	})
}
