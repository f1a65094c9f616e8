package mailbox_test

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/mailbox"
)

// texts is a Receiver that keeps what comes, as "UID=text" or "UID!error".
type texts struct {
	done []string
	b    strings.Builder
}

func (r *texts) Message(mailbox.Info) (io.Writer, error) { r.b.Reset(); return &r.b, nil }

func (r *texts) Done(m mailbox.Info, err error) error {
	if err != nil {
		r.done = append(r.done, fmt.Sprintf("%d!%T", m.UID, err))
	} else {
		r.done = append(r.done, fmt.Sprintf("%d=%s", m.UID, r.b.String()))
	}
	return nil
}

var (
	batchSet = regexp.MustCompile(`^([\d:,]+) \(UID BODY\.PEEK\[\]\)$`)
	pieceOf  = regexp.MustCompile(`^(\d+) \(UID RFC822\.SIZE BODY\.PEEK\[\]<0\.\d+>\)$`)
)

// TestIMAPFetchAll has a server that answers the command for messages 3, 4 and 5 as it likes, and those for one message
// well: "FETCH 3:5" and "FETCH 3" and so on. Messages are given as 4, 3, 5.
func TestIMAPFetchAll(t *testing.T) {
	text := func(uid int) string { return fmt.Sprintf("text %d\r\n", uid) }
	whole := func(uid int) string {
		return fmt.Sprintf("* %d FETCH (UID %d BODY[] {%d}\r\n%s)", uid, uid, len(text(uid)), text(uid))
	}
	all := []string{"4=" + text(4), "3=" + text(3), "5=" + text(5)}
	gone := func(i int) []string {
		got := slices.Clone(all)
		got[i] = got[i][:1] + "!*errors.errorString"
		return got
	}
	for _, c := range []struct {
		name   string
		batch  []string // lines, the last one tagged
		single map[string]string
		want   []string
		check  func(error) bool // nil: no error
		pieces string           // which were asked for by themselves
	}{
		{"in ascending order", []string{whole(3), whole(4), whole(5), "OK done"}, nil, all, nil, ""},
		{"in descending order", []string{whole(5), whole(4), whole(3), "OK done"}, nil, all, nil, ""},
		{"one is gone", []string{whole(3), whole(5), "OK done"}, nil, gone(0), nil, ""},
		{"one is gone, with NIL", []string{whole(3), "* 4 FETCH (UID 4 BODY[] NIL)", whole(5), "OK [EXPUNGEISSUED] some are gone"}, nil, gone(0), nil, ""},
		{"one is empty", []string{whole(5), whole(4), `* 3 FETCH (UID 3 BODY[] "")`, "OK done"}, nil, gone(1), nil, ""},
		{"all are gone", []string{"OK done"}, nil, []string{"4!*errors.errorString", "3!*errors.errorString", "5!*errors.errorString"}, nil, ""},
		{"news of flags", []string{`* 4 FETCH (UID 4 FLAGS (\Seen))`, whole(3), whole(4), whole(5), "OK done"}, nil, all, nil, "4"},
		{"news of flags behind", []string{whole(3), whole(4), whole(5), `* 4 FETCH (UID 4 FLAGS (\Seen))`, `* 5 FETCH (FLAGS (\Seen))`, "OK done"}, nil, all, nil, ""},
		{"news of another message", []string{whole(3), `* 9 FETCH (UID 9 FLAGS (\Seen))`, whole(4), whole(5), "OK done"}, nil, all, nil, ""},
		{"far larger than it said", []string{whole(3), fmt.Sprintf("* 4 FETCH (UID 4 BODY[] {70000}\r\n%s)", strings.Repeat("x", 70000)), whole(5), "OK done"}, nil, all, nil, "4"},
		{"NO in the midst", []string{whole(4), whole(5), "NO [SERVERBUG] cannot read one"}, nil, all, nil, "3"},
		{"NO, because of one", []string{whole(4), whole(5), "NO cannot read one"}, map[string]string{"3": "NO cannot read this one"},
			[]string{all[0], "3!*mailbox.ServerError", all[2]}, nil, "3"},
		{"NO to everything", []string{"NO not now"}, map[string]string{"3": "NO", "4": "NO", "5": "NO"},
			[]string{"4!*mailbox.ServerError", "3!*mailbox.ServerError"}, isType[*mailbox.ServerError], "4 3 5"},
		{"the same text twice", []string{"* 4 FETCH (UID 4 BODY[] {1}\r\nx BODY[] {1}\r\nx)", "OK done"}, nil, []string{"4=x"}, isType[*mailbox.ConnectError], ""},
		{"a part of a text", []string{"* 4 FETCH (UID 4 BODY[]<0> {1}\r\nx)", "OK done"}, nil, nil, isType[*mailbox.ConnectError], ""},
		{"a text nobody asked for", []string{"* 4 FETCH (UID 4 BODY[HEADER] {1}\r\nx)", "OK done"}, nil, nil, isType[*mailbox.ConnectError], ""},
		{"cut in a text", []string{"* 4 FETCH (UID 4 BODY[] {8}\r\ntex"}, nil, nil, isType[*mailbox.ConnectError], ""},
		{"cut in a text before its turn", []string{"* 3 FETCH (UID 3 BODY[] {8}\r\ntex"}, nil, nil, isType[*mailbox.ConnectError], ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := true
			var pieces []string
			s, said := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{"FETCH": func(p *peer, tag, args string) bool {
				if m := pieceOf.FindStringSubmatch(args); m != nil {
					pieces = append(pieces, m[1])
					if no := c.single[m[1]]; no != "" {
						p.say(tag + " " + no)
						return true
					}
					var uid int
					fmt.Sscan(m[1], &uid)
					p.say(body(uid, 0, text(uid), fmt.Sprintf(" RFC822.SIZE %d", len(text(uid)))), tag+" OK done")
					return true
				}
				m := batchSet.FindStringSubmatch(args)
				switch {
				case m == nil:
					t.Errorf("the client asks for %s", args)
					return false
				case first && strings.HasPrefix(c.name, "cut"):
					p.Write([]byte(strings.Join(c.batch, "\r\n")))
					return false
				case first:
					first = false
					p.say(append(slices.Clone(c.batch[:len(c.batch)-1]), tag+" "+c.batch[len(c.batch)-1])...)
				case c.name == "NO to everything":
					p.say(tag + " NO again")
				default: // asked again, for what is left
					for uid := 3; uid <= 5; uid++ {
						if inSet(m[1], uid) {
							p.say(whole(uid))
						}
					}
					p.say(tag + " OK done")
				}
				return true
			}}}).dial(t)
			var got texts
			infos := []mailbox.Info{{UID: 4, Size: 8}, {UID: 3, Size: 8}, {UID: 5, Size: 8}, {UID: 3, Size: 8}}
			err := within(t, func() error { return s.FetchAll(t.Context(), "INBOX", infos, &got) })
			if c.check == nil && err != nil || c.check != nil && !c.check(err) {
				t.Errorf("got error %v (%T)", err, err)
			}
			if !slices.Equal(got.done, c.want) {
				t.Errorf("got %q, want %q", got.done, c.want)
			}
			if err != nil {
				oneLine(t, err)
			}
			if all := strings.Join(pieces, " "); all != c.pieces {
				t.Errorf("asked for %q by themselves, want %q", all, c.pieces)
			}
			if strings.Contains(said.String(), "BODY[") {
				t.Error("fetched without PEEK")
			}
			if _, err := s.Status(t.Context(), "INBOX"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// inSet reports whether a UID stands in a set as the client writes it.
func inSet(set string, uid int) bool {
	for part := range strings.SplitSeq(set, ",") {
		var from, to int
		if n, _ := fmt.Sscanf(part, "%d:%d", &from, &to); n == 1 {
			to = from
		}
		if from <= uid && uid <= to {
			return true
		}
	}
	return false
}

// TestIMAPFetchAllAhead has a server that answers nothing before it has two commands, and ends them together, as Dovecot
// does: the line is never idle.
func TestIMAPFetchAllAhead(t *testing.T) {
	const n = 1000
	var waiting []string // the commands that were not answered
	s, _ := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{"FETCH": func(p *peer, tag, args string) bool {
		waiting = append(waiting, tag+" "+args)
		if len(waiting) < 2 && !strings.Contains(args, fmt.Sprint(n)) {
			return true
		}
		for _, command := range waiting {
			set := strings.Fields(command)[1]
			for uid := 1; uid <= n; uid++ {
				if inSet(set, uid) {
					p.say(fmt.Sprintf("* %d FETCH (UID %d BODY[] {3}\r\nx\r\n)", uid, uid))
				}
			}
		}
		for _, command := range waiting {
			p.say(strings.Fields(command)[0] + " OK done")
		}
		waiting = nil
		return true
	}}}).dial(t)
	infos := make([]mailbox.Info, n)
	for i := range infos {
		infos[i] = mailbox.Info{UID: mailbox.UID(i + 1), Size: 3}
	}
	var got texts
	if err := within(t, func() error { return s.FetchAll(t.Context(), "INBOX", infos, &got) }); err != nil || len(got.done) != n {
		t.Errorf("%d messages, %v", len(got.done), err)
	}
}

