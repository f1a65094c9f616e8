package tsa_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// authority answers requests with whatever respond makes of them.
type authority struct {
	*environment
	respond func(a *authority, r *tsa.Request) *tsa.Response
	hash    crypto.Hash // of the last request
	nonces  []*big.Int
}

// granted answers with a good token, after change had its way with it.
func granted(change func(*tsatest.Token)) func(*authority, *tsa.Request) *tsa.Response {
	return func(a *authority, r *tsa.Request) *tsa.Response {
		k := a.token()
		k.Info.Imprint, k.Info.Nonce = r.Imprint, r.Nonce
		if r.Policy != nil {
			k.Info.Policy = r.Policy
		}
		if change != nil {
			change(k)
		}
		return &tsa.Response{Status: tsa.Granted, Token: k.DER(a.t)}
	}
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != tsa.QueryType {
		a.t.Errorf("%s with %q", r.Method, r.Header.Get("Content-Type"))
	}
	query, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Error(err)
	}
	request, err := tsa.ParseRequest(query)
	if err != nil {
		a.t.Errorf("request: %v", err)
		return
	}
	if !request.CertReq {
		a.t.Error("certReq is not set")
	}
	a.hash, _ = request.Imprint.Hash(false)
	a.nonces = append(a.nonces, request.Nonce)
	reply, err := a.respond(a, request).Marshal()
	if err != nil {
		a.t.Errorf("response: %v", err)
	}
	w.Header().Set("Content-Type", tsa.ReplyType)
	_, _ = w.Write(reply)
}

func newAuthority(t *testing.T, change func(*x509.Certificate)) *authority {
	return &authority{environment: newEnvironment(t, change), respond: granted(nil)}
}

// serve starts a server and returns a client of it that knows no proxy.
func serve(t *testing.T, h http.Handler) *tsa.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &tsa.Client{URL: server.URL, HTTP: server.Client()}
}

func TestClient(t *testing.T) {
	for _, hash := range []crypto.Hash{0, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		a := newAuthority(t, nil)
		c := serve(t, a)
		c.Hash = hash
		c.Verify = &tsa.VerifyOptions{Path: a.pki.Path()}
		stamped, err := c.Stamp(t.Context(), bytes.NewReader(message))
		if err != nil {
			t.Fatalf("%v: %v", hash, err)
		}
		if hash == 0 {
			hash = crypto.SHA256
		}
		if a.hash != hash {
			t.Errorf("asked with %v, want %v", a.hash, hash)
		}
		token, err := tsa.ParseToken(stamped.Token)
		if err != nil {
			t.Fatal(err)
		}
		result, err := token.Verify(bytes.NewReader(message), *c.Verify)
		if err != nil || !reflect.DeepEqual(result, stamped.Result) {
			t.Errorf("%v: %+v, %v, and told %+v", hash, result, err, stamped.Result)
		}
		if _, err := c.Stamp(t.Context(), bytes.NewReader(message)); err != nil {
			t.Fatal(err)
		}
		if a.nonces[0] == nil || a.nonces[1] == nil || a.nonces[0].Cmp(a.nonces[1]) == 0 || a.nonces[0].BitLen() > 64 {
			t.Errorf("nonces %v", a.nonces)
		}
	}
}

