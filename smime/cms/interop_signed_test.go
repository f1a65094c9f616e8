package cms_test

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms"
)

// interopContent needs no canonicalisation, and is longer than one segment of a stream.
var interopContent = []byte("Content-Type: text/plain\r\n\r\n" + strings.Repeat("All work and no play.\r\n", 2000))

// TestOpenSSLVerifies has openssl verify what is signed here. OpenSSL 3.0 knows no Ed25519 with signed attributes.
func TestOpenSSLVerifies(t *testing.T) {
	peertest.Command(t, "openssl")
	for name, tt := range map[string]struct {
		id     identity
		scheme cms.SignatureScheme // 0: by default
		digest crypto.Hash
	}{
		"rsa":             {id: testRSA()},
		"rsa-sha384":      {testRSA(), cms.RSASSAPKCS1v15, crypto.SHA384},
		"pss-sha256":      {testRSA(), cms.RSASSAPSS, crypto.SHA256},
		"pss-sha384":      {testRSA(), cms.RSASSAPSS, crypto.SHA384},
		"pss-sha512":      {testRSA(), cms.RSASSAPSS, crypto.SHA512},
		"pss-only":        {id: testPSS()},
		"pss-only-sha384": {id: testPSSSHA384()},
		"p256":            {id: testP256()},
		"p256-sha512":     {testP256(), cms.ECDSA, crypto.SHA512},
		"p384":            {id: testP384()},
		"p521":            {id: testP521()},
	} {
		for _, form := range []cms.IdentifierForm{cms.IssuerAndSerialNumber, cms.SubjectKeyIdentifier} {
			for _, detached := range []bool{false, true} {
				t.Run(name+"/sid-"+strconv.Itoa(int(form))+"/detached-"+strconv.FormatBool(detached), func(t *testing.T) {
					o := options(tt.id)
					o.Detached = detached
					o.Signers[0].SID = form
					o.Signers[0].Capabilities = cms.OwnCapabilities()
					if tt.scheme != 0 {
						o.Signers[0].Scheme, o.Signers[0].Digest = tt.scheme, tt.digest
					}
					dir := tt.id.writeFiles(t)
					for _, message := range [][]byte{sign(t, interopContent, o), stream(t, interopContent, o)} {
						openSSLVerify(t, dir, message, detached)
					}
				})
			}
		}
	}
	// Several signers, each with another scheme, named in both ways.
	t.Run("several", func(t *testing.T) {
		o := options(testRSA(), testRSA(), testPSSSHA384(), testP256(), testP384(), testP521())
		o.Signers[1].Scheme, o.Signers[1].Digest = cms.RSASSAPSS, crypto.SHA512
		for i := range o.Signers {
			o.Signers[i].SID = cms.IdentifierForm(i % 2)
		}
		dir := testRSA().writeFiles(t)
		for _, detached := range []bool{false, true} {
			o.Detached = detached
			for _, message := range [][]byte{sign(t, interopContent, o), stream(t, interopContent, o)} {
				s, _, err := verifyAll(message, interopContent, cms.VerifyOptions{})
				if err != nil || len(s.SignerInfos) != len(o.Signers) {
					t.Errorf("read again: %v", err)
				}
				openSSLVerify(t, dir, message, detached)
			}
		}
	})
}

func openSSLVerify(t *testing.T, dir string, message []byte, detached bool) {
	t.Helper()
	in, content := filepath.Join(dir, "message.der"), filepath.Join(dir, "content")
	writeFile(t, in, message)
	writeFile(t, content, interopContent)
	args := []string{"cms", "-verify", "-binary", "-inform", "DER", "-in", in, "-CAfile", filepath.Join(dir, "ca.pem")}
	if detached {
		args = append(args, "-content", content)
	}
	if got := peertest.Run(t, "openssl", args...); !bytes.Equal(got, interopContent) {
		t.Errorf("openssl got other content, %d octets", len(got))
	}
	writeFile(t, content, append([]byte("x"), interopContent...))
	if detached {
		if _, _, err := peertest.RunErr(t, nil, "openssl", args...); err == nil {
			t.Error("openssl verified other content")
		}
	}
}

