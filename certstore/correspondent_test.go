package certstore_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/safeio"
)

func add(t *testing.T, h *home, c certstore.Correspondent) {
	t.Helper()
	if c.FirstSeen.IsZero() {
		c.FirstSeen = now()
	}
	if _, err := h.store.AddCorrespondent(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// TestCorrespondentsFor finds certificates by every address in them, in any spelling, and no others.
func TestCorrespondentsFor(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	two := issue(t, root, "two addresses", newKey(t), forMail("", func(c *x509.Certificate) {
		c.EmailAddresses = []string{"bob@example.org", "robert@xn--mnchen-3ya.example"}
	}))
	named := issue(t, root, "carol@example.org", newKey(t), forMail("bob@example.org", nil))
	for _, n := range []*node{two, named} {
		add(t, h, certstore.Correspondent{Chain: certs(n, root)})
	}
	for address, want := range map[string]int{"bob@example.org": 2, "BOB@Example.ORG": 2, "robert@MÜNCHEN.example": 1, "carol@example.org": 1,
		"dave@example.org": 0, "bob": 0, "": 0, "../../etc@example.org": 0} {
		list, problems, err := h.store.CorrespondentsFor(address)
		if err != nil || len(problems) != 0 || len(list) != want {
			t.Errorf("%q: %d, want %d (%v, %v)", address, len(list), want, problems, err)
		}
		for _, c := range list {
			if len(c.Chain) != 2 || !c.Chain[1].Equal(root.cert) {
				t.Errorf("%q: a chain of %d", address, len(c.Chain))
			}
		}
	}
	if err := h.store.ForgetCorrespondent(certstore.Fingerprint(two.cert)); err != nil {
		t.Fatal(err)
	}
	if err := h.store.ForgetCorrespondent(certstore.Fingerprint(two.cert)); !errors.Is(err, certstore.ErrNotFound) {
		t.Errorf("forgotten twice: %v", err)
	}
	if list, _, _ := h.store.CorrespondentsFor("bob@example.org"); len(list) != 1 || !list[0].Certificate().Equal(named.cert) {
		t.Errorf("%d after one was forgotten", len(list))
	}
	if left, _ := filepath.Glob(h.path("addresses", "*", "*"+certstore.Fingerprint(two.cert))); len(left) != 0 {
		t.Errorf("marks of a forgotten certificate: %v", left)
	}
}

// TestIssuersAreKeptOnce: however many certificates an authority issued, it is stored once, and found for each of them.
func TestIssuersAreKeptOnce(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	issuing := issue(t, root, "issuing", newKey(t), asCA(nil))
	renewed := issue(t, root, "issuing", newKey(t), asCA(nil)) // of the same name, with another key
	var list []certstore.Correspondent
	for i := range 5 {
		list = append(list, certstore.Correspondent{FirstSeen: now(), Chain: certs(
			issue(t, []*node{issuing, renewed}[i%2], "user", newKey(t), forMail(fmt.Sprintf("user%d@example.org", i), nil)), issuing, renewed, root)})
	}
	if n, err := h.store.AddCorrespondents(t.Context(), list); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := h.store.AddCorrespondents(t.Context(), list); n != 0 || err != nil {
		t.Fatal("again:", n, err)
	}
	if files, _ := filepath.Glob(h.path("issuers", "*", "*.pem")); len(files) != 3 {
		t.Errorf("%d files for 3 authorities", len(files))
	}
	h.trust(t, root, certstore.Mail)
	v, _, err := h.store.Validator(certstore.Mail, "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		s, err := h.store.Recipient(t.Context(), fmt.Sprintf("user%d@example.org", i), by(v))
		if err != nil || s.Chosen == nil || len(s.Chosen.Chain) != 3 {
			t.Errorf("user %d: %+v, %v", i, s.Candidates, err)
		}
	}
}

// TestOrderOfChoice: what the owner named last, then the newest, then the strongest.
func TestOrderOfChoice(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	h.trust(t, root, certstore.Mail)
	since := func(days int) func(*x509.Certificate) {
		return forMail("bob@example.org", func(c *x509.Certificate) {
			c.NotBefore = now().AddDate(0, 0, -days)
			c.KeyUsage |= x509.KeyUsageKeyEncipherment
		})
	}
	old := issue(t, root, "old", newKey(t), since(30))
	strong := issue(t, root, "strong", newKey(t), since(3))
	weaker := issue(t, root, "weaker", newRSAKey(t), since(3))
	newest := issue(t, root, "newest", newKey(t), since(1))
	add(t, h, certstore.Correspondent{Chain: certs(old, root), PreferredAt: now()})
	for _, n := range []*node{weaker, strong, newest} {
		add(t, h, certstore.Correspondent{Chain: certs(n, root)})
	}
	v, _, err := h.store.Validator(certstore.Mail, "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.store.Recipient(t.Context(), "bob@example.org", by(v))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(codes(s)), "[old: usable newest: usable strong: usable weaker: usable]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}

	// Revocation is asked of those alone that would be chosen, until one is good.
	var asked []string
	selector := by(v)
	selector.Revocation = func(_ context.Context, path []*x509.Certificate) (certstore.PathCode, string, error) {
		name := path[0].Subject.CommonName
		asked = append(asked, name)
		switch name {
		case "old":
			return certstore.Revoked, "it was revoked", nil
		case "newest":
			return certstore.Usable, "nobody answered", nil
		}
		return certstore.RevocationUnknown, "nobody answered", nil
	}
	if s, err = h.store.Recipient(t.Context(), "bob@example.org", selector); err != nil {
		t.Fatal(err)
	}
	if s.Chosen == nil || s.Chosen.Certificate.Subject.CommonName != "newest" || s.Chosen.Unchecked != "nobody answered" || fmt.Sprint(asked) != "[old newest]" {
		t.Errorf("chosen %+v, asked %v", s.Chosen, asked)
	}
	if got, want := fmt.Sprint(codes(s)), "[newest: usable strong: usable weaker: usable old: revoked]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	failure := errors.New("interrupted")
	selector.Revocation = func(context.Context, []*x509.Certificate) (certstore.PathCode, string, error) { return "", "", failure }
	if s, err = h.store.Recipient(t.Context(), "bob@example.org", selector); !errors.Is(err, failure) || s.Chosen != nil {
		t.Errorf("%+v, %v", s.Chosen, err)
	}
}

func TestAcquaintance(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	root, other := issue(t, nil, "root", newKey(t), asCA(nil)), issue(t, nil, "other", newKey(t), asCA(nil))
	key := newKey(t)
	bob := forMail("bob@example.org", nil)
	first := issue(t, root, "first", key, bob)
	renewed := issue(t, root, "renewed", key, bob)
	newKeyed := issue(t, root, "new key", newKey(t), bob)
	elsewhere := issue(t, other, "elsewhere", newKey(t), bob)
	encryption := issue(t, root, "encryption", newKey(t), forMail("bob@example.org", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }))
	signer := func(n *node, message string) certstore.Acquaintance {
		t.Helper()
		a, err := h.store.AcquaintanceOfSigner("Bob@example.org", n.cert, message)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	want := func(what string, a certstore.Acquaintance, first, key, issuer bool, before *node) {
		t.Helper()
		if a.First != first || a.NewKey != key || a.NewIssuer != issuer || a.Changed() != (key || issuer) ||
			(a.Before == nil) != (before == nil) || before != nil && !a.Before.Certificate().Equal(before.cert) {
			t.Errorf("%s: %+v", what, a)
		}
	}
	want("nobody is known", signer(first, "1"), true, false, false, nil)
	add(t, h, certstore.Correspondent{Chain: certs(first), Message: "1"})
	add(t, h, certstore.Correspondent{Chain: certs(encryption), FirstSeen: now().Add(time.Minute), Message: "1"}) // for which nobody signs
	want("the same mail once more", signer(first, "1"), true, false, false, nil)
	want("another mail", signer(first, "2"), false, false, false, nil)
	if a := signer(first, "2"); !a.Seen.Equal(now()) {
		t.Errorf("seen %v", a.Seen)
	}
	want("renewed", signer(renewed, "2"), false, false, false, first)
	want("another key", signer(newKeyed, "3"), false, true, false, first)
	add(t, h, certstore.Correspondent{Chain: certs(newKeyed), FirstSeen: now().Add(time.Hour), Message: "3"})
	want("another key, read again", signer(newKeyed, "3"), false, true, false, first)
	want("another key, known by now", signer(newKeyed, "4"), false, false, false, nil)
	want("the first mail, read again", signer(first, "1"), true, false, false, nil)
	want("another authority", signer(elsewhere, "5"), false, true, true, newKeyed)

	// What was collected, and nobody was told of, vouches for nothing: neither for itself nor for its key.
	add(t, h, certstore.Correspondent{Chain: certs(elsewhere), FirstSeen: now().Add(2 * time.Hour), Message: "5", Untold: true})
	want("collected, another mail", signer(elsewhere, "6"), false, true, true, newKeyed)
	again := issue(t, other, "again", elsewhere.key, bob)
	want("the key of what was collected", signer(again, "7"), false, true, true, newKeyed)
	add(t, h, certstore.Correspondent{Chain: certs(elsewhere), FirstSeen: now().Add(3 * time.Hour), Message: "6"})
	want("the mail that was read", signer(elsewhere, "6"), false, true, true, newKeyed)
	want("the mail that was not", signer(elsewhere, "5"), false, false, false, nil)
	add(t, h, certstore.Correspondent{Chain: certs(elsewhere), FirstSeen: now().Add(4 * time.Hour), Message: "8", Untold: true})
	want("told once", signer(elsewhere, "8"), false, false, false, nil)
	if a := signer(elsewhere, "8"); !a.Seen.Equal(now().Add(2 * time.Hour)) {
		t.Errorf("seen %v", a.Seen)
	}

	recipient := func(n *node) certstore.Acquaintance {
		t.Helper()
		a, err := h.store.AcquaintanceOfRecipient("bob@example.org", n.cert)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	want("to nobody before", recipient(first), true, false, false, nil)
	for range 2 { // the second time is no first use
		if err := h.store.MarkUsed(now(), certstore.Fingerprint(first.cert), certstore.Fingerprint(other.cert)); err != nil {
			t.Fatal(err)
		}
	}
	want("used", recipient(first), false, false, false, nil)
	want("another than was used", recipient(newKeyed), false, true, false, first)
}

// TestManyCorrespondents is the promise that a choice among many costs what one among few does: it reads the files of the
// address, and no others. The many are made of one certificate with other octets in place of its address.
func TestManyCorrespondents(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	many := manyCorrespondents(t, 3000)
	if n, err := h.store.AddCorrespondents(t.Context(), many); n != len(many) || err != nil {
		t.Fatal(n, err)
	}
	// What cannot be read would be reported, if it were.
	files, err := filepath.Glob(h.path("correspondents", "*", "*.pem"))
	if err != nil || len(files) != len(many) {
		t.Fatal(len(files), err)
	}
	wanted := many[len(many)/2]
	keep := h.path("correspondents", certstore.Fingerprint(wanted.Certificate())[:2], certstore.Fingerprint(wanted.Certificate())+".pem")
	for _, f := range files {
		if f != keep {
			if err := os.WriteFile(f, []byte("odd"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	list, problems, err := h.store.CorrespondentsFor(wanted.Certificate().EmailAddresses[0])
	if err != nil || len(problems) != 0 || len(list) != 1 || !list[0].Certificate().Equal(wanted.Certificate()) {
		t.Errorf("%d, %v, %v", len(list), problems, err)
	}
}

// manyCorrespondents makes certificates for as many addresses, signed by one authority. To sign each would take long, and
// nobody asks for a good signature here: they differ from one that was signed in address and serial number.
func manyCorrespondents(t testing.TB, count int) []certstore.Correspondent {
	t.Helper()
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	pattern := issue(t, root, "user", newKey(t), forMail("user000000@example.org", func(c *x509.Certificate) {
		c.SerialNumber = new(big.Int).SetBytes([]byte("serial000000"))
	}))
	list := make([]certstore.Correspondent, count)
	for i := range list {
		der := bytes.Clone(pattern.cert.Raw)
		for _, what := range []string{"user", "serial"} {
			der = bytes.Replace(der, []byte(what+"000000"), fmt.Appendf(nil, "%s%06d", what, i), 1)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = certstore.Correspondent{Chain: []*x509.Certificate{c, root.cert}, Source: "test", FirstSeen: now()}
	}
	return list
}

// BenchmarkRecipient chooses a certificate among many correspondents.
func BenchmarkRecipient(b *testing.B) {
	for _, count := range []int{1, 1_000, 100_000} {
		h := newHome(b, safeio.Disk{})
		root := issue(b, nil, "root", newKey(b), asCA(nil))
		if err := h.store.Trust(certstore.Anchor{Certificate: root.cert}, certstore.Mail); err != nil {
			b.Fatal(err)
		}
		list := manyCorrespondents(b, count)
		bob := issue(b, root, "bob", newKey(b), forMail("bob@example.org", nil))
		list = append(list, certstore.Correspondent{Chain: certs(bob, root), FirstSeen: now()})
		if _, err := h.store.AddCorrespondents(b.Context(), list); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			for b.Loop() {
				store := certstore.New(h.path(), safeio.Disk{}, nil) // as each command has it
				v, _, err := store.Validator(certstore.Mail, "")
				if err != nil {
					b.Fatal(err)
				}
				s, err := store.Recipient(b.Context(), "bob@example.org", by(v))
				if err != nil || s.Chosen == nil {
					b.Fatal(s, err)
				}
			}
		})
	}
}

// BenchmarkAddCorrespondents imports many certificates at once; the time for each is to stay the same.
func BenchmarkAddCorrespondents(b *testing.B) {
	for _, count := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			list := manyCorrespondents(b, count)
			for b.Loop() {
				b.StopTimer()
				h := newHome(b, safeio.Disk{})
				b.StartTimer()
				if _, err := h.store.AddCorrespondents(b.Context(), list); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*count), "µs/certificate")
		})
	}
}

// TestKnowsHeaderProtection: the newest mail from an address decides, whichever certificate signed it.
func TestKnowsHeaderProtection(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	old, newer := issue(t, root, "bob", newKey(t), forMail("bob@example.org", nil)), issue(t, root, "bob", newKey(t), forMail("bob@example.org", nil))
	other := issue(t, root, "bob@example.org", newKey(t), forMail("carol@example.org", nil))
	knows := func() bool {
		t.Helper()
		known, err := h.store.KnowsHeaderProtection("BOB@example.org")
		if err != nil {
			t.Fatal(err)
		}
		return known
	}
	at := func(hours int) time.Time { return now().Add(time.Duration(hours) * time.Hour) }
	if knows() {
		t.Error("known of a stranger")
	}
	for i, step := range []struct {
		by   *node
		hp   bool
		at   time.Time
		want bool
	}{
		{old, false, time.Time{}, false}, // imported
		{old, true, at(1), true},
		{newer, true, at(2), true},
		{old, false, at(1), true}, // an older mail, read later
		{old, false, at(3), false},
		{newer, false, at(4), false},
		{newer, true, at(5), true},
		{other, false, at(6), true}, // which only mentions the address
		{old, false, time.Time{}, true},
	} {
		add(t, h, certstore.Correspondent{Chain: certs(step.by, root), HeaderProtection: step.hp, HeaderProtectionAt: step.at})
		if got := knows(); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}
