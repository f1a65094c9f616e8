package server_test

import (
	"bytes"
	"crypto"
	"testing"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// FuzzRespond: whatever comes is answered with a response that can be read, without an error of the authority, and a token is
// for just what was asked for.
func FuzzRespond(f *testing.F) {
	o := options(f, tsatest.NewPKI(f), tsatest.ECKey(f))
	a := start(f, o)
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		r := newRequest(f, hash)
		der, err := r.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
		r.Policy, r.Nonce, r.CertReq = otherPolicy(), nil, false
		r.Extensions = []tsa.Extension{{ID: otherPolicy(), Value: []byte{5, 0}}}
		if der, err = r.Marshal(); err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, query []byte) {
		reply, err := a.Respond(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		response, err := tsa.ParseResponse(reply)
		if err != nil {
			t.Fatalf("%x: %v", reply, err)
		}
		if response.Token == nil {
			if response.Status != tsa.Rejection || response.FailInfo == 0 {
				t.Fatalf("%+v", response)
			}
			return
		}
		r, err := tsa.ParseRequest(query)
		if err != nil {
			t.Fatalf("a token for what is no request: %v", err)
		}
		token, err := tsa.ParseToken(response.Token)
		if err != nil {
			t.Fatal(err)
		}
		info := token.Info
		if !info.Imprint.Equal(r.Imprint) || !bytes.Equal(info.Imprint.HashAlgorithm.Parameters, r.Imprint.HashAlgorithm.Parameters) ||
			(info.Nonce == nil) != (r.Nonce == nil) || r.Nonce != nil && info.Nonce.Cmp(r.Nonce) != 0 ||
			r.Policy != nil && !info.Policy.Equal(r.Policy) || (len(token.Certificates) > 0) != r.CertReq {
			t.Fatalf("asked %+v, got %+v with %d certificates", r, info, len(token.Certificates))
		}
	})
}
