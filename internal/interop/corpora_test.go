package interop

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
)

// corpus is a folder of files that others made, as internal/peertest finds it.
type corpus struct {
	dir     string
	keys    []smime.Decrypter
	entries []entry

	expected map[string]expectation // of some mails, by other hands; those that were met are taken out
}

// entry says what is to be found in some files.
type entry struct {
	files string // patterns, with blanks between them
	check func(t *testing.T, c *corpus, file string)
}

// TestCorpora looks at each file of the corpora: whatever is in the folder is either found to be what it should be, or
// is listed with the reason why it is not looked at.
func TestCorpora(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, c *corpus){
		"rfc4134": rfc4134, "rfc9216": rfc9216, "thunderbird": thunderbird, "nss": nssCorpus, "bouncycastle": bouncyCastleCorpus,
		"gnupg": gnupgCorpus, "james": james, "wycheproof": wycheproof,
	} {
		t.Run(name, func(t *testing.T) {
			c := &corpus{dir: peertest.Corpora(t, name)}
			make(t, c)
			c.test(t)
			for file := range c.expected {
				t.Errorf("nothing was compared with what is expected of %s", file)
			}
		})
	}
}

// test runs the checks of each file, and wants every file and every pattern to be of use.
func (c *corpus) test(t *testing.T) {
	used := map[string]bool{}
	err := filepath.WalkDir(c.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file, err := filepath.Rel(c.dir, p)
		if err != nil {
			return err
		}
		file = filepath.ToSlash(file)
		listed := false
		for _, e := range c.entries {
			for _, pattern := range strings.Fields(e.files) {
				if ok, err := path.Match(pattern, file); err != nil {
					t.Fatal(err)
				} else if !ok {
					continue
				}
				if listed {
					t.Errorf("%s is listed twice", file)
				}
				listed, used[pattern] = true, true
				t.Run(file, func(t *testing.T) { e.check(t, c, file) })
			}
		}
		if !listed {
			t.Errorf("%s is neither looked at nor listed with a reason", file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range c.entries {
		for _, pattern := range strings.Fields(e.files) {
			if !used[pattern] {
				t.Errorf("there is no %s", pattern)
			}
		}
	}
}

// read returns the content of a file.
func (c *corpus) read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// because lists files that are not looked at, with the reason.
func because(reason string) func(*testing.T, *corpus, string) {
	return func(t *testing.T, _ *corpus, _ string) { t.Log(reason) }
}

// message is what is to be found in a message.
type message struct {
	layers  string // as describe says it; HASH and GOOD are put in by the file's name
	content string // how the content begins
	beside  string // the file with the content of a detached signature
	cut     string // what stands before the message, up to here
}

// holds opens a message with weak algorithms allowed, and compares; without them, what is weak fails.
func (want message) holds(t *testing.T, c *corpus, file string) {
	t.Helper()
	layers := want.layers
	for _, hash := range []string{"SHA1", "SHA256", "SHA384", "SHA512"} {
		if strings.Contains(file, "."+hash) {
			good := "good"
			if hash == "SHA1" {
				good = "weak"
			}
			layers = strings.NewReplacer("HASH", strings.ToLower(hash), "GOOD", good).Replace(layers)
		}
	}
	m := want.open(t, c, file, true)
	layers = strings.ReplaceAll(layers, "CIPHER", cipherOf(m))
	if got := describe(m); got != layers {
		t.Errorf("%s\nwant %s", got, layers)
	}
	if (m.Content != nil) != (want.content != "") {
		t.Errorf("content: %v", m.Content != nil)
	} else if m.Content != nil {
		got, err := io.ReadAll(io.NewSectionReader(m.Content, 0, m.Content.Size()))
		if err != nil || !strings.HasPrefix(string(got), want.content) {
			t.Errorf("%.60q, %v", got, err)
		}
	}
	strict := strings.ReplaceAll(layers, ": weak", ": too weak")
	if weakCiphers.MatchString(strict) {
		strict = strings.ReplaceAll(strict, ": decrypted", ": undecryptable")
	}
	if got := describe(want.open(t, c, file, false)); got != strict {
		t.Errorf("without weak algorithms: %s\nwant %s", got, strict)
	}
}

var weakCiphers = regexp.MustCompile(`3des|rc2`)

// open opens a message; it is closed with the test.
func (want message) open(t *testing.T, c *corpus, file string, weak bool) *smime.Message {
	t.Helper()
	raw := c.read(t, file)
	if want.cut != "" {
		_, raw, _ = bytes.Cut(raw, []byte(want.cut))
	}
	o := smime.OpenOptions{Decrypters: c.keys, AllowWeak: weak}
	if want.beside != "" {
		o.Detached = bytes.NewReader(c.read(t, want.beside))
	}
	m, err := smime.Open(t.Context(), bytes.NewReader(raw), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// cipherOf is the cipher of the outermost layer, where it does not matter which.
func cipherOf(m *smime.Message) string {
	if len(m.Layers) > 0 && m.Layers[0].Encrypted != nil {
		return m.Layers[0].Encrypted.Cipher
	}
	return "no cipher"
}

// expectation is what another program makes of a mail.
type expectation struct {
	File      string `json:"file"`
	Encrypted bool   `json:"encrypted"`
	Signed    bool   `json:"signed"`
	Good      bool   `json:"signature_good"`
}

// expect reads expectations.
func (c *corpus) expect(t *testing.T, file string) {
	t.Helper()
	var list []expectation
	if err := json.Unmarshal(c.read(t, file), &list); err != nil {
		t.Fatal(err)
	}
	c.expected = map[string]expectation{}
	for _, e := range list {
		c.expected[e.File] = e
	}
}

// asExpected is holds, and compares with what is expected by other hands, without weak algorithms.
func (want message) asExpected(t *testing.T, c *corpus, file string) {
	t.Helper()
	want.holds(t, c, file)
	m := want.open(t, c, file, false)
	got := expectation{File: file}
	good := true
	for i, l := range m.Layers {
		got.Encrypted = got.Encrypted || l.Encrypted != nil
		// A signature around the encryption is recorded as none: it does not speak for the text.
		outside := slices.ContainsFunc(m.Layers[i:], func(l smime.Layer) bool { return l.Encrypted != nil })
		if l.Signed != nil && !outside {
			got.Signed = true
			for _, s := range l.Signed.Signatures {
				good = good && s.Err == nil
			}
		}
	}
	got.Good = got.Signed && good
	if expected, ok := c.expected[file]; !ok || got != expected {
		t.Errorf("%+v instead of %+v", got, expected)
	}
	delete(c.expected, file)
}

// describe tells the layers of a message from the outside in.
func describe(m *smime.Message) string {
	var layers []string
	for _, l := range m.Layers {
		switch {
		case l.Encrypted != nil:
			e := l.Encrypted
			var keys []string
			for _, r := range e.Recipients {
				keys = append(keys, r.Info.AlgorithmName())
			}
			layers = append(layers, fmt.Sprintf("%s %s %s: %s", e.Form, e.Cipher, strings.Join(keys, "+"), e.Status))
		case l.Signed != nil:
			var signatures []string
			for _, s := range l.Signed.Signatures {
				signatures = append(signatures, fmt.Sprintf("%s/%s: %s", s.Digest, s.Algorithm, judgement(s.Err, s.Weak)))
			}
			if len(signatures) == 0 {
				signatures = append(signatures, judgement(l.Signed.Err, nil))
			}
			layers = append(layers, l.Signed.Form.String()+" "+strings.Join(signatures, ", "))
		default:
			layers = append(layers, "compressed")
		}
	}
	return strings.Join(layers, " > ")
}

// judgements are words for errors.
var judgements = []struct {
	err   error
	words string
}{
	{cms.ErrMessageDigest, "other content"}, {cms.ErrSignature, "wrong value"}, {cms.ErrMissingAttribute, "attribute missing"},
	{smime.ErrTwoContents, "two contents"}, {smime.ErrNoContent, "no content"}, {cms.ErrNoSigners, "nobody signed"}, {cms.ErrMalformed, "malformed"},
}

func judgement(err, weak error) string {
	var unsupported *cms.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		return "unsupported"
	case weak != nil:
		return "weak"
	case errors.As(err, new(*cms.WeakError)):
		return "too weak"
	case err == nil:
		return "good"
	}
	for _, j := range judgements {
		if errors.Is(err, j.err) {
			return j.words
		}
	}
	return err.Error()
}

// keysIn adds the keys of a PKCS #12 file to those at hand.
func (c *corpus) keysIn(t *testing.T, file, password string) {
	t.Helper()
	bundle, err := certstore.DecodePKCS12(c.read(t, file), password)
	c.add(t, file, bundle, err)
}

// keysOf adds keys and certificates from several files: PEM, or a certificate or key in DER.
func (c *corpus) keysOf(t *testing.T, files ...string) {
	t.Helper()
	var all []byte
	for _, file := range files {
		data := c.read(t, file)
		switch path.Ext(file) {
		case ".cer", ".der":
			data = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: data})
		case ".pri":
			data = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: data})
		}
		all = append(append(all, data...), '\n')
	}
	bundle, err := certstore.ParsePEM(all)
	c.add(t, strings.Join(files, " "), bundle, err)
}

func (c *corpus) add(t *testing.T, name string, bundle certstore.Bundle, err error) {
	t.Helper()
	pairs, _ := bundle.KeyPairs()
	if err != nil || len(pairs) == 0 {
		t.Fatalf("%s: %d keys, %v", name, len(pairs), err)
	}
	for _, p := range pairs {
		c.keys = append(c.keys, p.Decrypter())
	}
}
