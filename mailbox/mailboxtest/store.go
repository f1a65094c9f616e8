package mailboxtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sealmail/sealmail/mailbox"
)

// TestStore tests a Store. open returns one with an INBOX, on which the test may make folders of any name, and which it
// closes. Other messages and folders may be there, if nobody changes them meanwhile.
func TestStore(t *testing.T, open func(t *testing.T) mailbox.Store) {
	for _, c := range []struct {
		name string
		test func(*storeTest)
	}{
		{"folders", (*storeTest).folders},
		{"no folder", (*storeTest).noFolder},
		{"folder names", (*storeTest).folderNames},
		{"list", (*storeTest).list},
		{"octets", (*storeTest).octets},
		{"pieces", (*storeTest).pieces},
		{"no message", (*storeTest).noMessage},
		{"flags", (*storeTest).flags},
		{"find", (*storeTest).find},
		{"size", (*storeTest).size},
		{"broken reader", (*storeTest).brokenReader},
		{"broken writer", (*storeTest).brokenWriter},
		{"cancelled", (*storeTest).cancelled},
		{"side by side", (*storeTest).sideBySide},
		{"closed", (*storeTest).closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			c.test(&storeTest{T: t, Store: s, open: open, folder: "test-" + rand.Text()})
		})
	}
}

type storeTest struct {
	*testing.T
	mailbox.Store
	open   func(*testing.T) mailbox.Store
	folder string // of this test's own; not there yet
}

func (t *storeTest) append(folder string, body []byte, flags ...string) mailbox.UID {
	t.Helper()
	m := mailbox.NewMessage{Flags: flags, Size: int64(len(body)), Body: bytes.NewReader(body)}
	uid, err := t.Append(t.Context(), folder, m)
	if err != nil {
		t.Fatalf("Append(%q): %v", folder, err)
	}
	if uid != 0 {
		return uid
	}
	// The store cannot tell: it is the last one, as nobody else is at work.
	list := t.must(t.List(t.Context(), folder, 1))
	return list[len(list)-1].UID
}

func (t *storeTest) must(list []mailbox.Info, err error) []mailbox.Info {
	t.Helper()
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	return list
}

func (t *storeTest) is(err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

// holds fails the test if the folder does not hold so many messages, by List and by Status.
func (t *storeTest) holds(n int) {
	t.Helper()
	if list := t.must(t.List(t.Context(), t.folder, 1)); len(list) != n {
		t.Errorf("the folder has %d messages, want %d", len(list), n)
	}
	if s, err := t.Status(t.Context(), t.folder); err != nil || int(s.Messages) != n {
		t.Errorf("Status: %+v, %v; want %d messages", s, err, n)
	}
}

func (t *storeTest) folders() {
	t.append(t.folder, message(newID(), "x\n"))
	folders, err := t.Folders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"INBOX", t.folder} {
		if !slices.ContainsFunc(folders, func(f mailbox.Folder) bool { return f.Name == want }) {
			t.Errorf("%q is not among %v", want, folders)
		}
	}
	if _, err := t.Status(t.Context(), "inbox"); err != nil {
		t.Errorf("INBOX in lower case: %v", err)
	}
}

