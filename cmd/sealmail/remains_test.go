//go:build unix

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/index/indextest"
)

// TestNothingRemains: of mail that `delete --permanently` has deleted, signed or encrypted, no octet is left in any file of the
// home for who has its keys; of other mail there is. The same holds of mail that was deleted elsewhere, after the next fetch.
func TestNothingRemains(t *testing.T) {
	w := newKillLab(t).world(t, "")
	for _, person := range []string{killAlice, killBob} {
		w.run(t, person, w.initArgs(person)...).mustBe(t, exitGood)
	}
	w.run(t, killAlice, "cert", "import", w.file(killBob+".pem")).mustBe(t, exitGood)
	const marker, other = "xyzzymarker", "plughmarker"
	w.write(t, marker, strings.Repeat("Xyzzymarker\nWORD ", 20))
	w.write(t, other, strings.Repeat("plughmarker word ", 20))
	for _, words := range [][]string{{other, "--no-encrypt"}, {marker, "--no-encrypt"}, {marker}, {other}} {
		args := []string{"send", "--to", killBob, "--no-timestamp", "--subject", words[0], "--body", w.file(words[0])}
		w.run(t, killAlice, append(args, words[1:]...)...).mustBe(t, exitGood)
	}
	w.run(t, killBob, "fetch", "--strict").mustBe(t, exitGood)
	w.run(t, killBob, "read", "1:4").mustBe(t, exitGood)

	raw := w.octets(t, killBob)
	folded := func(word string) []byte { return bytes.TrimSpace(bytes.Repeat([]byte(word+" word "), 20)) }
	ofMarker := [][]byte{raw[1], raw[2], folded(marker)}
	ofOther := [][]byte{raw[0], raw[3], folded(other)}
	if found := w.remains(t, killBob, marker, ofMarker); len(found) < 3 { // a file of the database, and a segment of each kind
		t.Fatalf("while it is there, it is found in %v alone", found)
	}
	for _, octets := range ofMarker {
		if found := w.remains(t, killBob, "nothing", [][]byte{octets}); len(found) == 0 {
			t.Errorf("while it is there, this is not found:\n%s", octets)
		}
	}
	w.run(t, killBob, "delete", "2:3", "--permanently", "--yes").mustBe(t, exitGood)
	if found := w.remains(t, killBob, marker, ofMarker); len(found) > 0 {
		t.Errorf("after the deletion it is found in %v", found)
	}
	if found := w.remains(t, killBob, other, ofOther); len(found) < 3 {
		t.Errorf("the rest is found in %v alone", found)
	}

	elsewhere := &killWorld{killLab: w.killLab, dir: killDir(t)}
	elsewhere.run(t, killBob, w.initArgs(killBob)...).mustBe(t, exitGood)
	elsewhere.run(t, killBob, "delete", "4", "--permanently", "--yes").mustBe(t, exitGood)
	w.run(t, killBob, "fetch").mustBe(t, exitGood)
	if found := w.remains(t, killBob, "nothing", [][]byte{raw[3]}); len(found) > 0 {
		t.Errorf("after it was deleted elsewhere it is found in %v", found)
	}
}

// octets are the messages in somebody's inbox at the embedded server.
func (w *killWorld) octets(t *testing.T, person string) (all [][]byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(w.dir, "mail", person, "INBOX", "*.eml"))
	for _, name := range names {
		data, readErr := os.ReadFile(name)
		all, err = append(all, data), errors.Join(err, readErr)
	}
	if err != nil || len(all) != 4 {
		t.Fatalf("%d messages, %v", len(all), err)
	}
	return all
}

// remains returns the files of somebody's home in which a word is, or octets of the index.
func (w *killWorld) remains(t *testing.T, person, word string, octets [][]byte) []string {
	t.Helper()
	home := config.HomeAt(w.home(person))
	v, err := vault.Open(safeio.Disk{}, home.Vault())
	if err != nil {
		t.Fatal(err)
	}
	key, err := v.Get("index:" + url.PathEscape(person))
	if err != nil {
		t.Fatal(err)
	}
	found, err := indextest.Remains(home.Index(person), [32]byte(key), []string{word}, octets...)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(w.home(person), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(bytes.ToLower(data), []byte(word)) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
