package certstore_test

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/peertest"
)

// TestPKCS12Corpora opens files from many programs; those of GnuPG are in TestSampleKeys.
func TestPKCS12Corpora(t *testing.T) {
	tests := []struct {
		file, password string
		pairs          int // 0: refused, with reason
		chain          int // certificates in the first pair's chain
		reason         error
	}{
		{"rfc9216/alice.p12", "alice", 2, 2, nil}, // five safes, two keys
		{"rfc9216/bob.p12", "bob", 2, 2, nil},
		{"rfc9216/carlos.p12", "carlos", 2, 2, nil}, // Ed25519 and X25519
		{"rfc9216/dana.p12", "dana", 2, 2, nil},
		{"thunderbird/Alice.p12", "nss", 1, 2, nil}, // BER
		{"thunderbird/Alice-ec.p12", "nss", 1, 2, nil},
		{"thunderbird/Bob.p12", "nss", 1, 2, nil},
		{"thunderbird/Dave.p12", "nss", 1, 2, nil},
		{"thunderbird/Eve.p12", "nss", 1, 2, nil},
		{"thunderbird/interop/Fran.p12", "nss", 1, 1, nil},
		{"thunderbird/interop/Fran-ec.p12", "nss", 1, 1, nil},
		{"nss/Fran.p12", "nss", 1, 1, nil},
		{"nss/Fran-ec.p12", "nss", 1, 1, nil},
		{"thunderbird/Fran.p12", "nss", 1, 1, nil},
		{"thunderbird/Fran-ec.p12", "nss", 1, 1, nil},
		{"bouncycastle/johndoe.p12", "", 1, 1, nil},
		{"james/smime.p12", "secret", 1, 1, nil},
		{"thunderbird/Alice.p12", "NSS", 0, 0, certstore.ErrPassword},
		{"rfc9216/alice.p12", "", 0, 0, certstore.ErrPassword},
		{"gnupg/samplekeys/ov-user.p12", "stop", 0, 0, certstore.ErrPassword},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			path := peertest.Corpora(t, strings.Split(test.file, "/")...)
			bundle, err := certstore.DecodePKCS12(readFile(t, path), test.password)
			if test.pairs == 0 {
				if !errors.Is(err, test.reason) {
					t.Fatalf("%v, want %v", err, test.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			pairs, _ := bundle.KeyPairs()
			if len(pairs) != test.pairs || len(pairs[0].Chain) != test.chain {
				t.Fatalf("%d pairs, the first with %d certificates", len(pairs), len(pairs[0].Chain))
			}
		})
	}
}

// TestPKCS12FromOpenSSL reads what OpenSSL writes, in every way that people have used.
func TestPKCS12FromOpenSSL(t *testing.T) {
	peertest.Command(t, "openssl")
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	leaf := issue(t, root, "leaf", newKey(t), forMail("alice@example.org", nil))
	dir := t.TempDir()
	in := filepath.Join(dir, "in.pem")
	key, err := certstore.EncodePrivateKey(leaf.key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, in, append(key, certstore.EncodeCertificates(leaf.cert, root.cert)...))
	const password = "pässwörd € 🔑"
	type openssl struct {
		args    []string
		warning error // said of the file
		refused string
	}
	for name, test := range map[string]openssl{
		"default":      {},
		"legacy":       {args: []string{"-legacy"}},
		"descert":      {args: []string{"-legacy", "-descert"}},
		"RC2-128":      {args: []string{"-legacy", "-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-RC2-128"}},
		"RC2-40":       {args: []string{"-legacy", "-certpbe", "PBE-SHA1-RC2-40", "-keypbe", "PBE-SHA1-RC2-40"}, warning: certstore.ErrWeakEncryption},
		"RC4":          {args: []string{"-legacy", "-certpbe", "PBE-SHA1-RC4-40", "-keypbe", "PBE-SHA1-RC4-128"}},
		"RC4-40":       {args: []string{"-legacy", "-certpbe", "PBE-SHA1-RC4-128", "-keypbe", "PBE-SHA1-RC4-40"}, warning: certstore.ErrWeakEncryption},
		"two-key 3DES": {args: []string{"-legacy", "-certpbe", "PBE-SHA1-2DES", "-keypbe", "PBE-SHA1-2DES"}},
		"PBES1":        {args: []string{"-legacy", "-certpbe", "PBE-SHA1-DES", "-keypbe", "PBE-MD5-DES"}, warning: certstore.ErrWeakEncryption},
		"AES-128":      {args: []string{"-certpbe", "AES-128-CBC", "-keypbe", "AES-192-CBC", "-macalg", "sha512"}},
		"PBES2 3DES":   {args: []string{"-certpbe", "DES-EDE3-CBC", "-keypbe", "DES-EDE3-CBC", "-macalg", "sha384"}},
		"SHA-3":        {args: []string{"-macalg", "sha3-256"}},
		"SHA-512/256":  {args: []string{"-macalg", "sha512-256"}},
		"MD5":          {args: []string{"-macalg", "md5"}},
		"clear certs":  {args: []string{"-certpbe", "NONE"}},
		"no MAC":       {args: []string{"-nomac"}, warning: certstore.ErrNoMAC},
		"Camellia":     {args: []string{"-certpbe", "CAMELLIA-256-CBC", "-keypbe", "AES-256-CBC"}, refused: "unsupported encryption: Camellia-256-CBC"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.p12")
			peertest.Run(t, "openssl", append([]string{"pkcs12", "-export", "-in", in, "-out", out, "-passout", "pass:" + password, "-name", "Älice"}, test.args...)...)
			bundle, err := certstore.DecodePKCS12(readFile(t, out), password)
			if test.refused != "" {
				if !errors.Is(err, certstore.ErrUnsupportedEncryption) || !strings.Contains(err.Error(), test.refused) {
					t.Fatalf("%v, want %s", err, test.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			pairs, rest := bundle.KeyPairs()
			if len(pairs) != 1 || len(rest) != 0 || len(pairs[0].Chain) != 2 || !pairs[0].Chain[0].Equal(leaf.cert) {
				t.Fatalf("%d pairs, %d left", len(pairs), len(rest))
			}
			if pairs[0].Label != "Älice" {
				t.Errorf("label %q", pairs[0].Label)
			}
			if test.warning == nil && len(bundle.Warnings) > 0 || test.warning != nil && (len(bundle.Warnings) != 1 || !errors.Is(bundle.Warnings[0], test.warning)) {
				t.Errorf("warnings %v, want %v", bundle.Warnings, test.warning)
			}
			if _, err := certstore.DecodePKCS12(readFile(t, out), password+"x"); !errors.Is(err, certstore.ErrPassword) {
				t.Fatalf("wrong password: %v", err)
			}
		})
	}
}

// TestPKCS12Passwords: an empty password is one of two things, and octets beyond ASCII are taken for characters by some.
func TestPKCS12Passwords(t *testing.T) {
	leaf := issue(t, nil, "leaf", newKey(t), forMail("alice@example.org", nil))
	const password = "pässwörd €"
	var octets []rune // each octet of UTF-8 taken for a character
	for _, b := range []byte(password) {
		octets = append(octets, rune(b))
	}
	for name, test := range map[string]struct{ written, given string }{
		"characters":      {password, password},
		"octets":          {string(octets), password},
		"empty":           {"", ""},
		"what is not it":  {password, "passwörd €"},
		"not even octets": {string(octets), "passwörd €"},
	} {
		data, err := pkcs12.LegacyDES.Encode(leaf.key, leaf.cert, nil, test.written)
		if err != nil {
			t.Fatal(err)
		}
		bundle, err := certstore.DecodePKCS12(data, test.given)
		if strings.HasPrefix(name, "what") || strings.HasPrefix(name, "not") {
			if !errors.Is(err, certstore.ErrPassword) {
				t.Errorf("%s: %v", name, err)
			}
		} else if err != nil || len(bundle.Keys) != 1 {
			t.Errorf("%s: %d keys, %v", name, len(bundle.Keys), err)
		}
	}
}

func TestPKCS12RoundTrip(t *testing.T) {
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	for name, key := range map[string]crypto.Signer{"EC": newKey(t), "RSA": newRSAKey(t)} {
		leaf := issue(t, root, "leaf", key, forMail("alice@example.org", nil))
		data, err := certstore.EncodePKCS12(pair(leaf, root), "secret")
		if err != nil {
			t.Fatal(err)
		}
		bundle, err := certstore.DecodePKCS12(data, "secret")
		if err != nil {
			t.Fatal(err)
		}
		pairs, _ := bundle.KeyPairs()
		if len(pairs) != 1 || len(pairs[0].Chain) != 2 {
			t.Errorf("%s: %d pairs", name, len(pairs))
		}
		t.Run(name+" in OpenSSL", func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "out.p12")
			write(t, file, data)
			out := peertest.Run(t, "openssl", "pkcs12", "-in", file, "-passin", "pass:secret", "-nodes")
			again, err := certstore.ParsePEM(out)
			if err != nil || len(again.Keys) != 1 || len(again.Certificates) != 2 {
				t.Errorf("OpenSSL found %d keys and %d certificates (%v)", len(again.Keys), len(again.Certificates), err)
			}
		})
	}
	leaf := issue(t, root, "leaf", newKey(t), nil)
	if _, err := certstore.EncodePKCS12(certstore.KeyPair{Key: root.key, Chain: certs(leaf)}, "x"); !errors.Is(err, certstore.ErrKeyMismatch) {
		t.Errorf("another's key: %v", err)
	}
	if _, err := certstore.EncodePKCS12(pair(leaf), ""); err == nil {
		t.Error("an empty password was accepted")
	}
}

// TestPKCS12Reasons: what cannot be opened is called by its name, and costs nothing.
func TestPKCS12Reasons(t *testing.T) {
	leaf := issue(t, nil, "leaf", newKey(t), forMail("alice@example.org", nil))
	good, err := pkcs12.Modern2023.WithIterations(2).Encode(leaf.key, leaf.cert, nil, "x")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":               {nil, certstore.ErrMalformed},
		"text":                  {[]byte("-----BEGIN CERTIFICATE-----"), certstore.ErrMalformed},
		"a certificate":         {leaf.cert.Raw, certstore.ErrMalformed},
		"truncated":             {good[:len(good)-9], certstore.ErrMalformed},
		"too large":             {make([]byte, 17<<20), certstore.ErrTooLarge},
		"one bit of the MAC":    {flip(good, len(good)-40), certstore.ErrAltered},
		"iterations of the MAC": {macIterations(t, good, 2_000_000_000), certstore.ErrTooLarge},
		"no iterations":         {macIterations(t, good, 0), certstore.ErrTooLarge},
	} {
		if _, err := certstore.DecodePKCS12(test.data, "x"); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has several lines", name)
		}
	}
}

func flip(data []byte, i int) []byte {
	out := bytes.Clone(data)
	out[i] ^= 1
	return out
}

// macIterations changes the iteration count of a file's MAC.
func macIterations(t *testing.T, data []byte, n int) []byte {
	t.Helper()
	var pfx struct {
		Version  int
		AuthSafe asn1.RawValue
		MacData  struct {
			Mac        asn1.RawValue
			Salt       []byte
			Iterations int
		}
	}
	if _, err := asn1.Unmarshal(data, &pfx); err != nil {
		t.Fatal(err)
	}
	pfx.MacData.Iterations = n
	return mustMarshal(t, pfx)
}
