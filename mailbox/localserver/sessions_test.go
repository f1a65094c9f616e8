package localserver

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/google/go-cmp/cmp"
)

func TestFolders(t *testing.T) {
	dir := filepath.Join(fastDir(t), "mail")
	s := start(t, Options{Dir: dir})
	c := s.imap(bob, nil)
	list := func() string {
		t.Helper()
		all, err := c.List("", "*", nil).Collect()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range all {
			name := f.Mailbox
			for _, a := range f.Attrs {
				if a != imap.MailboxAttrHasNoChildren {
					name += string(a)
				}
			}
			names = append(names, name)
		}
		return strings.Join(names, " ")
	}
	if got, want := list(), `Archive\Archive Drafts\Drafts INBOX Sent\Sent Trash\Trash`; got != want {
		t.Errorf("at first: %s", got)
	}
	for _, name := range []string{"Work", "Work/2026", "../../escape", "Entwürfe & mehr"} {
		if err := c.Create(name, nil).Wait(); err != nil {
			t.Errorf("CREATE %q: %v", name, err)
		}
		s.append(c, name, name)
	}
	for _, name := range []string{"inbox", "Work", "a//b", "a\nb", "a*", strings.Repeat("x", 1000)} {
		if err := c.Create(name, nil).Wait(); err == nil {
			t.Errorf("CREATE %q succeeded", name)
		}
	}
	if err := c.Rename("Work", "Old", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Rename("Old", "Old/deeper", nil).Wait(); err == nil {
		t.Error("a folder moved below itself")
	}
	if err := c.Rename("Old", "Sent", nil).Wait(); imapCode(err) != imap.ResponseCodeAlreadyExists {
		t.Errorf("RENAME onto another folder: %v", err)
	}
	s.append(c, "INBOX", "in the inbox")
	if err := c.Rename("INBOX", "Was", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete("INBOX").Wait(); imapCode(err) != imap.ResponseCodeCannot {
		t.Errorf("DELETE INBOX: %v", err)
	}
	if err := c.Delete("Trash").Wait(); err != nil {
		t.Error(err)
	}
	if err := c.Subscribe("Old").Wait(); err != nil {
		t.Error(err)
	}
	want := `../../escape Archive\Archive Drafts\Drafts Entwürfe & mehr INBOX Old\HasChildren Old/2026 Sent\Sent Was`
	if got := list(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	all, err := c.List("Old/", "%", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true, UIDNext: true}}).Collect()
	if err != nil || len(all) != 1 || *all[0].Status.NumMessages != 1 || all[0].Status.UIDNext != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	outside, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(outside) != 1 {
		t.Errorf("files beside the server's folder: %v, %v", outside, err)
	}

	s = start(t, Options{Dir: dir})
	c = s.imap(bob, nil)
	if got := list(); got != want {
		t.Errorf("after a restart: %s", got)
	}
	for folder, content := range map[string]string{"../../escape": "../../escape", "Old/2026": "Work/2026", "Was": "in the inbox"} {
		if diff := cmp.Diff([]string{content}, s.contents(bob, folder)); diff != "" {
			t.Errorf("%s: %s", folder, diff)
		}
	}
}

func TestExamineChangesNothing(t *testing.T) {
	s := start(t, Options{})
	c := s.imap(bob, nil)
	s.append(c, "INBOX", "a", imap.FlagDeleted)
	if _, err := c.Select("INBOX", &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		t.Fatal(err)
	}
	if m := fetch(t, c, imap.SeqSetNum(1), &imap.FetchItemBodySection{}); slices.Contains(m[0].Flags, imap.FlagSeen) {
		t.Error("reading in a read-only folder set a flag")
	}
	err := c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagSeen}}, nil).Close()
	if imapCode(err) != imap.ResponseCodeNoPerm {
		t.Errorf("STORE: %v", err)
	}
	if _, err := c.Move(imap.SeqSetNum(1), "Trash").Wait(); imapCode(err) != imap.ResponseCodeNoPerm {
		t.Errorf("MOVE: %v", err)
	}
	if err := c.UnselectAndExpunge().Wait(); err != nil {
		t.Fatal(err)
	}
	if got := len(s.contents(bob, "INBOX")); got != 1 {
		t.Error("CLOSE deleted a message in a read-only folder")
	}
}

