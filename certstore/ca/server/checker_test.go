package server_test

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/certstore/ca/server"
	"github.com/sealmail/sealmail/certstore/certpath"
	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/certstore/vault"
)

// listsOnly lets no OCSP through.
type listsOnly struct{ revocation.Fetcher }

func (f listsOnly) Fetch(ctx context.Context, r revocation.Request) ([]byte, error) {
	if r.Body != nil {
		return nil, &revocation.HTTPError{Code: http.StatusNotFound}
	}
	return f.Fetcher.Fetch(ctx, r)
}

// TestChecker has this project's own checker follow what certificates name: OCSP for people, the root's list for issuers,
// and lists where there is no OCSP.
func TestChecker(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	defer s.Close()
	a, err := ca.Init(t.Context(), ca.InitOptions{Dir: filepath.Join(t.TempDir(), "CA"), Name: "Example CA", Key: ca.P256,
		BaseURL: "http://" + s.Listener.Addr().String() + "/pki", Protection: vault.Protection{Unprotected: true}, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Handler = server.New(server.Options{Authority: a, Clock: time.Now, Prefix: "/pki"})
	s.Start()
	good, bad := issue(t, a, mailFor("good@example.org")), issue(t, a, mailFor("bad@example.org"))
	revoke(t, a, bad)
	overHTTP := revocation.HTTP{Client: s.Client()}
	check := func(f revocation.Fetcher, leaf *x509.Certificate) []revocation.Answer {
		var path []*certpath.Certificate
		for _, c := range []*x509.Certificate{leaf, a.Issuing(), a.Root()} {
			parsed, err := certpath.Parse(c.Raw)
			if err != nil {
				t.Fatal(err)
			}
			path = append(path, parsed)
		}
		answers, err := (&revocation.Checker{Fetcher: f}).Check(t.Context(), path, revocation.Evidence{}, time.Now(), time.Now())
		if err != nil || len(answers) != 2 {
			t.Fatalf("%v, %v", answers, err)
		}
		return answers
	}
	for source, fetcher := range map[string]revocation.Fetcher{revocation.SourceOCSP: overHTTP, revocation.SourceCRL: listsOnly{overHTTP}} {
		answers := check(fetcher, good)
		if answers[0].Status != revocation.Good || answers[0].Source != source || answers[1].Status != revocation.Good || answers[1].Source != revocation.SourceCRL {
			t.Errorf("%s: %+v", source, answers)
		}
		if answers = check(fetcher, bad); answers[0].Status != revocation.Revoked || answers[0].Source != source || answers[0].Reason != "superseded" {
			t.Errorf("%s: %+v", source, answers)
		}
	}
	if _, err := a.Revoke(t.Context(), ca.RevokeOptions{Serial: certstore.SerialHex(a.Issuing().SerialNumber), Reason: ca.CACompromise, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if answers := check(overHTTP, good); answers[1].Status != revocation.Revoked || !answers[1].KeyCompromise {
		t.Errorf("the issuer is revoked: %+v", answers)
	}
	if r, _ := request(t, http.MethodGet, good.CRLDistributionPoints[0], "", nil); r.StatusCode != http.StatusOK {
		t.Errorf("%s", r.Status)
	}
}