// TestIMAPFlags: what is asked of servers that keep mod-sequences, and of those that do not.
func TestIMAPFlags(t *testing.T) {
	const condstore = "IMAP4rev1 AUTH=PLAIN SASL-IR CONDSTORE"
	for _, c := range []struct {
		name, caps, code string
		since            uint64
		asked            string // of FETCH; "" if nothing
	}{
		{"without mod-sequences", "", "", 5, "1:* (UID FLAGS)"},
		{"a folder without", condstore, "* OK [NOMODSEQ] none here", 5, "1:* (UID FLAGS)"},
		{"from the first", condstore, "* OK [HIGHESTMODSEQ 9] ok", 0, "1:* (UID FLAGS MODSEQ)"},
		{"changed since", condstore, "* OK [HIGHESTMODSEQ 9] ok", 5, "1:* (UID FLAGS MODSEQ) (CHANGEDSINCE 5)"},
		{"nothing changed", condstore, "* OK [HIGHESTMODSEQ 9] ok", 9, ""},
		{"went back in time", condstore, "* OK [HIGHESTMODSEQ 9] ok", 10, "1:* (UID FLAGS MODSEQ)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := ""
			s, said := (&fakeIMAP{capabilities: c.caps, commands: map[string]func(*peer, string, string) bool{
				"EXAMINE": func(p *peer, tag, _ string) bool {
					if c.code != "" {
						p.say(c.code)
					}
					p.say("* 3 EXISTS", "* OK [UIDVALIDITY 1] ok", tag+" OK done")
					return true
				},
				"FETCH": func(p *peer, tag, args string) bool {
					// The library writes the items as it likes.
					asked = strings.Replace(args, "(UID MODSEQ FLAGS)", "(UID FLAGS MODSEQ)", 1)
					p.say(`* 2 FETCH (UID 7 FLAGS (\Seen \Recent) MODSEQ (8))`, `* 1 FETCH (UID 4 FLAGS ())`, `* 3 FETCH (UID 8)`, tag+" OK done")
					return true
				},
			}}).dial(t)
			got, err := s.Flags(t.Context(), "INBOX", c.since)
			if err != nil || asked != c.asked {
				t.Errorf("asked for %q, want %q; %v", asked, c.asked, err)
			}
			want := "[{4 0 [] 0001-01-01 00:00:00 +0000 UTC 0} {7 0 [\\Seen] 0001-01-01 00:00:00 +0000 UTC 8}]"
			if c.asked == "" {
				want = "[]"
			}
			if fmt.Sprint(got) != want {
				t.Errorf("got %v, want %v", got, want)
			}
			if strings.Contains(said.String(), "(CONDSTORE)") != (c.caps != "") {
				t.Errorf("the client said %q", said)
			}
		})
	}
	s, _ := (&fakeIMAP{}).dial(t, func(o *mailbox.Options) { o.MaxMessages = 2 })
	if _, err := s.Flags(t.Context(), "INBOX", 0); !errors.Is(err, mailbox.ErrTooMany) {
		t.Errorf("got error %v, want ErrTooMany", err)
	}
}
