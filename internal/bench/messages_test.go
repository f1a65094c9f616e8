//go:build unix

package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
)

// BenchmarkOpenMany decrypts and verifies many messages in one process each.
func BenchmarkOpenMany(b *testing.B) {
	h := newHouse(b, rsa2048)
	h.writeMessages(b, letters, cms.AES256CBC, plain)
	perl := h.cryptSMIME(b)
	ours, alone := playing(b, "sealmail", h.work(b, "open", 0)), playing(b, "one-CPU", h.work(b, "open", 1))
	theirs, loop := playing(b, "Crypt::SMIME", perl), playing(b, "pkcs7", h.work(b, "pkcs7-open", 0))
	keys := playing(b, "keys", h.work(b, "keys", 0))
	for b.Loop() {
		takeTurns(b, 5, ours, theirs, loop, alone, keys)
	}
	report(b, letters, ours, alone, theirs, loop, keys)
	b.ReportMetric(ratio(theirs, ours), "x-Crypt::SMIME")
	b.ReportMetric(ratio(loop, ours), "x-pkcs7")
	b.ReportMetric(ratio(keys, ours), "of-keys")
	const work = "2,000 messages of 8 KB, RSA-2048, AES-256-CBC, decrypt + verify"
	measured.add(row{
		work: work, ours: ours.rate(letters), theirs: "Crypt::SMIME: " + theirs.rate(letters),
		ratio: fmt.Sprintf("%.2f ×", ratio(theirs, ours)), bar: "≥ 1.6 ×",
	})
	measured.add(row{
		work: "the same", ours: "the same", theirs: "pkcs7: " + loop.rate(letters), ratio: fmt.Sprintf("%.2f ×", ratio(loop, ours)), bar: "≥ 2 ×",
	})
	measured.add(row{
		work: "the same on one CPU", ours: alone.rate(letters), theirs: "both as above",
		ratio: fmt.Sprintf("%.2f ×, %.2f ×", ratio(theirs, alone), ratio(loop, alone)), bar: "—",
	})
}

// BenchmarkSealMany signs and encrypts many letters in one process each.
func BenchmarkSealMany(b *testing.B) {
	h := newHouse(b, rsa2048)
	ours, alone := playing(b, "sealmail", h.work(b, "seal", 0)), playing(b, "one-CPU", h.work(b, "seal", 1))
	loop := playing(b, "pkcs7", h.work(b, "pkcs7-seal", 0))
	for b.Loop() {
		takeTurns(b, 5, ours, loop, alone)
	}
	report(b, letters, ours, alone, loop)
	b.ReportMetric(ratio(loop, ours), "x-pkcs7")
	measured.add(row{
		work: "2,000 letters of 8 KB, RSA-2048, AES-256-CBC, sign + encrypt", ours: ours.rate(letters), theirs: "pkcs7: " + loop.rate(letters),
		ratio: fmt.Sprintf("%.2f ×", ratio(loop, ours)), bar: "≥ 1.6 ×",
	})
	measured.add(row{
		work: "the same on one CPU", ours: alone.rate(letters), theirs: "as above", ratio: fmt.Sprintf("%.2f ×", ratio(loop, alone)), bar: "—",
	})
}

