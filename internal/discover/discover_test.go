package discover

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/mailbox"
)

// world is what there is in a test: SRV records by name, pages by URL, and servers that answer, by address.
type world struct {
	records map[string][]*net.SRV
	broken  bool // the DNS answers nothing
	pages   map[string]string
	answers []string
	agreed  bool
	silent  []string // servers that take a connection and say nothing

	mu     sync.Mutex
	asked  []string // the database, and pages
	said   []string
	probed []string
}

func (w *world) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	list, found := w.records["_"+service+"._"+proto+"."+strings.TrimSuffix(name, ".")]
	switch {
	case w.broken:
		return "", nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	case !found:
		return "", nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return "", list, nil
}

func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	url := "https://" + r.Host + r.URL.RequestURI()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, url)
	page, found := w.pages[url]
	switch target, moved := strings.CutPrefix(page, "moved "); {
	case moved:
		http.Redirect(out, r, target, http.StatusMovedPermanently)
	case !found:
		http.NotFound(out, r)
	default:
		_, _ = out.Write([]byte(page))
	}
}

// finder returns a Finder for what there is.
func (w *world) finder(t *testing.T) *Finder {
	t.Helper()
	server := httptest.NewTLSServer(w)
	t.Cleanup(server.Close)
	transport := server.Client().Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, ServerName: "example.com"} // what its certificate is for
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	return &Finder{
		Resolver: w, HTTP: server.Client(), Timeout: 10 * time.Second,
		Probe: func(ctx context.Context, e mailbox.Endpoint) error {
			if slices.Contains(w.silent, e.String()) {
				<-ctx.Done()
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.probed = append(w.probed, e.String())
			if !slices.Contains(w.answers, e.String()) {
				return errors.New("cannot be reached")
			}
			return nil
		},
		Database: func() (bool, error) { return w.agreed, nil },
		Say:      func(s string) { w.said = append(w.said, s) },
	}
}

const (
	ownPage      = "https://autoconfig.example.org/mail/config-v1.1.xml"
	wellKnown    = "https://example.org/.well-known/autoconfig/mail/config-v1.1.xml"
	databasePage = "https://autoconfig.thunderbird.net/v1.1/example.org"
)

// configuration is a page with these servers, each of them like "imap SSL host 993 USER METHOD".
func configuration(servers ...string) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?>\n<clientConfig version=\"1.1\"><emailProvider id=\"x\"><domain>example.org</domain>\n")
	for _, words := range servers {
		f := strings.Fields(words)
		element := map[string]string{"imap": "incomingServer", "pop3": "incomingServer", "smtp": "outgoingServer"}[f[0]]
		fmt.Fprintf(&b, "<%s type=%q><socketType>%s</socketType><hostname> %s\n</hostname><port>%s</port><username>%s</username>", element, f[0], f[1], f[2], f[3], f[4])
		for _, method := range strings.Split(f[5], ",") {
			fmt.Fprintf(&b, "<authentication>%s</authentication>", method)
		}
		fmt.Fprintf(&b, "</%s>\n", element)
	}
	b.WriteString("</emailProvider></clientConfig>\n")
	return b.String()
}

func srv(target string, port, priority, weight uint16) *net.SRV {
	return &net.SRV{Target: target, Port: port, Priority: priority, Weight: weight}
}

