//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox"
)

// TestArchiveFaultsState has Dovecot's mailbox change behind the back of a pull, and what it says be altered.
func TestArchiveFaultsState(t *testing.T) {
	l := newFaultLab(t)
	l.archiver(t)
	l.sealmail(t, l.file("clear"), "cert", "import", l.file("archive.p12"), "--p12-password-file", l.file("password")).mustBe(t, exitGood)
	l.sealmail(t, l.file("clear"), "cert", "trust", l.file("ca/root.pem"), "--for", "tsa").mustBe(t, exitGood)
	tests := []struct {
		name string
		run  func(*faultWorld, *testing.T)
	}{
		{"made anew", (*faultWorld).pullAnew}, {"made anew in the middle", (*faultWorld).pullAnewWithin}, {"vanishes in the middle", (*faultWorld).pullVanishing},
		{"vanished before it is removed", (*faultWorld).clearVanished}, {"made anew before it is removed", (*faultWorld).clearAnew},
		{"another one in its place", (*faultWorld).clearAnother}, {"without UIDPLUS", (*faultWorld).clearWithoutUIDPLUS},
		{"refused message", (*faultWorld).pullRefused}, {"absurd sizes", (*faultWorld).pullAbsurdSizes}, {"truncated literal", (*faultWorld).pullTruncated}, {"absurd literal", (*faultWorld).pullAbsurd},
	}
	atOnce(len(tests), faultsAtOnce, func(i int) {
		t.Run(tests[i].name, func(t *testing.T) {
			w := l.world(t, l.direct(t, killAlice), "clear")
			w.fill(t)
			tests[i].run(w, t)
			w.clear(t)
		})
	})
}

func (w *faultWorld) archive() string { return filepath.Join(filepath.Dir(w.home), "archive") }

func (w *faultWorld) pull(t *testing.T, flags ...string) outcome {
	t.Helper()
	return w.run(t, faultWait, "", slices.Concat([]string{"--json", "archive", "pull", w.folder, "--to", w.archive(), "--tsa", w.tsa}, flags)...)
}

// pulled checks that a pull archives so many messages, and that verification finds nothing afterwards.
func (w *faultWorld) pulled(t *testing.T, want int, flags ...string) outcome {
	t.Helper()
	o := w.pull(t, flags...).mustBe(t, exitGood)
	if n := len(killLines[client.ArchiveLine](t, o)); n != want {
		t.Errorf("%d messages were archived, want %d\n%s%s", n, want, o.out, o.err)
	}
	w.run(t, faultWait, "", "--json", "archive", "verify", w.archive()).mustBe(t, exitGood)
	return o
}

// tampered leads to the server through a proxy.
func (w *faultWorld) tampered(t *testing.T, tamper peertest.Tamper) {
	w.lead(w.servers.IMAP, peertest.StartProxy(t, w.servers.IMAP, tamper))
}

// left checks which messages are at the server.
func (w *faultWorld) left(t *testing.T, want ...string) {
	t.Helper()
	all := w.texts(t, w.folder)
	for _, text := range want {
		if _, there := all[text]; !there {
			t.Errorf("a message is not at the server any more: %.60q", text)
		}
	}
	if len(all) != len(want) {
		t.Errorf("at the server are %d messages, want %d", len(all), len(want))
	}
}

// pullAnew finds the folder renumbered, with another message under a number that was archived. It is archived, and the copy of one
// that was archived before shares its octets.
func (w *faultWorld) pullAnew(t *testing.T) {
	w.pulled(t, 3)
	w.remake(t)
	text := faultText(0)
	if _, err := w.store.Append(t.Context(), w.folder, mailbox.NewMessage{Size: int64(len(text)), Body: strings.NewReader(text)}); err != nil {
		t.Fatal(err)
	}
	o := w.pulled(t, 2)
	if !strings.Contains(o.err, "note: the server has renumbered "+w.folder) {
		t.Errorf("it is not said: %s", o.err)
	}
	if lines := killLines[client.ArchiveLine](t, o); lines[0].DuplicateOf != nil || lines[1].DuplicateOf == nil || *lines[1].DuplicateOf != 1 {
		t.Errorf("duplicates: %s", o.out)
	}
	w.pulled(t, 0)
}

