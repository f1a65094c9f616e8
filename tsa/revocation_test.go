package tsa_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// TestRevokedAuthority goes through what becomes of a token when a certificate above it is revoked (RFC 3161 section 4).
func TestRevokedAuthority(t *testing.T) {
	e := newEnvironment(t, nil)
	token := e.token().Parse(t)
	stated := token.Info.GenTime
	before, after, later := stated.Add(-time.Second), stated.Add(time.Second), stated.Add(time.Hour)
	for name, test := range map[string]struct {
		revoked tsa.Revocation
		until   time.Time
		void    bool
	}{
		"superseded after it":                          {tsa.Revocation{At: after, Reason: "superseded"}, time.Time{}, false},
		"superseded at that moment":                    {tsa.Revocation{At: stated, Reason: "superseded"}, time.Time{}, true},
		"superseded before it":                         {tsa.Revocation{At: before, Reason: "superseded"}, time.Time{}, true},
		"superseded since ever":                        {tsa.Revocation{Reason: "superseded"}, time.Time{}, true},
		"superseded before what comes later":           {tsa.Revocation{At: after, Reason: "superseded"}, later, false},
		"ceased after it":                              {tsa.Revocation{At: after, Reason: "cessationOfOperation"}, time.Time{}, false},
		"changed hands after it":                       {tsa.Revocation{At: after, Reason: "affiliationChanged"}, time.Time{}, false},
		"unspecified, and said so":                     {tsa.Revocation{At: after, Reason: "unspecified"}, time.Time{}, false},
		"no reason stated":                             {tsa.Revocation{At: after}, time.Time{}, true},
		"on hold":                                      {tsa.Revocation{At: after, Reason: "certificateHold"}, time.Time{}, true},
		"key stolen after it":                          {tsa.Revocation{At: after, Reason: "keyCompromise"}, time.Time{}, true},
		"key stolen after what comes later":            {tsa.Revocation{At: later.Add(1), Reason: "keyCompromise"}, later, false},
		"key stolen when what comes later was made":    {tsa.Revocation{At: later, Reason: "keyCompromise"}, later, true},
		"key stolen before what comes later":           {tsa.Revocation{At: after, Reason: "keyCompromise"}, later, true},
		"found out after, stolen before what is later": {tsa.Revocation{At: later.Add(1), Invalidity: after, Reason: "keyCompromise"}, later, true},
		"an invalidity date that says nothing more":    {tsa.Revocation{At: later.Add(1), Invalidity: later.Add(2), Reason: "keyCompromise"}, later, false},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			o := tsa.VerifyOptions{Path: e.pki.Path(), Until: test.until}
			o.Revocation = func(chain []*x509.Certificate, _ cms.RevocationValues, at time.Time) ([]tsa.Revocation, error) {
				asked++
				if !chain[0].Equal(e.cert) || !chain[len(chain)-1].Equal(e.pki.Root) || !at.Equal(stated) {
					t.Errorf("asked about %d certificates at %s", len(chain), at)
				}
				test.revoked.Certificate = chain[0]
				return []tsa.Revocation{test.revoked}, nil
			}
			_, err := token.Verify(bytes.NewReader(message), o)
			if errors.Is(err, tsa.ErrRevoked) != test.void || !test.void && err != nil {
				t.Errorf("%v, want void %t", err, test.void)
			}
			if refused, ok := errors.AsType[*tsa.TokenError](err); test.void && (!ok || refused.Code != tsa.CodeUntrusted) {
				t.Errorf("code of %v", err)
			}
			if asked != 1 {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

// TestRevocationUnknown fails closed where an answer is required.
func TestRevocationUnknown(t *testing.T) {
	e := newEnvironment(t, nil)
	token := e.token().Parse(t)
	nobody := errors.New("nobody knows")
	o := tsa.VerifyOptions{Path: e.pki.Path()}
	o.Revocation = func([]*x509.Certificate, cms.RevocationValues, time.Time) ([]tsa.Revocation, error) {
		return nil, nobody
	}
	if _, err := token.Verify(bytes.NewReader(message), o); !errors.Is(err, tsa.ErrRevocation) || !errors.Is(err, nobody) {
		t.Errorf("%v", err)
	}
	o.Path = tsatest.NewPKI(t).Path()
	if _, err := token.Verify(bytes.NewReader(message), o); !errors.Is(err, tsa.ErrPath) {
		t.Errorf("asked about an authority that nobody trusts: %v", err)
	}
}
