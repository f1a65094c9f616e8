package cms

import (
	"bytes"
	"crypto"
	"crypto/des"
	"crypto/pbkdf2"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

// TestPasswordVectors are those of RFC 3211 section 3.
func TestPasswordVectors(t *testing.T) {
	salt := unhex(t, "1234567878563412")
	for _, v := range []struct {
		password   string
		iterations int
		key        string
	}{
		{"password", 5, "d1daa78615f287e6"},
		{"All n-entities must communicate with other n-entities via n-1 entiteeheehees", 500, "6a8970bf68c92caea84a8df28510858607126380cc47ab2d"},
	} {
		want := unhex(t, v.key)
		if got, err := pbkdf2.Key(crypto.SHA1.New, v.password, salt, v.iterations, len(want)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d iterations: %x, %v", v.iterations, got, err)
		}
	}
	block, err := des.NewTripleDESCipher(unhex(t, "6a8970bf68c92caea84a8df28510858607126380cc47ab2d"))
	if err != nil {
		t.Fatal(err)
	}
	iv := unhex(t, "baf1ca7931213c4e")
	wrapped := unhex(t, "c03c514abdb9e2c5aac038572b5e24553876b377aafb82eca5a9d73f8ab143d9ec74e6cad7db260c")
	want := unhex(t, "8c637d887223a2f965b566eb014b0fa5d52300a3f7ea40fffc577203c71baf3b")
	got, err := unwrapPassword(block, iv, wrapped, 32)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%x, %v", got, err)
	}
	for i := range wrapped {
		changed := bytes.Clone(wrapped)
		changed[i] ^= 0x20
		if got, err := unwrapPassword(block, iv, changed, 32); err == nil && bytes.Equal(got, want) {
			t.Errorf("octet %d changed, and nothing else", i)
		} else if err != nil && err != ErrDecrypt {
			t.Errorf("octet %d changed: %v", i, err)
		}
	}
	for _, size := range []int{0, 8, 16, 32, 39, 41, 520} {
		if _, err := unwrapPassword(block, iv, make([]byte, size), 32); err != ErrDecrypt {
			t.Errorf("%d octets: %v", size, err)
		}
	}
}

// passwordRecipient builds a PasswordRecipientInfo for testCEK and the password "abc".
type passwordRecipient struct {
	derivation []byte // AlgorithmIdentifier under [0]
	encryption []byte // AlgorithmIdentifier
	wrapped    []byte
}

func newPasswordRecipient(t testing.TB, hash crypto.Hash, prf []byte, iterations byte) passwordRecipient {
	t.Helper()
	salt := []byte("saltsalt")
	kek, err := pbkdf2.Key(hash.New, "abc", salt, int(iterations), 32)
	if err != nil {
		t.Fatal(err)
	}
	return passwordRecipient{
		derivation: element(0xa0, oidElement(t, oidPBKDF2), element(0x30, element(0x04, salt), element(0x02, []byte{iterations}), prf)),
		encryption: element(0x30, oidElement(t, oidPWRIKEK), element(0x30, oidElement(t, oidAES256CBC), element(0x04, testIV))),
		wrapped:    wrapPassword(newAES(t, kek), testIV, testCEK),
	}
}

func (p passwordRecipient) marshal() []byte {
	return element(0xa3, element(0x02, []byte{0}), p.derivation, p.encryption, element(0x04, p.wrapped))
}

func readPasswordRecipient(t testing.TB, p passwordRecipient) *PasswordRecipientInfo {
	t.Helper()
	e := cbcEnvelope(t, padAES([]byte("text")))
	e.recipients = [][]byte{p.marshal()}
	ri, ok := readMessage(t, e.marshal(t)).Recipients[0].(*PasswordRecipientInfo)
	if !ok {
		t.Fatal("not a PasswordRecipientInfo")
	}
	return ri
}

