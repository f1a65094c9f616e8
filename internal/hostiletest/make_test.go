package hostiletest

import (
	"flag"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/cryptotest"

	"github.com/sealmail/sealmail/internal/peertest"
)

var (
	makeMessages = flag.Bool("make", false, "make the messages in testdata/hostile anew")
	makePKI      = flag.Bool("make-keys", false, "make the keys in testdata/pki anew, which makes all messages useless that were made before")
)

// maxSize bounds a message, and maxTotal all of them: they are part of the source.
const (
	maxSize  = 100 << 10
	maxTotal = 3 << 20
)

// TestMake builds every message, and writes them all if that is asked for. What is random comes from the name of the case, so
// that the same source makes the same messages.
func TestMake(t *testing.T) {
	checkout, err := peertest.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	pki, dir := filepath.Join(checkout, "testdata", "pki"), filepath.Join(checkout, "testdata", "hostile")
	if *makePKI {
		makeKeys(pki)
	}
	if *makeMessages {
		forget(t, dir)
	}
	total, last := 0, ""
	lab := open(pki)
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			message := build(t, *lab, c)
			if len(message) > maxSize {
				t.Errorf("%d octets", len(message))
			}
			total += len(message)
			if sentences := strings.Count(c.Readme+" ", ". "); sentences < 2 {
				t.Errorf("the readme has %d sentences", sentences)
			}
			if c.Name <= last {
				t.Errorf("it is behind %s", last)
			}
			last = c.Name
			if !*makeMessages {
				return
			}
			for ending, data := range map[string]string{".eml": message, ".readme": wrapped(c.Readme)} {
				if err := os.WriteFile(filepath.Join(dir, c.Name+ending), []byte(data), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if total > maxTotal {
		t.Errorf("all messages together have %d octets", total)
	}
}

// build makes one message, the same each time.
func build(t *testing.T, l Lab, c Case) string {
	h := fnv.New64()
	if _, err := h.Write([]byte(c.Name)); err != nil {
		t.Fatal(err)
	}
	cryptotest.SetGlobalRandom(t, h.Sum64())
	l.messageID, l.serial = c.Name, int64(h.Sum64()>>8)
	return c.Build(&l)
}

// forget removes messages and readmes that are no longer made.
func forget(t *testing.T, dir string) {
	names := map[string]bool{}
	for _, c := range Cases() {
		names[c.Name] = true
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name, _, _ := strings.Cut(f.Name(), "."); !names[name] {
			if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// wrapped is a text in lines of at most 120 characters.
func wrapped(s string) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(s) {
		switch {
		case column == 0:
		case column+1+len(word) > 120:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String() + "\n"
}
