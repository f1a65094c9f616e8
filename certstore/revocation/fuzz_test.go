package revocation

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/ocsp"
)

// FuzzParseCRL has crypto/x509 read the same octets: what both take has the same issuer, times and entries.
func FuzzParseCRL(f *testing.F) {
	root := newRoot(f, "Root")
	f.Add(list{by: root}.der(f))
	f.Add(list{by: root, v1: true, next: absent}.der(f))
	f.Add(list{by: root, entries: []entry{{big.NewInt(-5), epoch(), []extension{reasonCode(6), {oidInvalidityDate, false, []byte{1}}}}, {serial: big.NewInt(300), date: epoch()}},
		extensions: []extension{number(oidCRLNumber, 4), number(oidDeltaCRLIndicator, 3), scope(f, pointName("http://a/"), flag(tagImplicit3, 1, 6), flag(tagImplicit4))}}.der(f))
	f.Add(list{by: root, entries: []entry{{big.NewInt(1), epoch(), []extension{{oidCertificateIssuer, true, directoryNames(f, root.Subject.Raw)}}}}}.der(f))
	f.Fuzz(func(t *testing.T, der []byte) {
		ours, err := ParseCRL(der)
		if err != nil {
			return
		}
		if theirs, err := x509.ParseRevocationList(der); err == nil {
			if !bytes.Equal(ours.Issuer.Raw, theirs.RawIssuer) || !ours.ThisUpdate.Equal(theirs.ThisUpdate) || !ours.NextUpdate.Equal(theirs.NextUpdate) ||
				!bytes.Equal(ours.Signature, theirs.Signature) || !bytes.Equal(ours.RawTBS, theirs.RawTBSRevocationList) {
				t.Errorf("%+v, and theirs is %+v", ours, theirs)
			}
			if ours.Entries != len(theirs.RevokedCertificateEntries) {
				t.Errorf("%d entries, and theirs are %d", ours.Entries, len(theirs.RevokedCertificateEntries))
			}
			for _, e := range theirs.RevokedCertificateEntries[:min(100, ours.Entries)] {
				if _, found := ours.Find(e.SerialNumber, ours.Issuer); !found && !ours.namesIssuers() {
					t.Errorf("%d is not found", e.SerialNumber)
				}
			}
		}
	})
}

// namesIssuers reports whether an entry is for another issuer than that of the list.
func (l *CRL) namesIssuers() bool {
	for rest := l.entries; !rest.Empty(); {
		e, _ := nextEntry(&rest)
		if _, ok := e.certificateIssuer(); ok {
			return true
		}
	}
	return false
}

// FuzzEntries puts any octets where the entries of a list are, and has encoding/asn1 read them too: a number is found where,
// and only where, that has it as the serial number of an entry, the first of which counts. Parts of a second, which it takes,
// make the date of an entry malformed (RFC 5280 section 4.1.2.5.2).
func FuzzEntries(f *testing.F) {
	root := newRoot(f, "Root")
	entries := func(entries ...entry) []byte {
		parsed, err := ParseCRL(list{by: root, entries: entries}.der(f))
		if err != nil {
			f.Fatal(err)
		}
		return parsed.entries
	}
	f.Add(entries(entry{serial: big.NewInt(5), date: epoch()}, entry{big.NewInt(-300), epoch(), []extension{reasonCode(8)}}), int64(-300))
	f.Add(entries(entry{serial: big.NewInt(5), date: epoch()}, entry{big.NewInt(5), epoch(), []extension{reasonCode(8)}}), int64(5))
	f.Add(entries(entry{big.NewInt(1), epoch(), []extension{{"\x2a\x03", false, []byte{2, 1, 5}}}}), int64(5)) // it occurs, but as no serial number
	f.Fuzz(func(t *testing.T, octets []byte, serial int64) {
		l := &CRL{Version: 2, Issuer: root.Subject, entries: octets}
		if l.scanEntries() != nil || l.Unusable != "" || l.namesIssuers() {
			return
		}
		var theirs []pkix.RevokedCertificate
		if rest, err := asn1.Unmarshal(build(t, func(b *cryptobyte.Builder) {
			addSequence(b, func(b *cryptobyte.Builder) { b.AddBytes(octets) })
		}), &theirs); err != nil || len(rest) > 0 {
			return
		}
		if len(theirs) != l.Entries {
			t.Fatalf("%d entries, and theirs are %d", l.Entries, len(theirs))
		}
		wanted := []*big.Int{big.NewInt(serial)}
		for _, e := range theirs[:min(len(theirs), 20)] {
			wanted = append(wanted, e.SerialNumber)
		}
		for _, number := range wanted {
			ours, found := l.Find(number, root.Subject)
			i := slices.IndexFunc(theirs, func(e pkix.RevokedCertificate) bool { return e.SerialNumber.Cmp(number) == 0 })
			if found != (i >= 0) || found && !ours.Revoked.Equal(theirs[i].RevocationTime) && (!ours.Revoked.IsZero() || theirs[i].RevocationTime.Nanosecond() == 0) {
				t.Errorf("%d: found %v at %v, and theirs is entry %d of %v", number, found, ours.Revoked, i, theirs)
			}
		}
	})
}

// FuzzParseResponse has golang.org/x/crypto/ocsp read the same octets: what both take has the same times and status. And a
// response that was altered anywhere never makes a certificate good that it is not about.
func FuzzParseResponse(f *testing.F) {
	root := newRoot(f, "Root")
	leaf, other := issue(f, &root, "Leaf"), issue(f, &root, "Other")
	delegate := issue(f, &root, "Responder", responder)
	f.Add(response{by: root, singles: []single{{c: leaf, issuer: root, status: Good}}}.der(f))
	f.Add(response{by: delegate, byKey: true, attached: []holder{delegate}, singles: []single{{c: leaf, issuer: root, status: Revoked, at: epoch(), reason: 1}}}.der(f))
	f.Add(response{by: root, singles: []single{{c: leaf, issuer: root, next: absent}}, extensions: []extension{{oidNonce, false, []byte{4, 1, 7}}}}.der(f))
	f.Add(wrapResponse(f, 3, oidBasic, nil))
	f.Fuzz(func(t *testing.T, der []byte) {
		ours, err := ParseResponse(der)
		if a := check(t, pathOf(other, root), Evidence{OCSPResponses: [][]byte{der}}, epoch(), epoch()); a.Status != Unknown {
			t.Errorf("a certificate that nobody spoke of: %s", describe(a))
		}
		if err != nil {
			return
		}
		theirs, err := ocsp.ParseResponse(der, nil)
		if err != nil || len(ours.Singles) != 1 {
			return
		}
		s := ours.Singles[0]
		status := map[int]Status{ocsp.Good: Good, ocsp.Revoked: Revoked, ocsp.Unknown: Unknown}[theirs.Status]
		if s.Status != status || !s.ThisUpdate.Equal(theirs.ThisUpdate) || !s.NextUpdate.Equal(theirs.NextUpdate) ||
			!ours.ProducedAt.Equal(theirs.ProducedAt) || s.ID.SerialNumber.Cmp(theirs.SerialNumber) != 0 || !bytes.Equal(ours.Signature, theirs.Signature) {
			t.Errorf("%+v, and theirs is %+v", s, theirs)
		}
	})
}