func TestFind(t *testing.T) {
	const (
		imaps, submissions = "_imaps._tcp.example.org", "_submissions._tcp.example.org"
		imap, submission   = "_imap._tcp.example.org", "_submission._tcp.example.org"
	)
	none := []*net.SRV{srv(".", 0, 0, 0)}
	both := configuration("pop3 SSL pop.example.org 995 x plain", "imap STARTTLS i.example.org 143 %EMAILLOCALPART% password-cleartext",
		"imap SSL i.example.org 993 %EMAILADDRESS% OAuth2,password-cleartext", "smtp SSL s.provider.example 465 %EMAILADDRESS% password-encrypted")
	for _, test := range []struct {
		name       string
		world      *world
		imap, smtp string   // URL, user, whether foreign, whether OAuth
		said       []string // some of it
		notAsked   string
	}{
		{name: "nothing anywhere", world: &world{}, said: []string{"no SRV record _imaps._tcp.example.org", ownPage + ": the server answers 404"}},
		{name: "records", world: &world{records: map[string][]*net.SRV{
			imaps: {srv("i.example.org.", 993, 0, 1)}, submissions: {srv("s.example.org.", 4650, 0, 1)}, imap: {srv("x.example.org.", 143, 0, 1)},
		}, answers: []string{"imaps://i.example.org:993", "submissions://s.example.org:4650"}},
			imap: "imaps://i.example.org:993", smtp: "submissions://s.example.org:4650", notAsked: ownPage},
		{name: "records for STARTTLS", world: &world{records: map[string][]*net.SRV{
			imaps: none, imap: {srv("i.example.org.", 143, 0, 1)}, submission: {srv("example.org.", 587, 0, 1)},
		}, answers: []string{"imap://i.example.org:143", "submission://example.org:587"}},
			imap: "imap://i.example.org:143", smtp: "submission://example.org:587"},
		{name: "records that name another domain", world: &world{records: map[string][]*net.SRV{
			imaps: {srv("i.evil.example.", 993, 0, 1)}, submissions: {srv("s.notexample.org.", 465, 0, 1)},
		}, answers: []string{"imaps://i.evil.example:993", "submissions://s.notexample.org:465"}},
			imap: "imaps://i.evil.example:993 foreign", smtp: "submissions://s.notexample.org:465 foreign"},
		{name: "priority and weight, and servers that are down", world: &world{records: map[string][]*net.SRV{
			imaps:       {srv("c.example.org.", 993, 20, 100), srv("a.example.org.", 993, 10, 1), srv("b.example.org.", 993, 10, 2)},
			submissions: {srv("b.example.org.", 465, 10, 1), srv("a.example.org.", 465, 5, 1)},
		}, answers: []string{"imaps://a.example.org:993", "imaps://b.example.org:993", "imaps://c.example.org:993", "submissions://b.example.org:465"}},
			imap: "imaps://b.example.org:993", smtp: "submissions://b.example.org:465", said: []string{"submissions://a.example.org:465, from the SRV record"}},
		{name: "not offered", world: &world{records: map[string][]*net.SRV{imaps: none, imap: none, submissions: none},
			pages: map[string]string{ownPage: both}, answers: []string{"imaps://imap.example.org:993"}},
			said: []string{"offers no IMAP", "offers no submission"}, notAsked: ownPage},
		{name: "records that name no host", world: &world{records: map[string][]*net.SRV{imaps: {srv("192.0.2.1.", 993, 0, 0), srv("a b.example.org.", 993, 0, 0)}}},
			said: []string{`names no host: "192.0.2.1"`, `names no host: "a b.example.org"`}},
		{name: "no DNS", world: &world{broken: true, pages: map[string]string{wellKnown: both}, answers: []string{"imaps://i.example.org:993", "submissions://s.provider.example:465"}},
			imap: "imaps://i.example.org:993 alice@example.org", smtp: "submissions://s.provider.example:465 alice@example.org", said: []string{"server misbehaving"}},
		{name: "the domain's page before the well-known one", world: &world{pages: map[string]string{ownPage: both, wellKnown: "<x/>"},
			answers: []string{"imap://i.example.org:143", "submissions://s.provider.example:465"}},
			imap: "imap://i.example.org:143 alice", smtp: "submissions://s.provider.example:465 alice@example.org", notAsked: databasePage},
		{name: "page elsewhere", world: &world{pages: map[string]string{ownPage: "moved https://provider.example/a", "https://provider.example/a": both},
			answers: []string{"imaps://i.example.org:993", "submissions://s.provider.example:465"}},
			imap: "imaps://i.example.org:993 alice@example.org", smtp: "submissions://s.provider.example:465 alice@example.org"},
		{name: "page in clear text", world: &world{pages: map[string]string{ownPage: "moved http://example.org/a", wellKnown: "moved ftp://example.org/a"}},
			said: []string{"it leads away from HTTPS"}},
		{name: "page in a circle", world: &world{pages: map[string]string{ownPage: "moved " + ownPage}}, said: []string{"it leads on and on"}},
		{name: "page without end", world: &world{pages: map[string]string{ownPage: strings.Repeat(" ", maxPage+1)}}, said: []string{"larger than 256 KiB"}},
		{name: "page for people", world: &world{pages: map[string]string{ownPage: "<!DOCTYPE html><html></html>", wellKnown: "Hello"}},
			said: []string{"it has a document type", "no configuration for mail programs"}},
		{name: "clear text is not taken", world: &world{pages: map[string]string{ownPage: configuration("imap plain i.example.org 143 x plain", "smtp plain s.example.org 25 x plain")},
			answers: []string{"imap://i.example.org:143", "submissions://mail.example.org:465"}}, smtp: "submissions://mail.example.org:465",
			said: []string{`"i.example.org" is offered in clear text only`, `"s.example.org" is offered in clear text only`}},
		{name: "tokens only", world: &world{pages: map[string]string{ownPage: configuration("imap SSL i.example.org 993 %EMAILADDRESS% OAuth2", "smtp STARTTLS s.example.org 587 %EMAILADDRESS% OAuth2")},
			answers: []string{"imaps://i.example.org:993", "submission://s.example.org:587"}},
			imap: "imaps://i.example.org:993 alice@example.org OAuth", smtp: "submission://s.example.org:587 alice@example.org OAuth"},
		{name: "methods that are none of ours", world: &world{pages: map[string]string{ownPage: configuration("imap SSL i.example.org 993 x GSSAPI,client-IP-address")}},
			said: []string{"but GSSAPI, client-IP-address"}},
		{name: "places that nobody knows", world: &world{pages: map[string]string{ownPage: configuration("imap SSL i.example.org 993 %REALNAME% plain", "smtp SSL %X%.example.org 465 x plain")}},
			said: []string{`"%REALNAME%" cannot be used`, "a place to fill in"}},
		{name: "database, agreed to", world: &world{agreed: true, pages: map[string]string{databasePage: both}, answers: []string{"imaps://i.example.org:993", "submissions://s.provider.example:465"}},
			imap: "imaps://i.example.org:993 alice@example.org", smtp: "submissions://s.provider.example:465 alice@example.org foreign"},
		{name: "database, not agreed to", world: &world{pages: map[string]string{databasePage: both}}, notAsked: databasePage},
		{name: "guesses", world: &world{answers: []string{"imap://imap.example.org:143", "imaps://mail.example.org:993", "submission://smtp.example.org:587"}},
			imap: "imaps://mail.example.org:993", smtp: "submission://smtp.example.org:587", said: []string{"imaps://imap.example.org:993, a guess, does not serve"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := test.world
			found, err := w.finder(t).Find(t.Context(), "alice@example.org", Reading, Sending)
			if err != nil {
				t.Fatal(err)
			}
			for service, want := range map[Service]string{Reading: test.imap, Sending: test.smtp} {
				if got := describe(found, service); got != want {
					t.Errorf("%s is %q, want %q", service, got, want)
				}
			}
			said := strings.Join(w.said, "\n")
			for _, want := range test.said {
				if !strings.Contains(said, want) {
					t.Errorf("%q is not said:\n%s", want, said)
				}
			}
			if test.notAsked != "" && slices.Contains(w.asked, test.notAsked) {
				t.Errorf("%s was asked", test.notAsked)
			}
			for _, url := range w.asked {
				if strings.Contains(url, "alice") {
					t.Errorf("%s tells who asks", url)
				}
			}
		})
	}
}

