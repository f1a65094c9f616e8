//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox"
)

// TestFaultsState has the mailbox change behind the back of a command.
func TestFaultsState(t *testing.T) {
	l := newFaultLab(t)
	tests := []struct {
		name string
		run  func(*faultWorld, *testing.T)
	}{
		{"folder made anew", (*faultWorld).madeAnew}, {"folder made anew in the middle", (*faultWorld).madeAnewWithin}, {"message vanished", (*faultWorld).vanished},
		{"message vanishes in the middle", (*faultWorld).vanishesWithin}, {"truncated literal", (*faultWorld).truncatedLiteral},
		{"absurd literal", (*faultWorld).absurdLiteral}, {"slow", (*faultWorld).slowLine}, {"no room", (*faultWorld).noRoom},
		{"no room for the recipient", (*faultWorld).noRoomThere},
	}
	atOnce(len(tests), faultsAtOnce, func(i int) {
		t.Run(tests[i].name, func(t *testing.T) {
			w := l.world(t, l.direct(t, killAlice), "clear")
			w.fill(t)
			w.run(t, faultWait, "", "fetch", w.folder).mustBe(t, exitGood)
			tests[i].run(w, t)
			w.clear(t)
		})
	})
}

// remake deletes the folder and makes it again with one message, which has the number of another one before.
func (w *faultWorld) remake(t *testing.T) {
	t.Helper()
	if _, err := w.store.UIDs(t.Context(), "INBOX"); err != nil {
		t.Fatal(err)
	}
	w.servers.DeleteFolder(t, killAlice, w.folder)
	store := w.direct(t, killAlice) // which does not remember the numbering from before
	text := faultText(9)
	if _, err := store.Append(t.Context(), w.folder, mailbox.NewMessage{Size: int64(len(text)), Body: strings.NewReader(text)}); err != nil {
		t.Fatal(err)
	}
	w.store = store
}

// untouched checks that the one message in the folder is there as it came.
func (w *faultWorld) untouched(t *testing.T) {
	t.Helper()
	all := w.texts(t, w.folder)
	if flags, ok := all[faultText(9)]; !ok || len(all) != 1 || strings.Contains(flags, "Flagged") {
		t.Errorf("in the folder are %d messages, the new one %t, flags %q", len(all), ok, flags)
	}
}

// changing are the commands that change messages by their number.
func (w *faultWorld) changing(n int) [][]string {
	return [][]string{
		{"move", w.uid(n), w.folder + "-to", "--create", "--folder", w.folder}, {"delete", w.uid(n), "--folder", w.folder},
		{"delete", w.uid(n), "--permanently", "--yes", "--folder", w.folder}, {"flag", w.uid(n), "--add", "flagged", "--folder", w.folder},
	}
}

func (w *faultWorld) madeAnew(t *testing.T) {
	w.remake(t)
	for _, args := range w.changing(0) {
		w.run(t, faultWait, "", args...).mustFail(t, "the folder was renumbered").mustFail(t, "nothing was done")
	}
	w.untouched(t)
	o := w.run(t, faultWait, "", "fetch", w.folder).mustBe(t, exitGood)
	if !strings.Contains(o.err, "the server has renumbered "+w.folder) || !strings.Contains(o.out, "message 9") {
		t.Errorf("fetch: %s%s", o.out, o.err)
	}
	w.agree(t, w.folder)
}

// madeAnewWithin has each command find another numbering when it opens the folder than when it asked for it.
func (w *faultWorld) madeAnewWithin(t *testing.T) {
	validity := regexp.MustCompile(`UIDVALIDITY (\d+)`)
	w.lead(w.servers.IMAP, peertest.StartProxy(t, w.servers.IMAP, peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
		if !strings.HasPrefix(line, "* STATUS") {
			line = validity.ReplaceAllString(line, "UIDVALIDITY 1234")
		}
		return line, peertest.Pass
	}}))
	for _, args := range append(w.changing(0), []string{"fetch", w.folder}) {
		w.run(t, faultWait, "", args...).mustFail(t, "the folder was renumbered")
	}
	w.lead(w.servers.IMAP, "")
	if n := len(w.texts(t, w.folder)); n != 3 {
		t.Errorf("%d messages are left", n)
	}
	w.agree(t, w.folder)
}

func (w *faultWorld) vanished(t *testing.T) {
	if err := w.store.Delete(t.Context(), w.folder, w.uids[:1]); err != nil {
		t.Fatal(err)
	}
	for _, args := range w.changing(0) {
		o := w.run(t, faultWait, "", append(args, "--json")...).mustFail(t, "1 message(s) could not be")
		if line := killLines[client.ChangeLine](t, o); len(line) != 1 || line[0].Error == nil || *line[0].Error != mailbox.ErrNotFound.Error() {
			t.Errorf("%s: %s", args[0], o.out)
		}
	}
	w.run(t, faultWait, "", "read", w.uid(0), "--folder", w.folder).mustBe(t, exitGood) // it is kept here
	w.agree(t, w.folder)
	w.run(t, faultWait, "", "read", w.uid(0), "--folder", w.folder).mustFail(t, "no such message")
	if n := len(w.texts(t, w.folder)); n != 2 {
		t.Errorf("%d messages are left", n)
	}
}

