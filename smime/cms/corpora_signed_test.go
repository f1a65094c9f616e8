package cms_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms"
)

// messagesIn returns what might be CMS in a file: the file, a PEM block, or runs of base64 lines in a mail.
func messagesIn(data []byte) [][]byte {
	messages := [][]byte{data}
	if block, _ := pem.Decode(data); block != nil {
		messages = append(messages, block.Bytes)
	}
	var run []byte
	for line := range bytes.Lines(append(bytes.Clone(data), "\n-\n"...)) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) > 0 && isBase64(line) {
			run = append(run, line...)
			continue
		}
		if der, err := base64.StdEncoding.DecodeString(string(run)); err == nil && len(der) > 100 {
			messages = append(messages, der)
		}
		run = nil
	}
	return messages
}

func isBase64(line []byte) bool {
	return !slices.ContainsFunc(line, func(c byte) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '+' && c != '/' && c != '='
	})
}

// TestCorpora reads all there is: nothing may crash, and SignedData of other programs must be readable.
func TestCorpora(t *testing.T) {
	for folder, atLeast := range map[string]int{"rfc4134": 8, "thunderbird": 20, "gnupg": 3, "bouncycastle": 3, "james": 2} {
		t.Run(folder, func(t *testing.T) {
			read := 0
			err := filepath.WalkDir(peertest.Corpora(t, folder), func(path string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				for _, message := range messagesIn(data) {
					if readCorpus(t, path, message) {
						read++
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if read < atLeast {
				t.Errorf("%d messages were read, want %d", read, atLeast)
			}
		})
	}
}

func readCorpus(t *testing.T, path string, message []byte) bool {
	s, digest, _, err := readSigned(message, cms.Limits{}, nil)
	if err != nil {
		t.Logf("%s: %v", filepath.Base(path), err)
		return false
	}
	for _, si := range s.SignerInfos {
		if _, err := si.SigningCertificates(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		raw, ok := s.Certificate(si.SID)
		if !ok {
			t.Logf("%s: no certificate", filepath.Base(path))
			continue
		}
		cert, err := raw.Parse()
		if err != nil {
			t.Logf("%s: %v", filepath.Base(path), err)
			continue
		}
		err = si.Verify(cert, digest, cms.VerifyOptions{ContentType: s.EContentType, AllowWeak: true})
		t.Logf("%s: detached %v, %s: %v", filepath.Base(path), s.Detached(), cms.SignatureName(si, cert), err)
	}
	return true
}

// TestCorporaVerdicts says what each of the signed messages of others is.
func TestCorporaVerdicts(t *testing.T) {
	for path, tt := range map[string]struct {
		content string // of a detached signature: a file beside it, or "first part"
		named   string
		want    error // nil: verifies
		signers int   // 0: one
	}{
		"rfc4134/4.1.bin":  {named: "dsa-sha1", want: errWantUnsupported},
		"rfc4134/4.2.bin":  {named: "rsa-pkcs1v15", want: errWantWeak},
		"rfc4134/4.3.bin":  {named: "dsa-sha1", want: errWantUnsupported, content: "ExContent.bin"},
		"rfc4134/4.4.bin":  {named: "dsa-sha1", want: errWantUnsupported},
		"rfc4134/4.5.bin":  {named: "rsa-pkcs1v15", want: errWantWeak},
		"rfc4134/4.6.bin":  {named: "dsa-sha1", want: errWantUnsupported, signers: 2},
		"rfc4134/4.7.bin":  {named: "dsa-sha1", want: errWantUnsupported},
		"rfc4134/4.8.eml":  {named: "dsa-sha1", want: errWantUnsupported, content: "ExContent.bin"},
		"rfc4134/4.9.eml":  {named: "dsa-sha1", want: errWantUnsupported},
		"rfc4134/4.10.bin": {named: "dsa-sha1", want: errWantUnsupported},

		"thunderbird/alice.mime.dsig.SHA1":                               {named: "rsa-pkcs1v15", want: errWantWeak, content: "alice.mime"},
		"thunderbird/alice.mime.dsig.SHA256":                             {named: "rsa-pkcs1v15", content: "alice.mime"},
		"thunderbird/alice.mime.dsig.SHA384":                             {named: "rsa-pkcs1v15", content: "alice.mime"},
		"thunderbird/alice.mime.dsig.SHA512":                             {named: "rsa-pkcs1v15", content: "alice.mime"},
		"thunderbird/alice.sig.SHA1.opaque.eml":                          {named: "rsa-pkcs1v15", want: errWantWeak},
		"thunderbird/alice.sig.SHA256.opaque.eml":                        {named: "rsa-pkcs1v15"},
		"thunderbird/alice.sig.SHA384.opaque.eml":                        {named: "rsa-pkcs1v15"},
		"thunderbird/alice.sig.SHA512.opaque.eml":                        {named: "rsa-pkcs1v15"},
		"thunderbird/alice.html.sig.SHA256.opaque.eml":                   {named: "rsa-pkcs1v15"},
		"thunderbird/alice.env.sig.SHA512.opaque.eml":                    {named: "rsa-pkcs1v15"},
		"thunderbird/alice.textplain.sig.SHA1":                           {named: "rsa-pkcs1v15", want: errWantWeak},
		"thunderbird/alice.textplain.sig.SHA256":                         {named: "rsa-pkcs1v15"},
		"thunderbird/alice.dsig.SHA256.multipart.eml":                    {named: "rsa-pkcs1v15", content: "first part"},
		"thunderbird/alice.dsig.SHA256.multipart.bad.eml":                {named: "rsa-pkcs1v15", want: cms.ErrMessageDigest, content: "first part"},
		"james/mail-with-signature-and-multi-certs.eml":                  {named: "rsa-pkcs1v15"},
		"bouncycastle/openssl-signed-sha256-non-default-salt-length.eml": {named: "rsa-pss", content: "first part"},

		// gpgsm of 2001 left out the content-type attribute, which MUST be there (RFC 5652 section 5.3): good ones and
		// tampered ones are refused alike.
		"gnupg/text-1.dsig.pem":          {named: "rsa-pkcs1v15", want: cms.ErrMissingAttribute, content: "text-1.txt"},
		"gnupg/text-1.osig.pem":          {named: "rsa-pkcs1v15", want: cms.ErrMissingAttribute},
		"gnupg/text-1.osig-bad.pem":      {named: "rsa-pkcs1v15", want: cms.ErrMissingAttribute},
		"gnupg/text-1.osig-badusage.pem": {named: "rsa-pkcs1v15", want: cms.ErrMissingAttribute},
		"gnupg/text-2.osig.pem":          {named: "rsa-pkcs1v15", want: cms.ErrMissingAttribute},
		"gnupg/text-2.osig-bad.pem":      {named: "rsa-pkcs1v15", want: cms.ErrMissingAttribute},
	} {
		t.Run(path, func(t *testing.T) {
			s := signedIn(t, path)
			var digest *cms.ContentDigest
			var err error
			if tt.content != "" {
				digest, err = s.ReadDetached(t.Context(), bytes.NewReader(contentBeside(t, path, tt.content)))
			} else {
				digest, err = s.ReadContent(t.Context(), nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			results, err := s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData})
			if len(results) != max(1, tt.signers) {
				t.Errorf("%d signers", len(results))
			}
			for _, r := range results {
				if got := cms.SignatureName(r.SignerInfo, r.Certificate); got != tt.named {
					t.Errorf("algorithm %q, want %q", got, tt.named)
				}
			}
			if tt.want != nil {
				checkOnly(t, err, tt.want)
			} else if err != nil {
				t.Error(err)
			}
			// What is weak, and nothing else, passes if weak is allowed.
			_, err = s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData, AllowWeak: true})
			if passes := tt.want == nil || tt.want == errWantWeak; passes != (err == nil) {
				t.Errorf("with weak algorithms allowed: %v", err)
			}
		})
	}
}

// contentBeside returns a file beside path, or the first part of the multipart/signed in it.
func contentBeside(t *testing.T, path, name string) []byte {
	t.Helper()
	if name != "first part" {
		return readFile(t, peertest.Corpora(t, strings.Split(filepath.Join(filepath.Dir(path), name), "/")...))
	}
	data := bytes.ReplaceAll(readFile(t, peertest.Corpora(t, strings.Split(path, "/")...)), []byte("\r\n"), []byte("\n"))
	_, boundary, _ := strings.Cut(string(data), "boundary=\"")
	boundary, _, _ = strings.Cut(boundary, "\"")
	parts := bytes.Split(data, []byte("\n--"+boundary+"\n"))
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts)-1)
	}
	return bytes.ReplaceAll(parts[1], []byte("\n"), []byte("\r\n"))
}

