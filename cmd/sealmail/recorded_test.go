package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/peertest"
)

// recorded says how the messages of a corpus are verified.
type recorded struct {
	name     string
	anchors  []string // in the corpus; what is not below them has no anchor
	keys     []string // PKCS #12 files, with this password
	password string
	pairs    []string // certificates and keys in PEM
	not      string   // patterns of files that are no messages
	beside   map[string]string
}

// recordings are those of testdata/recorded, as of the first of December 2026.
var recordings = []recorded{
	{
		name: "thunderbird", anchors: []string{"TestCA.pem"}, password: "nss",
		keys:   []string{"Alice.p12", "Alice-ec.p12", "Bob.p12", "Dave.p12", "Eve.p12", "Fran.p12", "Fran-ec.p12"},
		not:    "*.p12 *.pem *.md *.txt *.json alice.mime alice.textplain",
		beside: map[string]string{"alice.mime.dsig.*": "alice.mime"},
	},
	{
		name: "bouncycastle", anchors: []string{"certpath_root.crt"},
		pairs: []string{"cert.pem", "key.pem", "smimeTKcert.pem", "smimeTKkey.pem", "ecdh/ecc.crt", "ecdh/ecc.key"},
		not:   "*.pem *.crt *.key *.p12 *.txt",
	},
	{name: "james", anchors: []string{"rootCA.crt"}, keys: []string{"smime.p12"}, password: "secret", not: "*.crt *.key *.csr *.srl *.p12 *.md"},
	{
		name: "gnupg", anchors: []string{"cert_g10code_test1.der"},
		not:    "32100C* 567064FE* cert_* crl_* key_* skey_* runtest *.txt *.key README *-p12 *.p12 *.pfx *.der cert-with* gte.pem ossl-* steed-*",
		beside: map[string]string{"text-1.dsig.pem": "text-1.txt"},
	},
	{name: "mime", anchors: []string{"../thunderbird/TestCA.pem"}},
}

// result is what is recorded of a message.
type result struct {
	File       string   `json:"file"`
	Error      string   `json:"error,omitempty"`
	Verdict    string   `json:"verdict,omitempty"`
	AllowWeak  string   `json:"allow_weak,omitempty"` // verdict and encryption with --allow-weak, where they are others
	Encryption string   `json:"encryption,omitempty"`
	Layers     []string `json:"layers,omitempty"`
	Signatures []string `json:"signatures,omitempty"` // what is not good about each
	Parts      int      `json:"parts,omitempty"`
	Warnings   []string `json:"warnings,omitempty"` // codes, without that of revocation
}

// TestRecorded verifies the messages of the corpora, and compares what is said of each with what was said before, in
// testdata/recorded. -update writes that anew, to be read against what the corpus says of its messages.
func TestRecorded(t *testing.T) {
	t.Parallel()
	for _, c := range recordings {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := peertest.Corpora(t, c.name)
			reader := &hostileReader{home: t.TempDir()}
			args := c.arguments(t, dir)
			var lines []string
			for _, file := range c.messages(t, dir) {
				own := slices.Clone(args)
				for pattern, content := range c.beside {
					if ok, err := filepath.Match(pattern, file); err != nil {
						t.Fatal(err)
					} else if ok {
						own = append(own, "--content", filepath.Join(dir, content))
					}
				}
				strict := resultsOf(t, dir, file, reader.run(t, append(own, filepath.Join(dir, file))...))
				weak := resultsOf(t, dir, file, reader.run(t, append(own, "--allow-weak", filepath.Join(dir, file))...))
				for i, r := range strict {
					if w := weak[min(i, len(weak)-1)]; w.Verdict != r.Verdict || w.Encryption != r.Encryption {
						r.AllowWeak = w.Verdict + ", " + w.Encryption
					}
					line, err := json.Marshal(r)
					if err != nil {
						t.Fatal(err)
					}
					lines = append(lines, string(line))
				}
			}
			compareGolden(t, filepath.Join("..", "..", "testdata", "recorded", c.name+".json"), "[\n"+strings.Join(lines, ",\n")+"\n]\n")
		})
	}
}

// arguments are those of the command that are the same for all messages.
func (c recorded) arguments(t *testing.T, dir string) []string {
	t.Helper()
	args := []string{"verify", "--json"}
	for _, a := range c.anchors {
		args = append(args, "--trust", filepath.Join(dir, a))
	}
	for _, k := range c.keys {
		args = append(args, "--p12", filepath.Join(dir, k))
	}
	if len(c.keys) > 0 {
		password := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(password, []byte(c.password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--p12-password-file", password)
	}
	for _, p := range c.pairs {
		flag := "--cert"
		if strings.HasSuffix(p, "key.pem") || strings.HasSuffix(p, ".key") {
			flag = "--key"
		}
		args = append(args, flag, filepath.Join(dir, p))
	}
	return args
}

// messages are the files of the corpus that are messages.
func (c recorded) messages(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, pattern := range strings.Fields(c.not) {
			if ok, err := filepath.Match(pattern, d.Name()); ok || err != nil {
				return err
			}
		}
		rel, err := filepath.Rel(dir, path)
		files = append(files, filepath.ToSlash(rel))
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}

// resultsOf are what verify says of a file, which may hold several messages.
func resultsOf(t *testing.T, dir, file string, out ran) []result {
	t.Helper()
	if out.code == exitFailed || out.code == exitUsage {
		words, _, _ := strings.Cut(strings.TrimPrefix(strings.ReplaceAll(out.stderr, filepath.Join(dir, file), "FILE"), "sealmail: "), "\n")
		return []result{{File: file, Error: words}}
	}
	var list []result
	for line := range bytes.Lines([]byte(out.stdout)) {
		report := reportOf(t, string(line))
		r := result{File: file, Verdict: report.Verdict, Encryption: report.Encryption, Parts: len(report.Parts)}
		for _, l := range report.Layers {
			r.Layers = append(r.Layers, l.Form)
		}
		for _, s := range report.Signatures {
			r.Signatures = append(r.Signatures, signatureWords(s))
		}
		for _, w := range report.Warnings {
			if w.Code != "revocation-unknown" {
				r.Warnings = append(r.Warnings, w.Code)
			}
		}
		list = append(list, r)
	}
	return list
}

// signatureWords say what is not good about a signature, apart from revocation and time, of which nothing is known in old mail.
func signatureWords(s client.SignatureReport) string {
	bad := []string{s.Verdict}
	for _, axis := range []struct {
		name  string
		check client.CheckReport
	}{{"integrity", s.Checks.Integrity}, {"chain", s.Checks.Chain}, {"address", s.Checks.Address}} {
		if axis.check.Code != nil {
			bad = append(bad, axis.name+" "+*axis.check.Code)
		}
	}
	return strings.Join(bad, ", ")
}
