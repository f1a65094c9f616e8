package server_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/certstore/ca/server"
	"github.com/sealmail/sealmail/certstore/certpath"
	"github.com/sealmail/sealmail/certstore/revocation"
)

// request sends a request and returns the answer with its body.
func request(t testing.TB, method, url, media string, body []byte, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, data
}

// TestFiles fetches what certificates name, at the root and at the path that they name.
func TestFiles(t *testing.T) {
	a, _ := newAuthority(t, ca.P256)
	s := listen(t, a)
	for _, i := range []ca.Issuer{ca.RootIssuer, ca.MailIssuer, ca.ServicesIssuer} {
		for _, prefix := range []string{"", "/pki"} {
			r, data := request(t, http.MethodGet, s.URL+prefix+"/"+string(i)+".cer", "", nil)
			if r.StatusCode != http.StatusOK || !bytes.Equal(data, a.Certificate(i).Raw) || r.Header.Get("Content-Type") != "application/pkix-cert" {
				t.Errorf("%s.cer: %s, %v", i, r.Status, r.Header)
			}
			r, data = request(t, http.MethodGet, s.URL+prefix+"/"+string(i)+".crl", "", nil)
			list, err := x509.ParseRevocationList(data)
			if err != nil || list.CheckSignatureFrom(a.Certificate(i)) != nil || r.Header.Get("Content-Type") != "application/pkix-crl" {
				t.Errorf("%s.crl: %s, %v, %v", i, r.Status, r.Header, err)
			}
			checkCaching(t, string(i), s.URL+prefix+"/"+string(i)+".crl", r, time.Hour)
		}
	}
}

// checkCaching looks at what is said to caches, and asks again as one does.
func checkCaching(t *testing.T, what, url string, r *http.Response, most time.Duration) {
	t.Helper()
	age, err := strconv.Atoi(strings.TrimPrefix(strings.Split(r.Header.Get("Cache-Control"), ",")[0], "max-age="))
	if err != nil || age <= 0 || time.Duration(age)*time.Second > most {
		t.Errorf("%s: Cache-Control %q", what, r.Header.Get("Cache-Control"))
	}
	for _, field := range []string{"Expires", "Last-Modified"} {
		if _, err := http.ParseTime(r.Header.Get(field)); err != nil {
			t.Errorf("%s: %s: %v", what, field, err)
		}
	}
	for field, value := range map[string]string{"If-None-Match": r.Header.Get("ETag"), "If-Modified-Since": r.Header.Get("Last-Modified")} {
		if again, data := request(t, http.MethodGet, url, "", nil, field, value); again.StatusCode != http.StatusNotModified || len(data) != 0 {
			t.Errorf("%s, %s: %s", what, field, again.Status)
		}
	}
	if head, data := request(t, http.MethodHead, url, "", nil); head.StatusCode != http.StatusOK || len(data) != 0 || head.Header.Get("ETag") != r.Header.Get("ETag") {
		t.Errorf("%s, HEAD: %s", what, head.Status)
	}
}

// TestRevokedMeanwhile: another process revokes, and the next request knows.
func TestRevokedMeanwhile(t *testing.T) {
	a, dir := newAuthority(t, ca.P256)
	s := listen(t, a)
	cert := issue(t, a, mailFor("alice@example.org"))
	first, _ := request(t, http.MethodGet, s.URL+"/issuing.crl", "", nil)
	other := open(t, dir)
	revoke(t, other, cert)
	r, data := request(t, http.MethodGet, s.URL+"/issuing.crl", "", nil, "If-None-Match", first.Header.Get("ETag"))
	list, err := x509.ParseRevocationList(data)
	if err != nil || len(list.RevokedCertificateEntries) != 1 {
		t.Errorf("%s, %v", r.Status, err)
	}
	if answer := post(t, s.URL, a, cert); answer.Status != ocsp.Revoked {
		t.Errorf("status %d", answer.Status)
	}
}

func ocspRequest(t testing.TB, a *ca.Authority, cert *x509.Certificate, hash crypto.Hash) []byte {
	t.Helper()
	der, err := ocsp.CreateRequest(cert, a.Issuing(), &ocsp.RequestOptions{Hash: hash})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func post(t testing.TB, url string, a *ca.Authority, cert *x509.Certificate) *ocsp.Response {
	t.Helper()
	r, data := request(t, http.MethodPost, url+"/ocsp", "application/ocsp-request", ocspRequest(t, a, cert, crypto.SHA1))
	answer, err := ocsp.ParseResponseForCert(data, cert, a.Issuing())
	if err != nil || r.Header.Get("Content-Type") != "application/ocsp-response" || r.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s, %v, %v", r.Status, r.Header, err)
	}
	return answer
}