// TestOpenSSLSigns reads what openssl signs, in the many forms it has.
func TestOpenSSLSigns(t *testing.T) {
	peertest.Command(t, "openssl")
	for name, tt := range map[string]struct {
		id       identity
		args     string
		detached bool
		want     error
		named    string
	}{
		"detached":           {id: testRSA(), detached: true, named: "rsa-pkcs1v15"},
		"detached EC":        {id: testP256(), detached: true, named: "ecdsa-p256"},
		"attached":           {id: testRSA(), args: "-nodetach", named: "rsa-pkcs1v15"},
		"attached EC":        {id: testP256(), args: "-nodetach", named: "ecdsa-p256"},
		"stream":             {id: testRSA(), args: "-nodetach -stream"},
		"stream EC":          {id: testP384(), args: "-nodetach -stream", named: "ecdsa-p384"},
		"no attributes":      {id: testRSA(), args: "-nodetach -noattr"},
		"no attributes, EC":  {id: testP256(), args: "-noattr", detached: true},
		"no capabilities":    {id: testP256(), args: "-nodetach -nosmimecap"},
		"key id":             {id: testRSA(), args: "-nodetach -keyid"},
		"key id, stream, EC": {id: testP521(), args: "-nodetach -keyid -stream", named: "ecdsa-p521"},
		"PEM":                {id: testP256(), args: "-nodetach -outform PEM"},
		"PEM stream":         {id: testRSA(), args: "-nodetach -stream -outform PEM"},
		"SHA-384":            {id: testRSA(), args: "-nodetach -md sha384"},
		"SHA-512":            {id: testP256(), args: "-nodetach -md sha512"},
		"SHA-224":            {id: testP256(), args: "-nodetach -md sha224"},
		"CAdES":              {id: testP256(), args: "-nodetach -cades"},
		"CAdES SHA-1 of ESS": {id: testRSA(), args: "-nodetach -cades -md sha384"},
		"PSS":                {id: testRSA(), args: "-nodetach -keyopt rsa_padding_mode:pss", named: "rsa-pss"},
		"PSS detached":       {id: testRSA(), args: "-md sha384 -keyopt rsa_padding_mode:pss", detached: true, named: "rsa-pss"},
		"PSS no attributes":  {id: testRSA(), args: "-nodetach -noattr -keyopt rsa_padding_mode:pss", named: "rsa-pss"},
		"PSS, longest salt":  {id: testRSA(), args: "-nodetach -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:222"},
		"PSS, no salt":       {id: testRSA(), args: "-nodetach -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:0", want: errWantUnsupported},
		"PSS, two hashes":    {id: testRSA(), args: "-nodetach -keyopt rsa_padding_mode:pss -keyopt rsa_mgf1_md:sha1", want: errWantUnsupported},
		"PSS with SHA-1":     {id: testRSA(), args: "-nodetach -md sha1 -keyopt rsa_padding_mode:pss", want: errWantWeak},
		"PSS-only key":       {id: testPSS(), args: "-nodetach -md sha512 -keyopt rsa_padding_mode:pss", named: "rsa-pss"},
		// So openssl 3.0 writes by default, and does not verify it itself.
		"PSS-only, PKCS #1":  {id: testPSS(), args: "-nodetach", want: cms.ErrAlgorithmMismatch},
		"PSS-only, SHA-384":  {id: testPSSSHA384(), args: "-nodetach -noattr -md sha384 -keyopt rsa_padding_mode:pss", named: "rsa-pss"},
		"P-384 no attribute": {id: testP384(), args: "-nodetach -noattr -keyid", named: "ecdsa-p384"},
		"P-521 no attribute": {id: testP521(), args: "-noattr -md sha512", detached: true, named: "ecdsa-p521"},
		"SHA3-256":           {id: testRSA(), args: "-nodetach -md sha3-256", want: errWantUnsupported},
		"PSS, short salt":    {id: testRSA(), args: "-nodetach -md sha384 -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:20"},
		"SHA-1":              {id: testP256(), args: "-nodetach -md sha1", want: errWantWeak},
		"SHA-1 no attribute": {id: testRSA(), args: "-nodetach -noattr -md sha1", want: errWantWeak},
		"MD5":                {id: testRSA(), args: "-nodetach -md md5", want: cms.ErrBrokenDigest},
		"RSA 1024":           {id: testRSAWeak(), args: "-nodetach", want: errWantWeak},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tt.id.writeFiles(t)
			message := openSSLSign(t, dir, tt.args)
			s, content, err := verifyAll(message, interopContent, cms.VerifyOptions{})
			if tt.want != nil {
				checkOnly(t, err, tt.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Detached() != tt.detached || !tt.detached && !bytes.Equal(content, interopContent) {
				t.Errorf("detached %v, %d octets of content", s.Detached(), len(content))
			}
			if got := cms.SignatureName(s.SignerInfos[0], tt.id.cert); tt.named != "" && got != tt.named {
				t.Errorf("algorithm %q, want %q", got, tt.named)
			}
			if tt.detached {
				if _, _, err := verifyAll(message, interopContent[1:], cms.VerifyOptions{}); err == nil {
					t.Error("verifies other content")
				}
			}
		})
	}
}

