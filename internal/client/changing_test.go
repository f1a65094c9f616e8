package client_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/mailbox"
)

// places is a store with folders of messages; all of them are of one numbering.
type places struct {
	mailbox.Store // what is not here is not called
	folders       map[string][]mailbox.UID
	silent        bool                  // it does not tell new numbers
	before        func(batch int) error // each move
	batches       int
}

func (p *places) Folders(context.Context) (list []mailbox.Folder, err error) {
	for name := range maps.Keys(p.folders) {
		list = append(list, mailbox.Folder{Name: name})
	}
	return list, nil
}

func (p *places) Status(_ context.Context, folder string) (mailbox.Status, error) {
	if _, ok := p.folders[folder]; !ok {
		return mailbox.Status{}, mailbox.ErrNoFolder
	}
	return mailbox.Status{UIDValidity: 1, Messages: uint32(len(p.folders[folder]))}, nil
}

func (p *places) UIDs(_ context.Context, folder string) ([]mailbox.UID, error) {
	return slices.Clone(p.folders[folder]), nil
}

func (p *places) Move(ctx context.Context, folder string, uids []mailbox.UID, to string) (map[mailbox.UID]mailbox.UID, error) {
	p.batches++
	if p.before != nil {
		if err := p.before(p.batches); err != nil {
			return nil, err
		}
	}
	now := map[mailbox.UID]mailbox.UID{}
	for _, uid := range uids {
		i, ok := slices.BinarySearch(p.folders[folder], uid)
		if !ok {
			continue
		}
		p.folders[folder] = slices.Delete(p.folders[folder], i, i+1)
		next := mailbox.UID(len(p.folders[to]) + 1)
		p.folders[to] = append(p.folders[to], next)
		now[uid] = next
	}
	if p.silent {
		return nil, ctx.Err()
	}
	return now, ctx.Err()
}

func (p *places) Close() error { return nil }