func TestPasswordRecipient(t *testing.T) {
	prf := func(oid asn1.ObjectIdentifier) []byte { return element(0x30, oidElement(t, oid), derNull) }
	for name, p := range map[string]passwordRecipient{
		"default":    newPasswordRecipient(t, crypto.SHA1, nil, 3),
		"SHA-1":      newPasswordRecipient(t, crypto.SHA1, prf(oidHMACWithSHA1), 1),
		"SHA-224":    newPasswordRecipient(t, crypto.SHA224, prf(oidHMACWithSHA224), 2),
		"SHA-256":    newPasswordRecipient(t, crypto.SHA256, prf(oidHMACWithSHA256), 100),
		"SHA-384":    newPasswordRecipient(t, crypto.SHA384, prf(oidHMACWithSHA384), 2),
		"SHA-512":    newPasswordRecipient(t, crypto.SHA512, prf(oidHMACWithSHA512), 2),
		"key length": newPasswordRecipient(t, crypto.SHA256, slices.Concat(element(0x02, []byte{32}), prf(oidHMACWithSHA256)), 2),
	} {
		ri := readPasswordRecipient(t, p)
		if cek, err := ri.Unwrap([]byte("abc")); err != nil || !bytes.Equal(cek, testCEK) {
			t.Errorf("%s: %x, %v", name, cek, err)
		}
		for _, password := range []string{"", "abd", "abcd"} {
			if cek, err := ri.Unwrap([]byte(password)); err != ErrDecrypt || cek != nil {
				t.Errorf("%s, password %q: %x, %v", name, password, cek, err)
			}
		}
		if ri.AlgorithmName() != "pwri-kek" || ri.Type() != Password || !ri.KeyDerivation.Algorithm.Equal(oidPBKDF2) || ri.CEKSize() != 16 {
			t.Errorf("%s: %s %s", name, ri.Type(), ri.AlgorithmName())
		}
	}
}

