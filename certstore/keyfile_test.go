package certstore_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/peertest"
)

// secret returns a function that gives a password, and counts how often it is asked.
func secret(password string, asked *int) func() ([]byte, error) {
	return func() ([]byte, error) {
		*asked++
		return []byte(password), nil
	}
}

// TestReadFileForms: the same certificate in all the forms that a file can have, each read without asking for a password.
func TestReadFileForms(t *testing.T) {
	peertest.Command(t, "openssl")
	dir := t.TempDir()
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	leaf := issue(t, root, "leaf", newKey(t), forMail("alice@example.org", nil))
	both := certstore.EncodeCertificates(leaf.cert, root.cert)
	in := filepath.Join(dir, "both.pem")
	write(t, in, both)
	openssl := func(args ...string) []byte { return peertest.Run(t, "openssl", args...) }
	above := filepath.Join(dir, "root.pem")
	write(t, above, certstore.EncodeCertificates(root.cert))
	p7 := openssl("crl2pkcs7", "-nocrl", "-certfile", in, "-outform", "DER")
	p7PEM := openssl("crl2pkcs7", "-nocrl", "-certfile", in)
	empty, err := pkcs12.Modern2023.WithIterations(2).Encode(leaf.key, leaf.cert, certs(root), "")
	if err != nil {
		t.Fatal(err)
	}
	lines := func(der []byte) []byte { // as Windows writes it
		text := base64.StdEncoding.EncodeToString(der)
		var out bytes.Buffer
		for len(text) > 64 {
			out.WriteString(text[:64] + "\r\n")
			text = text[64:]
		}
		out.WriteString(text + "\r\n")
		return out.Bytes()
	}
	for name, test := range map[string]struct {
		data  []byte
		certs int
		err   error
	}{
		"PEM":                        {both, 2, nil},
		"CRLF":                       {bytes.ReplaceAll(both, []byte("\n"), []byte("\r\n")), 2, nil},
		"byte order mark":            {append([]byte("\ufeff"), both...), 2, nil},
		"text of openssl x509":       {openssl("x509", "-in", in, "-text"), 1, nil},
		"trusted certificate":        {openssl("x509", "-in", in, "-trustout", "-addtrust", "emailProtection"), 1, nil},
		"DER":                        {leaf.cert.Raw, 1, nil},
		"base64":                     {lines(leaf.cert.Raw), 1, nil},
		"PKCS#7":                     {p7, 2, nil},
		"PKCS#7, PEM":                {p7PEM, 2, nil},
		"PKCS#7, PEM of CMS":         {block("CMS", p7), 2, nil},
		"PKCS#7, base64":             {lines(p7), 2, nil},
		"PKCS#7, BER":                {openssl("cms", "-sign", "-signer", in, "-inkey", writeKey(t, dir, leaf), "-certfile", above, "-in", in, "-stream", "-indef", "-outform", "DER", "-binary", "-nodetach"), 2, nil},
		"PKCS#7 among others":        {append(bytes.Clone(p7PEM), certstore.EncodeCertificates(leaf.cert)...), 3, nil},
		"PKCS#12, empty password":    {empty, 2, nil},
		"PKCS#12, PEM":               {block("PKCS12", empty), 2, nil},
		"PKCS#12, base64":            {lines(empty), 2, nil},
		"a block cut short":          {both[:len(both)-30], 0, certstore.ErrMalformed},
		"a damaged block in between": {append([]byte("-----BEGIN CERTIFICATE-----\nMII=x\n-----END CERTIFICATE-----\n"), both...), 0, certstore.ErrMalformed},
		"an encrypted message":       {openssl("cms", "-encrypt", "-in", in, "-outform", "DER", "-aes256", in), 0, certstore.ErrMalformed},
		"PKCS#7, cut short":          {p7[:len(p7)-9], 0, certstore.ErrMalformed},
		"nothing":                    {nil, 0, certstore.ErrMalformed},
		"another kind of PEM":        {block("X509 CRL", []byte{0x30, 0}), 0, certstore.ErrMalformed},
		"base64 of something else":   {[]byte("MTIzNDU2"), 0, certstore.ErrMalformed},
		"too large":                  {make([]byte, 257<<20), 0, certstore.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			bundle, err := certstore.ReadFile(test.data, secret("x", &asked))
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Fatalf("%v, want %v", err, test.err)
			}
			if asked > 0 || len(bundle.Certificates) != test.certs {
				t.Fatalf("asked %d times, %d certificates", asked, len(bundle.Certificates))
			}
			if test.certs > 0 && !bundle.Certificates[test.certs-1].Equal(leaf.cert) && !bundle.Certificates[0].Equal(leaf.cert) {
				t.Error("another certificate came out")
			}
		})
	}
}

