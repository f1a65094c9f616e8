package server_test

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/internal/peertest"
)

func open(t testing.TB, dir string) *ca.Authority {
	t.Helper()
	a, err := ca.Open(dir, ca.InitOptions{}.Disk, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func write(t testing.TB, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestOpenSSLOCSP has OpenSSL ask, and check the answer and who signed it.
func TestOpenSSLOCSP(t *testing.T) {
	peertest.Command(t, "openssl")
	for _, key := range []ca.KeyType{ca.P256, ca.P384, ca.RSA3072} {
		a, dir := newAuthority(t, key)
		s := listen(t, a)
		good, bad := issue(t, a, mailFor("good@example.org")), issue(t, a, mailFor("bad@example.org"))
		service := issue(t, a, ca.Profile{Purpose: ca.TLS, DNS: []string{"example.org"}})
		revoke(t, open(t, dir), bad)
		elsewhere, _ := newAuthority(t, ca.P256)
		for _, test := range []struct {
			what   string
			cert   *x509.Certificate
			issuer string
			want   string
		}{
			{"good", good, "issuing.pem", "good"},
			{"revoked", bad, "issuing.pem", "revoked"},
			{"unknown", issue(t, elsewhere, mailFor("x@example.org")), "issuing.pem", "unknown"},
			{"a server", service, "services.pem", "good"},
		} {
			for _, variant := range [][]string{{"-nonce"}, {"-no_nonce"}, {"-no_nonce", "-sha256"}, {"-nonce", "-sha1"}} {
				file := write(t, certstore.EncodeCertificates(test.cert))
				args := append([]string{"ocsp", "-url", s.URL + "/ocsp", "-CAfile", filepath.Join(dir, "root.pem"), "-issuer", filepath.Join(dir, test.issuer)}, variant...)
				stdout, stderr, err := peertest.RunErr(t, nil, "openssl", append(args, "-cert", file)...)
				if err != nil || !bytes.Contains(stdout, []byte(file+": "+test.want)) || !bytes.Contains(stderr, []byte("Response verify OK")) {
					t.Errorf("%s authority, %s, %v: %v\n%s%s", key, test.what, variant, err, stdout, stderr)
				}
				if test.want == "revoked" && !bytes.Contains(stdout, []byte("Reason: superseded")) {
					t.Errorf("%s", stdout)
				}
			}
		}
		// Several in one request.
		stdout, stderr, err := peertest.RunErr(t, nil, "openssl", "ocsp", "-url", s.URL+"/pki/ocsp", "-CAfile", filepath.Join(dir, "root.pem"),
			"-issuer", filepath.Join(dir, "issuing.pem"), "-cert", write(t, certstore.EncodeCertificates(good)), "-cert", write(t, certstore.EncodeCertificates(bad)))
		if err != nil || bytes.Count(stdout, []byte(": good")) != 1 || bytes.Count(stdout, []byte(": revoked")) != 1 {
			t.Errorf("two in one request: %v\n%s%s", err, stdout, stderr)
		}
	}
}

// TestOpenSSLCRL has OpenSSL read the lists that are served, and judge whole chains by them.
func TestOpenSSLCRL(t *testing.T) {
	peertest.Command(t, "openssl")
	for _, key := range []ca.KeyType{ca.P256, ca.RSA3072} {
		a, dir := newAuthority(t, key)
		s := listen(t, a)
		good, bad := issue(t, a, mailFor("good@example.org")), issue(t, a, mailFor("bad@example.org"))
		revoke(t, a, bad)
		var lists []byte
		for _, i := range []ca.Issuer{ca.RootIssuer, ca.MailIssuer} {
			_, der := request(t, "GET", s.URL+"/"+string(i)+".crl", "", nil)
			file := write(t, der)
			text := string(peertest.Run(t, "openssl", "crl", "-inform", "DER", "-in", file, "-text", "-noout"))
			if !strings.Contains(text, "Version 2") || !strings.Contains(text, "X509v3 CRL Number") || !strings.Contains(text, "X509v3 Authority Key Identifier") {
				t.Errorf("%s", text)
			}
			if _, stderr, err := peertest.RunErr(t, nil, "openssl", "crl", "-inform", "DER", "-in", file, "-noout", "-CAfile", filepath.Join(dir, "chain.pem")); err != nil || !bytes.Contains(stderr, []byte("verify OK")) {
				t.Errorf("%v %s", err, stderr)
			}
			lists = append(lists, peertest.Run(t, "openssl", "crl", "-inform", "DER", "-in", file)...)
		}
		crls := write(t, lists)
		verify := func(cert *x509.Certificate) ([]byte, error) {
			stdout, stderr, err := peertest.RunErr(t, nil, "openssl", "verify", "-x509_strict", "-crl_check_all", "-purpose", "smimesign",
				"-CAfile", filepath.Join(dir, "root.pem"), "-untrusted", filepath.Join(dir, "issuing.pem"), "-CRLfile", crls, write(t, certstore.EncodeCertificates(cert)))
			return append(stdout, stderr...), err
		}
		if out, err := verify(good); err != nil {
			t.Errorf("%s: %v\n%s", key, err, out)
		}
		if out, err := verify(bad); err == nil || !bytes.Contains(out, []byte("certificate revoked")) {
			t.Errorf("%s: %v\n%s", key, err, out)
		}
	}
}

// TestOpenSSLHold has OpenSSL judge a certificate by the list and the answers that are served, while it is put on hold,
// taken off, put on once more and revoked for good.
func TestOpenSSLHold(t *testing.T) {
	peertest.Command(t, "openssl")
	a, dir := newAuthority(t, ca.P256)
	s := listen(t, a)
	cert := issue(t, a, mailFor("alice@example.org"))
	file, serial := write(t, certstore.EncodeCertificates(cert)), certstore.SerialHex(cert.SerialNumber)
	steps := []struct {
		reason       ca.Reason
		onList, ocsp string // empty: not there, good
	}{
		{"", "", ""},
		{ca.CertificateHold, "Certificate Hold", "certificateHold"},
		{ca.RemoveFromCRL, "", ""},
		{ca.CertificateHold, "Certificate Hold", "certificateHold"},
		{ca.Superseded, "Superseded", "superseded"},
	}
	for _, step := range steps {
		var err error
		switch step.reason {
		case "":
		case ca.RemoveFromCRL:
			_, err = open(t, dir).Lift(t.Context(), serial, time.Now())
		default:
			_, err = open(t, dir).Revoke(t.Context(), ca.RevokeOptions{Serial: serial, Reason: step.reason, Now: time.Now()})
		}
		if err != nil {
			t.Fatal(err)
		}
		_, der := request(t, "GET", s.URL+"/issuing.crl", "", nil)
		text, stderr, err := peertest.RunErr(t, nil, "openssl", "crl", "-inform", "DER", "-in", write(t, der), "-text", "-noout", "-CAfile", filepath.Join(dir, "chain.pem"))
		listed := strings.Contains(strings.ToLower(string(text)), "serial number: "+serial)
		if err != nil || !bytes.Contains(stderr, []byte("verify OK")) || listed != (step.onList != "") || !bytes.Contains(text, []byte(step.onList)) || bytes.Contains(text, []byte("Remove From CRL")) {
			t.Errorf("after %q: %v\n%s%s", step.reason, err, text, stderr)
		}
		stdout, stderr, err := peertest.RunErr(t, nil, "openssl", "ocsp", "-url", s.URL+"/ocsp", "-CAfile", filepath.Join(dir, "root.pem"),
			"-issuer", filepath.Join(dir, "issuing.pem"), "-cert", file)
		want := file + ": good"
		if step.ocsp != "" {
			want = file + ": revoked"
		}
		if err != nil || !bytes.Contains(stdout, []byte(want)) || !bytes.Contains(stdout, []byte(step.ocsp)) || !bytes.Contains(stderr, []byte("Response verify OK")) {
			t.Errorf("after %q: %v\n%s%s", step.reason, err, stdout, stderr)
		}
	}
}
