package ca_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
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

// TestOpenSSLVerify: OpenSSL accepts the chains for their purpose, with -x509_strict, and for no other.
func TestOpenSSLVerify(t *testing.T) {
	peertest.Command(t, "openssl")
	for _, authorityKey := range []ca.KeyType{ca.P256, ca.P384, ca.RSA3072} {
		a, dir := newAuthority(t, func(o *ca.InitOptions) { o.Key, o.Now = authorityKey, now() })
		tests := []struct {
			purpose   ca.Purpose
			key       ca.KeyType
			good, bad []string
		}{
			{ca.Mail, ca.P256, []string{"smimesign", "smimeencrypt"}, []string{"timestampsign", "sslserver"}},
			{ca.Mail, ca.RSA2048, []string{"smimesign", "smimeencrypt"}, []string{"timestampsign", "sslserver"}},
			{ca.Sign, ca.Ed25519, []string{"smimesign"}, []string{"smimeencrypt"}},
			{ca.Encrypt, ca.RSA2048, []string{"smimeencrypt"}, []string{"smimesign"}},
			{ca.TSA, ca.P256, []string{"timestampsign"}, []string{"smimesign", "sslserver"}},
			{ca.Archive, ca.P256, []string{"smimesign"}, []string{"timestampsign"}},
			{ca.TLS, ca.P256, []string{"sslserver"}, []string{"smimesign", "timestampsign"}},
		}
		if authorityKey != ca.P256 {
			tests = tests[:1]
		}
		for _, test := range tests {
			p := ca.Profile{Purpose: test.purpose, Key: test.key, Emails: []string{"alice@example.org"}, DNS: []string{"mail.example.org"}}
			file := filepath.Join(t.TempDir(), "leaf.pem")
			data := certstore.EncodeCertificates(issue(t, a, p).Certificate())
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			verify := func(purpose string) error {
				_, _, err := peertest.RunErr(t, nil, "openssl", "verify", "-x509_strict", "-purpose", purpose, "-attime", "1795255200",
					"-CAfile", filepath.Join(dir, "root.pem"), "-untrusted", filepath.Join(dir, "chain.pem"), file)
				return err
			}
			for _, purpose := range test.good {
				// OpenSSL 3.0 asks for keyEncipherment here, which certificates over EC keys must not have (RFC 8813).
				if purpose == "smimeencrypt" && test.key == ca.P256 {
					continue
				}
				if err := verify(purpose); err != nil {
					t.Errorf("%s authority, %s %s: not for %s: %v", authorityKey, test.purpose, test.key, purpose, err)
				}
			}
			for _, purpose := range test.bad {
				if verify(purpose) == nil {
					t.Errorf("%s authority, %s %s: for %s", authorityKey, test.purpose, test.key, purpose)
				}
			}
		}
	}
}

// TestOpenSSLReadsPKCS12 takes what `ca issue -o F.p12` writes.
func TestOpenSSLReadsPKCS12(t *testing.T) {
	peertest.Command(t, "openssl")
	a, _ := newAuthority(t, nil)
	data, err := certstore.EncodePKCS12(issue(t, a, ca.Profile{Purpose: ca.Mail, Key: ca.P256, Emails: []string{"alice@example.org"}}).KeyPair(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "alice.p12")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out := peertest.Run(t, "openssl", "pkcs12", "-in", file, "-passin", "pass:secret", "-nodes")
	bundle, err := certstore.ParsePEM(out)
	if err != nil || len(bundle.Keys) != 1 || len(bundle.Certificates) != 3 {
		t.Errorf("%d keys, %d certificates, %v", len(bundle.Keys), len(bundle.Certificates), err)
	}
}

// TestGmail asks what Gmail's hosted S/MIME asks: an intermediate between root and user, keys of RSA 2048 or more or of
// P-256 or P-384, signatures with SHA-2, the address as rfc822Name, emailProtection, and a serial number of 64 bits or
// more at random.
func TestGmail(t *testing.T) {
	for authorityKey, key := range map[ca.KeyType]ca.KeyType{ca.P256: ca.P256, ca.RSA3072: ca.RSA2048} {
		a, _ := newAuthority(t, func(o *ca.InitOptions) { o.Key = authorityKey })
		issued := issue(t, a, ca.Profile{Purpose: ca.Mail, Key: key, Emails: []string{"alice@example.org"}})
		if len(issued.Chain) != 3 {
			t.Fatalf("chain of %d", len(issued.Chain))
		}
		for i, c := range issued.Chain {
			if !strongKey(c.PublicKey) || !strings.Contains(c.SignatureAlgorithm.String(), "SHA256") && !strings.Contains(c.SignatureAlgorithm.String(), "SHA384") {
				t.Errorf("certificate %d: %T, %v", i, c.PublicKey, c.SignatureAlgorithm)
			}
			if c.SerialNumber.BitLen() < 64 || c.SerialNumber.Sign() <= 0 || c.Version != 3 {
				t.Errorf("certificate %d: serial number %v", i, c.SerialNumber)
			}
		}
		// The issuer is for mail, and not for what Gmail does not take beside it.
		if usages := issued.Chain[1].ExtKeyUsage; len(usages) != 1 || usages[0] != x509.ExtKeyUsageEmailProtection || issued.Chain[1].MaxPathLen != 0 {
			t.Errorf("issuer: %v, path length %d", usages, issued.Chain[1].MaxPathLen)
		}
		leaf := issued.Certificate()
		if len(leaf.EmailAddresses) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageEmailProtection || leaf.NotAfter.Sub(leaf.NotBefore) > 825*24*time.Hour {
			t.Errorf("%q, %v", leaf.EmailAddresses, leaf.ExtKeyUsage)
		}
	}
}

func strongKey(key crypto.PublicKey) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= 2048
	case *ecdsa.PublicKey:
		return key.Curve.Params().BitSize == 256 || key.Curve.Params().BitSize == 384
	}
	return false
}

// TestNSS imports an identity into the certificate store that Thunderbird uses, and has it judged there.
func TestNSS(t *testing.T) {
	peertest.Command(t, "pk12util")
	peertest.Command(t, "certutil")
	a, dir := newAuthority(t, nil)
	db, file, password := "sql:"+t.TempDir(), filepath.Join(t.TempDir(), "alice.p12"), filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	peertest.Run(t, "certutil", "-N", "-d", db, "--empty-password")
	peertest.Run(t, "certutil", "-A", "-d", db, "-n", "root", "-t", ",C,", "-i", filepath.Join(dir, "root.pem"))
	for _, key := range []ca.KeyType{ca.P256, ca.RSA2048} {
		name := "alice-" + string(key) + "@example.org"
		data, err := certstore.EncodePKCS12(issue(t, a, ca.Profile{Purpose: ca.Mail, Key: key, Emails: []string{name}}).KeyPair(), "secret")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		peertest.Run(t, "pk12util", "-i", file, "-d", db, "-K", "", "-w", password)
		for _, usage := range []string{"S", "R"} { // e-mail signer, e-mail recipient
			peertest.Run(t, "certutil", "-V", "-d", db, "-u", usage, "-b", "261121100000Z", "-n", name)
		}
	}
}
