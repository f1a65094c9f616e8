//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os/exec"
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

	want := map[string]bool{}
	for i := range archivedMessages + 100 {
		sum := sha256.Sum256(numberedLetter(i))
		want[hex.EncodeToString(sum[:])] = true
	}
	lines := json.NewDecoder(strings.NewReader(h.sealmail(t, home, "archive", "list", "--json").mustBe(t, exitGood).out))
	for lines.More() {
		var line struct{ SHA256 string }
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if !want[line.SHA256] {
			t.Errorf("SHA-256 %s is of no message", line.SHA256)
		}
		delete(want, line.SHA256)
	}
	if len(want) > 0 {
		t.Errorf("%d messages are missing", len(want))
	}
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
