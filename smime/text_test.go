package smime_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
)

func part(contentType, body string, more ...string) string {
	return "Content-Type: " + contentType + "\r\n" + strings.Join(append(more, ""), "\r\n") + "\r\n" + body
}

func multipart(subtype, boundary string, parts ...string) string {
	return "Content-Type: multipart/" + subtype + "; boundary=" + boundary + "\r\n\r\n--" + boundary + "\r\n" +
		strings.Join(parts, "\r\n--"+boundary+"\r\n") + "\r\n--" + boundary + "--\r\n"
}

func TestText(t *testing.T) {
	plain, html := part("text/plain", "plain"), part("text/html", "<p>rich</p>")
	attachment := part("text/plain", "attached", "Content-Disposition: attachment; filename=a.txt")
	image := part("image/png", "x")
	tests := map[string]struct{ in, want string }{
		"plain":                         {plain, "plain"},
		"html":                          {html, "rich"},
		"neither":                       {image, ""},
		"no header":                     {"just text", "just text"},
		"alternative":                   {multipart("alternative", "a", plain, html), "plain"},
		"alternative, html first":       {multipart("alternative", "a", html, plain), "plain"},
		"alternative without plain":     {multipart("alternative", "a", part("text/html", "one"), part("text/html", "two")), "two"},
		"alternative in mixed":          {multipart("mixed", "m", multipart("alternative", "a", plain, html), attachment), "plain"},
		"related in alternative":        {multipart("alternative", "a", plain, multipart("related", "r", html, image)), "plain"},
		"alternative in related":        {multipart("related", "r", multipart("alternative", "a", plain, html), part("text/plain", "hidden")), "plain"},
		"related html":                  {multipart("related", "r", html, image, part("text/plain", "hidden")), "rich"},
		"related with a root":           {multipart("related; start=\"<root@x>\"", "r", part("text/plain", "hidden"), image, part("text/html", "<p>rich</p>", "Content-ID: <root@x>"), part("text/plain", "b", "Content-ID: <root@x>")), "rich"},
		"related with a root, nested":   {multipart("related; start=\"<r>\"", "r", part("text/plain", "hidden"), strings.Replace(multipart("alternative", "a", html, plain), "\r\n", "\r\nContent-ID: <r>\r\n", 1)), "plain"},
		"related with another root":     {multipart("related; start=\"<y>\"", "r", part("text/html", "<p>rich</p>", "Content-ID: <x>"), plain), "rich"},
		"related with a root of no use": {multipart("related; start=\"<i>\"", "r", part("image/png", "x", "Content-ID: <i>"), plain, html), "plain\n\nrich"},
		"start elsewhere":               {multipart("mixed; start=\"<x>\"", "m", part("text/plain", "one"), part("text/plain", "two", "Content-ID: <x>")), "one\n\ntwo"},
		"mixed texts":                   {multipart("mixed", "m", plain, attachment, html), "plain\n\nrich"},
		"plain attachment alone":        {attachment, ""},
		"attached message":              {multipart("mixed", "m", plain, part("message/rfc822", "Subject: x\r\n\r\nforwarded")), "plain"},
		"character set":                 {part("text/plain; charset=iso-8859-1", "=FC", "Content-Transfer-Encoding: quoted-printable"), "ü"},
		"html character set":            {part("text/html; charset=windows-1252", "\x80"), "€"},
		"control characters come along": {part("text/plain", "a\x1b[2Jb"), "a\x1b[2Jb"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := open(t, []byte(test.in), smime.OpenOptions{})
			got, err := m.Text(0)
			if err != nil || got.Body != test.want {
				t.Errorf("%q, %v", got.Body, err)
			}
			if strings.Contains(test.want, "rich") != got.FromHTML && name != "alternative without plain" && name != "html character set" {
				t.Errorf("from HTML: %v", got.FromHTML)
			}
		})
	}
	m := open(t, []byte(part("text/plain", strings.Repeat("x", 100))), smime.OpenOptions{})
	if got, err := m.Text(10); err != nil || len(got.Body) != 10 || !got.Truncated {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestHTML(t *testing.T) {
	tests := map[string]string{
		"<html><head><title>t</title><style>p{}</style></head><body><p>one</p><p>two</p></body></html>":   "one\n\ntwo\n\n",
		"a<script>alert(1)</script>b<SCRIPT SRC=x></SCRIPT>c":                                             "abc",
		"<a href='https://evil.example/'>https://bank.example/</a>":                                       "https://bank.example/ <https://evil.example/>",
		"<a href='javascript:alert(1)'>x</a><a name=y>z</a>w":                                             "xzw",
		"a &amp;lt; b &lt;script&gt; &#27;[2J":                                                            "a &lt; b <script> [2J",
		"<!-- comment > --> shown":                                                                        "shown",
		"<img src=http://tracker.example/x.png alt=logo>":                                                 "[logo]",
		"<form action=http://evil.example><input value=x><select><option>o</select><button>b</button>end": "end",
		"<ul><li>one<li>two</ul>":                                                                         "- one\n- two",
		"<div>one</div><div>two</div>":                                                                    "one\ntwo\n",
		"<h1>head</h1>text":                                                                               "head\n\ntext",
		"<b>unclosed <i>tags":                                                                             "unclosed tags",
		"<p title='>'>x":                                                                                  "x",
	}
	for in, want := range tests {
		m := open(t, []byte(part("text/html", in)), smime.OpenOptions{})
		got, err := m.Text(0)
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(strings.ReplaceAll(got.Body, "\x1b", "")) != strings.TrimSpace(want) {
			t.Errorf("%s: %q instead of %q", in, got.Body, want)
		}
	}
}

// TestTextNotes says of all HTML parts together what was met in them, and of plain text nothing.
func TestTextNotes(t *testing.T) {
	html := part("text/html", "<p hidden>x</p><img src=http://tracker.example/x><a href=https://evil.example/>bank.example</a><button>y</button>")
	more := part("text/html", "<p hidden>yz</p><img src='http://tracker.example/")
	m := open(t, []byte(multipart("mixed", "m", html, part("text/plain", "<p hidden>x</p>"), more, html)), smime.OpenOptions{})
	text, err := m.Text(0)
	if err != nil {
		t.Fatal(err)
	}
	want := []entity.Note{
		{Code: smime.NoteSwallowedText, Text: "an address in the text has markup or lines of text in it, or does not end, as if to take the text along to where it leads"},
		{Code: smime.NoteRemoteContent, Text: "the text refers to content elsewhere (2 references), which was not loaded"},
		{Code: smime.NoteHiddenText, Text: "text that others do not see is left out (4 characters)"},
		{Code: smime.NoteLinkDiffers, Text: "a link whose text names bank.example leads to evil.example"},
		{Code: smime.NoteConditionalStyle, Text: "what is shown of this text depends on the reader: others may see another one"},
	}
	if diff := cmp.Diff(want, text.Notes); diff != "" {
		t.Error(diff)
	}
	m = open(t, []byte(multipart("alternative", "m", part("text/plain", "plain"), html)), smime.OpenOptions{})
	if text, err := m.Text(0); err != nil || len(text.Notes) > 0 {
		t.Errorf("%v, %v: of a part that is not shown", text.Notes, err)
	}
}

func TestLegacyDisplay(t *testing.T) {
	hp := "Content-Type: multipart/alternative; boundary=b; hp=\"cipher\"\r\nSubject: inner\r\n\r\n"
	plain := "--b\r\nContent-Type: text/plain; hp-legacy-display=1\r\n\r\nSubject: inner\r\n\r\nthe text\r\n"
	html := "--b\r\nContent-Type: text/html; hp-legacy-display=1\r\n\r\n" +
		"<body><div class='x header-protection-legacy-display'><pre>Subject: inner</pre></div><p>the text</p></body>\r\n--b--\r\n"
	for name, in := range map[string]string{"plain": hp + plain + "--b--\r\n", "html": hp + html} {
		sealed := open(t, []byte(encrypt(t, in, cms.AES256GCM, bob())), smime.OpenOptions{Decrypters: bob().decrypters()})
		if got, err := sealed.Text(0); err != nil || strings.Contains(got.Body, "inner") || !strings.Contains(got.Body, "the text") {
			t.Errorf("%s: %q, %v", name, got.Body, err)
		}
		// Without encryption around it, the parameter means nothing.
		signed := open(t, []byte(sign(t, in, alice(), smime.SignOptions{})), smime.OpenOptions{})
		if got, err := signed.Text(0); err != nil || !strings.Contains(got.Body, "inner") {
			t.Errorf("%s, signed only: %q, %v", name, got.Body, err)
		}
	}
}

// TestLegacyDisplayElsewhere: the parameter means nothing under another scheme, nor in an attached message.
func TestLegacyDisplayElsewhere(t *testing.T) {
	const marked = "; hp-legacy-display=1\r\n\r\nSubject: inner\r\n\r\nthe text\r\n"
	for name, in := range map[string]string{
		"hp=clear":          "Subject: inner\r\nContent-Type: text/plain; hp=clear" + marked,
		"protected-headers": "Subject: inner\r\nContent-Type: text/plain; protected-headers=v1" + marked,
		"attached":          "Subject: inner\r\nContent-Type: message/rfc822; hp=cipher\r\n\r\nSubject: inner\r\nContent-Type: text/plain" + marked,
	} {
		m := open(t, []byte(encrypt(t, in, cms.AES256GCM, bob())), smime.OpenOptions{Decrypters: bob().decrypters()})
		last := len(m.Parts) - 1
		if got, _, err := m.PartText(last, 0); err != nil || !strings.HasPrefix(got, "Subject: inner\n") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestTextIsBounded: what is more than the limit is told of, and not begun.
func TestTextIsBounded(t *testing.T) {
	two := open(t, []byte(multipart("mixed", "m", part("text/plain", "0123456789"), part("text/plain", "more"))), smime.OpenOptions{})
	if got, err := two.Text(10); err != nil || got.Body != "0123456789" || !got.Truncated || len(got.Parts) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	grows := open(t, []byte(part("text/html", strings.Repeat("<blockquote>", 20)+strings.Repeat("x<br>", 5000))), smime.OpenOptions{})
	if got, err := grows.Text(0); err != nil || !got.Truncated || len(got.Body) > 200<<10 {
		t.Errorf("%d octets, %v, %v", len(got.Body), got.Truncated, err)
	}
}

// TestLegacyDisplayHidesNothing: what says more than the header does is text, whatever it is marked as.
func TestLegacyDisplayHidesNothing(t *testing.T) {
	element := func(s string) string {
		return "<div class=header-protection-legacy-display><pre>" + s + "</pre></div>to this"
	}
	for first, hides := range map[string]bool{
		"Subject: inner": true, "Subject:  inner\r\nFrom: Alice <alice@example.org>": true, "subject: inner": true,
		"I do NOT agree": false, "Subject: I do NOT agree": false, "Subject: inner\r\nI do NOT agree": false, "X-Note: I do NOT agree": false,
		"Subject: inner\r\n I do NOT agree": false,
	} {
		for _, part := range []string{
			"Content-Type: text/plain; hp=cipher; hp-legacy-display=1\r\n\r\n" + first + "\r\n\r\nto this\r\n",
			"Content-Type: text/html; hp=cipher; hp-legacy-display=1\r\n\r\n" + element(strings.ReplaceAll(first, "<", "&lt;")),
		} {
			in := "Subject: inner\r\nFrom: Alice <alice@example.org>\r\nX-Note: I do NOT agree\r\n" + part
			m := open(t, []byte(encrypt(t, in, cms.AES256GCM, bob())), smime.OpenOptions{Decrypters: bob().decrypters()})
			got, err := m.Text(0)
			if err != nil || strings.HasPrefix(got.Body, "to this") != hides || !hides && !strings.Contains(got.Body, strings.ReplaceAll(first, "\r\n", "\n")) {
				t.Errorf("%q: %q, %v", part, got.Body, err)
			}
		}
	}
}

func TestParts(t *testing.T) {
	in := multipart("mixed", "m",
		part("text/plain", "text"),
		part("application/pdf; name=ignored.pdf", "JVBERi0=", "Content-Transfer-Encoding: base64", `Content-Disposition: attachment; filename="..\..\C:\x/../report.pdf"`),
		part("image/png", "", "Content-ID: <i@x>", `Content-Disposition: inline; filename*=utf-8''%E2%80%AEgnp.exe`),
		part("message/rfc822", "Subject: x\r\nContent-Type: text/html\r\n\r\n<p>inner</p>"),
		part("application/octet-stream; name=..", ""),
	)
	type summary struct {
		Type, Disposition, Filename, ContentID string
		Size                                   int64
		Signed, Encrypted, Enclosed            bool
	}
	m := open(t, []byte(encrypt(t, sign(t, in, alice(), smime.SignOptions{}), cms.AES256GCM, bob())), smime.OpenOptions{Decrypters: bob().decrypters()})
	var got []summary
	for i := range m.Parts {
		p := &m.Parts[i]
		size, err := p.Size()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, summary{p.Type, p.Disposition, p.Filename, p.ContentID, size, p.Signed, p.Encrypted, p.Enclosed})
		raw, err := io.ReadAll(p.Raw())
		if err != nil {
			t.Fatal(err)
		}
		if want := content(t, m)[p.Offset:][:p.Length]; string(raw) != want {
			t.Errorf("part %d is at another place", i)
		}
		if _, err := m.Content.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
	}
	want := []summary{
		{"text/plain", "", "", "", 4, true, true, false},
		{"application/pdf", "attachment", "report.pdf", "", 5, true, true, false},
		{"image/png", "inline", "\u202egnp.exe", "i@x", 0, true, true, false},
		{"message/rfc822", "", "", "", 51, true, true, false},
		{"text/html", "", "", "", 12, true, true, true},
		{"application/octet-stream", "", "", "", 0, true, true, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if m.Parts[1].RawFilename == m.Parts[1].Filename {
		t.Error("the name as it was given is lost")
	}
	if body, err := io.ReadAll(m.Parts[1].Open()); err != nil || string(body) != "%PDF-" {
		t.Errorf("%q, %v", body, err)
	}
	if text, _, err := m.PartText(4, 0); err != nil || !strings.Contains(text, "inner") {
		t.Errorf("%q, %v", text, err)
	}
	if text, _, err := m.PartText(1, 0); err != nil || text != "" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestPartKinds tells what is to be saved from what is displayed, and from what lies in something else.
func TestPartKinds(t *testing.T) {
	plain, html := part("text/plain", "plain"), part("text/html", "<p>rich</p>")
	pdf := part("application/pdf; name=a.pdf", "x")
	signedPart := sign(t, multipart("mixed", "i", plain, pdf), alice(), smime.SignOptions{})
	signedMessage := "Content-Type: message/rfc822\r\n\r\nFrom: alice@example.org\r\n" + sign(t, plain, alice(), smime.SignOptions{})
	opaque := sign(t, plain, alice(), smime.SignOptions{Form: smime.Opaque})
	lying := strings.Replace(encrypt(t, plain, cms.AES256GCM, bob()), "smime-type=authEnveloped-data", "smime-type=signed-data", 1)
	in := multipart("mixed", "m",
		multipart("alternative", "a", plain, html, part("text/calendar", "BEGIN:VCALENDAR")),
		pdf, part("image/png", "x", "Content-ID: <i>"), part("text/plain; name=note.txt", "shown and named"),
		part("text/plain", "unnamed", "Content-Disposition: attachment"),
		signedPart, signedMessage, opaque, lying, compress(t, plain), part("application/pkcs7-mime", "damaged"),
		part("message/rfc822", part("message/rfc822", "Subject: x\r\n\r\ninner")),
	)
	type kind struct {
		Type       string
		Encloses   smime.Enclosure
		Within     int
		Attachment bool
	}
	m := open(t, []byte(in), smime.OpenOptions{Decrypters: bob().decrypters()})
	var got []kind
	for _, p := range m.Parts {
		got = append(got, kind{p.Type, p.Encloses, p.Within, p.Attachment})
	}
	want := []kind{
		{"text/plain", "", -1, false},
		{"text/html", "", -1, false},
		{"text/calendar", "", -1, true},
		{"application/pdf", "", -1, true},
		{"image/png", "", -1, true},
		{"text/plain", "", -1, true},
		{"text/plain", "", -1, true},
		{"text/plain", "", -1, false}, // in a signed part
		{"application/pdf", "", -1, true},
		{"application/pkcs7-signature", "", -1, false},
		{"message/rfc822", smime.EnclosesMessage, -1, true},
		{"text/plain", "", 10, false},
		{"application/pkcs7-signature", "", 10, false},
		{"application/pkcs7-mime", smime.EnclosesSigned, -1, true},
		{"application/pkcs7-mime", smime.EnclosesEncrypted, -1, true},
		{"application/pkcs7-mime", smime.EnclosesCompressed, -1, true},
		{"application/pkcs7-mime", smime.EnclosesEncrypted, -1, true},
		{"message/rfc822", smime.EnclosesMessage, -1, true},
		{"message/rfc822", smime.EnclosesMessage, 17, false},
		{"text/plain", "", 17, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var signed []string
	for _, e := range m.Enclosed {
		signed = append(signed, fmt.Sprint(e.Part, " ", e.Message, " ", e.Covers))
	}
	if diff := cmp.Diff([]string{"7 -1 part", "11 10 enclosed", "13 -1 part"}, signed); diff != "" {
		t.Error(diff)
	}
}

func TestParseAddresses(t *testing.T) {
	tests := []struct {
		in   string
		want string
		ok   bool
	}{
		{"", "[]", true},
		{"Alice <a@x>, b@y", `["Alice" <a@x> <b@y>]`, true},
		{"team: a@x, b@y;", "[<a@x> <b@y>]", true},
		{"undisclosed-recipients:;", "[]", true},
		{`"Smith, John" <j@x>`, `["Smith, John" <j@x>]`, true},
		{"=?utf-8?q?J=C3=BCrgen?= <j@x>", "[=?utf-8?q?J=C3=BCrgen?= <j@x>]", true},
		{"good@x, bad bad, also@y", "[<good@x> <also@y>]", false},
		{`"a@x" <b@y>`, `["a@x" <b@y>]`, true},
		{"nonsense", "[]", false},
	}
	for _, test := range tests {
		list, ok := smime.ParseAddresses(test.in)
		if got := fmt.Sprint(list); got != test.want || ok != test.ok {
			t.Errorf("%q: %s, %v", test.in, got, ok)
		}
	}
	if list, ok := smime.ParseAddresses(strings.Repeat("a@x,", 100_000)); ok || list != nil {
		t.Error("a list without end")
	}
}

func TestSameAddress(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"a@example.org", "A@EXAMPLE.org", true},
		{"a@bücher.example", "a@XN--BCHER-KVA.example", true},
		{"a@example.org", "b@example.org", false},
		{"a@example.org", "a@example.com", false},
		{"k@example.org", "\u212a@example.org", false}, // the Kelvin sign, which lower case makes a k
		{"a", "a", false},
		{"@x", "@x", false},
		{"a@", "a@", false},
		{"", "", false},
	} {
		if got := smime.SameAddress(test.a, test.b); got != test.want {
			t.Errorf("%s and %s: %v", test.a, test.b, got)
		}
	}
}
