//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

// readMemory is how much memory, in KiB, reading one message may take, program and all, whatever the message is. It is what
// docs/threat-model.md says.
const readMemory = 96 << 10

// expensive are messages that go to a bound in as few octets as they can.
func expensive() map[string]string {
	const header = "From: a@example.test\r\nTo: b@example.test\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
	repeat := func(s string, total int) string { return strings.Repeat(s, total/len(s)) }
	html := func(body string) string { return header + "Content-Type: text/html\r\n\r\n" + body }
	multipart := func(kind, part string, n int) string {
		return header + "Content-Type: multipart/" + kind + "; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n"+part+"\r\n", n) + "--b--\r\n"
	}
	nested := func(head string, n int) string {
		var b strings.Builder
		b.WriteString(header)
		for i := range n {
			fmt.Fprintf(&b, head, i, i)
		}
		return b.String()
	}
	const mib = 1 << 20
	return map[string]string{
		"many fields":         header + repeat("X: y\r\n", mib-200) + "\r\nbody",
		"one long field":      header + "X: " + repeat("y", mib-200) + "\r\n\r\nbody",
		"a header too long":   header + repeat("X: y\r\n", 64*mib) + "\r\nbody",
		"many recipients":     header + "Cc: " + repeat("a@b.c,", 200<<10) + "d@e.f\r\n\r\nbody",
		"many comments":       "From: " + repeat("(a@b)", 60<<10) + " a@b.c\r\n\r\nbody",
		"many encoded words":  header + "Comments: " + repeat("=?utf-8?q?=41?= ", mib-200) + "\r\n\r\nbody",
		"a long text":         header + "\r\n" + repeat("a line of text\r\n", 64*mib),
		"one long line":       header + "\r\n" + repeat("x", 64*mib),
		"only controls":       header + "\r\n" + repeat("\x1b", 4*mib),
		"combining marks":     header + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + repeat("a\u0301\u0301\u0301", 4*mib),
		"divs":                html(repeat("<div>", 4*mib)),
		"lists":               html(repeat("<ul><li>", 4*mib)),
		"tables":              html(repeat("<table><tr><td>", 4*mib)),
		"links":               html(repeat("<a href=http://a.b>", 4*mib)),
		"links that lie":      html(repeat("<a href=http://a.b>http://c.d</a>", 4*mib)),
		"images":              html(repeat("<img src=http://a.b/c alt=d>", 4*mib)),
		"style rules":         html("<style>" + repeat("p.a{display:none}", mib/2) + "</style>" + repeat("<p class=a>x", mib/2)),
		"entities":            html(repeat("&amp;", 4*mib)),
		"quotes":              html(repeat("<blockquote>x", 4*mib)),
		"attributes":          html("<a " + repeat("x=y ", 4*mib) + ">"),
		"many parts":          multipart("mixed", "Content-Type: text/html\r\n\r\n<p>"+repeat("<b>x</b>", 20<<10), 1200),
		"many alternatives":   multipart("alternative", "Content-Type: text/plain\r\n\r\nx", 5000),
		"many file names":     multipart("mixed", "Content-Disposition: attachment; filename=\""+repeat("x", 30<<10)+"\"\r\n\r\ny", 1200),
		"deep multiparts":     nested("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", 2000),
		"deep messages":       nested("Content-Type: message/rfc822; x=%d; y=%d\r\n\r\n", 2000),
		"many signed parts":   multipart("mixed", "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=c\r\n\r\n--c\r\n\r\n"+repeat("x", 20<<10)+"\r\n--c\r\nContent-Type: application/pkcs7-signature\r\n\r\nMIAG\r\n--c--\r\n", 1200),
		"parameters":          header + "Content-Type: text/plain" + repeat("; x=y", mib-300) + "\r\n\r\nbody",
		"pieces of parameter": header + "Content-Disposition: attachment" + repeat("; filename*0=y", mib-300) + "\r\n\r\nbody",
		"a boundary":          header + "Content-Type: multipart/mixed; boundary=-\r\n\r\n" + repeat("---\r\n", 16*mib),
		"base64":              header + "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + repeat("QUFB\r\n", 64*mib),
		"quoted-printable":    header + "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + repeat("=41=\r\n", 64*mib),
		"spaces":              header + "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + repeat(" ", 64*mib),
		"a mailbox file":      repeat("From a Sat Nov 21\n\n", 4*mib),
		"protected fields":    header + "Content-Type: text/plain; hp=clear\r\n" + repeat("X: y\r\n", mib-300) + "\r\nbody",
	}
}

// TestReadMemory reads messages that are made to cost much, in a process each: every one comes to an end, within the bound.
func TestReadMemory(t *testing.T) {
	if peertest.RaceEnabled {
		t.Skip("the race detector takes many times the memory")
	}
	t.Parallel()
	dir := t.TempDir()
	most, mostOf := 0, ""
	for name, message := range expensive() {
		file := filepath.Join(dir, "message.eml")
		if err := os.WriteFile(file, []byte(message), 0o600); err != nil {
			t.Fatal(err)
		}
		took := readingTakes(t, name, file)
		if took > most {
			most, mostOf = took, name
		}
	}
	t.Logf("the most is %d MiB: %s", most>>10, mostOf)
}

// TestReadMemoryOfCorpora reads what others collected, in the same way.
func TestReadMemoryOfCorpora(t *testing.T) {
	if peertest.RaceEnabled {
		t.Skip("the race detector takes many times the memory")
	}
	t.Parallel()
	for _, corpus := range []string{"thunderbird", "bouncycastle", "james", "gnupg", "mime"} {
		most, mostOf := 0, ""
		err := filepath.WalkDir(peertest.Corpora(t, corpus), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if took := readingTakes(t, path, path); took > most {
				most, mostOf = took, filepath.Base(path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: the most is %d MiB: %s", corpus, most>>10, mostOf)
	}
}

// readingTakes reads a file, and returns how much memory that took.
func readingTakes(t *testing.T, name, file string) int {
	t.Helper()
	cmd := program(t, nil, "read", file, "--home", t.TempDir())
	peak := withPeak(t, cmd)
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != exitNo && exit.ExitCode() != exitFailed) || strings.Contains(said.String(), "goroutine ") {
		t.Errorf("%s: %v\n%.2000s", name, err, said.String())
	}
	took := peak(t)
	if took > readMemory {
		t.Errorf("%s: it takes %d MiB", name, took>>10)
	}
	return took
}
