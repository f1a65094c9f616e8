package verdict

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/smime"
)

// maxClockDifference is how far the claimed time of signing may lie from the proven one before it is worth a warning.
const maxClockDifference = 5 * time.Minute

// Judge gives the verdict on a message. evidence[i][j] is about signature j of layer i; what is not there is unknown.
//
// Judged is the innermost signature layer that covers the whole message, in full, and of the signature layers outside
// it integrity and chain. Every signature of these counts, and the worst decides: nobody may add a good signer beside a
// bad one. Signatures over a part, or around encryption, make a message at most indeterminate; those inside an attached
// message leave it unsigned.
func Judge(s Subject, evidence [][]Evidence, p Policy) Verdict {
	j := judge{subject: s, evidence: evidence, policy: p, innermost: -1}
	for i, l := range s.Layers {
		if l.Signed != nil && l.Covers == smime.CoversWhole {
			j.innermost = i
		}
	}
	v := Verdict{Status: Unsigned}
	for i, l := range s.Layers {
		if l.Signed == nil {
			continue
		}
		for _, sv := range j.layer(i, l) {
			if sv.Judged {
				v.Status = worst(v.Status, sv.Status)
			}
			v.Signatures = append(v.Signatures, sv)
		}
	}
	v.Warnings = j.warnings
	if j.innermost < 0 && v.Status == Passed {
		// What is good is good for a part only.
		v.Status = Indeterminate
		v.warn("partly-signed", "a signature covers only a part of the message")
	}
	if j.innermost >= 0 && j.encryptedInside() {
		// Whoever signs a ciphertext need not know what is in it: it may be somebody else's, signed and sent on so that
		// the answer gives it away. Such a signature does not speak for the text that is displayed.
		if v.Status == Passed {
			v.Status = Indeterminate
		}
		v.warn("signed-outside", "the signature is around the encryption: the signer may not know the content")
	}
	if err := s.shut(); err != nil {
		// What was signed is not what is displayed: nothing is.
		if v.Status == Passed {
			v.Status = Indeterminate
		}
		v.warn("not-decompressed", "the message is compressed, and cannot be decompressed: %v", err)
	}
	j.structure(&v)
	return v
}

// shut returns why a layer of compression around the message does not open, if there is one that does not.
func (s Subject) shut() error {
	for _, l := range s.Layers {
		if l.Compressed != nil && l.Compressed.Err != nil {
			return l.Compressed.Err
		}
	}
	return nil
}

type judge struct {
	subject   Subject
	evidence  [][]Evidence
	policy    Policy
	innermost int // index of the layer that is judged in full, or -1
	warnings  []Warning
}

// warn adds a warning, once.
func (v *Verdict) warn(code, format string, args ...any) {
	w := Warning{code, fmt.Sprintf(format, args...)}
	if !slices.Contains(v.Warnings, w) {
		v.Warnings = append(v.Warnings, w)
	}
}

// add adds a warning that is not there yet.
func (v *Verdict) add(code, format string, args ...any) {
	v.Warnings = append(v.Warnings, Warning{code, fmt.Sprintf(format, args...)})
}

func (j *judge) warn(code, format string, args ...any) {
	j.warnings = append(j.warnings, Warning{code, fmt.Sprintf(format, args...)})
}

func (j *judge) evidenceOf(layer, signature int) Evidence {
	if layer < len(j.evidence) && signature < len(j.evidence[layer]) {
		return j.evidence[layer][signature]
	}
	return Evidence{}
}

// encryptedInside reports whether there is encryption inside the judged signature.
func (j *judge) encryptedInside() bool {
	return slices.ContainsFunc(j.subject.Layers[j.innermost+1:], func(l Layer) bool { return l.Encrypted != nil })
}

// layer judges the signatures of one layer.
func (j *judge) layer(i int, l Layer) []SignatureVerdict {
	whole := l.Covers == smime.CoversWhole
	// Parts count where no signature covers the whole.
	judged := whole || j.innermost < 0 && l.Covers == smime.CoversPart
	if len(l.Signed.Signatures) == 0 {
		skipped := Check{Status: Skipped, Code: "no-signer", Reason: "there is no signer"}
		none := Check{Status: Failed, Code: "no-signer", Reason: "the signed message has no signer", Err: l.Signed.Err}
		if l.Signed.Err != nil {
			none = integrity(l.Signed.Err, nil)
			none.Status = Failed // nothing was verified, whatever the reason
		}
		return []SignatureVerdict{{
			Layer: i, Signature: -1, Covers: l.Covers, Judged: judged, Status: Failed,
			Integrity: none, Chain: skipped, Revocation: skipped, Address: skipped, Time: skipped,
		}}
	}
	var list []SignatureVerdict
	for n, s := range l.Signed.Signatures {
		e := j.evidenceOf(i, n)
		sv := SignatureVerdict{
			Layer: i, Signature: n, Covers: l.Covers, Judged: judged,
			Integrity: integrity(s.Err, s.Weak),
			Chain:     chain(e.Chain),
			Time:      proof(e.Time),
		}
		if whole && i != j.innermost {
			outer := Check{Status: Skipped, Code: "outer-layer", Reason: "asked of the innermost signature only"}
			sv.Revocation, sv.Address = outer, outer
		} else {
			sv.Revocation = revocation(e.Revocation, e.Time, j.policy)
			sv.Address = address(e.Address)
		}
		sv.Status = j.combine(sv)
		if judged {
			j.remark(sv, s, e)
		}
		list = append(list, sv)
	}
	return list
}

