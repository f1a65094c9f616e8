package revocation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// network is a Fetcher that answers from functions, by address, and remembers what it was asked.
type network struct {
	mu     sync.Mutex
	answer map[string]func(context.Context, Request) ([]byte, error)
	asked  []string
}

func (n *network) Fetch(ctx context.Context, r Request) ([]byte, error) {
	n.mu.Lock()
	n.asked = append(n.asked, r.URL)
	f := n.answer[r.URL]
	n.mu.Unlock()
	if f == nil {
		return nil, &HTTPError{404}
	}
	return f(ctx, r)
}

func (n *network) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.asked)
}

func serve(octets []byte) func(context.Context, Request) ([]byte, error) {
	return func(context.Context, Request) ([]byte, error) { return octets, nil }
}

// never is a server that takes the connection and says nothing.
func never(ctx context.Context, _ Request) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// nonceOf returns the nonce of a request.
func nonceOf(t testing.TB, request []byte) []byte {
	t.Helper()
	in := cryptobyte.String(request)
	var outer, tbs, list cryptobyte.String
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !outer.ReadASN1(&tbs, cbasn1.SEQUENCE) || !tbs.ReadASN1(&list, cbasn1.SEQUENCE) {
		t.Fatal("no request")
	}
	extensions, err := readTaggedExtensions(&tbs, tagExplicit2)
	if err != nil || len(extensions) != 1 || extensions[0].ID != oidNonce {
		t.Fatalf("extensions of the request: %v %v", extensions, err)
	}
	return extensions[0].Value
}

// respond makes a responder that echoes the nonce.
func respond(t testing.TB, r response) func(context.Context, Request) ([]byte, error) {
	return func(_ context.Context, request Request) ([]byte, error) {
		if request.ContentType != RequestType || request.Accept != ResponseType || request.Limit != MaxResponse {
			return nil, fmt.Errorf("asked with %q for %q of %d octets", request.ContentType, request.Accept, request.Limit)
		}
		r := r
		r.extensions = append(r.extensions, extension{oidNonce, false, nonceOf(t, request.Body)})
		return r.der(t), nil
	}
}

const (
	responderURL = "http://ocsp.example.org/"
	listURL      = "http://crl.example.org/a.crl"
)

func withAddresses(c *x509.Certificate) {
	c.OCSPServer, c.CRLDistributionPoints = []string{responderURL}, []string{listURL}
}

