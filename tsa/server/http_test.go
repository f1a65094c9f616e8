package server_test

import (
	"bytes"
	"crypto"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
	"github.com/sealmail/sealmail/tsa/server"
)

func listen(t testing.TB, o server.Options) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(start(t, o))
	t.Cleanup(s.Close)
	return s
}

// The package's own client and authority understand each other.
func TestClientAndServer(t *testing.T) {
	pki := tsatest.NewPKI(t)
	s := listen(t, options(t, pki, tsatest.ECKey(t)))
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		c := &tsa.Client{URL: s.URL, HTTP: s.Client(), Hash: hash, Policy: otherPolicy(), Verify: &tsa.VerifyOptions{Path: pki.Path()}}
		if _, err := c.Stamp(t.Context(), bytes.NewReader(message)); err != nil {
			t.Errorf("%v: %v", hash, err)
		}
	}
}

func TestServeHTTP(t *testing.T) {
	pki := tsatest.NewPKI(t)
	good, err := newRequest(t, crypto.SHA256).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	s := listen(t, options(t, pki, tsatest.ECKey(t)))
	for _, tt := range []struct {
		name        string
		method      string
		contentType string
		body        []byte
		want        int
	}{
		{"good", http.MethodPost, tsa.QueryType, good, http.StatusOK},
		{"content type with a parameter", http.MethodPost, "Application/Timestamp-Query; x=y", good, http.StatusOK},
		{"malformed request", http.MethodPost, tsa.QueryType, []byte("hello"), http.StatusOK},
		{"GET", http.MethodGet, tsa.QueryType, nil, http.StatusMethodNotAllowed},
		{"PUT", http.MethodPut, tsa.QueryType, good, http.StatusMethodNotAllowed},
		{"no content type", http.MethodPost, "", good, http.StatusUnsupportedMediaType},
		{"other content type", http.MethodPost, tsa.ReplyType, good, http.StatusUnsupportedMediaType},
		{"too large", http.MethodPost, tsa.QueryType, make([]byte, tsa.MaxSize+1), http.StatusRequestEntityTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, s.URL, bytes.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.contentType != "" {
				req.Header.Set("Content-Type", tt.contentType)
			}
			resp, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.want {
				t.Fatalf("status %d, want %d", resp.StatusCode, tt.want)
			}
			if tt.want != http.StatusOK {
				return
			}
			if got := resp.Header.Get("Content-Type"); got != tsa.ReplyType {
				t.Errorf("content type %q", got)
			}
			if _, err := tsa.ParseResponse(body); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestServeHTTPTellsOfFailures(t *testing.T) {
	o := options(t, tsatest.NewPKI(t), brokenKey{tsatest.ECKey(t)})
	failures := make(chan error, 1)
	o.Failed = func(err error) { failures <- err }
	s := listen(t, o)
	der, err := newRequest(t, crypto.SHA256).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Post(s.URL, tsa.QueryType, bytes.NewReader(der))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
	if err := <-failures; err == nil {
		t.Error("told of no error")
	}
}