// BenchmarkOpenManyEC is BenchmarkOpenMany with the keys and the cipher of today, against what the keys alone cost.
func BenchmarkOpenManyEC(b *testing.B) {
	h, sent := newHouse(b, p256), newHouse(b, p256)
	h.writeMessages(b, letters, cms.AES256GCM, plain)
	sent.writeMessages(b, letters, cms.AES256GCM, protected)
	ours, alone := playing(b, "sealmail", h.work(b, "open", 0)), playing(b, "one-CPU", h.work(b, "open", 1))
	keys, keysAlone := playing(b, "keys", h.work(b, "keys", 0)), playing(b, "keys-one-CPU", h.work(b, "keys", 1))
	own := playing(b, "protected", sent.work(b, "open", 0))
	for b.Loop() {
		takeTurns(b, 25, ours, keys, alone, keysAlone, own) // the difference is small, and a turn short
	}
	report(b, letters, ours, alone, own, keys, keysAlone)
	b.ReportMetric(ratio(keys, ours), "of-keys")
	measured.add(row{
		work: "2,000 messages of 8 KB, P-256, AES-256-GCM, decrypt + verify", ours: ours.rate(letters), theirs: "its key operations: " + keys.rate(letters),
		ratio: fmt.Sprintf("%.2f", ratio(keys, ours)), bar: "≥ 0.65",
	})
	measured.add(row{
		work: "the same, the header protected as well", ours: own.rate(letters), theirs: "as above", ratio: fmt.Sprintf("%.2f", ratio(keys, own)), bar: "—",
	})
	measured.add(row{
		work: "the first on one CPU", ours: alone.rate(letters), theirs: "its key operations: " + keysAlone.rate(letters),
		ratio: fmt.Sprintf("%.2f", ratio(keysAlone, alone)), bar: "—",
	})
}

// TestContenders: what is compared does the same work. Each contender opens what is in order, and refuses what was altered,
// and what is signed by somebody whom no path leads to.
func TestContenders(t *testing.T) {
	h, other := newHouse(t, rsa2048), newHouse(t, rsa2048)
	h.writeMessages(t, 2, cms.AES256CBC, plain)
	stranger, err := other.signing(sender(0))
	if err != nil {
		t.Fatal(err)
	}
	known, err := h.signing(sender(0))
	if err != nil {
		t.Fatal(err)
	}
	altered := h.message(t, 0, known, cms.AES256CBC, plain, func(signed []byte) []byte {
		return bytes.Replace(signed, []byte("letter number"), []byte("lemmer number"), 1)
	})
	cases := map[string]struct {
		message []byte
		refused bool
	}{"in order": {}, "untrusted": {h.message(t, 0, stranger, cms.AES256CBC, plain, nil), true}, "altered": {altered, true}}
	for name, test := range cases {
		own := house{t.TempDir()}
		if err := os.CopyFS(own.dir, os.DirFS(h.dir)); err != nil {
			t.Fatal(err)
		}
		if test.message != nil {
			own.write(t, filepath.Join("messages", "0001.eml"), test.message)
		}
		for contender, command := range map[string]func(t testing.TB) *exec.Cmd{
			"open":         func(t testing.TB) *exec.Cmd { return own.work(t, "open", 0) },
			"pkcs7":        func(t testing.TB) *exec.Cmd { return own.work(t, "pkcs7-open", 0) },
			"Crypt::SMIME": func(t testing.TB) *exec.Cmd { return own.cryptSMIME(t) },
		} {
			t.Run(contender+" "+name, func(t *testing.T) {
				p, err := start(command(t))
				if err != nil {
					t.Fatal(err)
				}
				_, playErr := p.play()
				_, endErr := p.end()
				if refused := playErr != nil || endErr != nil; refused != test.refused {
					t.Errorf("refused: %t, want %t: %v, %v", refused, test.refused, playErr, endErr)
				}
			})
		}
	}
}

// TestSealed: what the contenders seal is opened by ours, with both layers in order.
func TestSealed(t *testing.T) {
	h := newHouse(t, rsa2048)
	s, err := h.sealing()
	if err != nil {
		t.Fatal(err)
	}
	o, err := h.opening()
	if err != nil {
		t.Fatal(err)
	}
	o.policy.Own = nil
	var signed, sealed, content bytes.Buffer
	if err := s.seal(3, &signed, &sealed); err != nil {
		t.Fatal(err)
	}
	theirs, err := s.sealWithPKCS7(3)
	if err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string][]byte{"ours": sealed.Bytes(), "pkcs7": theirs} {
		if err := o.open(message, &content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(content.Bytes(), s.letters[3]) {
			t.Errorf("%s: the content is %q", name, content.String())
		}
	}
}
