//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
)

// archivedMessages is how many messages are archived from Dovecot.
const archivedMessages = 10_000

// archiver makes an archiving certificate, and takes it into a home.
func (h *peerHouse) archiver(t *testing.T, home string) {
	t.Helper()
	h.sealmail(t, "nobody", "ca", "issue", "--dir", h.file("ca"), "--ca-passphrase-file", h.file("password"), "--purpose", "archive", "--key", "p256", "--name", "Peers Archive",
		"-o", "archive.p12", "--p12-password-file", h.file("password")).mustBe(t, exitGood)
	h.sealmail(t, home, "cert", "import", h.file("archive.p12"), "--p12-password-file", h.file("password")).mustBe(t, exitGood)
}

// numberedLetter is a message that is other than every other, now and then an odd one.
func numberedLetter(i int) []byte {
	head := fmt.Sprintf("From: <alice@example.test>\r\nTo: <bob@example.test>\r\nSubject: Letter %d\r\nDate: %s\r\nMessage-ID: <%d@example.test>\r\n",
		i, time.Unix(1763715731+int64(i), 0).UTC().Format(time.RFC1123Z), i)
	switch {
	case i%1000 == 1:
		return []byte("this is no header\r\n" + head + "\r\nbroken from the first line on\r\n")
	case i%1000 == 2:
		return []byte(head + "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\n\r\nTUlNRQ==\r\n")
	case i%1000 == 3:
		return []byte(head + "\r\n")
	}
	return []byte(head + "\r\n" + strings.Repeat(fmt.Sprintf("line of letter %d\r\n", i), 1+i%400))
}

// TestArchiveDovecot archives a large folder of Dovecot's, verifies and exports it, and goes on where it was.
func TestArchiveDovecot(t *testing.T) {
	t.Parallel()
	s := peertest.MailServers(t)
	h := newPeerHouse(t)
	h.serveTSA(t)
	defer h.stopTSA(t)
	const home, folder, to = "alice-archive", "Large", "mail-archive"
	h.account(t, s, home, "alice", "p256", false, "--unprotected").mustBe(t, exitGood)
	h.archiver(t, home)
	s.Fill(t, peerAlice, folder, 0, archivedMessages, numberedLetter)

	pull := func(want int) {
		t.Helper()
		o := h.sealmail(t, home, "archive", "pull", folder, "--to", h.file(to), "--json").mustBe(t, exitGood)
		if n := strings.Count(o.out, "\n"); n != want {
			t.Fatalf("%d messages were archived, want %d: %s", n, want, o.err)
		}
	}
	pull(archivedMessages)
	pull(0)
	s.Fill(t, peerAlice, folder, archivedMessages, archivedMessages+100, numberedLetter)
	pull(100)

	verdict := lastLine(t, h.sealmail(t, home, "archive", "verify", "--json").mustBe(t, exitGood))
	mustHave(t, verdict, map[string]any{"verdict": "passed", "messages": float64(archivedMessages + 100), "checked": float64(archivedMessages + 100), "unstamped": 0.0, "witness": true})

	var want []string
	for i := range archivedMessages + 100 {
		sum := sha256.Sum256(numberedLetter(i))
		want = append(want, hex.EncodeToString(sum[:]))
	}
	slices.Sort(want)
	var listed []string
	lines := json.NewDecoder(strings.NewReader(h.sealmail(t, home, "archive", "list", "--json").mustBe(t, exitGood).out))
	for lines.More() {
		var line struct{ SHA256 string }
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		listed = append(listed, line.SHA256)
	}
	slices.Sort(listed)
	if !slices.Equal(listed, want) {
		t.Errorf("%d messages are listed, of %d that there are, or others", len(listed), len(want))
	}
	h.exported(t, home, want)
	for _, i := range []int{1, 2, 3, 4, archivedMessages} {
		raw, err := h.command(t, home, "archive", "read", fmt.Sprint(i+1), "--raw").Output()
		if err != nil || !bytes.Equal(raw, numberedLetter(i)) {
			t.Errorf("message %d: %v, %.100q", i+1, err, raw)
		}
	}
	proof := h.file("proof")
	h.sealmail(t, home, "archive", "prove", "5000", "--to", proof).mustBe(t, exitGood)
	followReadme(t, proof)
}

// followReadme does what the README of a proof says, by what it asks for alone.
func followReadme(t *testing.T, dir string) {
	t.Helper()
	out, err := exec.Command("sh", "-c", `cd "$1" && sed -n 's/^\$ //p' README.txt >/dev/null && test "$(grep -c '^\$ ' README.txt)" -ge 6 && sed -n 's/^\$ //p' README.txt | sh -e`, "sh", dir).CombinedOutput()
	if err != nil {
		t.Errorf("README of the proof: %v\n%s", err, out)
	}
}

// lastLine is the last of the objects that a command printed.
func lastLine(t *testing.T, o outcome) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(o.out), "\n")
	var object map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &object); err != nil {
		t.Fatalf("%v: %s", err, lines[len(lines)-1])
	}
	return object
}

// exported exports an archive into a bag, whose manifest sha512sum can check, and which has messages with these SHA-256 and no others.
func (h *peerHouse) exported(t *testing.T, home string, want []string) {
	t.Helper()
	to := h.file("exported")
	h.sealmail(t, home, "archive", "export", "--format", "bag", "--to", to).mustBe(t, exitGood)
	// The checker that was written from the RFC is too slow for so many files; smaller bags are given to it elsewhere.
	sums := exec.Command("sha512sum", "--quiet", "--strict", "-c", "manifest-sha512.txt")
	sums.Dir = to
	if out, err := sums.CombinedOutput(); err != nil {
		t.Errorf("manifest: %v\n%s", err, out)
	}
	var got []string
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".eml" {
			return err
		}
		octets, err := os.ReadFile(path)
		sum := sha256.Sum256(octets)
		got = append(got, hex.EncodeToString(sum[:]))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d messages were exported, of %d, or others", len(got), len(want))
	}
}
