package outbox

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/mailbox"
)

func TestIDs(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	seen := map[string]bool{}
	last := ""
	for i := range 1000 {
		id := newID(now.Add(time.Duration(i) * time.Millisecond))
		if !validID(id) || id <= last || seen[id] {
			t.Fatalf("%s after %s", id, last)
		}
		last, seen[id] = id, true
	}
	if a, b := newID(now), newID(now); a == b || a[:idTime] != b[:idTime] {
		t.Errorf("two of the same instant: %s, %s", a, b)
	}
	if id := newID(time.Time{}); !validID(id) {
		t.Errorf("%q of no time", id)
	}
}

var update = flag.Bool("update", false, "write testdata anew")

// TestFormat keeps the format on disk what it is: an entry must be readable by the next version.
func TestFormat(t *testing.T) {
	e, _ := testMail()
	e.Messages[0].Size, e.Messages[0].State, e.Messages[0].Attempts = 42, Uncertain, 2
	e.Messages[0].Error, e.Messages[0].LastAttempt = "line lost", e.Created.Add(time.Minute)
	e.Messages[1] = Message{Envelope: mailbox.Envelope{}, Size: 7, State: Sent}
	e.Copy.Started, e.Copy.Use = true, `\Sent`
	e.Messages = append(e.Messages, Message{
		Envelope: mailbox.Envelope{From: "alice@example.org", To: []string{"dora@example.org"}}, Size: 9, State: Refused, Attempts: 1,
		Error: "no such person", Refusals: []Refusal{{Recipient: "dora@example.org", Code: 550, EnhancedCode: "5.1.1", Text: "no such person", Permanent: true}},
	})
	e.Failures, e.NextAttempt = 2, e.Created.Add(5*time.Minute)
	got, err := encode(e)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "entry-v2.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
	back, _, err := decode(want)
	if err != nil {
		t.Fatal(err)
	}
	again, err := encode(back)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(again)); diff != "" {
		t.Error(diff)
	}
}

// TestOldFormat: what a version before this one accepted is sent by this one.
func TestOldFormat(t *testing.T) {
	old, err := os.ReadFile(filepath.Join("testdata", "entry-v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := decode(old)
	if err != nil {
		t.Fatal(err)
	}
	if e.State() != Uncertain || e.Messages[0].Attempts != 2 || !e.Copy.Started || !e.Due(e.Created) {
		t.Errorf("%+v", e)
	}
}

// TestBackoff: waits grow, are never shorter than they should be, and do not depend on a clock that went wrong.
func TestBackoff(t *testing.T) {
	e, _ := testMail()
	for i := range e.Messages {
		e.Messages[i].State = Queued
	}
	now := e.Created
	if !e.Due(now) {
		t.Error("what was never tried is not due")
	}
	for _, least := range []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 4 * time.Hour} {
		e.postpone(now)
		wait := e.NextAttempt.Sub(now)
		if wait < least || wait > least+least/jitter {
			t.Errorf("after %d failures a wait of %v, want about %v", e.Failures, wait, least)
		}
		if e.Due(now) || e.Due(e.NextAttempt.Add(-time.Second)) || !e.Due(e.NextAttempt) {
			t.Errorf("due before %v, or not due then", e.NextAttempt)
		}
		now = e.NextAttempt
	}
	if !e.Due(now.AddDate(-1, 0, 0)) {
		t.Error("a clock that was ahead for a year, and is right again, holds mail back for a year")
	}
	for state, want := range map[State]bool{Queued: true, Uncertain: true, Refused: false, Sent: true} {
		// What was sent, or may have been, has a copy to be made.
		e, _ := testMail()
		e.Messages[0].State, e.Messages[1].State = state, Refused
		if got := e.Due(now); got != want {
			t.Errorf("%s: due is %v", state, got)
		}
		e.Copy.Done = true
		if got := e.Due(now); got != (state == Queued) {
			t.Errorf("%s, and the copy is made: due is %v", state, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", "entry-v1.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	if golden, err = os.ReadFile(filepath.Join("testdata", "entry-v2.json")); err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":1,"messages":[{"state":"queued","size":1,"envelope":{"To":["x"]}}],"created":"2026-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, _, err := decode(data)
		if err != nil {
			return
		}
		if err := e.check(); err != nil {
			t.Fatalf("decoded what is not valid: %v", err)
		}
		// What was understood is understood again, in the same way.
		out, err := encode(e)
		if err != nil {
			t.Fatal(err)
		}
		back, _, err := decode(out)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		again, err := encode(back)
		if err != nil || string(again) != string(out) {
			t.Fatalf("%v\n%s\n%s", err, out, again)
		}
	})
}
