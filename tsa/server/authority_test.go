package server_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
	"github.com/sealmail/sealmail/tsa/server"
)

var message = []byte("the value of a signature")

func otherPolicy() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 2} }

// options returns those of an authority that is fit.
func options(t testing.TB, pki *tsatest.PKI, key crypto.Signer) server.Options {
	t.Helper()
	return server.Options{
		Signer:   key,
		Chain:    []*x509.Certificate{pki.Issue(t, key.Public(), nil), pki.Root},
		Policies: []asn1.ObjectIdentifier{tsatest.Policy(), otherPolicy()},
		Clock:    tsatest.Now,
		Accuracy: time.Second,
		State:    filepath.Join(t.TempDir(), "state"),
	}
}

func start(t testing.TB, o server.Options) *server.Authority {
	t.Helper()
	a, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// newRequest returns a good request.
func newRequest(t testing.TB, hash crypto.Hash) *tsa.Request {
	t.Helper()
	h := hash.New()
	h.Write(message)
	imprint, err := tsa.NewMessageImprint(hash, h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	return &tsa.Request{Imprint: imprint, Nonce: big.NewInt(42), CertReq: true}
}

// ask sends a request and returns the response.
func ask(t testing.TB, a *server.Authority, r *tsa.Request) *tsa.Response {
	t.Helper()
	der, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	reply, err := a.Respond(t.Context(), der)
	if err != nil {
		t.Fatal(err)
	}
	response, err := tsa.ParseResponse(reply)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// tokenFor asks and returns the token.
func tokenFor(t testing.TB, a *server.Authority, r *tsa.Request) *tsa.Token {
	t.Helper()
	response := ask(t, a, r)
	if err := response.Err(); err != nil {
		t.Fatal(err)
	}
	token, err := tsa.ParseToken(response.Token)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAuthority(t *testing.T) {
	pki := tsatest.NewPKI(t)
	for name, key := range map[string]crypto.Signer{
		"rsa": tsatest.RSAKey(t, 2048), "p256": tsatest.ECKey(t), "p384": ecKey(t, elliptic.P384()), "p521": ecKey(t, elliptic.P521()), "ed25519": ed25519Key(t),
	} {
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			t.Run(name+"/"+hash.String(), func(t *testing.T) {
				o := options(t, pki, key)
				r := newRequest(t, hash)
				token := tokenFor(t, start(t, o), r)
				got, err := token.Verify(bytes.NewReader(message), tsa.VerifyOptions{Path: pki.Path(), Nonce: r.Nonce})
				if err != nil {
					t.Fatal(err)
				}
				if !got.Time.Equal(tsatest.Now()) || got.Accuracy != time.Second || !got.Policy.Equal(tsatest.Policy()) {
					t.Errorf("result %+v", got)
				}
				if !got.Authority.Equal(o.Chain[0]) || len(token.Certificates) != 2 {
					t.Error("wrong certificates")
				}
			})
		}
	}
}

// Options of a request are followed to the letter (RFC 3161 section 2.4).
func TestAuthorityFollowsRequest(t *testing.T) {
	pki := tsatest.NewPKI(t)
	o := options(t, pki, tsatest.ECKey(t))
	o.Clock = func() time.Time { return tsatest.Now().Add(123456789).In(time.FixedZone("", 3600)) }
	o.Accuracy = 0
	a := start(t, o)

	r := newRequest(t, crypto.SHA256)
	r.Nonce, r.CertReq = nil, false
	r.Imprint.HashAlgorithm.Parameters = []byte{5, 0}
	token := tokenFor(t, a, r)
	info := token.Info
	if info.Nonce != nil || len(token.Certificates) != 0 || info.Accuracy != 0 || info.Ordering || info.TSA != nil || info.Extensions != nil {
		t.Errorf("not asked for, and there: %+v", info)
	}
	if !bytes.Equal(info.Imprint.HashAlgorithm.Parameters, []byte{5, 0}) {
		t.Error("imprint is not repeated as it was")
	}
	if want := tsatest.Now().Add(123 * time.Millisecond); !info.GenTime.Equal(want) {
		t.Errorf("time %v, want %v", info.GenTime, want)
	}
	if _, err := token.Verify(bytes.NewReader(message), tsa.VerifyOptions{Path: pki.Path(), Extra: o.Chain}); err != nil {
		t.Error(err)
	}

	r.Policy = otherPolicy()
	r.Nonce = big.NewInt(-1)
	info = tokenFor(t, a, r).Info
	if !info.Policy.Equal(otherPolicy()) || info.Nonce.Cmp(r.Nonce) != 0 {
		t.Errorf("policy %v, nonce %v", info.Policy, info.Nonce)
	}
}

func TestAuthorityRejects(t *testing.T) {
	o := options(t, tsatest.NewPKI(t), tsatest.ECKey(t))
	o.Digests = []crypto.Hash{crypto.SHA256, crypto.SHA512}
	a := start(t, o)
	sha1 := tsa.MessageImprint{HashAlgorithm: cms.AlgorithmIdentifier{Algorithm: tsatest.SHA1()}, HashedMessage: make([]byte, 20)}
	for _, tt := range []struct {
		name   string
		change func(*tsa.Request)
		raw    func([]byte) []byte
		want   tsa.FailInfo
	}{
		{name: "SHA-1", change: func(r *tsa.Request) { r.Imprint = sha1 }, want: tsa.BadAlg},
		{name: "unknown hash", change: func(r *tsa.Request) {
			r.Imprint.HashAlgorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 3}
		}, want: tsa.BadAlg},
		{name: "hash with parameters", change: func(r *tsa.Request) {
			r.Imprint.HashAlgorithm.Parameters = []byte{2, 1, 1}
		}, want: tsa.BadAlg},
		{name: "hash that is not accepted", change: func(r *tsa.Request) {
			r.Imprint = newRequest(t, crypto.SHA384).Imprint
		}, want: tsa.BadAlg},
		{name: "digest too short", change: func(r *tsa.Request) {
			r.Imprint.HashedMessage = r.Imprint.HashedMessage[1:]
		}, want: tsa.BadDataFormat},
		{name: "unknown policy", change: func(r *tsa.Request) {
			r.Policy = asn1.ObjectIdentifier{1, 2, 3}
		}, want: tsa.UnacceptedPolicy},
		{name: "extension", change: func(r *tsa.Request) {
			r.Extensions = []tsa.Extension{{ID: asn1.ObjectIdentifier{1, 2, 3}}}
		}, want: tsa.UnacceptedExtension},
		{name: "version 2", raw: func(der []byte) []byte {
			return bytes.Replace(der, []byte{2, 1, 1}, []byte{2, 1, 2}, 1)
		}, want: tsa.BadRequest},
		{name: "empty", raw: func([]byte) []byte { return nil }, want: tsa.BadDataFormat},
		{name: "truncated", raw: func(der []byte) []byte { return der[:len(der)-1] }, want: tsa.BadDataFormat},
		{name: "octets behind", raw: func(der []byte) []byte { return append(der, 0) }, want: tsa.BadDataFormat},
		{name: "too large", raw: func(der []byte) []byte { return make([]byte, tsa.MaxSize+1) }, want: tsa.BadDataFormat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRequest(t, crypto.SHA256)
			if tt.change != nil {
				tt.change(r)
			}
			der, err := r.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if tt.raw != nil {
				der = tt.raw(der)
			}
			reply, err := a.Respond(t.Context(), der)
			if err != nil {
				t.Fatal(err)
			}
			response, err := tsa.ParseResponse(reply)
			if err != nil {
				t.Fatal(err)
			}
			if response.Status != tsa.Rejection || response.FailInfo != tt.want || len(response.Text) != 1 || response.Token != nil {
				t.Errorf("got %+v, want %v", response, tt.want)
			}
		})
	}
}

// brokenKey is a key whose hardware has failed.
type brokenKey struct{ crypto.Signer }

var errHardware = errors.New("hardware is gone")

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errHardware }

