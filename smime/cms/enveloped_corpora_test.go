package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

func corpus(t testing.TB, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(peertest.Corpora(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// pemIdentity reads a certificate and its key from PEM; other blocks are passed over.
func pemIdentity(t testing.TB, data []byte) (id envIdentity) {
	t.Helper()
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		switch block.Type {
		case "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			certs = append(certs, cert)
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			id.key = key.(crypto.Signer)
		case "RSA PRIVATE KEY":
			key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			id.key = key
		case "EC PRIVATE KEY":
			key, err := x509.ParseECPrivateKey(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			id.key = key
		}
	}
	for _, c := range certs {
		public, ok := id.key.Public().(interface{ Equal(crypto.PublicKey) bool })
		if ok && public.Equal(c.PublicKey) {
			id.cert = c
		}
	}
	return id
}

// pkcs12Identity has openssl read a file that go-pkcs12 does not, because it is in BER.
func pkcs12Identity(t testing.TB, password string, elem ...string) envIdentity {
	t.Helper()
	return pemIdentity(t, peertest.Run(t, "openssl", "pkcs12", "-in", peertest.Corpora(t, elem...), "-passin", "pass:"+password, "-nodes", "-legacy"))
}

// messageIn finds the CMS message in a file: binary, PEM, or the base64 body of a mail.
func messageIn(t testing.TB, data []byte) []byte {
	t.Helper()
	if data[0] == 0x30 {
		return data
	}
	if block, _ := pem.Decode(data); block != nil {
		return block.Bytes
	}
	data = bytes.ReplaceAll(data, []byte("\r"), nil)
	_, body, _ := bytes.Cut(data, []byte("\n\n"))
	message, err := base64.StdEncoding.DecodeString(string(body))
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// TestEnvelopedCorpora opens what NSS, Thunderbird, Bouncy Castle and others encrypted. What is under a weak cipher opens
// only where that is allowed.
func TestEnvelopedCorpora(t *testing.T) {
	nss := func(t *testing.T, folder ...string) (ids []envIdentity) {
		files, err := filepath.Glob(filepath.Join(peertest.Corpora(t, folder...), "*.p12"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			ids = append(ids, pkcs12Identity(t, "nss", append(folder, filepath.Base(f))...))
		}
		return ids
	}
	files := func(certFile, keyFile string) func(*testing.T, ...string) []envIdentity {
		return func(t *testing.T, folder ...string) []envIdentity {
			cert, key := corpus(t, append(folder, certFile)...), corpus(t, append(folder, keyFile)...)
			return []envIdentity{pemIdentity(t, append(cert, key...))}
		}
	}
	james := func(t *testing.T, folder ...string) []envIdentity {
		return []envIdentity{pkcs12Identity(t, "secret", append(folder, "smime.p12")...)}
	}
	binaryFiles := func(t *testing.T, folder ...string) []envIdentity {
		cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: corpus(t, append(folder, "BobRSASignByCarl.cer")...)})
		key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: corpus(t, append(folder, "BobPrivRSAEncrypt.pri")...)})
		return []envIdentity{pemIdentity(t, append(cert, key...))}
	}
	const fran = "This is a test message to Fran.\n"
	tests := []struct {
		folder     []string
		glob       string
		identities func(t *testing.T, folder ...string) []envIdentity
		want       string // how the text begins
		weak       string // names of files in 3DES
	}{
		{[]string{"nss"}, "*.env", nss, fran, "fran-oaep_ossl.env"},
		{[]string{"thunderbird", "interop"}, "*.env", nss, fran, "fran-oaep_ossl.env"},
		{[]string{"thunderbird"}, "*.env.eml", nss, "Content-Type: ", ""},
		{[]string{"bouncycastle", "ecdh"}, "encSess*.asc", files("ecc.crt", "ecc.key"), "abcdefghijklmnopqrstuvwxyz0123456789\r\n",
			"encSess1.asc encSess2.asc encSessA.asc encSessB.asc"},
		{[]string{"bouncycastle"}, "test192.message", files("cert.pem", "key.pem"), "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;", ""},
		{[]string{"james"}, "crypted*.eml", james, "Content-Type: ", "crypted.eml crypted_with_attachment.eml"},
		{[]string{"rfc4134"}, "5.[13].*", binaryFiles, "This is some sample content.", "5.1.bin 5.3.eml"},
	}
	for _, test := range tests {
		t.Run(filepath.Join(append(test.folder, test.glob)...), func(t *testing.T) {
			names, err := filepath.Glob(filepath.Join(peertest.Corpora(t, test.folder...), test.glob))
			if err != nil || len(names) == 0 {
				t.Fatalf("%d files, %v", len(names), err)
			}
			ids := test.identities(t, test.folder...)
			for _, path := range names {
				name := filepath.Base(path)
				message := messageIn(t, corpus(t, append(test.folder, name)...))
				id, ok := recipientOf(t, message, ids)
				if !ok {
					t.Errorf("%s is for nobody", name)
					continue
				}
				_, text, err := openMessage(t, bytes.NewReader(message), id, Limits{})
				if slices.Contains(strings.Fields(test.weak), name) {
					checkWeak(t, err, "3des-cbc")
					_, text, err = openMessageWith(t, bytes.NewReader(message), id, Limits{}, DecryptOptions{AllowWeak: true})
				}
				if err != nil || !strings.HasPrefix(string(text), test.want) {
					t.Errorf("%s: %.40q, %v", name, text, err)
				}
			}
		})
	}
}

// checkWeak checks that an error says what is too weak.
func checkWeak(t testing.TB, err error, name string) {
	t.Helper()
	var weak *WeakError
	if !errors.As(err, &weak) || !strings.Contains(err.Error(), name) {
		t.Errorf("%v, want %s to be too weak", err, name)
	}
}

// recipientOf finds the identity that the message is for.
func recipientOf(t testing.TB, message []byte, ids []envIdentity) (envIdentity, bool) {
	t.Helper()
	for _, ri := range readMessage(t, message).Recipients {
		for _, id := range ids {
			if ri.Recipient().Matches(id.cert) {
				return id, true
			}
		}
	}
	return envIdentity{}, false
}

// TestEnvelopedCorporaHeads reads the heads of messages for which there is no key: recipients and cipher have names.
func TestEnvelopedCorporaHeads(t *testing.T) {
	tests := []struct {
		folder, glob string
		want         string // of the first recipient and the cipher
	}{
		{"james", "*crypted*.eml", "key-transport rsa-pkcs1v15 3des-cbc"},
		{"gnupg", "plain-*.cms.asc", "key-transport rsa-pkcs1v15 aes-128-cbc"},
		{"thunderbird", "*.env", "key-transport rsa-pkcs1v15 aes-128-cbc"},
		{"bouncycastle", "test256.message", "key-transport rsa-pkcs1v15 aes-256-cbc"},
		{"bouncycastle", "dotnet_encrypted_mail.eml", "key-transport rsa-pkcs1v15 3des-cbc"},
	}
	for _, test := range tests {
		names, err := filepath.Glob(filepath.Join(peertest.Corpora(t, test.folder), test.glob))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s/%s: %d files, %v", test.folder, test.glob, len(names), err)
		}
		for _, path := range names {
			e := readMessage(t, messageIn(t, corpus(t, test.folder, filepath.Base(path))))
			got := strings.Join([]string{string(e.Recipients[0].Type()), e.Recipients[0].AlgorithmName(), e.Cipher.String()}, " ")
			if got != test.want {
				t.Errorf("%s: %s, want %s", path, got, test.want)
			}
		}
	}
}
