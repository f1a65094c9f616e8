package certstore_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/peertest"
)

// TestPKCS12Vectors reads the files in testdata/pkcs12: each opens with its password and holds what its .want.json says,
// or is refused for the reason that it says.
func TestPKCS12Vectors(t *testing.T) {
	files, err := filepath.Glob("testdata/pkcs12/*.p12")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	reasons := map[string]error{"altered": certstore.ErrAltered, "malformed": certstore.ErrMalformed}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var want struct {
				Password, Error string
				Pairs, Chain    int
			}
			if err := json.Unmarshal(readFile(t, strings.TrimSuffix(file, ".p12")+".want.json"), &want); err != nil {
				t.Fatal(err)
			}
			bundle, err := certstore.DecodePKCS12(readFile(t, file), want.Password)
			if want.Error != "" {
				if reason := reasons[want.Error]; reason == nil || !errors.Is(err, reason) {
					t.Fatalf("%v, want %s", err, want.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			pairs, rest := bundle.KeyPairs()
			if len(pairs) != want.Pairs || len(rest) != 0 || len(pairs[0].Chain) != want.Chain {
				t.Errorf("%d pairs, %d certificates left", len(pairs), len(rest))
			}
		})
	}
}

// TestSampleKeys accounts for every file of GnuPG's sample keys: what of it can be used, and why what is not used is not.
func TestSampleKeys(t *testing.T) {
	type expectation struct {
		password     string
		certs, pairs int
		reason       error  // refused
		says         string // the reason has this in it
		oddities     int
	}
	gnupgKey := expectation{reason: certstore.ErrUnsupportedKey, says: "GnuPG's own format"}
	expectations := map[string]expectation{
		"ov-user.p12":                                  {password: "start", certs: 1, pairs: 1}, // RC2
		"ov-server.p12":                                {password: "start", certs: 1, pairs: 1},
		"opensc-test.p12":                              {password: "password", certs: 2, pairs: 1},
		"t5793-openssl.pfx":                            {password: "test", certs: 1, pairs: 1},
		"nistp256-openssl-self-signed.p12":             {password: "abc", certs: 1, pairs: 1},
		"t6752-ov-user-ff.p12":                         {password: "start", certs: 1, pairs: 1}, // BER and RC2
		"credential_private_encrypted_AES256.p12":      {password: "qeFGds84/Sf0eKkJwcp6", certs: 2, pairs: 1},
		"credential_private_encrypted_3DES.p12":        {password: "qeFGds84/Sf0eKkJwcp6", certs: 2, pairs: 1},
		"t5793-test.pfx":                               {password: "test", reason: certstore.ErrAltered, says: "the password is right"},
		"cryptlib-key.p12":                             {password: "nobody says which", reason: certstore.ErrPassword},
		"README":                                       {reason: certstore.ErrMalformed, says: "neither PEM nor DER of"},
		"Description-p12":                              {reason: certstore.ErrMalformed, says: "neither PEM nor DER of"},
		"32100C27173EF6E9C4E9A25D3D69F86D37A4F939.key": gnupgKey,
		"68A638998DFABAC510EA645CE34F9686B2EDF7EA.key": gnupgKey,
		"8D6D17B4B94BBE8304926C016D2C5C7805EB6705.key": gnupgKey,
		// GnuPG made it, with its faulty key derivation and a wrong tag in the key. Both are overcome; the curve is not.
		"edward.tester@demo.gnupg.com.p12": {password: "abc,123456", reason: certstore.ErrUnsupportedCertificate,
			says: `certificate of "Edward Tester" with a key for the elliptic curve brainpoolP256r1`},
		"cert-with-117-akas.pem":            {certs: 1},
		"cert_g10code_enconly_1.pem":        {certs: 1},
		"cert_g10code_pete1.pem":            {certs: 1},
		"cert_g10code_test1.pem":            {certs: 1},
		"cert_g10code_test_ca.pem":          {certs: 1},
		"cert_g10code_theo1.pem":            {certs: 1},
		"gte.pem":                           {certs: 1},
		"ossl-rentec-user.pem":              {certs: 1},
		"steed-self-signing-nonthority.pem": {certs: 1},
		"webdeca.der":                       {certs: 1},
		"webderoot.der":                     {certs: 1},
	}
	files, err := filepath.Glob(filepath.Join(peertest.Corpora(t, "gnupg", "samplekeys"), "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(expectations) {
		t.Errorf("%d files, of which %d are accounted for", len(files), len(expectations))
	}
	for _, file := range files {
		name := filepath.Base(file)
		want, known := expectations[name]
		if !known {
			t.Errorf("%s is not accounted for", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			bundle, err := certstore.ReadFile(readFile(t, file), func() ([]byte, error) { return []byte(want.password), nil })
			if want.reason != nil {
				if !errors.Is(err, want.reason) || !strings.Contains(err.Error(), want.says) {
					t.Fatalf("%v, want %v (%s)", err, want.reason, want.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			pairs, _ := bundle.KeyPairs()
			if len(bundle.Certificates) != want.certs || len(pairs) != want.pairs || len(bundle.Oddities) != want.oddities {
				t.Errorf("%d certificates, %d pairs, oddities %v", len(bundle.Certificates), len(pairs), bundle.Oddities)
			}
		})
	}
}
