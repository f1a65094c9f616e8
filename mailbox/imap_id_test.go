package mailbox_test

import (
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox"
)

// TestIMAPServerID: who announces ID is told a name and nothing else, and whatever comes back does no harm.
func TestIMAPServerID(t *testing.T) {
	const withID = "IMAP4rev1 AUTH=PLAIN SASL-IR ID"
	for _, c := range []struct {
		name, caps string
		id         func(*peer, string, string) bool
		want       mailbox.ServerID
		asked      int
	}{
		{"not announced", "", nil, mailbox.ServerID{}, 0},
		{"told", withID, answer("OK done", `* ID ("name" "Some \"Server\"" "version" "2.3" "vendor" "Some One" "host" "x")`),
			mailbox.ServerID{Name: `Some "Server"`, Version: "2.3", Vendor: "Some One"}, 1},
		{"told NIL", withID, answer("OK done", "* ID NIL"), mailbox.ServerID{}, 1},
		{"no answer but OK", withID, answer("OK done"), mailbox.ServerID{}, 1},
		{"refused", withID, answer("BAD what?"), mailbox.ServerID{}, 1},
		{"told with NIL", withID, answer("OK done", `* ID ("name" "x" "version" NIL)`), mailbox.ServerID{}, 1},
		{"told with what should not reach a terminal", withID, answer("OK done", "* ID (\"name\" {9}\r\nx\x1b[31m\u202e)"), mailbox.ServerID{Name: "x [31m?"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			commands := map[string]func(*peer, string, string) bool{}
			if c.id != nil {
				commands["ID"] = c.id
			}
			s, said := (&fakeIMAP{capabilities: c.caps, commands: commands}).dial(t)
			if got := s.(*mailbox.IMAP).ServerID(); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if _, err := s.Folders(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			if n := strings.Count(said.String(), ` ID ("name" "sealmail")`+"\r\n"); n != c.asked || strings.Count(said.String(), " ID ") != n {
				t.Errorf("the client said %q", said)
			}
		})
	}
	servers := peertest.MailServers(t)
	s := dialIMAP(t, peerOptions(t, servers, servers.User(t, "alice"), "imaps"))
	defer s.Close()
	if id := s.(*mailbox.IMAP).ServerID(); id.Name != "Dovecot" {
		t.Errorf("got %+v", id)
	}
}