// writeKey writes a node's key in clear and returns the file's name.
func writeKey(t *testing.T, dir string, n *node) string {
	t.Helper()
	key, err := certstore.EncodePrivateKey(n.key)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "key.pem")
	write(t, name, key)
	return name
}

// TestEncryptedKeys reads private keys as OpenSSL encrypts them, with every scheme that it has and that is not a national one.
func TestEncryptedKeys(t *testing.T) {
	peertest.Command(t, "openssl")
	dir := t.TempDir()
	leaf := issue(t, nil, "leaf", newRSAKey(t), forMail("alice@example.org", nil))
	in := writeKey(t, dir, leaf)
	type scheme struct {
		args []string // of pkcs8 -topk8, or of rsa for the old encryption
		weak bool
		says string // refused, with this in the reason
	}
	schemes := map[string]scheme{}
	for _, cipher := range []string{"aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "des-ede3-cbc"} {
		schemes["PBES2 "+cipher] = scheme{args: []string{"-v2", cipher}}
		schemes["PEM "+cipher] = scheme{args: []string{"rsa", "-traditional", "-" + cipher}, weak: true}
	}
	for _, prf := range []string{"SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "SHA512-224", "SHA512-256", "MD5"} {
		schemes["PBES2 with "+prf] = scheme{args: []string{"-v2", "aes-256-cbc", "-v2prf", "hmacWith" + prf}}
	}
	schemes["PBES2 des-cbc"] = scheme{args: []string{"-v2", "des-cbc", "-provider", "legacy", "-provider", "default"}, weak: true}
	schemes["PBES2 rc2-cbc"] = scheme{args: []string{"-v2", "rc2-cbc", "-provider", "legacy", "-provider", "default"}}
	schemes["PBES2 rc2-40-cbc"] = scheme{args: []string{"-v2", "rc2-40-cbc", "-provider", "legacy", "-provider", "default"}, weak: true}
	schemes["PBES2 rc2-64-cbc"] = scheme{args: []string{"-v2", "rc2-64-cbc", "-provider", "legacy", "-provider", "default"}, weak: true}
	schemes["scrypt"] = scheme{args: []string{"-scrypt"}}
	for _, v1 := range []string{"PBE-MD5-DES", "PBE-SHA1-DES", "PBE-MD5-RC2-64", "PBE-SHA1-RC2-64", "PBE-SHA1-RC4-40", "PBE-SHA1-RC2-40"} {
		schemes[v1] = scheme{args: []string{"-v1", v1, "-provider", "legacy", "-provider", "default"}, weak: true}
	}
	for _, v1 := range []string{"PBE-SHA1-RC4-128", "PBE-SHA1-3DES", "PBE-SHA1-2DES", "PBE-SHA1-RC2-128"} {
		schemes[v1] = scheme{args: []string{"-v1", v1, "-provider", "legacy", "-provider", "default"}}
	}
	for name, cipher := range map[string]string{"Camellia-256-CBC": "camellia-256-cbc", "ARIA-128-CBC": "aria-128-cbc", "SM4-CBC": "sm4-cbc"} {
		schemes[name] = scheme{args: []string{"-v2", cipher}, says: "unsupported encryption: " + name}
	}
	schemes["PEM Camellia"] = scheme{args: []string{"rsa", "-traditional", "-camellia-128-cbc"}, says: "CAMELLIA-128-CBC"}
	const password = "pässword"
	for name, s := range schemes {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"pkcs8", "-topk8"}, s.args...)
			if s.args[0] == "rsa" {
				args = s.args
			}
			out := peertest.Run(t, "openssl", append(args, "-in", in, "-passout", "pass:"+password)...)
			asked := 0
			bundle, err := certstore.ReadFile(append(out, out...), secret(password, &asked))
			if s.says != "" {
				if err == nil || !strings.Contains(err.Error(), s.says) {
					t.Fatalf("%v, want %s", err, s.says)
				}
				return
			}
			if err != nil || asked != 1 || len(bundle.Keys) != 2 || !certstore.KeyMatches(leaf.cert, bundle.Keys[0]) {
				t.Fatalf("asked %d times, %d keys, %v", asked, len(bundle.Keys), err)
			}
			if weak := len(bundle.Warnings) > 0 && errors.Is(bundle.Warnings[0], certstore.ErrWeakEncryption); weak != s.weak {
				t.Errorf("warnings %v", bundle.Warnings)
			}
			if _, err := certstore.ReadFile(out, secret("wrong", &asked)); !errors.Is(err, certstore.ErrPassword) {
				t.Errorf("a wrong password: %v", err)
			}
			if _, err := certstore.ReadFile(out, nil); !errors.Is(err, certstore.ErrEncryptedKey) {
				t.Errorf("no password: %v", err)
			}
		})
	}
}

