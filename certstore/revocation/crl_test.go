package revocation

import (
	"bytes"
	"crypto/x509"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// scope is an issuingDistributionPoint with these fields.
func scope(t testing.TB, fields ...func(*cryptobyte.Builder)) extension {
	return extension{oidIssuingDistributionPoint, true, build(t, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) {
			for _, f := range fields {
				f(b)
			}
		})
	})}
}

// flag is a BOOLEAN of issuingDistributionPoint, or its octets.
func flag(tag cbasn1.Tag, octets ...byte) func(*cryptobyte.Builder) {
	if octets == nil {
		octets = []byte{0xff}
	}
	return func(b *cryptobyte.Builder) { b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(octets) }) }
}

// pointName is a distributionPoint with one address.
func pointName(address string) func(*cryptobyte.Builder) {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) {
			b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.Tag(0x86), func(b *cryptobyte.Builder) { b.AddBytes([]byte(address)) })
			})
		})
	}
}

// directoryPoint is a distributionPoint with the name of a holder.
func directoryPoint(h holder) func(*cryptobyte.Builder) {
	return func(b *cryptobyte.Builder) {
		b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) {
			b.AddASN1(tagExplicit0, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.Tag(0xa4), func(b *cryptobyte.Builder) { b.AddBytes(h.Subject.Raw) })
			})
		})
	}
}

// freshest is a freshestCRL.
func freshest(t testing.TB, address string) extension {
	return extension{id: certpath.OIDFreshestCRL, value: build(t, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) { addSequence(b, pointName(address)) })
	})}
}

func directoryNames(t testing.TB, name []byte) []byte {
	return build(t, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.Tag(0xa4), func(b *cryptobyte.Builder) { b.AddBytes(name) })
		})
	})
}

// indirectPoint is cRLDistributionPoints with one point, whose lists are by this issuer; without an address it has no name.
func indirectPoint(t testing.TB, address string, issuer []byte, reasons ...byte) func(*x509.Certificate) {
	return certificateExtension(t, "2.5.29.31", build(t, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) {
			addSequence(b, func(b *cryptobyte.Builder) {
				if address != "" {
					pointName(address)(b)
				}
				if reasons != nil {
					b.AddASN1(tagImplicit1, func(b *cryptobyte.Builder) { b.AddBytes(reasons) })
				}
				b.AddASN1(tagExplicit2, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.Tag(0xa4), func(b *cryptobyte.Builder) { b.AddBytes(issuer) })
				})
			})
		})
	}))
}

// listCase is a path with lists, and what they say of its leaf.
type listCase struct {
	name   string
	path   []*certpath.Certificate
	lists  []list
	status Status
	why    string
}

