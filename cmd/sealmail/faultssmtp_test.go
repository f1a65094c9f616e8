//go:build unix

package main

import (
	"net"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox/outbox"
)

// smtpFault is a command whose line to Postfix is harmed.
type smtpFault struct {
	name  string
	args  func(w *faultWorld, id string) []string
	begun bool // the message waits in the outbox already
	harms []peertest.Harm
}

func smtpFaults() []smtpFault {
	all := []peertest.Harm{
		peertest.Harm4yz, peertest.Harm5yz, peertest.Harm421, peertest.HarmGarbage, peertest.HarmLost, peertest.HarmAnswer, peertest.HarmStall,
	}
	some := []peertest.Harm{peertest.Harm4yz, peertest.Harm5yz, peertest.HarmAnswer}
	return []smtpFault{
		{name: "send", harms: all, args: func(w *faultWorld, id string) []string {
			return []string{"send", "--to", killBob, "--subject", id, "--body", w.file("letter.txt")}
		}},
		{name: "sendmail", harms: all, args: func(*faultWorld, string) []string { return []string{"sendmail", "-t"} }},
		{name: "outbox flush", harms: some, begun: true, args: func(*faultWorld, string) []string { return []string{"outbox", "flush"} }},
	}
}

// TestFaultsSMTP harms each command of a submission: what is said of the message is true, it is in the outbox as long as it is not
// certain that it is sent, and it arrives once, unless its fate is not known and somebody decides that it is sent again.
func TestFaultsSMTP(t *testing.T) {
	l := newFaultLab(t)
	of := func(c smtpFault) (string, []peertest.Harm) { return c.name, c.harms }
	harmEach(t, smtpFaults(), of, func(t *testing.T, c smtpFault, harm peertest.Harm, left func(nth int) bool) {
		alice, bob := l.direct(t, killAlice), l.direct(t, killBob)
		m := &peertest.Meddler{SMTP: true, Harm: harm}
		proxy := peertest.StartProxy(t, l.servers.Submissions, peertest.Tamper{
			Client: m.Tamper().Client, Server: m.Tamper().Server, ServerTLS: l.tlsConfig(),
		})
		nth := 1
		for over := false; !over && !t.Failed(); nth++ {
			if left(nth) {
				continue
			}
			w := l.world(t, alice, "clear")
			w.receiver = bob
			over = c.harmed(t, w, m, proxy, nth)
			w.clear(t)
		}
		if nth < 8 {
			t.Errorf("only %d commands were harmed", nth-2)
		}
	})
}

// harmed runs the command with harm done to the nth line. It reports whether there was no such line.
func (c smtpFault) harmed(t *testing.T, w *faultWorld, m *peertest.Meddler, proxy string, nth int) (over bool) {
	t.Helper()
	subject := w.folder
	input := "To: " + killBob + "\nSubject: " + subject + "\n\nSent by a program.\n"
	if c.begun {
		w.lead(w.servers.Submission, listen(t, func(net.Conn) {}))
		w.run(t, faultWait, "", "send", "--to", killBob, "--subject", subject, "--body", w.file("letter.txt")).mustFail(t, "submission://"+w.servers.Submission)
	}
	w.lead(w.servers.Submission, proxy)
	timeout := faultWait
	if m.Harm == peertest.HarmStall {
		timeout = faultShort
	}
	m.Arm(nth)
	o := w.run(t, timeout, input, c.args(w, subject)...)
	unharmed := m.Seen() < nth
	over = unharmed && !(m.Harm == peertest.HarmStall && o.code != exitGood && nth < faultTries) // a short timeout may come before the harm
	m.Arm(0)
	w.lead(w.servers.Submission, w.smtp)

	lines := killLines[client.OutboxLine](t, w.run(t, faultWait, "", "--json", "outbox", "list").mustBe(t, exitGood))
	state := outbox.Sent
	if len(lines) > 1 {
		t.Fatalf("command %d: %d messages in the outbox", nth, len(lines))
	} else if len(lines) == 1 {
		state = outbox.State(lines[0].State)
	}
	if m.Harm != peertest.HarmStall || state != outbox.Sent && !unharmed { // a short timeout may befall the copy as well
		c.says(t, o, state, unharmed)
	}

	switch state { // what a person does who reads the hint
	case outbox.Queued, outbox.Sent:
		w.run(t, faultWait, "", "outbox", "flush").mustBe(t, exitGood)
	case outbox.Uncertain:
		w.run(t, faultWait, "", "outbox", "flush").mustFail(t, "not known")
		w.run(t, faultWait, "", "outbox", "flush", "--resend-uncertain").mustBe(t, exitGood)
	case outbox.Refused:
		w.run(t, faultWait, "", "outbox", "flush").mustFail(t, "refused for good")
		w.run(t, faultWait, "", "outbox", "flush", "--retry-refused").mustBe(t, exitGood)
	}
	if left := w.run(t, faultWait, "", "--json", "outbox", "list").mustBe(t, exitGood); left.out != "" {
		t.Errorf("command %d: at the end the outbox has %s", nth, left.out)
	}
	c.arrived(t, w, o, state, nth)
	return over
}

// says checks what is said of a message in this state.
func (c smtpFault) says(t *testing.T, o outcome, state outbox.State, unharmed bool) {
	t.Helper()
	if unharmed {
		if o.code != exitGood || state != outbox.Sent {
			t.Errorf("without harm: exit %d, %s\n%s", o.code, state, o.err)
		}
		return
	}
	if c.name == "sendmail" {
		switch {
		case state == outbox.Refused, state == outbox.Sent && o.code != exitGood && o.code != exUnavailable:
			t.Errorf("exit %d, %s\n%s", o.code, state, o.err)
		case state != outbox.Refused && state != outbox.Sent && (o.code != exitGood || !strings.HasPrefix(o.err, "note: ")):
			t.Errorf("exit %d of a message that is %s\n%s", o.code, state, o.err)
		}
		return
	}
	want := map[outbox.State]string{outbox.Queued: "`sealmail outbox flush` tries again", outbox.Uncertain: "--resend-uncertain", outbox.Refused: "--retry-refused"}[state]
	if state == outbox.Sent {
		if o.code != exitGood {
			t.Errorf("exit %d of a message that is sent\n%s", o.code, o.err)
		}
		return
	}
	o.mustFail(t, want)
}

// arrived checks how often bob has the message, and that alice has a copy, once.
func (c smtpFault) arrived(t *testing.T, w *faultWorld, o outcome, state outbox.State, nth int) {
	t.Helper()
	w.servers.Settle(t)
	copies := w.texts(t, w.folder+"-sent")
	if o.code == exUnavailable { // given back
		if len(copies) != 0 {
			t.Errorf("command %d: %d copies of what was not sent", nth, len(copies))
		}
		return
	}
	if len(copies) != 1 {
		t.Fatalf("command %d: %d copies", nth, len(copies))
	}
	for text := range copies {
		_, id, _ := strings.Cut(text, "Message-ID: <")
		id, _, _ = strings.Cut(id, ">")
		uids, err := w.receiver.Find(t.Context(), "INBOX", id)
		if err != nil || len(uids) == 0 || len(uids) > 1 && state != outbox.Uncertain || len(uids) > 2 {
			t.Errorf("command %d: bob has it %d times, %v", nth, len(uids), err)
		}
	}
}
