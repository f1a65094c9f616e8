package cms_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// What is exchanged with OpenSSL here needs certificates that crypto/x509 does not make, or is about one message with
// many signers. All else is in the table of internal/interop.

var opensslContent = []byte("Content-Type: text/plain\r\n\r\n" + strings.Repeat("All work and no play.\r\n", 2000))

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// opensslFiles writes the CA, the certificate and the key as PEM into a folder, and returns the folder.
func opensslFiles(t *testing.T, id identity) string {
	t.Helper()
	dir := t.TempDir()
	key := id.key.(*rsa.PrivateKey)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if id.cert.PublicKey == nil {
		// A key of pssOnly: the private key must say the same.
		in := cryptobyte.String(id.cert.RawSubjectPublicKeyInfo)
		var spki, algorithm cryptobyte.String
		if !in.ReadASN1(&spki, cbasn1.SEQUENCE) || !spki.ReadASN1Element(&algorithm, cbasn1.SEQUENCE) {
			t.Fatal("no public key")
		}
		der = marshal(func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				b.AddBytes(algorithm)
				b.AddASN1OctetString(x509.MarshalPKCS1PrivateKey(key))
			})
		})
	}
	for name, block := range map[string]*pem.Block{
		"ca.pem":   {Type: "CERTIFICATE", Bytes: testCA().cert.Raw},
		"cert.pem": {Type: "CERTIFICATE", Bytes: id.cert.Raw},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: der},
	} {
		writeFile(t, filepath.Join(dir, name), pem.EncodeToMemory(block))
	}
	writeFile(t, filepath.Join(dir, "content"), opensslContent)
	writeFile(t, filepath.Join(dir, "other"), opensslContent[1:])
	return dir
}

// opensslVerify has openssl verify a message, and refuse a detached one over another content.
func opensslVerify(t *testing.T, dir string, message []byte, detached bool) {
	t.Helper()
	file := func(name string) string { return filepath.Join(dir, name) }
	writeFile(t, file("message"), message)
	args := []string{"cms", "-verify", "-binary", "-inform", "DER", "-in", file("message"), "-CAfile", file("ca.pem")}
	if !detached {
		if got := peertest.Run(t, "openssl", args...); !bytes.Equal(got, opensslContent) {
			t.Errorf("openssl got other content, %d octets", len(got))
		}
		return
	}
	peertest.Run(t, "openssl", append(args, "-content", file("content"))...)
	if _, _, err := peertest.RunErr(t, nil, "openssl", append(args, "-content", file("other"))...); err == nil {
		t.Error("openssl verified other content")
	}
}

// TestOpenSSLSeveralSigners has a signer of each scheme in one message, and both forms of naming them. OpenSSL 3.0 knows
// no Ed25519 in CMS.
func TestOpenSSLSeveralSigners(t *testing.T) {
	peertest.Command(t, "openssl")
	o := options(testRSA(), testRSA(), testPSS(), testPSSSHA384(), testP256(), testP384(), testP521())
	o.Signers[1].Scheme, o.Signers[1].Digest = cms.RSASSAPSS, crypto.SHA512
	for i := range o.Signers {
		o.Signers[i].SID = cms.IdentifierForm(i % 2)
	}
	dir := opensslFiles(t, testRSA())
	for _, detached := range []bool{false, true} {
		o.Detached = detached
		for _, message := range [][]byte{sign(t, opensslContent, o), stream(t, opensslContent, o)} {
			s, _, err := verifyAll(message, opensslContent, cms.VerifyOptions{})
			if err != nil || len(s.SignerInfos) != len(o.Signers) {
				t.Errorf("read again: %v", err)
			}
			opensslVerify(t, dir, message, detached)
		}
	}
}

// TestOpenSSLReadsPSSKeys has openssl verify what keys for RSASSA-PSS alone have signed.
func TestOpenSSLReadsPSSKeys(t *testing.T) {
	peertest.Command(t, "openssl")
	for _, id := range []identity{testPSS(), testPSSSHA384()} {
		dir := opensslFiles(t, id)
		for _, detached := range []bool{false, true} {
			o := options(id)
			o.Detached = detached
			opensslVerify(t, dir, sign(t, opensslContent, o), detached)
			opensslVerify(t, dir, stream(t, opensslContent, o), detached)
		}
	}
}

// TestOpenSSLWritesPSS reads what openssl signs with parameters at their ends, and with keys for RSASSA-PSS alone.
func TestOpenSSLWritesPSS(t *testing.T) {
	peertest.Command(t, "openssl")
	const pss = "-keyopt rsa_padding_mode:pss "
	for name, tt := range map[string]struct {
		id   identity
		args string
		want error
	}{
		"no attributes":      {testRSA(), pss + "-noattr", nil},
		"longest salt":       {testRSA(), pss + "-keyopt rsa_pss_saltlen:222", nil},
		"salt of one octet":  {testRSA(), pss + "-keyopt rsa_pss_saltlen:1", nil},
		"no salt":            {testRSA(), pss + "-keyopt rsa_pss_saltlen:0", errWantUnsupported},
		"another MGF hash":   {testRSA(), pss + "-keyopt rsa_mgf1_md:sha1", errWantUnsupported},
		"key for PSS alone":  {testPSS(), pss + "-md sha512", nil},
		"key for SHA-384":    {testPSSSHA384(), pss + "-noattr -md sha384", nil},
		"RSA with SHA3-256":  {testRSA(), "-md sha3-256", errWantUnsupported},
		"PSS key, PKCS #1":   {testPSS(), "", cms.ErrAlgorithmMismatch}, // openssl 3.0 by default; it does not verify this itself
		"key identifier":     {testPSS(), pss + "-keyid", nil},
		"detached, no attr.": {testPSS(), pss + "-noattr -keyid", nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := opensslFiles(t, tt.id)
			file := func(name string) string { return filepath.Join(dir, name) }
			args := []string{"cms", "-sign", "-binary", "-in", file("content"), "-signer", file("cert.pem"), "-inkey", file("key.pem"),
				"-outform", "DER", "-out", file("message")}
			detached := strings.HasPrefix(name, "detached")
			if !detached {
				args = append(args, "-nodetach")
			}
			peertest.Run(t, "openssl", append(args, strings.Fields(tt.args)...)...)
			message, err := os.ReadFile(file("message"))
			if err != nil {
				t.Fatal(err)
			}
			_, content, err := verifyAll(message, opensslContent, cms.VerifyOptions{})
			if tt.want != nil {
				checkOnly(t, err, tt.want)
				return
			}
			if err != nil || !detached && !bytes.Equal(content, opensslContent) {
				t.Errorf("%d octets, %v", len(content), err)
			}
		})
	}
}
