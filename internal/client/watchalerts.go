package client

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/mailbox/index"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/verdict"
)

// The codes of alerts, beside changed-key, changed-issuer and foreign-key, which warnings have too.
const (
	alertUnsigned  = "unsigned-sender"
	alertSignature = "signature-failed"
	alertRevoked   = "certificate-revoked"
	alertExpires   = "certificate-expires"
	alertUnopened  = "decryption-failed"
)

// alertsOf is what a person is to be told of a message that came, beside its line.
func (w *watcher) alertsOf(ctx context.Context, r *judged, line ListLine) (alerts []WatchAlert, err error) {
	add := func(code, reason string) { alerts = append(alerts, ofMessage(line, code, reason)) }
	for _, remark := range r.remarks {
		switch remark.Code {
		case "changed-key", "changed-issuer", "foreign-key":
			alerts = append(alerts, changedAlert(line, remark))
		}
	}
	encryption := r.message.Encryption()
	opened := encryption == smime.StatusNone || encryption == smime.StatusDecrypted
	switch {
	case r.verdict.Status == verdict.Failed:
		code, reason := failureOf(r.verdict)
		add(code, reason)
	case r.verdict.Status == verdict.Unsigned && opened:
		for _, from := range namedIn(orEmpty(line.From)) {
			signed, err := w.alwaysSigned(ctx, from)
			if err != nil {
				return nil, err
			}
			if signed > 0 {
				add(alertUnsigned, fmt.Sprintf("%s signs, as %d earlier messages show, and this message is not signed", from, signed))
				alerts[len(alerts)-1].Address = &from
				break
			}
		}
	}
	if encryption == smime.StatusUndecryptable || encryption == smime.StatusFailed {
		add(alertUnopened, "the message is encrypted, and could not be opened")
	}
	return alerts, nil
}

// ofMessage is an alert about a message.
func ofMessage(line ListLine, code, reason string) WatchAlert {
	a := WatchAlert{Code: code, Reason: reason, Address: orNull(senderOf(orEmpty(line.From))), Folder: orNull(line.Folder), UID: orNull(line.UID), MessageID: line.MessageID}
	if line.Signer != nil {
		a.Fingerprint = orNull(line.Signer.Fingerprint)
	}
	return a
}

// changedAlert is an alert about a signer who is not who they were. The certificate goes on to be new for `read`, which is where a
// person looks at it: here it is said once.
func changedAlert(line ListLine, remark WarningReport) WatchAlert {
	a := ofMessage(line, remark.Code, remark.Reason)
	a.key = remark.Code + "|" + strings.ToLower(orEmpty(a.Address))
	if a.Fingerprint != nil {
		a.key += "|" + *a.Fingerprint
	}
	return a
}

// senderOf is the one address in a From field as displayed; empty, where it is not one.
func senderOf(from string) string {
	a, err := mail.ParseAddress(from)
	if err != nil {
		return ""
	}
	return a.Address
}

// maxNamed bounds the addresses of a From field that are looked at.
const maxNamed = 256

// namedIn are all addresses that a From field as displayed seems to name, also where it is malformed: a message is as from each of
// them, to who sees it.
func namedIn(from string) (addresses []string) {
	for word := range strings.FieldsFuncSeq(from, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`,;:<>()[]"`, r) }) {
		if strings.Contains(word, "@") && !slices.Contains(addresses, word) {
			if addresses = append(addresses, word); len(addresses) == maxNamed {
				break
			}
		}
	}
	return addresses
}

// failureOf says why a message failed its check.
func failureOf(v verdict.Verdict) (code, reason string) {
	code, reason = alertSignature, "the signature is not good"
	found := false
	for _, s := range v.Signatures {
		for _, check := range []verdict.Check{s.Integrity, s.Chain, s.Revocation, s.Address, s.Time} {
			if !s.Judged || check.Status != verdict.Failed {
				continue
			}
			if !found {
				found, reason = true, cmp.Or(check.Reason, reason)
			}
			if check.Code == string(verdict.RevocationRevoked) && s.Integrity.Status == verdict.Passed {
				return alertRevoked, cmp.Or(check.Reason, reason)
			}
		}
	}
	return code, reason
}

const (
	// minSigned is how many good signatures make a habit, and how many each message without one takes away again: who forges
	// one unsigned message does not silence the alert about the next, unless the habit is young.
	minSigned = 3
	// maxHistory bounds the messages of a sender that count: the newest.
	maxHistory = 200
	// maxAlike bounds those that are looked at for them: of others too, whose addresses hold that of the sender.
	maxAlike = 10_000
)