// TestNetwork asks servers of all kinds.
func TestNetwork(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf", withAddresses)
	other := issue(t, &root, "Other")
	good := response{by: root, singles: []single{{c: leaf, issuer: root, status: Good}}}
	old := response{by: root, singles: []single{{c: leaf, issuer: root, status: Good, this: epoch().AddDate(0, 0, -3)}}}
	mixed := response{by: root, singles: []single{old.singles[0], good.singles[0]}}
	listed := list{by: root, entries: []entry{{serial: leaf.SerialNumber, date: epoch().AddDate(0, 0, -2)}}}.der(t)
	empty := list{by: root}.der(t)
	type answers = map[string]func(context.Context, Request) ([]byte, error)
	otherNonce := good
	otherNonce.extensions = []extension{{oidNonce, false, append([]byte{4, NonceSize}, make([]byte, NonceSize)...)}}

	tests := []struct {
		name   string
		answer answers
		at     time.Time
		status Status
		source string
		why    string
		asked  int
	}{
		{"a responder", answers{responderURL: respond(t, good), listURL: serve(listed)}, epoch(), Good, SourceOCSP, "", 1},
		{"a responder without nonce", answers{responderURL: serve(good.der(t))}, epoch(), Good, SourceOCSP, "", 1},
		{"a responder without nonce, replayed", answers{responderURL: serve(old.der(t))}, epoch().AddDate(0, 0, -3), Unknown, "", "no nonce, and nothing in it is up to date", 2},
		{"a responder without nonce, in part up to date", answers{responderURL: serve(mixed.der(t))}, epoch().AddDate(0, 0, -3), Good, SourceOCSP, "2026-11-21", 1},
		{"a responder with another nonce", answers{responderURL: serve(otherNonce.der(t)), listURL: serve(empty)}, epoch(), Good, SourceCRL, "", 2},
		{"a responder with another nonce, and nobody else", answers{responderURL: serve(otherNonce.der(t))}, epoch(), Unknown, "", "nonce is not ours", 2},
		{"a responder that is not there", answers{responderURL: nil, listURL: serve(listed)}, epoch(), Revoked, SourceCRL, "", 2},
		{"a responder that refuses", answers{responderURL: serve(wrapResponse(t, 6, oidBasic, nil))}, epoch(), Unknown, "", "unauthorized", 2},
		{"a responder that answers about another", answers{responderURL: respond(t, response{by: root, singles: []single{{c: other, issuer: root, status: Good}}})},
			epoch(), Unknown, "", "not about this certificate", 2},
		{"a responder that does not know", answers{responderURL: respond(t, response{by: root, singles: []single{{c: leaf, issuer: root}}}), listURL: serve(listed)}, epoch(), Revoked, SourceCRL, "", 2},
		{"a responder that does not know, and nobody else", answers{responderURL: respond(t, response{by: root, singles: []single{{c: leaf, issuer: root}}})},
			epoch(), Unknown, "", "the response gives no answer", 2},
		{"a list that is out of date", answers{listURL: serve(list{by: root, this: epoch().AddDate(0, 0, -3)}.der(t))}, epoch(), Unknown, "", "out of date since", 2},
		{"a responder that says no OCSP", answers{responderURL: serve([]byte("<html>")), listURL: serve(nil)}, epoch(), Unknown, "", "no response", 2},
		{"a list that is none", answers{listURL: serve([]byte("<html>"))}, epoch(), Unknown, "", "no list", 2},
		{"a list of somebody else", answers{listURL: serve(list{by: other}.der(t))}, epoch(), Unknown, "", "the list there is not about this certificate", 2},
		{"more than was asked for", answers{responderURL: serve(make([]byte, MaxResponse+1)), listURL: serve(empty)}, epoch(), Good, SourceCRL, "", 2},
		{"nothing at all", answers{}, epoch(), Unknown, "", "the server says 404", 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := &network{answer: test.answer}
			c := &Checker{Fetcher: n}
			for round := range 2 {
				found, err := c.Check(t.Context(), pathOf(leaf, root), Evidence{}, test.at, epoch())
				if err != nil {
					t.Fatal(err)
				}
				if a := found[0]; a.Status != test.status || a.Source != test.source || !strings.Contains(a.Why, test.why) {
					t.Errorf("%s", describe(a))
				}
				if n.count() != test.asked {
					t.Errorf("round %d: asked %v", round, n.asked)
				}
			}
			// What was of no use is tried again later.
			later := epoch().Add(retryAfter)
			if _, err := c.Check(t.Context(), pathOf(leaf, root), Evidence{}, test.at, later); err != nil {
				t.Fatal(err)
			}
			if again := n.count() > test.asked; again != (test.status == Unknown) {
				t.Errorf("ten minutes later: asked %v", n.asked)
			}
		})
	}
}

// TestAskAnyway has evidence that is up to date, and whoever gave it may have chosen it so.
func TestAskAnyway(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf", withAddresses)
	response := func(status Status, this time.Time) response {
		return response{by: root, singles: []single{{c: leaf, issuer: root, status: status, this: this, at: epoch().Add(-30 * time.Minute)}}}
	}
	stock := response(Good, epoch().Add(-time.Hour)).der(t) // what a responder without nonces says to everybody
	given := Evidence{OCSPResponses: [][]byte{response(Good, epoch().Add(-time.Hour)).der(t)}}
	listed := Evidence{CRLs: [][]byte{list{by: root, this: epoch().Add(-time.Hour)}.der(t)}}
	for _, test := range []struct {
		name   string
		given  Evidence
		answer func(context.Context, Request) ([]byte, error)
		status Status
		asked  int // in the end
	}{
		{"revoked since", given, respond(t, response(Revoked, epoch())), Revoked, 1},
		{"revoked since the list", listed, respond(t, response(Revoked, epoch())), Revoked, 1},
		{"good still", given, respond(t, response(Good, epoch())), Good, 1},
		{"the same words", Evidence{OCSPResponses: [][]byte{stock}}, serve(stock), Good, 1},
		{"nobody answers", given, nil, Good, 2},
		{"the responder does not know", given, respond(t, response(Unknown, epoch())), Good, 2},
	} {
		n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){responderURL: test.answer}}
		c := &Checker{Fetcher: n, AskAnyway: true}
		for range 2 { // who was asked is not asked again
			found, err := c.Check(t.Context(), pathOf(leaf, root), test.given, epoch(), epoch())
			if err != nil || found[0].Status != test.status {
				t.Errorf("%s: %s, %v", test.name, describe(found[0]), err)
			}
		}
		if n.count() != test.asked {
			t.Errorf("%s: asked %v", test.name, n.asked)
		}
		if a := check(t, pathOf(leaf, root), test.given, epoch(), epoch()); a.Status != Good {
			t.Errorf("%s: offline %s", test.name, describe(a))
		}
	}
	// Of a certificate that has ended nobody needs to know any more: what is given covers the time that counts.
	ended := issue(t, &root, "Ended", withAddresses, func(c *x509.Certificate) { c.NotAfter = epoch().AddDate(0, 0, -2) })
	then := epoch().AddDate(0, 0, -10)
	old := Evidence{CRLs: [][]byte{list{by: root, this: then.Add(-time.Hour)}.der(t)}}
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){}}
	found, err := (&Checker{Fetcher: n, AskAnyway: true}).Check(t.Context(), pathOf(ended, root), old, then, epoch())
	if err != nil || found[0].Status != Good || n.count() != 0 {
		t.Errorf("ended: asked %v: %s, %v", n.asked, describe(found[0]), err)
	}
}

