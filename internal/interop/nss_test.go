package interop

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms"
)

const nssHow = "`cmsutil` with `-S`, `-E`, `-O`, `-C` and `-D`, with `-k` and a look into the database for certificates only"

// nss has a database with the authority, all certificates that it takes, and their keys.
type nss struct {
	*pki
	dir     string           // of the database
	refused map[string]limit // whose certificates or keys it did not take
}

func startNSS(t testing.TB, p *pki) (peer, string) {
	n := nss{p, newNSSDatabase(t, p), map[string]limit{}}
	for name, id := range p.ids {
		crt := writeFile(t, filepath.Join(n.dir, name+".crt"), id.cert.Raw)
		_, said, err := peertest.RunErr(t, nil, "certutil", "-A", "-d", "sql:"+n.dir, "-n", name, "-t", ",,", "-i", crt)
		if err == nil {
			p12, err := pkcs12.LegacyDES.Encode(id.key, id.cert, nil, "secret")
			if err != nil {
				t.Fatal(err)
			}
			file := writeFile(t, filepath.Join(n.dir, name+".p12"), p12)
			if _, said, err := peertest.RunErr(t, nil, "pk12util", "-d", "sql:"+n.dir, "-i", file, "-W", "secret"); err != nil {
				n.refused[name] = nssWords(said)
			}
		} else {
			n.refused[name] = nssWords(said)
		}
	}
	version := regexp.MustCompile(`library-version=([0-9.]+)`).FindSubmatch(peertest.Run(t, "modutil", "-dbdir", "sql:"+n.dir, "-list"))
	if version == nil {
		t.Fatal("NSS has no version")
	}
	return n, "NSS " + string(version[1])
}

// newNSSDatabase makes a database that trusts the authority.
func newNSSDatabase(t testing.TB, p *pki) (dir string) {
	t.Helper()
	dir = t.TempDir()
	peertest.Run(t, "certutil", "-N", "-d", "sql:"+dir, "--empty-password")
	peertest.Run(t, "certutil", "-A", "-d", "sql:"+dir, "-n", "ca", "-t", ",C,", "-i", writeFile(t, filepath.Join(dir, "ca.crt"), p.ca.cert.Raw))
	return dir
}

// nssWords is the last error of an NSS program, less the program's name.
func nssWords(said []byte) limit {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	_, words, found := strings.Cut(lines[len(lines)-1], "util: ")
	if !found {
		words = lines[len(lines)-1]
	}
	return limit(words)
}

// run runs cmsutil and returns what it wrote to its output file.
func (n nss) run(t testing.TB, args ...string) ([]byte, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	_, said, err := peertest.RunErr(t, nil, "cmsutil", append(args, "-d", "sql:"+n.dir, "-o", path)...)
	if err != nil {
		return nil, nssWords(said)
	}
	out, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return out, nil
}

func (n nss) write(t testing.TB, f form) ([]byte, error) {
	t.Helper()
	in := writeFile(t, filepath.Join(t.TempDir(), "content"), content)
	switch f.kind {
	case certsOnly:
		if f.crl {
			return nil, noOption
		}
		return n.run(t, "-O", "-r", "rsa,p256")
	case signedData:
		if len(f.signers) > 1 || f.crl || f.ocsp || f.values {
			return nil, noOption
		}
		s := f.signers[0]
		if err := n.has(s.who); err != nil {
			return nil, err
		}
		if s.pss || s.keyID {
			return nil, noOption
		}
		args := []string{"-S", "-i", in, "-N", s.who, "-H", strings.ReplaceAll(hashNames[s.hash], "-", ""), "-Y", "NONE"}
		if f.detached {
			args = append(args, "-T")
		}
		if !f.bare {
			args = append(args, "-G") // with an attribute, there are all
		}
		return n.run(t, args...)
	case envelopedData:
		if f.originators || f.attributes || f.cipher != "aes-128-cbc" && f.recipients[0].way == rsaPKCS1v15 {
			return nil, noOption
		}
		var nicks []string
		for _, r := range f.recipients {
			if r.way == rsaOAEP || r.way == agreeHKDF || r.way == sharedKEK || r.way == password || r.keyID || r.static || r.ukm {
				return nil, noOption
			}
			if err := n.has(r.who); err != nil {
				return nil, err
			}
			nicks = append(nicks, r.who)
		}
		return n.run(t, "-E", "-i", in, "-r", strings.Join(nicks, ","))
	case encryptedData:
		if f.cipher == "aes-128-cbc" {
			return n.encryptData(t, in)
		}
	}
	return nil, noOption
}

// encryptData makes an EncryptedData under the key of an EnvelopedData, as NSS does: that key is one more to be known.
func (n nss) encryptData(t testing.TB, in string) ([]byte, error) {
	t.Helper()
	f := form{kind: envelopedData, cipher: "aes-128-cbc", recipients: []recipient{{who: "rsa"}}}
	envelope, err := n.write(t, f)
	if err != nil {
		return nil, err
	}
	message, err := n.run(t, "-C", "-i", in, "-e", writeFile(t, filepath.Join(t.TempDir(), "envelope"), envelope))
	if err != nil {
		return nil, err
	}
	info, err := cms.Read(bytes.NewReader(envelope), cms.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := sealmail{n.pki}.unwrap(info.(*cms.EnvelopedData), f.recipients[0])
	if err != nil {
		t.Fatal(err)
	}
	n.contentKeys.Store(string(message), key)
	return message, nil
}

// has returns why NSS does not have somebody's key.
func (n nss) has(who string) error {
	if words, ok := n.refused[who]; ok {
		return words
	}
	return nil
}

func (n nss) read(t testing.TB, f form, message, detached []byte) ([]byte, error) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"-D", "-i", writeFile(t, filepath.Join(dir, "message"), message)}
	switch f.kind {
	case certsOnly:
		n.dir = newNSSDatabase(t, n.pki)
		if _, err := n.run(t, append(args, "-k", "-u", "5")...); err != nil { // keep them, as those of recipients
			return nil, err
		}
		for _, cert := range n.certificates(f) {
			got, said, err := peertest.RunErr(t, nil, "certutil", "-L", "-d", "sql:"+n.dir, "-n", cert.EmailAddresses[0], "-r")
			if err != nil {
				return nil, nssWords(said)
			}
			if !bytes.Equal(got, cert.Raw) {
				t.Errorf("NSS keeps another certificate")
			}
		}
		return nil, nil
	case signedData:
		if f.detached {
			args = append(args, "-c", writeFile(t, filepath.Join(dir, "content"), detached))
		}
		return n.run(t, args...)
	case envelopedData:
		for _, r := range f.recipients {
			if r.way == sharedKEK || r.way == password {
				return nil, noOption
			}
		}
		return n.run(t, args...)
	}
	return nil, errors.New("nobody writes it for NSS")
}
