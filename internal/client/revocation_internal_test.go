package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/verdict"
)

// TestRevocationOfPath: of what is said about the certificates of a path counts what holds back the signature most.
func TestRevocationOfPath(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	proof := verdict.TimeEvidence{Token: true, Proven: now.AddDate(0, -2, 0)} // the time that counts
	before, after := now.AddDate(0, -3, 0), now.AddDate(0, -1, 0)
	good, unknown := revocation.Answer{Status: revocation.Good, At: now}, revocation.Answer{Why: "nobody answers"}
	revoked := func(at time.Time) revocation.Answer { return revocation.Answer{Status: revocation.Revoked, At: at} }
	stolen := func(at, invalid time.Time) revocation.Answer {
		return revocation.Answer{Status: revocation.Revoked, At: at, KeyCompromise: true, Invalidity: invalid}
	}
	path := []*x509.Certificate{{}, {}, {}}
	for _, test := range []struct {
		name         string
		leaf, issuer revocation.Answer
		proof        verdict.TimeEvidence
		mode         verdict.RevocationMode
		want         verdict.Status
		code         string
	}{
		{"all good", good, good, proof, verdict.RevocationHard, verdict.Passed, ""},
		{"revoked before", good, revoked(before), proof, verdict.RevocationSoft, verdict.Failed, "revoked"},
		{"revoked after", good, revoked(after), proof, verdict.RevocationSoft, verdict.Passed, "revoked-later"},
		{"stolen after, authority revoked before", stolen(after, after), revoked(before), proof, verdict.RevocationSoft, verdict.Failed, "revoked"},
		{"stolen after, authority never dated", stolen(after, after), revoked(time.Time{}), proof, verdict.RevocationSoft, verdict.Failed, "revoked"},
		{"stolen before, found after", stolen(after, before), good, proof, verdict.RevocationSoft, verdict.Failed, "revoked"},
		{"stolen and revoked before, suspected after", stolen(before, after), good, proof, verdict.RevocationSoft, verdict.Failed, "revoked"},
		{"stolen after, without proof of the time", stolen(after, after), unknown, verdict.TimeEvidence{}, verdict.RevocationSoft, verdict.Failed, "revoked"},
		{"revoked after, authority unknown", revoked(after), unknown, proof, verdict.RevocationHard, verdict.Indeterminate, "unknown"},
		{"revoked before, authority unknown", revoked(before), unknown, proof, verdict.RevocationHard, verdict.Failed, "revoked"},
	} {
		for _, answers := range [][]revocation.Answer{{test.leaf, test.issuer}, {test.issuer, test.leaf}} {
			e := verdict.Evidence{Time: test.proof, Revocation: revocationEvidence(path, answers, test.proof, now)}
			got := verdictOn(e, verdict.Policy{Now: now, Revocation: test.mode})
			if got.Status != test.want || got.Code != test.code {
				t.Errorf("%s: %v %q, want %v %q", test.name, got.Status, got.Code, test.want, test.code)
			}
		}
	}
}

// TestRevocationOfLeafFirst: where all is good, what is told is who said so of the leaf.
func TestRevocationOfLeafFirst(t *testing.T) {
	leaf := revocation.Answer{Status: revocation.Good, Source: revocation.SourceOCSP, At: time.Unix(2, 0)}
	issuer := revocation.Answer{Status: revocation.Good, Source: revocation.SourceCRL, At: time.Unix(1, 0)}
	e := revocationEvidence([]*x509.Certificate{{}, {}, {}}, []revocation.Answer{leaf, issuer}, verdict.TimeEvidence{}, time.Unix(3, 0))
	if e.Source != revocation.SourceOCSP {
		t.Errorf("%+v", e)
	}
}

// verdictOn is the check of revocation in the verdict on one good signature.
func verdictOn(e verdict.Evidence, p verdict.Policy) verdict.Check {
	s := verdict.Subject{Layers: []verdict.Layer{{Covers: smime.CoversWhole, Signed: &verdict.Signed{Signatures: []verdict.Signature{{}}}}}}
	return verdict.Judge(s, [][]verdict.Evidence{{e}}, p).Signatures[0].Revocation
}

// TestRevocationAskedOnce: what was found out is remembered for the same path and time, where the message brought nothing along.
func TestRevocationAskedOnce(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	path := []*x509.Certificate{cert} // nothing is to be asked about an anchor
	r := &revocations{now: now, checker: &revocation.Checker{}}
	check := func(given revocation.Evidence, at time.Time) int {
		t.Helper()
		answers, err := r.check(t.Context(), path, given, at)
		if err != nil {
			t.Fatal(err)
		}
		return len(answers)
	}
	if n := check(revocation.Evidence{}, now); n != 0 || len(r.asked) != 1 {
		t.Fatalf("%d answers, and %d are remembered", n, len(r.asked))
	}
	for q := range r.asked {
		r.asked[q] = []revocation.Answer{{Status: revocation.Revoked}}
	}
	if n := check(revocation.Evidence{}, now.In(time.FixedZone("", 3600))); n != 1 {
		t.Error("what is remembered was asked again")
	}
	if n := check(revocation.Evidence{CRLs: [][]byte{{0}}}, now); n != 0 {
		t.Error("what the message brings along was not looked at")
	}
	if n := check(revocation.Evidence{}, now.Add(-time.Second)); n != 0 {
		t.Error("the answer for one time was given for another")
	}
	for i := range 2 * maxAsked {
		check(revocation.Evidence{}, now.Add(-time.Duration(i)*time.Second))
	}
	if n := len(r.asked); n > maxAsked {
		t.Errorf("%d answers are remembered", n)
	}
}