// TestGet: the request in the path, escaped as it should be and as it is not.
func TestGet(t *testing.T) {
	a, _ := newAuthority(t, ca.P256)
	s := listen(t, a)
	// Serial numbers are random, so that some request or other has what is difficult in a path.
	seen := ""
	for tries := 0; !strings.Contains(seen, "/") || !strings.Contains(seen, "+"); tries++ {
		if tries == 100 {
			t.Fatal("no request with a slash and none with a plus")
		}
		cert := issue(t, a, mailFor("alice@example.org"))
		for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
			text := base64.StdEncoding.EncodeToString(ocspRequest(t, a, cert, hash))
			seen += text
			for _, path := range []string{text, url.PathEscape(text), strings.NewReplacer("/", "%2F", "+", "%2B", "=", "%3D").Replace(text)} {
				r, data := request(t, http.MethodGet, s.URL+"/pki/ocsp/"+path, "", nil)
				answer, err := ocsp.ParseResponseForCert(data, cert, a.Issuing())
				if err != nil || answer.Status != ocsp.Good {
					t.Fatalf("%s: %s, %v", path, r.Status, err)
				}
				age, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Cache-Control"), "max-age="), ",")
				if seconds, err := strconv.Atoi(age); err != nil || seconds <= 0 || seconds > 3600 ||
					r.Header.Get("ETag") == "" || r.Header.Get("Last-Modified") == "" || r.Header.Get("Expires") == "" {
					t.Errorf("%v", r.Header)
				}
			}
		}
	}
	// What is for one request alone must not be kept for others: an answer with a nonce.
	var parsed [2]*certpath.Certificate
	for i, cert := range []*x509.Certificate{issue(t, a, mailFor("alice@example.org")), a.Issuing()} {
		var err error
		if parsed[i], err = certpath.Parse(cert.Raw); err != nil {
			t.Fatal(err)
		}
	}
	nonced, err := revocation.MarshalRequest(revocation.NewCertID(parsed[0], parsed[1]), []byte("a nonce of some octets"))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := request(t, http.MethodGet, s.URL+"/ocsp/"+url.PathEscape(base64.StdEncoding.EncodeToString(nonced)), "", nil)
	if r.StatusCode != http.StatusOK || r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("ETag") != "" {
		t.Errorf("with a nonce: %s, %v", r.Status, r.Header)
	}
	// Two slashes in a row are none to be cleaned away: what is no request is answered, not redirected.
	if r, _ := request(t, http.MethodGet, s.URL+"/ocsp/AA//", "", nil); r.StatusCode != http.StatusOK || r.Request.URL.Path != "/ocsp/AA//" {
		t.Errorf("%s, %s", r.Status, r.Request.URL)
	}
}

func TestRefused(t *testing.T) {
	a, _ := newAuthority(t, ca.P256)
	s := listen(t, a)
	good := ocspRequest(t, a, issue(t, a, mailFor("alice@example.org")), crypto.SHA1)
	const media = "application/ocsp-request"
	for name, test := range map[string]struct {
		method, path, media string
		body                []byte
		want                int
		malformed           bool
	}{
		"posted":               {http.MethodPost, "/ocsp", media, good, http.StatusOK, false},
		"with a parameter":     {http.MethodPost, "/ocsp", "Application/OCSP-Request; x=y", good, http.StatusOK, false},
		"another media type":   {http.MethodPost, "/ocsp", "text/plain", good, http.StatusUnsupportedMediaType, false},
		"no media type":        {http.MethodPost, "/ocsp", "", good, http.StatusUnsupportedMediaType, false},
		"too large":            {http.MethodPost, "/ocsp", media, make([]byte, ca.MaxOCSPRequest+1), http.StatusRequestEntityTooLarge, false},
		"nonsense":             {http.MethodPost, "/ocsp", media, []byte("x"), http.StatusOK, true},
		"empty":                {http.MethodPost, "/ocsp", media, nil, http.StatusOK, true},
		"no base64":            {http.MethodGet, "/ocsp/!!", "", nil, http.StatusOK, true},
		"nonsense in the path": {http.MethodGet, "/ocsp/aGVsbG8=", "", nil, http.StatusOK, true},
		"nothing in the path":  {http.MethodGet, "/ocsp", "", nil, http.StatusMethodNotAllowed, false},
		"PUT":                  {http.MethodPut, "/ocsp", media, good, http.StatusMethodNotAllowed, false},
		"POST to a list":       {http.MethodPost, "/root.crl", "", nil, http.StatusMethodNotAllowed, false},
		"nothing there":        {http.MethodGet, "/", "", nil, http.StatusNotFound, false},
		"a key":                {http.MethodGet, "/keys/issuing/vault.json", "", nil, http.StatusNotFound, false},
		"a way up":             {http.MethodGet, "/../CA/ca.json", "", nil, http.StatusNotFound, false},
		"two prefixes":         {http.MethodGet, "/pki/pki/root.crl", "", nil, http.StatusNotFound, false},
	} {
		r, data := request(t, test.method, s.URL+test.path, test.media, test.body)
		if r.StatusCode != test.want {
			t.Errorf("%s: %s", name, r.Status)
		}
		if _, err := ocsp.ParseResponse(data, nil); errors.Is(err, ocsp.ResponseError{Status: ocsp.Malformed}) != test.malformed {
			t.Errorf("%s: %v", name, err)
		}
		if test.malformed && r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be kept: %v", name, r.Header)
		}
	}
}