// listCases has one rule in each line, kept or broken once. stranger is a certificate that may be needed.
func listCases(t *testing.T) (tests []listCase, stranger holder) {
	root := newRoot(t, "Root")
	other := newRoot(t, "Other")
	namesake := newRoot(t, "Root")
	stranger = issue(t, &root, "Stranger", authority)
	noSign := issue(t, nil, "No CRLs", func(c *x509.Certificate) {
		authority(c)
		c.KeyUsage = x509.KeyUsageCertSign
	})
	leaf := issue(t, &root, "Leaf", func(c *x509.Certificate) { c.CRLDistributionPoints = []string{"ldap://example.org/a"} })
	sub := issue(t, &root, "Sub", authority)
	ofNoSign := issue(t, &noSign, "Leaf")
	nameless := issue(t, &root, "Nameless", indirectPoint(t, "", stranger.Subject.Raw))
	partly := issue(t, &root, "Partly", indirectPoint(t, "http://example.org/i", stranger.Subject.Raw, 6, 0x40))
	delegated := issue(t, &root, "Delegated", indirectPoint(t, "http://example.org/i", stranger.Subject.Raw))

	hour := epoch().Add(-time.Hour)
	revoked := func(h holder, extensions ...extension) []entry {
		return []entry{{serial: big.NewInt(5), date: hour}, {serial: h.SerialNumber, date: hour, extensions: extensions}}
	}
	indirect := scope(t, pointName("http://example.org/i"), flag(tagImplicit4))
	forRoot := extension{oidCertificateIssuer, true, directoryNames(t, root.Subject.Raw)}
	var invalidity cryptobyte.Builder
	invalidity.AddASN1GeneralizedTime(hour.AddDate(0, 0, -3))

	authorities := list{by: root, extensions: []extension{scope(t, flag(tagImplicit2))}} // about the stranger alone
	complete := list{by: root, extensions: []extension{number(oidCRLNumber, 5), freshest(t, "http://example.org/delta")}}
	delta := func(by holder, base, n int64, entries []entry, more ...extension) list {
		return list{by: by, entries: entries, extensions: append([]extension{number(oidCRLNumber, n), number(oidDeltaCRLIndicator, base)}, more...)}
	}
	unknown := extension{parseOID(t, "1.2.3.4"), true, []byte{5, 0}}
	malformed := []byte{0x30, 1}

	return []listCase{
		{"not listed", pathOf(leaf, root), []list{{by: root, entries: revoked(other)}}, Good, "does not have it"},
		{"a list without entries", pathOf(leaf, root), []list{{by: root}}, Good, ""},
		{"version 1", pathOf(leaf, root), []list{{by: root, v1: true}}, Good, ""},
		{"listed", pathOf(leaf, root), []list{{by: root, entries: revoked(leaf)}}, Revoked, "unspecified (CRL)"},
		{"with a reason", pathOf(leaf, root), []list{{by: root, entries: revoked(leaf, reasonCode(ReasonSuperseded))}}, Revoked, "superseded"},
		{"with a date", pathOf(leaf, root), []list{{by: root, entries: revoked(leaf, extension{oidInvalidityDate, false, invalidity.BytesOrPanic()})}}, Revoked, ""},
		{"on hold", pathOf(leaf, root), []list{{by: root, entries: revoked(leaf, reasonCode(ReasonCertificateHold))}}, Revoked, "certificateHold"},
		{"a malformed reason revokes all the same", pathOf(leaf, root), []list{{by: root, entries: revoked(leaf, extension{oidReasonCode, true, malformed})}}, Revoked, "unspecified"},
		{"revoked by one of two lists", pathOf(leaf, root), []list{{by: root, extensions: []extension{scope(t, flag(tagImplicit3, 6, 0x40))}},
			{by: root, entries: revoked(leaf)}}, Revoked, ""},

		{"no list", pathOf(leaf, root), nil, Unknown, `"ldap://example.org/a" is not asked: only http`},
		{"of another issuer", pathOf(leaf, root), []list{{by: other}}, Unknown, ""},
		{"with the name of the issuer and another key", pathOf(leaf, root), []list{{by: namesake}}, Unknown, "the signature does not verify"},
		{"by who may not sign lists", pathOf(ofNoSign, noSign), []list{{by: noSign}}, Unknown, "may not sign revocation lists"},
		{"out of date", pathOf(leaf, root), []list{{by: root, this: epoch().AddDate(0, 0, -8), next: epoch().AddDate(0, 0, -1)}}, Unknown, "out of date since 2026-11-20"},
		{"out of date, and listed", pathOf(leaf, root), []list{{by: root, this: epoch().AddDate(0, 0, -8), next: epoch().AddDate(0, 0, -1), entries: revoked(leaf)}}, Revoked, ""},
		{"out of date, and on hold", pathOf(leaf, root), []list{{by: root, this: epoch().AddDate(0, 0, -8), next: epoch().AddDate(0, 0, -1),
			entries: revoked(leaf, reasonCode(ReasonCertificateHold))}}, Unknown, "out of date"},
		{"without nextUpdate", pathOf(leaf, root), []list{{by: root, next: absent}}, Unknown, "promises nothing"},
		{"without nextUpdate, made now", pathOf(leaf, root), []list{{by: root, this: epoch(), next: absent}}, Good, ""},
		{"in the future", pathOf(leaf, root), []list{{by: root, this: epoch().Add(6 * time.Minute)}}, Unknown, "dated in the future"},
		{"within the skew", pathOf(leaf, root), []list{{by: root, this: epoch().Add(4 * time.Minute)}}, Good, ""},
		{"nextUpdate before thisUpdate", pathOf(leaf, root), []list{{by: root, this: epoch().Add(2 * time.Minute), next: epoch()}}, Unknown, "before its thisUpdate"},

		{"a critical extension", pathOf(leaf, root), []list{{by: root, extensions: []extension{unknown}}}, Unknown, "not understood (1.2.3.4)"},
		{"a critical extension of another entry", pathOf(leaf, root), []list{{by: root, entries: revoked(other, unknown)}}, Unknown, "entry 2 has a critical extension"},
		{"another extension", pathOf(leaf, root), []list{{by: root, extensions: []extension{{unknown.id, false, unknown.value}}}}, Good, ""},
		{"version 1 with extensions", pathOf(leaf, root), []list{{by: root, v1: true, extensions: []extension{number(oidCRLNumber, 1)}}}, Unknown, "version 1 has no"},
		{"version 1 with extensions of an entry", pathOf(leaf, root), []list{{by: root, v1: true, entries: revoked(other, reasonCode(1))}}, Unknown, "version 1 has no"},
		{"a malformed number", pathOf(leaf, root), []list{{by: root, extensions: []extension{{oidCRLNumber, false, malformed}}}}, Unknown, "2.5.29.20 is malformed"},
		{"a negative number", pathOf(leaf, root), []list{{by: root, extensions: []extension{number(oidCRLNumber, 0xff)}}}, Unknown, "2.5.29.20 is malformed"},
		{"a malformed delta indicator makes no complete list", pathOf(leaf, root), []list{{by: root, extensions: []extension{{oidDeltaCRLIndicator, false, malformed}}}}, Unknown, ""},
		{"a malformed scope", pathOf(leaf, root), []list{{by: root, extensions: []extension{scope(t, flag(tagImplicit1, 1))}}}, Unknown, "2.5.29.28 is malformed"},
		{"for two kinds only", pathOf(leaf, root), []list{{by: root, extensions: []extension{scope(t, flag(tagImplicit1), flag(tagImplicit2))}}}, Unknown, "two kinds"},
		{"a malformed key identifier", pathOf(leaf, root), []list{{by: root, extensions: []extension{{certpath.OIDAuthorityKeyIdentifier, false, malformed}}}}, Unknown, "2.5.29.35"},

		{"for users only, a user", pathOf(leaf, root), []list{{by: root, extensions: []extension{scope(t, flag(tagImplicit1))}}}, Good, ""},
		{"for users only, an authority", pathOf(sub, root), []list{{by: root, extensions: []extension{scope(t, flag(tagImplicit1))}}}, Unknown, "not about certificates of authorities"},
		{"for authorities only, a user", pathOf(leaf, root), []list{{by: root, extensions: []extension{scope(t, flag(tagImplicit2))}}}, Unknown, "of authorities only"},
		{"for authorities only, an authority", pathOf(sub, root), []list{{by: root, extensions: []extension{scope(t, flag(tagImplicit2))}}}, Good, ""},
		{"for attributes only", pathOf(leaf, root), []list{{by: root, extensions: []extension{scope(t, flag(tagImplicit5))}}}, Unknown, "attribute certificates only"},
		{"of another point", pathOf(leaf, root), []list{{by: root, extensions: []extension{scope(t, pointName("http://example.org/b"))}}}, Unknown, "another distribution point"},
		{"of its point", pathOf(leaf, root), []list{{by: root, extensions: []extension{scope(t, pointName("ldap://example.org/a"))}}}, Good, ""},
		{"for some reasons", pathOf(leaf, root), []list{{by: root, extensions: []extension{scope(t, flag(tagImplicit3, 6, 0x40))}}}, Unknown, "do not cover all reasons"},
		{"for all reasons by two lists", pathOf(leaf, root), []list{{by: root, extensions: []extension{scope(t, flag(tagImplicit3, 6, 0x40))}},
			{by: root, extensions: []extension{scope(t, flag(tagImplicit3, 7, 0x3f, 0x80))}}}, Good, ""},

		{"indirect, not listed", pathOf(delegated, root), []list{{by: root}, {by: stranger, extensions: []extension{indirect}}}, Good, ""},
		{"indirect, listed for its issuer", pathOf(delegated, root), []list{{by: root}, {by: stranger, extensions: []extension{indirect}, entries: revoked(delegated, forRoot)}}, Revoked, ""},
		{"indirect, the issuer of the entry before", pathOf(delegated, root), []list{{by: root}, {by: stranger, extensions: []extension{indirect},
			entries: append([]entry{{big.NewInt(9), hour, []extension{forRoot}}}, revoked(delegated)...)}}, Revoked, ""},
		{"indirect, the number of another issuer", pathOf(delegated, root), []list{{by: root}, {by: stranger, extensions: []extension{indirect}, entries: revoked(delegated)}}, Good, ""},
		{"indirect, a malformed issuer", pathOf(delegated, root), []list{{by: stranger, extensions: []extension{indirect},
			entries: revoked(delegated, extension{oidCertificateIssuer, true, malformed})}}, Unknown, "certificateIssuer of entry 2"},
		{"indirect, not said to be so", pathOf(delegated, root), []list{{by: stranger, extensions: []extension{scope(t, pointName("http://example.org/i"))}}}, Unknown, ""},
		{"indirect, another point", pathOf(delegated, root), []list{{by: stranger, extensions: []extension{scope(t, pointName("http://example.org/x"), flag(tagImplicit4))}}}, Unknown, "another distribution point"},

		{"indirect, a point without a name, a list with that of its issuer", pathOf(nameless, root), []list{authorities, {by: stranger, extensions: []extension{scope(t, directoryPoint(stranger), flag(tagImplicit4))}}}, Good, ""},
		{"indirect, a point without a name, a list with another", pathOf(nameless, root), []list{authorities, {by: stranger, extensions: []extension{indirect}}}, Unknown, "another distribution point"},
		{"indirect, a point for some reasons", pathOf(partly, root), []list{authorities, {by: stranger, extensions: []extension{indirect}}}, Unknown, "do not cover all reasons"},

		{"delta, listed", pathOf(leaf, root), []list{complete, delta(root, 5, 6, revoked(leaf))}, Revoked, ""},
		{"delta, not listed", pathOf(leaf, root), []list{complete, delta(root, 5, 6, nil)}, Good, "with the delta list"},
		{"delta, not on hold any more", pathOf(leaf, root), []list{{by: root, entries: revoked(leaf, reasonCode(ReasonCertificateHold)), extensions: complete.extensions},
			delta(root, 3, 7, revoked(leaf, reasonCode(ReasonRemoveFromCRL)))}, Good, ""},
		{"delta alone", pathOf(leaf, root), []list{delta(root, 5, 6, nil)}, Unknown, ""},
		{"delta that begins later", pathOf(leaf, root), []list{complete, delta(root, 6, 7, revoked(leaf))}, Good, ""},
		{"delta that is older", pathOf(leaf, root), []list{complete, delta(root, 4, 5, revoked(leaf))}, Good, ""},
		{"delta of another key", pathOf(leaf, root), []list{complete, delta(namesake, 5, 6, revoked(leaf))}, Good, ""},
		{"delta of another scope", pathOf(leaf, root), []list{complete, delta(root, 5, 6, revoked(leaf), scope(t, flag(tagImplicit1)))}, Good, ""},
		{"delta of another issuer with the same key", pathOf(leaf, root), []list{complete, {by: root, issuer: other.Subject.Raw, entries: revoked(leaf, forRoot),
			extensions: delta(root, 5, 6, nil).extensions}}, Good, ""},
		{"delta that names another key", pathOf(leaf, root), []list{complete, delta(root, 5, 6, revoked(leaf), extension{certpath.OIDAuthorityKeyIdentifier, false, []byte{0x30, 0}})}, Good, ""},
		{"delta for a list without a number", pathOf(leaf, root), []list{{by: root, extensions: complete.extensions[1:]}, delta(root, 0, 6, revoked(leaf))}, Good, ""},
		{"delta without a number", pathOf(leaf, root), []list{complete, {by: root, entries: revoked(leaf), extensions: []extension{number(oidDeltaCRLIndicator, 5)}}}, Good, ""},
		{"delta in the future", pathOf(leaf, root), []list{complete, {by: root, this: epoch().Add(time.Hour), entries: revoked(leaf), extensions: delta(root, 5, 6, nil).extensions}}, Good, ""},
		{"delta out of date", pathOf(leaf, root), []list{complete, {by: root, this: epoch().AddDate(0, 0, -5), entries: revoked(leaf), extensions: delta(root, 5, 6, nil).extensions}}, Revoked, ""},
		{"delta out of date, not listed", pathOf(leaf, root), []list{complete, {by: root, this: epoch().AddDate(0, 0, -5), extensions: delta(root, 5, 6, nil).extensions}}, Good, "with the delta list"},
		{"both out of date", pathOf(leaf, root), []list{{by: root, this: epoch().AddDate(0, 0, -9), extensions: complete.extensions},
			{by: root, this: epoch().AddDate(0, 0, -5), extensions: delta(root, 5, 6, nil).extensions}}, Unknown, "out of date"},
		{"of two deltas the newest", pathOf(leaf, root), []list{complete, delta(root, 5, 7, revoked(leaf, reasonCode(ReasonRemoveFromCRL))), delta(root, 5, 6, revoked(leaf))}, Good, ""},
		{"of two deltas the newest, in the other order", pathOf(leaf, root), []list{complete, delta(root, 5, 6, revoked(leaf)), delta(root, 5, 7, revoked(leaf, reasonCode(ReasonRemoveFromCRL)))}, Good, ""},
		{"delta that cannot be used", pathOf(leaf, root), []list{complete, delta(root, 5, 6, revoked(leaf), unknown)}, Good, ""},
		{"delta for a list out of date", pathOf(leaf, root), []list{{by: root, this: epoch().AddDate(0, 0, -9), extensions: complete.extensions}, delta(root, 5, 6, nil)}, Good, "with the delta list"},
	}, stranger
}

