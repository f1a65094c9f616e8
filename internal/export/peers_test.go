package export_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/export"
	"github.com/sealmail/sealmail/internal/peertest"
)

// TestPython has Python's module for mailboxes count the odd messages, and tell the flags and folders of a Maildir.
func TestPython(t *testing.T) {
	peertest.Command(t, "python3")
	path, e := open(t, export.Mbox)
	want := fill(t, e, export.Mbox, odd())
	const count = "import mailbox, sys; print(len(mailbox.mbox(sys.argv[1], create=False)))"
	if got := strings.TrimSpace(string(peertest.Run(t, "python3", "-c", count, path))); got != fmt.Sprint(len(want)) {
		t.Errorf("%s messages in the mbox file, not %d", got, len(want))
	}
	path, e = open(t, export.Maildir)
	want = fill(t, e, export.Maildir, odd())
	flags := map[string]int{} // how many have which letters
	for number := range want {
		flags[[]string{"INBOX ", "Ty&APY-.2026=2E1 ", "a b "}[(number-1)%3]+[]string{"", "RS", "FPa"}[(number-1)%3]]++
	}
	const list = `import mailbox, sys
box = mailbox.Maildir(sys.argv[1], create=False)
for name in [""] + box.list_folders():
    for m in (box.get_folder(name) if name else box):
        print((name or "INBOX") + " " + m.get_flags())`
	for line := range strings.Lines(string(peertest.Run(t, "python3", "-c", list, path))) {
		flags[strings.TrimSuffix(line, "\n")]--
	}
	for line, n := range flags {
		if n != 0 {
			t.Errorf("%q: %d more than Python finds", line, n)
		}
	}
}
