package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/mailbox"
)

// folder is a store with one folder; the UIDs begin with 1.
type folder struct {
	mailbox.Store // what is not here is not called
	validity      uint32
	messages      []string
	flags         []string // of all messages
}

func (f *folder) Status(context.Context, string) (mailbox.Status, error) {
	return mailbox.Status{UIDValidity: f.validity, UIDNext: mailbox.UID(len(f.messages) + 1), Messages: uint32(len(f.messages))}, nil
}

func (f *folder) List(_ context.Context, _ string, first mailbox.UID) (list []mailbox.Info, err error) {
	for i, m := range f.messages {
		if uid := mailbox.UID(i + 1); uid >= first {
			list = append(list, mailbox.Info{UID: uid, Size: int64(len(m)), Flags: f.flags})
		}
	}
	return list, nil
}

func (f *folder) Fetch(_ context.Context, _ string, uid mailbox.UID, dst io.Writer) error {
	_, err := io.WriteString(dst, f.messages[uid-1])
	return err
}

func (f *folder) UIDs(context.Context, string) (uids []mailbox.UID, err error) {
	for i := range f.messages {
		uids = append(uids, mailbox.UID(i+1))
	}
	return uids, nil
}

func (f *folder) Flags(ctx context.Context, folder string, _ uint64) ([]mailbox.Info, error) {
	return f.List(ctx, folder, 1)
}

