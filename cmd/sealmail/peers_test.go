//go:build unix

package main

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/peertest"
)

const (
	peerAlice    = "alice@example.test"
	peerBob      = "bob@example.test"
	peerPassword = "correct horse"
	// Keys of the kinds foreign-… are made and requested with openssl: their certificates say nothing about AES-GCM.
	foreign = "foreign-"
)

// peerHouse is what the tests with peers begin from, made by the command line alone: an authority whose keys have a
// passphrase, and certificates of it.
type peerHouse struct {
	dir string
	tsa *exec.Cmd
	url string // of the timestamp authority, once serveTSA was called
	// oldPKCS12 has PKCS#12 files made by openssl, encrypted as old programs do it: opening those that ca issue makes takes
	// a quarter of a second, which counts where many are opened.
	oldPKCS12 bool
}

// TestPeers exchanges files with other programs, both ways.
func TestPeers(t *testing.T) {
	t.Parallel()
	peertest.Command(t, "openssl")
	h := newPeerHouse(t)
	h.oldPKCS12 = true
	t.Run("openssl reads ours", h.opensslReadsOurs)
	t.Run("others read ours", h.othersReadOurs)
	t.Run("signed by openssl", h.readsOpenSSLSigned)
	t.Run("encrypted by openssl", h.readsOpenSSLEncrypted)
	t.Run("layers by openssl", h.readsOpenSSLLayers)
}

// newPeerHouse makes a house whose authority is made with these flags beside those that all have.
func newPeerHouse(t *testing.T, flags ...string) *peerHouse {
	t.Helper()
	h := &peerHouse{dir: t.TempDir()}
	h.write(t, "password", peerPassword+"\n")
	args := []string{"ca", "init", "--dir", h.file("ca"), "--name", "Peers", "--organization", "Example GmbH", "--ca-passphrase-file", h.file("password")}
	h.sealmail(t, "nobody", append(args, flags...)...).mustBe(t, exitGood)
	return h
}

func (h *peerHouse) file(name string) string { return filepath.Join(h.dir, name) }

func (h *peerHouse) root() string { return h.file("ca/root.pem") }

