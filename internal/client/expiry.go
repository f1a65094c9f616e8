package client

import (
	"fmt"
	"slices"
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

// warnOfExpiry tells the person when the newest certificate for an address of an account ends soon. Those that were renewed
// are of no interest: they are kept to open old mail.
func (c *Client) warnOfExpiry(a config.Account) error {
	identities, _, err := c.certificates().Identities()
	if err != nil {
		return storeError(err)
	}
	for _, i := range newestFor(a.Addresses, identities) {
		if words := expiresSoon(i.Certificate().NotAfter, c.o.Now()); words != "" {
			c.o.Say(fmt.Sprintf("warning: your certificate %.16s… %s; `sealmail cert renew %.8s` asks for the next one",
				certstore.Fingerprint(i.Certificate()), words, certstore.Fingerprint(i.Certificate())))
		}
	}
	return nil
}

// newestFor are the identities that end last, of those for each address and use.
func newestFor(addresses []string, identities []*certstore.Identity) (newest []*certstore.Identity) {
	for _, address := range addresses {
		for _, use := range []certstore.Use{certstore.SignMail, certstore.EncryptMail} {
			var last *certstore.Identity
			for _, i := range identities {
				if certstore.MatchAddress(i.Certificate(), address) && certstore.AllowsUse(i.Certificate(), use) &&
					(last == nil || i.Certificate().NotAfter.After(last.Certificate().NotAfter)) {
					last = i
				}
			}
			if last != nil && !slices.Contains(newest, last) {
				newest = append(newest, last)
			}
		}
	}
	return newest
}
