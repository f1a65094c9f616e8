package revocation

import (
	"strings"
	"testing"
)

// TestNotes has reasons with what does not belong into a sentence, too long, and too many of them.
func TestNotes(t *testing.T) {
	var n notes
	n.add("a\x1b[2J\u202eb\xff\nc")
	n.add("a\x1b[2J\u202eb\xff\nc")
	n.add(strings.Repeat("é", maxNote+1))
	if want := "a\ufffd[2J\ufffdb\ufffd\ufffdc; " + strings.Repeat("é", maxNote) + "…"; n.text() != want {
		t.Errorf("%q", n.text())
	}
	for i := range maxNotes {
		n.add(strings.Repeat("x", i+1))
	}
	if !strings.HasSuffix(n.text(), "xxxxxx; and 2 other reasons") {
		t.Errorf("%q", n.text())
	}
	if got := quote("a\"\x00"); got != `"a\"`+"\ufffd"+`"` {
		t.Errorf("%s", got)
	}
}
