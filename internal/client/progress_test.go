package client_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
)

// TestProgressOfSending: reading what is attached, submitting the message and copying it are told of up to their last octets.
func TestProgressOfSending(t *testing.T) {
	w := newWorld(t)
	o, out := w.sender(w.stamps(now), 0)
	var mu sync.Mutex
	told := map[string]client.Progress{}
	o.Progress = func(p client.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if last := told[p.What]; last.Octets > p.Octets {
			t.Errorf("%+v after %+v", p, last)
		}
		told[p.What] = p
	}
	file := w.write("large.txt", strings.Repeat("a line of what is attached\n", 1000))
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := client.SendParams{Letter: client.Letter{To: []string{"to@example.org"}, Subject: "s", Body: []byte("hello\n"), Attach: []string{file}}, SendOptions: client.SendOptions{NoEncrypt: true}}
	if _, err := c.Send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	sent := int64(len(out.messages[0]))
	for what, size := range map[string]int64{file: 27_000, "sending": sent, "copy in Sent": sent} {
		if got := told[what]; got.Octets != size || got.AllOctets != size {
			t.Errorf("of %s was told %+v, want %d octets; of all %q", what, got, size, slices.Sorted(maps.Keys(told)))
		}
	}
}

func TestProgressOfFiles(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	size, last := int64(0), client.Progress{}
	o.Progress = func(p client.Progress) { last = p }
	keys := w.issue("alice", "p256")
	text := "Content-Type: text/plain\r\n\r\n" + strings.Repeat("a line\r\n", 50_000)
	name := w.write("entity", text)
	size = int64(len(text))
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Sign(t.Context(), client.SignParams{Keys: keys}, name, client.Output{Name: w.in("out")}); err != nil {
		t.Fatal(err)
	}
	if last.What != name || last.Octets != size || last.AllOctets != size {
		t.Errorf("at last %+v, want %d octets of %s", last, size, name)
	}
}
