package putback_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/putback"
)

// odd is a store with its own ways.
type odd struct {
	mailbox.Store
	refuse   map[int64]error // messages of these sizes
	sizes    int64           // by how much sizes are told wrong
	validity uint32          // added to UIDVALIDITY
	noFolder error           // of CreateFolder
	appended int
}

func (o *odd) Append(ctx context.Context, folder string, m mailbox.NewMessage) (mailbox.UID, error) {
	if err := o.refuse[m.Size]; err != nil {
		return 0, err
	}
	o.appended++
	return o.Store.Append(ctx, folder, m)
}

func (o *odd) Status(ctx context.Context, folder string) (mailbox.Status, error) {
	s, err := o.Store.Status(ctx, folder)
	s.UIDValidity += o.validity
	return s, err
}

func (o *odd) List(ctx context.Context, folder string, first mailbox.UID) ([]mailbox.Info, error) {
	infos, err := o.Store.List(ctx, folder, first)
	for i := range infos {
		infos[i].Size += o.sizes
	}
	return infos, err
}

func (o *odd) CreateFolder(ctx context.Context, folder string) error {
	if o.noFolder != nil {
		return o.noFolder
	}
	return o.Store.CreateFolder(ctx, folder)
}

// TestRefused: a message that is refused is told, and the others go on; so it is with a folder. Once there is room it is put there, and
// the others are not put there again.
func TestRefused(t *testing.T) {
	at, path := inMaildir(t)(t), filepath.Join(t.TempDir(), "journal")
	defer at.Close()
	full := &mailbox.QuotaError{Folder: "INBOX"}
	o := &odd{Store: at, refuse: map[int64]error{some()[7].Size: full}, noFolder: errors.New("no folders today")}
	results, err := put(t, o, safeio.Disk{}, path, some())
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		switch m := some()[i]; {
		case m.Folder == "North" && !errors.Is(r.Err, o.noFolder), m.Number == 8 && !errors.Is(r.Err, full),
			m.Folder == "INBOX" && m.Number != 8 && (r.Err != nil || r.UID == 0 || r.There):
			t.Errorf("message %d became %+v", m.Number, r)
		}
	}
	again := &odd{Store: at}
	results, err = put(t, again, safeio.Disk{}, path, some())
	if err != nil || there(results) != 4 || again.appended != 4 {
		t.Errorf("%d were there, %d were put there, and the error is %v", there(results), again.appended, err)
	}
	checkWhole(t, func(testing.TB) mailbox.Store { return unclosed{at} })
}

// unclosed is a store that stays open.
type unclosed struct{ mailbox.Store }

func (unclosed) Close() error { return nil }

// TestSameSize: that a message has the size of another, and its name, makes it no other one.
func TestSameSize(t *testing.T) {
	at := inMaildir(t)
	s := at(t)
	defer s.Close()
	octets, id := text(1)
	other := strings.Replace(octets, "here on", "there on"[:7], 1)
	if len(other) != len(octets) || other == octets {
		t.Fatal("the messages are not what they are to be")
	}
	if _, err := s.Append(t.Context(), "INBOX", mailbox.NewMessage{Size: int64(len(other)), Body: strings.NewReader(other)}); err != nil {
		t.Fatal(err)
	}
	results, err := put(t, s, safeio.Disk{}, filepath.Join(t.TempDir(), "journal"), []putback.Message{message(1, "INBOX", octets, id)})
	if err != nil || results[0].There {
		t.Fatalf("%+v, %v", results, err)
	}
	if n := len(octetsIn(t, at, "INBOX")); n != 2 {
		t.Errorf("there are %d messages", n)
	}
}

// TestWrongSizes: with a server that is wrong about sizes, messages are known by their names; also by those that the journal says may
// have come.
func TestWrongSizes(t *testing.T) {
	octets, id := text(1)
	only := []putback.Message{message(1, "INBOX", octets, id)}
	at, path := inMaildir(t), filepath.Join(t.TempDir(), "journal")
	s := at(t)
	defer s.Close()
	lost := &odd{Store: &killer{Store: s, steps: 1}, sizes: 7}
	if _, err := put(t, lost, safeio.Disk{}, path, only); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	for _, journal := range []string{path, filepath.Join(t.TempDir(), "another")} {
		o := &odd{Store: s, sizes: 7}
		if results, err := put(t, o, safeio.Disk{}, journal, only); err != nil || !results[0].There || o.appended > 0 {
			t.Errorf("%+v, %v", results, err)
		}
	}
}

