package localserver

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/google/go-cmp/cmp"
)

func selectFolder(t testing.TB, c *imapclient.Client, name string) *imap.SelectData {
	t.Helper()
	data, err := c.Select(name, nil).Wait()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func fetch(t testing.TB, c *imapclient.Client, set imap.NumSet, items ...*imap.FetchItemBodySection) []*imapclient.FetchMessageBuffer {
	t.Helper()
	all, err := c.Fetch(set, &imap.FetchOptions{UID: true, Flags: true, RFC822Size: true, BodySection: items}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func imapCode(err error) imap.ResponseCode {
	var e *imap.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestFetchIsExact(t *testing.T) {
	s := start(t, Options{})
	c := s.imap(bob, nil)
	// Nothing about these is well-formed mail but the transport must not care.
	odd := []string{
		"",
		"no header at all",
		"Subject: bare LF\n\nbody\n",
		"broken line\r\nSubject: x\r\n y\r\n\r\nbody \x00\xff\r\n",
		message1("1@x", "ordinary"),
	}
	for _, raw := range odd {
		s.append(c, "INBOX", raw)
	}
	selectFolder(t, c, "INBOX")
	whole := &imap.FetchItemBodySection{Peek: true}
	for i, m := range fetch(t, c, imap.SeqSet{{Start: 1, Stop: 0}}, whole) {
		got := m.FindBodySection(whole)
		if string(got) != odd[i] || m.RFC822Size != int64(len(odd[i])) {
			t.Errorf("message %d: %q, want %q", i, got, odd[i])
		}
		if len(m.Flags) != 0 {
			t.Errorf("PEEK left flags %v", m.Flags)
		}
	}
}

func TestFetchSections(t *testing.T) {
	const raw = "From: \"A, a\" <alice@example.org>\r\nX-Odd no colon\r\nSubject: one\r\n\ttwo\r\nTo: bob@example.org\r\n" +
		"Message-ID: <1@x>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n" +
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>\r\n--b--\r\n"
	header, text, _ := strings.Cut(raw, "\r\n\r\n")
	s := start(t, Options{})
	c := s.imap(bob, nil)
	uid := s.append(c, "INBOX", raw)
	selectFolder(t, c, "INBOX")
	set := imap.UIDSetNum(uid)
	const huge = 1<<63 - 1
	for _, test := range []struct {
		name string
		item imap.FetchItemBodySection
		want string
	}{
		{"header", imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader}, header + "\r\n\r\n"},
		{"text", imap.FetchItemBodySection{Specifier: imap.PartSpecifierText}, text},
		{"fields", imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"SUBJECT", "to"}},
			"Subject: one\r\n\ttwo\r\nTo: bob@example.org\r\n\r\n"},
		{"other fields", imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader,
			HeaderFieldsNot: []string{"from", "Subject", "to", "date", "content-type"}}, "Message-ID: <1@x>\r\n\r\n"},
		{"piece", imap.FetchItemBodySection{Partial: &imap.SectionPartial{Offset: 6, Size: 4}}, raw[6:10]},
		{"piece over the end", imap.FetchItemBodySection{Partial: &imap.SectionPartial{Offset: 10, Size: huge}}, raw[10:]},
		{"piece behind the end", imap.FetchItemBodySection{Partial: &imap.SectionPartial{Offset: huge, Size: huge}}, ""},
		{"part", imap.FetchItemBodySection{Part: []int{1}}, "first"},
		{"piece of a part", imap.FetchItemBodySection{Part: []int{1}, Partial: &imap.SectionPartial{Offset: 1, Size: huge}}, "irst"},
		{"part that is not there", imap.FetchItemBodySection{Part: []int{7, 7}}, ""},
	} {
		test.item.Peek = true
		m := fetch(t, c, set, &test.item)
		if len(m) != 1 {
			t.Fatalf("%s: %d messages", test.name, len(m))
		}
		var got []byte
		for _, b := range m[0].BodySection {
			got = b.Bytes
		}
		if string(got) != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}

	all, err := c.Fetch(set, &imap.FetchOptions{Envelope: true, InternalDate: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true}}).Collect()
	if err != nil || len(all) != 1 {
		t.Fatal(err, len(all))
	}
	e := all[0].Envelope
	if e.Subject != "one two" || e.MessageID != "1@x" || e.From[0].Addr() != alice || e.From[0].Name != "A, a" {
		t.Errorf("envelope %+v", e)
	}
	if !all[0].InternalDate.Equal(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("internal date %v", all[0].InternalDate)
	}
	if mp, ok := all[0].BodyStructure.(*imap.BodyStructureMultiPart); !ok || len(mp.Children) != 2 {
		t.Errorf("body structure %#v", all[0].BodyStructure)
	}

	// Without PEEK the message is seen from then on.
	if m := fetch(t, c, set, &imap.FetchItemBodySection{}); !slices.Contains(m[0].Flags, imap.FlagSeen) {
		t.Errorf("flags after reading: %v", m[0].Flags)
	}
}