// TestScryptBounds: what scrypt may take is bounded before it is taken.
func TestScryptBounds(t *testing.T) {
	in := writeKey(t, t.TempDir(), issue(t, nil, "leaf", newKey(t), nil))
	der := peertest.Run(t, "openssl", "pkcs8", "-topk8", "-scrypt", "-in", in, "-passout", "pass:x", "-outform", "DER")
	honest := []byte{2, 2, 0x40, 0, 2, 1, 8, 2, 1, 1} // N, r and p
	if bytes.Count(der, honest) != 1 {
		t.Fatal("other parameters than expected")
	}
	for name, test := range map[string]struct {
		parameters []byte
		err        error
	}{
		"as OpenSSL has it": {honest, nil},
		"much memory":       {[]byte{2, 2, 0x40, 0, 2, 1, 0x7f, 2, 1, 1}, certstore.ErrTooLarge},
		"much time":         {[]byte{2, 2, 0x40, 0, 2, 1, 0x1f, 2, 1, 0x7f}, certstore.ErrTooLarge},
		"no power of two":   {[]byte{2, 2, 0x40, 1, 2, 1, 8, 2, 1, 1}, certstore.ErrMalformed},
		"a negative cost":   {[]byte{2, 2, 0x80, 0, 2, 1, 8, 2, 1, 1}, certstore.ErrMalformed},
		"nothing":           {[]byte{2, 2, 0x40, 0, 2, 1, 0, 2, 1, 1}, certstore.ErrMalformed},
	} {
		asked := 0
		if _, err := certstore.ReadFile(bytes.Replace(der, honest, test.parameters, 1), secret("x", &asked)); !errors.Is(err, test.err) {
			t.Errorf("%s: %v, want %v", name, err, test.err)
		}
	}
}

