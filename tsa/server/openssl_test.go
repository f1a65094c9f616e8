package server_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
	"github.com/sealmail/sealmail/tsa/server"
)

// keyKind is a kind of key that tokens are signed with.
type keyKind struct {
	name string
	make func(testing.TB) crypto.Signer
}

func keyKinds() []keyKind {
	return []keyKind{
		{"rsa2048", func(t testing.TB) crypto.Signer { return tsatest.RSAKey(t, 2048) }},
		{"p256", func(t testing.TB) crypto.Signer { return tsatest.ECKey(t) }},
		{"p384", func(t testing.TB) crypto.Signer { return ecKey(t, elliptic.P384()) }},
	}
}

func ecKey(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ed25519Key(t testing.TB) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// asked is one way to ask for a token.
type asked struct {
	hash                crypto.Hash
	cert, nonce, policy bool
}

// allAsked is every way to ask.
func allAsked() []asked {
	var all []asked
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		for i := range 8 {
			all = append(all, asked{hash, i&1 != 0, i&2 != 0, i&4 != 0})
		}
	}
	return all
}

func (a asked) String() string {
	words := strings.ReplaceAll(strings.ToLower(a.hash.String()), "-", "")
	for _, option := range []struct {
		is   bool
		word string
	}{{a.cert, "cert"}, {a.nonce, "nonce"}, {a.policy, "policy"}} {
		if option.is {
			words += "-" + option.word
		}
	}
	return words
}

// args are the words that have `openssl ts -query` ask so.
func (a asked) args() []string {
	args := []string{"-" + strings.ReplaceAll(strings.ToLower(a.hash.String()), "-", "")}
	if a.cert {
		args = append(args, "-cert")
	}
	if !a.nonce {
		args = append(args, "-no_nonce")
	}
	if a.policy {
		args = append(args, "-tspolicy", otherPolicy().String())
	}
	return args
}

// request is the request that asks so.
func (a asked) request(t testing.TB) *tsa.Request {
	t.Helper()
	r := newRequest(t, a.hash)
	r.CertReq = a.cert
	if !a.nonce {
		r.Nonce = nil
	}
	if a.policy {
		r.Policy = otherPolicy()
	}
	return r
}