// When the authority itself fails its operator learns why, and its clients do not.
func TestAuthorityFails(t *testing.T) {
	pki, key := tsatest.NewPKI(t), tsatest.ECKey(t)
	var now time.Time
	for _, tt := range []struct {
		name string
		key  crypto.Signer
		now  time.Time
		want tsa.FailInfo
		says string
	}{
		{"no time", key, time.Time{}, tsa.TimeNotAvailable, "clock"},
		{"certificate has expired", key, tsatest.Now().AddDate(51, 0, 0), tsa.SystemFailure, "expired"},
		{"certificate is not yet valid", key, tsatest.Now().AddDate(-11, 0, 0), tsa.SystemFailure, "not valid before"},
		{"key fails", brokenKey{key}, tsatest.Now(), tsa.SystemFailure, errHardware.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t, pki, tt.key)
			o.Clock = func() time.Time { return now }
			now = tsatest.Now()
			a := start(t, o)
			now = tt.now
			der, err := newRequest(t, crypto.SHA256).Marshal()
			if err != nil {
				t.Fatal(err)
			}
			reply, err := a.Respond(t.Context(), der)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v does not say %q", err, tt.says)
			}
			response, err := tsa.ParseResponse(reply)
			if err != nil {
				t.Fatal(err)
			}
			if response.FailInfo != tt.want || strings.Contains(strings.Join(response.Text, ""), errHardware.Error()) {
				t.Errorf("got %+v, want %v", response, tt.want)
			}
		})
	}
}