// TestLists asks for each case what the answer is, and why.
func TestLists(t *testing.T) {
	tests, stranger := listCases(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			given := Evidence{Certificates: [][]byte{stranger.Raw}}
			for _, l := range test.lists {
				given.CRLs = append(given.CRLs, l.der(t))
			}
			a := check(t, test.path, given, epoch(), epoch())
			if a.Status != test.status || !strings.Contains(a.Why, test.why) {
				t.Errorf("%s", describe(a))
			}
			if (a.Status == Unknown) != (len(a.Evidence.CRLs) == 0) || a.Status != Unknown && a.Source != SourceCRL {
				t.Errorf("%d lists as evidence, by %q", len(a.Evidence.CRLs), a.Source)
			}
			if a.Status == Unknown {
				return
			}
			if again := check(t, test.path, a.Evidence, epoch(), epoch().AddDate(1, 0, 0)); again.Status != a.Status || again.Why != a.Why || !again.At.Equal(a.At) {
				t.Errorf("with its own evidence, a year later: %s", describe(again))
			}
		})
	}
}

// TestMalformedList has octets that are no list.
func TestMalformedList(t *testing.T) {
	root := newRoot(t, "Root")
	whole := list{by: root, entries: []entry{{serial: big.NewInt(5), date: epoch(), extensions: []extension{reasonCode(1)}}}}.der(t)
	if _, err := ParseCRL(whole); err != nil {
		t.Fatal(err)
	}
	replace := func(old, with string) []byte {
		if bytes.Count(whole, []byte(old)) != 1 {
			t.Fatalf("%x occurs %d times", old, bytes.Count(whole, []byte(old)))
		}
		return bytes.Replace(whole, []byte(old), []byte(with), 1)
	}
	// last is replace for the last of several.
	last := func(old, with string) []byte {
		i := bytes.LastIndex(whole, []byte(old))
		return slices.Concat(whole[:i], []byte(with), whole[i+len(old):])
	}
	const algorithm = "\x30\x0a\x06\x08\x2a\x86\x48\xce"
	twice := list{by: root, extensions: []extension{number(oidCRLNumber, 1), number(oidCRLNumber, 2)}}.der(t)
	tests := []struct {
		name string
		der  []byte
		why  string
	}{
		{"no algorithm of the signature", last(algorithm, "\x30\x0a\x05"+algorithm[3:]), "the signature algorithm of the list"},
		{"no algorithm within", bytes.Replace(whole, []byte(algorithm), []byte("\x30\x0a\x05"+algorithm[3:]), 1), "the signature algorithm of the list"},
		{"no issuer", replace("\x30\x0f\x31\x0d", "\x30\x0f\x30\x0d"), "the issuer of the list"},
		{"thisUpdate that is no time", replace("20261121110000Z", "20261321110000Z"), "thisUpdate"},
		{"nextUpdate that is no time", replace("20261122110000Z", "20261322110000Z"), "nextUpdate"},
		{"an extension twice", twice, "the extensions of the list"},
		{"nothing", nil, "no list"},
		{"something behind it", append(bytes.Clone(whole), 0), "no list"},
		{"cut off", whole[:len(whole)-1], "no list"},
		{"too large", make([]byte, MaxCRL+1), "67108865 octets"},
		{"version 3", replace("\x02\x01\x01\x30", "\x02\x01\x02\x30"), "version"},
		{"version 1, written", replace("\x02\x01\x01\x30", "\x02\x01\x00\x30"), "version"},
		{"an entry without a number", replace("\x02\x01\x05", "\x04\x01\x05"), "entry 1"},
		{"an entry without a date", replace("\x02\x01\x05\x18", "\x02\x01\x05\x04"), "entry 1"},
		{"an extension without a value", replace("\x04\x03\x0a\x01\x01", "\x05\x03\x0a\x01\x01"), "extensions of entry 1"},
	}
	for _, test := range tests {
		_, err := ParseCRL(test.der)
		if err == nil || !strings.Contains(err.Error(), test.why) || !strings.Contains(err.Error(), ErrMalformed.Error()) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestSameName(t *testing.T) {
	root := newRoot(t, "Root")
	address := func(kind certpath.GeneralNameKind, text string) certpath.GeneralName {
		return certpath.GeneralName{Kind: kind, Raw: []byte(text), Text: text}
	}
	own := certpath.GeneralName{Kind: certpath.DirectoryName, Raw: root.Subject.Raw, Directory: root.Subject}
	tests := []struct {
		name string
		a, b certpath.GeneralName
		want bool
	}{
		{"the same address", address(certpath.URI, "http://a"), address(certpath.URI, "http://a"), true},
		{"another address", address(certpath.URI, "http://a"), address(certpath.URI, "http://A"), false},
		{"another kind", address(certpath.URI, "a"), address(certpath.DNSName, "a"), false},
		{"a name, which counts as it is compared", own, certpath.GeneralName{Kind: certpath.DirectoryName, Directory: root.Subject}, true},
		{"another name", own, certpath.GeneralName{Kind: certpath.DirectoryName, Directory: newRoot(t, "Other").Subject}, false},
	}
	for _, test := range tests {
		if got := sameName(test.a, test.b); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
