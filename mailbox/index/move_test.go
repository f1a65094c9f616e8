package index

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/mailbox"
)

// TestMove has messages go to another folder with all that is kept of them.
func TestMove(t *testing.T) {
	x := testIndex(t)
	archive := Folder{Name: "Archive", UIDValidity: 9}
	const size = 2*chunkSize + 5
	x.add(t, testMessages(1, 4, size)...)
	if err := x.Move(t.Context(), testFolder, map[mailbox.UID]mailbox.UID{1: 2}, archive); !errors.Is(err, ErrRenumbered) {
		t.Errorf("to a folder that is not known: %v", err)
	}
	if _, err := x.Begin(t.Context(), archive.Name, archive.UIDValidity); err != nil {
		t.Fatal(err)
	}
	old := Folder{Name: testFolder.Name, UIDValidity: testFolder.UIDValidity + 1}
	if err := x.Move(t.Context(), old, map[mailbox.UID]mailbox.UID{1: 2}, archive); !errors.Is(err, ErrRenumbered) {
		t.Errorf("of another numbering: %v", err)
	}
	// Of the other folder's mod-sequences nothing is known here.
	if err := x.SetFlags(t.Context(), testFolder, []mailbox.Info{{UID: 2, Flags: []string{`\Flagged`}, ModSeq: 100}}, 100); err != nil {
		t.Fatal(err)
	}
	if err := x.Move(t.Context(), testFolder, map[mailbox.UID]mailbox.UID{2: 1, 3: 7, 99: 8}, archive); err != nil {
		t.Fatal(err)
	}
	x.mustUIDs(t, 1, 4)
	x.mustHold(t, size, 1, 4)
	if got := x.lines(t, Selection{Folder: "Archive"}); !slices.Equal(got, []mailbox.UID{1, 7}) {
		t.Errorf("moved are %v", got)
	}
	for was, now := range map[mailbox.UID]mailbox.UID{2: 1, 3: 7} {
		var got bytes.Buffer
		if err := x.Octets(t.Context(), "Archive", now, &got); err != nil || !bytes.Equal(got.Bytes(), testOctets(was, size)) {
			t.Errorf("message %d: %d octets, %v", was, got.Len(), err)
		}
		if evidence, err := x.Evidence(t.Context(), "Archive", now); err != nil || string(evidence) != string(testMessage(was, 1).Evidence) {
			t.Errorf("message %d: evidence %q, %v", was, evidence, err)
		}
	}
	if err := x.SetFlags(t.Context(), archive, []mailbox.Info{{UID: 1, Flags: []string{"Work"}, ModSeq: 3}}, 3); err != nil {
		t.Fatal(err)
	}
	line, err := x.Line(t.Context(), "Archive", 1)
	if err != nil || line.UID != 1 || line.Folder != "Archive" || !slices.Equal(line.Flags, []string{"Work"}) || string(line.Data) != `{"uid":2}` {
		t.Errorf("line %+v, %v", line, err)
	}
	if line, err := x.Line(t.Context(), "Archive", 2); err != nil || line.UID != 0 {
		t.Errorf("a line of what is not there: %+v, %v", line, err)
	}

	// The place is taken: somebody fetched it there meanwhile.
	if err := x.Move(t.Context(), testFolder, map[mailbox.UID]mailbox.UID{1: 7}, archive); err != nil {
		t.Fatal(err)
	}
	x.mustUIDs(t, 4)
	var got bytes.Buffer
	if err := x.Octets(t.Context(), "Archive", 7, &got); err != nil || !bytes.Equal(got.Bytes(), testOctets(3, size)) {
		t.Errorf("what was there first: %d octets, %v", got.Len(), err)
	}
}
