package tsa_test

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// fromHex decodes hexadecimal digits with spaces between them.
func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Encodings worked out by hand from RFC 3161 section 2.4.1.
const (
	imprintHex = "30 2f 30 0b 06 09 60 86 48 01 65 03 04 02 01 04 20" +
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	smallRequestHex = "30 34 02 01 01" + imprintHex
	fullRequestHex  = "30 5d 02 01 01" + imprintHex +
		"06 09 2b 06 01 04 01 81 fd 59 01" + // policy 1.3.6.1.4.1.32473.1
		"02 09 00 ff ff ff ff ff ff ff ff" + // nonce 2^64-1
		"01 01 ff" +
		"a0 0e 30 0c 06 02 2a 03 01 01 ff 04 03 01 02 03"
)

func emptyImprint() tsa.MessageImprint {
	digest, _ := hex.DecodeString("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	return tsa.MessageImprint{HashAlgorithm: cms.AlgorithmIdentifier{Algorithm: tsatest.SHA256()}, HashedMessage: digest}
}

func TestRequest(t *testing.T) {
	for _, tt := range []struct {
		name string
		der  string
		want tsa.Request
	}{
		{"small", smallRequestHex, tsa.Request{Imprint: emptyImprint()}},
		{"full", fullRequestHex, tsa.Request{
			Imprint:    emptyImprint(),
			Policy:     tsatest.Policy(),
			Nonce:      new(big.Int).SetUint64(1<<64 - 1),
			CertReq:    true,
			Extensions: []tsa.Extension{{ID: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{1, 2, 3}}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			der := fromHex(t, tt.der)
			got, err := tsa.ParseRequest(der)
			if err != nil {
				t.Fatal(err)
			}
			bigInts := cmp.Comparer(func(a, b *big.Int) bool { return a == b || a != nil && b != nil && a.Cmp(b) == 0 })
			if diff := cmp.Diff(tt.want, *got, bigInts); diff != "" {
				t.Error(diff)
			}
			again, err := tt.want.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again, der) {
				t.Errorf("encoded as\n%x, want\n%x", again, der)
			}
		})
	}
}

func TestParseRequestRefuses(t *testing.T) {
	small := func(s ...string) string { return strings.Join(append([]string{"02 01 01", imprintHex}, s...), "") }
	for _, tt := range []struct {
		name    string
		content string // of the SEQUENCE
		want    error
	}{
		{"empty", "", tsa.ErrMalformed},
		{"version 0", strings.Replace(small(), "02 01 01", "02 01 00", 1), tsa.ErrVersion},
		{"version 2", strings.Replace(small(), "02 01 01", "02 01 02", 1), tsa.ErrVersion},
		{"version in two octets", strings.Replace(small(), "02 01 01", "02 02 00 01", 1), tsa.ErrMalformed},
		{"no imprint", "02 01 01", tsa.ErrMalformed},
		{"certReq written as FALSE", small("01 01 00"), tsa.ErrMalformed},
		{"certReq neither TRUE nor FALSE", small("01 01 01"), tsa.ErrMalformed},
		{"nonce in too many octets", small("02 02 00 01"), tsa.ErrMalformed},
		{"nonce too long", small("02 41 01" + strings.Repeat("00", 64)), tsa.ErrMalformed},
		{"nonce before policy", small("02 01 01 06 02 2a 03"), tsa.ErrMalformed},
		{"no extensions in extensions", small("a0 00"), tsa.ErrMalformed},
		{"extension written as not critical", small("a0 0a 30 08 06 02 2a 03 01 01 00 04 00"), tsa.ErrMalformed},
		{"something behind", small("05 00"), tsa.ErrMalformed},
		{"second parameters", "02 01 01 30 31 30 0d 06 09 608648016503040201 05 00 05 00 04 20" + strings.Repeat("00", 32), tsa.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tsa.ParseRequest(tsatest.Sequence(fromHex(t, tt.content)))
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	if _, err := tsa.ParseRequest(append(fromHex(t, smallRequestHex), 0)); !errors.Is(err, tsa.ErrMalformed) {
		t.Errorf("octet behind the end: %v", err)
	}
	if _, err := tsa.ParseRequest(make([]byte, tsa.MaxSize+1)); !errors.Is(err, tsa.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestRequestMarshalRefuses(t *testing.T) {
	for name, r := range map[string]tsa.Request{
		"no hash algorithm": {},
		"policy of one arc": {Imprint: emptyImprint(), Policy: asn1.ObjectIdentifier{1}},
		"extension without identifier": {
			Imprint: emptyImprint(), Extensions: []tsa.Extension{{Value: []byte{1}}},
		},
	} {
		if der, err := r.Marshal(); !errors.Is(err, tsa.ErrMalformed) {
			t.Errorf("%s: %x, %v", name, der, err)
		}
	}
	r := tsa.Request{Imprint: emptyImprint()}
	r.Extensions = []tsa.Extension{{ID: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, tsa.MaxSize)}}
	if _, err := r.Marshal(); !errors.Is(err, tsa.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestMessageImprint(t *testing.T) {
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		m, err := tsa.NewMessageImprint(hash, make([]byte, hash.Size()))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := m.Hash(false); got != hash || err != nil {
			t.Errorf("%v is read as %v, %v", hash, got, err)
		}
		if _, err := tsa.NewMessageImprint(hash, make([]byte, hash.Size()-1)); !errors.Is(err, tsa.ErrMalformed) {
			t.Errorf("%v, short digest: %v", hash, err)
		}
		null := m
		null.HashAlgorithm.Parameters = []byte{5, 0}
		if !m.Equal(null) || !null.Equal(m) {
			t.Errorf("%v: absent parameters and NULL differ", hash)
		}
		other := m
		other.HashedMessage = bytes.Repeat([]byte{1}, hash.Size())
		if m.Equal(other) {
			t.Errorf("%v: other digest is equal", hash)
		}
	}
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.MD5, 0} {
		if _, err := tsa.NewMessageImprint(hash, make([]byte, 20)); !errors.Is(err, tsa.ErrDigest) {
			t.Errorf("%d: %v", hash, err)
		}
	}
	weak := tsa.MessageImprint{HashAlgorithm: cms.AlgorithmIdentifier{Algorithm: tsatest.SHA1()}, HashedMessage: make([]byte, 20)}
	if _, err := weak.Hash(false); !errors.Is(err, tsa.ErrDigest) {
		t.Errorf("SHA-1: %v", err)
	}
	if hash, err := weak.Hash(true); hash != crypto.SHA1 || err != nil {
		t.Errorf("SHA-1 allowed: %v, %v", hash, err)
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(fromHex(f, smallRequestHex))
	f.Add(fromHex(f, fullRequestHex))
	for _, path := range vectors(f, "*.tsq") {
		f.Add(readFile(f, path))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := tsa.ParseRequest(der)
		if err != nil {
			if !errors.Is(err, tsa.ErrMalformed) && !errors.Is(err, tsa.ErrVersion) && !errors.Is(err, tsa.ErrTooLarge) {
				t.Fatal(err)
			}
			return
		}
		again, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, der) {
			t.Fatalf("accepted\n%x, and encoded it as\n%x", der, again)
		}
	})
}

// vectors returns the paths of the files in testdata/openssl that match.
func vectors(t testing.TB, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "openssl", pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatalf("no vectors %s", pattern)
	}
	return paths
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
