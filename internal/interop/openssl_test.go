package interop

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

const openSSLHow = "`openssl cms` with `-sign`, `-verify`, `-encrypt`, `-decrypt`, `-EncryptedData_encrypt`, `-digest_create`, `-compress`, and `-crl_check` against the list in the message; " +
	"`openssl crl2pkcs7` and `openssl pkcs7 -print_certs` for certificates only"

// openSSL has the identities in a folder.
type openSSL struct {
	*pki
	dir string
}

func startOpenSSL(t testing.TB, p *pki) (peer, string) {
	dir := t.TempDir()
	p.writePEM(t, dir)
	writeFile(t, filepath.Join(dir, "content"), content)
	version := string(peertest.Run(t, "openssl", "version"))
	return openSSL{p, dir}, strings.Join(strings.Fields(version)[:2], " ")
}

func (o openSSL) file(name string) string { return filepath.Join(o.dir, name) }

// run runs one subcommand; out is what it writes to its output file.
func (o openSSL) run(t testing.TB, args ...string) ([]byte, error) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	_, said, err := peertest.RunErr(t, nil, "openssl", append(args, "-out", out)...)
	if err != nil {
		return nil, openSSLWords(said)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data, nil
}

// opensslError is a line of the error queue: thread:error:number:library:function:reason:file:line:data.
var opensslError = regexp.MustCompile(`(?m)^[0-9A-F]+:error:[0-9A-F]+:([^:]*):[^:]*:([^:]*):[^:]*:[0-9]+:(.*)$`)

// openSSLWords is the first error of the queue, which is the cause of the others, or else what was said last.
func openSSLWords(said []byte) error {
	if m := opensslError.FindSubmatch(said); m != nil {
		data := strings.TrimSpace(string(m[3]))
		data, _, _ = strings.Cut(data, ", Properties") // of the provider
		return limit(strings.TrimSpace(fmt.Sprintf("%s: %s %s", m[1], m[2], data)))
	}
	return lastLine(said, "")
}

// lastLine is what a program said at last, less its name.
func lastLine(said []byte, prefix string) error {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	return limit(strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), prefix))
}

func hashOption(h crypto.Hash) string {
	return strings.ToLower(strings.ReplaceAll(hashNames[h], "-", ""))
}

func (o openSSL) write(t testing.TB, f form) ([]byte, error) {
	t.Helper()
	switch f.kind {
	case certsOnly:
		args := []string{"crl2pkcs7", "-outform", "DER", "-certfile", o.file("rsa.pem"), "-certfile", o.file("p256.pem")}
		if f.crl {
			return o.run(t, append(args, "-in", o.file("crl.pem"))...)
		}
		return o.run(t, append(args, "-nocrl")...)
	case signedData:
		return o.sign(t, f)
	case envelopedData:
		return o.encrypt(t, f)
	case encryptedData:
		key := o.kek[:keySize(f.cipher)]
		return o.run(t, o.cms("-EncryptedData_encrypt", "-"+openSSLCipher(f.cipher), "-secretkey", hex.EncodeToString(key))...)
	case compressedData:
		return o.run(t, o.cms("-compress")...)
	case digestedData:
		return o.run(t, o.cms("-digest_create", "-nodetach", "-md", hashOption(f.hash))...)
	}
	return nil, errors.New("form of no kind")
}

// cms are the arguments of openssl cms, with the content as input.
func (o openSSL) cms(args ...string) []string {
	return append([]string{"cms", "-binary", "-in", o.file("content"), "-outform", "DER"}, args...)
}

func (o openSSL) sign(t testing.TB, f form) ([]byte, error) {
	if f.crl || f.ocsp || f.values {
		return nil, noOption
	}
	args := o.cms("-sign")
	for flag, set := range map[string]bool{"-nodetach": !f.detached, "-stream": f.ber, "-noattr": f.bare, "-keyid": f.signers[0].keyID} {
		if set {
			args = append(args, flag)
		}
	}
	for _, s := range f.signers {
		if s.hash != f.signers[0].hash || s.keyID != f.signers[0].keyID {
			return o.resign(t, f) // these options are one for all signers
		}
		args = append(args, "-signer", o.file(s.who+".pem"), "-inkey", o.file(s.who+".key"), "-md", hashOption(s.hash))
		if s.pss {
			args = append(args, "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest")
		}
	}
	return o.run(t, args...)
}

// resign adds the last signer to a message of the others.
func (o openSSL) resign(t testing.TB, f form) ([]byte, error) {
	last := f.signers[len(f.signers)-1]
	f.signers = f.signers[:len(f.signers)-1]
	message, err := o.sign(t, f)
	if err != nil {
		return nil, err
	}
	args := []string{"cms", "-resign", "-binary", "-inform", "DER", "-in", writeFile(t, filepath.Join(t.TempDir(), "message"), message), "-outform", "DER",
		"-signer", o.file(last.who + ".pem"), "-inkey", o.file(last.who + ".key"), "-md", hashOption(last.hash)}
	if last.keyID {
		args = append(args, "-keyid")
	}
	if f.detached {
		args = append(args, "-content", o.file("content"))
	} else {
		args = append(args, "-nodetach")
	}
	return o.run(t, args...)
}

// openSSLCipher is the option for a cipher.
func openSSLCipher(name string) string {
	if option, ok := map[string]string{"3des-cbc": "des-ede3-cbc", "rc2-128-cbc": "rc2-cbc"}[name]; ok {
		return option
	}
	return name
}

// keySize is the octets of a cipher's key.
func keySize(cipher string) int {
	return map[string]int{"aes-128-cbc": 16, "aes-192-cbc": 24, "aes-256-cbc": 32, "3des-cbc": 24}[cipher]
}

