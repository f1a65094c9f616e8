package client_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/mailbox"
)

// folder is a store with one folder; the UIDs begin with 1.
type folder struct {
	mailbox.Store // what is not here is not called
	validity      uint32
	messages      []string
}

func (f *folder) Status(context.Context, string) (mailbox.Status, error) {
	return mailbox.Status{UIDValidity: f.validity, UIDNext: mailbox.UID(len(f.messages) + 1), Messages: uint32(len(f.messages))}, nil
}

func (f *folder) List(_ context.Context, _ string, first mailbox.UID) (list []mailbox.Info, err error) {
	for i, m := range f.messages {
		if uid := mailbox.UID(i + 1); uid >= first {
			list = append(list, mailbox.Info{UID: uid, Size: int64(len(m))})
		}
	}
	return list, nil
}

func (f *folder) Fetch(_ context.Context, _ string, uid mailbox.UID, dst io.Writer) error {
	_, err := io.WriteString(dst, f.messages[uid-1])
	return err
}

func (f *folder) Close() error { return nil }

// account sets up an account whose mail is in the folder, and returns its options.
func (w *world) account(name string, f *folder) client.Options {
	w.t.Helper()
	o := w.options()
	o.Account, o.Unprotected = name, true
	o.DialStore = func(context.Context, mailbox.Options) (mailbox.Store, error) { return f, nil }
	c, err := client.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Init(w.t.Context(), client.InitParams{Name: name, Address: "bob@example.org", NoCheck: true, Password: []byte("x"),
		IMAP: "imaps://imap.example.org", SMTP: "submissions://smtp.example.org"})
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// subjects fetches and then lists, in a run of the program each, and returns the subjects of both.
func (w *world) subjects(o client.Options) (fetched, listed []string) {
	w.t.Helper()
	note := func(to *[]string) func(client.ListLine) error {
		return func(l client.ListLine) error { *to = append(*to, fmt.Sprint(l.UID, " ", *l.Subject)); return nil }
	}
	for _, run := range []func(*client.Client) error{
		func(c *client.Client) error { return c.Fetch(w.t.Context(), client.FetchParams{}, note(&fetched)) },
		func(c *client.Client) error { return c.List(w.t.Context(), client.ListParams{}, note(&listed)) },
	} {
		c, err := client.New(o)
		if err == nil {
			err = run(c)
			c.Close()
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return fetched, listed
}

func mail(subject, more string) string {
	return "From: a@example.org\r\nSubject: " + subject + "\r\n" + more + "\r\nhello\r\n"
}

// TestFetchDatesBeyondRFC3339 has messages whose dates no JSON can hold: others come after them all the same.
func TestFetchDatesBeyondRFC3339(t *testing.T) {
	w := newWorld(t)
	o := w.account("Bob's own, größer", &folder{validity: 1, messages: []string{
		mail("late", "Date: Fri, 31 Dec 9999 23:59:59 -2300\r\n"), mail("early", "Date: Sat, 01 Jan 0000 00:00:00 +2300\r\n"), mail("after", ""),
	}})
	want := []string{"1 late", "2 early", "3 after"}
	if fetched, listed := w.subjects(o); !slices.Equal(fetched, want) || !slices.Equal(listed, want) {
		t.Errorf("fetched %q, listed %q", fetched, listed)
	}
}

// TestFetchRenumbered empties a folder by making it anew: nothing of the old one is listed.
func TestFetchRenumbered(t *testing.T) {
	w := newWorld(t)
	f := &folder{validity: 1, messages: []string{mail("one", ""), mail("two", "")}}
	o := w.account("bob", f)
	if fetched, _ := w.subjects(o); len(fetched) != 2 {
		t.Fatalf("fetched %q", fetched)
	}
	*f = folder{validity: 2}
	if fetched, listed := w.subjects(o); len(fetched)+len(listed) > 0 {
		t.Errorf("fetched %q, listed %q", fetched, listed)
	}
	f.messages = []string{mail("three", "")}
	if fetched, listed := w.subjects(o); !slices.Equal(fetched, []string{"1 three"}) || !slices.Equal(listed, fetched) {
		t.Errorf("fetched %q, listed %q", fetched, listed)
	}
}
