package term

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
)

// TestFolderLine: names of folders are cut only where they are very long, and a line is one line of the screen.
func TestFolderLine(t *testing.T) {
	passed, subject, broken := "passed", strings.Repeat("subject ", 30), strings.Repeat("broken ", 30)
	line := func(folder string) client.ListLine {
		return client.ListLine{Folder: folder, UID: 1, Verdict: &passed, Subject: &subject}
	}
	const long = "Projects/2026/The northern site"
	for _, test := range []struct {
		names  []string
		screen int
		want   string // begins so
	}{
		{nil, 0, "     1  PASSED"},
		{[]string{"INBOX", "Sent Items"}, 0, "INBOX           1  PASSED"},
		{[]string{"Büro", "日本語"}, 0, "Büro        1  PASSED"},
		{[]string{"Sent Items", "INBOX"}, 0, "Sent Items      1  PASSED"},
		{[]string{long}, 0, "Projects/2026/The north…      1  PASSED"},
		{[]string{long}, 100, "Projects/2026/The n…      1  PASSED"},
		{[]string{long}, 30, "Project…      1  PASSED"},
	} {
		name := "INBOX"
		if len(test.names) > 0 {
			name = test.names[0]
		}
		for _, l := range []client.ListLine{line(name), {Folder: name, UID: 1, Error: &broken}} {
			var out bytes.Buffer
			if err := PrintFolderLine(&Screen{Writer: &out, Columns: test.screen}, l, FolderColumns(test.names...)); err != nil {
				t.Fatal(err)
			}
			want := test.want
			if l.Error != nil {
				want = strings.Replace(want, "PASSED", "BROKEN", 1)
			}
			if got := out.String(); !strings.HasPrefix(got, want) || test.screen >= 100 && Width(strings.TrimSuffix(got, "\n")) > test.screen {
				t.Errorf("%q on %d columns: %q", test.names, test.screen, got)
			}
		}
	}
}