func (f *folder) FetchAll(ctx context.Context, folder string, infos []mailbox.Info, to mailbox.Receiver) error {
	for _, info := range infos {
		w, err := to.Message(info)
		if err == nil {
			err = to.Done(info, f.Fetch(ctx, folder, info.UID, w))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) Close() error { return nil }

// account sets up an account whose mail is in the folder, and returns its options.
func (w *world) account(name string, f mailbox.Store) client.Options {
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

// unsteady is a folder of which some messages cannot be had, and during which the person may interrupt.
type unsteady struct {
	*folder
	faults  map[mailbox.UID]error
	atStart func()
}

func (u *unsteady) FetchAll(ctx context.Context, folder string, infos []mailbox.Info, to mailbox.Receiver) error {
	for _, info := range infos {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := u.faults[info.UID]; err != nil {
			if err := to.Done(info, err); err != nil {
				return err
			}
			continue
		}
		if err := u.folder.FetchAll(ctx, folder, []mailbox.Info{info}, to); err != nil {
			return err
		}
	}
	if u.atStart != nil { // the line stays silent, until the person loses patience
		u.atStart()
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// fetched runs a fetch, and returns the UIDs of the lines, those with an error negative.
func fetched(ctx context.Context, t *testing.T, o client.Options) (uids []int, err error) {
	t.Helper()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Fetch(ctx, client.FetchParams{}, func(l client.ListLine) error {
		uid := int(l.UID)
		if l.Error != nil {
			uid = -uid
		}
		uids = append(uids, uid)
		return nil
	})
	return uids, err
}

// TestFetchGoesOn: one message that cannot be had stops no other, one that could not be had for now is asked for again, and
// after an interruption the rest comes the next time.
func TestFetchGoesOn(t *testing.T) {
	w := newWorld(t)
	u := &unsteady{folder: &folder{validity: 1}, faults: map[mailbox.UID]error{2: mailbox.ErrNotFound, 3: errors.New("not now"), 4: &mailbox.TooLargeError{}}}
	o := w.account("bob", u.folder)
	o.DialStore = func(context.Context, mailbox.Options) (mailbox.Store, error) { return u, nil }
	for i := range 6 {
		u.messages = append(u.messages, mail(fmt.Sprint(i), ""))
	}
	if uids, err := fetched(t.Context(), t, o); err != nil || !slices.Equal(uids, []int{1, -3, -4, 5, 6}) {
		t.Fatal(uids, err)
	}
	u.faults = nil
	if uids, err := fetched(t.Context(), t, o); err != nil || !slices.Equal(uids, []int{2, 3}) { // 4 is too large each time
		t.Fatal(uids, err)
	}

	for i := range 700 { // more than are under way at a time
		u.messages = append(u.messages, mail(fmt.Sprint(i), ""))
	}
	ctx, interrupt := context.WithCancel(t.Context())
	u.atStart = interrupt
	before, err := fetched(ctx, t, o)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), fmt.Sprintf("stopped: %d of 700 messages are here", len(before))) {
		t.Fatal(len(before), err)
	}
	u.atStart = nil
	after, err := fetched(t.Context(), t, o)
	if all := slices.Concat(before, after); err != nil || len(before) == 0 || len(all) != 700 || !slices.IsSorted(all) || all[0] != 7 {
		t.Errorf("%d and %d, %v", len(before), len(after), err)
	}
	if uids, err := fetched(t.Context(), t, o); err != nil || len(uids) > 0 {
		t.Error(uids, err)
	}
}

// overtaken is a folder where something happens after it was asked which messages there are.
type overtaken struct {
	*folder
	then func()
}

func (o *overtaken) UIDs(ctx context.Context, folder string) ([]mailbox.UID, error) {
	uids, err := o.folder.UIDs(ctx, folder)
	o.then()
	return uids, err
}

// TestFetchOvertaken has a message come that another process fetches, while this one looks at an older state of the folder: it is
// not taken for one that is gone.
func TestFetchOvertaken(t *testing.T) {
	w := newWorld(t)
	f := &folder{validity: 1, messages: []string{mail("one", "")}}
	o := w.account("bob", f)
	slow := o
	slow.DialStore = func(context.Context, mailbox.Options) (mailbox.Store, error) {
		return &overtaken{f, func() {
			f.messages = append(f.messages, mail("two", ""))
			if uids, err := fetched(t.Context(), t, o); err != nil || !slices.Contains(uids, 2) {
				t.Error(uids, err)
			}
		}}, nil
	}
	if uids, err := fetched(t.Context(), t, slow); err != nil || len(uids) > 0 {
		t.Error(uids, err)
	}
	if fetched, listed := w.subjects(o); len(fetched) > 0 || len(listed) != 2 {
		t.Errorf("fetched %q again, listed %q", fetched, listed)
	}
}

// TestReadLastOffline: what was fetched counts where the server cannot be reached, not where it is not the one it should be.
func TestReadLastOffline(t *testing.T) {
	w := newWorld(t)
	o := w.account("bob", &folder{validity: 1, messages: []string{mail("one", ""), mail("two", "")}})
	if _, err := fetched(t.Context(), t, o); err != nil {
		t.Fatal(err)
	}
	for reason, shown := range map[mailbox.Reason]int{
		mailbox.ReasonUnreachable: 1, mailbox.ReasonUntrusted: 0, mailbox.ReasonTLS: 0, mailbox.ReasonNoSTARTTLS: 0,
	} {
		o.DialStore = func(context.Context, mailbox.Options) (mailbox.Store, error) {
			return nil, &mailbox.ConnectError{Reason: reason, Err: errors.New("no")}
		}
		c, err := client.New(o)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = c.Read(t.Context(), client.ReadParams{ID: "last"}, func(*client.Report) error { n++; return nil })
		c.Close()
		if n != shown || (err == nil) != (shown > 0) {
			t.Errorf("%v: %d shown, %v", reason, n, err)
		}
	}
}

// TestFetchFollows: flags that change at the server, and messages that go, change in the list.
func TestFetchFollows(t *testing.T) {
	w := newWorld(t)
	f := &folder{validity: 1, messages: []string{mail("one", ""), mail("two", ""), mail("three", "")}}
	o := w.account("bob", f)
	if _, err := fetched(t.Context(), t, o); err != nil {
		t.Fatal(err)
	}
	f.flags, f.messages = []string{`\Seen`}, f.messages[:2]
	if uids, err := fetched(t.Context(), t, o); err != nil || len(uids) > 0 {
		t.Fatal(uids, err)
	}
	var got []string
	c, err := client.New(o)
	if err == nil {
		err = c.List(t.Context(), client.ListParams{}, func(l client.ListLine) error {
			got = append(got, fmt.Sprint(l.UID, l.Flags))
			return nil
		})
		c.Close()
	}
	if want := []string{`1 [\Seen]`, `2 [\Seen]`}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
