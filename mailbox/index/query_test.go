package index

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

// searched is an index with a few messages of which each query finds others.
func searched(t testing.TB) *Index {
	x := testIndex(t)
	message := func(uid mailbox.UID, from, subject, text string, change func(*Message)) Message {
		m := Message{UID: uid, From: from, Subject: subject, To: []string{"bob@example.org", "dora@example.net"}, Text: NewText(text), Size: 100 << uid,
			Date: time.Date(2026, time.Month(uid), 10, 12, 0, 0, 0, time.UTC), Verdict: "unsigned", Encryption: "none", MessageID: fmt.Sprint("m", uid)}
		change(&m)
		return m
	}
	x.add(t,
		message(1, "alice@example.org", "Angebot für Müller", "The quick brown fox\r\n jumps over", func(m *Message) { m.Verdict = "passed" }),
		message(2, "alice@example.org", "Re: Offer", "quick, and brown", func(m *Message) { m.Flags, m.Attachments = []string{`\Seen`}, true }),
		message(3, "carol@example.com", "会議の議事録", "東京都で会います。", func(m *Message) { m.Encryption, m.Cc = "decrypted", []string{"fox@example.org"} }),
		message(4, "dave@example.com", "", "", func(m *Message) { m.Date, m.Flags = time.Time{}, []string{`\Flagged`} }),
	)
	if _, err := x.Begin(t.Context(), "Sent", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Add(t.Context(), Folder{Name: "Sent", UIDValidity: 1}, []Message{message(5, "me@example.org", "quick OR not", "Straße 5-7", func(*Message) {})}); err != nil {
		t.Fatal(err)
	}
	return x
}

func TestSearch(t *testing.T) {
	x := searched(t)
	for query, want := range map[string][]mailbox.UID{
		"":                                     {4, 1, 2, 3, 5}, // without a date first
		"quick":                                {1, 2, 5},
		"QUICK brown":                          {1, 2},
		`"quick brown"`:                        {1},
		`"fox jumps"`:                          {1},
		"fo":                                   nil,
		"fo*":                                  {1, 3},
		"ox":                                   nil,
		"fox":                                  {1, 3},
		"body:fox":                             {1},
		"cc:fox":                               {3},
		"from:alice":                           {1, 2},
		"from:example.org":                     {1, 2, 5},
		"to:dora":                              {4, 1, 2, 3, 5},
		"subject:offer":                        {2},
		"muller":                               {1},
		"MÜLLER":                               {1},
		"strasse":                              nil,
		"straße":                               {5},
		"5-7":                                  {5},
		"東京":                                   {3},
		"京都":                                   {3},
		"議事録":                                  {3},
		"subject:東京":                           nil,
		"quick -fox":                           {2, 5},
		"-quick":                               {4, 3},
		"fox OR offer":                         {1, 2, 3},
		"from:alice fox OR offer":              {1, 2},
		"(from:alice fox) OR from:carol":       {1, 3},
		"-(from:alice OR from:carol)":          {4, 5},
		"-(-fox)":                              {1, 3},
		`"OR"`:                                 {5},
		"since:2026-02-10":                     {2, 3, 5},
		"before:2026-02":                       {1},
		"on:2026-03-10":                        {3},
		"on:2026":                              {1, 2, 3, 5},
		"-before:2026-03":                      {4, 3, 5},
		"since:2026-03-10T12:00:00Z":           {3, 5},
		"larger:1K":                            {4, 5},
		"smaller:300":                          {1},
		"has:attachment":                       {2},
		"verdict:passed":                       {1},
		"is:unread":                            {4, 1, 3, 5},
		"is:read quick":                        {2},
		"is:flagged":                           {4},
		"is:encrypted":                         {3},
		"is:signed":                            {1},
		"folder:sent":                          nil,
		"folder:Sent":                          {5},
		"folder:inbox quick":                   {1, 2},
		"account:alice quick":                  {1, 2, 5},
		"account:bob quick":                    nil,
		"-account:bob quick":                   {1, 2, 5},
		"mid:<m3>":                             {3},
		"fox (has:attachment OR is:encrypted)": {3},
		"has:attachment OR fox is:unread":      {1, 3},
		"(fox -is:encrypted) OR (brown has:attachment) OR folder:Sent": {1, 2, 5},
	} {
		q, err := ParseQuery(query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if got := x.lines(t, Selection{Query: &q, Account: "alice"}); !slices.Equal(got, want) {
			t.Errorf("%s finds %v, want %v", query, got, want)
		}
		if got := x.lines(t, Selection{Query: &q, Account: "alice", Limit: 1}); !slices.Equal(got, want[max(len(want), 1)-1:]) {
			t.Errorf("%s finds %v as the last, want %v", query, got, want)
		}
	}
	q, err := ParseQuery("quick")
	if err != nil {
		t.Fatal(err)
	}
	if got := x.lines(t, Selection{Query: &q, Folder: "INBOX", Since: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}); !slices.Equal(got, []mailbox.UID{2}) {
		t.Errorf("found %v", got)
	}
}

// TestManyAreSearched goes past what is looked at together, with a limit and without.
func TestManyAreSearched(t *testing.T) {
	x := testIndex(t)
	const n = 3000
	x.add(t, testMessages(1, n, 10)...)
	q, err := ParseQuery(`"text of message" -"message 2999"`)
	if err != nil {
		t.Fatal(err)
	}
	if got := x.lines(t, Selection{Query: &q}); len(got) != n-1 || !slices.IsSorted(got) {
		t.Errorf("%d found", len(got))
	}
	if got := x.lines(t, Selection{Query: &q, Limit: 2}); !slices.Equal(got, []mailbox.UID{2998, 3000}) {
		t.Errorf("the last are %v", got)
	}
}

// TestTextsAreLetGo: what was decided holds no text any more, of which there may be a mebioctet in each message.
func TestTextsAreLetGo(t *testing.T) {
	q, err := ParseQuery("body:found")
	if err != nil {
		t.Fatal(err)
	}
	var some []*candidate
	for range 100 {
		some = append(some, &candidate{text: place{key: []byte{1}}, read: func(place) (string, error) { return "found", nil }})
	}
	found, err := decideAll(t.Context(), q.root, some)
	if err != nil || slices.Contains(found, false) {
		t.Fatal(found, err)
	}
	for i, c := range some {
		if c.body != nil {
			t.Fatalf("candidate %d still has its text", i)
		}
	}
}

func TestQueryErrors(t *testing.T) {
	for query, want := range map[string]struct {
		position int
		words    string
	}{
		`"never closed`:                {1, "quotation mark"},
		`a "never closed`:              {3, "quotation mark"},
		"(a":                           {1, "parenthesis"},
		"a)":                           {2, "closes"},
		"OR a":                         {1, "OR stands between"},
		"a OR":                         {5, "missing"},
		"a OR OR b":                    {6, "OR stands between"},
		"ü -":                          {4, "missing"},
		"!!!":                          {1, "no word"},
		"subject:":                     {9, "no word"},
		"colour:red":                   {8, "colour: is not known"},
		"since:yesterday":              {7, "no day"},
		"larger:much":                  {8, "no number"},
		"larger:9999999999":            {8, "no number"},
		"has:wings":                    {5, "has:wings is not known"},
		"verdict:good":                 {9, "not known"},
		"folder:":                      {1, "missing"},
		"a\x00b":                       {2, "not text"},
		"a\xff":                        {2, "not text"},
		strings.Repeat("(", 100):       {34, "too deep"},
		strings.Repeat("-", 100) + "a": {34, "too deep"},
		strings.Repeat("a ", 300):      {401, "too long"},
		strings.Repeat("a", 5000):      {1, "at most"},
	} {
		_, err := ParseQuery(query)
		var broken *QueryError
		if !errors.As(err, &broken) || broken.Position != want.position || !strings.Contains(err.Error(), want.words) {
			t.Errorf("%.20s: %v, want %s at %d", query, err, want.words, want.position)
		}
	}
}

// FuzzQuery: a query is refused, or one that SQLite takes, and a contradiction finds nothing.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{`from:alice (subject:"a b" OR -c*) since:2026-01 larger:5M`, "has:attachment is:unread verdict:passed folder:Sent account:a mid:<x>", "東京 -(a OR b)"} {
		f.Add(seed)
	}
	x := testOpen(f, safeio.Disk{}, f.TempDir())
	if _, err := x.Begin(f.Context(), testFolder.Name, testFolder.UIDValidity); err != nil {
		f.Fatal(err)
	}
	x.add(f, testMessages(1, 3, 10)...)
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ParseQuery(text)
		if err != nil {
			return
		}
		n := len(x.lines(t, Selection{Query: &q}))
		if denied, err := ParseQuery("-(" + text + ")"); err == nil {
			if m := len(x.lines(t, Selection{Query: &denied})); n+m != 3 {
				t.Errorf("%q finds %d, and what it does not find is %d of 3", text, n, m)
			}
		}
	})
}

func BenchmarkSearch(b *testing.B) {
	x := testIndex(b)
	text := strings.Repeat("some words of a letter that is of no interest ", 175)
	for first := mailbox.UID(1); first < 20_000; first += 500 {
		messages := testMessages(first, first+499, 10)
		for i := range messages {
			messages[i].Text = NewText(text)
		}
		x.add(b, messages...)
	}
	q, err := ParseQuery("absent")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(20_000 * len(text)))
	for b.Loop() {
		if n := len(x.lines(b, Selection{Query: &q})); n != 0 {
			b.Fatal(n)
		}
	}
}
