package archive_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// mail is a message of a test: its folder, and the message that has its octets; 0: it has its own.
type mail struct {
	folder    string
	duplicate archive.Number
}

// archive archives messages into one segment; the octets of each are those of its number, or of the one that has them. The
// content keys of a message n are for recipients n and 100+n.
func (w *world) archive(list ...mail) {
	w.t.Helper()
	w.do(func(writer *archive.Writer) error {
		for i, m := range list {
			first := w.messages + 1
			n := first + archive.Number(i)
			message := archive.Message{
				Origin:      archive.Origin{Account: "work", Folder: m.folder, UIDValidity: 7, UID: uint32(n)},
				Duplicate:   m.duplicate,
				ContentKeys: []archive.ContentKey{{Recipient: recipient(n), Key: []byte("key of one")}, {Recipient: recipient(n + 100), Key: []byte("of the other")}},
			}
			if m.duplicate != 0 {
				n = m.duplicate
			}
			if _, err := writer.Add(w.t.Context(), message, strings.NewReader(octets(int(n)))); err != nil {
				return err
			}
		}
		_, err := writer.Seal(w.t.Context())
		return err
	})
	w.messages += archive.Number(len(list))
}

func recipient(n archive.Number) (sum [32]byte) {
	sum[0] = byte(n)
	return sum
}

// openProving opens the archive with times that can be proven.
func (w *world) openProving() *archive.Archive {
	w.t.Helper()
	a, err := archive.Open(w.t.Context(), w.storage(safeio.Disk{}), w.proving())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = a.Close() })
	return a
}

