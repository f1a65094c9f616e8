package client_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/internal/safeio"
)

// importWords are the kinds and subjects of what an import made.
func importWords(lines []client.CertificateLine) string {
	var words []string
	for _, line := range lines {
		words = append(words, line.Kind+" "+line.Subject)
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// splitPEM writes the keys and the certificates of a file into two.
func (w *world) splitPEM(name string) (key, certs string) {
	w.t.Helper()
	var keys, rest []byte
	for data := []byte(w.read(name + ".pem")); ; {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return w.write(name+".key", string(keys)), w.write(name+".crt", string(rest))
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			keys = append(keys, pem.EncodeToMemory(block)...)
		} else {
			rest = append(rest, pem.EncodeToMemory(block)...)
		}
	}
}

// TestImportJoins: key and certificate find each other in whatever files and whatever order they come.
func TestImportJoins(t *testing.T) {
	tests := []struct {
		name  string
		files [][]string // one import after the other
		want  []string   // what each makes, or the reason why it does not
	}{
		{"one file", [][]string{{"alice.pem"}}, []string{"identity alice"}},
		{"two files", [][]string{{"alice.key", "alice.crt"}}, []string{"identity alice"}},
		{"two files, the certificate first", [][]string{{"alice.crt", "alice.key"}}, []string{"identity alice"}},
		{"two people", [][]string{{"bob.crt", "alice.key", "alice.crt"}}, []string{"correspondent bob, identity alice"}},
		{"the key later", [][]string{{"alice.crt"}, {"alice.key"}}, []string{"correspondent alice", "identity alice"}},
		{"the certificate again", [][]string{{"alice.pem"}, {"alice.crt"}}, []string{"identity alice", "identity alice"}},
		{"a renewed certificate", [][]string{{"alice.pem"}, {"renewed.crt"}}, []string{"identity alice", "identity alice renewed"}},
		{"a key alone", [][]string{{"alice.key"}}, []string{"alice.key: it has a private key without its certificate"}},
		{"another's certificate", [][]string{{"alice.key", "bob.crt"}}, []string{"alice.key: it has a private key without its certificate"}},
		{"a broken file among good ones", [][]string{{"alice.pem", "broken.pem"}, {"alice.key"}}, []string{"broken.pem: malformed: 1 of 1 blocks", "alice.key: it has a private key without"}},
		{"authorities alone", [][]string{{"root.pem", "issuing.pem"}}, []string{"issuer Test, issuer Test Issuing CA"}},
		{"an authority among others", [][]string{{"bob.crt", "root.pem"}}, []string{"correspondent bob"}},
		{"the authorities of others before them", [][]string{{"root.pem", "issuing.pem", "bob.crt"}}, []string{"correspondent bob"}},
	}
	w := newWorld(t)
	for _, name := range []string{"alice", "bob"} {
		w.issue(name, "p256")
		w.splitPEM(name)
	}
	w.write("renewed.crt", renew(t, w, "alice"))
	w.write("broken.pem", "-----BEGIN CERTIFICATE-----\nMII")
	for _, name := range []string{"root.pem", "issuing.pem"} {
		w.write(name, w.read("ca/"+name))
	}
	// As they are, and so long that they are read piece by piece, which makes no difference.
	filler := strings.Repeat("text around the blocks does no harm\n", 32<<10)
	for _, name := range []string{"alice.pem", "alice.key", "alice.crt", "bob.crt", "renewed.crt", "broken.pem", "root.pem", "issuing.pem"} {
		w.write("long-"+name, w.read(name)+"\n"+filler)
	}
	for _, length := range []string{"", "long-"} {
		for _, test := range tests {
			t.Run(length+test.name, func(t *testing.T) {
				home := &world{t: t, dir: t.TempDir()}
				c := home.client()
				for i, names := range test.files {
					var files []string
					for _, name := range names {
						files = append(files, w.in(length+name))
					}
					lines, err := c.CertImport(t.Context(), client.CertImportParams{Files: files})
					if got := importWords(lines); err != nil && (got != "" || !strings.Contains(err.Error(), test.want[i]) || strings.Contains(err.Error(), "\n")) || err == nil && got != test.want[i] {
						t.Fatalf("import %d: %q, %v, want %q", i+1, got, err, test.want[i])
					}
				}
			})
		}
	}
}

// renew makes another certificate over somebody's key.
func renew(t *testing.T, w *world, name string) string {
	t.Helper()
	bundle, err := certstore.ParsePEM([]byte(w.read(name + ".pem")))
	if err != nil {
		t.Fatal(err)
	}
	template := *bundle.Certificates[0]
	template.Subject.CommonName += " renewed"
	template.RawSubject = nil
	der, err := x509.CreateCertificate(nil, &template, &template, template.PublicKey, bundle.Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestImportLockedVault: where the vault does not open nothing is stored, not even what needs no vault; a certificate
// alone never asks for the passphrase.
func TestImportLockedVault(t *testing.T) {
	w := newWorld(t)
	w.issue("alice", "p256")
	w.issue("bob", "p256")
	w.splitPEM("bob")
	o := w.options()
	o.Passphrase = func(context.Context, bool) ([]byte, error) { return nil, errors.New("nobody answers") }
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if lines, err := c.CertImport(t.Context(), client.CertImportParams{Files: []string{w.in("bob.crt"), w.in("alice.pem")}}); err == nil || len(lines) > 0 {
		t.Errorf("%v, %v", lines, err)
	}
	if list, err := c.CertList(client.CertListParams{}); err != nil || len(list) > 0 {
		t.Errorf("stored all the same: %v, %v", list, err)
	}
	if lines, err := c.CertImport(t.Context(), client.CertImportParams{Files: []string{w.in("bob.crt")}}); err != nil || importWords(lines) != "correspondent bob" {
		t.Errorf("%v, %v", lines, err)
	}
}

// TestImportSays: what was passed over, what is weak, and that each file's password is asked for once and where it is needed.
func TestImportSays(t *testing.T) {
	w := newWorld(t)
	w.issue("alice", "p256")
	_, certs := w.splitPEM("alice")
	bundle, err := certstore.ParsePEM([]byte(w.read("alice.pem")))
	if err != nil {
		t.Fatal(err)
	}
	p12, err := pkcs12.LegacyRC2.Encode(bundle.Keys[0], bundle.Certificates[0], bundle.Certificates[1:], "secret")
	if err != nil {
		t.Fatal(err)
	}
	w.write("alice.p12", string(p12))
	w.write("odd.pem", "-----BEGIN DSA PRIVATE KEY-----\nMAA=\n-----END DSA PRIVATE KEY-----\n"+w.read("alice.crt"))
	var asked []string
	p := client.CertImportParams{Files: []string{certs, w.in("alice.p12"), w.in("odd.pem"), w.in("ca/root.pem")},
		Password: func(file string) ([]byte, error) {
			asked = append(asked, filepath.Base(file))
			return []byte("secret"), nil
		}}
	lines, err := w.client().CertImport(t.Context(), p)
	if err != nil || importWords(lines) != "identity alice" {
		t.Fatalf("%v, %v", lines, err)
	}
	if !slices.Equal(asked, []string{"alice.p12"}) {
		t.Errorf("asked for the passwords of %v", asked)
	}
	said := strings.Join(w.said, "\n")
	for _, want := range []string{"odd.pem: passed over: private key: unsupported kind of private key: DSA"} {
		if !strings.Contains(said, want) {
			t.Errorf("not said: %s\n%s", want, said)
		}
	}
	other := newWorld(t)
	if _, err := w.client().CertImport(t.Context(), client.CertImportParams{Files: []string{certs, other.in("ca/root.pem")}}); err != nil {
		t.Fatal(err)
	}
	if said := strings.Join(w.said, "\n"); !strings.Contains(said, `kept to build paths, and not trusted, as of authorities: "Test"; to trust one`) {
		t.Errorf("said %q", said)
	}
}

// TestExportIsRecorded: no file with a key appears of which there is no record, whichever step fails; and the record says
// what, who, when and where.
func TestExportIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.issue("alice", "p256")
	if _, err := w.client().CertImport(t.Context(), client.CertImportParams{Files: []string{w.in("alice.pem")}}); err != nil {
		t.Fatal(err)
	}
	errFault := errors.New("no space left")
	exports := func() []certstore.Export {
		list, problems, err := certstore.New(w.options().Home.Certificates(), safeio.Disk{}, nil).Exports()
		if err != nil || len(problems) > 0 {
			t.Fatalf("%v, %v", problems, err)
		}
		return list
	}
	for step := 1; ; step++ {
		out := filepath.Join(t.TempDir(), "alice.p12")
		o, count, before := w.options(), 0, len(exports())
		o.Disk = safeio.Disk{Before: func(string, string) error {
			if count++; count == step {
				return errFault
			}
			return nil
		}}
		c, err := client.New(o)
		if err != nil {
			t.Fatal(err)
		}
		err = c.CertExport(t.Context(), client.CertExportParams{Which: "alice@example.org", WithKey: true, Legacy: true, By: "alice on earth",
			Password: func() ([]byte, error) { return []byte("correct horse"), nil }}, client.Output{Name: out})
		c.Close()
		_, statErr := os.Stat(out)
		recorded := len(exports()) - before
		if statErr == nil && recorded != 1 {
			t.Fatalf("step %d: a file with a key, and %d records", step, recorded)
		}
		if err == nil {
			if statErr != nil || step < 8 {
				t.Fatalf("done after %d steps: %v", step, statErr)
			}
			last := exports()[len(exports())-1]
			if last.By != "alice on earth" || !last.Time.Equal(now()) || last.Format != "pkcs12-legacy" || last.Name != "alice" {
				t.Errorf("%+v", last)
			}
			if !slices.ContainsFunc(exports(), func(e certstore.Export) bool { return e.File == out }) {
				t.Errorf("no record names %s", out)
			}
			break
		}
		if !errors.Is(err, errFault) {
			t.Fatalf("step %d: %v", step, err)
		}
	}
}

// TestExportForms writes each form and reads it again; a file that is there is replaced only where somebody says so.
func TestExportForms(t *testing.T) {
	w := newWorld(t)
	w.issue("alice", "p256")
	c := w.client()
	if _, err := c.CertImport(t.Context(), client.CertImportParams{Files: []string{w.in("alice.pem")}}); err != nil {
		t.Fatal(err)
	}
	errNo := errors.New("better not")
	for name, test := range map[string]struct {
		key         bool
		password    string
		certs, keys int
		warned      string
		err         string
	}{
		"x.pem":    {certs: 2},
		"x.p7c":    {certs: 2},
		"x.P7B":    {certs: 2},
		"x.der":    {certs: 1},
		"x.cer":    {certs: 1},
		"x.p12":    {key: true, password: "correct horse", certs: 2, keys: 1},
		"x.pfx":    {key: true, password: "short", certs: 2, keys: 1, warned: "less than 8 octets"},
		"none.p12": {key: true, err: "an empty password would protect nothing"},
		"key.pem":  {key: true, err: "a private key leaves only in a PKCS#12 file"},
		"no.p12":   {err: "a PKCS#12 file is for a private key"},
	} {
		w.said = nil
		p := client.CertExportParams{Which: "alice@example.org", WithKey: test.key, Password: func() ([]byte, error) { return []byte(test.password), nil },
			Replace: func(string) error { return errNo }}
		err := c.CertExport(t.Context(), p, client.Output{Name: w.in(name)})
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		bundle, err := certstore.ReadFile([]byte(w.read(name)), p.Password)
		if err != nil || len(bundle.Certificates) < test.certs || test.certs == 1 && len(bundle.Certificates) > 1 || len(bundle.Keys) != test.keys {
			t.Errorf("%s: %d certificates, %d keys, %v", name, len(bundle.Certificates), len(bundle.Keys), err)
		}
		if info, err := os.Stat(w.in(name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		if said := strings.Join(w.said, "\n"); !strings.Contains(said, test.warned) || test.warned == "" && strings.Contains(said, "password") {
			t.Errorf("%s: said %q", name, said)
		}
		before := w.read(name)
		if err := c.CertExport(t.Context(), p, client.Output{Name: w.in(name)}); !errors.Is(err, errNo) || w.read(name) != before {
			t.Errorf("%s was replaced: %v", name, err)
		}
		p.Replace = func(string) error { return nil }
		if err := c.CertExport(t.Context(), p, client.Output{Name: w.in(name)}); err != nil {
			t.Errorf("%s, to be replaced: %v", name, err)
		}
	}
}

// TestImportLabel: what a file calls a certificate is what the identity is called.
func TestImportLabel(t *testing.T) {
	w := newWorld(t)
	// The friendlyName of the certificate is what Mozilla's programs and OpenSSL -name write; the file is NSS's.
	c := w.client()
	p := client.CertImportParams{Files: []string{peertest.Corpora(t, "thunderbird", "Alice.p12")}, Password: func(string) ([]byte, error) { return []byte("nss"), nil }}
	if _, err := c.CertImport(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	labelled := func(when string) []*certstore.Identity {
		identities, _, err := certstore.New(w.options().Home.Certificates(), safeio.Disk{}, nil).Identities()
		if err != nil || len(identities) != 1 || identities[0].Label != "Alice" {
			t.Fatalf("%s: %+v, %v", when, identities, err)
		}
		return identities
	}
	again := w.write("again.pem", string(certstore.EncodeCertificates(labelled("from the file")[0].Chain...)))
	if _, err := c.CertImport(t.Context(), client.CertImportParams{Files: []string{again}}); err != nil {
		t.Fatal(err)
	}
	labelled("from a file without a name")
}

// addressBook writes a file of so many certificates of strangers, with their authority behind them, and returns its name.
func addressBook(t testing.TB, count int) string {
	t.Helper()
	issuer := certify(t, nil, "Authority")
	leaf := certify(t, issuer, "stranger@example.org")
	var book bytes.Buffer
	for i := range count {
		template := *leaf.cert
		template.SerialNumber, template.EmailAddresses, template.ExtraExtensions = big.NewInt(int64(i+2)), []string{fmt.Sprintf("stranger%d@example.org", i)}, nil
		der, err := x509.CreateCertificate(nil, &template, issuer.cert, leaf.cert.PublicKey, issuer.key)
		if err != nil {
			t.Fatal(err)
		}
		if err := pem.Encode(&book, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	book.Write(certstore.EncodeCertificates(issuer.cert))
	name := filepath.Join(t.TempDir(), "book.pem")
	if err := os.WriteFile(name, book.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestImportLong: what is told is what is stored, each once, with the chain through an authority that comes last. After an
// interruption, and after a disk that is full, what was stored stays, the error says how much that is, and the same import
// goes on.
func TestImportLong(t *testing.T) {
	const count = 3000
	w := newWorld(t)
	book := addressBook(t, count)
	stored := func() int {
		c := w.client()
		defer c.Close()
		list, err := c.CertList(client.CertListParams{Kind: "correspondent"})
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	full := errors.New("no space left on device")
	for _, end := range []struct {
		name string
		want string
	}{{"interrupted", "cert import: interrupted"}, {"full", "cert import: certificate store: rename"}, {"done", ""}} {
		ctx, cancel := context.WithCancel(t.Context())
		o, told := w.options(), 0
		o.Disk = safeio.Disk{Before: func(op, _ string) error {
			if end.name == "full" && told > 0 && op == safeio.OpRename {
				return full
			}
			return nil
		}}
		c, err := client.New(o)
		if err != nil {
			t.Fatal(err)
		}
		p := client.CertImportParams{Files: []string{book}, Imported: func(lines []client.CertificateLine) error {
			if told += len(lines); end.name == "interrupted" {
				cancel()
			}
			return nil
		}}
		lines, err := c.CertImport(ctx, p)
		c.Close()
		cancel()
		if len(lines) > 0 || end.want == "" && (err != nil || told != count) {
			t.Fatalf("%s: %d told, %d returned, %v", end.name, told, len(lines), err)
		}
		there := stored()
		if told == 0 || there < told {
			t.Errorf("%s: %d were told of, %d are stored", end.name, told, there)
		}
		if end.want == "" {
			continue
		}
		var known *client.Error
		if !errors.As(err, &known) || !strings.HasPrefix(err.Error(), end.want) || !strings.HasPrefix(known.Hint, fmt.Sprintf("%d certificates were imported before that, and stay", told)) || told == count {
			t.Errorf("%s: %v, %+v, after %d", end.name, err, known, told)
		}
	}
	if got := stored(); got != count {
		t.Errorf("%d are stored", got)
	}
	c := w.client()
	defer c.Close()
	shown, err := c.CertShow(t.Context(), "stranger77@example.org", nil)
	if err != nil || len(shown) != 1 || len(shown[0].Path) != 2 {
		t.Errorf("%+v, %v", shown, err)
	}
	if issuers, err := c.CertList(client.CertListParams{Kind: "issuer"}); err != nil || len(issuers) != 1 {
		t.Errorf("authorities: %v, %v", issuers, err)
	}
}

// TestImportLongChanged has a file that is written to between its readings: what was seen to be good is not what is there.
func TestImportLongChanged(t *testing.T) {
	w := newWorld(t)
	book := addressBook(t, 3000)
	c := w.client()
	defer c.Close()
	var changed error
	_, err := c.CertImport(t.Context(), client.CertImportParams{Files: []string{book}, Imported: func([]client.CertificateLine) error {
		f, err := os.OpenFile(book, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString("more\n")
			err = errors.Join(err, f.Close())
		}
		changed = errors.Join(changed, err)
		return nil
	}})
	if !errors.Is(err, client.ErrChanged) || changed != nil {
		t.Errorf("%v, %v", err, changed)
	}
}

// BenchmarkCertImport imports files of many certificates: the time for each, and the memory, are to stay the same.
func BenchmarkCertImport(b *testing.B) {
	for _, count := range []int{5_000, 20_000, 100_000} {
		book := addressBook(b, count)
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			var peak uint64
			p := client.CertImportParams{Files: []string{book}, Imported: func([]client.CertificateLine) error {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapInuse)
				return nil
			}}
			for b.Loop() {
				b.StopTimer()
				c, err := client.New((&world{dir: b.TempDir()}).options())
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if _, err := c.CertImport(b.Context(), p); err != nil {
					b.Fatal(err)
				}
				c.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*count), "µs/certificate")
			b.ReportMetric(float64(peak>>20), "MiB-heap")
		})
	}
}