func TestAuthorityTokenTooLarge(t *testing.T) {
	pki := tsatest.NewPKI(t)
	o := options(t, pki, tsatest.ECKey(t))
	o.Chain = append(o.Chain, pki.Issue(t, o.Signer.Public(), func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, tsa.MaxSize)})
	}))
	der, err := newRequest(t, crypto.SHA256).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	reply, err := start(t, o).Respond(t.Context(), der)
	if !errors.Is(err, tsa.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if response, err := tsa.ParseResponse(reply); err != nil || response.FailInfo != tsa.SystemFailure {
		t.Errorf("got %+v, %v", response, err)
	}
}

func TestAuthorityCancelled(t *testing.T) {
	a := start(t, options(t, tsatest.NewPKI(t), tsatest.ECKey(t)))
	der, err := newRequest(t, crypto.SHA256).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Respond(ctx, der); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	pki, key := tsatest.NewPKI(t), tsatest.ECKey(t)
	issue := func(change func(*x509.Certificate)) func(*server.Options) {
		return func(o *server.Options) {
			o.Chain = []*x509.Certificate{pki.Issue(t, key.Public(), change)}
		}
	}
	extended := func(critical bool, usages ...asn1.ObjectIdentifier) func(*server.Options) {
		return issue(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{tsatest.ExtKeyUsage(t, critical, usages...)}
		})
	}
	for _, tt := range []struct {
		name   string
		change func(*server.Options)
		says   string
	}{
		{"no key", func(o *server.Options) { o.Signer = nil }, "key"},
		{"no certificate", func(o *server.Options) { o.Chain = nil }, "certificate"},
		{"no policy", func(o *server.Options) { o.Policies = nil }, "policy"},
		{"no clock", func(o *server.Options) { o.Clock = nil }, "clock"},
		{"no state", func(o *server.Options) { o.State = "" }, "state"},
		{"accuracy of a day", func(o *server.Options) { o.Accuracy = 24*time.Hour + 1 }, "accuracy"},
		{"RSA key of 1024 bits", func(o *server.Options) {
			o.Signer = tsatest.RSAKey(t, 1024)
			o.Chain = []*x509.Certificate{pki.Issue(t, o.Signer.Public(), nil)}
		}, "RSA key of 1024 bits is too short"},
		{"key of a curve that is too short", func(o *server.Options) {
			o.Signer = ecKey(t, elliptic.P224())
			o.Chain = []*x509.Certificate{pki.Issue(t, o.Signer.Public(), nil)}
		}, "elliptic curve P-224"},
		{"certificate signed with SHA-1", issue(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }), "ECDSA-SHA1, which is too weak"},
		{"extended key usage for any purpose", extended(true, asn1.ObjectIdentifier{2, 5, 29, 37, 0}), "timeStamping alone"},
		{"negative accuracy", func(o *server.Options) { o.Accuracy = -1 }, "accuracy"},
		{"weak digest", func(o *server.Options) { o.Digests = []crypto.Hash{crypto.SHA1} }, "SHA-1"},
		{"digest that is not there", func(o *server.Options) { o.Digests = []crypto.Hash{crypto.MD4} }, "MD4"},
		{"certificate of another key", func(o *server.Options) { o.Signer = tsatest.ECKey(t) }, "belong"},
		{"expired", func(o *server.Options) {
			o.Clock = func() time.Time { return tsatest.Now().AddDate(51, 0, 0) }
		}, "expired"},
		{"not yet valid", func(o *server.Options) {
			o.Clock = func() time.Time { return tsatest.Now().AddDate(-11, 0, 0) }
		}, "not valid before"},
		{"no extended key usage", issue(func(c *x509.Certificate) { c.ExtraExtensions = nil }), "no extended key usage"},
		{"extended key usage not critical", extended(false, tsatest.TimeStamping()), "critical"},
		{"extended key usage of a TLS server", extended(true, tsatest.ServerAuth()), "timeStamping alone"},
		{"extended key usage for two purposes", extended(true, tsatest.TimeStamping(), tsatest.ServerAuth()), "timeStamping alone"},
		{"no key usage", issue(func(c *x509.Certificate) { c.KeyUsage = 0 }), "digitalSignature"},
		{"key usage without digitalSignature", issue(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment }), "digitalSignature"},
		{"key usage for encryption as well", issue(func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment }), "key usage"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t, pki, key)
			tt.change(&o)
			a, err := server.New(o)
			if err == nil {
				_ = a.Close()
			}
			if !errors.Is(err, server.ErrOptions) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, which should say %q", err, tt.says)
			}
		})
	}
}

