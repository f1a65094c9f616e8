package main

import (
	"bytes"
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/localserver"
)

// TestReadMarksSeen: `read` marks what it shows on a terminal, and nothing else.
func TestReadMarksSeen(t *testing.T) {
	w := newWorld(t)
	var server mailServer
	bob := "bob@" + worldDomain
	err := server.start(localserver.Options{
		Dir: t.TempDir(), TLS: &tls.Config{Certificates: []tls.Certificate{w.certificate}}, Clock: time.Now, IMAPS: "127.0.0.1:0", Submissions: "127.0.0.1:0",
		Users: map[string]mailbox.Password{bob: w.password},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.end(); err != nil {
			t.Error(err)
		}
	})
	home := t.TempDir()
	sealmail := func(terminal bool, words ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		e := systemEnvironment()
		e.in, e.out, e.err, e.prompt, e.errIsTerminal = strings.NewReader("Subject: x\n\nx\n"), &out, &errs, nil, false
		e.getenv = func(string) string { return "" }
		e.now, e.outIsTerminal, e.screen = time.Now, terminal, nil
		if code := run(t.Context(), e, append([]string{"--home", home}, words...)); code != exitGood {
			t.Fatalf("%q: exit code %d, %s%s", words, code, &out, &errs)
		}
		return out.String()
	}
	root := w.in("ca/root.pem")
	sealmail(false, "init", bob, "--imap", "imaps://"+server.addresses.IMAPS, "--smtp", "submissions://"+server.addresses.Submissions, "--server-ca", root,
		"--password-file", w.in("password"), "--p12", w.in("bob.p12"), "--p12-password-file", w.in("password"), "--trust", root, "--unprotected")
	sealmail(false, "send", "--to", bob, "--subject", "Note", "--body", "-")
	for _, c := range []struct {
		words    []string
		terminal bool
		unseen   bool
	}{
		{[]string{"read", "1"}, false, true},
		{[]string{"read", "1", "--json"}, true, true},
		{[]string{"read", "1", "--raw"}, false, true}, // never to a terminal: TestRawOutput
		{[]string{"read", "1", "--headers"}, true, true},
		{[]string{"read", "1", "--peek"}, true, true},
		{[]string{"read", "1"}, true, false},
	} {
		sealmail(c.terminal, c.words...)
		inbox := strings.Fields(strings.Split(sealmail(false, "folders"), "\n")[1])
		if unseen := slices.Equal(inbox[:3], []string{"INBOX", "1", "1"}); unseen != c.unseen {
			t.Errorf("%q, terminal %v: %q", c.words, c.terminal, inbox)
		}
	}
}
