package interop

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
)

// TestOpenSSLVariants reads what openssl signs with options that are no row of the table.
func TestOpenSSLVariants(t *testing.T) {
	programs("openssl")(t)
	p, err := newPKI()
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := p.issue("rsa1024", 20, small)
	if err != nil {
		t.Fatal(err)
	}
	p.ids["rsa1024"] = identity{"rsa1024", cert, small}
	peer, _ := startOpenSSL(t, p)
	o := peer.(openSSL)
	weak := new(*cms.WeakError)
	for name, tt := range map[string]struct {
		who, args string
		want      any // the error, or its type; nil: verifies
	}{
		"PEM":                   {"p256", "-outform PEM", nil},
		"PEM, streamed":         {"rsa", "-stream -outform PEM", nil},
		"no capabilities":       {"p256", "-nosmimecap", nil},
		"key identifier, EC":    {"p521", "-keyid -stream", nil},
		"SHA-224":               {"p256", "-md sha224", nil},
		"CAdES":                 {"p256", "-cades", nil},
		"CAdES, ESS with SHA-1": {"rsa", "-cades -md sha1", weak},
		"PSS, short salt":       {"rsa", "-md sha384 -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:20", nil},
		"SHA-1, no attributes":  {"rsa", "-noattr -md sha1", weak},
		"MD5":                   {"rsa", "-md md5", cms.ErrBrokenDigest},
		"RSA, 1024 bits":        {"rsa1024", "", weak},
	} {
		t.Run(name, func(t *testing.T) {
			id := p.ids[tt.who]
			args := o.cms("-sign", "-nodetach", "-signer", o.file(tt.who+".pem"), "-inkey", o.file(tt.who+".key"))
			signed, err := o.run(t, append(args, strings.Fields(tt.args)...)...)
			if err != nil {
				t.Fatal(err)
			}
			if block, _ := pem.Decode(signed); block != nil {
				signed = block.Bytes
			}
			results, got, err := verify(t, signed, cms.VerifyOptions{ContentType: cms.OIDData})
			switch want := tt.want.(type) {
			case error:
				if !errors.Is(err, want) {
					t.Errorf("%v, want %v", err, want)
				}
				return
			case **cms.WeakError:
				if !errors.As(err, want) {
					t.Errorf("%v, want it to be weak", err)
				}
				if results, got, err = verify(t, signed, cms.VerifyOptions{ContentType: cms.OIDData, AllowWeak: true}); err != nil {
					t.Error(err)
				}
			default:
				if err != nil {
					t.Fatal(err)
				}
			}
			if len(results) != 1 || !results[0].Certificate.Equal(id.cert) || !bytes.Equal(got, content) {
				t.Errorf("%d signatures over %d octets", len(results), len(got))
			}
		})
	}
}

// TestOpenSSLAddsSigner has openssl sign a message of ours once more.
func TestOpenSSLAddsSigner(t *testing.T) {
	programs("openssl")(t)
	p, err := newPKI()
	if err != nil {
		t.Fatal(err)
	}
	peer, _ := startOpenSSL(t, p)
	o := peer.(openSSL)
	ours, err := sealmail{p}.write(t, form{ber: true, signers: []signer{{who: "p256", hash: crypto.SHA256}}})
	if err != nil {
		t.Fatal(err)
	}
	in := writeFile(t, filepath.Join(t.TempDir(), "message"), ours)
	both, err := o.run(t, "cms", "-resign", "-binary", "-inform", "DER", "-in", in, "-nodetach", "-outform", "DER",
		"-signer", o.file("rsa.pem"), "-inkey", o.file("rsa.key"))
	if err != nil {
		t.Fatal(err)
	}
	results, got, err := verify(t, both, cms.VerifyOptions{ContentType: cms.OIDData})
	if err != nil || len(results) != 2 || !bytes.Equal(got, content) {
		t.Errorf("%d signatures over %d octets, %v", len(results), len(got), err)
	}
}

// TestOpenSSLKeysRefused has keys that do not open what openssl encrypted, and one that must not.
func TestOpenSSLKeysRefused(t *testing.T) {
	programs("openssl")(t)
	p, err := newPKI()
	if err != nil {
		t.Fatal(err)
	}
	peer, _ := startOpenSSL(t, p)
	o := peer.(openSSL)
	first := func(args ...string) cms.RecipientInfo {
		message, err := o.run(t, o.cms(append([]string{"-encrypt", "-aes256"}, args...)...)...)
		if err != nil {
			t.Fatal(err)
		}
		info, err := cms.Read(bytes.NewReader(message), cms.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return info.(*cms.EnvelopedData).Recipients[0]
	}
	if _, err := first("-pwri_password", "password").(*cms.PasswordRecipientInfo).Unwrap([]byte("passwort")); !errors.Is(err, cms.ErrDecrypt) {
		t.Errorf("another password: %v", err)
	}
	if _, err := first("-secretkey", strings.Repeat("00", 16), "-secretkeyid", "00").(*cms.KEKRecipientInfo).Unwrap(p.kek[:16]); !errors.Is(err, cms.ErrDecrypt) {
		t.Errorf("another shared key: %v", err)
	}
	key, err := agreementKey(p.ids["originator"])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first("-recip", o.file("p256.pem")).(*cms.KeyAgreeRecipientInfo).Unwrap(key); !errors.Is(err, cms.ErrDecrypt) {
		t.Errorf("another key: %v", err)
	}
	if key, err = agreementKey(p.ids["p256"]); err != nil {
		t.Fatal(err)
	}
	ri := first("-des3-wrap", "-recip", o.file("p256.pem")).(*cms.KeyAgreeRecipientInfo)
	if _, err := ri.Unwrap(key); !errors.As(err, new(*cms.UnsupportedError)) {
		t.Errorf("a strong key in a weak wrap: %v", err)
	}
}

// TestOpenSSLChecksRevocation: -crl_check, by which the table finds a list in a message, fails where there is none.
func TestOpenSSLChecksRevocation(t *testing.T) {
	programs("openssl")(t)
	p, err := newPKI()
	if err != nil {
		t.Fatal(err)
	}
	peer, _ := startOpenSSL(t, p)
	signers := []signer{{who: "p256", hash: crypto.SHA256}}
	without, err := sealmail{p}.write(t, form{signers: signers})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := peer.read(t, form{signers: signers, crl: true}, without, nil); err == nil || !strings.Contains(err.Error(), "unable to get certificate CRL") {
		t.Error(err)
	}
}

// verify verifies all signatures of an attached message.
func verify(t *testing.T, message []byte, o cms.VerifyOptions) ([]cms.Verification, []byte, error) {
	t.Helper()
	info, err := cms.Read(bytes.NewReader(message), cms.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m, ok := info.(*cms.SignedData)
	if !ok {
		t.Fatalf("a %T", info)
	}
	var got bytes.Buffer
	digest, err := m.ReadContent(t.Context(), &got)
	if err != nil {
		t.Fatal(err)
	}
	results, err := m.Verify(digest, o)
	return results, got.Bytes(), err
}