// signedIn opens the SignedData in a file of the corpora.
func signedIn(t *testing.T, path string) *cms.SignedData {
	t.Helper()
	for _, message := range messagesIn(readFile(t, peertest.Corpora(t, strings.Split(path, "/")...))) {
		info, err := cms.Read(bytes.NewReader(message), cms.Limits{})
		if err != nil {
			continue
		}
		if s, ok := info.(*cms.SignedData); ok {
			return s
		}
	}
	t.Fatal("no SignedData")
	return nil
}

// TestCorporaTwoContents has detached signatures that carry another content than the one beside them.
func TestCorporaTwoContents(t *testing.T) {
	for _, hash := range []string{"SHA1", "SHA256", "SHA384", "SHA512"} {
		content := readFile(t, peertest.Corpora(t, "thunderbird", "alice.mime"))
		s := signedIn(t, "thunderbird/alice.dsig."+hash+".multipart.mismatch-econtent.eml")
		_, err := s.ReadDetached(t.Context(), bytes.NewReader(content))
		checkOnly(t, err, cms.ErrTwoContents)
	}
}

// TestCorpusCertsOnly is section 4.11 of RFC 4134.
func TestCorpusCertsOnly(t *testing.T) {
	s := signedIn(t, "rfc4134/4.11.bin")
	digest, err := s.ReadContent(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !s.CertsOnly() || len(s.Certificates) != 2 || len(s.CRLs) != 1 {
		t.Errorf("certs-only %v, %d certificates, %d CRLs", s.CertsOnly(), len(s.Certificates), len(s.CRLs))
	}
	_, err = s.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData})
	checkOnly(t, err, cms.ErrNoSigners)
}