func TestClientPolicy(t *testing.T) {
	a := newAuthority(t, nil)
	c := serve(t, a)
	c.Policy = asn1.ObjectIdentifier{1, 2, 3, 4}
	stamped, err := c.Stamp(t.Context(), bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	token, err := tsa.ParseToken(stamped.Token)
	if err != nil {
		t.Fatal(err)
	}
	if !token.Info.Policy.Equal(c.Policy) {
		t.Errorf("policy %v", token.Info.Policy)
	}
	if r := stamped.Result; !r.Policy.Equal(c.Policy) || !r.Time.Equal(token.Info.GenTime) || r.Chain != nil {
		t.Errorf("told %+v", r)
	}
}

// A token that comes in BER is returned in DER, as an attribute of a signature must be.
func TestClientBER(t *testing.T) {
	a := newAuthority(t, nil)
	a.respond = func(a *authority, r *tsa.Request) *tsa.Response {
		response := granted(nil)(a, r)
		var outer asn1.RawValue
		if _, err := asn1.Unmarshal(response.Token, &outer); err != nil {
			a.t.Error(err)
		}
		response.Token = append(append([]byte{0x30, 0x80}, outer.Bytes...), 0, 0)
		return response
	}
	c := serve(t, a)
	c.Verify = &tsa.VerifyOptions{Path: a.pki.Path()}
	stamped, err := c.Stamp(t.Context(), bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ber.ToDER(stamped.Token, ber.Limits{}); err != nil || !bytes.Equal(again, stamped.Token) {
		t.Errorf("not in DER: %v", err)
	}
}

func TestClientRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		cert    func(*x509.Certificate)
		respond func(*authority, *tsa.Request) *tsa.Response
		client  func(*tsa.Client)
		want    error
	}{
		{name: "nonce of another request", want: tsa.ErrNonce,
			respond: granted(func(k *tsatest.Token) { k.Info.Nonce = big.NewInt(1) })},
		{name: "no nonce", want: tsa.ErrNonce,
			respond: granted(func(k *tsatest.Token) { k.Info.Nonce = nil })},
		{name: "imprint of another message", want: tsa.ErrImprint,
			respond: granted(func(k *tsatest.Token) { k.Info.Imprint.HashedMessage = make([]byte, 32) })},
		{name: "another hash algorithm", want: tsa.ErrImprint,
			respond: granted(func(k *tsatest.Token) {
				k.Info.Imprint, _ = tsa.NewMessageImprint(crypto.SHA512, make([]byte, 64))
			})},
		{name: "another policy", want: tsa.ErrPolicy,
			respond: granted(func(k *tsatest.Token) { k.Info.Policy = tsatest.Policy() }),
			client:  func(c *tsa.Client) { c.Policy = asn1.ObjectIdentifier{1, 2, 3, 4} }},
		{name: "another policy, granted with modifications", want: tsa.ErrPolicy,
			respond: func(a *authority, r *tsa.Request) *tsa.Response {
				response := granted(func(k *tsatest.Token) { k.Info.Policy = tsatest.Policy() })(a, r)
				response.Status = tsa.GrantedWithMods
				return response
			},
			client: func(c *tsa.Client) { c.Policy = asn1.ObjectIdentifier{1, 2, 3, 4} }},
		{name: "signature altered", want: tsa.ErrSignature,
			respond: granted(func(k *tsatest.Token) { k.Signers[0].SpoilSignature = true })},
		{name: "no certificate, although one was asked for", want: tsa.ErrNoCertificate,
			respond: granted(func(k *tsatest.Token) { k.Certificates = nil })},
		{name: "certificate of a TLS server", want: tsa.ErrPurpose, cert: eku(true, tsatest.ServerAuth())},
		{name: "not trusted", want: tsa.ErrPath,
			client: func(c *tsa.Client) { c.Verify = &tsa.VerifyOptions{Path: tsatest.Path()} }},
		{name: "nothing to judge by", want: tsa.ErrPath,
			client: func(c *tsa.Client) { c.Verify = &tsa.VerifyOptions{} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAuthority(t, tt.cert)
			if tt.respond != nil {
				a.respond = tt.respond
			}
			c := serve(t, a)
			if tt.client != nil {
				tt.client(c)
			}
			stamped, err := c.Stamp(t.Context(), bytes.NewReader(message))
			if _, ok := errors.AsType[*tsa.TokenError](err); !ok || !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if stamped != nil {
				t.Error("token is returned")
			}
		})
	}
}

func TestClientGrantedWithMods(t *testing.T) {
	a := newAuthority(t, nil)
	a.respond = func(a *authority, r *tsa.Request) *tsa.Response {
		response := granted(nil)(a, r)
		response.Status = tsa.GrantedWithMods
		return response
	}
	if _, err := serve(t, a).Stamp(t.Context(), bytes.NewReader(message)); err != nil {
		t.Error(err)
	}
}

func TestClientStatus(t *testing.T) {
	for _, status := range []tsa.Status{tsa.Rejection, tsa.Waiting, tsa.RevocationWarning, tsa.RevocationNotification} {
		a := newAuthority(t, nil)
		a.respond = func(*authority, *tsa.Request) *tsa.Response {
			return &tsa.Response{Status: status, FailInfo: tsa.TimeNotAvailable, Text: []string{"clock is broken"}}
		}
		_, err := serve(t, a).Stamp(t.Context(), bytes.NewReader(message))
		refused, ok := errors.AsType[*tsa.StatusError](err)
		if !ok || refused.Status != status || refused.FailInfo != tsa.TimeNotAvailable {
			t.Errorf("%v: %v", status, err)
			continue
		}
		for _, word := range []string{status.String(), "timeNotAvailable", "clock is broken"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not say %s", err, word)
			}
		}
	}
}

// What is no time-stamp response is refused before it is read as one.
func TestClientHTTP(t *testing.T) {
	reply := func(status int, contentType string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = w.Write(body)
		}
	}
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    error
	}{
		{"not found", reply(http.StatusNotFound, "text/plain", nil), tsa.ErrHTTP},
		{"server error with a reply", reply(http.StatusInternalServerError, tsa.ReplyType, nil), tsa.ErrHTTP},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				t.Error("redirect is followed")
			}
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, tsa.ErrHTTP},
		{"web page", reply(http.StatusOK, "text/html; charset=utf-8", []byte("<p>hello")), tsa.ErrHTTP},
		{"no content type", reply(http.StatusOK, "", []byte{0x30, 0}), tsa.ErrHTTP},
		{"too large", reply(http.StatusOK, tsa.ReplyType, make([]byte, tsa.MaxSize+1)), tsa.ErrTooLarge},
		{"empty", reply(http.StatusOK, tsa.ReplyType, nil), tsa.ErrMalformed},
		{"garbage", reply(http.StatusOK, tsa.ReplyType, []byte("hello")), tsa.ErrMalformed},
		{"shorter than announced", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", tsa.ReplyType)
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte{0x30})
		}, tsa.ErrNetwork},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := serve(t, tt.handler).Stamp(t.Context(), bytes.NewReader(message))
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestClientContentTypeWithParameters(t *testing.T) {
	a := newAuthority(t, nil)
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		a.ServeHTTP(recorder, r)
		w.Header().Set("Content-Type", "Application/Timestamp-Reply; charset=binary")
		_, _ = w.Write(recorder.Body.Bytes())
	}))
	if _, err := c.Stamp(t.Context(), bytes.NewReader(message)); err != nil {
		t.Error(err)
	}
}

