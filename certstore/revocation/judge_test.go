package revocation

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// TestTimes judges a revocation, and its absence, at times before and after it and its evidence.
func TestTimes(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf")
	short := issue(t, &root, "Short", func(c *x509.Certificate) { c.NotAfter = epoch().AddDate(0, -1, 0) })
	day := func(n int) time.Time { return epoch().AddDate(0, 0, n) }
	since := func(t time.Time) []byte {
		var b cryptobyte.Builder
		b.AddASN1GeneralizedTime(t)
		return b.BytesOrPanic()
	}
	answer := func(c holder, this, next time.Time, revoked bool, extensions ...extension) response {
		s := single{c: c, issuer: root, status: Good, this: this, next: next, extensions: extensions}
		if revoked {
			s.status, s.at = Revoked, day(-10)
		}
		return response{by: root, produced: this, singles: []single{s}}
	}
	listed := func(c holder, this, next time.Time, revoked bool, extensions ...extension) list {
		l := list{by: root, this: this, next: next, extensions: extensions}
		if revoked {
			l.entries = []entry{{serial: c.SerialNumber, date: day(-10)}}
		}
		return l
	}
	tests := []struct {
		name       string
		c          holder
		this, next time.Time
		revoked    bool
		archive    time.Time
		at         time.Time
		status     Status
	}{
		{"good now", leaf, day(-1), day(1), false, time.Time{}, day(0), Good},
		{"good, said later than the time that counts", leaf, day(-1), day(1), false, time.Time{}, day(-20), Good},
		{"good, said before, in time", leaf, day(-21), day(-19), false, time.Time{}, day(-20), Good},
		{"good, said too long before", leaf, day(-30), day(-21), false, time.Time{}, day(-20), Unknown},
		{"good, said later, without nextUpdate", leaf, day(-1), absent, false, time.Time{}, day(-20), Good},
		{"revoked, said later", leaf, day(-1), day(1), true, time.Time{}, day(-20), Revoked},
		{"revoked, before", leaf, day(-1), day(1), true, time.Time{}, day(-5), Revoked},
		{"good, said after it expired", short, day(-1), day(1), false, time.Time{}, day(-60), Unknown},
		{"good, said after it expired, kept in mind from before", short, day(-1), day(1), false, day(-90), day(-60), Good},
		{"good, said after it expired, kept in mind from after", short, day(-1), day(1), false, day(-20), day(-60), Unknown},
		{"revoked, said after it expired", short, day(-1), day(1), true, time.Time{}, day(-60), Revoked},
		{"good, said before it expired", short, day(-70), day(-50), false, time.Time{}, day(-60), Good},
	}
	for _, test := range tests {
		var archive, expired []extension
		if !test.archive.IsZero() {
			archive = []extension{{oidArchiveCutoff, false, since(test.archive)}}
			expired = []extension{{oidExpiredCertsOnCRL, false, since(test.archive)}}
		}
		for source, given := range map[string]Evidence{
			SourceOCSP: {OCSPResponses: [][]byte{answer(test.c, test.this, test.next, test.revoked, archive...).der(t)}},
			SourceCRL:  {CRLs: [][]byte{listed(test.c, test.this, test.next, test.revoked, expired...).der(t)}},
		} {
			a := check(t, pathOf(test.c, root), given, test.at, epoch())
			if a.Status != test.status {
				t.Errorf("%s, by %s: %s", test.name, source, describe(a))
			}
			wantAt := test.this
			if test.revoked {
				wantAt = day(-10)
			}
			if a.Status != Unknown && !a.At.Equal(wantAt) {
				t.Errorf("%s, by %s: at %v", test.name, source, a.At)
			}
		}
	}
}

// TestSignerInTime has evidence whose signer was valid when the path was, and not any more when it spoke.
func TestSignerInTime(t *testing.T) {
	root := newRoot(t, "Root")
	ca := issue(t, &root, "CA", authority, func(c *x509.Certificate) { c.NotAfter = epoch().AddDate(0, -1, 0) })
	leaf := issue(t, &ca, "Leaf")
	path := pathOf(leaf, ca, root)
	at := epoch().AddDate(0, -2, 0)
	for name, given := range map[string]Evidence{
		"list":     {CRLs: [][]byte{list{by: ca}.der(t)}},
		"response": {OCSPResponses: [][]byte{response{by: ca, singles: []single{{c: leaf, issuer: ca, status: Good}}}.der(t)}},
	} {
		if a := check(t, path, given, at, epoch()); a.Status != Unknown || !strings.Contains(a.Why, "expired") {
			t.Errorf("%s: %s", name, describe(a))
		}
	}
}

// TestWorst has sources that disagree.
func TestWorst(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf")
	good := response{by: root, singles: []single{{c: leaf, issuer: root, status: Good}}}.der(t)
	revoked := response{by: root, singles: []single{{c: leaf, issuer: root, status: Revoked, at: epoch().AddDate(0, 0, -2)}}}.der(t)
	listed := list{by: root, entries: []entry{{serial: leaf.SerialNumber, date: epoch().AddDate(0, 0, -3)}}}.der(t)
	tests := []struct {
		name   string
		given  Evidence
		status Status
		source string
	}{
		{"two responses", Evidence{OCSPResponses: [][]byte{good, revoked}}, Revoked, SourceOCSP},
		{"in the other order", Evidence{OCSPResponses: [][]byte{revoked, good}}, Revoked, SourceOCSP},
		{"a response and a list", Evidence{OCSPResponses: [][]byte{good}, CRLs: [][]byte{listed}}, Revoked, SourceCRL},
		{"a response and nothing in a list", Evidence{OCSPResponses: [][]byte{good}, CRLs: [][]byte{list{by: root}.der(t)}}, Good, SourceOCSP},
		{"a response, and rubbish", Evidence{OCSPResponses: [][]byte{{1}, good}, CRLs: [][]byte{{2}}, Certificates: [][]byte{{3}}}, Good, SourceOCSP},
	}
	for _, test := range tests {
		if a := check(t, pathOf(leaf, root), test.given, epoch(), epoch()); a.Status != test.status || a.Source != test.source {
			t.Errorf("%s: %s", test.name, describe(a))
		}
	}
}

// TestInput has questions that make no sense, and too much evidence.
func TestInput(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf")
	path := pathOf(leaf, root)
	tests := []struct {
		name    string
		path    []*certpath.Certificate
		at, now time.Time
	}{
		{"no path", nil, epoch(), epoch()},
		{"no time", path, time.Time{}, epoch()},
		{"no present", path, epoch(), time.Time{}},
		{"the future", path, epoch().Add(time.Hour), epoch()},
	}
	for _, test := range tests {
		if _, err := new(Checker).Check(t.Context(), test.path, Evidence{}, test.at, test.now); !errors.Is(err, ErrInput) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	answers, err := new(Checker).Check(t.Context(), pathOf(root), Evidence{}, epoch(), epoch())
	if len(answers) != 0 || err != nil {
		t.Errorf("an anchor: %v, %v", answers, err)
	}
	var given Evidence
	for range maxGiven {
		given.OCSPResponses = append(given.OCSPResponses, []byte{1})
	}
	given.OCSPResponses = append(given.OCSPResponses, response{by: root, singles: []single{{c: leaf, issuer: root, status: Good}}}.der(t))
	if a := check(t, path, given, epoch(), epoch()); a.Status != Unknown || !strings.Contains(a.Why, "of 65 OCSP responses that were given the first 64 were looked at") {
		t.Errorf("too much: %s", describe(a))
	}
}
