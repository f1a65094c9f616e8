package revocation

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"math/big"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// largeList returns a list of n entries with numbers of 16 octets, which are the hash of nothing but their place, and more.
func largeList(t testing.TB, by holder, n int, more ...entry) []byte {
	t.Helper()
	const date = "\x17\x0d260101000000Z"
	entries := make([]byte, 0, n*37)
	for i := range n {
		entries = append(entries, 0x30, 33, 2, 16, 0x55, 0, 0, 0, 0, 0, 0, 0)
		entries = binary.BigEndian.AppendUint64(entries, uint64(i)*0x9e3779b97f4a7c15)
		entries = append(entries, date...)
	}
	for _, e := range more {
		entries = append(entries, build(t, func(b *cryptobyte.Builder) {
			addSequence(b, func(b *cryptobyte.Builder) {
				b.AddASN1BigInt(e.serial)
				addTime(b, e.date)
			})
		})...)
	}
	return rawList(t, by, entries)
}

// rawList returns a list with these octets as its entries.
func rawList(t testing.TB, by holder, entries []byte) []byte {
	t.Helper()
	tbs := build(t, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(1)
			addAlgorithm(b)
			b.AddBytes(by.Subject.Raw)
			addTime(b, epoch().AddDate(0, 0, -1))
			addTime(b, epoch().AddDate(0, 0, 1))
			addSequence(b, func(b *cryptobyte.Builder) { b.AddBytes(entries) })
		})
	})
	return signed(t, by, tbs, nil)
}

// allocated returns how many octets f takes from the heap in all.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestLargeList has a million entries, and memory that does not grow with them.
func TestLargeList(t *testing.T) {
	root := newRoot(t, "Root")
	good, bad := issue(t, &root, "Good"), issue(t, &root, "Bad")
	const most = 1_000_000
	der := largeList(t, root, most, entry{serial: bad.SerialNumber, date: epoch()})
	if len(der) < 30<<20 {
		t.Fatalf("%d octets", len(der))
	}
	var answers [2]Answer
	took := allocated(func() {
		for i, c := range []holder{good, bad} {
			answers[i] = check(t, pathOf(c, root), Evidence{CRLs: [][]byte{der}}, epoch(), epoch())
		}
	})
	if answers[0].Status != Good || answers[1].Status != Revoked {
		t.Errorf("%s; %s", describe(answers[0]), describe(answers[1]))
	}
	if took > 1<<20 {
		t.Errorf("%d octets of memory for a list of %d", took, len(der))
	}
	l, err := ParseCRL(der)
	if err != nil || l.Entries != most+1 {
		t.Fatalf("%v, %v entries", err, l)
	}
	// A number that occurs, but within another: all entries are walked.
	if _, found := l.Find(new(big.Int).SetBytes([]byte("\x17\x0d260101000000Z")[:3]), root.Subject); found {
		t.Error("a date was taken for a number")
	}
}

func TestTooManyEntries(t *testing.T) {
	root := newRoot(t, "Root")
	smallest := []byte{0x30, 5, 2, 1, 1, 0x17, 0}
	entries := make([]byte, 0, (MaxEntries+1)*len(smallest))
	for range MaxEntries + 1 {
		entries = append(entries, smallest...)
	}
	if _, err := ParseCRL(rawList(t, root, entries)); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "more than 2000000 entries") {
		t.Errorf("%v", err)
	}
	if l, err := ParseCRL(rawList(t, root, entries[len(smallest):])); err != nil || l.Entries != MaxEntries {
		t.Errorf("%v", err)
	}
}

