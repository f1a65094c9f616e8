package cms_test

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms"
)

// base64Body finds base64 in a mail: lines of it, behind an empty line.
var base64Body = regexp.MustCompile(`\r?\n\r?\n((?:[A-Za-z0-9+/]{40,}={0,2}\r?\n)+(?:[A-Za-z0-9+/]+={0,2}\r?\n?)?)`)

// messagesIn returns what might be CMS in a file: the file, a PEM block, or pieces of base64 in a mail.
func messagesIn(data []byte) [][]byte {
	messages := [][]byte{data}
	if block, _ := pem.Decode(data); block != nil {
		messages = append(messages, block.Bytes)
	}
	for _, m := range base64Body.FindAllSubmatch(data, -1) {
		text := bytes.Map(func(r rune) rune {
			if r == '\r' || r == '\n' {
				return -1
			}
			return r
		}, m[1])
		if der, err := base64.StdEncoding.DecodeString(string(text)); err == nil {
			messages = append(messages, der)
		}
	}
	return messages
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

// TestCorporaVerdicts checks messages of other programs whose certificates and contents are in them.
func TestCorporaVerdicts(t *testing.T) {
	for path, want := range map[string]error{
		"rfc4134/4.1.bin":                               wantUnsupported, // DSA
		"rfc4134/4.2.bin":                               wantWeak,
		"rfc4134/4.10.bin":                              wantUnsupported,
		"thunderbird/alice.sig.SHA1.opaque.eml":         wantWeak,
		"thunderbird/alice.sig.SHA256.opaque.eml":       nil,
		"thunderbird/alice.sig.SHA384.opaque.eml":       nil,
		"thunderbird/alice.sig.SHA512.opaque.eml":       nil,
		"thunderbird/alice.textplain.sig.SHA256":        nil,
		"james/mail-with-signature-and-multi-certs.eml": nil,
		"gnupg/text-1.osig.pem":                         cms.ErrMissingAttribute, // content-type, as of 2001
	} {
		t.Run(path, func(t *testing.T) {
			var s *cms.SignedData
			var digest *cms.ContentDigest
			err := error(nil)
			for _, message := range messagesIn(readFile(t, peertest.Corpora(t, strings.Split(path, "/")...))) {
				if s, digest, _, err = readSigned(message, cms.Limits{}, nil); err == nil {
					break
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			raw, _ := s.Certificate(s.SignerInfos[0].SID)
			cert, err := raw.Parse()
			if err != nil {
				t.Fatal(err)
			}
			err = s.SignerInfos[0].Verify(cert, digest, cms.VerifyOptions{ContentType: s.EContentType})
			if want != nil {
				checkOnly(t, err, want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