// OpenSSL asks in every way, the authority answers with every kind of key, and OpenSSL verifies the answers.
func TestOpenSSLVerifiesTokens(t *testing.T) {
	peertest.Command(t, "openssl")
	pki := tsatest.NewPKI(t)
	root := tsatest.WritePEM(t, "root.pem", pki.Root)
	data, other := tsatest.WriteFile(t, "data", message), tsatest.WriteFile(t, "other", []byte("another signature"))
	queries := map[asked]string{}
	for _, how := range allAsked() {
		queries[how] = filepath.Join(t.TempDir(), "query")
		peertest.Run(t, "openssl", append([]string{"ts", "-query", "-data", data, "-out", queries[how]}, how.args()...)...)
		// What OpenSSL asks is what was meant.
		if r, err := tsa.ParseRequest(readFile(t, queries[how])); err != nil || r.CertReq != how.cert || (r.Nonce != nil) != how.nonce ||
			(r.Policy != nil) != how.policy {
			t.Fatalf("%v: OpenSSL asks %+v, %v", how, r, err)
		}
	}
	for _, kind := range keyKinds() {
		o := options(t, pki, kind.make(t))
		a := start(t, o)
		untrusted := tsatest.WritePEM(t, "chain.pem", o.Chain...)
		for _, how := range allAsked() {
			t.Run(kind.name+"/"+how.String(), func(t *testing.T) {
				t.Parallel()
				reply := tsatest.WriteFile(t, "reply", respondTo(t, a, queries[how]))
				verify := []string{"ts", "-verify", "-in", reply, "-CAfile", root, "-attime", fmt.Sprint(tsatest.Now().Unix())}
				if !how.cert {
					verify = append(verify, "-untrusted", untrusted)
				}
				peertest.Run(t, "openssl", append(verify, "-queryfile", queries[how])...)
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

// OpenSSL reads what the authority says of its clock.
func TestOpenSSLReadsOrdering(t *testing.T) {
	peertest.Command(t, "openssl")
	o := options(t, tsatest.NewPKI(t), tsatest.ECKey(t))
	o.Clock, o.Ordering, o.Accuracy = time.Now, true, 1500100*time.Microsecond
	der, err := newRequest(t, crypto.SHA256).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	reply := tsatest.WriteFile(t, "reply", respondTo(t, start(t, o), tsatest.WriteFile(t, "query", der)))
	text := string(peertest.Run(t, "openssl", "ts", "-reply", "-in", reply, "-text"))
	for _, says := range []string{"Ordering: yes", "Accuracy: 0x01 seconds, 0x01F4 millis, 0x64 micros"} {
		if !strings.Contains(text, says) {
			t.Errorf("OpenSSL does not say %q:\n%s", says, text)
		}
	}
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

// newOpenSSLAuthority sets one up with this hash in its signing-certificate attribute ("" leaves OpenSSL's default) and
// this one for its signatures.
func newOpenSSLAuthority(t testing.TB, pki *tsatest.PKI, key crypto.Signer, essHash, signerDigest string) opensslAuthority {
	t.Helper()
	serial := filepath.Join(t.TempDir(), "serial")
	config := fmt.Sprintf(`[tsa]
default_tsa = authority
[authority]
serial = %s
signer_digest = %s
default_policy = %v
other_policies = %v
digests = sha256, sha384, sha512
accuracy = secs:1, millisecs:500, microsecs:100
ordering = yes
tsa_name = yes
ess_cert_id_chain = yes
`, serial, signerDigest, tsatest.Policy(), otherPolicy())
	if essHash != "" {
		config += "ess_cert_id_alg = " + essHash + "\n"
	}
	return opensslAuthority{
		config: tsatest.WriteFile(t, "ts.cnf", []byte(config)),
		cert:   tsatest.WritePEM(t, "tsa.pem", pki.Issue(t, key.Public(), nil)),
		key:    tsatest.WriteKey(t, "tsa.key", key),
	}
}

// args have OpenSSL answer the request in the file query.
func (o opensslAuthority) args(query, reply string) []string {
	return []string{"ts", "-reply", "-config", o.config, "-queryfile", query, "-signer", o.cert, "-inkey", o.key, "-out", reply}
}

// OpenSSL makes the tokens, for the client's own requests, asked in every way, with every kind of key, and they verify. What
// only the authority chooses changes from one to the next: the hashes of its attribute and of its signature.
func TestOpenSSLTokensVerify(t *testing.T) {
	peertest.Command(t, "openssl")
	pki := tsatest.NewPKI(t)
	for _, kind := range keyKinds() {
		key := kind.make(t)
		for i, how := range allAsked() {
			ess := []string{"", "sha1", "sha256", "sha384", "sha512"}[i%5]
			signer := []string{"sha256", "sha384", "sha512"}[(i+i/3)%3]
			o := newOpenSSLAuthority(t, pki, key, ess, signer)
			t.Run(fmt.Sprintf("%s/%v/ess-%s-signer-%s", kind.name, how, ess, signer), func(t *testing.T) {
				t.Parallel()
				r := how.request(t)
				der, err := r.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				reply := filepath.Join(t.TempDir(), "reply")
				args := o.args(tsatest.WriteFile(t, "query", der), reply)
				peertest.Run(t, "openssl", args...)
				verifyReply(t, pki, o, r, readFile(t, reply))
			})
		}
	}
}

func verifyReply(t *testing.T, pki *tsatest.PKI, o opensslAuthority, r *tsa.Request, reply []byte) {
	t.Helper()
	response, err := tsa.ParseResponse(reply)
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
	if (token.Info.Nonce != nil) != (r.Nonce != nil) {
		t.Errorf("nonce %v", token.Info.Nonce)
	}
	if !r.CertReq {
		if _, err := token.Verify(bytes.NewReader(message), v); !errors.Is(err, tsa.ErrNoCertificate) {
			t.Errorf("without certificate: %v", err)
		}
		v.Extra = []*x509.Certificate{tsatest.ReadPEM(t, o.cert)}
	}
	if _, err := token.Verify(bytes.NewReader(message), v); err != nil {
		t.Error(err)
	}
	if _, err := token.Verify(bytes.NewReader([]byte("another signature")), v); !errors.Is(err, tsa.ErrImprint) {
		t.Errorf("other data: %v", err)
	}
}

// The PKCS #7 of `openssl ts` knows no Ed25519, in either direction. Where a release of it does, it belongs to keyKinds.
func TestOpenSSLHasNoEd25519(t *testing.T) {
	peertest.Command(t, "openssl")
	pki, key := tsatest.NewPKI(t), ed25519Key(t)
	o := options(t, pki, key)
	a := start(t, o)
	der, err := newRequest(t, crypto.SHA256).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	query := tsatest.WriteFile(t, "query", der)
	reply := tsatest.WriteFile(t, "reply", respondTo(t, a, query))
	_, stderr, err := peertest.RunErr(t, nil, "openssl", "ts", "-verify", "-in", reply, "-queryfile", query,
		"-CAfile", tsatest.WritePEM(t, "root.pem", pki.Root), "-attime", fmt.Sprint(tsatest.Now().Unix()))
	if err == nil || !strings.Contains(string(stderr), "operation not supported for this keytype") {
		t.Errorf("verifying: %v, %s", err, stderr)
	}
	peer, theirs := newOpenSSLAuthority(t, pki, key, "", "sha512"), filepath.Join(t.TempDir(), "reply")
	peertest.Run(t, "openssl", peer.args(query, theirs)...)
	if response, err := tsa.ParseResponse(readFile(t, theirs)); err != nil || response.Err() == nil {
		t.Errorf("signing: %+v, %v", response, err)
	}
}
