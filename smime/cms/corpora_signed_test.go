package cms_test

import (
	"bytes"
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

// TestCorporaVerdicts checks messages of other programs whose certificates and contents are in them.
func TestCorporaVerdicts(t *testing.T) {
	for path, want := range map[string]error{
		"rfc4134/4.1.bin":                               errWantUnsupported, // DSA
		"rfc4134/4.2.bin":                               errWantWeak,
		"rfc4134/4.10.bin":                              errWantUnsupported,
		"thunderbird/alice.sig.SHA1.opaque.eml":         errWantWeak,
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