// hanging is an authority that does not answer until the test ends.
func hanging(t *testing.T) (c *tsa.Client, asked <-chan struct{}) {
	t.Helper()
	arrived, end := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-end
	}))
	t.Cleanup(func() {
		close(end)
		server.Close()
	})
	return &tsa.Client{URL: server.URL, HTTP: server.Client()}, arrived
}

func TestClientTimeout(t *testing.T) {
	c, _ := hanging(t)
	c.Timeout = 10 * time.Millisecond
	_, err := c.Stamp(t.Context(), bytes.NewReader(message))
	if !errors.Is(err, tsa.ErrNetwork) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestClientCancelled(t *testing.T) {
	c, asked := hanging(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err := c.Stamp(ctx, bytes.NewReader(message))
	if !errors.Is(err, tsa.ErrNetwork) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestClientUnreachable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	url := server.URL
	server.Close()
	c := &tsa.Client{URL: url, HTTP: &http.Client{}}
	if _, err := c.Stamp(t.Context(), bytes.NewReader(message)); !errors.Is(err, tsa.ErrNetwork) {
		t.Errorf("got %v", err)
	}
}

func TestClientConfig(t *testing.T) {
	for _, tt := range []struct {
		name   string
		client tsa.Client
	}{
		{"no URL", tsa.Client{}},
		{"malformed URL", tsa.Client{URL: "http://us%zzer:secret@tsa.example/"}},
		{"other scheme", tsa.Client{URL: "ftp://tsa.example/"}},
		{"no host", tsa.Client{URL: "http:///ts"}},
		{"password in the URL", tsa.Client{URL: "https://user:secret@tsa.example/"}},
		{"weak hash", tsa.Client{URL: "http://tsa.example/", Hash: crypto.SHA1}},
		{"hash that is not there", tsa.Client{URL: "http://tsa.example/", Hash: crypto.MD4}},
		{"policy of one arc", tsa.Client{URL: "http://tsa.example/", Policy: asn1.ObjectIdentifier{1}}},
	} {
		_, err := tt.client.Stamp(t.Context(), bytes.NewReader(message))
		if !errors.Is(err, tsa.ErrConfig) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v tells the password", tt.name, err)
		}
	}
	c := tsa.Client{URL: "http://tsa.example/"}
	if _, err := c.StampDigest(t.Context(), make([]byte, 31)); !errors.Is(err, tsa.ErrConfig) {
		t.Errorf("short digest: %v", err)
	}
	failure := errors.New("disk is on fire")
	if _, err := c.Stamp(t.Context(), iotest.ErrReader(failure)); !errors.Is(err, failure) {
		t.Errorf("reader fails: %v", err)
	}
}

// Without an HTTP client the Client makes its own, with the roots that it was given and no others.
func TestClientTLS(t *testing.T) {
	a := newAuthority(t, nil)
	server := httptest.NewUnstartedServer(a)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // one handshake is to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c := &tsa.Client{URL: server.URL, TLS: &tls.Config{RootCAs: roots}}
	if _, err := c.Stamp(t.Context(), bytes.NewReader(message)); err != nil {
		t.Error(err)
	}
	c.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	_, err := c.Stamp(t.Context(), bytes.NewReader(message))
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok || !errors.Is(err, tsa.ErrNetwork) {
		t.Errorf("unknown root: %v", err)
	}
}

// TestClientKeepsNothingOpen asks over TLS without an http.Client: the connection that was made for it ends with it.
func TestClientKeepsNothingOpen(t *testing.T) {
	a := newAuthority(t, nil)
	server := httptest.NewUnstartedServer(a)
	closed := make(chan struct{}, 1)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c := tsa.Client{URL: server.URL, TLS: &tls.Config{RootCAs: roots}}
	if _, err := c.Stamp(t.Context(), strings.NewReader("text")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Error("the connection is still open")
	}
}

// TestClientEndlessAnswer has an answer that never ends: no more of it is read than an answer may have.
func TestClientEndlessAnswer(t *testing.T) {
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", tsa.ReplyType)
		for piece := make([]byte, 32<<10); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	c.Timeout = 5 * time.Second
	if _, err := c.Stamp(t.Context(), bytes.NewReader(message)); !errors.Is(err, tsa.ErrTooLarge) {
		t.Error(err)
	}
}