// TestPasswordRecipientRefuses has one thing wrong with each.
func TestPasswordRecipientRefuses(t *testing.T) {
	with := func(change func(*passwordRecipient)) passwordRecipient {
		p := newPasswordRecipient(t, crypto.SHA1, nil, 2)
		change(&p)
		return p
	}
	salt, one := element(0x04, []byte("salt")), element(0x02, []byte{1})
	pbkdf2Params := func(parts ...[]byte) func(*passwordRecipient) {
		return func(p *passwordRecipient) {
			p.derivation = element(0xa0, oidElement(t, oidPBKDF2), element(0x30, parts...))
		}
	}
	wrap := func(cipher asn1.ObjectIdentifier, parameters []byte) func(*passwordRecipient) {
		return func(p *passwordRecipient) {
			p.encryption = element(0x30, oidElement(t, oidPWRIKEK), element(0x30, oidElement(t, cipher), parameters))
		}
	}
	unknown := element(0x30, oidElement(t, asn1.ObjectIdentifier{1, 2, 3}))
	tests := []struct {
		name string
		p    passwordRecipient
		is   error // nil: an UnsupportedError
		want string
	}{
		{"no derivation", with(func(p *passwordRecipient) { p.derivation = nil }), nil, "without a key derivation"},
		{"another derivation", with(func(p *passwordRecipient) { p.derivation = element(0xa0, oidElement(t, oidPWRIKEK)) }), nil, "key derivation of a password"},
		{"no parameters", with(func(p *passwordRecipient) { p.derivation = element(0xa0, oidElement(t, oidPBKDF2)) }), ErrMalformed, "PBKDF2"},
		{"no salt", with(pbkdf2Params(one)), ErrMalformed, "PBKDF2"},
		{"salt from elsewhere", with(pbkdf2Params(unknown, one)), nil, "salt of PBKDF2"},
		{"no iterations", with(pbkdf2Params(salt)), ErrMalformed, "PBKDF2"},
		{"zero iterations", with(pbkdf2Params(salt, element(0x02, []byte{0}))), ErrMalformed, "PBKDF2"},
		{"negative iterations", with(pbkdf2Params(salt, element(0x02, []byte{0xff}))), ErrMalformed, "PBKDF2"},
		{"iterations beyond numbers", with(pbkdf2Params(salt, element(0x02, bytes.Repeat([]byte{0x7f}, 9)))), ErrMalformed, "PBKDF2"},
		{"too many iterations", with(pbkdf2Params(salt, element(0x02, []byte{0x7f, 0xff, 0xff, 0xff}))), ErrTooLarge, "2147483647 iterations"},
		{"key length of another cipher", with(pbkdf2Params(salt, one, element(0x02, []byte{16}))), ErrMalformed, "key length"},
		{"key length zero", with(pbkdf2Params(salt, one, element(0x02, []byte{0}))), ErrMalformed, "PBKDF2"},
		{"unknown PRF", with(pbkdf2Params(salt, one, unknown)), nil, "pseudorandom function"},
		{"surplus", with(pbkdf2Params(salt, one, element(0x30, oidElement(t, oidHMACWithSHA1)), one)), ErrMalformed, "PBKDF2"},
		{"another encryption", with(func(p *passwordRecipient) { p.encryption = element(0x30, oidElement(t, oidAES128Wrap)) }), nil, "key encryption algorithm of a password"},
		{"no cipher", with(func(p *passwordRecipient) { p.encryption = element(0x30, oidElement(t, oidPWRIKEK)) }), ErrMalformed, "key encryption"},
		{"GCM", with(wrap(oidAES128GCM, element(0x30, element(0x04, testIV)))), nil, "cipher of a password's key encryption"},
		{"unknown cipher", with(wrap(asn1.ObjectIdentifier{1, 2, 3}, nil)), nil, "cipher of a password's key encryption"},
		{"RC2", with(wrap(oidRC2CBC, element(0x30, element(0x02, []byte{58}), element(0x04, testIV[:8])))), nil, "cipher of a password's key encryption"},
		{"3DES for AES", with(wrap(oidTripleDESCBC, element(0x04, testIV[:8]))), nil, "3des-cbc for the key of a stronger cipher"},
		{"IV", with(wrap(oidAES256CBC, element(0x04, testIV[:8]))), ErrMalformed, "initialization vector"},
		{"wrapped key cut", with(func(p *passwordRecipient) { p.wrapped = p.wrapped[:16] }), ErrDecrypt, ""},
		{"wrapped key ragged", with(func(p *passwordRecipient) { p.wrapped = p.wrapped[1:] }), ErrDecrypt, ""},
		{"no wrapped key", with(func(p *passwordRecipient) { p.wrapped = nil }), ErrDecrypt, ""},
	}
	for _, test := range tests {
		_, err := readPasswordRecipient(t, test.p).Unwrap([]byte("abc"))
		var unsupported *UnsupportedError
		switch {
		case test.is == nil && !errors.As(err, &unsupported), test.is != nil && !errors.Is(err, test.is), test.is == ErrDecrypt && err != ErrDecrypt,
			err == nil, err != nil && !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestPasswordIterations checks that the bound is one for all recipients of a message: those beyond it are refused, and
// they alone.
func TestPasswordIterations(t *testing.T) {
	costly := func(iterations ...byte) []byte {
		p := newPasswordRecipient(t, crypto.SHA1, nil, 1)
		p.derivation = element(0xa0, oidElement(t, oidPBKDF2), element(0x30, element(0x04, []byte("saltsalt")), element(0x02, iterations)))
		return p.marshal()
	}
	e := cbcEnvelope(t, padAES(nil))
	// 9,999,999 and 2 are too many together, and 1 more is not.
	e.recipients = [][]byte{costly(0x00, 0x98, 0x96, 0x7f), costly(2), costly(1), costly(1)}
	for i, want := range []error{nil, ErrTooLarge, nil, ErrTooLarge} {
		ri := readMessage(t, e.marshal(t)).Recipients[i].(*PasswordRecipientInfo)
		if !errors.Is(ri.broken, want) {
			t.Errorf("recipient %d: %v, want %v", i, ri.broken, want)
		}
		if want == nil && i == 0 {
			continue // some seconds of work, for nothing
		}
		if _, err := ri.Unwrap([]byte("abc")); !errors.Is(err, want) {
			t.Errorf("recipient %d: %v, want %v", i, err, want)
		}
	}
}

// TestPasswordWeak opens the key of a Triple-DES message under Triple-DES.
func TestPasswordWeak(t *testing.T) {
	weak := weakEnvelopes(t, []byte("text"))["3des-cbc"]
	kek, err := pbkdf2.Key(crypto.SHA1.New, "abc", []byte("saltsalt"), 2, 24)
	if err != nil {
		t.Fatal(err)
	}
	block, err := des.NewTripleDESCipher(kek)
	if err != nil {
		t.Fatal(err)
	}
	p := newPasswordRecipient(t, crypto.SHA1, nil, 2)
	p.encryption = element(0x30, oidElement(t, oidPWRIKEK), element(0x30, oidElement(t, oidTripleDESCBC), element(0x04, testIV[:8])))
	p.wrapped = wrapPassword(block, testIV[:8], weak.key)
	weak.envelope.recipients = [][]byte{p.marshal()}
	message := weak.envelope.marshal(t)
	cek, err := readMessage(t, message).Recipients[0].(*PasswordRecipientInfo).Unwrap([]byte("abc"))
	if err != nil || !bytes.Equal(cek, weak.key) {
		t.Fatalf("%x, %v", cek, err)
	}
	if _, got, err := decryptWeak(t, message, cek); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestPasswordRecipientWritten opens what is written with this package and with openssl, alone and beside a certificate.
func TestPasswordRecipientWritten(t *testing.T) {
	text := bytes.Repeat([]byte("the whole home\r\n"), 9000)
	password := Recipient{KeyManagement: PasswordPBKDF2, Password: []byte("pässword with spaces")}
	other := envIdentityNamed(t, "p256")
	both := []Recipient{password, {Certificate: other.cert, KeyManagement: ECDHStdSHA256}}
	for _, test := range []struct {
		name       string
		cipher     Cipher
		recipients []Recipient
		version    int
	}{
		{"AuthEnvelopedData", AES256GCM, []Recipient{password}, 0},
		{"EnvelopedData", AES256CBC, []Recipient{password}, 3}, // RFC 5652 section 6.1
		{"short key", AES128CBC, []Recipient{password}, 3},
		{"with a certificate", AES256GCM, both, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			message := encryptMessage(t, text, EnvelopedDataOptions{Cipher: test.cipher, Recipients: test.recipients})
			e := readMessage(t, message)
			if e.Version != test.version {
				t.Errorf("version %d, want %d", e.Version, test.version)
			}
			i := slices.IndexFunc(e.Recipients, func(ri RecipientInfo) bool { return ri.Type() == Password })
			ri, ok := e.Recipients[i].(*PasswordRecipientInfo)
			if !ok || ri.derivation.iterations != 600_000 || ri.derivation.hash != crypto.SHA256 || len(ri.derivation.salt) != 16 {
				t.Fatalf("%+v", e.Recipients[i])
			}
			if _, err := ri.Unwrap([]byte("password")); err != ErrDecrypt {
				t.Errorf("another password: %v", err)
			}
			cek, err := ri.Unwrap(password.Password)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := e.Decrypt(t.Context(), &out, cek, DecryptOptions{}); err != nil || !bytes.Equal(out.Bytes(), text) {
				t.Errorf("%d octets, %v", out.Len(), err)
			}
			peertest.Command(t, "openssl")
			theirs := peertest.Run(t, "openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", writeTestFile(t, "message", message),
				"-pwri_password", string(password.Password))
			if !bytes.Equal(theirs, text) {
				t.Errorf("openssl reads %d octets", len(theirs))
			}
		})
	}
}