// vanishesWithin deletes a message after fetch was told that it is there.
func (w *faultWorld) vanishesWithin(t *testing.T) {
	if err := os.RemoveAll(filepath.Join(w.home, "cache")); err != nil {
		t.Fatal(err)
	}
	var done atomic.Bool
	w.lead(w.servers.IMAP, peertest.StartProxy(t, w.servers.IMAP, peertest.Tamper{Client: func(line string) (string, peertest.Fate) {
		if strings.Contains(line, "BODY.PEEK[") && done.CompareAndSwap(false, true) {
			if err := w.store.Delete(t.Context(), w.folder, w.uids[1:2]); err != nil {
				t.Error(err)
			}
		}
		return "", peertest.Pass
	}}))
	o := w.run(t, faultWait, "", "fetch", w.folder)
	if !done.Load() || !strings.Contains(o.out, "message 0") || !strings.Contains(o.out, "message 2") {
		t.Errorf("fetch: exit %d, %t\n%s%s", o.code, done.Load(), o.out, o.err)
	}
	w.agree(t, w.folder)
}

// fetchAnew forgets what was fetched, and fetches through a proxy.
func (w *faultWorld) fetchAnew(t *testing.T, timeout string, tamper peertest.Tamper) outcome {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(w.home, "cache")); err != nil {
		t.Fatal(err)
	}
	w.lead(w.servers.IMAP, peertest.StartProxy(t, w.servers.IMAP, tamper))
	defer w.lead(w.servers.IMAP, "")
	return w.run(t, timeout, "", "fetch", w.folder)
}

var bodyLiteral = regexp.MustCompile(`BODY\[.*\{\d+\}$`)

func (w *faultWorld) truncatedLiteral(t *testing.T) {
	o := w.fetchAnew(t, faultWait, peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
		if bodyLiteral.MatchString(line) {
			return line + "\nFrom: carol", peertest.Cut
		}
		return line, peertest.Pass
	}})
	o.mustFail(t, "the connection was lost")
	w.agree(t, w.folder)
}

func (w *faultWorld) absurdLiteral(t *testing.T) {
	o := w.fetchAnew(t, faultShort, peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
		if bodyLiteral.MatchString(line) {
			return line[:strings.LastIndexByte(line, '{')] + "{99999999999}", peertest.Pass
		}
		return line, peertest.Pass
	}})
	o.mustFail(t, "imap://"+w.servers.IMAP+": ")
	w.agree(t, w.folder)
}

func (w *faultWorld) slowLine(t *testing.T) {
	w.wrap = func(c net.Conn) net.Conn { return &slow{Conn: c, octets: 300} }
	if err := os.RemoveAll(filepath.Join(w.home, "cache")); err != nil {
		t.Fatal(err)
	}
	w.run(t, faultWait, "", "fetch", w.folder).mustBe(t, exitGood)
	w.run(t, faultWait, "", "send", "--to", killBob, "--subject", "slow", "--body", w.file("letter.txt")).mustBe(t, exitGood)
	w.wrap = nil
	if n := len(w.texts(t, w.folder+"-sent")); n != 1 {
		t.Errorf("%d copies", n)
	}
	w.agree(t, w.folder)
}

// noRoom answers as a server whose mailbox is full: what is to be stored is not, and what is to be sent is.
func (w *faultWorld) noRoom(t *testing.T) {
	full := regexp.MustCompile(`^(T\d+ )(UID )?(APPEND|COPY|MOVE) `)
	w.lead(w.servers.IMAP, peertest.StartProxy(t, w.servers.IMAP, peertest.Tamper{Client: func(line string) (string, peertest.Fate) {
		if m := full.FindStringSubmatch(line); m != nil {
			return m[1] + "NO [OVERQUOTA] the mailbox is full", peertest.Pass
		}
		return "", peertest.Pass
	}}))
	const what, hint = "no space left for ", "delete mail at the server, or ask for more space"
	w.run(t, faultWait, "", "draft", "--to", killBob, "--body", w.file("letter.txt")).mustFail(t, what).mustFail(t, hint)
	w.run(t, faultWait, "", "move", w.uid(0), w.folder+"-to", "--create", "--folder", w.folder).mustFail(t, what).mustFail(t, hint)
	w.run(t, faultWait, "", "delete", w.uid(0), "--yes", "--folder", w.folder).mustFail(t, what).mustFail(t, hint)
	if n := len(w.texts(t, w.folder)); n != 3 {
		t.Errorf("%d messages are left", n)
	}
	w.run(t, faultWait, "", "send", "--to", killBob, "--subject", "full", "--body", w.file("letter.txt")).
		mustFail(t, "the message was sent, and there is no copy in ").mustFail(t, hint)
	if o := w.run(t, faultWait, "To: "+killBob+"\nSubject: full\n\ntext\n", "sendmail", "-t"); o.code != exitGood || !strings.Contains(o.err, "there is no copy in ") {
		t.Errorf("sendmail: exit %d\n%s", o.code, o.err)
	}
	w.lead(w.servers.IMAP, "")
	w.run(t, faultWait, "", "outbox", "flush").mustBe(t, exitGood)
	if n := len(w.texts(t, w.folder+"-sent")); n != 2 {
		t.Errorf("%d copies after there was room again", n)
	}
	w.agree(t, w.folder)
}

