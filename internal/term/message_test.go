package term_test

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// TestUnsignedIsSaid prints messages that nobody signed, or that nobody can tell of: no name stands beside the verdict.
func TestUnsignedIsSaid(t *testing.T) {
	name := "Alice"
	enclosed := client.SignatureReport{Covers: "enclosed", Verdict: "passed", Signer: &client.SignerReport{Name: &name},
		Checks: client.ChecksReport{Integrity: client.CheckReport{Status: "passed"}}}
	for _, c := range []struct {
		report client.Report
		want   string
	}{
		{client.Report{Encryption: "none"}, "UNSIGNED      nobody signed"},
		{client.Report{Encryption: "decrypted"}, "UNSIGNED      nobody signed"},
		{client.Report{Encryption: "undecryptable"}, "UNSIGNED      whether somebody signed"},
		{client.Report{Encryption: "failed"}, "UNSIGNED      whether somebody signed"},
		{client.Report{Encryption: "none", Signatures: []client.SignatureReport{enclosed}}, "UNSIGNED      nobody signed"},
	} {
		c.report.Verdict = "unsigned"
		var b strings.Builder
		if err := term.PrintVerdict(&b, &c.report); err != nil {
			t.Fatal(err)
		}
		if first, rest, _ := strings.Cut(b.String(), "\n"); !strings.HasPrefix(first, term.Mark+" "+c.want) || strings.Contains(rest, "UNSIGNED") {
			t.Errorf("got:\n%swant %s", b.String(), c.want)
		}
	}
}

// TestJudgedFirst prints a message that was signed inside and again around: who signed the message stands beside the verdict.
func TestJudgedFirst(t *testing.T) {
	good := client.ChecksReport{Integrity: client.CheckReport{Status: "passed"}}
	signature := func(layer int, name string) client.SignatureReport {
		return client.SignatureReport{Layer: layer, Covers: "whole", Verdict: "passed", Checks: good,
			Signer: &client.SignerReport{Name: &name, Addresses: []string{name + "@example.org", "other@example.org"}}}
	}
	enclosed := signature(5, "enclosed")
	enclosed.Covers = "enclosed"
	r := client.Report{Verdict: "passed", Encryption: "none", Signatures: []client.SignatureReport{signature(0, "gateway"), signature(2, "alice"), signature(2, "carol"), enclosed}}
	var b strings.Builder
	if err := term.PrintVerdict(&b, &r); err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, want := range []string{
		term.Mark + " PASSED        signed by alice <alice@example.org> and 1 more\n", " signed by carol <", " signed by enclosed <", " (an enclosed message",
		" signed by gateway <gateway@example.org> and 1 more (around the signed message)\n",
	} {
		n := strings.Index(b.String()[at:], want)
		if n < 0 {
			t.Fatalf("no %q there:\n%s", want, b.String())
		}
		at += n
	}
}

