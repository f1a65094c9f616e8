//go:build unix

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/mailbox"
)

// The stages of the tests of archives.
const (
	stageArchiver = "stage-archiver" // bob has an archiving certificate, and two folders with messages
	stageArchived = "stage-archived" // one of them is archived
	archiveSecond = "second"         // the other one

	stagePeersArchiver = "stage-peers-archiver" // bob has an archiving certificate
)

// archiver makes an archiving certificate.
func (l *killLab) archiver(t *testing.T) {
	t.Helper()
	l.sealmail(t, l.file("nowhere"), "ca", "issue", "--dir", l.file("ca"), "--key", "p256", "--purpose", "archive", "--name", "Kill Archive",
		"-o", l.file("archive.p12"), "--p12-password-file", l.file("password")).mustBe(t, exitGood)
	l.cheapen(t, "archive")
}

// TestKillArchive kills what works on an archive before each of its steps. What was told of is there, verification finds nothing,
// the next run archives the rest and nothing twice, and a message is at the server or in the archive, whenever one looks.
func TestKillArchive(t *testing.T) {
	l := newKillLab(t)
	l.archiver(t)
	l.archiveStages(t)
	for name, c := range map[string]killCase{
		"pull":           l.pullKilled(stageArchiver, nil, "INBOX"),
		"pull second":    l.pullKilled(stageArchived, nil, archiveSecond),
		"pull and clear": l.pullKilled(stageArchiver, nil, "INBOX", archiveSecond, "--expunge-verified", "--yes"),
		"hold":           l.archiveKilled(func(w *killWorld) []string { return []string{"hold", "case", "--all", "--archive", w.archive()} }, (*killWorld).heldOnce),
		"renew":          l.archiveKilled(func(w *killWorld) []string { return []string{"renew", "--now", "--archive", w.archive()} }, nil),
		"prove": l.archiveKilled(func(w *killWorld) []string {
			return []string{"prove", "1", "--to", w.proof(), "--archive", w.archive()}
		}, (*killWorld).proven),
	} {
		t.Run(name, c.atEachStep)
	}
}

// archiveStages makes the stages.
func (l *killLab) archiveStages(t *testing.T) {
	t.Helper()
	w := l.world(t, "")
	for _, person := range []string{killAlice, killBob} {
		w.run(t, person, w.initArgs(person)...).mustBe(t, exitGood)
	}
	w.run(t, killBob, "cert", "import", w.file("archive.p12"), "--p12-password-file", w.file("password")).mustBe(t, exitGood)
	w.run(t, killAlice, "cert", "import", w.file(killBob+".pem")).mustBe(t, exitGood)
	w.run(t, killAlice, "send", "--to", killBob, "--subject", "sealed", "--body", w.file("letter.txt")).mustBe(t, exitGood)
	w.put(t, "INBOX", "plain", "plain again")
	w.put(t, archiveSecond, "plain", "another")
	w.keep(t, stageArchiver)
	w.run(t, killBob, w.pullArgs("INBOX")...).mustBe(t, exitGood)
	w.keep(t, stageArchived)
}

func (w *killWorld) archive() string { return filepath.Join(w.dir, "archive") }
func (w *killWorld) proof() string   { return filepath.Join(w.dir, "proof") }

func (w *killWorld) pullArgs(args ...string) []string {
	return slices.Concat([]string{"archive", "pull", "--to", w.archive()}, args)
}

// put puts messages into one of bob's folders.
func (w *killWorld) put(t *testing.T, folder string, subjects ...string) {
	t.Helper()
	store := w.store(t, killBob)
	if err := store.CreateFolder(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	for _, subject := range subjects {
		text := "From: " + killAlice + "\r\nSubject: " + subject + "\r\n\r\nText of " + subject + ".\r\n"
		if _, err := store.Append(t.Context(), folder, mailbox.NewMessage{Size: int64(len(text)), Body: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
	}
}

// place is where an archived message was.
type place struct {
	folder string
	uid    int64
}

// archivedNow are the SHA-256 of what is in the archive, by where it was; nothing is there twice.
func (w *killWorld) archivedNow(t *testing.T) map[place]string {
	t.Helper()
	list := w.run(t, killBob, "archive", "list", "--archive", w.archive()).mustBe(t, exitGood)
	all := map[place]string{}
	last := int64(0)
	for _, line := range killLines[client.ArchiveLine](t, list) {
		at := place{line.Folder, int64(line.UID)}
		if all[at] != "" || line.Number != last+1 {
			t.Errorf("message %d after %d, from %v\n%s", line.Number, last, at, list.out)
		}
		all[at], last = line.SHA256, line.Number
	}
	return all
}

// atServer are the SHA-256 of what is in bob's folders.
func (w *killWorld) atServer(t *testing.T, folders ...string) map[place]string {
	t.Helper()
	all := map[place]string{}
	for _, folder := range folders {
		for _, m := range w.held(t, killBob, folder) {
			sum := sha256.Sum256([]byte(m.Text))
			all[place{folder, int64(m.UID)}] = hex.EncodeToString(sum[:])
		}
	}
	return all
}

// told are the messages that a command told of. Of one that was killed the last line may be cut.
func (k killed) told(t *testing.T) map[place]string {
	t.Helper()
	all := map[place]string{}
	for line := range strings.Lines(k.out) {
		var l client.ArchiveLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			if !k.killed {
				t.Error(err)
			}
			continue
		}
		all[place{l.Folder, int64(l.UID)}] = l.SHA256
	}
	return all
}

// contain checks that there is all that should be.
func contain(t *testing.T, what string, have, want map[place]string) {
	t.Helper()
	for at, sum := range want {
		if have[at] != sum {
			t.Errorf("%s: %v is missing, or is something else", what, at)
		}
	}
}

// pullKilled is a pull of folders, with flags, and what holds after it was killed.
func (l *killLab) pullKilled(stage string, begin func(t *testing.T) *killWorld, args ...string) killCase {
	expunge := slices.Contains(args, "--expunge-verified")
	folders := slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return strings.HasPrefix(arg, "--") })
	return killCase{
		lab: l, stage: stage, person: killBob, begin: begin,
		args: func(w *killWorld) []string { return w.pullArgs(args...) },
		only: some(12), shortStride: 8,
		check: func(t *testing.T, w *killWorld, k killed, before map[string][]string) {
			told := k.told(t)
			left := w.atServer(t, folders...)
			if !expunge {
				w.untouched(t, before)
			}
			if _, err := os.Stat(filepath.Join(w.archive(), "head")); err == nil {
				contain(t, "told of", w.archivedNow(t), told)
			} else if len(told) > 0 {
				t.Errorf("told of %d messages, and there is no archive", len(told))
			}
			if _, err := os.Stat(filepath.Join(w.archive(), "head")); err == nil {
				w.run(t, killBob, "archive", "verify", w.archive()).mustBe(t, exitGood) // what is half done is no damage
			}
			w.run(t, killBob, w.pullArgs(args...)...).mustBe(t, exitGood)
			archived := w.archivedNow(t)
			contain(t, "told of", archived, told)
			contain(t, "left at the server", archived, left)
			w.soundArchive(t)
			if again := w.run(t, killBob, w.pullArgs(args...)...).mustBe(t, exitGood); again.out != "" {
				t.Errorf("archived again: %s", again.out)
			}
			rest := w.atServer(t, folders...)
			if expunge && len(rest) > 0 {
				t.Errorf("still at the server: %v", rest)
			}
			w.tidy(t, killBob)
		},
	}
}