// noRoomThere has the submission server say that a recipient's mailbox is full, for now and for good.
func (w *faultWorld) noRoomThere(t *testing.T) {
	for _, c := range []struct{ code, state, hint string }{
		{"452 4.2.2", "queued", "the message waits in the outbox"}, {"552 5.2.2", "refused", "--retry-refused"},
	} {
		w.lead(w.servers.Submission, peertest.StartProxy(t, w.servers.Submissions, peertest.Tamper{ServerTLS: w.tlsConfig(), Client: func(line string) (string, peertest.Fate) {
			if strings.HasPrefix(line, "RCPT") {
				return c.code + " mailbox full", peertest.Pass
			}
			return "", peertest.Pass
		}}))
		o := w.run(t, faultWait, "", "send", "--to", killBob, "--subject", "full", "--body", w.file("letter.txt"))
		o.mustFail(t, killBob+" was refused").mustFail(t, c.code+" mailbox full").mustFail(t, c.hint)
		lines := killLines[client.OutboxLine](t, w.run(t, faultWait, "", "--json", "outbox", "list").mustBe(t, exitGood))
		if len(lines) == 0 || lines[len(lines)-1].State != c.state {
			t.Errorf("%s: the outbox has %+v", c.code, lines)
		}
	}
	w.lead(w.servers.Submission, w.smtp)
	w.run(t, faultWait, "", "outbox", "flush", "--retry-refused").mustBe(t, exitGood)
}

// TestFaultsTruncated cuts the TLS connections of fetch and send after ever more octets, without a word of goodbye.
func TestFaultsTruncated(t *testing.T) {
	l := newFaultLab(t)
	s := l.servers
	l.setUp(t, "tls", "--imap", "imaps://"+s.IMAPS, "--smtp", "submissions://"+s.Submissions)
	for _, c := range []struct {
		name, whole string
		args        func(*faultWorld) []string
	}{
		{"fetch", s.IMAPS, func(w *faultWorld) []string { return []string{"fetch", w.folder} }},
		{"send", s.Submissions, func(w *faultWorld) []string {
			return []string{"send", "--to", killBob, "--subject", "cut", "--body", w.file("letter.txt")}
		}},
	} {
		whole := &shortLine{after: -1}
		one := func(t *testing.T, line *shortLine) {
			w := l.world(t, l.direct(t, killAlice), "tls")
			w.fill(t)
			w.wrap = func(conn net.Conn) net.Conn { return line.of(conn, c.whole) }
			o := w.run(t, faultWait, "", c.args(w)...)
			w.wrap = nil
			if line.after < 0 {
				o.mustBe(t, exitGood)
			} else if o.code != exitGood {
				o.mustFail(t, "://"+c.whole+": ").mustFail(t, "\nhint: ")
			}
			if o = w.run(t, faultWait, "", "outbox", "flush"); o.code != exitGood {
				o.mustFail(t, "--resend-uncertain")
			}
			w.agree(t, w.folder)
			w.clear(t)
		}
		t.Run(c.name, func(t *testing.T) { one(t, whole) })
		const points = 16
		atOnce(points, faultsAtOnce, func(i int) {
			line := &shortLine{after: whole.passed.Load() * int64(i) / points}
			t.Run(fmt.Sprint(c.name, " ", line.after), func(t *testing.T) { one(t, line) })
		})
	}
}

// shortLine ends connections to one server after so many octets have come, as if the cable were cut.
type shortLine struct {
	after  int64 // negative: never
	passed atomic.Int64
}

func (s *shortLine) of(c net.Conn, server string) net.Conn {
	if c.RemoteAddr().String() != server {
		return c
	}
	return &shortConn{c, s}
}

type shortConn struct {
	net.Conn
	line *shortLine
}

func (c *shortConn) Read(p []byte) (int, error) {
	if left := c.line.after - c.line.passed.Load(); c.line.after >= 0 {
		if left <= 0 {
			return 0, errors.Join(c.Conn.Close(), io.EOF)
		}
		p = p[:min(int64(len(p)), left)]
	}
	n, err := c.Conn.Read(p)
	c.line.passed.Add(int64(n))
	return n, err
}
