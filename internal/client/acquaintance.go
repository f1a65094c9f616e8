package client

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/verdict"
)

// Words of SignerReport.Contact.
const (
	contactFirst   = "first"   // nobody signed as this address before
	contactKnown   = "known"   // with this certificate, or this key
	contactChanged = "changed" // with another key, or a certificate by another issuer
)

// ownership tells a person's own addresses and keys from those of others.
type ownership struct {
	addresses []string        // that mail to this person may be addressed to
	certified []string        // those of them that certificates of one's own are for
	keys      map[string]bool // by SubjectPublicKeyInfo, the old ones too
}

func (c *Client) ownership() (o ownership, err error) {
	for _, a := range c.config.Accounts {
		o.addresses = append(o.addresses, a.Addresses...)
	}
	identities, _, err := c.certificates().Identities()
	if err != nil {
		return o, storeError(err)
	}
	o.keys = map[string]bool{}
	for _, i := range identities {
		o.certified = append(o.certified, certstore.Addresses(i.Certificate())...)
		o.keys[string(i.Certificate().RawSubjectPublicKeyInfo)] = true
	}
	o.addresses = append(o.addresses, o.certified...)
	return o, nil
}

// owns tells whether an address is one of the person's own, in any account.
func (c *Client) owns(address string) bool {
	return slices.ContainsFunc(c.config.Accounts, func(a config.Account) bool {
		return slices.ContainsFunc(a.Addresses, func(own string) bool { return smime.SameAddress(own, address) })
	})
}

// acquaint compares the good signers of a message with those who signed as its sender before. Mail as from oneself is
// compared with one's own keys: whoever got a certificate for one's address is an impostor, or another device of one's own.
func (j *judge) acquaint(r *judged) error {
	for _, v := range r.verdict.Signatures {
		if !v.Judged || v.Signature < 0 || v.Status != verdict.Passed || v.Address.Status != verdict.Passed {
			continue
		}
		signer := r.layers[v.Layer].Signed.Signatures[v.Signature].Signer
		from := r.evidence[v.Layer][v.Signature].Address.From[0]
		if j.own.keys[string(signer.RawSubjectPublicKeyInfo)] {
			continue
		}
		if slices.ContainsFunc(j.own.certified, func(own string) bool { return smime.SameAddress(own, from) }) {
			r.remarks = append(r.remarks, WarningReport{"foreign-key", fmt.Sprintf(
				"%s is your own address, and signs with a key that is none of yours (%.16s…, certificate from %q): import it if it is of another device of yours; else somebody has a certificate for your address",
				from, certstore.Fingerprint(signer), certstore.IssuerName(signer))})
			continue
		}
		a, err := j.store.AcquaintanceOfSigner(from, signer, r.messageID())
		if err != nil {
			return storeError(err)
		}
		if r.acquaintances == nil {
			r.acquaintances = map[*x509.Certificate]certstore.Acquaintance{}
		}
		r.acquaintances[signer] = a
		if a.First {
			r.first = append(r.first, contact{from, r.messageID(), signer})
		}
		if a.Changed() {
			r.remarks = append(r.remarks, WarningReport{changeCode(a), changeWords(from, "signs", signer, a)})
		}
	}
	return nil
}

// contact is a signer, and the message that they signed.
type contact struct {
	from, message string
	signer        *x509.Certificate
}

// changed reports whether a good signer is not who signed before.
func (r *judged) changed() bool {
	for _, a := range r.acquaintances {
		if a.Changed() {
			return true
		}
	}
	return false
}

// maxMessageID is the longest line of a message (RFC 5322 section 2.1.1).
const maxMessageID = 998

// messageID tells a message from others when it is opened again: its Message-ID, or, where it has none that can be used, the
// hash of a signature.
func (r *judged) messageID() string {
	if id := strings.Trim(r.message.Field("Message-ID"), "<> "); id != "" && len(id) <= maxMessageID {
		return id
	}
	for _, l := range r.layers {
		if l.Signed != nil && len(l.Signed.Signatures) > 0 {
			sum := sha256.Sum256(l.Signed.Signatures[0].Value)
			return hex.EncodeToString(sum[:])
		}
	}
	return ""
}

// contactWord is the stable word for an acquaintance.
func contactWord(a certstore.Acquaintance) string {
	switch {
	case a.First:
		return contactFirst
	case a.Changed():
		return contactChanged
	}
	return contactKnown
}

// changeCode is the stable word for what is new.
func changeCode(a certstore.Acquaintance) string {
	if a.NewIssuer {
		return "changed-issuer"
	}
	return "changed-key"
}

// changeWords says what is new in a certificate, and what was there before.
func changeWords(address, does string, now *x509.Certificate, a certstore.Acquaintance) string {
	before := a.Before.Certificate()
	what := "another key than before"
	switch {
	case a.NewKey && a.NewIssuer:
		what = fmt.Sprintf("another key than before, with a certificate from %q and not from %q", certstore.IssuerName(now), certstore.IssuerName(before))
	case a.NewIssuer:
		what = fmt.Sprintf("the same key as before, with a certificate from %q and not from %q", certstore.IssuerName(now), certstore.IssuerName(before))
	}
	return fmt.Sprintf("%s %s with %s (%.16s…, first seen %s, valid to %s)", address, does, what, certstore.Fingerprint(before),
		a.Before.FirstSeen.UTC().Format(time.DateOnly), before.NotAfter.UTC().Format(time.DateOnly))
}
