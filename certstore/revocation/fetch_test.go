package revocation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

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
