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

// TestKillWithPeers kills the program with Dovecot and Postfix.
func TestKillWithPeers(t *testing.T) {
	p := newKillPeers(t)
	t.Run("send", p.killSend)
	t.Run("fetch", p.killFetch)
	t.Run("change", p.killMove)
	t.Run("archive", p.killArchive)
}

// killPeers is a lab with servers that are not our own. All runs share the people's mailboxes.
type killPeers struct {
	*killLab
	servers peertest.Servers
}

// The stages with these servers. Their mailboxes are not part of them.
const (
	stagePeers        = "stage-peers"         // alice, bob and carol have an account, and alice has written to the others
	stagePeersChanged = "stage-peers-changed" // see killWorld.change
)

func newKillPeers(t *testing.T) *killPeers {
	t.Helper()
	p := &killPeers{newKillLab(t), peertest.MailServers(t)}
	w := p.world(t, "")
	for _, person := range p.people() {
		if user := p.servers.User(t, strings.TrimSuffix(person, "@example.test")); user.Address != person || user.Password != killPassword {
			t.Fatalf("the servers know %s by another name or password", person)
		}
		w.run(t, person, append(w.initArgs(person), "--server-ca", p.servers.CAFile)...).mustBe(t, exitGood)
	}
	w.run(t, killAlice, "cert", "import", p.file(killBob+".pem"), p.file(killCarol+".pem")).mustBe(t, exitGood)
	p.empty(t)
	w.run(t, killAlice, w.sendArgs("old")...).mustBe(t, exitGood)
	w.keep(t, stagePeers)
	return p
}

func (p *killPeers) people() []string { return []string{killAlice, killBob, killCarol} }

// empty removes all mail.
func (p *killPeers) empty(t *testing.T) {
	t.Helper()
	for _, person := range p.people() {
		p.servers.Empty(t, person)
	}
}

// world begins from a stage; the mailboxes are as they are.
func (p *killPeers) world(t *testing.T, stage string) *killWorld {
	t.Helper()
	w := &killWorld{
		killLab: p.killLab, dir: killDir(t), queue: p.servers.Settle,
		imap: newRelay(t, p.servers.IMAPS), smtp: newRelay(t, p.servers.Submissions),
		direct: directOptions(t, p.servers.IMAPS, p.servers.CAFile),
		mail: func(t testing.TB, person, folder string) []string {
			return readMaildir(t, p.servers.MailDir(person, folder))
		},
		recipients: []string{"--to", killBob, "--bcc", killCarol},
		places:     []string{killBob + " INBOX", killCarol + " INBOX", killAlice + " Sent"},
	}
	if stage != "" {
		copyTree(t, p.file(stage), w.dir)
		w.move(t)
	}
	return w
}

// killSend kills what sends a message. Runs take turns, as they share the people: one takes half a second.
func (p *killPeers) killSend(t *testing.T) {
	var f fates
	c := killCase{
		lab: p.killLab, person: killAlice, turns: true,
		begin: func(t *testing.T) *killWorld {
			p.empty(t)
			return p.world(t, stagePeers)
		},
		args: func(w *killWorld) []string { return w.sendArgs("new") },
		check: func(t *testing.T, w *killWorld, k killed, before map[string][]string) {
			w.sent(t, k, before, &f, w.sendArgs("new"))
		},
		only: some(10),
	}
	c.atEachStep(t)
	f.mustHave(t, "refused", "queued", "uncertain and lost", "uncertain and arrived", "sent")
}

// killFetch kills bob's first fetch, and one that finds everything changed. No run changes a mailbox, so that they go side by side.
func (p *killPeers) killFetch(t *testing.T) {
	p.empty(t)
	w := p.world(t, stagePeers)
	for range 2 {
		w.run(t, killAlice, w.sendArgs("new")...).mustBe(t, exitGood)
	}
	w.settle(t)
	fetch := p.fetchKilled("", func(t *testing.T) *killWorld { return p.world(t, stagePeers) })
	fetch.only, fetch.shortStride = some(10), 4
	t.Run("new", fetch.atEachStep)

	w.change(t)
	w.keep(t, stagePeersChanged)
	fetch = p.fetchKilled("", func(t *testing.T) *killWorld { return p.world(t, stagePeersChanged) })
	fetch.only, fetch.shortStride = some(6), 4
	t.Run("changed", fetch.atEachStep)
}

// readMaildir is killWorld.mail of Dovecot. Names of files begin with the time of arrival; what comes behind the colon are
// flags.
func readMaildir(t testing.TB, dir string) []string {
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
