package verdict_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/verdict"
)

var (
	now    = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	proven = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
)

// good is evidence of a signature with which nothing is wrong.
func good() verdict.Evidence {
	return verdict.Evidence{
		Time:       verdict.TimeEvidence{Token: true, Proven: proven, Authority: "Example TSA"},
		Chain:      verdict.ChainEvidence{Certificates: []string{"aa", "bb"}, Anchor: "Example CA"},
		Revocation: verdict.RevocationEvidence{Code: verdict.RevocationGood, At: now, Source: "OCSP"},
		Address:    verdict.AddressEvidence{From: []string{"alice@example.org"}, FromMatches: true},
	}
}

// signed is a message with one good signature over the whole.
func signed() verdict.Subject {
	return verdict.Subject{Layers: []verdict.Layer{{
		Covers: smime.CoversWhole, Signed: &verdict.Signed{Signatures: []verdict.Signature{{SigningTime: proven}}},
	}}}
}

// outcome is what a case expects of the one signature: status and code of each check.
type outcome struct {
	status                                         verdict.Status
	integrity, chain, revocation, address, timeVal string
	warnings                                       []string
}

func show(c verdict.Check) string {
	if c.Code == "" {
		return string(c.Status)
	}
	return string(c.Status) + " " + c.Code
}