// TestManyNamesakes has more certificates with the name of the signer than are tried.
func TestManyNamesakes(t *testing.T) {
	root := newRoot(t, "Root")
	signer := issue(t, &root, "Signer", authority)
	leaf := issue(t, &root, "Leaf", indirectPoint(t, listURL, signer.Subject.Raw))
	indirect := []extension{scope(t, pointName(listURL), flag(tagImplicit4))}
	named := append([]extension{{certpath.OIDAuthorityKeyIdentifier, false, build(t, func(b *cryptobyte.Builder) {
		addSequence(b, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.Tag(0x80), func(b *cryptobyte.Builder) { b.AddBytes(signer.SubjectKeyID) })
		})
	})}}, indirect...)
	var certificates [][]byte
	for range maxSigners {
		certificates = append(certificates, newRoot(t, "Signer").Raw)
	}
	certificates = append(certificates, signer.Raw)
	rootList := list{by: root, extensions: []extension{scope(t, flag(tagImplicit2))}}.der(t)
	for _, test := range []struct {
		name       string
		extensions []extension
		status     Status
	}{
		{"the list names its key", named, Good},
		{"it does not, and the signer is beyond the bound", indirect, Unknown},
	} {
		given := Evidence{Certificates: certificates, CRLs: [][]byte{rootList, list{by: signer, extensions: test.extensions}.der(t)}}
		if a := check(t, pathOf(leaf, root), given, epoch(), epoch()); a.Status != test.status {
			t.Errorf("%s: %s", test.name, describe(a))
		}
	}
}

// TestChainOfSigners has lists whose signers are asked about in lists of other signers, and so on.
func TestChainOfSigners(t *testing.T) {
	root := newRoot(t, "Root")
	for length, want := range map[int]Status{maxNested: Good, maxNested + 1: Unknown} {
		given := Evidence{CRLs: [][]byte{list{by: root, extensions: []extension{scope(t, pointName("http://example.org/root"))}}.der(t)}}
		next := issue(t, &root, "Last", authority, func(c *x509.Certificate) { c.CRLDistributionPoints = []string{"http://example.org/root"} })
		for i := range length {
			given.Certificates = append(given.Certificates, next.Raw)
			address := listURL + strings.Repeat("a", i)
			given.CRLs = append(given.CRLs, list{by: next, extensions: []extension{scope(t, pointName(address), flag(tagImplicit4))}}.der(t))
			next = issue(t, &root, "Signer "+strings.Repeat("a", i), authority, indirectPoint(t, address, next.Subject.Raw))
		}
		if a := check(t, pathOf(next, root), given, epoch(), epoch()); a.Status != want {
			t.Errorf("%d signers: %s", length, describe(a))
		}
	}
}

// TestManyResponders has responses with all the certificates that there is room for, each by somebody with the name of the
// authority: what comes after them is not looked at any more, but for what is asked for.
func TestManyResponders(t *testing.T) {
	root, namesake := newRoot(t, "Root"), newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf")
	var attached []holder
	for range maxResponderCert {
		attached = append(attached, issue(t, &namesake, "Responder", responder))
	}
	good := response{by: root, singles: []single{{c: leaf, issuer: root, status: Good}}}
	forged := good
	forged.by, forged.attached = attached[len(attached)-1], attached
	for forgeries, want := range map[int]Status{maxChecked/maxResponderCert - 1: Good, maxChecked / maxResponderCert: Unknown} {
		var given Evidence
		for range forgeries {
			given.OCSPResponses = append(given.OCSPResponses, forged.der(t))
		}
		given.OCSPResponses = append(given.OCSPResponses, good.der(t))
		a := check(t, pathOf(leaf, root), given, epoch(), epoch())
		if a.Status != want || want == Unknown && !strings.Contains(a.Why, "too many signatures") {
			t.Errorf("%d forgeries: %s", forgeries, describe(a))
		}
	}
	leaf = issue(t, &root, "Leaf", func(c *x509.Certificate) { c.OCSPServer = []string{responderURL} })
	forged.singles = []single{{c: leaf, issuer: root, status: Good}}
	var given Evidence
	for range maxChecked / maxResponderCert {
		given.OCSPResponses = append(given.OCSPResponses, forged.der(t))
	}
	revoked := response{by: root, singles: []single{{c: leaf, issuer: root, status: Revoked}}}
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){responderURL: respond(t, revoked)}}
	found, err := (&Checker{Fetcher: n}).Check(t.Context(), pathOf(leaf, root), given, epoch(), epoch())
	if err != nil || found[0].Status != Revoked {
		t.Errorf("asked for: %s, %v", describe(found[0]), err)
	}
}