// stuck is an authority whose answers wait, or fail.
type stuck struct {
	*ca.Authority
	entered chan struct{}
	leave   chan struct{}
	err     error
}

func (s *stuck) RespondOCSP(ctx context.Context, request []byte, now time.Time) (*ca.OCSPResponse, error) {
	if s.err != nil {
		return ca.RefuseOCSP(ca.OCSPInternalError), s.err
	}
	s.entered <- struct{}{}
	<-s.leave
	return s.Authority.RespondOCSP(ctx, request, now)
}

func (s *stuck) CRL(ctx context.Context, i ca.Issuer, now time.Time) (*x509.RevocationList, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.Authority.CRL(ctx, i, now)
}

// TestBusy: beyond a bound who asks is told to try later, and lists are served all the same.
func TestBusy(t *testing.T) {
	authority, _ := newAuthority(t, ca.P256)
	a := &stuck{Authority: authority, entered: make(chan struct{}), leave: make(chan struct{})}
	s := listen(t, a)
	cert := issue(t, authority, mailFor("alice@example.org"))
	der := ocspRequest(t, authority, cert, crypto.SHA1)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			_, data := request(t, http.MethodPost, s.URL+"/ocsp", "application/ocsp-request", der)
			if _, err := ocsp.ParseResponseForCert(data, cert, authority.Issuing()); err != nil {
				t.Error(err)
			}
		})
		<-a.entered
	}
	_, data := request(t, http.MethodPost, s.URL+"/ocsp", "application/ocsp-request", der)
	if _, err := ocsp.ParseResponse(data, nil); !errors.Is(err, ocsp.ResponseError{Status: ocsp.TryLater}) {
		t.Errorf("when all are busy: %v", err)
	}
	if r, _ := request(t, http.MethodGet, s.URL+"/issuing.crl", "", nil); r.StatusCode != http.StatusOK {
		t.Errorf("list: %s", r.Status)
	}
	close(a.leave)
	wg.Wait()
}

// TestFailure: what fails inside is told to the owner, and to those who ask no more than that.
func TestFailure(t *testing.T) {
	authority, _ := newAuthority(t, ca.P256)
	failure := errors.New("a secret reason")
	var told []error
	h := server.New(server.Options{Authority: &stuck{Authority: authority, err: failure}, Clock: time.Now, Failed: func(err error) { told = append(told, err) }})
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodGet, "/issuing.crl", nil),
		httptest.NewRequest(http.MethodGet, "/ocsp/aGVsbG8=", nil),
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if strings.Contains(w.Body.String(), "secret") || w.Header().Get("ETag") != "" {
			t.Errorf("%s: %q, %v", r.URL, w.Body, w.Header())
		}
		if _, err := ocsp.ParseResponse(w.Body.Bytes(), nil); w.Code != http.StatusServiceUnavailable && !errors.Is(err, ocsp.ResponseError{Status: ocsp.InternalError}) {
			t.Errorf("%s: %d, %v", r.URL, w.Code, err)
		}
	}
	if len(told) != 2 || !errors.Is(told[0], failure) || !errors.Is(told[1], failure) {
		t.Errorf("%v", told)
	}
}