// renumbering has the folder have another numbering once a command opens it, after the nth time.
func (w *faultWorld) renumbering(t *testing.T, nth int32) {
	validity := regexp.MustCompile(`UIDVALIDITY (\d+)`)
	var opened atomic.Int32
	w.tampered(t, peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
		if !strings.HasPrefix(line, "* STATUS") && validity.MatchString(line) && opened.Add(1) > nth {
			line = validity.ReplaceAllString(line, "UIDVALIDITY 1234")
		}
		return line, peertest.Pass
	}})
}

func (w *faultWorld) pullAnewWithin(t *testing.T) {
	w.renumbering(t, 0)
	w.pull(t, "--expunge-verified", "--yes").mustFail(t, "the folder was renumbered")
	w.lead(w.servers.IMAP, "")
	w.left(t, faultText(0), faultText(1), faultText(2))
	w.pulled(t, 3)
}

// pullVanishing deletes a message after the pull was told that it is there.
func (w *faultWorld) pullVanishing(t *testing.T) {
	var done atomic.Bool
	w.tampered(t, peertest.Tamper{Client: func(line string) (string, peertest.Fate) {
		if strings.Contains(line, "BODY.PEEK[") && done.CompareAndSwap(false, true) {
			if err := w.store.Delete(t.Context(), w.folder, w.uids[1:2]); err != nil {
				t.Error(err)
			}
		}
		return "", peertest.Pass
	}})
	o := w.pull(t)
	if !done.Load() || !strings.Contains(o.out, "message 0") || !strings.Contains(o.out, "message 2") {
		t.Errorf("exit %d, %t\n%s%s", o.code, done.Load(), o.out, o.err)
	}
	w.lead(w.servers.IMAP, "")
	if o.code != exitGood {
		t.Errorf("exit %d\n%s", o.code, o.err)
	}
	w.pulled(t, 0)
}

// clearVanished removes what was archived, of which somebody else has removed one in the meantime, and put another there.
func (w *faultWorld) clearVanished(t *testing.T) {
	w.pulled(t, 3)
	if err := w.store.Delete(t.Context(), w.folder, w.uids[:1]); err != nil {
		t.Fatal(err)
	}
	o := w.pulled(t, 0, "--expunge-verified", "--yes")
	w.left(t)
	if o.err != "" {
		t.Errorf("it says %s", o.err)
	}
}

// clearAnew removes what was archived, and the folder has another numbering by then.
func (w *faultWorld) clearAnew(t *testing.T) {
	w.renumbering(t, 1)
	o := w.pull(t, "--expunge-verified", "--yes")
	if n := len(killLines[client.ArchiveLine](t, o)); n > 0 && o.code == exitGood {
		t.Errorf("exit %d\n%s%s", o.code, o.out, o.err)
	}
	w.lead(w.servers.IMAP, "")
	w.left(t, faultText(0), faultText(1), faultText(2))
	w.pull(t).mustBe(t, exitGood)
	// A numbering that was archived, and other messages under it.
	w.remake(t)
	w.pulled(t, 1, "--expunge-verified", "--yes")
	w.left(t)
}

