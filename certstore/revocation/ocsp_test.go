package revocation

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/ocsp"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// TestResponses has one rule in each line, kept or broken once, with what the answer is and why.
func TestResponses(t *testing.T) {
	root := newRoot(t, "Root")
	ca := issue(t, &root, "CA", authority)
	namesake := newRoot(t, "CA")
	leaf := issue(t, &ca, "Leaf")
	other := issue(t, &ca, "Other")
	path := pathOf(leaf, ca, root)

	delegate := issue(t, &ca, "Responder", responder)
	plain := issue(t, &ca, "Responder", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	anything := issue(t, &ca, "Responder", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })
	noSignatures := issue(t, &ca, "Responder", responder, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	expired := issue(t, &ca, "Responder", responder, func(c *x509.Certificate) { c.NotAfter = epoch().AddDate(0, 0, -1) })
	critical := issue(t, &ca, "Responder", responder, func(c *x509.Certificate) {
		certificateExtension(t, "1.2.3.4", []byte{5, 0})(c)
		c.ExtraExtensions[0].Critical = true
	})
	ofRoot := issue(t, &root, "Responder", responder)
	ofNamesake := issue(t, &namesake, "Responder", responder)
	indirectly := issue(t, &delegate, "Responder 2", responder)

	hour := epoch().Add(-time.Hour)
	good := []single{{c: leaf, issuer: ca, status: Good}}
	one := func(change func(*single)) []single {
		s := good[0]
		change(&s)
		return []single{s}
	}
	unknown := extension{parseOID(t, "1.2.3.4"), true, []byte{5, 0}}
	var past cryptobyte.Builder
	past.AddASN1GeneralizedTime(hour.AddDate(0, 0, -3))
	date := past.BytesOrPanic()

	tests := []struct {
		name     string
		response response
		status   Status
		why      string
	}{
		{"by the issuer", response{by: ca, singles: good}, Good, "said on 2026-11-21 11:00 UTC that it is good"},
		{"by the issuer, named by key", response{by: ca, byKey: true, singles: good}, Good, ""},
		{"by a delegate", response{by: delegate, singles: good, attached: []holder{delegate}}, Good, ""},
		{"by a delegate, named by key", response{by: delegate, byKey: true, singles: good, attached: []holder{other, delegate}}, Good, ""},
		{"of several answers", response{by: ca, singles: append([]single{{c: other, issuer: ca, status: Revoked, at: hour}}, good...)}, Good, ""},
		{"of several about it, the worst", response{by: ca, singles: append(one(func(s *single) { s.status, s.at = Revoked, hour }), good...)}, Revoked, ""},
		{"revoked", response{by: ca, singles: one(func(s *single) { s.status, s.at, s.reason = Revoked, hour, ReasonAACompromise })}, Revoked, "since 2026-11-21 11:00 UTC: aACompromise (OCSP)"},
		{"revoked, with a date", response{by: ca, singles: one(func(s *single) {
			s.status, s.at, s.extensions = Revoked, hour, []extension{{oidInvalidityDate, true, date}}
		})}, Revoked, ""},
		{"not known", response{by: ca, singles: one(func(s *single) { s.status = Unknown })}, Unknown, "does not know the certificate"},

		{"about another certificate", response{by: ca, singles: []single{{c: other, issuer: ca, status: Good}}}, Unknown, "neither a list nor a responder"},
		{"about a certificate of another issuer", response{by: ca, singles: []single{{c: leaf, issuer: namesake, status: Good}}}, Unknown, "neither a list nor a responder"},
		{"by somebody with the issuer's name", response{by: namesake, singles: good}, Unknown, "the signature does not verify"},
		{"by the issuer's issuer", response{by: root, singles: good}, Unknown, "neither by the issuer"},
		{"by nobody who is known", response{by: delegate, singles: good}, Unknown, "neither by the issuer"},
		{"by a delegate of the root", response{by: ofRoot, singles: good, attached: []holder{ofRoot}}, Unknown, "neither by the issuer"},
		{"by a delegate of a namesake", response{by: ofNamesake, singles: good, attached: []holder{ofNamesake}}, Unknown, "does not hold"},
		{"by a delegate of a delegate", response{by: indirectly, singles: good, attached: []holder{indirectly, delegate}}, Unknown, "neither by the issuer"},
		{"by a certificate for no OCSP", response{by: plain, singles: good, attached: []holder{plain}}, Unknown, "not for OCSP signing"},
		{"by a certificate for everything", response{by: anything, singles: good, attached: []holder{anything}}, Unknown, "not for OCSP signing"},
		{"by a key for no signatures", response{by: noSignatures, singles: good, attached: []holder{noSignatures}}, Unknown, "not for signatures"},
		{"by a delegate that expired", response{by: expired, singles: good, attached: []holder{expired}}, Unknown, "expired on 2026-11-20"},
		{"by a delegate with a critical extension", response{by: critical, singles: good, attached: []holder{critical}}, Unknown, "critical extension that is not understood"},
		{"the leaf speaks for itself", response{by: leaf, singles: good, attached: []holder{leaf}}, Unknown, "not for OCSP signing"},
		{"named another than signed", response{by: plain, singles: good, attached: []holder{delegate}}, Unknown, "the signature does not verify"},

		{"out of date", response{by: ca, singles: one(func(s *single) { s.this = epoch().AddDate(0, 0, -3) })}, Unknown, "out of date since 2026-11-19"},
		{"out of date, and revoked", response{by: ca, singles: one(func(s *single) { s.this, s.status, s.at = epoch().AddDate(0, 0, -3), Revoked, hour.AddDate(0, 0, -4) })}, Revoked, ""},
		{"out of date, and on hold", response{by: ca, singles: one(func(s *single) {
			s.this, s.status, s.at, s.reason = epoch().AddDate(0, 0, -3), Revoked, hour.AddDate(0, 0, -4), ReasonCertificateHold
		})}, Unknown, "out of date"},
		{"without nextUpdate", response{by: ca, singles: one(func(s *single) { s.next = absent })}, Unknown, "promises nothing"},
		{"without nextUpdate, made now", response{by: ca, singles: one(func(s *single) { s.this, s.next = epoch().Add(-4*time.Minute), absent })}, Good, ""},
		{"in the future", response{by: ca, produced: epoch().Add(6 * time.Minute), singles: one(func(s *single) { s.this = epoch().Add(6 * time.Minute) })}, Unknown, "dated in the future"},
		{"produced in the future", response{by: ca, produced: epoch().Add(6 * time.Minute), singles: good}, Unknown, "dated in the future"},
		{"of a time after it was made", response{by: ca, produced: hour, singles: one(func(s *single) { s.this = hour.Add(6 * time.Minute) })}, Unknown, "after it was made"},
		{"nextUpdate before thisUpdate", response{by: ca, singles: one(func(s *single) { s.next = hour.Add(-time.Second) })}, Unknown, "before its thisUpdate"},

		{"a critical extension", response{by: ca, singles: good, extensions: []extension{unknown}}, Unknown, "not understood (1.2.3.4)"},
		{"a critical extension of the answer", response{by: ca, singles: one(func(s *single) { s.extensions = []extension{unknown} })}, Unknown, "not understood (1.2.3.4)"},
		{"the extension about what was never issued", response{by: ca, singles: good, extensions: []extension{{oidExtRevoked, true, []byte{5, 0}}}}, Good, ""},
		{"other extensions", response{by: ca, singles: good, extensions: []extension{{unknown.id, false, unknown.value}}}, Good, ""},
		{"a malformed nonce", response{by: ca, singles: good, extensions: []extension{{oidNonce, false, []byte{1}}}}, Unknown, "nonce is malformed"},
		{"a malformed archiveCutoff", response{by: ca, singles: one(func(s *single) { s.extensions = []extension{{oidArchiveCutoff, false, []byte{1}}} })}, Unknown, "archiveCutoff is malformed"},
		{"a malformed invalidityDate", response{by: ca, singles: one(func(s *single) { s.extensions = []extension{{oidInvalidityDate, false, []byte{1}}} })}, Unknown, "invalidityDate is malformed"},
		{"altered", response{by: ca, singles: good, extensions: []extension{{unknown.id, false, []byte("was")}}}, Unknown, "the signature does not verify"},
		{"of another type", response{by: ca, singles: good, kind: oidNonce}, Unknown, "a response of the type 1.3.6.1.5.5.7.48.1.2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			der := test.response.der(t)
			if test.name == "altered" {
				der = bytes.Replace(der, []byte("was"), []byte("is!"), 1)
			}
			a := check(t, path, Evidence{OCSPResponses: [][]byte{der}}, epoch(), epoch())
			if a.Status != test.status || !strings.Contains(a.Why, test.why) {
				t.Errorf("%s", describe(a))
			}
			if (a.Status == Unknown) != strings.HasPrefix(a.Why, "no answer about revocation could be had: ") {
				t.Errorf("%v: %s", a.Status, a.Why)
			}
			if (a.Status == Unknown) != (len(a.Evidence.OCSPResponses) == 0) || a.Status != Unknown && a.Source != SourceOCSP {
				t.Errorf("%d responses as evidence, by %q", len(a.Evidence.OCSPResponses), a.Source)
			}
			if a.Status == Revoked && a.KeyCompromise != (a.Reason == "aACompromise") {
				t.Errorf("key compromise: %v", a.KeyCompromise)
			}
			if test.name == "revoked, with a date" && !a.Invalidity.Equal(hour.AddDate(0, 0, -3)) {
				t.Errorf("invalidity %v", a.Invalidity)
			}
		})
	}
}