// TestTwoSessions follows one client's changes with the eyes of another.
func TestTwoSessions(t *testing.T) {
	s := start(t, Options{})
	type event struct {
		what   string
		number uint32
	}
	events := make(chan event, 100)
	watcher := s.imap(bob, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Expunge: func(n uint32) { events <- event{"expunge", n} },
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				events <- event{"exists", *data.NumMessages}
			}
		},
		Fetch: func(m *imapclient.FetchMessageData) {
			events <- event{"fetch", m.SeqNum}
			_, _ = m.Collect()
		},
	}})
	actor := s.imap(bob, nil)
	for _, raw := range []string{"a", "b", "c"} {
		s.append(actor, "INBOX", raw)
	}
	selectFolder(t, watcher, "INBOX")
	selectFolder(t, actor, "INBOX")
	expect := func(want ...event) {
		t.Helper()
		for _, w := range want {
			select {
			case got := <-events:
				if got != w {
					t.Errorf("told %v, want %v", got, w)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("not told %v", w)
			}
		}
		select {
		case got := <-events:
			t.Errorf("told %v as well", got)
		default:
		}
	}
	noop := func() {
		t.Helper()
		if err := watcher.Noop().Wait(); err != nil {
			t.Fatal(err)
		}
	}
	store := func(n uint32, flag imap.Flag) {
		t.Helper()
		if err := actor.Store(imap.SeqSetNum(n), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{flag}, Silent: true}, nil).Close(); err != nil {
			t.Fatal(err)
		}
	}
	store(1, imap.FlagDeleted)
	noop()
	expect(event{"fetch", 1})
	if err := actor.Expunge().Close(); err != nil {
		t.Fatal(err)
	}
	// Until the watcher is told, its numbers hold: 2 is still "b".
	item := &imap.FetchItemBodySection{Peek: true}
	if m := fetch(t, watcher, imap.SeqSetNum(1, 2), item); len(m) != 1 || string(m[0].FindBodySection(item)) != "b" {
		t.Errorf("number 2 is not b: %+v", m)
	}
	expect()
	noop()
	expect(event{"expunge", 1})

	idle, err := watcher.Idle()
	if err != nil {
		t.Fatal(err)
	}
	s.append(actor, "INBOX", "d")
	expect(event{"exists", 3})
	if err := actor.Noop().Wait(); err != nil {
		t.Fatal(err)
	}
	store(3, imap.FlagFlagged)
	expect(event{"fetch", 3})
	if _, err := actor.Move(imap.SeqSetNum(2), "Trash").Wait(); err != nil {
		t.Fatal(err)
	}
	expect(event{"expunge", 2})
	if err := idle.Close(); err != nil {
		t.Fatal(err)
	}
	if err := idle.Wait(); err != nil {
		t.Fatal(err)
	}
	noop()
	expect()

	// Somebody deletes the folder that is selected.
	if err := actor.Create("Work", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	s.append(actor, "Work", "x")
	selectFolder(t, watcher, "Work")
	if err := actor.Delete("Work").Wait(); err != nil {
		t.Fatal(err)
	}
	noop()
	expect(event{"expunge", 1})
}

// TestCloseEndsEverything closes the server while one client idles and another is in the midst of a message.
func TestCloseEndsEverything(t *testing.T) {
	dir := filepath.Join(fastDir(t), "mail")
	s := start(t, Options{Dir: dir})
	idler := s.imap(bob, nil)
	selectFolder(t, idler, "INBOX")
	idle, err := idler.Idle()
	if err != nil {
		t.Fatal(err)
	}
	writer := s.imap(alice, nil)
	cmd := writer.Append("INBOX", 1000, nil)
	if _, err := io.WriteString(cmd, "half"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := idle.Wait(); err == nil {
		t.Error("IDLE ended well")
	}
	_ = cmd.Close()
	if _, err := cmd.Wait(); err == nil {
		t.Error("APPEND of half a message succeeded")
	}
	s = start(t, Options{Dir: dir})
	if got := s.contents(alice, "INBOX"); len(got) != 0 {
		t.Errorf("half a message was stored: %q", got)
	}
}