// TestDeleted: what was removed since it was put back is put back again.
func TestDeleted(t *testing.T) {
	at, path := inMaildir(t), filepath.Join(t.TempDir(), "journal")
	s := at(t)
	defer s.Close()
	if _, err := put(t, s, safeio.Disk{}, path, some()); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "INBOX", []mailbox.UID{1, 3}); err != nil {
		t.Fatal(err)
	}
	if results, err := put(t, s, safeio.Disk{}, path, some()); err != nil || there(results) != 6 {
		t.Errorf("%+v, %v", results, err)
	}
	checkWhole(t, at)
}

// TestLateArrival: what the journal says may have come is looked for again just before it is put there.
func TestLateArrival(t *testing.T) {
	octets, _ := text(1)
	only := []putback.Message{message(1, "INBOX", octets, "")}
	at, path := inMaildir(t)(t), filepath.Join(t.TempDir(), "journal")
	defer at.Close()
	if _, err := put(t, &killer{Store: at, steps: 1}, safeio.Disk{}, path, only); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	late := &late{Store: at}
	if results, err := put(t, late, safeio.Disk{}, path, only); err != nil || !results[0].There || late.lists != 2 {
		t.Errorf("%+v, %v", results, err)
	}
}

// late is a store in which nothing is at first.
type late struct {
	mailbox.Store
	lists int
}

func (l *late) List(ctx context.Context, folder string, first mailbox.UID) ([]mailbox.Info, error) {
	if l.lists++; l.lists == 1 {
		return nil, nil
	}
	return l.Store.List(ctx, folder, first)
}

// TestRenumbered: numbers of another numbering are none.
func TestRenumbered(t *testing.T) {
	octets, id := text(1)
	other, otherID := text(2)
	at, path := inMaildir(t)(t), filepath.Join(t.TempDir(), "journal")
	defer at.Close()
	first := []putback.Message{message(1, "INBOX", octets, id), message(2, "INBOX", other, otherID)}
	if _, err := put(t, at, safeio.Disk{}, path, first[:1]); err != nil {
		t.Fatal(err)
	}
	if err := at.Delete(t.Context(), "INBOX", []mailbox.UID{1}); err != nil {
		t.Fatal(err)
	}
	// What is number 1 now is another message: the one with that number in the journal is not there.
	o := &odd{Store: renamed{at, map[mailbox.UID]mailbox.UID{2: 1}}, validity: 1}
	if _, err := at.Append(t.Context(), "INBOX", mailbox.NewMessage{Size: int64(len(other)), Body: strings.NewReader(other)}); err != nil {
		t.Fatal(err)
	}
	results, err := put(t, o, safeio.Disk{}, path, first)
	if err != nil || results[0].There || !results[1].There || o.appended != 1 {
		t.Errorf("%+v, %v", results, err)
	}
}

// renamed is a store that numbers its messages otherwise.
type renamed struct {
	mailbox.Store
	uids map[mailbox.UID]mailbox.UID
}

func (r renamed) List(ctx context.Context, folder string, first mailbox.UID) ([]mailbox.Info, error) {
	infos, err := r.Store.List(ctx, folder, first)
	for i := range infos {
		infos[i].UID = r.uids[infos[i].UID]
	}
	return infos, err
}

func (r renamed) Fetch(ctx context.Context, folder string, uid mailbox.UID, dst io.Writer) error {
	for own, other := range r.uids {
		if other == uid {
			return r.Store.Fetch(ctx, folder, own, dst)
		}
	}
	return mailbox.ErrNotFound
}

// TestJournal: one at a time has it; what a kill left of a line is nothing; and what is none is not overwritten.
func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := putback.OpenJournal(safeio.Disk{}, path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := putback.OpenJournal(safeio.Disk{}, path); !errors.Is(err, putback.ErrBusy) {
		t.Errorf("the error is %v", err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	at := inMaildir(t)
	s := at(t)
	defer s.Close()
	if _, err := put(t, s, safeio.Disk{}, path, some()[:3]); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, `{"number":3,"folder":"IN`...), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &counting{Store: s}
	if results, err := put(t, c, safeio.Disk{}, path, some()[:3]); err != nil || there(results) != 3 || c.fetched > 0 {
		t.Errorf("%+v, %v", results, err)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(whole) {
		t.Errorf("the journal is %q, %v", now, err)
	}
	for _, bad := range []string{"\n", "{}\n", "hello\n", `{"number":0,"folder":"INBOX"}` + "\n", strings.Repeat("x", 1<<17)} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := putback.OpenJournal(safeio.Disk{}, path); !errors.Is(err, putback.ErrDamaged) {
			t.Errorf("%.20q: the error is %v", bad, err)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != bad {
			t.Errorf("%.20q was altered: %v", bad, err)
		}
	}
}
