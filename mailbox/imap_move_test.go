package mailbox_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/mailbox"
)

// scripted is a server that answers each command that changes something, or looks before it does, with the next of its
// answers: lines, of which the last one is tagged, or "cut" for the end of the line. It notes what it was asked.
type scripted struct {
	mu      sync.Mutex
	answers []string
	asked   []string
}

func (s *scripted) commands() map[string]func(*peer, string, string) bool {
	all := make(map[string]func(*peer, string, string) bool)
	for _, name := range []string{"SEARCH", "COPY", "MOVE", "STORE", "EXPUNGE"} {
		all[name] = func(p *peer, tag, args string) bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.asked = append(s.asked, strings.TrimSpace(name+" "+args))
			if len(s.answers) == 0 {
				p.say(tag + " BAD the script is at its end")
				return true
			}
			lines := strings.Split(s.answers[0], "|")
			s.answers = s.answers[1:]
			if lines[0] == "cut" {
				return false
			}
			lines[len(lines)-1] = tag + " " + lines[len(lines)-1]
			p.say(lines...)
			return true
		}
	}
	return all
}

// TestIMAPMoveAndDelete: nothing is deleted of which there is no copy, and nothing that was not asked for.
func TestIMAPMoveAndDelete(t *testing.T) {
	const (
		plain     = "IMAP4rev1 AUTH=PLAIN SASL-IR"
		store     = `STORE 1:2,7 +FLAGS.SILENT (\Deleted)`
		uidplus   = plain + " UIDPLUS"
		allOfIt   = uidplus + " MOVE"
		none      = "* SEARCH|OK done"
		ours      = "* SEARCH 1 2 7|OK done"
		others    = "* SEARCH 1 9|OK done"
		copied    = "OK [COPYUID 1 1:2,7 11:13] done"
		expunged  = "* 1 EXPUNGE|* 1 EXPUNGE|* 3 EXPUNGE|OK done"
		copyOther = `COPY 1:2,7 "Other"`
	)
	fine := func(err error) bool { return err == nil }
	for _, c := range []struct {
		name    string
		caps    string
		move    bool
		answers []string
		asked   []string
		check   func(error) bool
		told    map[mailbox.UID]mailbox.UID
	}{
		{"MOVE", allOfIt, true, []string{"* OK [COPYUID 1 1:2,7 11:13] moved|* 1 EXPUNGE|OK done"}, []string{`MOVE 1:2,7 "Other"`}, fine,
			map[mailbox.UID]mailbox.UID{1: 11, 2: 12, 7: 13}},
		{"MOVE, and only some were there", allOfIt, true, []string{"* OK [COPYUID 1 2 11] moved|* 1 EXPUNGE|OK done"}, []string{`MOVE 1:2,7 "Other"`}, fine,
			map[mailbox.UID]mailbox.UID{2: 11}},
		{"MOVE without COPYUID", plain + " MOVE", true, []string{"* 1 EXPUNGE|OK done"}, []string{`MOVE 1:2,7 "Other"`}, fine, nil},
		{"MOVE with a COPYUID that does not match", allOfIt, true, []string{"* OK [COPYUID 1 1:2,7 11:12] moved|OK done"}, []string{`MOVE 1:2,7 "Other"`}, fine, nil},
		{"MOVE with an endless COPYUID", allOfIt, true, []string{"* OK [COPYUID 1 1:4294967295 1:4294967295] moved|OK done"}, []string{`MOVE 1:2,7 "Other"`}, fine, nil},
		{"MOVE refused", allOfIt, true, []string{"NO [NOPERM] no"}, []string{`MOVE 1:2,7 "Other"`}, isType[*mailbox.ServerError], nil},
		{"MOVE to no folder", allOfIt, true, []string{"NO [TRYCREATE] no"}, []string{`MOVE 1:2,7 "Other"`},
			func(err error) bool {
				return errors.Is(err, mailbox.ErrNoFolder) && strings.Contains(err.Error(), "Other")
			}, nil},
		{"MOVE, and the line dies", allOfIt, true, []string{"cut"}, []string{`MOVE 1:2,7 "Other"`}, isType[*mailbox.ConnectError], nil},

		{"UIDPLUS", uidplus, true, []string{copied, "OK done", expunged}, []string{copyOther, store, "EXPUNGE 1:2,7"}, fine,
			map[mailbox.UID]mailbox.UID{1: 11, 2: 12, 7: 13}},
		{"UIDPLUS, COPY refused", uidplus, true, []string{"NO [OVERQUOTA] full"}, []string{copyOther}, isType[*mailbox.QuotaError], nil},
		{"UIDPLUS, the line dies in COPY", uidplus, true, []string{"cut"}, []string{copyOther}, isType[*mailbox.ConnectError], nil},
		{"UIDPLUS, STORE refused", uidplus, true, []string{copied, "NO no"}, []string{copyOther, store},
			func(err error) bool {
				return isType[*mailbox.ServerError](err) && strings.Contains(err.Error(), "still here")
			}, nil},
		{"UIDPLUS, the line dies in STORE", uidplus, true, []string{copied, "cut"}, []string{copyOther, store}, isType[*mailbox.ConnectError], nil},
		{"UIDPLUS, the line dies in EXPUNGE", uidplus, true, []string{copied, "OK done", "cut"}, []string{copyOther, store, "EXPUNGE 1:2,7"}, isType[*mailbox.ConnectError], nil},

		{"neither", plain, true, []string{none, "OK done", "OK done", ours, expunged}, []string{"SEARCH DELETED", copyOther, store, "SEARCH DELETED", "EXPUNGE"}, fine, nil},
		{"neither, some of ours are marked", plain, true, []string{ours, "OK done", "OK done", ours, expunged},
			[]string{"SEARCH DELETED", copyOther, store, "SEARCH DELETED", "EXPUNGE"}, fine, nil},
		{"neither, others are marked", plain, true, []string{others}, []string{"SEARCH DELETED"}, isType[*mailbox.UnsupportedError], nil},
		{"neither, others get marked meanwhile", plain, true, []string{none, "OK done", "OK done", others},
			[]string{"SEARCH DELETED", copyOther, store, "SEARCH DELETED"}, isType[*mailbox.UnsupportedError], nil},
		{"neither, the search is refused", plain, true, []string{"NO no"}, []string{"SEARCH DELETED"}, isType[*mailbox.ServerError], nil},

		{"delete", uidplus, false, []string{"OK done", expunged}, []string{store, "EXPUNGE 1:2,7"}, fine, nil},
		{"delete, STORE refused", uidplus, false, []string{"NO no"}, []string{store}, isType[*mailbox.ServerError], nil},
		{"delete without UIDPLUS", plain, false, []string{none, "OK done", ours, expunged}, []string{"SEARCH DELETED", store, "SEARCH DELETED", "EXPUNGE"}, fine, nil},
		{"delete without UIDPLUS, others are marked", plain, false, []string{others}, []string{"SEARCH DELETED"}, isType[*mailbox.UnsupportedError], nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			script := &scripted{answers: c.answers}
			s, said := (&fakeIMAP{capabilities: c.caps, commands: script.commands()}).dial(t)
			uids := []mailbox.UID{7, 1, 2, 1}
			var (
				told map[mailbox.UID]mailbox.UID
				err  error
			)
			_ = within(t, func() error {
				if c.move {
					told, err = s.Move(t.Context(), "INBOX", uids, "Other")
				} else {
					err = s.Delete(t.Context(), "INBOX", uids)
				}
				return err
			})
			if !c.check(err) {
				t.Errorf("got error %v (%T)", err, err)
			}
			if err != nil {
				oneLine(t, err)
			}
			if (told == nil) != (c.told == nil) || !maps.Equal(told, c.told) {
				t.Errorf("told %v, want %v", told, c.told)
			}
			if _, err := s.Status(t.Context(), "INBOX"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			script.mu.Lock()
			defer script.mu.Unlock()
			if !slices.Equal(script.asked, c.asked) {
				t.Errorf("asked %q, want %q", script.asked, c.asked)
			}
			if strings.Contains(said.String(), "EXAMINE") {
				t.Error("opened for reading only")
			}
		})
	}
}

