//go:build unix

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

// TestKillWithPeers kills send around the moments that matter with Dovecot and Postfix: before and after the final dot
// of each message, and around the end of the sender's copy.
func TestKillWithPeers(t *testing.T) {
	servers := peertest.MailServers(t)
	l := newKillLab(t)
	imap, smtp := newRelay(t, servers.IMAPS), newRelay(t, servers.Submissions)
	people := []string{killAlice, killBob, killCarol}
	world := func(t *testing.T) *killWorld {
		for _, person := range people {
			servers.Empty(t, person)
		}
		return &killWorld{
			killLab: l, dir: killDir(t), imap: imap, smtp: smtp, queue: servers.Settle,
			mail:       func(t testing.TB, person, folder string) []string { return maildir(t, servers.MailDir(person, folder)) },
			recipients: []string{"--to", killBob, "--bcc", killCarol},
			places:     []string{killBob + " INBOX", killCarol + " INBOX", killAlice + " Sent"},
		}
	}
	first := world(t)
	for _, person := range people {
		if user := servers.User(t, strings.TrimSuffix(person, "@example.test")); user.Address != person || user.Password != killPassword {
			t.Fatalf("the servers know %s by another name or password", person)
		}
		first.run(t, person, append(first.initArgs(person), "--server-ca", servers.CAFile)...).mustBe(t, exitGood)
	}
	first.run(t, killAlice, "cert", "import", l.file(killBob+".pem"), l.file(killCarol+".pem")).mustBe(t, exitGood)
	const stage = "stage-peers"
	copyTree(t, first.dir, l.file(stage))

	var f fates
	one := func(t *testing.T, step int) killed {
		w := world(t)
		copyTree(t, l.file(stage), w.dir)
		before := w.mailOfAll(t)
		k := w.kill(t, killAlice, step, nil, w.sendArgs("new")...)
		if !k.killed {
			k.mustBe(t, exitGood)
		}
		w.sent(t, k, before, &f)
		return k
	}
	var whole killed
	t.Run("not killed", func(t *testing.T) { whole = one(t, 0) })
	for _, step := range moments(whole.steps, smtp.address(), imap.address()) {
		t.Run(fmt.Sprintf("%03d", step), func(t *testing.T) { one(t, step) })
	}
	f.mustHave(t, "queued", "uncertain and lost", "uncertain and arrived", "sent")
}

// moments are the numbers of the steps around what is said to the submission server right after a change of the entry in
// the outbox (the final dot, and what comes after its answer is recorded),
// and around the end of the copy, which such a change follows upon. Between two runs the steps may shift by one, as the
// network cuts what is sent as it likes.
func moments(steps []string, smtp, imap string) []int {
	var at []int
	around := func(i int) {
		for step := i - 1; step <= i+4; step++ { // i counts from zero, steps from one
			at = append(at, step)
		}
	}
	for i := 1; i < len(steps); i++ {
		saved := strings.HasPrefix(steps[i-1], "syncdir ") && strings.Contains(steps[i-1], "/outbox/")
		switch {
		case saved && steps[i] == "write "+smtp:
			around(i)
		case strings.HasPrefix(steps[i], "create ") && steps[i-1] == "read "+imap:
			around(i - 2)
		}
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// maildir is killWorld.mail of Dovecot. Names of files begin with the time of arrival; what comes behind the colon are
// flags.
func maildir(t testing.TB, dir string) []string {
	t.Helper()
	var lines []string
	for _, state := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(dir, state))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			content, err := os.ReadFile(filepath.Join(dir, state, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			name, _, _ := strings.Cut(e.Name(), ":")
			lines = append(lines, fmt.Sprintf("%s %x", name, sha256.Sum256(content)))
		}
	}
	slices.Sort(lines)
	return lines
}
