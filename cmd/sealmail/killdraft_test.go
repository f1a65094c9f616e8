//go:build unix

package main

import (
	"slices"
	"testing"

	"github.com/sealmail/sealmail/mailbox/outbox"
)

func (w *killWorld) draftArgs() []string {
	return []string{"draft", "--to", killBob, "--subject", "draft", "--body", w.file("letter.txt"), "--attach", w.file("plan.csv")}
}

// drafts is how many drafts alice has. Each can be read.
func (w *killWorld) drafts(t *testing.T) int {
	t.Helper()
	w.settle(t)
	n := len(w.mail(t, killAlice, "Drafts"))
	if n > 0 {
		w.run(t, killAlice, "read", "1:100", "--folder", "Drafts").mustBe(t, exitGood)
	}
	return n
}

// killDraft kills what makes a draft, and what puts one in the place of another. There is one afterwards if that was said, and
// there is never less than before.
func (l *killLab) killDraft(t *testing.T) {
	made := killCase{
		lab: l, stage: stageOld, person: killAlice, shortStride: 5, only: some(6),
		args: (*killWorld).draftArgs,
		check: func(t *testing.T, w *killWorld, k killed, before map[string][]string) {
			w.unharmed(t, killAlice)
			n := w.drafts(t)
			if n > 1 || n == 0 && !k.killed {
				t.Errorf("%d drafts", n)
			}
			w.run(t, killAlice, w.draftArgs()...).mustBe(t, exitGood)
			if now := w.drafts(t); now != n+1 {
				t.Errorf("%d drafts, and then %d", n, now)
			}
			w.tidy(t, killAlice)
			w.untouched(t, before)
		},
	}
	t.Run("new/client", made.atEachStep)
	t.Run("new/server", made.atEachEvent)

	changed := made
	changed.stage = stageDraft
	changed.args = func(*killWorld) []string { return []string{"draft", "--draft", "last", "--subject", "changed"} }
	changed.check = func(t *testing.T, w *killWorld, k killed, before map[string][]string) {
		w.unharmed(t, killAlice)
		if n := w.drafts(t); n < 1 || n > 2 || n > 1 && !k.killed {
			t.Errorf("%d drafts", n)
		}
		w.tidy(t, killAlice)
		w.untouched(t, before)
	}
	t.Run("changed/client", changed.atEachStep)
	t.Run("changed/server", changed.atEachEvent)
}

// killReply kills an answer, which is mail like any other; the message may be marked as answered, or not.
func (l *killLab) killReply(t *testing.T) {
	w := l.world(t, stageNew)
	w.run(t, killBob, "send", "--to", killAlice, "--subject", "question", "--body", w.file("letter.txt")).mustBe(t, exitGood)
	w.run(t, killAlice, "fetch").mustBe(t, exitGood)
	w.keep(t, stageAsked)
	var f fates
	c := killCase{
		lab: l, person: killAlice, shortStride: 5,
		only:  some(10), // send tries the others
		begin: func(t *testing.T) *killWorld { return l.worldToBob(t, stageAsked) },
		args:  func(w *killWorld) []string { return []string{"reply", "last", "--body", w.file("letter.txt")} },
	}
	c.check = func(t *testing.T, w *killWorld, k killed, before map[string][]string) {
		w.sent(t, k, before, &f, c.args(w))
	}
	t.Run("client", c.atEachStep)
	t.Run("server", c.atEachEvent)
	f.mustHave(t, "refused", "queued", "uncertain and arrived", "sent")
}

// worldToBob is a world in which alice writes to nobody but bob.
func (l *killLab) worldToBob(t *testing.T, stage string) *killWorld {
	w := l.world(t, stage)
	w.mayFlag, w.places = `\Answered`, []string{killBob + " INBOX", killAlice + " Sent"}
	return w
}

// killSendDraft kills what sends a draft. It is there until the message was accepted, and where it still is afterwards, it is not
// sent again.
func (l *killLab) killSendDraft(t *testing.T) {
	var f fates
	args := []string{"send", "--draft", "last"}
	c := killCase{
		lab: l, person: killAlice, shortStride: 5, only: some(6),
		begin: func(t *testing.T) *killWorld { return l.worldToBob(t, stageDraft) },
		args:  func(*killWorld) []string { return args },
		check: func(t *testing.T, w *killWorld, k killed, before map[string][]string) {
			if accepted(k) {
				w.settle(t)
				f.add([]string{"without a draft", "with a draft"}[len(w.mail(t, killAlice, "Drafts"))])
				// What waits in the outbox may go out now.
				if again := w.run(t, killAlice, args...); again.code == exitGood {
					t.Errorf("sent again\n%s%s", again.out, again.err)
				}
			}
			w.sent(t, k, before, &f, args)
			if n := w.drafts(t); n > 0 && !k.killed {
				t.Errorf("%d drafts", n)
			}
			if accepted(k) {
				now := w.mailOfAll(t)
				if again := w.run(t, killAlice, args...); again.code == exitGood {
					t.Errorf("sent again at the end\n%s%s", again.out, again.err)
				}
				w.untouched(t, now)
			}
		},
	}
	t.Run("client", c.atEachStep)
	t.Run("server", c.atEachEvent)
	f.mustHave(t, "refused", "uncertain and arrived", "sent", "with a draft", "without a draft")
}

// killRefused kills what can be done about a message that was refused for good for one of its recipients.
func (l *killLab) killRefused(t *testing.T) {
	w := l.world(t, stageOld)
	w.run(t, killAlice, "send", "--to", killBob, "--bcc", "nobody@example.test", "--no-encrypt", "--subject", "refused", "--body", w.file("letter.txt")).
		mustBe(t, exitFailed)
	w.keep(t, stageRefused)
	id := w.waiting(t)[0].ID
	for name, args := range map[string][]string{
		"flush": {"outbox", "flush"}, "retry": {"outbox", "flush", "--retry-refused"}, "drop": {"outbox", "drop", id, "--yes"}, "list": {"outbox", "list"},
	} {
		exit := exitGood
		if slices.Contains(args, "flush") {
			exit = exitFailed
		}
		t.Run(name, killCase{
			lab: l, stage: stageRefused, person: killAlice, shortStride: 5, only: some(6), exit: exit,
			args: func(*killWorld) []string { return args },
			check: func(t *testing.T, w *killWorld, k killed, before map[string][]string) {
				w.unharmed(t, killAlice)
				lines := w.waiting(t)
				kept := len(lines) == 1 && lines[0].ID == id && lines[0].State == string(outbox.Refused)
				if dropped := name == "drop" && len(lines) == 0; !kept && !dropped || kept && name == "drop" && !k.killed {
					t.Errorf("in the outbox: %+v", lines)
				}
				if kept {
					w.run(t, killAlice, "outbox", "flush").mustBe(t, exitFailed)
					w.run(t, killAlice, "outbox", "drop", id, "--yes").mustBe(t, exitGood)
				}
				if lines := w.waiting(t); len(lines) > 0 {
					t.Errorf("in the outbox at the end: %+v", lines)
				}
				w.run(t, killAlice, "outbox", "flush").mustBe(t, exitGood)
				w.tidy(t, killAlice)
				w.untouched(t, before)
			},
		}.atEachStep)
	}
}