// TestAskAnywayOfLaterRevocation has a certificate that was put on hold after the time that counts, and whoever gave that may
// know that it is told by now that the key was stolen before.
func TestAskAnywayOfLaterRevocation(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf", withAddresses)
	said := func(reason Reason, this time.Time) response {
		return response{by: root, singles: []single{{c: leaf, issuer: root, status: Revoked, this: this, at: epoch().Add(-30 * time.Minute), reason: reason}}}
	}
	given := Evidence{OCSPResponses: [][]byte{said(ReasonCertificateHold, epoch().Add(-20*time.Minute)).der(t)}}
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){responderURL: respond(t, said(ReasonKeyCompromise, epoch()))}}
	c := &Checker{Fetcher: n, AskAnyway: true}
	found, err := c.Check(t.Context(), pathOf(leaf, root), given, epoch().Add(-time.Hour), epoch())
	if err != nil || !found[0].KeyCompromise {
		t.Errorf("asked %v: %s, %v", n.asked, describe(found[0]), err)
	}
	// A responder that has not heard of it yet takes nothing back.
	n = &network{answer: map[string]func(context.Context, Request) ([]byte, error){
		responderURL: respond(t, response{by: root, singles: []single{{c: leaf, issuer: root, status: Good, this: epoch().Add(-40 * time.Minute)}}})}}
	c = &Checker{Fetcher: n, AskAnyway: true}
	if found, err = c.Check(t.Context(), pathOf(leaf, root), given, epoch().Add(-time.Hour), epoch()); err != nil || found[0].Status != Revoked || n.count() == 0 {
		t.Errorf("asked %v: %s, %v", n.asked, describe(found[0]), err)
	}
	// Of a revocation that counts already nobody need say more.
	n = &network{answer: n.answer}
	c = &Checker{Fetcher: n, AskAnyway: true}
	if found, err = c.Check(t.Context(), pathOf(leaf, root), given, epoch(), epoch()); err != nil || found[0].Status != Revoked || n.count() != 0 {
		t.Errorf("asked %v: %s, %v", n.asked, describe(found[0]), err)
	}
}

// TestGivenFirst has evidence that makes questions superfluous, or not.
func TestGivenFirst(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf", withAddresses)
	ended := issue(t, &root, "Ended", withAddresses, func(c *x509.Certificate) { c.NotAfter = epoch().AddDate(0, 0, -2) })
	said := func(c holder, days int) []byte {
		return response{by: root, singles: []single{{c: c, issuer: root, status: Good, this: epoch().AddDate(0, 0, days).Add(-time.Hour)}}, produced: epoch().AddDate(0, 0, days)}.der(t)
	}
	revoked := func(c holder) func(context.Context, Request) ([]byte, error) {
		return respond(t, response{by: root, singles: []single{{c: c, issuer: root, status: Revoked, at: epoch().AddDate(0, 0, -20)}}})
	}
	listed := func(c holder, days int, revoked bool) []byte {
		l := list{by: root, this: epoch().AddDate(0, 0, days).Add(-time.Hour)}
		if revoked {
			l.entries = []entry{{serial: c.SerialNumber, date: epoch().AddDate(0, 0, -20)}}
		}
		return l.der(t)
	}
	tests := []struct {
		name   string
		c      holder
		days   int // of the evidence, and of the time that counts
		answer func(context.Context, Request) ([]byte, error)
		status Status
		asked  int
	}{
		{"up to date", leaf, 0, revoked(leaf), Good, 0},
		{"out of date, and revoked since", leaf, -10, revoked(leaf), Revoked, 1},
		{"out of date, and nobody answers", leaf, -10, nil, Good, 2},
		{"out of date, of a certificate that ended", ended, -10, revoked(ended), Good, 0},
	}
	for _, test := range tests {
		n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){responderURL: test.answer}}
		given := Evidence{OCSPResponses: [][]byte{said(test.c, test.days)}}
		found, err := (&Checker{Fetcher: n}).Check(t.Context(), pathOf(test.c, root), given, epoch().AddDate(0, 0, test.days), epoch())
		if err != nil {
			t.Fatal(err)
		}
		if found[0].Status != test.status || n.count() != test.asked {
			t.Errorf("%s: asked %v: %s", test.name, n.asked, describe(found[0]))
		}
	}
	// The same with lists: the one that was given is enough for the time that counts, and is not the last word.
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){listURL: serve(listed(leaf, 0, true))}}
	found, err := (&Checker{Fetcher: n}).Check(t.Context(), pathOf(leaf, root), Evidence{CRLs: [][]byte{listed(leaf, -10, false)}}, epoch().AddDate(0, 0, -10), epoch())
	if err != nil || found[0].Status != Revoked {
		t.Errorf("a newer list: asked %v: %v %v", n.asked, found, err)
	}
	// Who was on hold, and is not any more.
	held := list{by: root, this: epoch().Add(-2 * time.Hour), entries: []entry{{leaf.SerialNumber, epoch().AddDate(0, 0, -20), []extension{reasonCode(ReasonCertificateHold)}}}}
	if a := check(t, pathOf(leaf, root), Evidence{CRLs: [][]byte{held.der(t), listed(leaf, 0, false)}}, epoch(), epoch()); a.Status != Good {
		t.Errorf("a hold that ended: %s", describe(a))
	}
}

