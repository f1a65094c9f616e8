package mailbox_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/mailbox"
)

func TestIMAPList(t *testing.T) {
	info := func(uid int) string {
		return fmt.Sprintf(`* %d FETCH (UID %d FLAGS (\Seen \Recent) RFC822.SIZE %d INTERNALDATE "21-Nov-2025 10:02:11 +0100")`, uid, uid, 100+uid)
	}
	all := answer("OK done", info(1), info(2), info(3))
	for _, c := range []struct {
		name   string
		search string
		fetch  func(*peer, string, string) bool
		first  mailbox.UID
		want   []mailbox.UID
		err    error
	}{
		{name: "all", search: "* SEARCH 1 2 3", fetch: all, want: []mailbox.UID{1, 2, 3}},
		{name: "ranges", search: `* ESEARCH (TAG "T3") UID ALL 1:3`, fetch: all, want: []mailbox.UID{1, 2, 3}},
		{name: "out of order", search: "* SEARCH 3 1 2 1", fetch: answer("OK done", info(3), info(1), info(2), info(3)), want: []mailbox.UID{1, 2, 3}},
		{name: "the last below the first", search: "* SEARCH 3", fetch: all, first: 5},
		{name: "none", search: "* SEARCH", fetch: all},
		{name: "some vanished", search: "* SEARCH 1 2 3", fetch: answer("OK done", info(1), "* 2 EXPUNGE", info(3)), want: []mailbox.UID{1, 3}},
		{name: "some more", search: "* SEARCH 1 3", fetch: all, want: []mailbox.UID{1, 3}},
		{name: "too many", search: `* ESEARCH (TAG "T3") UID ALL 1:4294967295`, fetch: all, err: mailbox.ErrTooMany},
		{name: "too many numbers", search: "* SEARCH " + strings.Repeat("1 ", 50) + "2 3 4 5 6 7 8 9 10 11", fetch: all, err: mailbox.ErrTooMany},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{"FETCH": c.fetch, "SEARCH": func(p *peer, tag, _ string) bool {
				p.say(strings.ReplaceAll(c.search, "T3", tag), tag+" OK done")
				return true
			}}}).dial(t, func(o *mailbox.Options) { o.MaxMessages = 10 })
			var list []mailbox.Info
			err := within(t, func() (err error) { list, err = s.List(t.Context(), "INBOX", c.first); return err })
			var got []mailbox.UID
			for _, m := range list {
				got = append(got, m.UID)
				if m.Size != 100+int64(m.UID) || !slices.Equal(m.Flags, []string{`\Seen`}) || m.InternalDate.Unix() != 1763715731 {
					t.Errorf("got %+v", m)
				}
			}
			if !errors.Is(err, c.err) || !slices.Equal(got, c.want) {
				t.Errorf("got %v, %v; want %v, %v", got, err, c.want, c.err)
			}
			if _, err := s.Status(t.Context(), "INBOX"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
	t.Run("news of flags", func(t *testing.T) {
		n := 0
		s, _ := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{"SEARCH": answer("OK done", "* SEARCH 1 2 3"), "FETCH": func(p *peer, tag, _ string) bool {
			if n++; n == 1 {
				p.say(`* 2 FETCH (UID 2 FLAGS (\Answered))`)
			}
			return all(p, tag, "")
		}}}).dial(t)
		list, err := s.List(t.Context(), "INBOX", 1)
		if err != nil || len(list) != 3 || list[1].UID != 2 || list[1].Size != 102 {
			t.Errorf("got %+v, %v", list, err)
		}
	})
	t.Run("never a size", func(t *testing.T) {
		s, _ := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{
			"SEARCH": answer("OK done", "* SEARCH 1"), "FETCH": answer("OK done", `* 1 FETCH (UID 1 FLAGS ())`)}}).dial(t)
		_, err := s.List(t.Context(), "INBOX", 1)
		reason(t, err, mailbox.ReasonProtocol)
	})
	for _, search := range []string{"* SEARCH x", "* SEARCH 99999999999", `* ESEARCH (TAG "T3") ALL 1:3`, `* ESEARCH (TAG "T3") UID ALL 1:*`} {
		s, _ := (&fakeIMAP{commands: map[string]func(*peer, string, string) bool{"SEARCH": func(p *peer, tag, _ string) bool {
			p.say(strings.ReplaceAll(search, "T3", tag), tag+" OK done")
			return true
		}}}).dial(t)
		_, err := s.List(t.Context(), "INBOX", 1)
		reason(t, err, mailbox.ReasonProtocol)
	}
}
