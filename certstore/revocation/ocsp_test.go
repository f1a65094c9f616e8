package revocation

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
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