func (o openSSL) encrypt(t testing.TB, f form) ([]byte, error) {
	if f.originators || f.attributes {
		return nil, noOption
	}
	args := o.cms("-encrypt", "-"+openSSLCipher(f.cipher))
	if strings.HasPrefix(f.cipher, "rc2") {
		args = append(args, "-provider", "legacy", "-provider", "default")
	}
	if f.ber {
		args = append(args, "-stream")
	}
	wrap := ""
	for _, r := range f.recipients {
		switch r.way {
		case sharedKEK:
			if r.des {
				return nil, noOption // a key of 192 bits is one for AES
			}
			args = append(args, "-secretkey", hex.EncodeToString(o.kek[:r.wrap/8]), "-secretkeyid", hex.EncodeToString(o.kekID))
			continue
		case password:
			if r.hash != crypto.SHA1 || r.passwordCipher() != f.cipher {
				return nil, noOption // the key has the content's cipher, and HMAC is with SHA-1
			}
			args = append(args, "-pwri_password", string(o.password))
			continue
		}
		if r.des {
			wrap = "-des3-wrap"
		} else if r.wrap != 0 {
			wrap = fmt.Sprintf("-aes%d-wrap", r.wrap)
		}
		args = append(args, "-recip", o.file(r.who+".pem"))
		if r.keyID {
			args = append(args, "-keyid") // for all of them
		}
		for _, option := range o.keyOptions(r) {
			args = append(args, "-keyopt", option)
		}
		if r.static {
			args = append(args, "-originator", o.file("originator.pem"), "-inkey", o.file("originator.key"))
		}
		if r.way == agreeHKDF || r.ukm {
			return nil, noOption
		}
	}
	for _, r := range f.recipients {
		if r.keyID != f.recipients[0].keyID {
			return nil, limit("has one option -keyid for all")
		}
	}
	if wrap != "" {
		args = append(args, wrap)
	}
	return o.run(t, args...)
}

func (o openSSL) keyOptions(r recipient) (options []string) {
	switch r.way {
	case rsaOAEP:
		options = append(options, "rsa_padding_mode:oaep", "rsa_oaep_md:"+hashOption(r.hash))
		if r.mgf != 0 {
			options = append(options, "rsa_mgf1_md:"+hashOption(r.mgf))
		}
		if r.label {
			options = append(options, "rsa_oaep_label:"+hex.EncodeToString(o.label))
		}
	case agreeX963, agreeCofactor:
		options = append(options, "ecdh_kdf_md:"+hashOption(r.hash))
		if r.way == agreeCofactor {
			options = append(options, "ecdh_cofactor_mode:1")
		}
	}
	return options
}

func (o openSSL) read(t testing.TB, f form, message, detached []byte) ([]byte, error) {
	t.Helper()
	dir := t.TempDir()
	in := writeFile(t, filepath.Join(dir, "message"), message)
	args := []string{"cms", "-binary", "-inform", "DER", "-in", in}
	switch f.kind {
	case certsOnly:
		out, err := o.run(t, "pkcs7", "-inform", "DER", "-in", in, "-print_certs")
		if err != nil {
			return nil, err
		}
		for _, name := range []string{"rsa.pem", "p256.pem"} {
			want, err := os.ReadFile(o.file(name))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(out, want) {
				return nil, limit("does not find " + name)
			}
		}
		if f.crl && !bytes.Contains(out, []byte("-----BEGIN X509 CRL-----")) {
			return nil, limit("does not find the revocation list")
		}
		return nil, nil
	case signedData:
		args = append(args, "-verify", "-CAfile", o.file("ca.pem"))
		if f.detached {
			args = append(args, "-content", writeFile(t, filepath.Join(dir, "content"), detached))
		}
		if f.crl {
			args = append(args, "-crl_check") // there is no other list than that in the message
		}
		if f.ocsp {
			return o.readPrinted(t, in, args, "OCSP response", "1.3.6.1.5.5.7.16.2")
		}
		if f.values {
			return o.readPrinted(t, in, args, "attribute", "id-smime-aa-ets-revocationValues")
		}
		return o.run(t, args...)
	case encryptedData:
		return o.run(t, append(args, "-EncryptedData_decrypt", "-secretkey", hex.EncodeToString(o.contentKey(f, message)))...)
	case compressedData:
		return o.run(t, append(args, "-uncompress")...)
	case digestedData:
		return o.run(t, append(args, "-digest_verify")...)
	}
	var content []byte
	for _, r := range f.recipients {
		reader := append(args, "-decrypt")
		switch r.way {
		case sharedKEK:
			reader = append(reader, "-secretkey", hex.EncodeToString(o.kek[:r.wrap/8]), "-secretkeyid", hex.EncodeToString(o.kekID))
		case password:
			reader = append(reader, "-pwri_password", string(o.password))
		default:
			reader = append(reader, "-recip", o.file(r.who+".pem"), "-inkey", o.file(r.who+".key"))
		}
		if r.static {
			reader = append(reader, "-originator", o.file("originator.pem"))
		}
		got, err := o.run(t, reader...)
		if err != nil {
			return nil, err
		}
		if content != nil && !bytes.Equal(got, content) {
			t.Errorf("%s reads another content", r.who)
		}
		content = got
	}
	return content, nil
}

// readPrinted verifies, and looks for something in what openssl prints of the structure.
func (o openSSL) readPrinted(t testing.TB, in string, args []string, what, name string) ([]byte, error) {
	printed, err := o.run(t, "cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", in)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(printed, []byte(name)) {
		return nil, limit("does not find the " + what)
	}
	return o.run(t, args...)
}