// TestCorpusRFC4134 reads every file: a CMS message of a type that is implemented, or refused by name.
func TestCorpusRFC4134(t *testing.T) {
	for file, want := range map[string]string{
		"3.1.bin": "1.2.840.113549.1.7.1", "3.2.bin": "1.2.840.113549.1.7.1", "4.1.bin": "", "4.2.bin": "", "4.3.bin": "",
		"4.4.bin": "", "4.5.bin": "", "4.6.bin": "", "4.7.bin": "", "4.10.bin": "", "4.11.bin": "", "5.1.bin": "", "5.2.bin": "",
	} {
		_, err := cms.Read(bytes.NewReader(readFile(t, peertest.Corpora(t, "rfc4134", file))), cms.Limits{})
		if want == "" && err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if want != "" && (!isError(err, errWantUnsupported) || !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestCorpusRFC9216 signs and verifies with the keys and certificates of RFC 9216: two for RSA, two for Ed25519.
func TestCorpusRFC9216(t *testing.T) {
	for name, want := range map[string]cms.SignatureScheme{
		"alice": cms.RSASSAPKCS1v15, "bob": cms.RSASSAPKCS1v15, "carlos": cms.Ed25519, "dana": cms.Ed25519,
	} {
		decode := func(file string) []byte {
			block, _ := pem.Decode(readFile(t, peertest.Corpora(t, "rfc9216", name+file)))
			if block == nil {
				t.Fatal("no PEM in", file)
			}
			return block.Bytes
		}
		cert, err := x509.ParseCertificate(decode("-sign.crt.pem"))
		if err != nil {
			t.Fatal(err)
		}
		key, err := x509.ParsePKCS8PrivateKey(decode("-sign.key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		id := identity{cert, key.(crypto.Signer)}
		o := options(id)
		if o.Signers[0].Scheme != want {
			t.Errorf("%s: %v", name, o.Signers[0].Scheme)
		}
		if want == cms.RSASSAPKCS1v15 {
			pss := o.Signers[0]
			pss.Scheme = cms.RSASSAPSS
			o.Signers = append(o.Signers, pss)
		}
		content := []byte("Content-Type: text/plain\r\n\r\nThis is a sample.\r\n")
		if _, _, err := verifyAll(stream(t, content, o), nil, cms.VerifyOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want == cms.Ed25519 {
			d := newDraftOf(id, cms.Ed25519, crypto.SHA512, cms.AlgorithmIdentifier{Algorithm: oidEd25519})
			d.attributes = nil
			if _, _, err := verifyAll(d.marshal(t), nil, cms.VerifyOptions{Content: bytes.NewReader(d.content)}); err != nil {
				t.Errorf("%s, without signed attributes: %v", name, err)
			}
		}
	}
}