// alwaysSigned tells how many messages of a sender were signed, where they sign as a rule; else 0.
func (w *watcher) alwaysSigned(ctx context.Context, from string) (int, error) {
	if strings.Contains(from, `\`) {
		return 0, nil
	}
	if known, _, err := w.client.certificates().CorrespondentsFor(from); err != nil || len(known) == 0 {
		return 0, nil // nobody signed as this address; an unreadable store is said elsewhere
	}
	query, err := index.ParseQuery(`from:"` + from + `"`)
	if err != nil {
		return 0, nil
	}
	var verdicts []string // the newest last
	err = w.index.Lines(ctx, index.Selection{Query: &query, Limit: maxAlike, Account: w.account.Name}, func(l index.Line) error {
		line, err := lineOf(l)
		if err == nil && smime.SameAddress(senderOf(orEmpty(line.From)), from) {
			verdicts = append(verdicts, orEmpty(line.Verdict))
		}
		return err
	})
	if err != nil {
		return 0, explainIndex(err)
	}
	signed, unsigned := 0, 0
	for _, v := range verdicts[max(0, len(verdicts)-maxHistory):] {
		switch v {
		case string(verdict.Passed):
			signed++
		case string(verdict.Unsigned):
			unsigned++
		}
	}
	if signed < minSigned*(unsigned+1) {
		return 0, nil
	}
	return signed, nil
}

const (
	checkInterval = 24 * time.Hour
	checkPause    = time.Hour       // after a check that failed
	checkTime     = 5 * time.Minute // for all questions about revocation in one check
	maxChecked    = 200             // certificates of correspondents whose revocation is asked about in one check
)

// expirySteps are how long before the end of a certificate it is said, each once.
var expirySteps = [...]time.Duration{24 * time.Hour, 7 * 24 * time.Hour, expiryWarning}

// checkCertificates looks, once a day, at one's own certificates and at those of correspondents: whether they end soon, and
// whether they were revoked.
func (w *watcher) checkCertificates(ctx context.Context) error {
	now := w.client.o.Now()
	checked, next := w.memory.lastCheck()
	if !checked.After(now) && now.Sub(checked) < checkInterval {
		return nil
	}
	store := w.client.certificates()
	identities, _, err := store.Identities()
	if err != nil {
		return storeError(err)
	}
	all, _, err := store.Correspondents()
	if err != nil {
		return storeError(err)
	}
	var own, others []*x509.Certificate
	for _, i := range newestFor(w.account.Addresses, identities) {
		own = append(own, i.Certificate())
	}
	newest := map[string]*x509.Certificate{} // by address and key usage
	for _, c := range all {
		cert := c.Certificate()
		for _, address := range certstore.Addresses(cert) {
			name := fmt.Sprint(strings.ToLower(address), "|", cert.KeyUsage)
			if last := newest[name]; last == nil || cert.NotAfter.After(last.NotAfter) {
				newest[name] = cert
			}
		}
	}
	for _, cert := range newest {
		others = append(others, cert)
	}
	slices.SortFunc(others, func(a, b *x509.Certificate) int {
		return strings.Compare(certstore.Fingerprint(a), certstore.Fingerprint(b))
	})
	others = slices.CompactFunc(others, (*x509.Certificate).Equal)
	for _, cert := range own {
		if err := w.expires(cert, "your certificate", now); err != nil {
			return err
		}
	}
	for _, cert := range others {
		if err := w.expires(cert, "the certificate of "+certstore.Describe(cert).Name, now); err != nil {
			return err
		}
	}
	if w.client.revocationMode() != verdict.RevocationOff {
		// Those of correspondents take turns, where there are many.
		at, _ := slices.BinarySearchFunc(others, next, func(c *x509.Certificate, next string) int {
			return strings.Compare(certstore.Fingerprint(c), next)
		})
		turn := slices.Concat(others[at:], others[:at])
		next = ""
		if len(turn) > maxChecked {
			next = certstore.Fingerprint(turn[maxChecked])
			turn = turn[:maxChecked]
		}
		if err := w.revoked(ctx, store, own, turn, now); err != nil {
			return err
		}
	}
	return w.memory.setCheck(now, next)
}

// expires tells that a certificate ends soon.
func (w *watcher) expires(cert *x509.Certificate, whose string, now time.Time) error {
	left := cert.NotAfter.Sub(now)
	if left < 0 {
		return nil // doctor, and whoever wants to use it, say that
	}
	for _, step := range expirySteps {
		if left <= step {
			return w.alert(ofCertificate(alertExpires, cert, fmt.Sprintf("%s %s", whose, expiresSoon(cert.NotAfter, now)), fmt.Sprint(step.Hours()/24)))
		}
	}
	return nil
}

// ofCertificate is an alert about a certificate alone; key tells it from other alerts about it with the same code.
func ofCertificate(code string, cert *x509.Certificate, reason, key string) WatchAlert {
	a := WatchAlert{Code: code, Reason: reason, Fingerprint: orNull(certstore.Fingerprint(cert)), key: code + "|" + certstore.Fingerprint(cert) + "|" + key}
	if addresses := certstore.Addresses(cert); len(addresses) > 0 {
		a.Address = orNull(addresses[0])
	}
	return a
}

// revoked tells which certificates were revoked, as far as that can be found out in bounded time.
func (w *watcher) revoked(ctx context.Context, store *certstore.Store, own, others []*x509.Certificate, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	validator, err := w.client.mailValidator(nil)
	if err != nil {
		return err
	}
	revocations, err := w.client.newRevocations(true)
	if err != nil {
		return err
	}
	for i, cert := range slices.Concat(own, others) {
		use := certstore.EncryptMail
		if !certstore.AllowsUse(cert, use) {
			use = certstore.SignMail
		}
		path, err := validator.Path(cert, store.IssuersOf(cert), use, now)
		if err != nil || !namesRevocation(path) {
			continue // nothing that is used, or that could be asked about
		}
		answers, err := revocations.check(ctx, path, revocation.Evidence{}, now)
		if err != nil {
			if ctx.Err() != nil {
				return nil // the rest comes tomorrow
			}
			return err
		}
		e := revocationEvidence(path, answers, verdict.TimeEvidence{}, now)
		if e.Code != verdict.RevocationRevoked {
			continue
		}
		whose := "the certificate of " + certstore.Describe(cert).Name
		if i < len(own) {
			whose = "your certificate"
		}
		if err := w.alert(ofCertificate(alertRevoked, cert, fmt.Sprintf("%s was revoked: %s", whose, e.Reason), "")); err != nil {
			return err
		}
	}
	return nil
}
