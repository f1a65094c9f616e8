package tsa_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// The vectors that OpenSSL made: see testdata/openssl/README.md.
func TestOpenSSLVectors(t *testing.T) {
	dir := filepath.Join("testdata", "openssl")
	root := tsatest.ReadPEM(t, filepath.Join(dir, "root.pem"))
	message := readFile(t, filepath.Join(dir, "message"))
	for _, tt := range []struct {
		name      string
		authority string
		hash      crypto.Hash
		certReq   bool
	}{
		{"rsa-v1", "rsa.pem", crypto.SHA256, true},
		{"rsa-v2", "rsa.pem", crypto.SHA512, true},
		{"ec-v1", "ec.pem", crypto.SHA384, false},
		{"ec-v2", "ec.pem", crypto.SHA256, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			query := readFile(t, filepath.Join(dir, tt.name+".tsq"))
			request, err := tsa.ParseRequest(query)
			if err != nil {
				t.Fatal(err)
			}
			if request.CertReq != tt.certReq {
				t.Errorf("certReq is %v", request.CertReq)
			}
			if hash, err := request.Imprint.Hash(false); hash != tt.hash || err != nil {
				t.Errorf("imprint with %v, %v", hash, err)
			}
			if again, err := request.Marshal(); err != nil || !bytes.Equal(again, query) {
				t.Errorf("encoded as %x, %v", again, err)
			}

			response, err := tsa.ParseResponse(readFile(t, filepath.Join(dir, tt.name+".tsr")))
			if err != nil {
				t.Fatal(err)
			}
			token, err := tsa.ParseToken(response.Token)
			if err != nil {
				t.Fatal(err)
			}
			if !token.Info.Imprint.Equal(request.Imprint) {
				t.Error("imprint is not the request's")
			}
			authority := tsatest.ReadPEM(t, filepath.Join(dir, tt.authority))
			o := tsa.VerifyOptions{
				Path:     tsatest.Path(root),
				Nonce:    request.Nonce,
				Policies: []asn1.ObjectIdentifier{tsatest.Policy()},
			}
			if !tt.certReq {
				if _, err := token.Verify(bytes.NewReader(message), o); !errors.Is(err, tsa.ErrNoCertificate) {
					t.Errorf("without certificate: %v", err)
				}
				o.Extra = []*x509.Certificate{authority}
			}
			r, err := token.Verify(bytes.NewReader(message), o)
			if err != nil {
				t.Fatal(err)
			}
			if !r.Authority.Equal(authority) || r.Accuracy != 1500100*time.Microsecond || !r.Ordering || r.Time.Year() != 2026 {
				t.Errorf("result %+v", r)
			}
			if _, err := token.Verify(bytes.NewReader([]byte("another")), o); !errors.Is(err, tsa.ErrImprint) {
				t.Errorf("another message: %v", err)
			}
		})
	}
}

func TestOpenSSLRefusal(t *testing.T) {
	response, err := tsa.ParseResponse(readFile(t, filepath.Join("testdata", "openssl", "refused.tsr")))
	if err != nil {
		t.Fatal(err)
	}
	status, ok := errors.AsType[*tsa.StatusError](response.Err())
	if !ok || status.Status != tsa.Rejection || status.FailInfo != tsa.UnacceptedPolicy || len(status.Text) != 1 {
		t.Errorf("%#v", response.Err())
	}
}

// Tokens of a public authority, made in 2017 by software that writes BER and names the certificate with SHA-1. Their
// roots are not at hand, so that all but the path is looked at.
func TestTokensOfEvidenceRecords(t *testing.T) {
	dir := peertest.Corpora(t, "ers", "rfc4998", "2Chains3ATS")
	paths, err := filepath.Glob(filepath.Join(dir, "*.tsr"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no tokens in %s: %v", dir, err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		token, err := tsa.ParseToken(raw)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
			continue
		}
		hash, err := token.Info.Imprint.Hash(false)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
			continue
		}
		r, err := token.VerifyDigest(hash, token.Info.Imprint.HashedMessage, tsa.VerifyOptions{
			Path: func(c *x509.Certificate, _ []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
				if at.Before(c.NotBefore) || at.After(c.NotAfter) {
					t.Errorf("%s: judged outside the validity", filepath.Base(path))
				}
				return []*x509.Certificate{c}, nil
			},
		})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
			continue
		}
		if r.Time.Year() != 2017 || r.Accuracy != 100*time.Millisecond {
			t.Errorf("%s: %+v", filepath.Base(path), r)
		}
		// One octet of the time, inside the signed content.
		at := bytes.Index(raw, []byte("2017021"))
		raw[at+3]++
		if altered, err := tsa.ParseToken(raw); err == nil {
			_, err = altered.VerifyDigest(hash, altered.Info.Imprint.HashedMessage, tsa.VerifyOptions{Path: tsatest.Path()})
			if !errors.Is(err, tsa.ErrSignature) || !errors.Is(err, cms.ErrMessageDigest) {
				t.Errorf("%s with another time: %v", filepath.Base(path), err)
			}
		}
	}
}