// TestFreshest has a list that names a delta list.
func TestFreshest(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf", func(c *x509.Certificate) { c.CRLDistributionPoints = []string{listURL} })
	const deltaURL = "http://crl.example.org/delta.crl"
	base := list{by: root, extensions: []extension{number(oidCRLNumber, 5), freshest(t, deltaURL)}}
	delta := list{by: root, extensions: []extension{number(oidCRLNumber, 6), number(oidDeltaCRLIndicator, 5)}}
	listed := delta
	listed.entries = []entry{{serial: leaf.SerialNumber, date: epoch().AddDate(0, 0, -1)}}
	foreign := delta
	foreign.by = newRoot(t, "Root")
	tests := []struct {
		name   string
		delta  func(context.Context, Request) ([]byte, error)
		status Status
		why    string
	}{
		{"it has the certificate", serve(listed.der(t)), Revoked, "revoked since"},
		{"it does not", serve(delta.der(t)), Good, "with the delta list"},
		{"it is not there", nil, Good, "does not have it"},
		{"it is by somebody else", serve(foreign.der(t)), Good, "does not have it"},
	}
	for _, test := range tests {
		n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){listURL: serve(base.der(t)), deltaURL: test.delta}}
		c := &Checker{Fetcher: n}
		for range 2 {
			found, err := c.Check(t.Context(), pathOf(leaf, root), Evidence{}, epoch(), epoch())
			if err != nil {
				t.Fatal(err)
			}
			if a := found[0]; a.Status != test.status || !strings.Contains(a.Why, test.why) {
				t.Errorf("%s: %s", test.name, describe(a))
			}
			if n.count() != 2 {
				t.Errorf("%s: asked %v", test.name, n.asked)
			}
		}
	}
}

// TestStaleDelta has a delta list that was given, and is out of date: a newer one is fetched.
func TestStaleDelta(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf")
	const deltaURL = "http://crl.example.org/delta.crl"
	base := list{by: root, extensions: []extension{number(oidCRLNumber, 5), freshest(t, deltaURL)}}
	old := list{by: root, this: epoch().AddDate(0, 0, -3), extensions: []extension{number(oidCRLNumber, 6), number(oidDeltaCRLIndicator, 5)}}
	fresh := list{by: root, entries: []entry{{serial: leaf.SerialNumber, date: epoch()}}, extensions: []extension{number(oidCRLNumber, 7), number(oidDeltaCRLIndicator, 5)}}
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){deltaURL: serve(fresh.der(t))}}
	found, err := (&Checker{Fetcher: n}).Check(t.Context(), pathOf(leaf, root), Evidence{CRLs: [][]byte{base.der(t), old.der(t)}}, epoch(), epoch())
	if err != nil || found[0].Status != Revoked || n.count() != 1 {
		t.Errorf("asked %v: %v %v", n.asked, found, err)
	}
}

