package mailbox_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/mailbox"
)

func TestIMAPAppend(t *testing.T) {
	take := func(lines ...string) func(*peer, string, string) bool {
		return func(p *peer, tag, args string) bool {
			readLiteral(p, args, true)
			for _, line := range lines {
				p.say(strings.ReplaceAll(line, "TAG", tag))
			}
			return len(lines) > 0
		}
	}
	text := strings.Repeat("Subject: x\r\n", 1000)
	for _, c := range []struct {
		name   string
		caps   string
		append func(*peer, string, string) bool
		check  func(error) bool
		uid    mailbox.UID
	}{
		{"with UID", "", take("TAG OK [APPENDUID 1 42] done"), func(err error) bool { return err == nil }, 42},
		{"without UID", "", take("TAG OK done"), func(err error) bool { return err == nil }, 0},
		{"over quota at once", "", answer("NO [OVERQUOTA] full"), isType[*mailbox.QuotaError], 0},
		{"over quota afterwards", "", take("TAG NO [OVERQUOTA] full"), isType[*mailbox.QuotaError], 0},
		{"too big at once", "", answer("NO [TOOBIG] no"), isType[*mailbox.TooLargeError], 0},
		{"above the limit", "IMAP4rev1 AUTH=PLAIN APPENDLIMIT=100", take("TAG OK done"), isType[*mailbox.TooLargeError], 0},
		{"folder gone", "", answer("NO [TRYCREATE] gone"), func(err error) bool { return errors.Is(err, mailbox.ErrNoFolder) }, 0},
		{"folder gone afterwards", "", take("TAG NO [TRYCREATE] gone"), func(err error) bool { return errors.Is(err, mailbox.ErrNoFolder) }, 0},
		{"cut before the text", "", func(*peer, string, string) bool { return false }, certain, 0},
		{"cut in the text", "", func(p *peer, _, _ string) bool { p.say("+ go on"); p.line(); return false }, isType[*mailbox.ConnectError], 0},
		{"cut after the text", "", take(), isType[*mailbox.UncertainError], 0},
		{"BYE after the text", "", take("* BYE going", "* BYE gone"), isType[*mailbox.ConnectError], 0},
		{"nonsense after the text", "", take("TAG MAYBE"), isType[*mailbox.UncertainError], 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			commands := map[string]func(*peer, string, string) bool{"APPEND": c.append}
			s, said := (&fakeIMAP{capabilities: c.caps, commands: commands}).dial(t, func(o *mailbox.Options) {
				if strings.HasPrefix(c.name, "BYE") {
					o.Timeout = 200 * time.Millisecond
				}
			})
			var uid mailbox.UID
			err := within(t, func() (err error) { uid, err = appendTo(t, s, "INBOX", text); return err })
			if !c.check(err) || uid != c.uid {
				t.Errorf("got %d, %v (%T)", uid, err, err)
			}
			if err != nil {
				oneLine(t, err)
			}
			if strings.Contains(said.String(), "CREATE") {
				t.Error("made a folder that is there")
			}
			if _, err := s.Status(t.Context(), "INBOX"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestIMAPMakesFolder: a missing folder is made before a message is sent to it, however the server says that it is missing.
func TestIMAPMakesFolder(t *testing.T) {
	for _, c := range []struct {
		name              string
		status, list      string
		create, subscribe string
		check             func(error) bool
		commands          string
	}{
		{"with a code", "NO [NONEXISTENT] no", "", "OK done", "OK done", func(err error) bool { return err == nil }, "STATUS CREATE SUBSCRIBE APPEND"},
		{"without a code", "NO no", "", "OK done", "NO no", func(err error) bool { return err == nil }, "STATUS LIST CREATE SUBSCRIBE APPEND"},
		{"made meanwhile", "NO no", "* LIST () NIL other", "NO [ALREADYEXISTS] no", "OK done", func(err error) bool { return err == nil }, "STATUS LIST CREATE SUBSCRIBE APPEND"},
		{"there, but not for us", "NO no", "* LIST () NIL fresh", "OK done", "OK done", isType[*mailbox.ServerError], "STATUS LIST"},
		{"not to be made", "NO [NONEXISTENT] no", "", "NO [NOPERM] no", "OK done", isType[*mailbox.ServerError], "STATUS CREATE"},
		{"cut", "NO [NONEXISTENT] no", "", "cut", "OK done", certain, "STATUS CREATE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var (
				mu       sync.Mutex
				commands []string
			)
			say := func(name string, lines ...string) func(*peer, string, string) bool {
				return func(p *peer, tag, args string) bool {
					mu.Lock()
					commands = append(commands, name)
					mu.Unlock()
					readLiteral(p, args, true)
					if lines[len(lines)-1] == "cut" {
						return false
					}
					if lines[0] == "" {
						lines = lines[1:]
					}
					lines[len(lines)-1] = tag + " " + lines[len(lines)-1]
					p.say(lines...)
					return true
				}
			}
			s, _ := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{
				"STATUS": say("STATUS", c.status), "LIST": say("LIST", c.list, "OK done"), "CREATE": say("CREATE", c.create),
				"SUBSCRIBE": say("SUBSCRIBE", c.subscribe), "APPEND": say("APPEND", "OK done"),
			}}).dial(t)
			_, err := appendTo(t, s, "fresh", "x\r\n")
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(commands, " "); !c.check(err) || got != c.commands {
				t.Errorf("got error %v after %s, want %s", err, got, c.commands)
			}
		})
	}
}

func isType[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// certain is an error of the connection after which it is clear that nothing was done.
func certain(err error) bool {
	return isType[*mailbox.ConnectError](err) && !isType[*mailbox.UncertainError](err)
}
