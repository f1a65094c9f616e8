package client_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/internal/client"
)

// verdicts is what Verify says of files, in few words.
func verdicts(t *testing.T, c *client.Client, p client.VerifyParams, files ...string) []string {
	t.Helper()
	var list []string
	for r, err := range c.Verify(t.Context(), p, files) {
		if err != nil {
			list = append(list, err.Error())
			continue
		}
		line := filepath.Base(*r.File)
		if r.Index != nil {
			line += fmt.Sprintf(" %d", *r.Index)
		}
		line += ": " + r.Verdict
		for _, warning := range r.Warnings {
			if warning.Code == "mbox-quoting" || warning.Code == "mbox-line" {
				line += " " + warning.Code
			}
		}
		list = append(list, line)
	}
	return list
}

// TestMailboxFiles verifies and reads the messages in mbox files, quoted in every way that is in use, and in a Maildir.
func TestMailboxFiles(t *testing.T) {
	const separator = "From alice@example.test Sat Nov 21 10:02:11 2026\n"
	w := newWorld(t)
	alice := w.issue("alice", "p256")
	c := w.client()
	p := client.VerifyParams{Trust: []string{w.in("ca/root.pem")}, Revocation: "soft"}
	signed := func(text string) string {
		in := w.write("plain", mailHeader+"Content-Type: text/plain\r\n\r\n"+text)
		if err := c.Sign(t.Context(), client.SignParams{Keys: alice}, in, client.Output{Name: w.in("signed")}); err != nil {
			t.Fatal(err)
		}
		return w.read("signed")
	}
	first := signed("first\r\n\r\nFrom here on\r\n>From there\r\n")
	if !strings.Contains(first, "\nFrom here on") {
		t.Fatal("the line is encoded: nothing is tested")
	}
	second := signed("second\r\n")
	altered := strings.Replace(second, "second", "Second", 1)
	unix := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
	quotedO := regexp.MustCompile(`(?m)^From `).ReplaceAllString(first, ">From ")
	quotedRD := regexp.MustCompile(`(?m)^(>*)From `).ReplaceAllString(first, ">${1}From ")

	for name, text := range map[string]string{
		"plain.mbox":    separator + unix(first) + "\n" + separator + unix(altered) + "\n" + separator + unix(second) + "\n",
		"crlf.mbox":     strings.ReplaceAll(separator, "\n", "\r\n") + first + "\r\n" + separator + altered + "\r\n" + separator + second + "\r\n",
		"rd.mbox":       separator + unix(quotedRD) + "\n" + separator + unix(altered) + "\n" + separator + unix(second),
		"o.mbox":        separator + unix(quotedO) + "\n" + separator + unix(altered) + "\n" + separator + unix(second),
		"one.eml":       separator + unix(second),
		"quoted.eml":    unix(quotedRD),
		"odd.eml":       "From somebody\r\n" + second,
		"box/cur/2:2,":  second,
		"box/cur/1:2,S": altered,
		"box/new/1":     unix(first),
		"box/tmp/1":     first,
		"new/new/1":     first,
	} {
		if err := os.MkdirAll(filepath.Dir(w.in(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		w.write(name, text)
	}
	for name, want := range map[string][]string{
		"plain.mbox": {"plain.mbox 1: passed", "plain.mbox 2: failed", "plain.mbox 3: passed"},
		"crlf.mbox":  {"crlf.mbox 1: passed", "crlf.mbox 2: failed", "crlf.mbox 3: passed"},
		"rd.mbox":    {"rd.mbox 1: passed mbox-quoting", "rd.mbox 2: failed", "rd.mbox 3: passed"},
		// In this form a line that was quoted cannot be told from one that was written so, and both are in this message.
		"o.mbox":  {"o.mbox 1: failed", "o.mbox 2: failed", "o.mbox 3: passed"},
		"one.eml": {"one.eml 1: passed"},
		"odd.eml": {"odd.eml: passed mbox-line"},
		// A message by itself is in no mbox file, whose quotes could be taken away.
		"quoted.eml": {"quoted.eml: failed"},
		"box":        {"1:2,S: failed", "2:2,: passed", "1: passed"},
		"new":        {w.in("new") + " is a folder, and no Maildir: there is no cur in it"},
	} {
		if diff := cmp.Diff(want, verdicts(t, c, p, w.in(name))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got := verdicts(t, c, p, w.in("one.eml"), w.in("box"), w.in("rd.mbox")); len(got) != 7 {
		t.Errorf("of several at once: %q", got)
	}

	o := w.options()
	o.Stdin = strings.NewReader(w.read("rd.mbox"))
	piped, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer piped.Close()
	var texts []string
	err = piped.Read(t.Context(), client.ReadParams{ID: "-"}, func(r *client.Report) error {
		texts = append(texts, *r.Text)
		return nil
	})
	if diff := cmp.Diff([]string{"first\n\nFrom here on\n>From there\n", "Second\n", "second\n"}, texts); diff != "" || err != nil {
		t.Errorf("read: %v %s", err, diff)
	}

	out := client.Output{Name: w.in("content")}
	if _, err := c.VerifyTo(t.Context(), p, w.in("plain.mbox"), out); err == nil || !strings.Contains(err.Error(), "several messages") {
		t.Errorf("one of several: %v", err)
	}
	if r, err := c.VerifyTo(t.Context(), p, w.in("one.eml"), out); err != nil || r.Verdict != "passed" || !strings.Contains(w.read("content"), "second") {
		t.Errorf("the only one: %v", err)
	}

	// Those that are not asked for any more are closed, and so are those that were found ahead of it.
	before := openFiles(t)
	for range c.Verify(t.Context(), p, []string{w.in("plain.mbox"), w.in("box"), w.in("rd.mbox")}) {
		break
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files stay open", after-before)
	}
}

// openFiles counts the files that the process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not tell which files are open: ", err)
	}
	return len(entries)
}
