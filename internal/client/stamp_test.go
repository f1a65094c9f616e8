package client_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/server"
)

// TestAuthorityOverTLS asks an authority whose server's certificate is the person's own affair. It gets through to an
// answer as soon as that is trusted for servers.
func TestAuthorityOverTLS(t *testing.T) {
	w := newWorld(t)
	authority := httptest.NewUnstartedServer(http.NotFoundHandler())
	authority.Config.ErrorLog = log.New(io.Discard, "", 0)
	authority.StartTLS()
	defer authority.Close()
	c := w.client()
	stamp := func() error {
		_, err := c.Stamp(t.Context(), client.StampParams{TSA: []string{authority.URL}, Hash: "sha256"}, w.write("file", "text"), client.Output{Name: w.in("file.tsr")})
		return err
	}
	if err := stamp(); !errors.Is(err, tsa.ErrNetwork) {
		t.Fatalf("untrusted: %v", err)
	}
	anchors, err := c.CertAnchors(w.write("server.pem", string(certstore.EncodeCertificates(authority.Certificate()))))
	if err == nil {
		_, err = c.CertTrust(anchors, "server")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := stamp(); !errors.Is(err, tsa.ErrHTTP) {
		t.Errorf("trusted: %v", err)
	}
}

// stamps starts a timestamp authority and returns its URL.
func (w *world) stamps(clock func() time.Time) string {
	w.t.Helper()
	return w.stampsAs("tsa", 0, clock)
}

// stampsAs starts a timestamp authority whose certificate is in a file of this name, and lasts so long; 0: as usual.
func (w *world) stampsAs(name string, validity time.Duration, clock func() time.Time) string {
	w.t.Helper()
	_, err := client.CAIssue(w.t.Context(), w.options(), client.CAIssueParams{Dir: w.in("ca"), Purpose: "tsa", Key: "p256", Name: "Clock", Validity: validity,
		Output: client.Output{Name: w.in(name + ".pem")}})
	if err != nil {
		w.t.Fatal(err)
	}
	pair := w.pair(name)
	authority, err := server.New(server.Options{
		Signer: pair.Key.(crypto.Signer), Chain: pair.Chain, Policies: []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 32473, 1}}, Clock: clock,
		Accuracy: 10 * time.Second, State: w.in(name + "-state"),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	listening := httptest.NewServer(authority)
	w.t.Cleanup(func() {
		listening.Close()
		if err := authority.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return listening.URL
}

// TestAuthorityInStore has a token that came without certificates, and one that names an issuer it does not bring along:
// both are found in the store.
func TestAuthorityInStore(t *testing.T) {
	w := newWorld(t)
	url := w.stamps(now)
	digest := sha256.Sum256([]byte("text"))
	imprint, err := tsa.NewMessageImprint(crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	request, err := (&tsa.Request{Imprint: imprint}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(url, tsa.QueryType, bytes.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	token, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	chain := w.pair("tsa").Chain
	w.write("root", string(certstore.EncodeCertificates(chain[len(chain)-1])))
	verify := func() error {
		_, err := w.client().VerifyStamp(t.Context(), client.StampVerifyParams{Token: w.write("token", string(token)), TSATrust: []string{w.in("root")}}, w.write("file", "text"))
		return err
	}
	err = verify()
	if told, ok := errors.AsType[*client.Error](err); !errors.Is(err, tsa.ErrNoCertificate) || !ok || !strings.Contains(told.Hint, "cert import") {
		t.Errorf("nothing in the store: %#v", err)
	}
	for i, want := range []error{tsa.ErrPath, nil} { // the authority alone, then its issuer
		in := w.write("more.pem", string(certstore.EncodeCertificates(chain[i])))
		if _, err := w.client().CertImport(t.Context(), client.CertImportParams{Files: []string{in}}); err != nil {
			t.Fatal(err)
		}
		if err := verify(); !errors.Is(err, want) {
			t.Errorf("%d certificates in the store: %v, want %v", i+1, err, want)
		}
	}
}

// TestTokenFiles verifies the timestamps that OpenSSL made, in each form in which people have them.
func TestTokenFiles(t *testing.T) {
	w := newWorld(t)
	vector := func(name string) string {
		data, err := os.ReadFile(filepath.Join("..", "..", "tsa", "testdata", "openssl", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	file, root, tsr := w.write("message", vector("message")), w.write("tsa-root.pem", vector("root.pem")), vector("rsa-v2.tsr")
	response, err := tsa.ParseResponse([]byte(tsr))
	if err != nil {
		t.Fatal(err)
	}
	armor := func(label string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
	}
	c := w.client()
	for _, tt := range []struct {
		name, token string
		says        string // empty: it verifies
	}{
		{"response", tsr, ""},
		{"token", string(response.Token), ""},
		{"token in PEM, as `openssl pkcs7` writes it", armor("PKCS7", response.Token), ""},
		{"token in PEM, as `openssl cms` writes it", armor("CMS", response.Token), ""},
		{"response in PEM", armor("TIMESTAMP RESPONSE", []byte(tsr)), ""},
		{"refusal", vector("refused.tsr"), "gave no token"},
		{"request", vector("rsa-v2.tsq"), "this is a timestamp request"},
		{"nothing", "", "the file is empty"},
		{"page", "<html>", "malformed time-stamp data"},
		{"octets behind the response", tsr + "\n", "malformed time-stamp data"},
	} {
		p := client.StampVerifyParams{Token: w.write("token", tt.token), TSATrust: []string{root}}
		result, err := c.VerifyStamp(t.Context(), p, file)
		switch {
		case tt.says == "" && (err != nil || !result.Trusted):
			t.Errorf("%s: %v", tt.name, err)
		case tt.says != "" && (client.KindOf(err) != client.No || !strings.Contains(err.Error(), p.Token+": ") || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("%s: %v does not say %q", tt.name, err, tt.says)
		}
	}
}

// TestStampIsNotRefusedUnread: that a file could not be read to its end is no answer to whether its timestamp is good.
func TestStampIsNotRefusedUnread(t *testing.T) {
	w := newWorld(t)
	url := w.stamps(now)
	file, root := w.write("file", "text"), []string{w.in("ca/root.pem")}
	c := w.client()
	if _, err := c.Stamp(t.Context(), client.StampParams{TSA: []string{url}, TSATrust: root, Hash: "sha256"}, file, client.Output{Name: w.in("file.tsr")}); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	_, err := c.VerifyStamp(ended, client.StampVerifyParams{Token: w.in("file.tsr"), TSATrust: root}, file)
	if !errors.Is(err, context.Canceled) || client.KindOf(err) == client.No {
		t.Errorf("the answer is %v", err)
	}
}

// TestAuthorityWithoutItsSecret is passed over like one that does not answer, and is what is told where there is no other.
func TestAuthorityWithoutItsSecret(t *testing.T) {
	w := newWorld(t)
	const first = "http://127.0.0.1:1/"
	if err := os.MkdirAll(w.in("home"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write("home/config.toml", "[tsa.'"+first+"']\nuser = 'alice'\npassword_file = '"+w.in("nowhere")+"'\ninsecure_loopback = true\n")
	second := w.stamps(now)
	file, root := w.write("file", "text"), []string{w.in("ca/root.pem")}
	c := w.client()
	stamp := func(urls ...string) error {
		_, err := c.Stamp(t.Context(), client.StampParams{TSA: urls, TSATrust: root, Hash: "sha256"}, file, client.Output{Name: w.in("file.tsr")})
		return err
	}
	if err := stamp(first); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("alone: %v", err)
	}
	w.said = nil
	if err := stamp(first, second); err != nil || len(w.said) != 1 || !strings.Contains(w.said[0], "127.0.0.1:1: ") || !strings.Contains(w.said[0], "nowhere") {
		t.Errorf("with another: %v, said %q", err, w.said)
	}
}

// TestRevokedWithoutReason has an authority that was revoked after it gave a timestamp, and one for an evidence record. In good order, and said so, that changes
// nothing; where no reason is stated the key may have been stolen, and the timestamp be dated back (RFC 3161 section 4).
func TestRevokedWithoutReason(t *testing.T) {
	for reason, want := range map[string]error{"superseded": nil, "unspecified": tsa.ErrRevoked} {
		t.Run(reason, func(t *testing.T) {
			w := newWorld(t)
			url, file, root := w.stamps(now), w.write("file", "text"), []string{w.in("ca/root.pem")}
			_, err := w.client().Stamp(t.Context(), client.StampParams{TSA: []string{url}, TSATrust: root, Hash: "sha256"}, file, client.Output{Name: w.in("file.tsr")})
			if err != nil {
				t.Fatal(err)
			}
			records := client.EvidenceParams{Paths: []string{file}, Stamp: client.StampParams{TSA: []string{url}, TSATrust: root, Hash: "sha256"}}
			if _, err := evidenceLines(w.client().CreateEvidence(t.Context(), records)); err != nil {
				t.Fatal(err)
			}
			later := w.options()
			later.Now = func() time.Time { return now().Add(time.Hour) }
			none := func() ([]byte, error) { return nil, nil }
			certificate := w.write("authority.pem", string(certstore.EncodeCertificates(w.pair("tsa").Chain[0])))
			_, err = client.CARevoke(t.Context(), later, client.CARevokeParams{Dir: w.in("ca"), Cert: certificate, Reason: reason, Passphrase: none,
				Confirm: func(string, bool) error { return nil }})
			if err == nil {
				_, err = client.CACRL(t.Context(), later, client.CACRLParams{Dir: w.in("ca"), Services: true, Passphrase: none, Output: client.Output{Name: w.in("crl")}})
			}
			if err != nil {
				t.Fatal(err)
			}
			c, err := client.New(later)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			p := client.StampVerifyParams{Token: w.in("file.tsr"), TSATrust: root, CRLs: []string{w.in("crl")}}
			if _, err := c.VerifyStamp(t.Context(), p, file); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			records.CRLs = p.CRLs
			lines, err := evidenceLines(c.VerifyEvidence(t.Context(), records))
			if err != nil || len(lines) != 1 || (lines[0].Status == "passed") != (want == nil) {
				t.Errorf("evidence: %+v, %v", lines, err)
			}
		})
	}
}

// TestTokenBringsAlongItsRevocation has a token with the list, beside its certificates, that says that its authority was
// revoked before: whoever is offline has it from there.
func TestTokenBringsAlongItsRevocation(t *testing.T) {
	w := newWorld(t)
	w.stamps(now)
	pair := w.pair("tsa")
	none := func() ([]byte, error) { return nil, nil }
	certificate := w.write("authority.pem", string(certstore.EncodeCertificates(pair.Chain[0])))
	_, err := client.CARevoke(t.Context(), w.options(), client.CARevokeParams{Dir: w.in("ca"), Cert: certificate, Reason: "superseded", Passphrase: none,
		Confirm: func(string, bool) error { return nil }})
	if err == nil {
		_, err = client.CACRL(t.Context(), w.options(), client.CACRLParams{Dir: w.in("ca"), Services: true, Passphrase: none, Output: client.Output{Name: w.in("crl")}})
	}
	if err != nil {
		t.Fatal(err)
	}
	list := []byte(w.read("crl"))
	if block, _ := pem.Decode(list); block != nil {
		list = block.Bytes
	}
	digest := sha256.Sum256([]byte("text"))
	imprint, err := tsa.NewMessageImprint(crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	info := tsa.TSTInfo{Policy: asn1.ObjectIdentifier{1, 2, 3}, Imprint: imprint, SerialNumber: big.NewInt(1), GenTime: now().Add(time.Minute)}
	content, err := info.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	scheme, hash, err := cms.DefaultSignature(pair.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	signers := []cms.Signer{{Certificate: pair.Chain[0], Key: pair.Key.(crypto.Signer), Scheme: scheme, Digest: hash}}
	later := w.options()
	later.Now = func() time.Time { return now().Add(time.Hour) }
	c, err := client.New(later)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, test := range []struct {
		name string
		crls [][]byte
		want error
	}{{"nothing", nil, nil}, {"list", [][]byte{list}, tsa.ErrRevoked}} {
		token, err := cms.Sign(t.Context(), content, cms.SignedDataOptions{ContentType: cms.OIDTSTInfo, Signers: signers, Certificates: pair.Chain, CRLs: test.crls})
		if err != nil {
			t.Fatal(err)
		}
		p := client.StampVerifyParams{Token: w.write("token", string(token)), TSATrust: []string{w.in("ca/root.pem")}}
		if _, err := c.VerifyStamp(t.Context(), p, w.write("file", "text")); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}