func (w *world) policy() *archive.Policy {
	w.t.Helper()
	p, err := w.openProving().Policy(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// house is an archive of four segments in which the last has no stamps:
//
//	1 INBOX   2 INBOX   3 Matter
//	4 INBOX   5 INBOX
//	6 Matter  7 Matter
//	8 INBOX   9 Matter
func house(t *testing.T) *world {
	w := newWorld(t)
	w.create()
	w.archive(mail{folder: "INBOX"}, mail{folder: "INBOX"}, mail{folder: "Matter"})
	w.archive(mail{folder: "INBOX"}, mail{folder: "INBOX"})
	w.archive(mail{folder: "Matter"}, mail{folder: "Matter"})
	stamp := w.write.Stamp
	w.write.Stamp = func(context.Context, []byte) ([]byte, error) { return nil, errors.New("the authority is down") }
	w.archive(mail{folder: "INBOX"}, mail{folder: "Matter"})
	w.write.Stamp = stamp
	return w
}

func folder(names ...string) (s archive.Scope) {
	for _, name := range names {
		s.Folders = append(s.Folders, archive.FolderName{Account: "work", Folder: name})
	}
	return s
}

func TestHolds(t *testing.T) {
	w := house(t)
	w.say(hold("numbers", 1, 6))
	w.say(archive.Statement{Kind: archive.StatementHold, Name: "matter", By: "counsel", Scope: folder("Matter")})
	w.say(archive.Statement{Kind: archive.StatementHold, Name: "other account", Scope: archive.Scope{Folders: []archive.FolderName{{Account: "home", Folder: "INBOX"}}}})
	held := func() (got []string) {
		p := w.policy()
		for n := archive.Number(1); n <= 9; n++ {
			holds, err := p.HeldBy(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, h := range holds {
				names = append(names, h.Name)
			}
			got = append(got, strings.Join(names, "+"))
		}
		return got
	}
	if got := held(); !slices.Equal(got, []string{"numbers", "", "matter", "", "", "numbers+matter", "matter", "", "matter"}) {
		t.Errorf("%q", got)
	}
	// Segments have folders of their own.
	p := w.policy()
	for n, want := range []int{4: 0, 5: 0, 6: 2, 7: 1} {
		if n < 4 {
			continue
		}
		if holds, err := p.HeldBy(t.Context(), archive.Number(n)); err != nil || len(holds) != want {
			t.Errorf("message %d: %v, %v", n, holds, err)
		}
	}
	if h := w.policy().Holds(); len(h) != 3 || h[1].Name != "matter" || h[1].By != "counsel" || h[1].Statement != 2 || !h[1].Since.Equal(now()) {
		t.Errorf("%+v", h)
	}
	w.say(archive.Statement{Kind: archive.StatementRelease, Name: "matter"})
	if got := held(); !slices.Equal(got, []string{"numbers", "", "", "", "", "numbers", "", "", ""}) {
		t.Errorf("after the release: %q", got)
	}
	w.say(archive.Statement{Kind: archive.StatementHold, Name: "matter", Scope: archive.Scope{All: true}})
	if got := held(); !slices.Equal(got, []string{"numbers+matter", "matter", "matter", "matter", "matter", "numbers+matter", "matter", "matter", "matter"}) {
		t.Errorf("again, of all: %q", got)
	}
	w.archive(mail{folder: "INBOX"}) // that came later
	if holds, err := w.policy().HeldBy(t.Context(), 10); err != nil || len(holds) != 1 {
		t.Errorf("a later one: %v, %v", holds, err)
	}
	if _, err := w.policy().HeldBy(t.Context(), 11); !errors.Is(err, archive.ErrMissing) {
		t.Errorf("what is not there: %v", err)
	}
}

func retain(period archive.Period, scope archive.Scope) archive.Statement {
	return archive.Statement{Kind: archive.StatementRetain, Period: period, Scope: scope}
}

func TestRetained(t *testing.T) {
	w := house(t)
	w.say(retain(archive.Period{Years: 6}, folder("INBOX")))
	w.say(retain(archive.Period{Years: 10}, folder("Matter")))
	w.say(retain(archive.Period{Months: 60}, archive.Scope{Messages: archive.Numbers(1, 3, 8)}))
	w.say(retain(archive.Period{Days: 3000}, archive.Scope{Messages: archive.Numbers(2)}))
	p := w.policy()
	for n, want := range map[archive.Number]time.Time{
		1: provenTime(1).AddDate(6, 0, 0), 2: provenTime(1).AddDate(0, 0, 3000), 3: provenTime(1).AddDate(10, 0, 0),
		5: provenTime(2).AddDate(6, 0, 0), 7: provenTime(3).AddDate(10, 0, 0), 8: {}, 9: {},
	} {
		r, ok, err := p.Retained(t.Context(), n)
		if err != nil || !ok || !r.Until.Equal(want) || r.From.IsZero() != want.IsZero() {
			t.Errorf("message %d: %+v, %v, %v; want %s", n, r, ok, err, want)
		}
		if r.From.IsZero() && r.Over(now().AddDate(1000, 0, 0)) {
			t.Errorf("message %d: what has not begun is over", n)
		}
	}
	if len(p.Retentions()) != 4 {
		t.Errorf("%+v", p.Retentions())
	}
	for _, test := range []struct {
		at   time.Time
		want string
	}{
		{provenTime(1).AddDate(6, 0, 0).Add(-time.Second), ""},
		{provenTime(1).AddDate(6, 0, 0), "1"},
		{provenTime(1).AddDate(0, 0, 3000), "1-2,4-5"},
		{now().Add(-time.Second), "1-2,4-5"},
		{now(), "1-5"},
		{now().AddDate(2, 0, 0), "1-7"},
		{now().AddDate(1000, 0, 0), "1-7"},
	} {
		if due, err := p.Due(t.Context(), test.at); err != nil || due.String() != test.want {
			t.Errorf("due at %s: %s, %v; want %s", test.at, due, err, test.want)
		}
	}
	// With its stamps the time of the last segment begins to run.
	w.do(func(writer *archive.Writer) error {
		done, err := writer.Stamp(t.Context())
		if done != 1 {
			t.Errorf("%d were stamped", done)
		}
		return err
	})
	w.say(hold("a", 2, 9))
	if due, err := w.policy().Due(t.Context(), provenTime(4).AddDate(10, 0, 0)); err != nil || due.String() != "1,3-8" {
		t.Errorf("due: %s, %v", due, err)
	}
}

// TestRetainedUnproven: what nobody can prove has no time, and is no reason to guess one.
func TestRetainedUnproven(t *testing.T) {
	w := house(t)
	w.say(retain(archive.Period{Years: 1}, folder("INBOX")))
	for name, proven := range map[string]func(context.Context, archive.Stamps) (time.Time, error){
		"nobody": nil,
		"error":  func(context.Context, archive.Stamps) (time.Time, error) { return now(), errors.New("expired") },
		"zero":   func(context.Context, archive.Stamps) (time.Time, error) { return time.Time{}, nil },
	} {
		o := w.options()
		o.Proven = proven
		a, err := archive.Open(t.Context(), w.storage(safeio.Disk{}), o)
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.Policy(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r, _, err := p.Retained(t.Context(), 1); !errors.Is(err, archive.ErrUnproven) || r.Over(now()) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if due, err := p.Due(t.Context(), now()); !errors.Is(err, archive.ErrUnproven) || due.Len() != 0 {
			t.Errorf("%s: %s, %v", name, due, err)
		}
		if _, ok, err := p.Retained(t.Context(), 3); ok || err != nil {
			t.Errorf("%s: of another folder: %v", name, err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestDueTogether: messages with the same octets are due when the last of them is.
func TestDueTogether(t *testing.T) {
	w := newWorld(t)
	w.create()
	w.archive(mail{folder: "a"}, mail{folder: "a"}, mail{folder: "b"}, mail{folder: "b", duplicate: 1}, mail{folder: "a", duplicate: 1}, mail{folder: "a", duplicate: 2})
	w.archive(mail{folder: "a", duplicate: 3})
	w.say(retain(archive.Period{Years: 1}, folder("a")))
	for n, want := range []string{"2,6", "1-7"} {
		if due, err := w.policy().Due(t.Context(), now()); err != nil || due.String() != want {
			t.Errorf("due: %s, %v; want %s", due, err, want)
		}
		if n == 0 {
			w.say(retain(archive.Period{Months: 1}, folder("b")))
		}
	}
	if due, err := w.policy().Due(t.Context(), provenTime(2).AddDate(0, 11, 0)); err != nil || due.String() != "1-2,4-6" {
		t.Errorf("due: %s, %v", due, err)
	}
}

// TestPolicyUnknown: a kind of statement that is not known may be one that forbids.
func TestPolicyUnknown(t *testing.T) {
	w := newWorld(t)
	w.fill(1)
	id := w.open().ID()
	w.do(func(writer *archive.Writer) error {
		return writer.SayForged(t.Context(), archive.Statement{Kind: "embargo", Time: now(), Scope: archive.Scope{All: true}}, id, 1, nil)
	})
	if _, err := w.open().Policy(t.Context()); !errors.Is(err, archive.ErrVersion) || !strings.Contains(err.Error(), "embargo") {
		t.Errorf("%v", err)
	}
	if list, err := statements(t.Context(), w.open()); err != nil || len(list) != 1 {
		t.Errorf("%d statements: %v", len(list), err)
	}
}
