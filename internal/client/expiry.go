package client

import (
	"fmt"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/config"
)

// expiryWarning is how long before the end of a certificate it is worth a word.
const expiryWarning = 30 * 24 * time.Hour

// expiresSoon says in words that a certificate ends soon, or did; empty: neither.
func expiresSoon(end, now time.Time) string {
	switch left := end.Sub(now); {
	case left < 0:
		return "expired on " + end.UTC().Format(time.DateOnly)
	case left < 48*time.Hour:
		return "expires on " + end.UTC().Format("2006-01-02 15:04 UTC")
	case left < expiryWarning:
		return fmt.Sprintf("expires in %d days, on %s", int(left.Hours()/24), end.UTC().Format(time.DateOnly))
	}
	return ""
}

// warnOfExpiry tells the person when the newest certificate of an account ends soon. Those that were renewed are of no
// interest: they are kept to open old mail.
func (c *Client) warnOfExpiry(a config.Account) error {
	identities, _, err := c.certificates().Identities()
	if err != nil {
		return storeError(err)
	}
	now := c.o.Now()
	var said *certstore.Identity
	for _, use := range []certstore.Use{certstore.SignMail, certstore.EncryptMail} {
		var last *certstore.Identity
		for _, i := range identities {
			if certstore.MatchAddress(i.Certificate(), a.Address) && certstore.AllowsUse(i.Certificate(), use) &&
				(last == nil || i.Certificate().NotAfter.After(last.Certificate().NotAfter)) {
				last = i
			}
		}
		if last == nil || last == said {
			continue
		}
		words := expiresSoon(last.Certificate().NotAfter, now)
		if words == "" {
			continue
		}
		said = last
		c.o.Say(fmt.Sprintf("warning: your certificate %.16s… %s; `sealmail cert renew %.8s` asks for the next one",
			certstore.Fingerprint(last.Certificate()), words, certstore.Fingerprint(last.Certificate())))
	}
	return nil
}