// TestIMAPTakesBackMove has a server that no longer has MOVE when it is to be used. The library would copy, and delete
// without awaiting whether it could.
func TestIMAPTakesBackMove(t *testing.T) {
	s, said := (&fakeIMAP{capabilities: "IMAP4rev1 AUTH=PLAIN SASL-IR MOVE UIDPLUS", commands: map[string]func(*peer, string, string) bool{
		"SELECT": answer("OK [CAPABILITY IMAP4rev1] done", "* 3 EXISTS", "* OK [UIDVALIDITY 1] ok"),
	}}).dial(t)
	_, err := s.Move(t.Context(), "INBOX", []mailbox.UID{1}, "Other")
	reason(t, err, mailbox.ReasonProtocol)
	if strings.Contains(said.String(), "COPY") || strings.Contains(said.String(), "STORE") {
		t.Errorf("the client said %q", said)
	}
}

func TestSpecialFolder(t *testing.T) {
	folders := []mailbox.Folder{
		{Name: "INBOX"}, {Name: "Z", Attributes: []string{`\HasNoChildren`, `\Sent`}}, {Name: "B", Attributes: []string{`\sent`}},
		{Name: "Trash"}, {Name: "Müll", Attributes: []string{`\Trash`}},
	}
	for use, want := range map[string]string{`\Sent`: "B", `\Trash`: "Müll", `\Drafts`: "", "": ""} {
		if got, ok := mailbox.SpecialFolder(folders, use); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %t; want %q", use, got, ok, want)
		}
	}
}
