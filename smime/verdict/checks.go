package verdict

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// integrity judges what cryptography says of a signature. weak is why it would not do if that were not allowed.
func integrity(err, weak error) Check {
	switch {
	case err == nil && weak != nil:
		return Check{Status: Passed, Code: "weak-algorithm", Reason: weak.Error(), Err: weak}
	case err == nil:
		return Check{Status: Passed}
	}
	c := Check{Status: Failed, Code: "signature-invalid", Reason: err.Error(), Err: err}
	var tooWeak *cms.WeakError
	var unsupported *cms.UnsupportedError
	switch {
	case errors.As(err, &tooWeak):
		// What matches may have been made to match by somebody else.
		c.Status, c.Code = Indeterminate, "weak-algorithm"
	case errors.As(err, &unsupported):
		c.Status, c.Code = Indeterminate, "unsupported-algorithm"
	case errors.Is(err, smime.ErrNoCertificate):
		c.Status, c.Code = Indeterminate, "no-certificate"
	case errors.Is(err, smime.ErrTwoContents), errors.Is(err, smime.ErrNotDetached):
		c.Code = "two-contents"
	case errors.Is(err, smime.ErrNoContent):
		c.Code = "no-content"
	case errors.Is(err, smime.ErrStructure):
		c.Code = "structure"
	case errors.Is(err, cms.ErrBrokenDigest):
		c.Code = "broken-digest"
	case errors.Is(err, cms.ErrMessageDigest):
		c.Code = "digest-mismatch"
	case errors.Is(err, cms.ErrAttributesAsContent):
		c.Code = "attributes-as-content"
	case errors.Is(err, cms.ErrAttributes):
		c.Code = "signed-attributes"
	case errors.Is(err, cms.ErrContentType):
		c.Code = "content-type"
	case errors.Is(err, cms.ErrSigningCertificate), errors.Is(err, cms.ErrSignerIdentifier):
		c.Code = "signing-certificate"
	case errors.Is(err, cms.ErrMalformed):
		c.Code = "malformed"
	}
	return c
}

// chain judges the path. An anchor that is not known, or a validity that is over, leaves the question open; a path that
// breaks a rule answers it.
func chain(e ChainEvidence) Check {
	c := Check{Status: Failed, Code: string(e.Code), Reason: e.Reason}
	switch e.Code {
	case ChainOK:
		if len(e.Certificates) == 0 {
			return Check{Status: Indeterminate, Code: "not-checked", Reason: "no certificate path was looked for"}
		}
		c.Status = Passed
	case ChainNoAnchor, ChainExpired, ChainUnsupportedCertificate:
		c.Status = Indeterminate
	}
	return c
}

// revocation judges whether the certificate was revoked at the time that counts.
func revocation(e RevocationEvidence, t TimeEvidence, p Policy) Check {
	if p.Revocation == RevocationOff {
		return Check{Status: Skipped, Code: "off", Reason: "revocation was not asked for"}
	}
	c := Check{Code: string(e.Code), Reason: e.Reason}
	switch e.Code {
	case RevocationGood:
		c.Status, c.Code = Passed, ""
	case RevocationRevoked:
		c.Status = Failed
		if e.RevokedLater(t, p.Now) {
			c.Status, c.Code = Passed, "revoked-later"
		}
	default:
		c.Status, c.Code = Indeterminate, string(RevocationUnknown)
		if c.Reason == "" {
			c.Reason = "no answer about revocation could be had"
		}
	}
	return c
}

// RevokedLater reports whether a revocation took effect after the time that counts. Who stole a key signs with any date:
// then only a proven time speaks for the signature, and it is compared with the time from which the key is suspected.
func (e RevocationEvidence) RevokedLater(t TimeEvidence, now time.Time) bool {
	if e.Code != RevocationRevoked || e.KeyCompromise && !t.proves() {
		return false
	}
	from := e.At
	if e.KeyCompromise && !e.Invalidity.IsZero() && e.Invalidity.Before(from) {
		from = e.Invalidity
	}
	return !from.IsZero() && from.After(TimeThatCounts(t, now))
}

// address judges whether the certificate speaks for the sender.
func address(e AddressEvidence) Check {
	switch {
	case e.NoMessage && len(e.From) == 0 && !e.Unreadable:
		return Check{Status: Skipped, Code: "no-message", Reason: "this is no message, and names no sender"}
	case e.Unreadable:
		return Check{Status: Failed, Code: "from-unreadable", Reason: cmp.Or(e.Reason, "From cannot be read")}
	case len(e.From) == 0:
		return Check{Status: Failed, Code: "no-from", Reason: "the message has no From"}
	case len(e.From) > 1:
		return Check{Status: Failed, Code: "several-from", Reason: severalFrom(e.From)}
	case e.NoCertificate:
		return Check{Status: Indeterminate, Code: "no-certificate", Reason: "whom the signer's certificate names is not known: it is missing"}
	case e.FromMatches:
		return Check{Status: Passed}
	case e.Sender != "" && e.SenderMatches:
		return Check{Status: Indeterminate, Code: "on-behalf",
			Reason: fmt.Sprintf("signed by Sender %s on behalf of %s", smime.DisplayAddress(e.Sender), smime.DisplayAddress(e.From[0]))}
	}
	return Check{Status: Failed, Code: "address-mismatch",
		Reason: fmt.Sprintf("%s is not in the signer's certificate", smime.DisplayAddress(e.From[0]))}
}

func severalFrom(from []string) string {
	return fmt.Sprintf("From names %d mailboxes: %s", len(from), displayed(from))
}

// displayed is a list of addresses as a reason shows it.
func displayed(addresses []string) string {
	shown := make([]string, len(addresses))
	for i, a := range addresses {
		shown[i] = smime.DisplayAddress(a)
	}
	return strings.Join(shown, ", ")
}

// proof judges the time. It never lowers a verdict by itself.
func proof(e TimeEvidence) Check {
	c := Check{Code: string(e.Code), Reason: e.Reason}
	switch {
	case e.proves():
		c.Status = Passed
	case !e.Token:
		c.Status, c.Code = Indeterminate, string(TimeNoToken)
		if c.Reason == "" {
			c.Reason = "the time is only claimed"
		}
	case e.Code == TimeTokenBroken, e.Code == TimeTokenMismatch:
		c.Status = Failed
	default:
		c.Status = Indeterminate
	}
	return c
}
