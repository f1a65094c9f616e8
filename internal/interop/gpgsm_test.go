package interop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

const gpgsmHow = "`gpgsm` with `--sign`, `--detach-sign`, `--verify`, `--encrypt`, `--decrypt`, `--import`"

// gpgsm has a folder of its own, with all certificates and those keys that it knows.
type gpgsm struct {
	*pki
	home         string
	fingerprints map[string]string
}

func startGPGSM(t testing.TB, p *pki) (peer, string) {
	home, err := os.MkdirTemp("", "sealmail-gpg-") // the agent's socket wants a short path
	if err != nil {
		t.Fatal(err)
	}
	g := gpgsm{p, home, map[string]string{}}
	t.Cleanup(func() {
		if said, err := exec.Command("gpgconf", "--homedir", home, "--kill", "all").CombinedOutput(); err != nil {
			t.Errorf("gpgconf: %v\n%s", err, said)
		}
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	writeFile(t, filepath.Join(home, "trustlist.txt"), fmt.Appendf(nil, "%X S relax\n", sha1.Sum(p.ca.cert.Raw)))
	writeFile(t, filepath.Join(home, "gpgsm.conf"), []byte("disable-crl-checks\n"))
	keys := filepath.Join(home, "private-keys-v1.d")
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	certs := []string{writeFile(t, filepath.Join(home, "ca.crt"), p.ca.cert.Raw)}
	for _, id := range p.ids {
		certs = append(certs, writeFile(t, filepath.Join(home, id.name+".crt"), id.cert.Raw))
		g.fingerprints[id.name] = fmt.Sprintf("%X", sha1.Sum(id.cert.Raw))
	}
	g.must(t, append([]string{"--import"}, certs...)...)
	keygrips := g.keygrips(t)
	for _, id := range p.ids {
		// Not by PKCS #12, because gpgsm 2.2 crashes on one with a key on a curve.
		if key := sExpression(id); key != nil {
			writeFile(t, filepath.Join(keys, keygrips[g.fingerprints[id.name]]+".key"), key)
		}
	}
	version := string(g.must(t, "--version"))
	return g, strings.Fields(version)[0] + " " + strings.Fields(version)[2]
}

// keygrips is what the agent calls the keys of certificates, by the certificate's fingerprint.
func (g gpgsm) keygrips(t testing.TB) map[string]string {
	t.Helper()
	keygrips, fingerprint := map[string]string{}, ""
	for line := range strings.Lines(string(g.must(t, "--with-colons", "--with-keygrip", "--list-keys"))) {
		switch fields := strings.Split(line, ":"); fields[0] {
		case "fpr":
			fingerprint = fields[9]
		case "grp":
			keygrips[fingerprint] = fields[9]
		}
	}
	if len(keygrips) != len(g.ids)+1 {
		t.Fatalf("%d keygrips", len(keygrips))
	}
	return keygrips
}

// sExpression is a private key in the form of libgcrypt, unprotected; nil where it has none.
func sExpression(id identity) []byte {
	var b bytes.Buffer
	atom := func(octets []byte) { fmt.Fprintf(&b, "%d:%s", len(octets), octets) }
	pair := func(name string, value []byte) {
		b.WriteString("(")
		atom([]byte(name))
		atom(value)
		b.WriteString(")")
	}
	number := func(name string, n *big.Int) { pair(name, append([]byte{0}, n.Bytes()...)) } // positive
	b.WriteString("(11:private-key(")
	switch key := id.key.(type) {
	case *rsa.PrivateKey:
		atom([]byte("rsa"))
		p, q := key.Primes[0], key.Primes[1]
		if p.Cmp(q) > 0 {
			p, q = q, p
		}
		number("n", key.N)
		number("e", big.NewInt(int64(key.E)))
		number("d", key.D)
		number("p", p)
		number("q", q)
		number("u", new(big.Int).ModInverse(p, q))
	case *ecdsa.PrivateKey:
		private, err := key.Bytes()
		if err != nil {
			return nil
		}
		public, err := key.PublicKey.Bytes()
		if err != nil {
			return nil
		}
		atom([]byte("ecc"))
		pair("curve", []byte("NIST "+key.Params().Name))
		pair("q", public)
		pair("d", append([]byte{0}, private...))
	case ed25519.PrivateKey:
		atom([]byte("ecc"))
		pair("curve", []byte("Ed25519"))
		pair("flags", []byte("eddsa"))
		pair("q", append([]byte{0x40}, key.Public().(ed25519.PublicKey)...))
		pair("d", key.Seed())
	default:
		return nil
	}
	b.WriteString("))")
	return b.Bytes()
}

func (g gpgsm) args(args ...string) []string {
	return append([]string{"--homedir", g.home, "--batch", "--yes", "--no-tty"}, args...)
}

func (g gpgsm) must(t testing.TB, args ...string) []byte {
	t.Helper()
	return peertest.Run(t, "gpgsm", g.args(args...)...)
}

// run runs gpgsm and returns what it wrote to its output file and what it said.
func (g gpgsm) run(t testing.TB, args ...string) (out []byte, said string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	_, errs, err := peertest.RunErr(t, nil, "gpgsm", g.args(append([]string{"--output", path}, args...)...)...)
	if err != nil {
		return nil, "", gpgsmWords(errs)
	}
	out, err = os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil // it had nothing to write
	}
	return out, string(errs), err
}

// gpgsmWords is what gpgsm complained of, less what it says of certificates that it uses.
func gpgsmWords(said []byte) error {
	var lines []string
	for line := range strings.Lines(string(said)) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "gpgsm: "))
		for _, idle := range []string{"Signature made", "using certificate ID", "certificate is good", "encrypted to ", "DBG:", "Note:", "certificate policies", "validation model", "CRLs not checked", "using ", "option --output ignored"} {
			if strings.Contains(line, idle) {
				line = ""
			}
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return limit("fails without a word")
	}
	return limit(lines[0])
}