func describe(found map[Service]Server, service Service) string {
	s, ok := found[service]
	if !ok {
		return ""
	}
	words := []string{s.Endpoint.String()}
	if s.User != "" {
		words = append(words, s.User)
	}
	if s.Foreign {
		words = append(words, "foreign")
	}
	if s.OAuth {
		words = append(words, "OAuth")
	}
	if s.Source == "" {
		words = append(words, "from nowhere")
	}
	return strings.Join(words, " ")
}

// TestFindOne: what is not looked for is not found, nor tried.
func TestFindOne(t *testing.T) {
	w := &world{answers: []string{"imaps://imap.example.org:993", "submissions://smtp.example.org:465"}}
	found, err := w.finder(t).Find(t.Context(), "alice@Example.ORG", Sending)
	if diff := cmp.Diff(map[Service]Server{Sending: {
		Endpoint: mailbox.Endpoint{Scheme: mailbox.SchemeSubmissions, Host: "smtp.example.org", Port: 465}, Source: "a guess",
	}}, found); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
	if slices.ContainsFunc(w.probed, func(s string) bool { return strings.HasPrefix(s, "imap") }) {
		t.Errorf("tried %v", w.probed)
	}
}

// TestFindPastTheSilent: a server that does not answer takes no time from those that are tried after it.
func TestFindPastTheSilent(t *testing.T) {
	for name, w := range map[string]*world{
		"a page": {pages: map[string]string{ownPage: configuration("imap SSL a.example.org 993 x plain", "imap SSL b.example.org 993 x plain",
			"smtp SSL c.example.org 465 x plain")}, silent: []string{"imaps://a.example.org:993"},
			answers: []string{"imaps://b.example.org:993", "submissions://c.example.org:465"}},
		"guesses": {silent: []string{"imaps://mail.example.org:993"}, answers: []string{"imaps://imap.example.org:993", "submissions://smtp.example.org:465"}},
	} {
		f := w.finder(t)
		f.Timeout = time.Second
		found, err := f.Find(t.Context(), "alice@example.org", Reading, Sending)
		if err != nil || len(found) != 2 {
			t.Errorf("%s: %v, %v; said %q", name, found, err, w.said)
		}
	}
}

