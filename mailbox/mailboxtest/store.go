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
		{"fetch all", (*storeTest).fetchAll},
		{"fetch all, broken", (*storeTest).fetchAllBroken},
		{"changed flags", (*storeTest).changedFlags},
		{"flags", (*storeTest).flags},
		{"find", (*storeTest).find},
		{"move", (*storeTest).move},
		{"delete", (*storeTest).delete},
		{"create folder", (*storeTest).createFolder},
		{"wait", (*storeTest).wait},
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
	if uids, err := t.UIDs(t.Context(), t.folder); err != nil || len(uids) != n {
		t.Errorf("UIDs: %v, %v; want %d", uids, err, n)
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
		_, err = t.UIDs(ctx, name)
		t.is(err, mailbox.ErrNoFolder)
		_, err = t.Flags(ctx, name, 0)
		t.is(err, mailbox.ErrNoFolder)
		t.is(t.Fetch(ctx, name, 1, io.Discard), mailbox.ErrNoFolder)
		t.is(t.FetchAll(ctx, name, []mailbox.Info{{UID: 1, Size: 1}}, &receiver{}), mailbox.ErrNoFolder)
		t.is(t.SetFlags(ctx, name, []mailbox.UID{1}, mailbox.FlagChange{Add: []string{`\Seen`}}), mailbox.ErrNoFolder)
		_, err = t.Move(ctx, name, []mailbox.UID{1}, "INBOX")
		t.is(err, mailbox.ErrNoFolder)
		t.is(t.Delete(ctx, name, []mailbox.UID{1}), mailbox.ErrNoFolder)
		t.is(t.Wait(ctx, name, time.Second), mailbox.ErrNoFolder)
		if name != t.folder {
			t.is(t.CreateFolder(ctx, name), mailbox.ErrNoFolder)
		}
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
	if got, err := t.UIDs(ctx, t.folder); err != nil || !slices.Equal(got, uids) {
		t.Errorf("UIDs: %v, %v; want %v", got, err, uids)
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

// receiver notes what FetchAll brings. Where broken is set, Message, a write or Done for the message broken fails.
type receiver struct {
	order  []mailbox.UID // of those that are done
	texts  map[mailbox.UID]*bytes.Buffer
	errs   map[mailbox.UID]error
	broken mailbox.UID
	how    string
	err    error
}

func (r *receiver) Message(m mailbox.Info) (io.Writer, error) {
	if r.texts == nil {
		r.texts = make(map[mailbox.UID]*bytes.Buffer)
	}
	if r.texts[m.UID] != nil {
		return nil, fmt.Errorf("message %d came twice", m.UID)
	}
	r.texts[m.UID] = new(bytes.Buffer)
	if m.UID == r.broken && r.how == "Message" {
		return nil, r.err
	}
	if m.UID == r.broken && r.how == "Write" {
		return &brokenWriter{10, r.err}, nil
	}
	return r.texts[m.UID], nil
}

func (r *receiver) Done(m mailbox.Info, err error) error {
	if r.errs == nil {
		r.errs = make(map[mailbox.UID]error)
	}
	if _, twice := r.errs[m.UID]; twice {
		return fmt.Errorf("message %d is done twice", m.UID)
	}
	r.errs[m.UID] = err
	r.order = append(r.order, m.UID)
	if m.UID == r.broken && r.how == "Done" {
		return r.err
	}
	return nil
}

// many fills the folder and returns what is in it, in an order that no store has by itself.
func (t *storeTest) many() (infos []mailbox.Info, texts map[mailbox.UID][]byte) {
	t.Helper()
	texts = make(map[mailbox.UID][]byte)
	for n := range 90 {
		text := message(newID(), strings.Repeat(fmt.Sprintf("line of %d\n", n), n*n%97))
		if n%50 == 20 {
			text = large(newID(), 4<<20-10+n)
		}
		uid := t.append(t.folder, text)
		texts[uid] = text
		infos = append(infos, mailbox.Info{UID: uid, Size: int64(len(text))})
	}
	slices.Reverse(infos[60:])
	slices.Reverse(infos[:40])
	return infos, texts
}

func (t *storeTest) fetchAll() {
	infos, texts := t.many()
	infos[5].Size = 0 // unknown
	infos[7].Size = 1 // wrong
	infos[9].Size = 1 << 30
	last := infos[60].UID
	asked := slices.Clone(infos)
	for i, gone := range []mailbox.UID{0, last + 1, last + 1000, 1<<32 - 1} {
		asked = slices.Insert(asked, 25*i, mailbox.Info{UID: gone, Size: int64(100 * i)})
	}
	var r receiver
	if err := t.FetchAll(t.Context(), t.folder, append(slices.Clone(asked), asked[3], asked[60]), &r); err != nil {
		t.Fatal(err)
	}
	var want []mailbox.UID
	for _, m := range asked {
		want = append(want, m.UID)
		text, there := texts[m.UID]
		if !there {
			t.is(r.errs[m.UID], mailbox.ErrNotFound)
			if b := r.texts[m.UID]; b != nil && b.Len() > 0 {
				t.Errorf("message %d, which is not there: %d octets", m.UID, b.Len())
			}
			continue
		}
		if err := r.errs[m.UID]; err != nil || r.texts[m.UID] == nil {
			t.Errorf("message %d: %v", m.UID, err)
			continue
		}
		same(t.T, r.texts[m.UID].Bytes(), text)
	}
	if !slices.Equal(r.order, want) {
		t.Errorf("in the order %v, want %v", r.order, want)
	}
	if err := t.FetchAll(t.Context(), t.folder, nil, nil); err != nil {
		t.Errorf("none: %v", err)
	}
	for _, m := range t.must(t.List(t.Context(), t.folder, 1)) {
		if slices.Contains(m.Flags, `\Seen`) {
			t.Errorf("message %d counts as seen", m.UID)
		}
	}
}

func (t *storeTest) fetchAllBroken() {
	infos, texts := t.many()
	broken := errors.New("the disk is full")
	for _, at := range []int{0, 19, 45, 79} { // the first, a large one, one in the middle of many, and a large one again
		for _, how := range []string{"Message", "Write", "Done"} {
			r := &receiver{broken: infos[at].UID, how: how, err: broken}
			t.is(t.FetchAll(t.Context(), t.folder, infos, r), broken)
			if done := len(r.order); done != at && (how != "Done" || done != at+1) {
				t.Errorf("%s of message %d of %d: %d were done", how, at, len(infos), done)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.is(t.FetchAll(ctx, t.folder, infos, cancellingReceiver{new(receiver), cancel}), context.Canceled)
	same(t.T, fetch(t.T, t.Store, t.folder, infos[0].UID), texts[infos[0].UID])
}

// cancellingReceiver cancels a context when it got a message.
type cancellingReceiver struct {
	*receiver
	cancel context.CancelFunc
}

func (c cancellingReceiver) Done(m mailbox.Info, err error) error {
	c.cancel()
	return c.receiver.Done(m, err)
}

func (t *storeTest) changedFlags() {
	ctx := t.Context()
	var uids []mailbox.UID
	for range 5 {
		uids = append(uids, t.append(t.folder, message(newID(), "x\n"), `\Seen`))
	}
	other := t.open(t.T)
	defer other.Close()
	var since uint64
	for n, change := range []func() error{
		func() error { return nil },
		func() error {
			return other.SetFlags(ctx, t.folder, uids[1:2], mailbox.FlagChange{Add: []string{`\Flagged`}})
		},
		func() error {
			return other.SetFlags(ctx, t.folder, uids[2:4], mailbox.FlagChange{Remove: []string{`\Seen`}})
		},
		func() error { return nil },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		status, err := t.Status(ctx, t.folder)
		if err != nil {
			t.Fatal(err)
		}
		got, err := t.Flags(ctx, t.folder, since)
		if err != nil {
			t.Fatal(err)
		}
		want := t.must(t.List(ctx, t.folder, 1))
		if since > 0 {
			want = [][]mailbox.Info{want, want[1:2], want[2:4], nil}[n]
		}
		if !slices.EqualFunc(got, want, func(g, w mailbox.Info) bool {
			return g.UID == w.UID && slices.Equal(slices.Sorted(slices.Values(g.Flags)), slices.Sorted(slices.Values(w.Flags))) && g.ModSeq == w.ModSeq
		}) {
			t.Errorf("step %d: changed since %d: %v, want %v", n, since, got, want)
		}
		for _, m := range got {
			if m.ModSeq > status.HighestModSeq {
				t.Errorf("message %d has mod-sequence %d, above that of the folder, %d", m.UID, m.ModSeq, status.HighestModSeq)
			}
		}
		since = status.HighestModSeq
	}
	if got, err := t.Flags(ctx, t.folder, since+1000); err != nil || since > 0 && len(got) != 5 {
		t.Errorf("changed since the future: %v, %v", got, err)
	}
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

// uidsAre fails the test if a folder holds other messages.
func (t *storeTest) uidsAre(folder string, want ...mailbox.UID) {
	t.Helper()
	if got, err := t.UIDs(t.Context(), folder); err != nil || !slices.Equal(got, want) {
		t.Errorf("folder %q has the messages %v, %v; want %v", folder, got, err, want)
	}
}

func (t *storeTest) move() {
	ctx := t.Context()
	var (
		uids  []mailbox.UID
		texts [][]byte
	)
	for n := range 6 {
		text := message(newID(), strings.Repeat("x", n)+"\n")
		uids, texts = append(uids, t.append(t.folder, text, `\Flagged`)), append(texts, text)
	}
	if err := t.SetFlags(ctx, t.folder, uids[:1], mailbox.FlagChange{Add: []string{`\Deleted`}}); err != nil {
		t.Fatal(err)
	}
	to := t.folder + "-to"
	_, err := t.Move(ctx, t.folder, uids[1:3], to)
	t.is(err, mailbox.ErrNoFolder)
	t.uidsAre(t.folder, uids...)
	if err := t.CreateFolder(ctx, to); err != nil {
		t.Fatal(err)
	}
	t.append(to, message(newID(), "was there before\n"))
	moved, err := t.Move(ctx, t.folder, []mailbox.UID{uids[4], uids[1], uids[2], uids[1], uids[5] + 1, 0}, to)
	if err != nil {
		t.Fatal(err)
	}
	t.uidsAre(t.folder, uids[0], uids[3], uids[5])
	there, err := t.UIDs(ctx, to)
	if err != nil || len(there) != 4 {
		t.Fatalf("the other folder has %v, %v", there, err)
	}
	if moved != nil && len(moved) != 3 {
		t.Errorf("moved %v", moved)
	}
	for _, n := range []int{1, 2, 4} {
		now := there[map[int]int{1: 1, 2: 2, 4: 3}[n]]
		if moved != nil {
			now = moved[uids[n]]
		}
		same(t.T, fetch(t.T, t.Store, to, now), texts[n])
	}
	for _, m := range t.must(t.List(ctx, to, there[1])) {
		if !slices.Equal(m.Flags, []string{`\Flagged`}) {
			t.Errorf("message %d has the flags %q now", m.UID, m.Flags)
		}
	}
	if moved, err := t.Move(ctx, t.folder, nil, to); err != nil || len(moved) > 0 {
		t.Errorf("nothing: %v, %v", moved, err)
	}
	if _, err := t.Move(ctx, t.folder, uids[:1], t.folder); err == nil {
		t.Error("moved to where it is")
	}
	t.uidsAre(t.folder, uids[0], uids[3], uids[5])
}

func (t *storeTest) delete() {
	ctx := t.Context()
	var uids []mailbox.UID
	for range 5 {
		uids = append(uids, t.append(t.folder, message(newID(), "x\n")))
	}
	if err := t.SetFlags(ctx, t.folder, uids[:1], mailbox.FlagChange{Add: []string{`\Deleted`}}); err != nil {
		t.Fatal(err)
	}
	if err := t.Delete(ctx, t.folder, []mailbox.UID{uids[3], uids[1], uids[3], 0, uids[4] + 1}); err != nil {
		t.Fatal(err)
	}
	t.uidsAre(t.folder, uids[0], uids[2], uids[4])
	if err := t.Delete(ctx, t.folder, nil); err != nil {
		t.Errorf("nothing: %v", err)
	}
	if err := t.Delete(ctx, t.folder, uids); err != nil {
		t.Error(err)
	}
	t.uidsAre(t.folder)
}

func (t *storeTest) createFolder() {
	for range 2 {
		if err := t.CreateFolder(t.Context(), t.folder); err != nil {
			t.Fatal(err)
		}
		t.holds(0)
	}
	uid := t.append(t.folder, message(newID(), "x\n"))
	if err := t.CreateFolder(t.Context(), t.folder); err != nil {
		t.Fatal(err)
	}
	t.uidsAre(t.folder, uid)
}

// wait bounds what should take no time at all, so that a hang fails the test; stores that poll may need a minute.
const wait = 2 * time.Minute

func (t *storeTest) wait() {
	ctx := t.Context()
	uid := t.append(t.folder, message(newID(), "x\n"))
	other := t.open(t.T)
	defer other.Close()
	t.holds(1)
	if err := t.Wait(ctx, t.folder, time.Millisecond); err != nil {
		t.Errorf("nothing is new: %v", err)
	}
	for _, c := range []struct {
		name   string
		change func() error
	}{
		{"a message", func() error {
			body := message(newID(), "y\n")
			_, err := other.Append(ctx, t.folder, mailbox.NewMessage{Size: int64(len(body)), Body: bytes.NewReader(body)})
			return err
		}},
		{"a flag", func() error {
			return other.SetFlags(ctx, t.folder, []mailbox.UID{uid}, mailbox.FlagChange{Add: []string{`\Flagged`}})
		}},
		{"an end", func() error { return other.Delete(ctx, t.folder, []mailbox.UID{uid}) }},
	} {
		for _, meanwhile := range []bool{false, true} {
			if meanwhile && c.name != "a message" {
				continue // is no change any more
			}
			t.must(t.List(ctx, t.folder, 1))
			start, done := time.Now(), make(chan error, 1)
			if meanwhile {
				go func() { done <- c.change() }()
			} else {
				done <- c.change()
			}
			if err := t.Wait(ctx, t.folder, wait); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > wait*3/4 {
				t.Errorf("%s: noticed after %v", c.name, took)
			}
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(10*time.Millisecond, cancel)
	t.must(t.List(t.Context(), t.folder, 1))
	t.is(t.Wait(ctx, t.folder, wait), context.Canceled)
	t.holds(2)
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
