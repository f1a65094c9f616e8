// Package mailboxtest holds the tests that each [mailbox.Store] and each [mailbox.Submitter] has to pass, whatever is
// behind it. It is for test files only.
package mailboxtest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/mailbox"
)

// newID returns a Message-ID that was never used before, with brackets.
func newID() string { return "<" + rand.Text() + "@mailbox.test>" }

// message returns a message in canonical form.
func message(id, body string) []byte {
	return []byte(strings.ReplaceAll(fmt.Sprintf("Date: Fri, 21 Nov 2025 10:02:11 +0100\nFrom: a@example.test\nTo: b@example.test\nMessage-ID: %s\nSubject: test\n\n%s", id, body), "\n", "\r\n"))
}

// large returns a message of exactly size octets, no two lines of which are alike, so that a piece at a wrong place shows.
func large(id string, size int) []byte {
	b := bytes.NewBuffer(message(id, ""))
	for n := 0; b.Len() < size; n++ {
		fmt.Fprintf(b, "line %08d of a message that does not fit into one piece\r\n", n)
	}
	out := b.Bytes()[:size]
	copy(out[size-4:], "..\r\n")
	return out
}

// same fails the test where two messages differ, and says where.
func same(t *testing.T, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	part := func(b []byte) []byte { return b[min(at, len(b)):min(at+40, len(b))] }
	t.Errorf("got %d octets, want %d; they differ from octet %d on:\ngot  %q\nwant %q", len(got), len(want), at, part(got), part(want))
}

func fetch(t *testing.T, s mailbox.Store, folder string, uid mailbox.UID) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Fetch(t.Context(), folder, uid, &b); err != nil {
		t.Fatalf("Fetch(%q, %d): %v", folder, uid, err)
	}
	return b.Bytes()
}