// TestTimeout has servers that never answer: all of them together cost the time that was given, and no more.
func TestTimeout(t *testing.T) {
	root := newRoot(t, "Root")
	ca := issue(t, &root, "CA", authority, func(c *x509.Certificate) {
		c.OCSPServer, c.CRLDistributionPoints = []string{"http://a.example.org/"}, []string{"http://b.example.org/"}
	})
	leaf := issue(t, &ca, "Leaf", func(c *x509.Certificate) {
		c.OCSPServer, c.CRLDistributionPoints = []string{"http://c.example.org/", "http://d.example.org/"}, []string{"http://e.example.org/"}
	})
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){}}
	for _, host := range []string{"a", "b", "c", "d", "e"} {
		n.answer["http://"+host+".example.org/"] = never
	}
	synctest.Test(t, func(t *testing.T) {
		c := &Checker{Fetcher: n, Timeout: 10 * time.Second}
		begin := time.Now() // of the bubble: it moves only while everybody waits
		answers, err := c.Check(context.Background(), pathOf(leaf, ca, root), Evidence{}, epoch(), epoch())
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if !strings.Contains(answers[0].Why, `"http://c.example.org/": there was no answer in time`) ||
			!strings.Contains(answers[0].Why, `"http://e.example.org/": it was not asked, as the time for asking was used up`) {
			t.Errorf("leaf: %s", answers[0].Why)
		}
		if answers[1].Status != Unknown || !strings.Contains(answers[1].Why, "the time for asking was used up") {
			t.Errorf("CA: %s", answers[1].Why)
		}
		if n.count() != 2 {
			t.Errorf("asked %v", n.asked)
		}
		// Who did not answer is not asked by the next Check, whose time is for the others.
		if _, err := c.Check(context.Background(), pathOf(leaf, ca, root), Evidence{}, epoch(), epoch()); err != nil {
			t.Fatal(err)
		}
		if want := "http://e.example.org/ http://a.example.org/"; strings.Join(n.asked[2:], " ") != want {
			t.Errorf("then asked %v", n.asked[2:])
		}
	})
}

// TestHosts has several addresses of one server: one that is not there says nothing of the others, a server that is not
// there is asked once.
func TestHosts(t *testing.T) {
	root := newRoot(t, "Root")
	const first, second = "http://crl.example.org/1", "http://CRL.example.org/2"
	leaf := issue(t, &root, "Leaf", func(c *x509.Certificate) { c.CRLDistributionPoints = []string{first, second} })
	good := serve(list{by: root}.der(t))
	for _, test := range []struct {
		name   string
		err    error
		status Status
		asked  int
	}{
		{"not found", &HTTPError{404}, Good, 2},
		{"too large", ErrTooLarge, Good, 2},
		{"no connection", errors.New("no connection"), Unknown, 1},
	} {
		n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){
			first:  func(context.Context, Request) ([]byte, error) { return nil, test.err },
			second: good,
		}}
		found, err := (&Checker{Fetcher: n}).Check(t.Context(), pathOf(leaf, root), Evidence{}, epoch(), epoch())
		if err != nil || found[0].Status != test.status || n.count() != test.asked {
			t.Errorf("%s: asked %v: %v %v", test.name, n.asked, found, err)
		}
	}
}

// TestCancelled has a caller that gives up while a server is asked: that is no failure of the server.
func TestCancelled(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf", withAddresses)
	good := response{by: root, singles: []single{{c: leaf, issuer: root, status: Good}}}
	ctx, cancel := context.WithCancel(t.Context())
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){
		responderURL: func(asked context.Context, r Request) ([]byte, error) {
			cancel()
			return never(asked, r)
		}}}
	c := &Checker{Fetcher: n}
	if _, err := c.Check(ctx, pathOf(leaf, root), Evidence{}, epoch(), epoch()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	n.answer[responderURL] = respond(t, good)
	found, err := c.Check(t.Context(), pathOf(leaf, root), Evidence{}, epoch(), epoch())
	if err != nil || found[0].Status != Good {
		t.Errorf("then: %v %v", found, err)
	}
}

// TestAddresses has names of all kinds, twice and too many, where addresses are wanted.
func TestAddresses(t *testing.T) {
	uri := func(text string) certpath.GeneralName {
		return certpath.GeneralName{Kind: certpath.URI, Text: text}
	}
	q := &question{notes: new(notes)}
	names := []certpath.GeneralName{{Kind: certpath.DNSName, Text: "http://dns"}, uri("http://a"), uri("ldap://x"), uri("http://a"), uri("http://b"), uri("http://c")}
	if got := strings.Join(q.addresses(names, 2), " "); got != "http://a http://b" {
		t.Errorf("%s", got)
	}
	if got := q.notes.text(); got != `"ldap://x" is not asked: `+errURL.Error() {
		t.Errorf("%s", got)
	}
}
