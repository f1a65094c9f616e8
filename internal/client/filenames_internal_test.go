package client

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sealmail/sealmail/smime"
)

// TestAttachmentName makes file names of what senders write, and of what some of them would like to have written.
func TestAttachmentName(t *testing.T) {
	for _, test := range []struct{ raw, want string }{
		{"report.pdf", "report.pdf"},
		{"Grüße 世界.txt", "Grüße 世界.txt"},
		{"a\u0308.txt", "ä.txt"},
		{" a  b\t\r\nc.txt ", "a b c.txt"},
		{"a\u202egpj.txt", "agpj.txt"},
		{"a\u200b\u00ad\ufeff\x00\x1b[2J.txt", "a[2J.txt"},
		{`a<b>c"d|e?f*g.txt`, "a_b_c_d_e_f_g.txt"},
		{"a/b:c.txt", "a_b_c.txt"}, // what comes before is cut off earlier
		{"", "part-7.png"},
		{"..", "part-7.png"},
		{" . . ", "part-7.png"},
		{"\u200b", "part-7.png"},
		{".bashrc", "_bashrc"},
		{"..x", "_.x"},
		{"-rf", "_rf"},
		{"~root", "_root"},
		{"a.txt. . ", "a.txt"},
		{"CON", "_CON"}, {"con.txt", "_con.txt"}, {"nul.tar.gz", "_nul.tar.gz"}, {"COM1", "_COM1"}, {"com¹.x", "_com¹.x"}, {"lpt9 .txt", "_lpt9 .txt"}, {"CONIN$", "_CONIN$"},
		{"CONSOLE", "CONSOLE"}, {"com10", "com10"}, {"common", "common"},
		{"bad\xff.txt", "bad\uFFFD.txt"},
		{strings.Repeat("x", 300) + ".pdf", strings.Repeat("x", 196) + ".pdf"},
		{strings.Repeat("ä", 300) + ".pdf", strings.Repeat("ä", 98) + ".pdf"},
		{strings.Repeat("👍🏽", 100) + ".pdf", strings.Repeat("👍🏽", 24) + ".pdf"},
		{"a." + strings.Repeat("x", 300), "a." + strings.Repeat("x", 198)},
		{strings.Repeat("x", 195) + " ..........pdf", strings.Repeat("x", 195) + ".pdf"},
		{"a" + strings.Repeat("\u0301", 500) + ".pdf", "_.pdf"},
	} {
		got, _ := attachmentName(&smime.Part{Filename: test.raw, Type: "image/png"}, 7)
		if got != test.want {
			t.Errorf("%q becomes %q, want %q", test.raw, got, test.want)
		}
	}
	for e, want := range map[smime.Enclosure]string{smime.EnclosesMessage: "x.exe.eml", smime.EnclosesEncrypted: "x.exe.p7m", smime.EnclosesSigned: "x.exe.p7m", smime.EnclosesCompressed: "x.exe.p7z", "": "x.exe"} {
		if got, _ := attachmentName(&smime.Part{Filename: "x.exe", Encloses: e}, 1); got != want {
			t.Errorf("%s: %q", e, got)
		}
	}
	if got, _ := attachmentName(&smime.Part{Filename: "smime.P7M", Encloses: smime.EnclosesEncrypted}, 1); got != "smime.P7M" {
		t.Errorf("%q", got)
	}
}

func TestNameNotes(t *testing.T) {
	for name, want := range map[string]string{
		"a.pdf": "", "a": "", "a.tar.gz": "", "7.bin": "program", "a.exe": "program", "a.EXE": "program", "a.pdf.exe": "looks like that of a document (.pdf)",
		"a.pdf      .exe": "looks like that of a document (.pdf)", "a.docm": "may hold", "a\u202efdp.exe": "not seen", "a\u200b.pdf": "not seen", "a.lnk": "program",
	} {
		if _, got := attachmentName(&smime.Part{Filename: name, Type: "x/y"}, 1); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if _, got := attachmentName(&smime.Part{Type: "application/octet-stream"}, 1); got != "" {
		t.Errorf("without a name: %q", got)
	}
}

// TestUsedNames numbers names that some system takes for the same.
func TestUsedNames(t *testing.T) {
	used := usedNames{}
	long := strings.Repeat("x", 196) + ".pdf"
	for _, test := range [][2]string{
		{"a.txt", "a.txt"}, {"a.txt", "a (2).txt"}, {"A.TXT", "A (3).TXT"}, {"a (2).txt", "a (2) (2).txt"}, {"\u00e4", "\u00e4"}, {"a\u0308", "a\u0308 (2)"}, {"b", "b"},
		{long, long}, {long, strings.Repeat("x", 192) + " (2).pdf"}, {"\u017f", "\u017f"}, {"s", "s (2)"},
	} {
		if got := used.unused(test[0]); got != test[1] {
			t.Errorf("%q becomes %q, want %q", test[0], got, test[1])
		}
	}
}

// FuzzAttachmentName holds the names to what every system takes: a file directly in the folder, visible, of a bounded length.
func FuzzAttachmentName(f *testing.F) {
	for _, seed := range []string{"a.pdf", "../x", "CON.txt", "\u202e", "...", "-", "a" + strings.Repeat("\u0301", 300), strings.Repeat(" .", 200), "\xff", "com¹"} {
		f.Add(seed, "message")
	}
	f.Fuzz(func(t *testing.T, raw, encloses string) {
		name, _ := attachmentName(&smime.Part{Filename: raw, Encloses: smime.Enclosure(encloses), Type: "x/y"}, 3)
		again := usedNames{nameKey(name): 1}.unused(name)
		for _, name := range []string{name, again} {
			switch {
			case name == "" || len(name) > maxFileName || !utf8.ValidString(name),
				strings.ContainsAny(name, "/\\:<>|?*\"\x00\n"), strings.ContainsAny(name[:1], ".-~ "), strings.ContainsAny(name[len(name)-1:], ". "):
				t.Fatalf("%q becomes %q", raw, name)
			}
		}
		if guardName(name) != name || nameKey(name) == nameKey(again) {
			t.Fatalf("%q becomes %q and %q", raw, name, again)
		}
	})
}
