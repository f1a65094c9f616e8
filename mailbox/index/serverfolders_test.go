package index

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/mailbox"
)

// TestServerFolders: what was told last is what is known, by name, within bounds.
func TestServerFolders(t *testing.T) {
	x := testIndex(t)
	many := make([]mailbox.Folder, maxServerFolders+1)
	for i := range many {
		many[i].Name = fmt.Sprintf("%06d", i)
	}
	for name, test := range map[string]struct{ told, want []mailbox.Folder }{
		"one":         {[]mailbox.Folder{{Name: "INBOX"}}, []mailbox.Folder{{Name: "INBOX"}}},
		"in order":    {[]mailbox.Folder{{Name: "Ö", Attributes: []string{`\Sent`, "a"}}, {Name: "B"}}, []mailbox.Folder{{Name: "B"}, {Name: "Ö", Attributes: []string{`\Sent`, "a"}}}},
		"twice":       {[]mailbox.Folder{{Name: "a"}, {Name: "a"}}, []mailbox.Folder{{Name: "a"}}},
		"none":        {nil, nil},
		"one of many": {many, many[:maxServerFolders]},
	} {
		for range 2 {
			if err := x.SetServerFolders(t.Context(), test.told); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got, err := x.ServerFolders(t.Context()); err != nil || !cmp.Equal(got, test.want) {
				t.Errorf("%s: %v, %v", name, cmp.Diff(test.want, got), err)
			}
		}
	}
}
