//go:build unix

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

// imapFault is a command whose line to Dovecot is harmed.
type imapFault struct {
	name  string
	args  func(w *faultWorld) []string
	fresh bool // nothing was fetched before
	// may says what may become of the three messages, at the server: they are moved, gone, or get other flags. Once the command
	// was done without harm, they are.
	moved, gone, flags bool
	harms              []peertest.Harm
}

func imapFaults() []imapFault {
	some := []peertest.Harm{peertest.HarmNO, peertest.HarmBYE, peertest.HarmLost, peertest.HarmAnswer, peertest.HarmStall}
	all := append(slices.Clone(some), peertest.HarmBAD, peertest.HarmGarbage)
	return []imapFault{
		{name: "fetch", harms: all, fresh: true, args: func(w *faultWorld) []string { return []string{"fetch", w.folder} }},
		{name: "list --refresh", harms: some[:1], args: func(w *faultWorld) []string { return []string{"list", w.folder, "--refresh"} }},
		{name: "read", harms: some, fresh: true, args: func(w *faultWorld) []string { return []string{"read", w.uid(1), "--folder", w.folder} }},
		{name: "move", harms: all, moved: true, args: func(w *faultWorld) []string {
			return []string{"move", w.uid(0), w.uid(1), w.uid(2), w.folder + "-to", "--create", "--folder", w.folder}
		}},
		{name: "delete", harms: all, gone: true, flags: true, args: func(w *faultWorld) []string {
			return []string{"delete", w.uid(0), w.uid(1), w.uid(2), "--permanently", "--yes", "--folder", w.folder}
		}},
		{name: "flag", harms: some, flags: true, args: func(w *faultWorld) []string {
			return []string{"flag", w.uid(0), w.uid(1), w.uid(2), "--add", "flagged", "--folder", w.folder}
		}},
		{name: "folders --create", harms: some, fresh: true, args: func(w *faultWorld) []string { return []string{"folders", "--create", w.folder + "-new"} }},
		{name: "draft", harms: some, fresh: true, args: func(w *faultWorld) []string {
			return []string{"draft", "--to", killBob, "--subject", "a draft", "--body", w.file("letter.txt")}
		}},
	}
}

// TestFaultsIMAP harms each command of IMAP that a command of ours needs: it ends with exit code 3 and a line that says which server
// did what, and nothing is lost; the same command again does the rest.
func TestFaultsIMAP(t *testing.T) {
	l := newFaultLab(t)
	of := func(c imapFault) (string, []peertest.Harm) { return c.name, c.harms }
	harmEach(t, imapFaults(), of, func(t *testing.T, c imapFault, harm peertest.Harm, left func(nth int) bool) {
		store := l.direct(t, killAlice)
		m := &peertest.Meddler{Harm: harm}
		proxy := peertest.StartProxy(t, l.servers.IMAP, m.Tamper())
		nth := 1
		if c.name != "fetch" {
			nth = 3 // the log-in is that of fetch
		}
		for ; ; nth++ {
			if left(nth) {
				continue
			}
			w := l.world(t, store, "clear")
			w.fill(t)
			if !c.fresh {
				w.run(t, faultWait, "", "fetch", w.folder).mustBe(t, exitGood)
			}
			w.lead(l.servers.IMAP, proxy)
			over := c.harmed(t, w, m, nth)
			w.clear(t)
			if over || t.Failed() {
				break
			}
		}
		if nth < 4 {
			t.Errorf("only %d commands were harmed", nth-1)
		}
	})
}

// harmed runs the command with harm done to its nth line, and once more without. It reports whether there was no such line.
func (c imapFault) harmed(t *testing.T, w *faultWorld, m *peertest.Meddler, nth int) (over bool) {
	t.Helper()
	timeout := faultWait
	if m.Harm == peertest.HarmStall {
		timeout = faultShort
	}
	m.Arm(nth)
	o := w.run(t, timeout, "", c.args(w)...)
	unharmed := m.Seen() < nth
	early := unharmed && m.Harm == peertest.HarmStall && o.code != exitGood // a short timeout came before the harm
	over = unharmed && !(early && nth < faultTries)
	m.Arm(0)
	switch {
	case early:
	case over:
		o.mustBe(t, exitGood)
	case o.code != exitGood && strings.Contains(o.err, "folder(s) could not be looked into"): // its line says why
	case o.code != exitGood && strings.Contains(o.err, "Mailbox doesn't exist"): // the harm was to be told that there is none
	case o.code != exitGood:
		o.mustFail(t, "imap://"+w.servers.IMAP+": ").mustFail(t, harmWords[m.Harm]).mustFail(t, "\nhint: ")
	}
	c.nothingLost(t, w, o.code == exitGood)
	w.lead(w.servers.IMAP, "")
	if !over {
		again := w.run(t, faultWait, "", c.args(w)...)
		switch here := w.texts(t, w.folder); {
		case again.code == exitGood:
		case (c.moved || c.gone) && len(here) == 0 && strings.Contains(again.err, "could not be"): // they were, by the first
		default:
			t.Errorf("command %d, again: exit %d\n%s%s", nth, again.code, again.out, again.err)
		}
		c.nothingLost(t, w, true)
	}
	if !c.fresh || c.name == "fetch" {
		w.agree(t, w.folder)
	}
	return over
}

// harmWords are what a person is told of a harm.
var harmWords = map[peertest.Harm]string{
	peertest.HarmNO: "harmed", peertest.HarmBAD: "harmed", peertest.HarmBYE: "the server does not serve now: harmed", peertest.HarmGarbage: "the server's answer makes no sense",
	peertest.HarmLost: "the connection was lost: the server closed it", peertest.HarmAnswer: "the connection was lost: the server closed it",
	peertest.HarmStall: "no answer in time: the server was silent for " + faultShort,
}

// nothingLost looks at the server.
func (c imapFault) nothingLost(t *testing.T, w *faultWorld, done bool) {
	t.Helper()
	here, there := w.texts(t, w.folder), w.texts(t, w.folder+"-to")
	for n := range 3 {
		flags, isHere := here[faultText(n)]
		_, isThere := there[faultText(n)]
		marked := slices.ContainsFunc(strings.Fields(flags), func(f string) bool { return f == `\Flagged` || f == `\Deleted` })
		switch {
		case !isHere && !isThere && !c.gone:
			t.Errorf("message %d is lost", n)
		case isThere && !c.moved:
			t.Errorf("message %d was moved", n)
		case marked && !c.flags:
			t.Errorf("message %d has the flags %s", n, flags)
		case done && (c.moved && (isHere || !isThere) || c.gone && isHere || c.flags && isHere && !marked):
			t.Errorf("message %d: here %t, there %t, flags %s, and no error", n, isHere, isThere, flags)
		}
	}
	if drafts := w.texts(t, w.folder+"-drafts"); done && c.name == "draft" && len(drafts) == 0 {
		t.Error("no draft, and no error")
	}
}