func TestDeepNestingIsNotTakenApart(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	s := start(t, Options{})
	c := s.imap(bob, nil)
	s.append(c, "INBOX", b.String())
	selectFolder(t, c, "INBOX")
	all, err := c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{BodyStructure: &imap.FetchItemBodyStructure{Extended: true}}).Collect()
	if err != nil || len(all) != 1 {
		t.Fatal(err, len(all))
	}
	if _, ok := all[0].BodyStructure.(*imap.BodyStructureSinglePart); !ok {
		t.Errorf("body structure %T", all[0].BodyStructure)
	}
}

func TestLargeMessage(t *testing.T) {
	raw := make([]byte, 6<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(raw)
	s := start(t, Options{})
	c := s.imap(bob, nil)
	uid := s.append(c, "INBOX", string(raw))
	selectFolder(t, c, "INBOX")
	var got bytes.Buffer
	const piece = 4 << 20
	for offset := int64(0); offset < int64(len(raw)); offset += piece {
		item := &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Offset: offset, Size: piece}}
		got.Write(fetch(t, c, imap.UIDSetNum(uid), item)[0].FindBodySection(item))
	}
	if !bytes.Equal(got.Bytes(), raw) {
		t.Error("a message fetched by pieces differs")
	}
}

func TestFlags(t *testing.T) {
	dir := filepath.Join(fastDir(t), "mail")
	s := start(t, Options{Dir: dir})
	c := s.imap(bob, nil)
	s.append(c, "INBOX", "a", `\seen`, "$Forwarded", `\Recent`)
	s.append(c, "INBOX", "b")
	selectFolder(t, c, "INBOX")
	for _, step := range []struct {
		op    imap.StoreFlagsOp
		flags []imap.Flag
		want  []imap.Flag
	}{
		{imap.StoreFlagsAdd, []imap.Flag{imap.FlagFlagged, "$FORWARDED"}, []imap.Flag{"$Forwarded", imap.FlagFlagged, imap.FlagSeen}},
		{imap.StoreFlagsDel, []imap.Flag{`\SEEN`}, []imap.Flag{"$Forwarded", imap.FlagFlagged}},
		{imap.StoreFlagsSet, []imap.Flag{imap.FlagAnswered}, []imap.Flag{imap.FlagAnswered}},
	} {
		all, err := c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: step.op, Flags: step.flags}, nil).Collect()
		if err != nil || len(all) != 1 {
			t.Fatal(err, len(all))
		}
		if !slices.Equal(all[0].Flags, step.want) {
			t.Errorf("flags %v, want %v", all[0].Flags, step.want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := start(t, Options{Dir: dir}).Messages(bob, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(all[0].Flags, []string{`\Answered`}) || len(all[1].Flags) != 0 {
		t.Errorf("after a restart: %v", all)
	}
}

func TestUIDsLast(t *testing.T) {
	dir := filepath.Join(fastDir(t), "mail")
	s := start(t, Options{Dir: dir})
	c := s.imap(bob, nil)
	for i := range 3 {
		s.append(c, "INBOX", fmt.Sprint(i))
	}
	before := selectFolder(t, c, "INBOX")
	// The last one goes: its number must not come back.
	if err := c.Store(imap.SeqSetNum(3), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.UIDExpunge(imap.UIDSetNum(2)).Close(); err != nil {
		t.Fatal(err)
	}
	if got := len(s.contents(bob, "INBOX")); got != 3 {
		t.Fatalf("UID EXPUNGE of another message left %d", got)
	}
	if err := c.UIDExpunge(imap.UIDSetNum(3)).Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = start(t, Options{Dir: dir})
	c = s.imap(bob, nil)
	after := selectFolder(t, c, "INBOX")
	if after.UIDValidity != before.UIDValidity || after.UIDNext != 4 || after.NumMessages != 2 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if uid := s.append(c, "INBOX", "new"); uid != 4 {
		t.Errorf("new UID %d, want 4", uid)
	}

	// A folder made anew is another folder.
	for range 2 {
		if err := c.Create("Work", nil).Wait(); err != nil {
			t.Fatal(err)
		}
		s.append(c, "Work", "x")
		work := selectFolder(t, c, "Work")
		if work.UIDValidity <= before.UIDValidity {
			t.Errorf("UIDVALIDITY %d came before", work.UIDValidity)
		}
		before.UIDValidity = work.UIDValidity
		selectFolder(t, c, "INBOX")
		if err := c.Delete("Work").Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSearch(t *testing.T) {
	s := start(t, Options{})
	c := s.imap(bob, nil)
	s.append(c, "INBOX", message1("first@x", "Quarterly report"), imap.FlagSeen)
	s.append(c, "INBOX", message1("second@x", "=?utf-8?q?M=C3=BCnchen?="))
	s.append(c, "INBOX", "not a header\r\nMessage-ID: <third@x>\r\nDate: Sat, 21 Nov 2026 23:00:00 -0800\r\n\r\n"+
		strings.Repeat("x", 64<<10-20)+"needle at the seam")
	selectFolder(t, c, "INBOX")
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }
	header := func(key, value string) imap.SearchCriteria {
		return imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: key, Value: value}}}
	}
	for name, test := range map[string]struct {
		criteria imap.SearchCriteria
		want     []imap.UID
	}{
		"all":               {imap.SearchCriteria{}, []imap.UID{1, 2, 3}},
		"message-id":        {header("Message-ID", "<second@x>"), []imap.UID{2}},
		"message-id, loose": {header("message-id", "@X"), []imap.UID{1, 2, 3}},
		"after odd line":    {header("Message-ID", "third@x"), []imap.UID{3}},
		"no such":           {header("Message-ID", "fourth@x"), nil},
		"decoded":           {header("Subject", "MÜNCHEN"), []imap.UID{2}},
		"has field":         {header("Date", ""), []imap.UID{3}},
		"uids":              {imap.SearchCriteria{UID: []imap.UIDSet{{{Start: 2, Stop: 0}}}}, []imap.UID{2, 3}},
		"numbers":           {imap.SearchCriteria{SeqNum: []imap.SeqSet{{{Start: 0, Stop: 0}}}}, []imap.UID{3}},
		"seen":              {imap.SearchCriteria{Flag: []imap.Flag{imap.FlagSeen}}, []imap.UID{1}},
		"unseen":            {imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen}}, []imap.UID{2, 3}},
		"text":              {imap.SearchCriteria{Text: []string{"QUARTERLY"}}, []imap.UID{1}},
		"body":              {imap.SearchCriteria{Body: []string{"Quarterly"}}, nil},
		"seam":              {imap.SearchCriteria{Body: []string{"Needle at the seam"}}, []imap.UID{3}},
		"larger":            {imap.SearchCriteria{Larger: 1000}, []imap.UID{3}},
		"smaller":           {imap.SearchCriteria{Smaller: 1000}, []imap.UID{1, 2}},
		"since":             {imap.SearchCriteria{Since: day(21)}, []imap.UID{1, 2, 3}},
		"before":            {imap.SearchCriteria{Before: day(21)}, nil},
		"sent on":           {imap.SearchCriteria{SentSince: day(21), SentBefore: day(22)}, []imap.UID{3}},
		"not":               {imap.SearchCriteria{Not: []imap.SearchCriteria{header("Message-ID", "first")}}, []imap.UID{2, 3}},
		"or": {imap.SearchCriteria{Or: [][2]imap.SearchCriteria{{header("Message-ID", "first"), header("Message-ID", "third")}}},
			[]imap.UID{1, 3}},
	} {
		data, err := c.UIDSearch(&test.criteria, nil).Wait()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := data.AllUIDs(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	data, err := c.Search(&imap.SearchCriteria{}, &imap.SearchOptions{ReturnMin: true, ReturnMax: true, ReturnCount: true}).Wait()
	if err != nil || data.Min != 1 || data.Max != 3 || data.Count != 3 {
		t.Errorf("ESEARCH: %+v, %v", data, err)
	}
}

func TestCopyAndMove(t *testing.T) {
	dir := filepath.Join(fastDir(t), "mail")
	s := start(t, Options{Dir: dir})
	c := s.imap(bob, nil)
	for _, raw := range []string{"a", "b", "c"} {
		s.append(c, "INBOX", raw, imap.FlagFlagged)
	}
	selectFolder(t, c, "INBOX")
	copied, err := c.Copy(imap.SeqSetNum(1, 2), "Archive").Wait()
	if err != nil || copied.DestUIDs.String() != "1:2" {
		t.Fatal(copied, err)
	}
	moved, err := c.Move(imap.UIDSetNum(2, 3, 99), "Archive").Wait()
	if err != nil || moved.SourceUIDs.(imap.UIDSet).String() != "2:3" || moved.DestUIDs.(imap.UIDSet).String() != "3:4" {
		t.Fatal(moved, err)
	}
	check := func(s *testServer) {
		t.Helper()
		if diff := cmp.Diff([]string{"a"}, s.contents(bob, "INBOX")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"a", "b", "b", "c"}, s.contents(bob, "Archive")); diff != "" {
			t.Error(diff)
		}
	}
	check(s)
	if _, err := c.Copy(imap.SeqSetNum(1), "Nowhere").Wait(); imapCode(err) != imap.ResponseCodeTryCreate {
		t.Errorf("COPY to nowhere: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = start(t, Options{Dir: dir})
	check(s)
	all, err := s.Messages(bob, "Archive")
	if err != nil || all[3].UID != 4 || !slices.Equal(all[3].Flags, []string{`\Flagged`}) {
		t.Errorf("%+v, %v", all, err)
	}
	c = s.imap(bob, nil)
	if uid := s.append(c, "INBOX", "d"); uid != 4 {
		t.Errorf("UID %d, want 4", uid)
	}
}
