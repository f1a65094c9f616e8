package server_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// benchKeys are the kinds of keys that authorities have.
var benchKeys = []struct {
	name string
	make func(testing.TB) crypto.Signer
	hash crypto.Hash
}{
	{"p256", func(t testing.TB) crypto.Signer { return ecKey(t, elliptic.P256()) }, crypto.SHA256},
	{"rsa2048", func(t testing.TB) crypto.Signer { return tsatest.RSAKey(t, 2048) }, crypto.SHA256},
	{"rsa3072", func(t testing.TB) crypto.Signer { return tsatest.RSAKey(t, 3072) }, crypto.SHA256},
}

// eachKey runs a benchmark with every kind of key, alone and on all CPUs. work is one piece of it.
func eachKey(b *testing.B, prepare func(b *testing.B, key crypto.Signer) (work func() error)) {
	for _, kind := range benchKeys {
		b.Run(kind.name, func(b *testing.B) {
			work := prepare(b, kind.make(b))
			b.Run("alone", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := work(); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("parallel", func(b *testing.B) {
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := work(); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		})
	}
}

// BenchmarkSign is the bare signature, which no authority is faster than.
func BenchmarkSign(b *testing.B) {
	eachKey(b, func(_ *testing.B, key crypto.Signer) func() error {
		digest := make([]byte, crypto.SHA256.Size())
		return func() error {
			_, err := key.Sign(rand.Reader, digest, crypto.SHA256)
			return err
		}
	})
}

// query is a request in DER.
func query(b *testing.B) []byte {
	b.Helper()
	der, err := newRequest(b, crypto.SHA256).Marshal()
	if err != nil {
		b.Fatal(err)
	}
	return der
}

// BenchmarkRespond is the authority without the network.
func BenchmarkRespond(b *testing.B) {
	for _, ordering := range []bool{false, true} {
		name := "unordered"
		if ordering {
			name = "ordered"
		}
		b.Run(name, func(b *testing.B) {
			eachKey(b, func(b *testing.B, key crypto.Signer) func() error {
				o := options(b, tsatest.NewPKI(b), key)
				o.Ordering = ordering
				if ordering {
					o.Clock = time.Now
				}
				a, der := start(b, o), query(b)
				return func() error {
					_, err := a.Respond(b.Context(), der)
					return err
				}
			})
		})
	}
}

// BenchmarkHTTP is the authority as `tsa serve` has it, asked over a loopback connection that stays.
func BenchmarkHTTP(b *testing.B) {
	eachKey(b, func(b *testing.B, key crypto.Signer) func() error {
		s := httptest.NewServer(start(b, options(b, tsatest.NewPKI(b), key)))
		b.Cleanup(s.Close)
		client, der := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}, query(b)
		return func() error {
			resp, err := client.Post(s.URL, tsa.QueryType, bytes.NewReader(der))
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return err
		}
	})
}