// TestChecks goes through every row and column of the table of checks: each case changes one thing in a message with
// which nothing is wrong.
func TestChecks(t *testing.T) {
	type change func(s *verdict.Signature, e *verdict.Evidence, p *verdict.Policy)
	fine := outcome{verdict.Passed, "passed", "passed", "passed", "passed", "passed", nil}
	with := func(f func(*outcome)) outcome {
		o := fine
		f(&o)
		return o
	}
	bad := func(err error) change {
		return func(s *verdict.Signature, _ *verdict.Evidence, _ *verdict.Policy) {
			s.Err = fmt.Errorf("part 2: %w", err)
		}
	}
	weak := &cms.WeakError{What: "SHA-1"}
	tests := map[string]struct {
		change change
		want   outcome
	}{
		"nothing is wrong": {func(*verdict.Signature, *verdict.Evidence, *verdict.Policy) {}, fine},

		// integrity
		"content altered":    {bad(cms.ErrMessageDigest), with(func(o *outcome) { o.status, o.integrity = "failed", "failed digest-mismatch" })},
		"signature altered":  {bad(cms.ErrSignature), with(func(o *outcome) { o.status, o.integrity = "failed", "failed signature-invalid" })},
		"attribute missing":  {bad(cms.ErrMissingAttribute), with(func(o *outcome) { o.status, o.integrity = "failed", "failed signed-attributes" })},
		"attribute twice":    {bad(cms.ErrDuplicateAttribute), with(func(o *outcome) { o.status, o.integrity = "failed", "failed signed-attributes" })},
		"attributes shown":   {bad(cms.ErrAttributesAsContent), with(func(o *outcome) { o.status, o.integrity = "failed", "failed attributes-as-content" })},
		"other content type": {bad(cms.ErrContentType), with(func(o *outcome) { o.status, o.integrity = "failed", "failed content-type" })},
		"other certificate":  {bad(cms.ErrSigningCertificate), with(func(o *outcome) { o.status, o.integrity = "failed", "failed signing-certificate" })},
		"MD5":                {bad(cms.ErrBrokenDigest), with(func(o *outcome) { o.status, o.integrity = "failed", "failed broken-digest" })},
		"two contents":       {bad(smime.ErrTwoContents), with(func(o *outcome) { o.status, o.integrity = "failed", "failed two-contents" })},
		"content beside":     {bad(smime.ErrNotDetached), with(func(o *outcome) { o.status, o.integrity = "failed", "failed two-contents" })},
		"no content":         {bad(smime.ErrNoContent), with(func(o *outcome) { o.status, o.integrity = "failed", "failed no-content" })},
		"broken structure":   {bad(smime.ErrStructure), with(func(o *outcome) { o.status, o.integrity = "failed", "failed structure" })},
		"malformed":          {bad(cms.ErrTrailing), with(func(o *outcome) { o.status, o.integrity = "failed", "failed malformed" })},
		"something else":     {bad(errors.New("x")), with(func(o *outcome) { o.status, o.integrity = "failed", "failed signature-invalid" })},
		"weak":               {bad(weak), with(func(o *outcome) { o.status, o.integrity = "indeterminate", "indeterminate weak-algorithm" })},
		"weak, allowed": {func(s *verdict.Signature, _ *verdict.Evidence, _ *verdict.Policy) { s.Weak = weak },
			with(func(o *outcome) { o.integrity, o.warnings = "passed weak-algorithm", []string{"weak-algorithm"} })},
		"unsupported":    {bad(&cms.UnsupportedError{What: "x"}), with(func(o *outcome) { o.status, o.integrity = "indeterminate", "indeterminate unsupported-algorithm" })},
		"no certificate": {bad(smime.ErrNoCertificate), with(func(o *outcome) { o.status, o.integrity = "indeterminate", "indeterminate no-certificate" })},

		// chain
		"no evidence of a chain": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) { e.Chain = verdict.ChainEvidence{} },
			with(func(o *outcome) { o.status, o.chain = "indeterminate", "indeterminate not-checked" })},

		// revocation
		"unknown, soft": {func(_ *verdict.Signature, e *verdict.Evidence, p *verdict.Policy) {
			e.Revocation, p.Revocation = verdict.RevocationEvidence{Code: verdict.RevocationUnknown}, verdict.RevocationSoft
		}, with(func(o *outcome) {
			o.revocation, o.warnings = "indeterminate unknown", []string{"revocation-unknown"}
		})},
		"no evidence of revocation": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Revocation = verdict.RevocationEvidence{}
		}, with(func(o *outcome) {
			o.revocation, o.warnings = "indeterminate unknown", []string{"revocation-unknown"}
		})},
		"unknown, hard": {func(_ *verdict.Signature, e *verdict.Evidence, p *verdict.Policy) {
			e.Revocation, p.Revocation = verdict.RevocationEvidence{}, verdict.RevocationHard
		}, with(func(o *outcome) { o.status, o.revocation = "indeterminate", "indeterminate unknown" })},
		"good, hard": {func(_ *verdict.Signature, _ *verdict.Evidence, p *verdict.Policy) {
			p.Revocation = verdict.RevocationHard
		}, fine},
		"revoked, off": {func(_ *verdict.Signature, e *verdict.Evidence, p *verdict.Policy) {
			e.Revocation.Code, p.Revocation = verdict.RevocationRevoked, verdict.RevocationOff
		}, with(func(o *outcome) { o.revocation = "skipped off" })},
		"revoked before": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Revocation = verdict.RevocationEvidence{Code: verdict.RevocationRevoked, At: proven.Add(-time.Hour)}
		}, with(func(o *outcome) { o.status, o.revocation = "failed", "failed revoked" })},
		"revoked at that moment": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Revocation = verdict.RevocationEvidence{Code: verdict.RevocationRevoked, At: proven}
		}, with(func(o *outcome) { o.status, o.revocation = "failed", "failed revoked" })},
		"revoked, nobody says when": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Revocation = verdict.RevocationEvidence{Code: verdict.RevocationRevoked}
		}, with(func(o *outcome) { o.status, o.revocation = "failed", "failed revoked" })},
		"revoked later": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Revocation = verdict.RevocationEvidence{Code: verdict.RevocationRevoked, At: proven.Add(time.Hour)}
		}, with(func(o *outcome) { o.revocation, o.warnings = "passed revoked-later", []string{"revoked-later"} })},
		"revoked later, time not proven": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Revocation = verdict.RevocationEvidence{Code: verdict.RevocationRevoked, At: proven.Add(time.Hour)}
			e.Time = verdict.TimeEvidence{}
		}, with(func(o *outcome) {
			o.status, o.revocation, o.timeVal = "failed", "failed revoked", "indeterminate no-token"
		})},
		"key compromised after": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Revocation = verdict.RevocationEvidence{Code: verdict.RevocationRevoked, KeyCompromise: true, At: proven.Add(2 * time.Hour), Invalidity: proven.Add(time.Hour)}
		}, with(func(o *outcome) { o.revocation, o.warnings = "passed revoked-later", []string{"revoked-later"} })},
		"key compromised before, revoked after": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Revocation = verdict.RevocationEvidence{Code: verdict.RevocationRevoked, KeyCompromise: true, At: proven.Add(time.Hour), Invalidity: proven.Add(-time.Hour)}
		}, with(func(o *outcome) { o.status, o.revocation = "failed", "failed revoked" })},
		"key compromised, revoked in future, time not proven": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Revocation = verdict.RevocationEvidence{Code: verdict.RevocationRevoked, KeyCompromise: true, At: now.Add(time.Hour)}
			e.Time = verdict.TimeEvidence{}
		}, with(func(o *outcome) {
			o.status, o.revocation, o.timeVal = "failed", "failed revoked", "indeterminate no-token"
		})},

		// address
		"From missing": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Address = verdict.AddressEvidence{}
		},
			with(func(o *outcome) { o.status, o.address = "failed", "failed no-from" })},
		"no message at all": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Address = verdict.AddressEvidence{NoMessage: true}
		},
			with(func(o *outcome) { o.address = "skipped no-message" })},
		"no message, and a From all the same": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Address.NoMessage, e.Address.FromMatches = true, false
		},
			with(func(o *outcome) { o.status, o.address = "failed", "failed address-mismatch" })},
		"From not in the certificate": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) { e.Address.FromMatches = false },
			with(func(o *outcome) { o.status, o.address = "failed", "failed address-mismatch" })},
		"nothing to compare From with": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Address.FromMatches, e.Address.NoCertificate = false, true
		}, with(func(o *outcome) { o.status, o.address = "indeterminate", "indeterminate no-certificate" })},
		"several in From": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Address.From = append(e.Address.From, "mallory@example.org")
		}, with(func(o *outcome) { o.status, o.address = "failed", "failed several-from" })},
		"several in From, Sender signs": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Address = verdict.AddressEvidence{From: []string{"a@x", "b@x"}, Sender: "a@x", SenderMatches: true}
		}, with(func(o *outcome) { o.status, o.address = "failed", "failed several-from" })},
		"From unreadable": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) { e.Address.Unreadable = true },
			with(func(o *outcome) { o.status, o.address = "failed", "failed from-unreadable" })},
		"on behalf": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Address = verdict.AddressEvidence{From: []string{"f@x"}, Sender: "s@x", SenderMatches: true}
		}, with(func(o *outcome) { o.status, o.address = "indeterminate", "indeterminate on-behalf" })},
		"Sender not in the certificate either": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Address = verdict.AddressEvidence{From: []string{"f@x"}, Sender: "s@x"}
		}, with(func(o *outcome) { o.status, o.address = "failed", "failed address-mismatch" })},

		// time: never lowers the verdict by itself
		"no token": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) { e.Time = verdict.TimeEvidence{} },
			with(func(o *outcome) { o.timeVal = "indeterminate no-token" })},
		"token broken": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Time.Code = verdict.TimeTokenBroken
		},
			with(func(o *outcome) { o.timeVal, o.warnings = "failed token-broken", []string{"time-token-broken"} })},
		"token for another signature": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Time.Code = verdict.TimeTokenMismatch
		},
			with(func(o *outcome) { o.timeVal, o.warnings = "failed token-mismatch", []string{"time-token-mismatch"} })},
		"authority not trusted": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Time.Code = verdict.TimeUntrustedAuthority
		}, with(func(o *outcome) {
			o.timeVal, o.warnings = "indeterminate untrusted-authority", []string{"time-untrusted-authority"}
		})},
		"token without a time": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) { e.Time.Proven = time.Time{} },
			with(func(o *outcome) { o.timeVal, o.warnings = "indeterminate", []string{"time-unknown"} })},
		"authority expired since": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Time.AuthorityEnds = now.Add(-time.Second)
		},
			with(func(o *outcome) { o.warnings = []string{"timestamp-authority-expired"} })},
		"authority not looked up, hard": {func(_ *verdict.Signature, e *verdict.Evidence, p *verdict.Policy) {
			e.Time.AuthorityUnchecked, p.Revocation = "nobody answers", verdict.RevocationHard
		}, with(func(o *outcome) { o.warnings = []string{"timestamp-authority-unchecked"} })},
		"authority not looked up, soft": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) {
			e.Time.AuthorityUnchecked = "nobody answers"
		}, fine},
		"authority about to expire": {func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) { e.Time.AuthorityEnds = now }, fine},
		"claimed five minutes off": {func(s *verdict.Signature, _ *verdict.Evidence, _ *verdict.Policy) {
			s.SigningTime = proven.Add(5 * time.Minute)
		}, fine},
		"claimed more than five minutes off": {func(s *verdict.Signature, _ *verdict.Evidence, _ *verdict.Policy) {
			s.SigningTime = proven.Add(-5*time.Minute - time.Second)
		}, with(func(o *outcome) { o.warnings = []string{"signing-time"} })},
		"no time claimed": {func(s *verdict.Signature, _ *verdict.Evidence, _ *verdict.Policy) { s.SigningTime = time.Time{} }, fine},
	}
	for code, status := range map[verdict.ChainCode]verdict.Status{
		verdict.ChainNoAnchor: verdict.Indeterminate, verdict.ChainExpired: verdict.Indeterminate,
		verdict.ChainUnsupportedCertificate: verdict.Indeterminate,
		verdict.ChainNotYetValid:            verdict.Failed, verdict.ChainKeyUsage: verdict.Failed,
		verdict.ChainExtendedKeyUsage: verdict.Failed, verdict.ChainNotACA: verdict.Failed,
		verdict.ChainNameConstraints: verdict.Failed, verdict.ChainPathLength: verdict.Failed,
		verdict.ChainBadSignature: verdict.Failed, verdict.ChainCriticalExtension: verdict.Failed,
		verdict.ChainInvalid: verdict.Failed, "a new word": verdict.Failed,
	} {
		test := tests["nothing is wrong"]
		test.change = func(_ *verdict.Signature, e *verdict.Evidence, _ *verdict.Policy) { e.Chain.Code = code }
		test.want = with(func(o *outcome) { o.status, o.chain = status, string(status)+" "+string(code) })
		tests["chain "+string(code)] = test
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, e, p := signed(), good(), verdict.Policy{Now: now}
			test.change(&s.Layers[0].Signed.Signatures[0], &e, &p)
			v := verdict.Judge(s, [][]verdict.Evidence{{e}}, p)
			if len(v.Signatures) != 1 {
				t.Fatalf("%d signatures", len(v.Signatures))
			}
			sv := v.Signatures[0]
			got := outcome{sv.Status, show(sv.Integrity), show(sv.Chain), show(sv.Revocation), show(sv.Address), show(sv.Time), codes(v)}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(outcome{})); diff != "" {
				t.Error(diff)
			}
			if v.Status != sv.Status || !sv.Judged {
				t.Errorf("message %s, signature %s, judged %v", v.Status, sv.Status, sv.Judged)
			}
			if v.Bound() != (v.Status == verdict.Passed) {
				t.Error("bound")
			}
			for _, c := range []verdict.Check{sv.Integrity, sv.Chain, sv.Revocation, sv.Address} {
				if c.Status != verdict.Passed && c.Code == "" {
					t.Errorf("no code: %+v", c)
				}
			}
		})
	}
}

func codes(v verdict.Verdict) []string {
	var list []string
	for _, w := range v.Warnings {
		list = append(list, w.Code)
	}
	return list
}

func TestTimeThatCounts(t *testing.T) {
	for _, test := range []struct {
		evidence verdict.TimeEvidence
		want     time.Time
	}{
		{verdict.TimeEvidence{}, now},
		{verdict.TimeEvidence{Token: true, Proven: proven}, proven},
		{verdict.TimeEvidence{Token: true, Proven: proven, Code: verdict.TimeUntrustedAuthority}, now},
		{verdict.TimeEvidence{Token: true}, now},
		{verdict.TimeEvidence{Proven: proven}, now},
	} {
		if got := verdict.TimeThatCounts(test.evidence, now); !got.Equal(test.want) {
			t.Errorf("%+v: %v", test.evidence, got)
		}
	}
}