func (t *storeTest) noFolder() {
	ctx := t.Context()
	for _, name := range []string{t.folder, "", "a\r\nb LOGOUT", "a\x00b", "\xff\xfe"} {
		_, err := t.Status(ctx, name)
		t.is(err, mailbox.ErrNoFolder)
		_, err = t.List(ctx, name, 1)
		t.is(err, mailbox.ErrNoFolder)
		_, err = t.Find(ctx, name, newID())
		t.is(err, mailbox.ErrNoFolder)
		t.is(t.Fetch(ctx, name, 1, io.Discard), mailbox.ErrNoFolder)
		t.is(t.SetFlags(ctx, name, []mailbox.UID{1}, mailbox.FlagChange{Add: []string{`\Seen`}}), mailbox.ErrNoFolder)
	}
	if _, err := t.Status(ctx, "INBOX"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func (t *storeTest) folderNames() {
	for _, name := range []string{"Gesendet & Größe", "日本語", `quote"d`, "two  spaces", "(list) {7}", "&amp-", "a&b"} {
		folder := t.folder + " " + name
		want := message(newID(), name+"\n")
		uid := t.append(folder, want)
		same(t.T, fetch(t.T, t.Store, folder, uid), want)
		folders, err := t.Folders(t.Context())
		if err != nil || !slices.ContainsFunc(folders, func(f mailbox.Folder) bool { return f.Name == folder }) {
			t.Errorf("%q is not among %v, %v", folder, folders, err)
		}
	}
}

func (t *storeTest) list() {
	ctx := t.Context()
	date := time.Date(2025, 11, 21, 10, 2, 11, 0, time.FixedZone("", 3600))
	var uids []mailbox.UID
	for n := range 5 {
		body := message(newID(), strings.Repeat("x", n)+"\n")
		uid, err := t.Append(ctx, t.folder, mailbox.NewMessage{Date: date, Size: int64(len(body)), Body: bytes.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
		list := t.must(t.List(ctx, t.folder, 1))
		if len(list) != n+1 {
			t.Fatalf("%d messages after %d", len(list), n+1)
		}
		last := list[n]
		if uid != 0 && uid != last.UID {
			t.Errorf("Append said %d, List says %d", uid, last.UID)
		}
		if last.Size != int64(len(body)) || !last.InternalDate.Equal(date) || len(last.Flags) != 0 {
			t.Errorf("got %+v, want size %d and date %v", last, len(body), date)
		}
		uids = append(uids, last.UID)
	}
	status, err := t.Status(ctx, t.folder)
	if err != nil || status.Messages != 5 || status.UIDValidity == 0 || status.UIDNext != 0 && status.UIDNext <= uids[4] {
		t.Errorf("Status: %+v, %v", status, err)
	}
	if !slices.IsSorted(uids) || len(slices.Compact(slices.Clone(uids))) != 5 {
		t.Errorf("UIDs do not ascend: %v", uids)
	}
	for first, want := range map[mailbox.UID]int{0: 5, uids[0]: 5, uids[1]: 4, uids[4]: 1, uids[4] + 1: 0, uids[4] + 1000: 0, 1<<32 - 1: 0} {
		if got := t.must(t.List(ctx, t.folder, first)); len(got) != want || want > 0 && got[want-1].UID != uids[4] {
			t.Errorf("List from %d: %v, want %d messages", first, got, want)
		}
	}
	// What another connection stores is seen, without anything in between.
	other := t.open(t.T)
	defer other.Close()
	body := message(newID(), "y\n")
	if _, err := other.Append(ctx, t.folder, mailbox.NewMessage{Size: int64(len(body)), Body: bytes.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
	t.holds(6)
}

func (t *storeTest) octets() {
	id := newID()
	for _, want := range [][]byte{
		message(id, ""),
		message(id, "\n"),
		message(id, ".\n..\n.x\n\n.\n"),
		message(id, "no line end"),
		message(id, strings.Repeat("long ", 20000)+"\n"),
		message(id, "Größe \xff\xfe\x80 8-bit\n"),
		message(id, "From here on\n>From there\n)\n{5}\n* BYE\n"),
		message(id, "trailing space \t \n\n\n\n"),
		[]byte("Subject: a header and nothing else\r\n"),
		[]byte("Subject: folded\r\n\tand  folded\r\nX-Empty:\r\nx-lower: A  b\r\n\r\n"),
	} {
		same(t.T, fetch(t.T, t.Store, t.folder, t.append(t.folder, want)), want)
	}
	for _, m := range t.must(t.List(t.Context(), t.folder, 1)) {
		if slices.Contains(m.Flags, `\Seen`) {
			t.Errorf("message %d counts as seen", m.UID)
		}
	}
}

func (t *storeTest) pieces() {
	const mib = 1 << 20
	for _, size := range []int{mib, 4*mib - 1, 4 * mib, 4*mib + 1, 9*mib + 12345} {
		want := large(newID(), size)
		same(t.T, fetch(t.T, t.Store, t.folder, t.append(t.folder, want)), want)
	}
}

func (t *storeTest) noMessage() {
	last := t.append(t.folder, message(newID(), "x\n"))
	for _, uid := range []mailbox.UID{0, last + 1, 1<<32 - 1} {
		var b bytes.Buffer
		t.is(t.Fetch(t.Context(), t.folder, uid, &b), mailbox.ErrNotFound)
		if b.Len() > 0 {
			t.Errorf("message %d, which is not there: %d octets", uid, b.Len())
		}
	}
	fetch(t.T, t.Store, t.folder, last)
}

func (t *storeTest) flags() {
	ctx := t.Context()
	a := t.append(t.folder, message(newID(), "a\n"), `\Seen`)
	b := t.append(t.folder, message(newID(), "b\n"), `\Flagged`, `\Draft`)
	want := func(wantA, wantB string) {
		t.Helper()
		list := t.must(t.List(ctx, t.folder, 1))
		if len(list) != 2 {
			t.Fatalf("%d messages, want 2", len(list))
		}
		for i, want := range []string{wantA, wantB} {
			flags := slices.Sorted(slices.Values(list[i].Flags))
			if got := strings.Join(flags, " "); got != want {
				t.Errorf("message %d has the flags %q, want %q", list[i].UID, got, want)
			}
		}
	}
	set := func(c mailbox.FlagChange, uids ...mailbox.UID) {
		t.Helper()
		if err := t.SetFlags(ctx, t.folder, uids, c); err != nil {
			t.Errorf("SetFlags(%v, %+v): %v", uids, c, err)
		}
	}
	want(`\Seen`, `\Draft \Flagged`)
	set(mailbox.FlagChange{Add: []string{`\Seen`, `\Answered`}}, a, b)
	want(`\Answered \Seen`, `\Answered \Draft \Flagged \Seen`)
	set(mailbox.FlagChange{Add: []string{`\Deleted`}, Remove: []string{`\Seen`, `\Draft`}}, b)
	want(`\Answered \Seen`, `\Answered \Deleted \Flagged`)
	set(mailbox.FlagChange{Remove: []string{`\Answered`, `\Deleted`, `\Seen`, `\Flagged`}}, b, a, b)
	want("", "")
	set(mailbox.FlagChange{Add: []string{`$Forwarded`}}, a)
	want("$Forwarded", "")
	set(mailbox.FlagChange{Add: []string{`\Seen`}}, b+1, a, 1<<32-1) // two that are not there
	want(`$Forwarded \Seen`, "")
	set(mailbox.FlagChange{}, a)
	set(mailbox.FlagChange{Add: []string{`\Seen`}})
	many := make([]mailbox.UID, 2000)
	for i := range many {
		many[i] = a + 2*mailbox.UID(i)
	}
	set(mailbox.FlagChange{Remove: []string{`\Seen`, `$Forwarded`}}, many...)
	want("", "")
	for _, bad := range []string{"", `\`, "two words", "x)", "\r\nx", `\Recent`, "ä"} {
		if err := t.SetFlags(ctx, t.folder, []mailbox.UID{a}, mailbox.FlagChange{Add: []string{bad}}); err == nil {
			t.Errorf("flag %q was taken", bad)
		}
	}
	want("", "")
}

func (t *storeTest) find() {
	ctx := t.Context()
	id, other := newID(), newID()
	longer := "<x" + strings.TrimPrefix(id, "<")
	first := t.append(t.folder, message(id, "1\n"))
	t.append(t.folder, message(other, "References: "+id+"\n"))
	t.append(t.folder, message(longer, id+"\n"))
	second := t.append(t.folder, message(id, "2\n"))
	for _, form := range []string{id, strings.Trim(id, "<>"), " " + id + " "} {
		uids, err := t.Find(ctx, t.folder, form)
		if err != nil || !slices.Equal(uids, []mailbox.UID{first, second}) {
			t.Errorf("Find(%q): %v, %v; want %v", form, uids, err, []mailbox.UID{first, second})
		}
	}
	for _, none := range []string{newID(), "", "<>", "<", `"`, "a b", "x\r\ny LOGOUT", "ä@b", id[2:]} {
		if uids, err := t.Find(ctx, t.folder, none); err != nil || len(uids) != 0 {
			t.Errorf("Find(%q): %v, %v; want none", none, uids, err)
		}
	}
}

func (t *storeTest) size() {
	body := message(newID(), "x\n")
	t.append(t.folder, body)
	for _, size := range []int{-1, 0, 1, len(body) - 1, len(body) + 1, len(body) + 100000} {
		m := mailbox.NewMessage{Size: int64(size), Body: iotest.OneByteReader(bytes.NewReader(body))}
		_, err := t.Append(t.Context(), t.folder, m)
		t.is(err, mailbox.ErrSize)
	}
	t.holds(1)
}

func (t *storeTest) brokenReader() {
	broken := errors.New("the disk is gone")
	for _, good := range []int{0, 10, 100000} {
		body := io.MultiReader(bytes.NewReader(large(newID(), 200000)[:good]), iotest.ErrReader(broken))
		_, err := t.Append(t.Context(), t.folder, mailbox.NewMessage{Size: 200000, Body: body})
		t.is(err, broken)
	}
	t.append(t.folder, message(newID(), "x\n"))
	t.holds(1)
}

type brokenWriter struct {
	left int
	err  error
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, w.err
	}
	return len(p), nil
}

func (t *storeTest) brokenWriter() {
	want := large(newID(), 4<<20)
	uid := t.append(t.folder, want)
	broken := errors.New("the disk is full")
	for _, good := range []int{0, 100000, 1 << 20, 3 << 20} {
		t.is(t.Fetch(t.Context(), t.folder, uid, &brokenWriter{good, broken}), broken)
	}
	same(t.T, fetch(t.T, t.Store, t.folder, uid), want)
}

// cancelling cancels a context when it was written to.
type cancelling struct{ cancel context.CancelFunc }

func (c cancelling) Write(p []byte) (int, error) { c.cancel(); return len(p), nil }

func (t *storeTest) cancelled() {
	want := large(newID(), 4<<20)
	uid := t.append(t.folder, want)
	ctx, cancel := context.WithCancel(t.Context())
	t.is(t.Fetch(ctx, t.folder, uid, cancelling{cancel}), context.Canceled)
	_, err := t.List(ctx, t.folder, 1)
	t.is(err, context.Canceled)
	_, err = t.Append(ctx, t.folder, mailbox.NewMessage{Size: int64(len(want)), Body: bytes.NewReader(want)})
	t.is(err, context.Canceled)
	// The store goes on for others.
	same(t.T, fetch(t.T, t.Store, t.folder, uid), want)
	t.holds(1)
}

func (t *storeTest) sideBySide() {
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			folder := fmt.Sprintf("%s-%d", t.folder, n%2)
			id := newID()
			body := message(id, "x\n")
			if _, err := t.Append(t.Context(), folder, mailbox.NewMessage{Size: int64(len(body)), Body: bytes.NewReader(body)}); err != nil {
				t.Error(err)
				return
			}
			uids, err := t.Find(t.Context(), folder, id)
			if err != nil || len(uids) != 1 {
				t.Errorf("Find: %v, %v", uids, err)
				return
			}
			var got bytes.Buffer
			if err := t.Fetch(t.Context(), folder, uids[0], &got); err != nil || !bytes.Equal(got.Bytes(), body) {
				t.Errorf("got %q, %v; want %q", got.Bytes(), err, body)
			}
		})
	}
	wg.Wait()
}

func (t *storeTest) closed() {
	if err := t.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := t.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	_, err := t.Status(t.Context(), "INBOX")
	t.is(err, mailbox.ErrClosed)
	_, err = t.Folders(t.Context())
	t.is(err, mailbox.ErrClosed)
}