// soundArchive checks that verification of all finds nothing, with each segment stamped, and that nothing is left lying about.
func (w *killWorld) soundArchive(t *testing.T) {
	t.Helper()
	o := w.run(t, killBob, "archive", "verify", w.archive())
	var verdict client.ArchiveVerdict
	for line := range strings.Lines(o.out) {
		if err := json.Unmarshal([]byte(line), &verdict); err != nil {
			t.Fatal(err)
		}
	}
	if o.code != exitGood || verdict.Damage+verdict.Notes+verdict.Unstamped > 0 || !verdict.Witness || verdict.Checked != verdict.Messages {
		t.Errorf("verification: exit %d\n%s%s", o.code, o.out, o.err)
	}
	for path := range tree(t, w.archive()) {
		if strings.HasPrefix(filepath.Base(path), ".") {
			t.Errorf("left behind: %s", path)
		}
	}
}

// archiveKilled is another command on the archive, and what holds after it was killed.
func (l *killLab) archiveKilled(args func(*killWorld) []string, also func(*killWorld, *testing.T)) killCase {
	return killCase{
		lab: l, stage: stageArchived, person: killBob, only: some(12), shortStride: 8,
		args: func(w *killWorld) []string { return append([]string{"archive"}, args(w)...) },
		check: func(t *testing.T, w *killWorld, k killed, before map[string][]string) {
			w.run(t, killBob, w.pullArgs("INBOX")...).mustBe(t, exitGood)
			w.soundArchive(t)
			if also != nil {
				also(w, t)
			}
			w.tidy(t, killBob)
			w.untouched(t, before)
		},
	}
}

// heldOnce checks that a hold is in force now, or can be said now.
func (w *killWorld) heldOnce(t *testing.T) {
	holds := func() int {
		return len(killLines[client.ArchiveHoldLine](t, w.run(t, killBob, "archive", "hold", "--archive", w.archive()).mustBe(t, exitGood)))
	}
	if holds() == 0 {
		w.run(t, killBob, "archive", "hold", "case", "--all", "--archive", w.archive()).mustBe(t, exitGood)
	}
	if n := holds(); n != 1 {
		t.Errorf("%d holds", n)
	}
	w.soundArchive(t)
}

// proven checks that a proof is there whole, or not at all.
func (w *killWorld) proven(t *testing.T) {
	if _, err := os.Stat(w.proof()); err != nil {
		w.run(t, killBob, "archive", "prove", "1", "--to", w.proof(), "--archive", w.archive()).mustBe(t, exitGood)
	}
	for _, name := range []string{"README.txt", "message.eml"} {
		if _, err := os.Stat(filepath.Join(w.proof(), name)); err != nil {
			t.Error(err)
		}
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

// killArchive kills pulls from Dovecot. Those that remove messages take turns, as they share bob's mailbox.
func (p *killPeers) killArchive(t *testing.T) {
	p.archiver(t)
	p.empty(t)
	w := p.world(t, stagePeers)
	w.run(t, killBob, "cert", "import", w.file("archive.p12"), "--p12-password-file", w.file("password")).mustBe(t, exitGood)
	w.put(t, "INBOX", "one", "two", "one")
	w.keep(t, stagePeersArchiver)
	pull := p.pullKilled("", func(t *testing.T) *killWorld { return p.world(t, stagePeersArchiver) }, "INBOX")
	pull.only = some(40)
	t.Run("pull", pull.atEachStep)

	clearing := p.pullKilled("", func(t *testing.T) *killWorld {
		p.empty(t)
		w := p.world(t, stagePeersArchiver)
		w.put(t, "INBOX", "one", "two", "one")
		return w
	}, "INBOX", "--expunge-verified", "--yes")
	clearing.turns = true
	clearing.only = func(steps []string, i int) bool { return some(12)(steps, i) && i > len(steps)*2/3 } // before, it does what the other does
	t.Run("pull and clear", clearing.atEachStep)
}