// TestFindOnAndOn: a page that leads to itself is asked for in so many times, and no more.
func TestFindOnAndOn(t *testing.T) {
	w := &world{pages: map[string]string{ownPage: "moved " + ownPage}}
	if found, err := w.finder(t).Find(t.Context(), "alice@example.org", Reading); err != nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
	asked := slices.DeleteFunc(w.asked, func(url string) bool { return url != ownPage })
	if len(asked) != 1+maxRedirects {
		t.Errorf("asked %d times", len(asked))
	}
}

// TestUserNames: one with control characters is not shown nor sent.
func TestUserNames(t *testing.T) {
	w := &world{pages: map[string]string{ownPage: configuration("imap SSL i.example.org 993 a&#x85;b plain")}, answers: []string{"imaps://i.example.org:993"}}
	found, err := w.finder(t).Find(t.Context(), "alice@example.org", Reading)
	if err != nil || len(found) != 0 || !strings.Contains(strings.Join(w.said, "\n"), `the user name "a\u0085b" cannot be used`) {
		t.Errorf("%v, %v; said %q", found, err, w.said)
	}
}

// TestFindWithoutTrying: nothing is connected to, and so nothing guessed.
func TestFindWithoutTrying(t *testing.T) {
	w := &world{records: map[string][]*net.SRV{"_imaps._tcp.example.org": {srv("i.example.org.", 993, 0, 1)}}}
	f := w.finder(t)
	f.Probe, f.Say, f.Database = nil, nil, nil
	found, err := f.Find(t.Context(), "alice@example.org", Reading, Sending)
	if err != nil || len(found) != 1 || found[Reading].Endpoint.Host != "i.example.org" {
		t.Errorf("%v, %v", found, err)
	}
}

func TestFindFails(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	errNo := errors.New("nobody answers")
	for _, test := range []struct {
		name, address string
		ctx           context.Context
		want          error
	}{
		{"no domain", "alice", t.Context(), ErrAddress},
		{"empty domain", "alice@", t.Context(), ErrAddress},
		{"address of a machine", "alice@[192.0.2.1]", t.Context(), ErrAddress},
		{"number", "alice@192.0.2.1", t.Context(), ErrAddress},
		{"no name", "alice@a b", t.Context(), ErrAddress},
		{"interrupted", "alice@example.org", canceled, context.Canceled},
		{"question that failed", "alice@example.org", t.Context(), errNo},
	} {
		f := (&world{}).finder(t)
		f.Database = func() (bool, error) { return false, errNo }
		if _, err := f.Find(test.ctx, test.address, Reading); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}