// TestMoveInBatches: what ends moving ends it between two batches, and it is said how far it came.
func TestMoveInBatches(t *testing.T) {
	refused := errors.New("no more")
	for _, test := range []struct {
		name   string
		before func(p *places, stop context.CancelFunc) func(int) error
		silent bool
		moved  int
		failed int // lines with an error
		want   string
	}{
		{name: "to the end", moved: 1200},
		{name: "numbers are not told", silent: true, moved: 1200},
		{name: "interrupted", moved: 500, want: "stopped: 500 of 1200 messages are moved", before: func(_ *places, stop context.CancelFunc) func(int) error {
			return func(int) error { stop(); return nil } // the batch comes to its end
		}},
		{name: "refused", moved: 1000, failed: 200, want: "stopped: 1000 of 1200 messages are moved: no more", before: func(*places, context.CancelFunc) func(int) error {
			return func(batch int) error {
				if batch == 3 {
					return refused
				}
				return nil
			}
		}},
		{name: "gone meanwhile", moved: 1199, failed: 1, want: "1 message(s) could not be moved", before: func(p *places, _ context.CancelFunc) func(int) error {
			return func(batch int) error {
				if batch == 2 {
					p.folders["INBOX"] = slices.Delete(p.folders["INBOX"], 3, 4)
				}
				return nil
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			p := &places{folders: map[string][]mailbox.UID{"INBOX": nil, "Archive": {}}, silent: test.silent}
			for uid := mailbox.UID(1); uid <= 1200; uid++ {
				p.folders["INBOX"] = append(p.folders["INBOX"], uid)
			}
			if test.before != nil {
				p.before = test.before(p, stop)
			}
			o := w.account("bob", p)
			c, err := client.New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			moved, broken := 0, 0
			result, err := c.Move(ctx, client.MoveParams{ChangeParams: client.ChangeParams{IDs: []string{"1:2000"}}, To: "Archive"}, func(l client.ChangeLine) error {
				switch {
				case l.Error != nil:
					broken++
				case *l.To != "Archive" || (l.NewUID == nil) != test.silent:
					t.Errorf("message %d is at %v, %v", *l.UID, *l.To, l.NewUID)
				default:
					moved++
				}
				return nil
			})
			if (err == nil) != (test.want == "") || err != nil && err.Error() != test.want {
				t.Errorf("the error is %v, want %q", err, test.want)
			}
			if result == nil || result.Done != test.moved || moved != test.moved || broken != test.failed || len(p.folders["Archive"]) != test.moved {
				t.Errorf("%+v; %d lines of moved, %d of failed; %d are there", result, moved, broken, len(p.folders["Archive"]))
			}
		})
	}
}

// TestFlagWords holds what is taken for a flag.
func TestFlagWords(t *testing.T) {
	w := newWorld(t)
	c, err := client.New(w.account("bob", &places{}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, word := range []string{"", `\Recent`, `\$Forwarded`, "a b", "a(b", "a]", "grün", "a\r\nb", `"a"`, "*", strings.Repeat("a", 300)} {
		p := client.FlagParams{ChangeParams: client.ChangeParams{IDs: []string{"1"}}, Add: []string{word}}
		if _, err := c.Flag(t.Context(), p, nil); client.KindOf(err) != client.Usage {
			t.Errorf("%q: %v", word, err)
		}
	}
}

// marked is a folder in which messages can be marked.
type marked struct {
	*folder
	modSeq  uint64 // of the folder; 0: it keeps none
	changes []mailbox.UID
	fails   error
}

func (m *marked) Folders(context.Context) ([]mailbox.Folder, error) {
	return []mailbox.Folder{{Name: "INBOX"}}, m.fails
}

func (m *marked) Status(ctx context.Context, folder string) (mailbox.Status, error) {
	status, err := m.folder.Status(ctx, folder)
	status.HighestModSeq = m.modSeq
	return status, err
}

func (m *marked) SetFlags(_ context.Context, _ string, uids []mailbox.UID, c mailbox.FlagChange) error {
	m.changes = append(m.changes, uids...)
	if m.modSeq > 0 {
		m.modSeq++
	}
	if !slices.Equal(c.Add, []string{`\Seen`}) || len(c.Remove) > 0 {
		return errors.New("another change")
	}
	return nil
}

func (m *marked) Flags(ctx context.Context, folder string, since uint64) (infos []mailbox.Info, err error) {
	for _, uid := range m.changes {
		if since < m.modSeq {
			infos = append(infos, mailbox.Info{UID: uid, Flags: []string{`\Seen`, "$Told"}, ModSeq: m.modSeq})
		}
	}
	return infos, nil
}

// TestReadMarksSeen: what was read is marked where that is wanted, once, and its failing is no failure of reading.
func TestReadMarksSeen(t *testing.T) {
	for _, modSeq := range []uint64{0, 7} {
		w := newWorld(t)
		m := &marked{folder: &folder{validity: 1, messages: []string{mail("One", ""), mail("Two", ""), mail("Three", "")}}, modSeq: modSeq}
		o := w.account("bob", m)
		read := func(id string, mark bool) {
			t.Helper()
			c, err := client.New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			n := 0
			err = c.Read(t.Context(), client.ReadParams{ID: id, Folder: "INBOX", MarkSeen: mark}, func(*client.Report) error { n++; return nil })
			if err != nil || n == 0 {
				t.Fatal(n, err)
			}
		}
		read("3", true) // there is no index yet
		if !slices.Equal(m.changes, []mailbox.UID{3}) {
			t.Errorf("marked are %v", m.changes)
		}
		m.changes = nil
		w.subjects(o)
		read("1", false)
		if len(m.changes) > 0 {
			t.Errorf("marked without being asked to: %v", m.changes)
		}
		m.fails = errors.New("not now")
		read("1", true)
		m.fails = nil
		read("1:2", true)
		read("1:2", true) // the index knows by now
		if !slices.Equal(m.changes, []mailbox.UID{1, 2}) {
			t.Errorf("marked are %v", m.changes)
		}
		m.validity++ // other messages
		read("3", true)
		if !slices.Equal(m.changes, []mailbox.UID{1, 2}) {
			t.Errorf("after the folder was renumbered, marked are %v", m.changes)
		}
	}
}
