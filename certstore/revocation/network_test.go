package revocation

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
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

// TestHTTP asks real servers that are slow, endless, lying or redirecting.
func TestHTTP(t *testing.T) {
	block := make(chan struct{})
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(block)
	secret := httptest.NewUnstartedServer(http.NotFoundHandler())
	secret.Config.ErrorLog = log.New(io.Discard, "", 0)
	secret.StartTLS()
	defer secret.Close()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s %v %q", r.Method, body, r.Header.Get("Content-Type"), r.Header.Get("Accept"), err, r.Header.Get("Cookie"))
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) { <-block })
	mux.HandleFunc("/drip", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("some"))
		w.(http.Flusher).Flush()
		<-block
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "100000000000") })
	mux.HandleFunc("/less", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		w.Write([]byte("three"))
	})
	mux.HandleFunc("/gone", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "gone", http.StatusGone) })
	to := func(from, to string) { mux.Handle(from, http.RedirectHandler(to, http.StatusFound)) }
	to("/once", "/ok")
	to("/ring", "/ring")
	to("/file", "file:///etc/passwd")
	to("/ldap", "ldap://example.org/")
	to("/user", strings.Replace(server.URL, "http://", "http://name:word@", 1)+"/ok")

	tests := []struct {
		name, path string
		body       []byte
		want       string
		why        func(error) bool
	}{
		{"GET", "/ok", nil, `GET   any/thing <nil> ""`, nil},
		{"POST", "/ok", []byte("question"), `POST question text/x any/thing <nil> ""`, nil},
		{"a redirect", "/once", nil, `GET   any/thing <nil> ""`, nil},
		{"slow", "/slow", nil, "", isDeadline},
		{"slow in its midst", "/drip", nil, "", isDeadline},
		{"endless", "/endless", nil, "", func(err error) bool { return errors.Is(err, ErrTooLarge) }},
		{"too large by its own word", "/large", nil, "", func(err error) bool { return errors.Is(err, ErrTooLarge) }},
		{"less than it says", "/less", nil, "", func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"a refusal", "/gone", nil, "", func(err error) bool {
			var refused *HTTPError
			return errors.As(err, &refused) && refused.Code == http.StatusGone
		}},
		{"redirects without end", "/ring", nil, "", func(err error) bool { return errors.Is(err, errRedirects) }},
		{"a redirect to a file", "/file", nil, "", func(err error) bool { return errors.Is(err, errURL) }},
		{"a redirect to a directory", "/ldap", nil, "", func(err error) bool { return errors.Is(err, errURL) }},
		{"a redirect with a password", "/user", nil, "", func(err error) bool { return errors.Is(err, errURL) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if test.why != nil && (test.path == "/slow" || test.path == "/drip") {
				limited, stop := context.WithTimeout(ctx, 20*time.Millisecond)
				defer stop()
				ctx = limited
			}
			got, err := HTTP{server.Client()}.Fetch(ctx, Request{URL: server.URL + test.path, Body: test.body, ContentType: "text/x", Accept: "any/thing", Limit: 1000})
			if test.why == nil && (err != nil || string(got) != test.want) || test.why != nil && !test.why(err) {
				t.Errorf("%q, %v", got, err)
			}
			if err != nil && strings.Contains(err.Error(), "Get ") {
				t.Errorf("the error says what the caller knows: %v", err)
			}
		})
	}
	if _, err := (HTTP{server.Client()}).Fetch(t.Context(), Request{URL: secret.URL, Limit: 10}); err == nil {
		t.Error("a server with an unknown certificate was believed")
	}
	if _, err := (HTTP{}).Fetch(t.Context(), Request{URL: server.URL + "/ok", Limit: 10}); err == nil {
		t.Error("a global client was used")
	}
}