func (g gpgsm) write(t testing.TB, f form) ([]byte, error) {
	t.Helper()
	in := writeFile(t, filepath.Join(t.TempDir(), "content"), content)
	switch f.kind {
	case signedData:
		if f.bare || f.crl || f.ocsp || f.values {
			return nil, noOption
		}
		args := []string{"--sign", "--include-certs", "1", "--digest-algo", strings.ReplaceAll(hashNames[f.signers[0].hash], "-", "")}
		if f.detached {
			args[0] = "--detach-sign"
		}
		for _, s := range f.signers {
			if s.pss || s.keyID || s.hash != f.signers[0].hash {
				return nil, noOption
			}
			args = append(args, "--local-user", g.fingerprints[s.who])
		}
		out, _, err := g.run(t, append(args, in)...)
		return out, err
	case envelopedData:
		cipher, ok := map[string]string{"aes-128-cbc": "AES", "aes-192-cbc": "AES192", "aes-256-cbc": "AES256", "3des-cbc": "3DES", "rc2-40-cbc": "RC2-40", "rc2-128-cbc": "RC2-128"}[f.cipher]
		if !ok || f.originators || f.attributes {
			return nil, noOption
		}
		args := []string{"--encrypt", "--disable-crl-checks", "--cipher-algo", cipher}
		for _, r := range f.recipients {
			if r.way == rsaOAEP || r.way == sharedKEK || r.way == password || r.keyID || r.static || r.ukm {
				return nil, noOption
			}
			args = append(args, "--recipient", g.fingerprints[r.who])
		}
		out, _, err := g.run(t, append(args, in)...)
		return out, err
	}
	return nil, noOption
}

func (g gpgsm) read(t testing.TB, f form, message, detached []byte) ([]byte, error) {
	t.Helper()
	dir := t.TempDir()
	in := writeFile(t, filepath.Join(dir, "message"), message)
	switch f.kind {
	case certsOnly:
		_, said, err := g.run(t, "--import", in)
		if err == nil && !strings.Contains(said, "unchanged: 2") {
			err = gpgsmWords([]byte(said))
		}
		return nil, err
	case signedData:
		args := []string{"--verify", in}
		if f.detached {
			args = append(args, writeFile(t, filepath.Join(dir, "content"), detached))
		}
		out, said, err := g.run(t, args...)
		if err == nil && strings.Count(said, "Good signature from ") != len(f.signers) {
			err = gpgsmWords([]byte(said))
		}
		if f.detached {
			out = detached
		}
		return out, err
	case envelopedData:
		out, _, err := g.run(t, "--decrypt", in)
		return out, err
	}
	return nil, noOption
}
