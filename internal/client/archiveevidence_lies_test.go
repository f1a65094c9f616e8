package client_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/tsa"
)

// TestArchiveAuthorityLies has authorities that give a token for something else, for another question, of somebody whom nobody
// trusts, and none at all: none of it is taken, and the next one is asked.
func TestArchiveAuthorityLies(t *testing.T) {
	w := newWorld(t)
	honest := w.stamps(now)
	stranger := newWorld(t).stamps(now)
	ask := func(url string, change func(*tsa.Request)) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			query, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			request, err := tsa.ParseRequest(query)
			if err != nil {
				return
			}
			change(request)
			if query, err = request.Marshal(); err != nil {
				return
			}
			response, err := http.Post(url, tsa.QueryType, bytes.NewReader(query))
			if err != nil {
				return
			}
			defer response.Body.Close()
			rw.Header().Set("Content-Type", tsa.ReplyType)
			_, _ = io.Copy(rw, response.Body)
		}
	}
	for name, tt := range map[string]struct {
		serve http.HandlerFunc
		want  error
	}{
		"another imprint": {ask(honest, func(r *tsa.Request) {
			r.Imprint.HashedMessage = bytes.Repeat([]byte{1}, crypto.SHA512.Size())
		}), tsa.ErrImprint},
		"another nonce":   {ask(honest, func(r *tsa.Request) { r.Nonce.Add(r.Nonce, r.Nonce) }), tsa.ErrNonce},
		"no certificate":  {ask(honest, func(r *tsa.Request) { r.CertReq = false }), tsa.ErrNoCertificate},
		"untrusted":       {ask(stranger, func(*tsa.Request) {}), tsa.ErrPath},
		"something else":  {func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>")) }, tsa.ErrHTTP},
		"it says nothing": {func(rw http.ResponseWriter, _ *http.Request) {}, tsa.ErrHTTP},
	} {
		t.Run(name, func(t *testing.T) {
			liar := httptest.NewServer(tt.serve)
			defer liar.Close()
			alone := w.stamper(now(), w.stampParams(liar.URL))
			made := w.segment(w.stamper(now(), w.stampParams(honest)), "it", 2)
			first := func(context.Context, int) ([]byte, error) { return made.leaves[0], nil }
			all := func(context.Context, int) ([][]byte, error) { return made.leaves, nil }
			for what, do := range map[string]func(s *client.ArchiveStamper) (got []byte, err error){
				"stamp":    func(s *client.ArchiveStamper) ([]byte, error) { return s.Stamp(t.Context(), []byte("text")) },
				"evidence": func(s *client.ArchiveStamper) ([]byte, error) { return s.Evidence(t.Context(), made.leaves) },
				"renewal": func(s *client.ArchiveStamper) ([]byte, error) {
					done, err := s.RenewTimeStamps(t.Context(), [][]byte{made.record}, first)
					if err != nil {
						return nil, err
					}
					return done[0].Record, done[0].Err
				},
				"hash trees": func(s *client.ArchiveStamper) ([]byte, error) {
					done, err := s.RenewHashTrees(t.Context(), [][]byte{made.record}, all)
					if err != nil {
						return nil, err
					}
					return done[0].Record, done[0].Err
				},
			} {
				if got, err := do(alone); !errors.Is(err, tt.want) || got != nil || client.KindOf(err) != client.Failed {
					t.Errorf("%s: %x, %v", what, got, err)
				}
				w.said = nil
				got, err := do(w.stamper(now(), w.stampParams(liar.URL, honest)))
				if err != nil || len(got) == 0 || len(w.said) != 1 || !strings.Contains(w.said[0], "asking the next authority") {
					t.Errorf("%s, and another one: %v, said %q", what, err, w.said)
				}
			}
		})
	}
}
