package client_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/mailbox"
)

// labelled is a server whose folder for sent mail has a name of its own; each of its folders holds the same.
type labelled struct {
	*folder
	asked int // for folders
}

func (m *labelled) Folders(context.Context) ([]mailbox.Folder, error) {
	m.asked++
	return []mailbox.Folder{{Name: "INBOX"}, {Name: "Sent Items", Attributes: []string{`\HasNoChildren`, `\Sent`}}, {Name: "Archive"}}, nil
}

func (m *labelled) Status(ctx context.Context, name string) (mailbox.Status, error) {
	if !slices.Contains([]string{"INBOX", "Sent Items", "Archive"}, name) {
		return mailbox.Status{}, mailbox.ErrNoFolder
	}
	return m.folder.Status(ctx, name)
}

// TestFolderWords: a word for what a folder is for means the same to all commands, and what was learned once is not asked again.
func TestFolderWords(t *testing.T) {
	down := &mailbox.ConnectError{Step: "connect", Reason: mailbox.ReasonUnreachable, Err: context.DeadlineExceeded}
	type step struct {
		about, command, folder string
		offline                bool
		want                   string
		asked                  int // for folders, in all
	}
	for name, steps := range map[string][]step{
		"fetched by the word": {
			{"the server marks it", "fetch", "sent", false, "Sent Items 1", 1},
			{"the index knows", "list", "SENT", true, "Sent Items 1", 1},
			{"the index knows", "search", "sent", true, "Sent Items 1", 1},
			{"the index knows", "read", "sent", true, "Sent Items 1", 1},
			{"by its name", "list", "Sent Items", true, "Sent Items 1", 1},
			{"of the usual name", "fetch", "archive", false, "Archive 1", 2},
			{"of the usual name", "list", "archive", true, "Archive 1", 2},
			{"none for it", "list", "junk", true, "note: Junk was never fetched: `sealmail fetch Junk` does it", 2},
			{"none for it", "fetch", "junk", false, "Junk: no such folder", 3},
		},
		"fetched by its name": {
			{"", "fetch", "Sent Items", false, "Sent Items 1", 0},
			{"nobody has said what it is for", "list", "sent", false, "note: sent was never fetched: `sealmail fetch sent` does it", 0},
			{"the server is asked", "read", "sent", false, "Sent Items 1", 1},
			{"once", "read", "sent", true, "Sent Items 1", 1},
			{"and lists know it", "list", "sent", true, "Sent Items 1", 1},
		},
		"a server that is gone": {
			{"", "fetch", "Sent Items", false, "Sent Items 1", 0},
			{"nobody has said what it is for", "read", "sent", true, "no", 0},
			{"by its name", "read", "Sent Items", true, "Sent Items 1", 0},
		},
		"no word": {
			{"the inbox", "fetch", "inbox", false, "INBOX 1", 0},
			{"the inbox", "read", "", true, "INBOX 1", 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			server := &labelled{folder: &folder{validity: 1, messages: []string{mail("one", "")}}}
			o := w.account("bob", server)
			online := o.DialStore
			for _, s := range steps {
				if o.DialStore = online; s.offline {
					o.DialStore = func(context.Context, mailbox.Options) (mailbox.Store, error) { return nil, down }
				}
				c, err := client.New(o)
				if err != nil {
					t.Fatal(err)
				}
				w.said = nil
				var got []string
				each := func(l client.ListLine) error { got = append(got, fmt.Sprint(l.Folder, " ", l.UID)); return nil }
				switch s.command {
				case "fetch":
					err = c.Fetch(t.Context(), client.FetchParams{Folder: s.folder}, each)
				case "list":
					err = c.List(t.Context(), client.ListParams{Folder: s.folder}, each)
				case "search":
					err = c.Search(t.Context(), client.SearchParams{ListParams: client.ListParams{Folder: s.folder}, Query: "one"}, each)
				case "read":
					err = c.Read(t.Context(), client.ReadParams{ID: "1", Folder: s.folder}, func(r *client.Report) error {
						got = append(got, fmt.Sprint(*r.Folder, " ", *r.UID))
						return nil
					})
				}
				c.Close()
				told := strings.Join(append(got, w.said...), ", ")
				if err != nil {
					told = err.Error()
				}
				if s.want == "no" && err != nil {
					told = "no"
				}
				if told != s.want || server.asked != s.asked {
					t.Errorf("%s %q (%s): %q, want %q; the server was asked %d times, want %d", s.command, s.folder, s.about, told, s.want, server.asked, s.asked)
				}
			}
		})
	}
}
