package smime_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/smime"
)

// TestManyProtectedFields signs as many header fields as fit: to look for each among all the others would take many
// minutes.
func TestManyProtectedFields(t *testing.T) {
	const count = 100_000
	var inside strings.Builder
	inside.WriteString("Content-Type: text/plain; hp=\"clear\"\r\nFrom: alice@example.org\r\nX-Same: 1\r\nx-same: 2\r\n")
	for i := range count {
		fmt.Fprintf(&inside, "X%d:\r\n", i)
	}
	inside.WriteString("\r\nhello\r\n")
	message := "From: alice@example.org\r\nX-SAME: 1\r\nX-Same: 2\r\nSubject: added\r\n" + sign(t, inside.String(), alice(), smime.SignOptions{})
	p := open(t, []byte(message), smime.OpenOptions{}).Protection
	if len(p.Fields) != count+3 || len(p.Differences) != count+1 || p.FromMismatch {
		t.Fatalf("%d fields, %d differences, From differs: %v", len(p.Fields), len(p.Differences), p.FromMismatch)
	}
	if d := p.Differences[count]; d.Name != "Subject" || d.Protected != nil || len(d.Outer) != 1 || d.Explained {
		t.Errorf("%+v", d)
	}
}
