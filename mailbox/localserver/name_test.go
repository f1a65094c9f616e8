package localserver

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestFolderNames(t *testing.T) {
	for _, c := range []struct {
		name    string
		valid   bool
		element string
	}{
		{"INBOX", true, "INBOX"},
		{"Sent", true, "Sent"},
		{"a/b", true, "a%2Fb"},
		{"..", true, "%2E."},
		{"../../etc/passwd", true, "%2E.%2F..%2Fetc%2Fpasswd"},
		{".folder.json", true, "%2Efolder.json"},
		{"Entwürfe", true, "Entw%C3%BCrfe"},
		{"a b", true, "a%20b"},
		{"a\\b", true, "a%5Cb"},
		{"", false, ""},
		{"/", false, ""},
		{"a//b", false, ""},
		{"/a", false, ""},
		{"a/", false, ""},
		{"a\x00b", false, ""},
		{"a\nb", false, ""},
		{"a*", false, ""},
		{"a%2Fb", false, ""},
		{"\xff", false, ""},
		{strings.Repeat("x", 241), false, ""},
		{strings.Repeat("ü", 41), false, ""},
	} {
		if got := validFolder(c.name); got != c.valid {
			t.Errorf("validFolder(%q) = %v", c.name, got)
		}
		if !c.valid {
			continue
		}
		got := encodeName(c.name)
		if got != c.element {
			t.Errorf("encodeName(%q) = %q, want %q", c.name, got, c.element)
		}
		if filepath.Base(got) != got || strings.HasPrefix(got, ".") {
			t.Errorf("encodeName(%q) = %q is not one plain path element", c.name, got)
		}
		if back, ok := decodeName(got); !ok || back != c.name {
			t.Errorf("decodeName(%q) = %q, %v", got, back, ok)
		}
	}
	for _, element := range []string{"", "a/b", "%2f", "a%", ".x", "%41"} {
		if name, ok := decodeName(element); ok {
			t.Errorf("decodeName(%q) = %q, want a refusal", element, name)
		}
	}
}

func TestMatchFolder(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true},
		{"*", "a/b/c", true},
		{"%", "a", true},
		{"%", "a/b", false},
		{"%/%", "a/b", true},
		{"a*", "a", true},
		{"a*c", "abbc", true},
		{"a*c", "abbd", false},
		{"a%c", "a/c", false},
		{"INBOX", "INBOX", true},
		{"INBOX", "INBOX2", false},
		{"", "", true},
		{"", "a", false},
		{"*%*", "x/y", true},
		{strings.Repeat("*a", 200), strings.Repeat("a", 199), false},
		{strings.Repeat("*a", 200), strings.Repeat("a", 200), true},
	} {
		if got := matchFolder(c.pattern, c.name); got != c.want {
			t.Errorf("matchFolder(%q, %q) = %v", c.pattern, c.name, got)
		}
	}
}

func FuzzFolderName(f *testing.F) {
	for _, s := range []string{"INBOX", "a/b", "..", "ü", "%41", "a\x00", ".x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" {
			return
		}
		element := encodeName(name)
		if filepath.Base(element) != element || element == "." || element == ".." || element[0] == '.' {
			t.Fatalf("encodeName(%q) = %q leaves its folder", name, element)
		}
		if back, ok := decodeName(element); !ok || back != name {
			t.Fatalf("decodeName(%q) = %q, %v, want %q", element, back, ok, name)
		}
	})
}