// clearAnother finds another message where one was archived, as with a server that numbers anew and does not say so.
func (w *faultWorld) clearAnother(t *testing.T) {
	w.pulled(t, 3)
	const was, is = "Subject: message 1", "Subject: massage 1"
	files, err := filepath.Glob(filepath.Join(w.servers.MailDir(killAlice, w.folder), "*", "*,S=*"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		} else if strings.Contains(string(text), was) {
			if err := os.WriteFile(file, []byte(strings.Replace(string(text), was, is, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	o := w.pull(t, "--expunge-verified", "--yes").mustBe(t, exitGood)
	if !strings.Contains(o.err, fmt.Sprintf("warning: message %d in %s stays at the server: it is not the one that was archived", w.uids[1], w.folder)) {
		t.Errorf("it is not said: %s", o.err)
	}
	w.left(t, strings.Replace(faultText(1), was, is, 1))
}

// clearWithoutUIDPLUS removes at a server that can only remove all messages that are marked, where another one is marked meanwhile.
func (w *faultWorld) clearWithoutUIDPLUS(t *testing.T) {
	known := regexp.MustCompile(` UIDPLUS\b`)
	text := faultText(5)
	var done atomic.Bool
	w.tampered(t, peertest.Tamper{
		Server: func(line string) (string, peertest.Fate) {
			if strings.Contains(line, "CAPABILITY") {
				line = known.ReplaceAllString(line, "")
			}
			return line, peertest.Pass
		},
		Client: func(line string) (string, peertest.Fate) {
			if strings.Contains(line, " STORE ") && done.CompareAndSwap(false, true) {
				marked := mailbox.NewMessage{Flags: []string{`\Deleted`}, Size: int64(len(text)), Body: strings.NewReader(text)}
				if _, err := w.store.Append(t.Context(), w.folder, marked); err != nil {
					t.Error(err)
				}
			}
			return "", peertest.Pass
		},
	})
	o := w.pull(t, "--expunge-verified", "--yes").mustFail(t, "other messages in the folder are marked as deleted")
	if n := len(killLines[client.ArchiveLine](t, o)); n != 3 {
		t.Errorf("%d messages were archived", n)
	}
	w.lead(w.servers.IMAP, "")
	w.left(t, faultText(0), faultText(1), faultText(2), text)
	w.pulled(t, 1, "--expunge-verified", "--yes")
	w.left(t)
}

// pullRefused cannot have a message, which the server does not give out.
func (w *faultWorld) pullRefused(t *testing.T) {
	asked := regexp.MustCompile(fmt.Sprintf(`^(T\d+ )UID FETCH [\d,:]*\b%d .*BODY\.PEEK`, w.uids[2]))
	w.tampered(t, peertest.Tamper{Client: func(line string) (string, peertest.Fate) {
		if m := asked.FindStringSubmatch(line); m != nil {
			return m[1] + "NO [SERVERBUG] it cannot be read", peertest.Pass
		}
		return "", peertest.Pass
	}})
	o := w.pull(t, "--expunge-verified", "--yes").mustFail(t, "message(s) could not be had, and are not archived")
	if !strings.Contains(o.err, fmt.Sprintf("warning: message %d in %s was not archived: ", w.uids[2], w.folder)) {
		t.Errorf("it is not said: %s", o.err)
	}
	w.lead(w.servers.IMAP, "")
	there := w.texts(t, w.folder)
	if _, left := there[faultText(2)]; !left {
		t.Error("the message is not at the server any more")
	}
	w.pulled(t, len(there))
}

// pullAbsurdSizes is told of messages that they are larger than anything.
func (w *faultWorld) pullAbsurdSizes(t *testing.T) {
	size := regexp.MustCompile(`RFC822\.SIZE \d+`)
	w.tampered(t, peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
		return size.ReplaceAllString(line, "RFC822.SIZE 9223372036854775807"), peertest.Pass
	}})
	o := w.pull(t)
	if o.code != exitGood {
		o.mustFail(t, "\nhint: ")
	}
	w.lead(w.servers.IMAP, "")
	w.pulled(t, 3-len(killLines[client.ArchiveLine](t, o)))
}

func (w *faultWorld) pullTruncated(t *testing.T) {
	w.tampered(t, peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
		if bodyLiteral.MatchString(line) {
			return line + "\nFrom: carol", peertest.Cut
		}
		return line, peertest.Pass
	}})
	w.pull(t).mustFail(t, "the connection was lost")
	w.lead(w.servers.IMAP, "")
	w.pulled(t, 3)
}

func (w *faultWorld) pullAbsurd(t *testing.T) {
	w.tampered(t, peertest.Tamper{Server: func(line string) (string, peertest.Fate) {
		if bodyLiteral.MatchString(line) {
			return line[:strings.LastIndexByte(line, '{')] + "{99999999999}", peertest.Pass
		}
		return line, peertest.Pass
	}})
	o := w.run(t, faultShort, "", "--json", "archive", "pull", w.folder, "--to", w.archive(), "--tsa", w.tsa)
	o.mustFail(t, "imap://"+w.servers.IMAP+": ")
	w.lead(w.servers.IMAP, "")
	w.pulled(t, 3)
}
