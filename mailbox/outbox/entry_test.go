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
	e.Copy.Started = true
	got, err := encode(e)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "entry-v1.json")
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
	back, err := decode(want)
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

func FuzzDecode(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", "entry-v1.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":1,"messages":[{"state":"queued","size":1,"envelope":{"To":["x"]}}],"created":"2026-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decode(data)
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
		back, err := decode(out)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		again, err := encode(back)
		if err != nil || string(again) != string(out) {
			t.Fatalf("%v\n%s\n%s", err, out, again)
		}
	})
}