// combine makes the status of a signature out of its checks. Time is not among them: it has done its part in choosing
// the time that counts.
func (j *judge) combine(sv SignatureVerdict) Status {
	status := Passed
	for _, c := range []Check{sv.Integrity, sv.Chain, sv.Address} {
		if c.Status != Skipped {
			status = worst(status, c.Status)
		}
	}
	switch {
	case sv.Revocation.Status == Skipped:
	case sv.Revocation.Status == Indeterminate && j.policy.Revocation != RevocationHard:
	default:
		status = worst(status, sv.Revocation.Status)
	}
	return status
}

// remark warns of what does not decide.
func (j *judge) remark(sv SignatureVerdict, s Signature, e Evidence) {
	if sv.Integrity.Status == Passed && sv.Integrity.Code != "" {
		j.warnings = append(j.warnings, Warning{sv.Integrity.Code, sv.Integrity.Reason})
	}
	if sv.Time.Status == Failed || sv.Time.Status == Indeterminate && e.Time.Token {
		j.warn("time-"+orUnknown(sv.Time.Code), "the time stamp proves nothing: %s", orUnknown(sv.Time.Reason))
	}
	if e.Time.proves() && !s.SigningTime.IsZero() {
		if d := s.SigningTime.Sub(e.Time.Proven).Abs(); d > maxClockDifference {
			j.warn("signing-time", "the claimed time of signing differs from the proven one by %s", d.Round(time.Second))
		}
	}
	if ends := e.Time.AuthorityEnds; e.Time.proves() && !ends.IsZero() && ends.Before(j.policy.Now) {
		j.warn("timestamp-authority-expired", "the certificate of the timestamp authority has expired since, on %s", ends.Format(time.RFC3339))
	}
	if e.Time.proves() && e.Time.AuthorityUnchecked != "" && j.policy.Revocation == RevocationHard {
		j.warn("timestamp-authority-unchecked", "whether the timestamp authority was revoked is not known: %s", e.Time.AuthorityUnchecked)
	}
	switch {
	case sv.Revocation.Code == "revoked-later":
		j.warn("revoked-later", "the certificate was revoked after the message was signed: %s", e.Revocation.Reason)
	case sv.Revocation.Status == Indeterminate && j.policy.Revocation != RevocationHard:
		j.warnings = append(j.warnings, Warning{"revocation-unknown", sv.Revocation.Reason})
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// structure warns of what the layers and header fields are.
func (j *judge) structure(v *Verdict) {
	s := j.subject
	for _, l := range s.Layers {
		if e := l.Encrypted; e != nil && e.Decrypted && !e.Authenticated && v.Status != Passed {
			v.warn("not-authenticated", "the encryption does not notice alterations, and no good signature does")
		}
	}
	j.sender(v)
	if s.FromMismatch {
		inside, outside := orUnknown(displayed(s.From)), "missing"
		if i := slices.IndexFunc(s.Outer, func(o OuterField) bool { return strings.EqualFold(o.Name, "From") }); i >= 0 && s.Outer[i].Value != "" {
			outside = s.Outer[i].Value
		}
		if v.Bound() {
			v.warn("from-differs", "From is another outside the protection: %s", outside)
		} else {
			// RFC 9788 section 4.4.2: comparable to a warning of phishing.
			v.warn("from-mismatch", "From is %s inside the protection and %s outside, and no valid signature is bound to the one inside", inside, outside)
		}
	}
	for _, o := range s.Outer { // each has a name of its own, and there may be very many
		switch {
		case s.FromMismatch && strings.EqualFold(o.Name, "From"): // said above
		case o.Alone:
			v.add("header-differs", "%s is there only outside the protection: %s", o.Name, o.Value)
		case o.Value == "":
			v.add("header-differs", "%s is missing outside the protection", o.Name)
		default:
			v.add("header-differs", "%s is another outside the protection: %s", o.Name, o.Value)
		}
	}
	if j.innermost >= 0 && s.Protected && len(j.policy.Own) > 0 && !anyOwn(s.To, j.policy.Own) && !anyOwn(s.From, j.policy.Own) {
		v.warn("not-addressed-to-you", "this mail was not addressed to you")
	}
}

// sender warns of a From that others may take for somebody else, and of other fields that they may read otherwise.
func (j *judge) sender(v *Verdict) {
	from := j.subject.Sender
	if v.Status == Unsigned { // else a check says so
		switch {
		case from.Unreadable != "":
			v.warn("from-unreadable", "%s", from.Unreadable)
		case len(from.Addresses) > 1:
			v.warn("several-from", "%s", severalFrom(from.Addresses))
		}
	}
	for _, other := range from.Also {
		v.warn("from-name", "From also shows another address, as a name: %s", smime.DisplayAddress(other))
	}
	for _, address := range from.Addresses {
		if shown := smime.DisplayAddress(address); shown != address {
			v.warn("mixed-scripts", "the letters of %s can be taken for others: this is %s", address, shown)
		} else if smime.MixesScripts(address) {
			v.warn("mixed-scripts", "the letters of %s can be taken for others: it mixes scripts", address)
		}
	}
	for _, name := range j.subject.Repeated {
		if name != "From" || v.Status == Passed { // of From it was said
			v.warn("repeated-field", "%s is there more than once, and must not be: others may show another one", name)
		}
	}
}

func anyOwn(addresses, own []string) bool {
	return slices.ContainsFunc(addresses, func(a string) bool {
		return slices.ContainsFunc(own, func(mine string) bool { return smime.SameAddress(a, mine) })
	})
}

// worst returns the worse of two: failed, indeterminate, passed. Unsigned is no opinion.
func worst(a, b Status) Status {
	for _, s := range []Status{Failed, Indeterminate, Passed} {
		if a == s || b == s {
			return s
		}
	}
	return Unsigned
}
