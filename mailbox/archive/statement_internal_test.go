package archive

import (
	"crypto/sha512"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPeriod(t *testing.T) {
	at := func(s string) time.Time {
		at, err := time.Parse(time.DateTime, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, test := range []struct{ period, begin, end string }{
		{"10y", "2016-11-21 10:00:00", "2026-11-21 10:00:00"},
		{"1y", "2024-02-29 10:00:00", "2025-02-28 10:00:00"},
		{"4y", "2024-02-29 10:00:00", "2028-02-29 10:00:00"},
		{"1m", "2026-01-31 23:59:59", "2026-02-28 23:59:59"},
		{"1m", "2028-01-31 00:00:00", "2028-02-29 00:00:00"},
		{"6m", "2026-08-31 10:00:00", "2027-02-28 10:00:00"},
		{"13m", "2026-12-31 10:00:00", "2028-01-31 10:00:00"},
		{"30d", "2026-01-31 10:00:00", "2026-03-02 10:00:00"},
		{"1y1m1d", "2026-01-31 10:00:00", "2027-03-01 10:00:00"},
	} {
		p, err := ParsePeriod(test.period)
		if err != nil || p.String() != test.period {
			t.Fatalf("%s: %v, %v", test.period, p, err)
		}
		if end := p.After(at(test.begin)); !end.Equal(at(test.end)) {
			t.Errorf("%s after %s: %s, want %s", test.period, test.begin, end, test.end)
		}
	}
	// It is the calendar of UTC that counts, wherever the time comes from.
	west := time.FixedZone("west", -8*3600)
	if end := (Period{Months: 1}).After(time.Date(2026, 1, 30, 20, 0, 0, 0, west)); !end.Equal(at("2026-02-28 04:00:00")) {
		t.Errorf("from the west: %s", end)
	}
	for _, text := range []string{"", "0y", "10", "y", "-1y", "+1y", "1d1y", "1y1y", "1w", "1 y", "1001y", "366001d", "99999999999999999999d"} {
		if p, err := ParsePeriod(text); !errors.Is(err, ErrPeriod) {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
}

func TestNumberSet(t *testing.T) {
	var s NumberSet
	if err := s.UnmarshalText([]byte("7,1-3,500,4,9-12,10")); err != nil {
		t.Fatal(err)
	}
	if s.String() != "1-4,7,9-12,500" || s.Len() != 10 || s.first() != 1 || s.last() != 500 {
		t.Errorf("%s, %d", s, s.Len())
	}
	if got := slices.Collect(s.All()); !slices.Equal(got, []Number{1, 2, 3, 4, 7, 9, 10, 11, 12, 500}) {
		t.Errorf("all: %v", got)
	}
	if s.Has(5) || !s.Has(11) || s.Has(501) {
		t.Error("has")
	}
	if n := Numbers(5, 3, 4, 9); n.String() != "3-5,9" {
		t.Errorf("numbers: %s", n)
	}
	for _, text := range []string{"0", "-1", "3-1", "1,", "x", "1:3", "1000000000000"} {
		if err := s.UnmarshalText([]byte(text)); !errors.Is(err, ErrNumbers) {
			t.Errorf("%q: %v, %s", text, err, s)
		}
	}
	var uids UIDSet
	uids.Add(math.MaxUint32)
	uids.Add(1)
	uids.Add(math.MaxUint32 - 1)
	if text, _ := uids.MarshalText(); string(text) != "1,4294967294:4294967295" || uids.Len() != 3 {
		t.Errorf("UIDs %s", text)
	}
	n := 0
	for range uids.ranges.all() {
		n++
	}
	if n != 3 {
		t.Errorf("%d UIDs", n)
	}
	// Many in the wrong order take no longer than others.
	var b strings.Builder
	for i := 500_000; i > 0; i-- {
		b.WriteString("9")
		b.WriteString(Number(i).String()[2:])
		b.WriteString(",")
		i--
	}
	if err := s.UnmarshalText([]byte(strings.TrimSuffix(b.String(), ","))); err != nil || s.Len() != 250_000 {
		t.Errorf("%v, %d", err, s.Len())
	}
}

// sampleStatement is one with all fields.
func sampleStatement() statementText {
	return statementText{
		archive: strings.Repeat("0f", 16), previous: sha512.Sum512(nil),
		Statement: Statement{
			Number: 2, Time: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), Kind: StatementHold, Name: "Smith: v. Jones", Reason: "ordered",
			By: "records@example.org", Scope: Scope{Messages: Numbers(1, 2, 3, 7), Folders: []FolderName{{"work", "INBOX"}, {`a" "b`, "Entwürfe\n/x\xff"}}},
		},
	}
}

func TestStatementText(t *testing.T) {
	s := sampleStatement()
	text, err := s.marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := parseStatement(text)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := back.marshal(); err != nil || string(again) != string(text) || back.Scope.Folders[1] != s.Scope.Folders[1] || back.previous != s.previous {
		t.Errorf("%v: %s", err, again)
	}
	if want := "Messages: 1-3,7\nFolder: \"work\" \"INBOX\"\n"; !strings.Contains(string(text), want) {
		t.Errorf("text: %s", text)
	}
	// Nothing but what is written is read.
	for name, altered := range map[string]string{
		"empty":           "",
		"cut":             string(text[:len(text)-1]),
		"longer":          string(text) + "\n",
		"unknown field":   string(text) + "More: x\n",
		"twice":           string(text) + "Folder: \"work\" \"INBOX\"",
		"another order":   strings.Replace(string(text), "Reason: ordered\nBy: records@example.org\n", "By: records@example.org\nReason: ordered\n", 1),
		"another writing": strings.Replace(string(text), "1-3,7", "1-2,3,7", 1),
		"no scope":        strings.Split(string(text), "Messages")[0],
		"title":           strings.Replace(string(text), "version 1", "version 2", 1),
		"number":          strings.Replace(string(text), "Number: 2", "Number: 02", 1),
		"no number":       strings.Replace(string(text), "Number: 2", "Number: 0", 1),
		"time":            strings.Replace(string(text), "10:00:00Z", "11:00:00+01:00", 1),
		"period":          strings.Replace(string(text), "Messages", "Period: 1y\nMessages", 1),
		"previous":        strings.Replace(string(text), "cf83", "CF83", 1),
		"no previous":     strings.Replace(string(text), strings.Split(strings.Split(string(text), "Previous: ")[1], "\n")[0], "none", 1),
		"no name":         strings.Replace(string(text), "Name: Smith: v. Jones\n", "", 1),
		"carriage return": strings.ReplaceAll(string(text), "\n", "\r\n"),
		"quotes":          strings.Replace(string(text), `"work"`, "`work`", 1),
		"all and some":    strings.Replace(string(text), "Messages: 1-3,7", "Messages: all", 1),
	} {
		if got, err := parseStatement([]byte(altered)); !errors.Is(err, ErrStatement) {
			t.Errorf("%s: %v, %+v", name, err, got)
		}
	}
	// A kind of a later version is read, so that it can be seen that there is one.
	if later, err := parseStatement([]byte(strings.Replace(string(text), "Kind: hold", "Kind: embargo", 1))); err != nil || later.Kind != "embargo" {
		t.Errorf("later kind: %v", err)
	}
}

func TestStatementRefused(t *testing.T) {
	for name, change := range map[string]func(*statementText){
		"line break":        func(s *statementText) { s.Reason = "a\nKind: release" },
		"invisible":         func(s *statementText) { s.Name = "a\u200bb" },
		"override":          func(s *statementText) { s.By = "a\u202eb" },
		"space around":      func(s *statementText) { s.Name = " a" },
		"no UTF-8":          func(s *statementText) { s.Reason = "\xff" },
		"long":              func(s *statementText) { s.Reason = strings.Repeat("x", maxWords+1) },
		"no kind":           func(s *statementText) { s.Kind = "" },
		"release of all":    func(s *statementText) { s.Kind = StatementRelease },
		"retain for ever":   func(s *statementText) { s.Kind = StatementRetain },
		"retain backwards":  func(s *statementText) { s.Kind, s.Period = StatementRetain, Period{Years: 1, Days: -1} },
		"hold for a period": func(s *statementText) { s.Period = Period{Years: 1} },
		"shredded folder":   func(s *statementText) { s.Kind, s.Name = StatementShredded, "" },
		"nothing":           func(s *statementText) { s.Scope = Scope{} },
	} {
		s := sampleStatement()
		change(&s)
		if text, err := s.marshal(); !errors.Is(err, ErrStatement) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

func FuzzStatement(f *testing.F) {
	s := sampleStatement()
	text, err := s.marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := parseStatement(text)
		if err != nil {
			return
		}
		if again, err := read.marshal(); err != nil || string(again) != string(text) {
			t.Errorf("%v: %q from %q", err, again, text)
		}
	})
}

// TestHeadFull begins a segment where the head has no room for many more: it is refused before anything is made.
func TestHeadFull(t *testing.T) {
	h := &Head{Archive: newIdentifier()}
	for n := range 400_000 {
		h.Objects = append(h.Objects, ObjectSum{Name: statementName(n)})
	}
	if size := len(h.marshal()); size > maxHead {
		t.Fatalf("a head of %d octets", size)
	}
	a := &Archive{o: Options{Now: time.Now}, description: &description{ID: h.Archive}} // without a storage
	if _, err := a.newSegment(t.Context(), h); err == nil {
		t.Error("there is room")
	}
}