func TestResponderError(t *testing.T) {
	for status, name := range map[byte]string{1: "malformedRequest", 2: "internalError", 3: "tryLater", 5: "sigRequired", 6: "unauthorized", 9: "responseStatus 9"} {
		_, err := ParseResponse(wrapResponse(t, status, oidBasic, nil))
		var refused *ResponderError
		if !errors.As(err, &refused) || refused.Status != int(status) || !strings.Contains(err.Error(), name) {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

func TestMalformedResponse(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf")
	whole := response{by: root, singles: []single{{c: leaf, issuer: root, status: Revoked, at: epoch()}}}.der(t)
	singles := make([]single, maxSingles+1)
	attached := make([]holder, maxResponderCert+1)
	for i := range singles {
		singles[i] = single{c: leaf, issuer: root, status: Good}
	}
	for i := range attached {
		attached[i] = root
	}
	tests := []struct {
		name string
		der  []byte
		why  string
	}{
		{"nothing", nil, "no response"},
		{"something behind it", append(bytes.Clone(whole), 0), "no response"},
		{"cut off", whole[:len(whole)-1], "no response"},
		{"too large", make([]byte, MaxResponse+1), "65537 octets"},
		{"success without an answer", wrapResponse(t, 0, oidBasic, nil), "responseBytes"},
		{"failure with an answer", wrapResponse(t, 3, oidBasic, []byte{5, 0}), "follows the status"},
		{"an answer of nothing", wrapResponse(t, 0, oidBasic, []byte{5, 0}), "the basic response"},
		{"a status that does not exist", bytes.Replace(whole, []byte{0xa1, 0x16, 0x18}, []byte{0xa3, 0x16, 0x18}, 1), "the status of a certificate"},
		{"version 2", response{by: root, head: []byte{0xa0, 3, 2, 1, 1}}.der(t), "the version of the response"},
		{"something behind the extensions", response{by: root, tail: []byte{5, 0}}.der(t), "the extensions of the response"},
		{"something in the extensions", response{by: root, tail: []byte{0xa1, 4, 0x30, 0, 5, 0}}.der(t), "the extensions of the response"},
		{"something behind an answer", response{by: root, singles: []single{{c: leaf, issuer: root, tail: []byte{5, 0}}}}.der(t), "the extensions of an answer"},
		{"too many answers", response{by: root, singles: singles}.der(t), "more than 512 answers"},
		{"too many certificates", response{by: root, attached: attached}.der(t), "the certificates of the response"},
	}
	for _, test := range tests {
		_, err := ParseResponse(test.der)
		if err == nil || !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), test.why) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestRequestByOthers has golang.org/x/crypto/ocsp read a request of ours, and us its responses.
func TestRequestByOthers(t *testing.T) {
	// That package writes the present into producedAt, whichever it is.
	root := issue(t, nil, "Root", authority, func(c *x509.Certificate) { c.NotAfter = epoch().AddDate(100, 0, 0) })
	leaf := issue(t, &root, "Leaf")
	der, err := MarshalRequest(NewCertID(leaf.Certificate, root.Certificate), nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ocsp.CreateRequest(leaf.x509, root.x509, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(der, theirs) {
		t.Errorf("%x, and theirs is %x", der, theirs)
	}
	if der, err = MarshalRequest(NewCertID(leaf.Certificate, root.Certificate), bytes.Repeat([]byte{7}, NonceSize)); err != nil {
		t.Fatal(err)
	}
	if _, err := ocsp.ParseRequest(der); err != nil {
		t.Error(err)
	}
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		template := ocsp.Response{Status: ocsp.Revoked, SerialNumber: leaf.SerialNumber, ThisUpdate: epoch(), NextUpdate: epoch().Add(time.Hour),
			RevokedAt: epoch().AddDate(0, -1, 0), RevocationReason: ocsp.KeyCompromise, IssuerHash: hash}
		der, err := ocsp.CreateResponse(root.x509, root.x509, template, root.key)
		if err != nil {
			t.Fatal(err)
		}
		now := epoch()
		if parsed, err := ParseResponse(der); err != nil {
			t.Fatal(err)
		} else if parsed.ProducedAt.After(now) {
			now = parsed.ProducedAt
		}
		a := check(t, pathOf(leaf, root), Evidence{OCSPResponses: [][]byte{der}}, epoch(), now)
		if a.Status != Revoked || !a.At.Equal(template.RevokedAt) || a.Reason != "keyCompromise" || !a.KeyCompromise || !a.Until.Equal(template.NextUpdate) {
			t.Errorf("%v: %s", hash, describe(a))
		}
	}
	ours := response{by: root, singles: []single{{c: leaf, issuer: root, status: Good}}}.der(t)
	if parsed, err := ocsp.ParseResponseForCert(ours, leaf.x509, root.x509); err != nil || parsed.Status != ocsp.Good {
		t.Errorf("the responses of these tests as others read them: %v", err)
	}
}

// TestListsByOthers has crypto/x509 make a list, and read one of these tests.
func TestListsByOthers(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf")
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(77), ThisUpdate: epoch(), NextUpdate: epoch().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: leaf.SerialNumber, RevocationTime: epoch().AddDate(0, -1, 0), ReasonCode: 4}},
	}, root.x509, root.key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ParseCRL(der)
	if err != nil {
		t.Fatal(err)
	}
	if l.Number.Int64() != 77 || l.Version != 2 || l.Entries != 1 || !l.NextUpdate.Equal(epoch().Add(time.Hour)) || !bytes.Equal(l.AuthorityKeyID.KeyID, root.SubjectKeyID) {
		t.Errorf("%v %d %d %v", l.Number, l.Version, l.Entries, l.NextUpdate)
	}
	a := check(t, pathOf(leaf, root), Evidence{CRLs: [][]byte{der}}, epoch(), epoch())
	if a.Status != Revoked || a.Reason != "superseded" || !a.At.Equal(epoch().AddDate(0, -1, 0)) {
		t.Errorf("%s", describe(a))
	}
	if _, err := x509.ParseRevocationList(list{by: root}.der(t)); err != nil {
		t.Errorf("the lists of these tests as others read them: %v", err)
	}
}

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

// TestCertIDOfName has a certificate that writes the name of its issuer in another way than the issuer does (RFC 6960
// section 4.1.1 has the name of the certificate hashed).
func TestCertIDOfName(t *testing.T) {
	root := newRoot(t, "Root")
	written := root
	parent := *root.x509
	written.x509 = &parent
	parent.RawSubject = bytes.Replace(parent.RawSubject, []byte("\x13\x04Root"), []byte("\x0c\x04Root"), 1) // UTF8String
	leaf := issue(t, &written, "Leaf")
	if bytes.Equal(leaf.Issuer.Raw, root.Subject.Raw) || !leaf.Issuer.Equal(root.Subject) {
		t.Fatalf("%x, %x", leaf.Issuer.Raw, root.Subject.Raw)
	}
	ours := NewCertID(leaf.Certificate, root.Certificate)
	if want := sha1.Sum(leaf.Issuer.Raw); !bytes.Equal(ours.IssuerNameHash, want[:]) {
		t.Errorf("%x", ours.IssuerNameHash)
	}
	theirs := ours
	hash := sha1.Sum(root.Subject.Raw)
	theirs.IssuerNameHash = hash[:]
	neither := ours
	neither.IssuerNameHash = make([]byte, sha1.Size)
	for _, test := range []struct {
		name string
		id   CertID
		want bool
	}{{"of the certificate", ours, true}, {"of the issuer", theirs, true}, {"of neither", neither, false}} {
		if got := test.id.names(leaf.Certificate, root.Certificate); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