// What happens to the options after New is no business of the authority.
func TestOptionsAreCopied(t *testing.T) {
	pki := tsatest.NewPKI(t)
	o := options(t, pki, tsatest.ECKey(t))
	a := start(t, o)
	clear(o.Chain)
	clear(o.Policies)
	if _, err := tokenFor(t, a, newRequest(t, crypto.SHA256)).Verify(bytes.NewReader(message), tsa.VerifyOptions{Path: pki.Path()}); err != nil {
		t.Error(err)
	}
}

func TestConcurrentSerials(t *testing.T) {
	a := start(t, options(t, tsatest.NewPKI(t), tsatest.ECKey(t)))
	const workers, each = 8, 40
	found := make(chan string, workers*each)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range each {
				found <- tokenFor(t, a, newRequest(t, crypto.SHA256)).Info.SerialNumber.String()
			}
		})
	}
	group.Wait()
	close(found)
	var all []string
	for s := range found {
		all = append(all, s)
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != workers*each {
		t.Errorf("%d different serial numbers in %d tokens", len(slices.Compact(all)), workers*each)
	}
}

func BenchmarkVerify(b *testing.B) {
	pki, key := tsatest.NewPKI(b), tsatest.ECKey(b)
	token := tokenFor(b, start(b, options(b, pki, key)), newRequest(b, crypto.SHA256))
	digest := sha256.Sum256(message)
	for b.Loop() {
		parsed, err := tsa.ParseToken(token.Raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := parsed.VerifyDigest(crypto.SHA256, digest[:], tsa.VerifyOptions{Path: pki.Path()}); err != nil {
			b.Fatal(err)
		}
	}
}