func (h *peerHouse) write(t testing.TB, name, text string) string {
	t.Helper()
	if err := os.WriteFile(h.file(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return h.file(name)
}

func (h *peerHouse) read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(h.file(name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// command is the program as somebody runs it: with a home, a vault under a passphrase, and no terminal.
func (h *peerHouse) command(t testing.TB, person string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := program(t, []string{"SEALMAIL_HOME=" + h.file("home-"+person), "SEALMAIL_PASSPHRASE_FILE=" + h.file("password")}, args...)
	cmd.Dir = h.dir
	return cmd
}

// sealmail runs command.
func (h *peerHouse) sealmail(t testing.TB, person string, args ...string) outcome {
	t.Helper()
	cmd := h.command(t, person, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	o := outcome{args: args, code: cmd.ProcessState.ExitCode(), out: out.String(), err: errs.String()}
	if broken := checkPromises(args, o.code, o.out, o.err); broken != "" {
		t.Errorf("%s: %s\n%s%s", strings.Join(args, " "), broken, o.out, o.err)
	}
	return o
}

// key issues a certificate for somebody and writes it as NAME.p12, NAME.pem (with the issuing authority's), and NAME.key,
// where it is not there yet.
func (h *peerHouse) key(t testing.TB, person, kind string) (name string) {
	t.Helper()
	name = person + "-" + kind
	if _, err := os.Stat(h.file(name + ".pem")); err == nil {
		return name
	}
	args := []string{"ca", "issue", "--dir", h.file("ca"), "--ca-passphrase-file", h.file("password"),
		"--purpose", "mail", "--email", person + "@example.test", "--name", person, "--organization", "Example GmbH", "--days", "60"}
	if algorithm, ok := strings.CutPrefix(kind, foreign); ok {
		h.foreignKey(t, name, algorithm, args)
		return name
	}
	issued := name + ".p12"
	if h.oldPKCS12 {
		issued = name + ".both.pem"
	}
	h.sealmail(t, "nobody", append(args, "--key", kind, "-o", issued, "--p12-password-file", h.file("password"))...).mustBe(t, exitGood)
	pair := h.issuedPair(t, issued)
	der, err := x509.MarshalPKCS8PrivateKey(pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, name+".pem", string(certstore.EncodeCertificates(pair.Chain...)))
	h.write(t, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	if h.oldPKCS12 {
		h.exportPKCS12(t, name)
	}
	return name
}

// issuedPair is the key in a file that ca issue wrote.
func (h *peerHouse) issuedPair(t testing.TB, file string) certstore.KeyPair {
	t.Helper()
	if strings.HasSuffix(file, ".p12") {
		pair, err := readPair(h.file(file), peerPassword)
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	bundle, err := certstore.ParsePEM(h.read(t, file))
	pairs, _ := bundle.KeyPairs()
	if err != nil || len(pairs) != 1 {
		t.Fatalf("%s: %d keys, %v", file, len(pairs), err)
	}
	return pairs[0]
}

// exportPKCS12 has openssl write NAME.p12.
func (h *peerHouse) exportPKCS12(t testing.TB, name string) {
	t.Helper()
	peertest.Run(t, "openssl", "pkcs12", "-export", "-inkey", h.file(name+".key"), "-in", h.file(name+".pem"),
		"-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1", "-passout", "file:"+h.file("password"), "-out", h.file(name+".p12"))
}

// foreignKey is key for what openssl makes.
func (h *peerHouse) foreignKey(t testing.TB, name, algorithm string, issue []string) {
	t.Helper()
	options := map[string][]string{
		"p256":    {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"rsa2048": {"-newkey", "rsa:2048"},
	}[algorithm]
	peertest.Run(t, "openssl", append([]string{"req", "-nodes", "-subj", "/CN=" + name, "-keyout", h.file(name + ".key"), "-out", h.file(name + ".csr")}, options...)...)
	h.sealmail(t, "nobody", append(issue, "--csr", name+".csr", "-o", name+".pem")...).mustBe(t, exitGood)
	h.exportPKCS12(t, name)
}

// certificate is the first one in NAME.pem.
func (h *peerHouse) certificate(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	certs, err := certstore.ParseCertificates(h.read(t, name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	return certs[0]
}

// serveTSA starts a timestamp authority in a process of its own.
func (h *peerHouse) serveTSA(t *testing.T) {
	t.Helper()
	h.sealmail(t, "nobody", "ca", "issue", "--dir", h.file("ca"), "--ca-passphrase-file", h.file("password"), "--purpose", "tsa", "--key", "p256", "--name", "Peers TSA",
		"-o", "tsa.p12", "--p12-password-file", h.file("password")).mustBe(t, exitGood)
	h.tsa, h.url = startServing(t, "tsa", "serve", "--listen", "127.0.0.1:0", "--p12", h.file("tsa.p12"), "--p12-password-file", h.file("password"),
		"--policy", worldPolicy, "--state", h.file("tsa-state"))
}

// startServing starts the program in a process of its own, and waits until it is ready.
func startServing(t *testing.T, args ...string) (server *exec.Cmd, url string) {
	t.Helper()
	server = program(t, nil, args...)
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var ready struct{ URL string }
	if err := json.NewDecoder(stdout).Decode(&ready); err != nil {
		t.Fatalf("the first line of %s serve: %v", args[0], err)
	}
	return server, ready.URL
}

// stopTSA ends the timestamp authority, which must end well.
func (h *peerHouse) stopTSA(t *testing.T) {
	t.Helper()
	stopServing(t, h.tsa)
}

func stopServing(t *testing.T, server *exec.Cmd) {
	t.Helper()
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("%s after SIGTERM: %v", strings.Join(server.Args[1:3], " "), err)
	}
}

// report reads the one JSON object that a command printed.
func (o outcome) report(t testing.TB) map[string]any {
	t.Helper()
	objects := killLines[map[string]any](t, o)
	if len(objects) != 1 {
		t.Fatalf("%s: %d objects\n%s%s", strings.Join(o.args, " "), len(objects), o.out, o.err)
	}
	return objects[0]
}

// mustSay checks the error of a command and its hint.
func (o outcome) mustSay(t testing.TB, what, hint string) {
	t.Helper()
	said := o.err
	for strings.HasPrefix(said, "note: ") || strings.HasPrefix(said, "warning: ") {
		_, said, _ = strings.Cut(said, "\n")
	}
	first, second, _ := strings.Cut(said, "\n")
	if !strings.HasPrefix(first, "sealmail: ") || !strings.Contains(first, what) || !strings.HasPrefix(second, "hint: ") || !strings.Contains(second, hint) {
		t.Errorf("%s: %q, and %q, in\n%s", strings.Join(o.args, " "), what, hint, o.err)
	}
}

// at finds a value in JSON by its path.
func at(t testing.TB, value any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				t.Fatalf("%v: only %d", path, len(list))
			}
			value = list[step]
		}
	}
	return value
}

// mustHave compares what is at the paths, words with dots between them that may be numbers, with what is wanted.
func mustHave(t testing.TB, report map[string]any, want map[string]any) {
	t.Helper()
	for path, value := range want {
		var steps []any
		for word := range strings.SplitSeq(path, ".") {
			if len(word) == 1 && word[0] >= '0' && word[0] <= '9' {
				steps = append(steps, int(word[0]-'0'))
			} else {
				steps = append(steps, word)
			}
		}
		if diff := cmp.Diff(value, at(t, report, steps...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// cmsBody is the CMS message, in DER or BER, that a message carries as its whole body in base64.
func cmsBody(t testing.TB, message []byte) []byte {
	t.Helper()
	_, body, _ := strings.Cut(strings.ReplaceAll(string(message), "\r\n", "\n"), "\n\n")
	der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// wholeLines is a text with CRLF line ends.
func wholeLines(text []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}
