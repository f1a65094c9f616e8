package smime_test

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// wrongKey claims a certificate whose key it does not have.
type wrongKey struct{ decrypter }

func (d wrongKey) Unwrap(_ context.Context, r cms.RecipientInfo) ([]byte, error) {
	if !r.Recipient().Matches(d.cert) {
		return nil, smime.ErrNotRecipient
	}
	cek := make([]byte, r.CEKSize())
	_, err := rand.Read(cek)
	return cek, err
}

// corpusKeys returns the keys of the .p12 files in a folder of the corpora.
func corpusKeys(t *testing.T, dir string) []smime.Decrypter {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.p12"))
	if err != nil {
		t.Fatal(err)
	}
	var keys []smime.Decrypter
	for _, file := range files {
		// They are in BER, which the usual libraries refuse.
		text := peertest.Run(t, "openssl", "pkcs12", "-in", file, "-nodes", "-clcerts", "-passin", "pass:nss")
		var key any
		var cert *x509.Certificate
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			switch block.Type {
			case "CERTIFICATE":
				cert, err = x509.ParseCertificate(block.Bytes)
			case "PRIVATE KEY":
				key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if key != nil && cert != nil {
			keys = append(keys, corpusKey{cert, key})
		}
	}
	return keys
}

type corpusKey struct {
	cert *x509.Certificate
	key  any
}

func (k corpusKey) Certificate() *x509.Certificate { return k.cert }

func (k corpusKey) Unwrap(_ context.Context, r cms.RecipientInfo) ([]byte, error) {
	if !r.Recipient().Matches(k.cert) {
		return nil, smime.ErrNotRecipient
	}
	switch r := r.(type) {
	case *cms.KeyTransRecipientInfo:
		if key, ok := k.key.(crypto.Decrypter); ok {
			return r.Unwrap(key)
		}
	case *cms.KeyAgreeRecipientInfo:
		switch key := k.key.(type) {
		case *ecdsa.PrivateKey:
			agreement, err := key.ECDH()
			if err != nil {
				return nil, err
			}
			return r.Unwrap(agreement)
		case *ecdh.PrivateKey:
			return r.Unwrap(key)
		}
	}
	return nil, fmt.Errorf("key of type %T", k.key)
}

// TestCorporaDoNoHarm opens every message that others collected: whatever it is, it must come to an end without a panic,
// and what comes out must be readable.
func TestCorporaDoNoHarm(t *testing.T) {
	keys := corpusKeys(t, peertest.Corpora(t, "thunderbird"))
	for _, corpus := range []string{"thunderbird", "bouncycastle", "james", "gnupg", "mime", "rfc4134", "rfc9216", "nss"} {
		t.Run(corpus, func(t *testing.T) {
			files := 0
			err := filepath.WalkDir(peertest.Corpora(t, corpus), func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				raw, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				files++
				useEverything(t, raw, smime.OpenOptions{Decrypters: keys, AllowWeak: true})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d files", files)
		})
	}
}

// useEverything opens a message and reads all that it offers; nil if it cannot be opened.
func useEverything(t *testing.T, raw []byte, o smime.OpenOptions) *smime.Message {
	t.Helper()
	m := tryOpen(t, raw, o)
	if m == nil {
		return nil
	}
	if m.Content != nil {
		if _, err := io.Copy(io.Discard, io.NewSectionReader(m.Content, 0, m.Content.Size())); err != nil {
			t.Error(err)
		}
	} else if len(m.Parts) > 0 {
		t.Error("parts without content")
	}
	if _, err := m.Text(64 << 10); err != nil {
		t.Error(err)
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		size, err := p.Size()
		if err != nil {
			t.Error(err)
		}
		if n, err := io.Copy(io.Discard, p.Open()); n != size || err != nil {
			t.Errorf("%d of %d octets, %v", n, size, err)
		}
		if _, _, err := m.PartText(i, 64<<10); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"From", "To", "Cc", "Sender", "Subject"} {
		m.Addresses(name)
		m.Field(name)
	}
	m.From(false)
	return m
}