// openSSLSign signs interopContent and returns the message in DER or BER.
func openSSLSign(t *testing.T, dir, args string) []byte {
	t.Helper()
	file := func(name string) string { return filepath.Join(dir, name) }
	writeFile(t, file("content"), interopContent)
	all := []string{"cms", "-sign", "-binary", "-in", file("content"), "-signer", file("cert.pem"), "-inkey", file("key.pem"),
		"-outform", "DER", "-out", file("message")}
	all = append(all, strings.Fields(args)...)
	peertest.Run(t, "openssl", all...)
	message := readFile(t, file("message"))
	if slices.Contains(all, "PEM") {
		block, _ := pem.Decode(message)
		if block == nil {
			t.Fatal("no PEM")
		}
		message = block.Bytes
	}
	return message
}

// TestOpenSSLAddsSigner has openssl sign a message of this package again, with another key.
func TestOpenSSLAddsSigner(t *testing.T) {
	peertest.Command(t, "openssl")
	dir := testRSA().writeFiles(t)
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	writeFile(t, in, stream(t, interopContent, options(testP256())))
	peertest.Run(t, "openssl", "cms", "-resign", "-binary", "-inform", "DER", "-in", in, "-nodetach",
		"-signer", filepath.Join(dir, "cert.pem"), "-inkey", filepath.Join(dir, "key.pem"), "-outform", "DER", "-out", out)
	s, content, err := verifyAll(readFile(t, out), nil, cms.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.SignerInfos) != 2 || !bytes.Equal(content, interopContent) {
		t.Errorf("%d signers, %d octets of content", len(s.SignerInfos), len(content))
	}
}

// TestForgeryOfAttributes shows why the form of the content is looked at: elsewhere this forgery may pass.
func TestForgeryOfAttributes(t *testing.T) {
	victim := newDraft(testP256())
	forged := newDraft(testP256())
	forged.content, forged.attributes = victim.set(), nil
	forged.value = victim.sign(t) // a genuine signature of the victim over something else
	message := forged.marshal(t)
	_, _, err := verifyAll(message, nil, cms.VerifyOptions{})
	checkOnly(t, err, cms.ErrAttributesAsContent)

	dir := testP256().writeFiles(t)
	in := filepath.Join(dir, "forged")
	writeFile(t, in, message)
	_, _, err = peertest.RunErr(t, nil, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", in,
		"-CAfile", filepath.Join(dir, "ca.pem"))
	t.Logf("openssl says: %v", err)
}
