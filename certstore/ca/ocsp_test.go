package ca_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"

	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/certstore/vault"
)

// ocspRequest returns a request of the kind that most programs send: SHA-1, without a nonce.
func ocspRequest(t testing.TB, a *ca.Authority, i ca.Issuer, serial string) []byte {
	t.Helper()
	n, _ := new(big.Int).SetString(serial, 16)
	der, err := ocsp.CreateRequest(&x509.Certificate{SerialNumber: n}, a.Certificate(i), &ocsp.RequestOptions{Hash: crypto.SHA1})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func ask(t testing.TB, a *ca.Authority, i ca.Issuer, request []byte, at time.Time) *ocsp.Response {
	t.Helper()
	response, err := a.RespondOCSP(t.Context(), request, at)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := ocsp.ParseResponse(response.DER, a.Certificate(i))
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// statusOf returns what the responder says of a certificate.
func statusOf(t testing.TB, a *ca.Authority, i ca.Issuer, serial string) string {
	t.Helper()
	return map[int]string{ocsp.Good: "good", ocsp.Revoked: "revoked", ocsp.Unknown: "unknown"}[ask(t, a, i, ocspRequest(t, a, i, serial), now()).Status]
}

func TestOCSP(t *testing.T) {
	for _, key := range []ca.KeyType{ca.P256, ca.P384, ca.RSA3072} {
		a, dir := newAuthority(t, func(o *ca.InitOptions) { o.Key = key })
		good, bad := serialOf(issue(t, a, mailFor("good@example.org"))), serialOf(issue(t, a, mailFor("bad@example.org")))
		service := serialOf(issue(t, a, ca.Profile{Purpose: ca.TLS, Key: ca.P256, DNS: []string{"example.org"}}))
		revoke(t, reopen(t, dir), bad, ca.AffiliationChanged) // by another process
		for _, test := range []struct {
			what, serial string
			issuer       ca.Issuer
			want         string
		}{
			{"good", good, ca.MailIssuer, "good"},
			{"revoked", bad, ca.MailIssuer, "revoked"},
			{"a server", service, ca.ServicesIssuer, "good"},
			{"never issued", "0123456789abcdef", ca.MailIssuer, "unknown"},
			{"of the other issuer", good, ca.ServicesIssuer, "unknown"},
			{"of the other issuer", service, ca.MailIssuer, "unknown"},
		} {
			if got := statusOf(t, a, test.issuer, test.serial); got != test.want {
				t.Errorf("%s, %s: %s", key, test.what, got)
			}
		}
		at := now().Add(time.Hour)
		answer := ask(t, a, ca.MailIssuer, ocspRequest(t, a, ca.MailIssuer, bad), at.Add(time.Millisecond))
		if answer.RevocationReason != ocsp.AffiliationChanged || !answer.RevokedAt.Equal(now().Add(time.Minute)) ||
			!answer.ThisUpdate.Equal(at) || !answer.NextUpdate.Equal(at.Add(time.Hour)) || !answer.ProducedAt.Equal(at) {
			t.Errorf("%+v", answer)
		}
		checkResponder(t, answer.Certificate, a.Issuing())
	}
}

func checkResponder(t *testing.T, c, issuer *x509.Certificate) {
	t.Helper()
	noCheck := slices.ContainsFunc(c.Extensions, func(e pkixExtension) bool {
		return e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}) && bytes.Equal(e.Value, []byte{5, 0})
	})
	if err := c.CheckSignatureFrom(issuer); err != nil || !noCheck || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}) ||
		c.KeyUsage != x509.KeyUsageDigitalSignature || c.IsCA || c.NotAfter.Sub(c.NotBefore) > 15*day {
		t.Errorf("responder: %v, %v, %v, to %v", err, c.ExtKeyUsage, c.KeyUsage, c.NotAfter)
	}
}