// TestOddities: what cannot be used is named, with the reason, and never keeps the rest from being read.
func TestOddities(t *testing.T) {
	peertest.Command(t, "openssl")
	dir := t.TempDir()
	good := issue(t, nil, "good", newKey(t), forMail("alice@example.org", nil))
	odd := func(name string, args ...string) []byte {
		key := filepath.Join(dir, "odd.key")
		curve := "prime256v1"
		if name == "Brainpool" {
			curve = "brainpoolP256r1"
		}
		peertest.Run(t, "openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", key)
		return append(readFile(t, key), peertest.Run(t, "openssl", append([]string{"req", "-x509", "-new", "-key", key, "-subj", "/CN=" + name}, args...)...)...)
	}
	for name, test := range map[string]struct {
		data     []byte
		oddities []string
		keys     int
	}{
		"curve": {odd("Brainpool"), []string{"private key: unsupported kind of private key: the curve brainpoolP256r1",
			`certificate of "Brainpool" with a key for the elliptic curve brainpoolP256r1: certificate cannot be used: unsupported elliptic curve`}, 0},
		"serial number":  {odd("Negative", "-set_serial", "-5"), []string{`certificate of "Negative": certificate cannot be used: negative serial number`}, 1},
		"rfc822Name":     {odd("Malformed", "-addext", "subjectAltName=DER:300781058061407862"), []string{`certificate of "Malformed": certificate cannot be used: `}, 1},
		"no certificate": {block("CERTIFICATE", []byte("x")), []string{"certificate 1: malformed"}, 0},
		"DSA":            {block("DSA PRIVATE KEY", []byte{0x30, 0}), []string{"private key: unsupported kind of private key: DSA"}, 0},
		"OpenSSH":        {block("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00")), []string{"private key: unsupported kind of private key: OPENSSH"}, 0},
		"Ed448":          {peertest.Run(t, "openssl", "genpkey", "-algorithm", "ed448"), []string{"private key: unsupported kind of private key: Ed448"}, 0},
		"explicit curve": {peertest.Run(t, "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"), []string{"private key: unsupported kind of private key: an elliptic curve that is given by its equation"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bundle, err := certstore.ReadFile(append(test.data, certstore.EncodeCertificates(good.cert)...), nil)
			if err != nil || len(bundle.Certificates) != 1 || len(bundle.Keys) != test.keys || len(bundle.Oddities) != len(test.oddities) {
				t.Fatalf("%d certificates, %d keys, %v, %v", len(bundle.Certificates), len(bundle.Keys), bundle.Oddities, err)
			}
			for i, want := range test.oddities {
				if got := bundle.Oddities[i].Error(); !strings.HasPrefix(got, want) || strings.Contains(got, "\n") {
					t.Errorf("%q, want %q", got, want)
				}
			}
			if test.keys > 0 {
				return
			}
			if _, err := certstore.ReadFile(test.data, nil); err == nil || !strings.HasPrefix(err.Error(), test.oddities[0]) {
				t.Errorf("alone: %v", err)
			}
			if _, err := certstore.ParsePEM(append(test.data, certstore.EncodeCertificates(good.cert)...)); err == nil {
				t.Error("where all must be understood, it is passed over")
			}
		})
	}
	t.Run("in PKCS#12", func(t *testing.T) {
		all := filepath.Join(dir, "all.pem")
		write(t, all, append(odd("Negative", "-set_serial", "-5"), certstore.EncodeCertificates(good.cert)...))
		data := peertest.Run(t, "openssl", "pkcs12", "-export", "-in", all, "-passout", "pass:x")
		bundle, err := certstore.DecodePKCS12(data, "x")
		if err != nil || len(bundle.Certificates) != 1 || len(bundle.Keys) != 1 || len(bundle.Oddities) != 1 {
			t.Errorf("%d certificates, %d keys, %v, %v", len(bundle.Certificates), len(bundle.Keys), bundle.Oddities, err)
		}
	})
	t.Run("hostile name", func(t *testing.T) {
		bundle, err := certstore.ReadFile(odd("a\x1b[2Jb\nc", "-set_serial", "-5"), nil)
		if err != nil || len(bundle.Oddities) != 1 || strings.ContainsAny(bundle.Oddities[0].Error(), "\x1b\n") {
			t.Errorf("%q, %v", bundle.Oddities, err)
		}
	})
}

// TestManyThings: a file holds so much and no more.
func TestManyThings(t *testing.T) {
	n := issue(t, nil, "n", newKey(t), nil)
	key, err := x509.MarshalPKCS8PrivateKey(n.key)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"octets":   make([]byte, 256<<20+1),
		"keys":     bytes.Repeat(block("PRIVATE KEY", key), 65),
		"oddities": bytes.Repeat(block("CERTIFICATE", []byte("x")), 1<<18+1),
	} {
		if _, err := certstore.ReadFile(data, nil); !errors.Is(err, certstore.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The password of a hundred keys costs no more than one file may.
	encrypted, err := pkcs12.Modern2023.WithIterations(1000).Encode(n.key, n.cert, nil, "x")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	if _, err := certstore.ReadFile(bytes.Repeat(block("PKCS12", encrypted), 3), secret("x", &asked)); err != nil || asked != 1 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	errNobody := errors.New("nobody is here")
	if _, err := certstore.ReadFile(encrypted, func() ([]byte, error) { return nil, errNobody }); err != errNobody {
		t.Errorf("the error of who was asked became %v", err)
	}
}