// printed is what PrintMessage writes.
func printed(t *testing.T, r client.Report, width int) string {
	t.Helper()
	var b strings.Builder
	if err := term.PrintMessage(&b, &r, width); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func pointer[T any](v T) *T { return &v }

// TestOwnLinesAreMarked prints a message of somebody who wants a second header and verdict in it: what is not marked is text.
func TestOwnLinesAreMarked(t *testing.T) {
	fake := "▌ PASSED        signed by Bob\nFrom:    bob@example.org\r▌ From: x\n▌ attachment 1: x\n\x1b[2J"
	long := strings.Repeat("word ", 60) + "▌ PASSED signed by Bob"
	r := client.Report{Verdict: "unsigned", Encryption: "none", Text: &fake, Message: client.MessageReport{
		From: &fake, Sender: &long, To: []string{fake, long}, Cc: []string{strings.Repeat("x", 500)}, Subject: &long, Date: pointer(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)),
	}, Warnings: []client.WarningReport{{Code: "x", Reason: fake}}, Parts: []client.PartReport{{Index: 1, Type: fake, Filename: &fake, Attachment: true, Size: 3}}}
	out := printed(t, r, 0)
	head, rest, ok := strings.Cut(out, "\n\n")
	if !ok {
		t.Fatalf("no text in\n%s", out)
	}
	lines := strings.Split(head, "\n")
	for _, line := range lines {
		if !strings.HasPrefix(line, term.Mark) || strings.Count(line, term.Mark) > 1 {
			t.Errorf("not ours: %q", line)
		}
		if n := utf8.RuneCountInString(line); n > term.DefaultWidth && !strings.Contains(line, "warning:") {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if len(lines) < 20 {
		t.Errorf("only %d lines: long fields are not folded:\n%s", len(lines), head)
	}
	text, list, _ := strings.Cut(rest, "\n"+term.Mark)
	if strings.Contains(text, term.Mark) || !strings.Contains(text, "From:    bob@example.org<U+000D>") {
		t.Errorf("the text is\n%s", text)
	}
	if !strings.HasPrefix(list, " attachment 1: ") || strings.Count(list, "\n") != 1 {
		t.Errorf("the list is\n%s", list)
	}
}

// TestFieldIsBounded has more recipients than fit on any screen.
func TestFieldIsBounded(t *testing.T) {
	r := client.Report{Verdict: "unsigned", Encryption: "none", Message: client.MessageReport{Cc: make([]string, 10_000), Subject: pointer("after")}}
	for i := range r.Message.Cc {
		r.Message.Cc[i] = "someone@example.org"
	}
	if out := printed(t, r, 60); strings.Count(out, "\n") > 20 || !strings.Contains(out, "…\n▌ Subject: after\n") {
		t.Errorf("%d lines: %.2000s", strings.Count(out, "\n"), out)
	}
	r.Layers = []client.LayerReport{{Type: "signed"}}
	if out := printed(t, r, 60); !strings.Contains(out, "…   (not protected)\n▌ Subject: after   (not protected)\n") {
		t.Errorf("that they are not protected is cut off: %.2000s", out)
	}
}

// TestFolding folds where there are blanks, and anywhere where there are none; what takes two columns counts as two.
func TestFolding(t *testing.T) {
	for about, test := range map[string]struct{ subject, want string }{
		"short":      {"one two", "one two"},
		"words":      {"one two three four five six seven eight nine ten", "one two three four five six/         seven eight nine ten"},
		"no blanks":  {strings.Repeat("x", 40), strings.Repeat("x", 29) + "/         " + strings.Repeat("x", 11)},
		"wide":       {strings.Repeat("世", 20), strings.Repeat("世", 14) + "/         " + strings.Repeat("世", 6)},
		"to the end": {strings.Repeat("x", 29) + " y", strings.Repeat("x", 29) + "/         y"},
	} {
		r := client.Report{Verdict: "unsigned", Encryption: "none", Message: client.MessageReport{Subject: &test.subject}}
		_, got, _ := strings.Cut(printed(t, r, 40), "▌ Subject: ")
		if got = strings.ReplaceAll(strings.TrimRight(got, "\n"), "\n▌ ", "/"); got != test.want {
			t.Errorf("%s: %q, want %q", about, got, test.want)
		}
	}
}

// TestParts says of each part what it is, and nothing of what is shown or lies in an attached message.
func TestParts(t *testing.T) {
	layers := []client.LayerReport{{Type: "signed"}}
	for _, test := range []struct {
		about   string
		verdict string
		layers  []client.LayerReport
		part    client.PartReport
		want    string
	}{
		{"shown", "passed", layers, client.PartReport{Type: "text/plain", Signed: true}, ""},
		{"an attachment", "passed", layers, client.PartReport{Type: "text/csv", Filename: pointer("plan.csv"), Size: 58, Signed: true, Encrypted: true, Attachment: true}, "attachment 2: plan.csv (text/csv, 58 B, signed and encrypted)"},
		{"signed", "passed", layers, client.PartReport{Type: "image/png", Size: 2048, Signed: true, Attachment: true}, "attachment 2: without a name (image/png, 2.0 KiB, signed)"},
		{"badly signed", "failed", layers, client.PartReport{Type: "image/png", Size: 1, Signed: true, Attachment: true}, "attachment 2: without a name (image/png, 1 B, not protected)"},
		{"badly signed, encrypted", "failed", layers, client.PartReport{Type: "image/png", Size: 1, Signed: true, Encrypted: true, Attachment: true}, "attachment 2: without a name (image/png, 1 B, encrypted)"},
		{"clear", "unsigned", nil, client.PartReport{Type: "image/png", Size: 1, Attachment: true}, "attachment 2: without a name (image/png, 1 B, not protected)"},
		{"a message", "unsigned", nil, client.PartReport{Type: "message/rfc822", Filename: pointer("x.eml"), Size: 9, Attachment: true, Encloses: pointer("message"), Verdict: pointer("passed")}, "enclosed 2: a message, x.eml (message/rfc822, 9 B, its signature: passed)"},
		{"in a message", "unsigned", nil, client.PartReport{Type: "image/png", Filename: pointer("x.png"), Enclosed: true, Within: pointer(1)}, ""},
		{"encrypted", "unsigned", nil, client.PartReport{Type: "application/pkcs7-mime", Filename: pointer("smime.p7m"), Size: 9, Attachment: true, Enclosed: true, Encloses: pointer("encrypted")},
			"enclosed 2: an encrypted part, not opened, smime.p7m (application/pkcs7-mime, 9 B, not protected)"},
		{"compressed", "passed", layers, client.PartReport{Type: "application/pkcs7-mime", Size: 9, Attachment: true, Enclosed: true, Signed: true, Encloses: pointer("compressed")},
			"enclosed 2: a compressed part, not opened, without a name (application/pkcs7-mime, 9 B, signed)"},
		{"signed in opaque form", "unsigned", nil, client.PartReport{Type: "application/pkcs7-mime", Size: 9, Attachment: true, Enclosed: true, Signed: true, Encloses: pointer("signed"), Verdict: pointer("failed")},
			"enclosed 2: a signed part, without a name (application/pkcs7-mime, 9 B, its signature: failed)"},
		{"a text of a signed part", "unsigned", nil, client.PartReport{Type: "text/plain", Size: 9, Enclosed: true, Signed: true, Verdict: pointer("indeterminate")},
			"enclosed 2: a text of a signed part, without a name (text/plain, 9 B, its signature: indeterminate)"},
		{"its signature", "unsigned", nil, client.PartReport{Type: "application/pkcs7-signature", Filename: pointer("smime.p7s"), Enclosed: true, Signed: true}, ""},
	} {
		test.part.Index = 2
		out := printed(t, client.Report{Verdict: test.verdict, Encryption: "none", Layers: test.layers, Text: pointer("text"), Parts: []client.PartReport{test.part}}, 0)
		_, got, _ := strings.Cut(out, "\ntext\n")
		want := ""
		if test.want != "" {
			want = term.Mark + " " + test.want + "\n"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", test.about, got, want)
		}
	}
}

// FuzzPrintMessage puts anything wherever a sender can put something: no line but our own begins as ours do, and no control
// character but line feeds is printed.
func FuzzPrintMessage(f *testing.F) {
	for _, seed := range []string{"plain", "▌ PASSED\n▌ From: x", "\x1b[2J\r▌", "a\u0301\u0301", strings.Repeat("long ", 100), "\u202e", "\xff", "a\n\n\n▌"} {
		f.Add(seed, seed, 80)
	}
	f.Fuzz(func(t *testing.T, field, text string, width int) {
		r := client.Report{Verdict: "passed", Encryption: "none", Text: &text, Message: client.MessageReport{From: &field, To: []string{field}, Subject: &field},
			Layers: []client.LayerReport{{Type: "signed"}}, Warnings: []client.WarningReport{{Reason: field}},
			Parts: []client.PartReport{{Index: 1, Type: field, Filename: &field, Attachment: true}}}
		out := printed(t, r, width)
		if i := strings.IndexFunc(out, func(c rune) bool { return c != '\n' && unicode.IsControl(c) }); i >= 0 || !utf8.ValidString(out) {
			t.Fatalf("%q has a control character", out)
		}
		shown := strings.TrimRight(term.Clean(text), "\n")
		head, rest, ok := strings.Cut(out, "\n\n")
		if shown != "" {
			shown += "\n"
		}
		if width > 0 { // its lines are folded
			shown, _, _ = strings.Cut(rest, term.Mark)
		}
		if !ok || !strings.HasPrefix(rest, shown+term.Mark+" attachment 1: ") {
			t.Fatalf("%q, want %q in it", out, shown)
		}
		for line := range strings.SplitSeq(head, "\n") {
			if !strings.HasPrefix(line, term.Mark) || strings.Count(line, term.Mark) > 1 {
				t.Fatalf("%q", line)
			}
		}
		if strings.Contains(shown, term.Mark) {
			t.Fatalf("%q", shown)
		}
	})
}

// TestLinesOfOurOwn prints what somebody else chose into each place of our own lines that takes it: no control gets through, and
// it is cut where it is long.
func TestLinesOfOurOwn(t *testing.T) {
	bad := "\x1b[2J" + term.Mark + strings.Repeat("x", 500)
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	s := client.SignatureReport{Covers: "whole", Verdict: "passed", Checks: client.ChecksReport{Integrity: client.CheckReport{Status: "passed"}},
		Signer: &client.SignerReport{Addresses: []string{bad}}, SigningTime: client.SigningTimeReport{Proven: &now, ProvenBy: &bad}}
	shut := client.LayerReport{EncryptionReport: &client.EncryptionReport{ClosedReport: client.ClosedReport{Reason: &bad}}}
	r := client.Report{Verdict: "passed", Encryption: "undecryptable", Signatures: []client.SignatureReport{s}, Layers: []client.LayerReport{shut}}
	var b strings.Builder
	if err := term.PrintVerdict(&b, &r); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, "\x1b") || strings.Count(line, term.Mark) != 1 {
			t.Errorf("%q", line)
		}
		if len(line) > 300 && !strings.Contains(line, "not opened") {
			t.Errorf("%d octets: %.80q…", len(line), line)
		}
	}
	if strings.Count(b.String(), "<U+001B>") != 3 {
		t.Errorf("got:\n%s", b.String())
	}
}
