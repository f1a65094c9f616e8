package export_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/export"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/maildir"
)

// TestKeywords has more keywords in a folder than there are letters: the first ones stay, in each folder its own.
func TestKeywords(t *testing.T) {
	path, e := open(t, export.Maildir)
	const text = "A: b\r\n\r\n"
	for i := range 60 {
		m := message(i, text)
		m.Folder = []string{"INBOX", "Other"}[i%2]
		m.Flags = []string{`\Seen`, "$forwarded", fmt.Sprintf("Key%d", i), "KEY0"}
		if err := e.Add(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	keywords, err := os.ReadFile(filepath.Join(path, ".Other", "dovecot-keywords"))
	if lines := strings.Count(string(keywords), "\n"); err != nil || lines != maildir.MaxKeywords || !strings.HasPrefix(string(keywords), "0 Key1\n1 KEY0\n2 Key3\n") {
		t.Errorf("%d keywords: %s, %v", lines, keywords, err)
	}
	store, err := maildir.Open(maildir.Options{Path: path, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	seen := 0
	byDate(t, store, func(folder string, m mailbox.Info, number uint64) {
		seen++
		i := int(number - 1)
		want := []string{"$Forwarded", `\Seen`}
		if own := fmt.Sprintf("Key%d", i); i > 0 && i/2+i%2 < 26 { // in the second folder KEY0 takes a letter, too
			want = append(want, own)
		}
		zero := "Key0"
		if folder == "Other" {
			zero = "KEY0"
		}
		want = append(want, zero)
		slices.Sort(want)
		got := slices.Sorted(slices.Values(m.Flags))
		if m.UID != mailbox.UID(i/2+1) || !slices.Equal(got, want) {
			t.Errorf("message %d is %d in %s with %s, not %s", number, m.UID, folder, strings.Join(got, " "), strings.Join(want, " "))
		}
	})
	if seen != 60 {
		t.Errorf("%d messages", seen)
	}
}

// TestEmptyMaildir: one without messages is one.
func TestEmptyMaildir(t *testing.T) {
	path, e := open(t, export.Maildir)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	store, err := maildir.Open(maildir.Options{Path: path, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	if folders, err := store.Folders(t.Context()); err != nil || len(folders) != 1 {
		t.Errorf("%v, %v", folders, err)
	}
	_ = store.Close()
}