// TestOCSPRoot: nobody but the root speaks for the issuers, and it is offline.
func TestOCSPRoot(t *testing.T) {
	a, _ := newAuthority(t, nil)
	request, err := ocsp.CreateRequest(a.Issuing(), a.Root(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer := ask(t, a, ca.MailIssuer, request, now()); answer.Status != ocsp.Unknown {
		t.Errorf("status %d", answer.Status)
	}
}

// TestOCSPResponderRenewed: one responder for as long as it is good, also over restarts; a new one well before its end, and
// the last one to the end of its issuer.
func TestOCSPResponderRenewed(t *testing.T) {
	a, dir := newAuthority(t, func(o *ca.InitOptions) { o.Days = 24 })
	serial := serialOf(issue(t, a, mailFor("alice@example.org")))
	responder := func(a *ca.Authority, after time.Duration) string {
		answer := ask(t, a, ca.MailIssuer, ocspRequest(t, a, ca.MailIssuer, serial), now().Add(after))
		if answer.NextUpdate.After(answer.Certificate.NotAfter) {
			t.Errorf("an answer outlives who signed it")
		}
		return answer.Certificate.SerialNumber.String()
	}
	first := responder(a, 0)
	if responder(a, 6*day) != first || responder(reopen(t, dir), 6*day) != first {
		t.Error("not the same responder")
	}
	second := responder(a, 8*day)
	if second == first || responder(reopen(t, dir), 8*day) != second {
		t.Error("not renewed, or not kept")
	}
	third := responder(a, 16*day)
	if third == second || responder(a, 24*day-10*time.Minute) != third {
		t.Error("not kept to the end of its issuer")
	}
	response, err := a.RespondOCSP(t.Context(), ocspRequest(t, a, ca.MailIssuer, serial), now().Add(25*day))
	if !errors.Is(err, ca.ErrProfile) || response.Status != ca.OCSPInternalError {
		t.Errorf("after the end of the issuer: %+v, %v", response, err)
	}
	records, err := a.Records()
	if err != nil || len(records) != 4 { // the responders' are certificates like others
		t.Errorf("%d records, %v", len(records), err)
	}
	// A responder that was damaged in its vault stops answers; it is not replaced unasked.
	file := filepath.Join(dir, "keys", "issuing", "vault.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(data, []byte(`"ocsp-issuing"`), []byte(`"ocsp-services"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := reopen(t, dir).RespondOCSP(t.Context(), ocspRequest(t, a, ca.ServicesIssuer, serial), now()); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("another issuer's responder: %v", err)
	}
}

// TestOCSPConcurrent asks while certificates are revoked: from when a revocation returns, nothing says good any more.
func TestOCSPConcurrent(t *testing.T) {
	a, dir := newAuthority(t, nil)
	var serials []string
	for range 6 {
		serials = append(serials, serialOf(issue(t, a, mailFor("alice@example.org"))))
	}
	var done sync.Map
	var wg sync.WaitGroup
	wg.Go(func() {
		other := reopen(t, dir)
		for _, serial := range serials {
			if _, err := other.Revoke(t.Context(), ca.RevokeOptions{Serial: serial, Reason: ca.Superseded, Now: now()}); err != nil {
				t.Error(err)
			}
			done.Store(serial, true)
		}
	})
	for range 4 {
		wg.Go(func() {
			for left := len(serials); left > 0; {
				left = 0
				for _, serial := range serials {
					_, revoked := done.Load(serial)
					status := statusOf(t, a, ca.MailIssuer, serial)
					if revoked && status != "revoked" || status == "unknown" {
						t.Errorf("%s: %s", serial, status)
						return
					}
					if status != "revoked" {
						left++
					}
				}
				if _, err := a.CRL(t.Context(), ca.MailIssuer, now()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// requestParts are what an OCSP request of a test is made of.
type requestParts struct {
	ids        [][]byte
	extensions [][]byte // of the request
	before     []byte   // at the beginning of TBSRequest
}

func (p requestParts) der(t testing.TB) []byte {
	t.Helper()
	var b cryptobyte.Builder
	explicit := func(n uint8) cryptobyteasn1.Tag { return cryptobyteasn1.Tag(n).ContextSpecific().Constructed() }
	b.AddASN1(cryptobyteasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyteasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(p.before)
			b.AddASN1(cryptobyteasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, id := range p.ids {
					b.AddASN1(cryptobyteasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(id) })
				}
			})
			if p.extensions == nil {
				return
			}
			b.AddASN1(explicit(2), func(b *cryptobyte.Builder) {
				b.AddASN1(cryptobyteasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					for _, e := range p.extensions {
						b.AddBytes(e)
					}
				})
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func extension(t testing.TB, oid asn1.ObjectIdentifier, critical bool, value []byte) []byte {
	t.Helper()
	der, err := asn1.Marshal(pkixExtension{Id: oid, Critical: critical, Value: value})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func nonceExtension(t testing.TB, length int) []byte {
	t.Helper()
	value, err := asn1.Marshal(bytes.Repeat([]byte{0xab}, length))
	if err != nil {
		t.Fatal(err)
	}
	return extension(t, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}, false, value)
}

// certIDOf cuts the CertID out of a request.
func certIDOf(t testing.TB, request []byte) []byte {
	t.Helper()
	in := cryptobyte.String(request)
	for range 4 { // OCSPRequest, TBSRequest, requestList, Request
		if !in.ReadASN1(&in, cryptobyteasn1.SEQUENCE) {
			t.Fatal("request")
		}
	}
	return in
}

func TestOCSPRequests(t *testing.T) {
	a, _ := newAuthority(t, nil)
	leaf := issue(t, a, mailFor("good@example.org")).Certificate()
	id := func(hash crypto.Hash) []byte {
		der, err := ocsp.CreateRequest(leaf, a.Issuing(), &ocsp.RequestOptions{Hash: hash})
		if err != nil {
			t.Fatal(err)
		}
		return certIDOf(t, der)
	}
	sha1 := id(crypto.SHA1)
	strange := asn1.ObjectIdentifier{1, 2, 3}
	malformed, good, unknown := "malformed", "good", "unknown"
	for name, test := range map[string]struct {
		parts requestParts
		want  string
		nonce int
	}{
		"SHA-1":                        {requestParts{ids: [][]byte{sha1}}, good, 0},
		"SHA-256":                      {requestParts{ids: [][]byte{id(crypto.SHA256)}}, good, 0},
		"SHA-512":                      {requestParts{ids: [][]byte{id(crypto.SHA512)}}, good, 0},
		"MD5, which is none":           {requestParts{ids: [][]byte{bytes.Replace(sha1, []byte{5, 0x2b, 0x0e, 3, 2, 0x1a}, []byte{5, 0x2b, 0x0e, 3, 2, 0x03}, 1)}}, unknown, 0},
		"nonce of 1":                   {requestParts{ids: [][]byte{sha1}, extensions: [][]byte{nonceExtension(t, 1)}}, good, 1},
		"nonce of 128":                 {requestParts{ids: [][]byte{sha1}, extensions: [][]byte{nonceExtension(t, 128)}}, good, 128},
		"nonce of 0":                   {requestParts{ids: [][]byte{sha1}, extensions: [][]byte{nonceExtension(t, 0)}}, malformed, 0},
		"nonce of 129":                 {requestParts{ids: [][]byte{sha1}, extensions: [][]byte{nonceExtension(t, 129)}}, malformed, 0},
		"two nonces":                   {requestParts{ids: [][]byte{sha1}, extensions: [][]byte{nonceExtension(t, 8), nonceExtension(t, 8)}}, malformed, 0},
		"nonce that is not wrapped":    {requestParts{ids: [][]byte{sha1}, extensions: [][]byte{extension(t, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}, false, []byte("12345678"))}}, malformed, 0},
		"nonce that is critical":       {requestParts{ids: [][]byte{sha1}, extensions: [][]byte{extension(t, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}, true, []byte{4, 1, 0xab})}}, good, 1},
		"strange extension":            {requestParts{ids: [][]byte{sha1}, extensions: [][]byte{extension(t, strange, false, nil)}}, good, 0},
		"strange and critical":         {requestParts{ids: [][]byte{sha1}, extensions: [][]byte{extension(t, strange, true, nil)}}, malformed, 0},
		"seventeen extensions":         {requestParts{ids: [][]byte{sha1}, extensions: slices.Repeat([][]byte{extension(t, strange, false, nil)}, 17)}, malformed, 0},
		"no certificate":               {requestParts{}, malformed, 0},
		"thirty-two certificates":      {requestParts{ids: slices.Repeat([][]byte{sha1}, 32)}, good, 0},
		"thirty-three certificates":    {requestParts{ids: slices.Repeat([][]byte{sha1}, 33)}, malformed, 0},
		"version 1":                    {requestParts{ids: [][]byte{sha1}, before: []byte{0xa0, 3, 2, 1, 0}}, good, 0},
		"version 2":                    {requestParts{ids: [][]byte{sha1}, before: []byte{0xa0, 3, 2, 1, 1}}, malformed, 0},
		"a requestor":                  {requestParts{ids: [][]byte{sha1}, before: []byte{0xa1, 3, 0x82, 1, 'x'}}, good, 0},
		"critical for one certificate": {requestParts{ids: [][]byte{append(slices.Clone(sha1), wrap(0xa0, wrap(0x30, extension(t, strange, true, nil)))...)}}, malformed, 0},
		"no CertID":                    {requestParts{ids: [][]byte{{0x30, 0}}}, malformed, 0},
	} {
		response, err := a.RespondOCSP(t.Context(), test.parts.der(t), now())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if test.want == malformed {
			if _, err := ocsp.ParseResponse(response.DER, nil); response.Status != ca.OCSPMalformedRequest || !errors.Is(err, ocsp.ResponseError{Status: ocsp.Malformed}) {
				t.Errorf("%s: status %d, %v", name, response.Status, err)
			}
			continue
		}
		if response.Status != ca.OCSPSuccessful {
			t.Errorf("%s: status %d", name, response.Status)
			continue
		}
		if _, err := ocsp.ParseResponseForCert(response.DER, leaf, a.Issuing()); err != nil && test.want == good {
			t.Errorf("%s: %v", name, err)
		}
		// CertID, then CertStatus: [0] and [2] without content are good and unknown.
		tag := map[string]byte{good: 0x80, unknown: 0x82}[test.want]
		if got := bytes.Count(response.DER, append(slices.Clone(test.parts.ids[0]), tag, 0)); got != len(test.parts.ids) {
			t.Errorf("%s: %s %d times", name, test.want, got)
		}
		if echoed := bytes.Contains(response.DER, nonceExtension(t, test.nonce)); echoed != (test.nonce > 0) || response.Nonce != echoed {
			t.Errorf("%s: nonce is echoed: %v", name, echoed)
		}
	}
	whole := requestParts{ids: [][]byte{sha1}}.der(t)
	for name, der := range map[string][]byte{"empty": {}, "cut": whole[:len(whole)-1], "something after": append(slices.Clone(whole), 0), "too large": make([]byte, ca.MaxOCSPRequest+1)} {
		if response, err := a.RespondOCSP(t.Context(), der, now()); err != nil || response.Status != ca.OCSPMalformedRequest {
			t.Errorf("%s: %+v, %v", name, response, err)
		}
	}
}

func wrap(tag byte, content []byte) []byte {
	return append([]byte{tag, byte(len(content))}, content...)
}
