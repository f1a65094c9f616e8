package server_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
	"github.com/sealmail/sealmail/tsa/server"
)

// keys are those that tokens are signed with, both ways.
func keys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	return map[string]crypto.Signer{"rsa": tsatest.RSAKey(t, 2048), "p256": tsatest.ECKey(t)}
}

// OpenSSL makes the requests, the authority answers them, and OpenSSL verifies the answers.
func TestOpenSSLVerifiesTokens(t *testing.T) {
	peertest.Command(t, "openssl")
	pki := tsatest.NewPKI(t)
	root := tsatest.WritePEM(t, "root.pem", pki.Root)
	data, other := tsatest.WriteFile(t, "data", message), tsatest.WriteFile(t, "other", []byte("another signature"))
	for name, key := range keys(t) {
		o := options(t, pki, key)
		a := start(t, o)
		untrusted := tsatest.WritePEM(t, "chain.pem", o.Chain...)
		for _, args := range [][]string{
			{"-sha256", "-cert"},
			{"-sha384", "-cert", "-no_nonce"},
			{"-sha512", "-cert", "-tspolicy", otherPolicy().String()},
			{"-sha256"},
			{"-sha512", "-no_nonce"},
		} {
			t.Run(name+strings.Join(args, ""), func(t *testing.T) {
				query := filepath.Join(t.TempDir(), "query")
				peertest.Run(t, "openssl", append([]string{"ts", "-query", "-data", data, "-out", query}, args...)...)
				reply := tsatest.WriteFile(t, "reply", respondTo(t, a, query))

				verify := []string{"ts", "-verify", "-in", reply, "-CAfile", root, "-attime", fmt.Sprint(tsatest.Now().Unix())}
				if !slices.Contains(args, "-cert") { // no certificate was asked for
					verify = append(verify, "-untrusted", untrusted)
				}
				peertest.Run(t, "openssl", append(verify, "-queryfile", query)...)
				peertest.Run(t, "openssl", append(verify, "-data", data)...)
				if _, _, err := peertest.RunErr(t, nil, "openssl", append(verify, "-data", other)...); err == nil {
					t.Error("verified for other data")
				}
			})
		}
	}
}

func respondTo(t testing.TB, a *server.Authority, query string) []byte {
	t.Helper()
	reply, err := a.Respond(t.Context(), readFile(t, query))
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// OpenSSL reads the refusals of the authority.
func TestOpenSSLReadsRefusals(t *testing.T) {
	peertest.Command(t, "openssl")
	o := options(t, tsatest.NewPKI(t), tsatest.ECKey(t))
	a := start(t, o)
	data := tsatest.WriteFile(t, "data", message)
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"-sha1"}, "unrecognized or unsupported algorithm identifier"},
		{[]string{"-sha256", "-tspolicy", "1.2.3"}, "the requested TSA policy is not supported by the TSA"},
	} {
		query := filepath.Join(t.TempDir(), "query")
		peertest.Run(t, "openssl", append([]string{"ts", "-query", "-data", data, "-out", query}, tt.args...)...)
		reply := tsatest.WriteFile(t, "reply", respondTo(t, a, query))
		text := peertest.Run(t, "openssl", "ts", "-reply", "-in", reply, "-text")
		if !strings.Contains(string(text), tt.says) || !strings.Contains(string(text), "Status: Rejected") {
			t.Errorf("%v: OpenSSL does not say %q:\n%s", tt.args, tt.says, text)
		}
	}
}

// opensslAuthority answers requests by `openssl ts -reply`.
type opensslAuthority struct {
	config, cert, key string
}

// newOpenSSLAuthority sets one up with this hash in its signing-certificate attribute; "" leaves OpenSSL's default.
func newOpenSSLAuthority(t testing.TB, pki *tsatest.PKI, key crypto.Signer, essHash string) opensslAuthority {
	t.Helper()
	serial := filepath.Join(t.TempDir(), "serial")
	config := fmt.Sprintf(`[tsa]
default_tsa = authority
[authority]
serial = %s
signer_digest = sha256
default_policy = %v
other_policies = %v
digests = sha256, sha384, sha512
accuracy = secs:1, millisecs:500, microsecs:100
ordering = yes
tsa_name = yes
ess_cert_id_chain = yes
`, serial, tsatest.Policy(), otherPolicy())
	if essHash != "" {
		config += "ess_cert_id_alg = " + essHash + "\n"
	}
	return opensslAuthority{
		config: tsatest.WriteFile(t, "ts.cnf", []byte(config)),
		cert:   tsatest.WritePEM(t, "tsa.pem", pki.Issue(t, key.Public(), nil)),
		key:    tsatest.WriteKey(t, "tsa.key", key),
	}
}

// reply answers the request in the file query.
func (o opensslAuthority) reply(t testing.TB, query string) []byte {
	t.Helper()
	reply := filepath.Join(t.TempDir(), "reply")
	peertest.Run(t, "openssl", "ts", "-reply", "-config", o.config, "-queryfile", query,
		"-signer", o.cert, "-inkey", o.key, "-out", reply)
	return readFile(t, reply)
}

// OpenSSL makes the tokens, for the client's own requests, and they verify.
func TestOpenSSLTokensVerify(t *testing.T) {
	peertest.Command(t, "openssl")
	pki := tsatest.NewPKI(t)
	for name, key := range keys(t) {
		for _, ess := range []string{"", "sha256", "sha384", "sha512"} {
			t.Run(name+"/ess-"+ess, func(t *testing.T) {
				o := newOpenSSLAuthority(t, pki, key, ess)
				for _, tt := range []struct {
					hash   crypto.Hash
					change func(*tsa.Request)
				}{
					{crypto.SHA256, func(*tsa.Request) {}},
					{crypto.SHA384, func(r *tsa.Request) { r.Nonce = nil }},
					{crypto.SHA512, func(r *tsa.Request) { r.Policy = otherPolicy() }},
					{crypto.SHA256, func(r *tsa.Request) { r.CertReq = false }},
				} {
					verifyReply(t, pki, o, tt.hash, tt.change)
				}
			})
		}
	}
}

func verifyReply(t *testing.T, pki *tsatest.PKI, o opensslAuthority, hash crypto.Hash, change func(*tsa.Request)) {
	t.Helper()
	r := newRequest(t, hash)
	change(r)
	der, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	response, err := tsa.ParseResponse(o.reply(t, tsatest.WriteFile(t, "query", der)))
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Err(); err != nil {
		t.Fatal(err)
	}
	token, err := tsa.ParseToken(response.Token)
	if err != nil {
		t.Fatal(err)
	}
	// OpenSSL takes the time from the clock.
	v := tsa.VerifyOptions{Path: pki.Path(), Nonce: r.Nonce}
	if r.Policy != nil {
		v.Policies = []asn1.ObjectIdentifier{r.Policy}
	}
	if !r.CertReq {
		if _, err := token.Verify(bytes.NewReader(message), v); !errors.Is(err, tsa.ErrNoCertificate) {
			t.Errorf("without certificate: %v", err)
		}
		v.Extra = []*x509.Certificate{tsatest.ReadPEM(t, o.cert)}
	}
	if _, err := token.Verify(bytes.NewReader(message), v); err != nil {
		t.Errorf("%v: %v", hash, err)
	}
}