func isDeadline(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

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

// TestKeys has numbers whose octets are the same, which are other certificates.
func TestKeys(t *testing.T) {
	root, other := newRoot(t, "Root"), newRoot(t, "Root")
	keys := map[string]bool{}
	for _, issuer := range []holder{root, other} {
		for _, n := range []int64{5, -5, 1280} {
			c := *root.Certificate
			c.SerialNumber = big.NewInt(n)
			keys[(&question{path: []*certpath.Certificate{&c, issuer.Certificate}}).key()] = true
		}
	}
	if len(keys) != 6 {
		t.Errorf("%d keys for six certificates", len(keys))
	}
}

func TestCheckURL(t *testing.T) {
	for address, ok := range map[string]bool{
		"http://example.org/a": true, "https://example.org:8443/a?b": true, "HTTP://example.org": true,
		"ldap://example.org/a": false, "file:///etc/passwd": false, "http:///a": false, "//example.org/a": false, "example.org": false, "": false,
		"http://user:word@example.org/": false, "http://example.org/\x1b[2J": false, "http://example.org/" + strings.Repeat("a", maxURL): false,
	} {
		if err := CheckURL(address); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// TestShared has several Checks at once, which share what they fetch.
func TestShared(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf", withAddresses)
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){listURL: serve(list{by: root}.der(t))}}
	c := &Checker{Fetcher: n}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			found, err := c.Check(t.Context(), pathOf(leaf, root), Evidence{}, epoch(), epoch())
			if err != nil || found[0].Status != Good {
				t.Errorf("%v %v", found, err)
			}
		})
	}
	group.Wait()
	before := n.count()
	if found, err := c.Check(t.Context(), pathOf(leaf, root), Evidence{}, epoch(), epoch()); err != nil || found[0].Status != Good || n.count() != before {
		t.Errorf("%v %v, asked %v", found, err, n.asked[before:])
	}
}

// TestExported has evidence that was fetched for one Check be enough for another, without the network.
func TestExported(t *testing.T) {
	root := newRoot(t, "Root")
	signer := issue(t, &root, "Signer", authority, func(c *x509.Certificate) { c.CRLDistributionPoints = []string{"http://crl.example.org/root.crl"} })
	ca := issue(t, &root, "CA", authority, func(c *x509.Certificate) { c.OCSPServer = []string{responderURL} })
	leaf := issue(t, &ca, "Leaf", indirectPoint(t, listURL, signer.Subject.Raw))
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){
		listURL:                           serve(list{by: signer, extensions: []extension{scope(t, pointName(listURL), flag(tagImplicit4))}}.der(t)),
		"http://crl.example.org/root.crl": serve(list{by: root}.der(t)),
		responderURL:                      respond(t, response{by: root, singles: []single{{c: ca, issuer: root, status: Revoked, at: epoch().Add(-time.Hour), reason: ReasonSuperseded}}}),
	}}
	path := pathOf(leaf, ca, root)
	first, err := (&Checker{Fetcher: n}).Check(t.Context(), path, Evidence{Certificates: [][]byte{signer.Raw}}, epoch(), epoch())
	if err != nil {
		t.Fatal(err)
	}
	if first[0].Status != Good || first[1].Status != Revoked {
		t.Fatalf("%s; %s", describe(first[0]), describe(first[1]))
	}
	var kept Evidence
	for _, a := range first {
		kept.Add(a.Evidence)
	}
	if len(kept.CRLs) != 2 || len(kept.OCSPResponses) != 1 || len(kept.Certificates) != 1 {
		t.Errorf("%d lists, %d responses, %d certificates", len(kept.CRLs), len(kept.OCSPResponses), len(kept.Certificates))
	}
	second, err := new(Checker).Check(t.Context(), path, kept, epoch(), epoch().AddDate(10, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range first {
		b := second[i]
		if a.Status != b.Status || !a.At.Equal(b.At) || !a.Until.Equal(b.Until) || a.Reason != b.Reason || a.Why != b.Why || a.Source != b.Source ||
			!equalLists(a.Evidence.CRLs, b.Evidence.CRLs) || !equalLists(a.Evidence.OCSPResponses, b.Evidence.OCSPResponses) {
			t.Errorf("%d: %s, and later %s", i, describe(a), describe(b))
		}
	}
}

func equalLists(a, b [][]byte) bool { return bytes.Equal(bytes.Join(a, nil), bytes.Join(b, nil)) }

// TestKeptForAnother has a list that was fetched, and found to be signed by its issuer, looked at for another issuer of the
// same name.
func TestKeptForAnother(t *testing.T) {
	root, namesake := newRoot(t, "Root"), newRoot(t, "Root")
	ours := issue(t, &root, "Leaf", withAddresses)
	theirs := issue(t, &namesake, "Leaf", withAddresses)
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){listURL: serve(list{by: root}.der(t))}}
	c := &Checker{Fetcher: n}
	for _, test := range []struct {
		name   string
		path   []*certpath.Certificate
		status Status
	}{
		{"the issuer", pathOf(ours, root), Good},
		{"the other", pathOf(theirs, namesake), Unknown},
		{"the issuer again", pathOf(ours, root), Good},
	} {
		answers, err := c.Check(t.Context(), test.path, Evidence{}, epoch(), epoch())
		if err != nil || answers[0].Status != test.status {
			t.Errorf("%s: %v %v", test.name, answers, err)
		}
	}
}
