package smime_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
)

// withElement is a message with Legacy Display Elements.
func withElement(t testing.TB, e string, h entity.Header) (payload string, m *smime.Message) {
	t.Helper()
	payload, outer := protect(t, smime.HeaderProtector{Scheme: smime.HPCipher, LegacyDisplay: true}, e, h)
	sealed := outside(t, outer) + encrypt(t, sign(t, payload, alice(), smime.SignOptions{}), cms.AES256GCM, bob())
	return payload, open(t, []byte(sealed), smime.OpenOptions{Decrypters: bob().decrypters()})
}

// texts are the texts of an entity as a reader sees them that knows nothing of header protection, with their types.
func texts(t testing.TB, e string) map[string]string {
	t.Helper()
	root, err := entity.Parse(strings.NewReader(e), entity.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := entity.Walk(root, entity.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for i, n := range nodes {
		if strings.HasPrefix(n.Type.Type, "text/") {
			text, _, err := n.Text(1 << 20)
			if err != nil {
				t.Fatal(err)
			}
			found[fmt.Sprintf("%d %s %s", i, n.Type.Type, n.Type.Params.Get("hp-legacy-display"))] = text
		}
	}
	return found
}

// lineEnd is how lines of an entity end.
func lineEnd(e string) string {
	if strings.Contains(e, "\r\n") {
		return "\r\n"
	}
	return "\n"
}

func TestLegacyDisplayIsWritten(t *testing.T) {
	const (
		element = "Subject: Dinner & plans\r\n\r\n"
		div     = "<div class=\"header-protection-legacy-display\">\r\n<pre>Subject: Dinner &amp; plans</pre></div>\r\n"
	)
	plain, html := part("text/plain", "hello"), part("text/html", "<p>hello</p>")
	attached := part("text/plain", "attached", "Content-Disposition: attachment; filename=a.txt")
	quoted := "Content-Transfer-Encoding: quoted-printable"
	for name, test := range map[string]struct {
		in   string
		want map[string]string
		has  string // what the payload must contain
	}{
		"plain":      {plain, map[string]string{"0 text/plain 1": element + "hello"}, `text/plain; hp-legacy-display="1"; hp="cipher"`},
		"no header":  {"\r\nhello", map[string]string{"0 text/plain 1": element + "hello"}, `text/plain; charset=us-ascii; hp-legacy-display="1"; hp="cipher"`},
		"no text":    {"Content-Type: text/plain\r\n\r\n", map[string]string{"0 text/plain 1": element}, ""},
		"html":       {html, map[string]string{"0 text/html 1": div + "<p>hello</p>"}, ""},
		"attachment": {attached, map[string]string{"0 text/plain ": "attached"}, ""},
		"other text": {part("text/calendar", "BEGIN:VCALENDAR"), map[string]string{"0 text/calendar ": "BEGIN:VCALENDAR"}, ""},
		"html with a body": {
			part("text/html", "<!DOCTYPE html>\n<html><head><title><body></title><!-- <body> --></head>\n<BODY bgcolor=white\n title='>'>x</body></html>"),
			map[string]string{"0 text/html 1": "<!DOCTYPE html>\n<html><head><title><body></title><!-- <body> --></head>\n<BODY bgcolor=white\n title='>'>" + div + "x</body></html>"}, "",
		},
		"html without a body": {
			part("text/html", "<meta charset=utf-8><style>p{}</style> <p>x"), map[string]string{"0 text/html 1": "<meta charset=utf-8><style>p{}</style> " + div + "<p>x"}, "",
		},
		"html that is a frameset": {part("text/html", "<frameset></frameset>"), map[string]string{"0 text/html ": "<frameset></frameset>"}, ""},
		"html with a long head": {
			part("text/html", "<style>"+strings.Repeat("x", 70<<10)+"</style><body>x"), map[string]string{"0 text/html ": "<style>" + strings.Repeat("x", 70<<10) + "</style><body>x"}, "",
		},
		"html in quoted-printable": {
			part("text/html", "<bo=\r\ndy>x=3Dy", quoted), map[string]string{"0 text/html 1": "<body>" + div + "x=y"}, "pre>Subject: Dinner &amp; plans",
		},
		"quoted-printable": {
			part("text/plain; charset=utf-8", "J=C3=BCrgen =3D\r\n", quoted), map[string]string{"0 text/plain 1": element + "Jürgen =\r\n"}, "\r\n\r\nJ=C3=BCrgen =3D\r\n",
		},
		"base64": {
			part("text/plain; charset=utf-8", base64.StdEncoding.EncodeToString([]byte("Jürgen")), "Content-Transfer-Encoding: base64"),
			map[string]string{"0 text/plain 1": element + "Jürgen"}, "\r\n\r\nU3ViamVjd",
		},
		"8bit latin": {
			part("text/plain; charset=iso-8859-1", "J\xfcrgen", "Content-Transfer-Encoding: 8bit"), map[string]string{"0 text/plain 1": element + "Jürgen"}, "\r\n\r\nJ\xfcrgen",
		},
		"utf-16": {
			part("text/plain; charset=utf-16be", "AEoA/A==", "Content-Transfer-Encoding: base64"), map[string]string{"0 text/plain 1": element + "Jü"}, "charset=utf-8",
		},
		"unknown character set":     {part("text/plain; charset=x-none", "x"), map[string]string{"0 text/plain ": "x"}, ""},
		"unknown transfer encoding": {part("text/plain", "x", "Content-Transfer-Encoding: x-none"), map[string]string{"0 text/plain ": "x"}, ""},
		"line feeds":                {"Content-Type: text/plain\n\none\ntwo\n", map[string]string{"0 text/plain 1": element + "one\ntwo\n"}, ""},
		"alternative": {
			multipart("alternative", "a", plain, html, part("text/calendar", "BEGIN")),
			map[string]string{"1 text/plain 1": element + "hello", "2 text/html 1": div + "<p>hello</p>", "3 text/calendar ": "BEGIN"}, "",
		},
		"alternative with empty parts": {
			multipart("alternative", "a", "", "\r\n", "Content-Type: text/html", html, ""),
			map[string]string{"1 text/plain 1": element, "2 text/plain 1": element, "3 text/html ": "", "4 text/html 1": div + "<p>hello</p>", "5 text/plain 1": element}, "",
		},
		"mixed": {
			multipart("mixed", "m", plain, attached, plain, html, part("message/rfc822", "Subject: y\r\n\r\nforwarded")),
			map[string]string{"1 text/plain 1": element + "hello", "2 text/plain ": "attached", "3 text/plain ": "hello", "4 text/html ": "<p>hello</p>", "6 text/plain ": "forwarded"}, "",
		},
		"mixed, an attachment first": {multipart("mixed", "m", attached, plain), map[string]string{"1 text/plain ": "attached", "2 text/plain ": "hello"}, ""},
		"mixed, a message first": {
			multipart("mixed", "m", part("message/rfc822", "Subject: y\r\n\r\nforwarded"), plain), map[string]string{"2 text/plain ": "forwarded", "3 text/plain ": "hello"}, "",
		},
		"alternative in related in mixed": {
			multipart("mixed", "m", multipart("related", "r", multipart("alternative", "a", plain, html), html), plain),
			map[string]string{"3 text/plain 1": element + "hello", "4 text/html 1": div + "<p>hello</p>", "5 text/html ": "<p>hello</p>", "6 text/plain ": "hello"}, "",
		},
		"related in alternative": {
			multipart("alternative", "a", plain, multipart("related", "r", html, html)),
			map[string]string{"1 text/plain 1": element + "hello", "3 text/html 1": div + "<p>hello</p>", "4 text/html ": "<p>hello</p>"}, "",
		},
		"related that names its root": {
			multipart("related; start=\"<b>\"", "r", part("text/html", "a", "Content-ID: <a>"), part("text/html", "b", "Content-ID: <b>"), part("text/html", "c", "Content-ID: <b>")),
			map[string]string{"1 text/html ": "a", "2 text/html 1": div + "b", "3 text/html ": "c"}, "",
		},
		"a signed part": {multipart("mixed", "m", multipart("signed", "s", plain, part("application/pkcs7-signature", "x")), plain), map[string]string{"2 text/plain ": "hello", "4 text/plain ": "hello"}, ""},
		"a digest":      {multipart("digest", "d", "\r\nSubject: y\r\n\r\nx"), map[string]string{"2 text/plain ": "x"}, ""},
		"boundaries that begin alike": {
			multipart("mixed", "b", multipart("alternative", "bb", plain+"\r\n--bbb\r\n--b x", html), plain),
			map[string]string{"2 text/plain 1": element + "hello\r\n--bbb\r\n--b x", "3 text/html 1": div + "<p>hello</p>", "4 text/plain ": "hello"}, "",
		},
		"an alternative without its end": {
			"Content-Type: multipart/mixed; boundary=m\r\n\r\npreamble\r\n--m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n" + plain + "\r\n\r\n--m \t\r\n" + plain + "\r\n--m--\r\nepilogue",
			map[string]string{"2 text/plain 1": element + "hello\r\n", "3 text/plain ": "hello"}, "preamble\r\n--m\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			subject := fields(t, "From: Alice <alice@example.org>", "Subject: Dinner & plans", "Comments: hidden too")
			payload, m := withElement(t, test.in, subject)
			if diff := cmp.Diff(test.want, texts(t, payload)); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(payload, test.has) {
				t.Errorf("no %q in:\n%s", test.has, payload)
			}
			// It makes no difference how the entity comes.
			r, _, err := smime.HeaderProtector{Scheme: smime.HPCipher, LegacyDisplay: true}.Protect(iotest.OneByteReader(strings.NewReader(test.in)), subject)
			if err != nil {
				t.Fatal(err)
			}
			if slow, err := io.ReadAll(iotest.OneByteReader(r)); err != nil || string(slow) != payload {
				t.Errorf("read slowly: %v\n%s", err, cmp.Diff(payload, string(slow)))
			}
			// Who knows header protection sees no trace.
			without := open(t, []byte(test.in), smime.OpenOptions{})
			want, err := without.Text(0)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := m.Text(0); err != nil || got.Body != strings.ReplaceAll(want.Body, "\r\n", "\n") {
				t.Errorf("displayed as %q, %v, and not as %q", got.Body, err, want.Body)
			}
			for i, p := range m.Parts {
				raw, err := io.ReadAll(p.Open())
				size, sizeErr := p.Size()
				if err != nil || sizeErr != nil || size != int64(len(raw)) {
					t.Errorf("part %d: %d octets of %d, %v, %v", i, len(raw), size, err, sizeErr)
				}
				if p.Type != "text/plain" || strings.Contains(name, "utf-16") {
					continue
				}
				if was, err := io.ReadAll(without.Parts[i].Open()); err != nil || string(was) != strings.ReplaceAll(string(raw), "\r\n", lineEnd(test.in)) {
					t.Errorf("part %d is %q, and was %q, %v", i, raw, was, err)
				}
			}
			if m.Field("Subject") != "Dinner & plans" {
				t.Errorf("%q", m.Field("Subject"))
			}
		})
	}
}

func TestLegacyDisplayFields(t *testing.T) {
	h := fields(t, "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>", "To: Bob <bob@example.org>", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe=0D=0A=0D=0Aund_=E6=97=A5=E6=9C=AC?=",
		"Date: Fri, 21 Jan 2022 20:40:48 -0500", "Message-ID: <1@x>", "Keywords: k", "Reply-To: x@example.org")
	shy := smime.HeaderProtector{Scheme: smime.HPCipher, Policy: smime.HCPShy, LegacyDisplay: true}
	const all = "From: Jürgen <j@example.org>\r\nTo: Bob <bob@example.org>\r\nSubject: Grüße und 日本\r\nDate: Fri, 21 Jan 2022 20:40:48 -0500\r\n\r\n"
	for name, test := range map[string]struct {
		protector smime.HeaderProtector
		in, want  string
	}{
		"shy, in ASCII": {shy, part("text/plain", "a=b"), all + "a=b"},
		"shy, in latin": {shy, part("text/plain; charset=iso-8859-1; format=flowed", "=FC", "Content-Transfer-Encoding: quoted-printable"), all + "ü"},
		"shy, in latin and 8bit": {
			shy, part("text/plain; charset=iso-8859-1", "\xfc", "Content-Transfer-Encoding: 8bit"), all + "ü",
		},
		"shy, in latin and base64": {shy, part("text/plain; charset=iso-8859-1", "/A==", "Content-Transfer-Encoding: base64"), all + "ü"},
		"shy, in HTML": {shy, part("text/html; charset=iso-8859-1", "\xfc", "Content-Transfer-Encoding: 8bit"),
			"<div class=\"header-protection-legacy-display\">\r\n<pre>From: J&#252;rgen &lt;j@example.org&gt;\r\nTo: Bob &lt;bob@example.org&gt;\r\nSubject: Gr&#252;&#223;e und &#26085;&#26412;\r\nDate: Fri, 21 Jan 2022 20:40:48 -0500</pre></div>\r\nü"},
		"baseline":        {smime.HeaderProtector{Scheme: smime.HPCipher, LegacyDisplay: true}, part("text/plain", "x"), "Subject: Grüße und 日本\r\n\r\nx"},
		"nothing hidden":  {smime.HeaderProtector{Scheme: smime.HPCipher, Policy: smime.HCPNoConfidentiality, LegacyDisplay: true}, part("text/plain", "x"), "x"},
		"signed only":     {smime.HeaderProtector{Scheme: smime.HPClear, LegacyDisplay: true}, part("text/plain", "x"), "x"},
		"not asked for":   {smime.HeaderProtector{Scheme: smime.HPCipher}, part("text/plain", "x"), "x"},
		"not for message": {smime.HeaderProtector{Scheme: smime.HPCipher, LegacyDisplay: true}, part("message/rfc822", "Subject: y\r\n\r\nx"), "x"},
	} {
		t.Run(name, func(t *testing.T) {
			payload, _ := protect(t, test.protector, test.in, h)
			for kind, got := range texts(t, payload) {
				if got != test.want || strings.HasSuffix(kind, "1") != (got != "x") {
					t.Errorf("%s: %s", kind, cmp.Diff(test.want, got))
				}
			}
			for line := range strings.SplitSeq(payload, "\r\n") {
				if len(line) > 998 || !strings.Contains(test.in, "8bit") && strings.ContainsFunc(line, func(r rune) bool { return r >= 0x80 }) {
					t.Errorf("not for 7bit: %q", line)
				}
			}
		})
	}
	long := fields(t, "Subject: "+strings.Repeat("x", 2000))
	payload, m := withElement(t, part("text/plain", "text"), long)
	if _, body, _ := strings.Cut(payload, "\r\n\r\n"); !strings.HasPrefix(body, "Subject: xxx") || strings.IndexByte(body, '\r') > 78 {
		t.Errorf("a long line in %q", body)
	}
	if text, err := m.Text(0); err != nil || text.Body != "text" {
		t.Errorf("%q, %v", text.Body, err)
	}
}

func TestLegacyDisplayTwice(t *testing.T) {
	marked := part("text/plain; hp-legacy-display=1", "x")
	for name, in := range map[string]string{"text": marked, "alternative": multipart("alternative", "a", part("text/plain", "x"), marked)} {
		r, _, err := smime.HeaderProtector{Scheme: smime.HPCipher, LegacyDisplay: true}.Protect(strings.NewReader(in), fields(t, "Subject: x"))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, smime.ErrProtected) {
			t.Errorf("%s: %v", name, err)
		}
	}
	failure := errors.New("the disk is gone")
	for _, in := range []string{plainEntity, multipart("mixed", "m", part("text/html", "x"))} {
		broken := io.MultiReader(strings.NewReader(in[:len(in)-10]), iotest.ErrReader(failure))
		r, _, err := smime.HeaderProtector{Scheme: smime.HPCipher, LegacyDisplay: true}.Protect(broken, fields(t, "Subject: x"))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, failure) {
			t.Errorf("%v", err)
		}
	}
}

// endless gives so many octets of a pattern.
type endless struct {
	pattern string
	left    int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := int64(copy(p, e.pattern))
	e.left -= n
	return int(n), nil
}

// TestLegacyDisplayStreams writes elements into texts and beside attachments that fit into no memory of this size.
func TestLegacyDisplayStreams(t *testing.T) {
	for name, head := range map[string]string{
		"text without lines": "Content-Type: text/plain\r\n\r\n", "html": "Content-Type: text/html\r\n\r\n<body>",
		"quoted-printable": "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
		"base64":           "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n",
		"attachment":       "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: image/png\r\n\r\n",
		"alternative":      "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: image/png\r\n\r\n",
	} {
		const size = 16 << 20
		in := io.MultiReader(strings.NewReader(head), &endless{strings.Repeat("A", 64), size})
		r, _, err := smime.HeaderProtector{Scheme: smime.HPCipher, LegacyDisplay: true}.Protect(in, fields(t, "Subject: x"))
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, err := io.Copy(io.Discard, struct{ io.Reader }{r})
		runtime.ReadMemStats(&after)
		if err != nil || n < size/4*3 {
			t.Errorf("%s: %d octets, %v", name, n, err)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 2<<20 {
			t.Errorf("%s: %d octets of memory", name, allocated)
		}
	}
}

// TestLegacyDisplayWithPython asks another MIME parser what a reader sees that knows nothing of header protection.
func TestLegacyDisplayWithPython(t *testing.T) {
	peertest.Command(t, "python3")
	dir := t.TempDir()
	h := fields(t, "From: alice@example.org", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=")
	attached := part("text/plain; charset=utf-8; name=a.txt", "attached", "Content-Disposition: attachment; filename=a.txt")
	for i, in := range []string{
		part("text/plain", "a=b\r\n"),
		part("text/plain; charset=iso-8859-1", "J=FCrgen\r\n", "Content-Transfer-Encoding: quoted-printable"),
		multipart("mixed", "m", multipart("alternative", "a", part("text/plain; charset=utf-8", "SsO8cmdlbg==", "Content-Transfer-Encoding: base64"),
			part("text/html", "<html><body>x</body></html>")), attached),
	} {
		payload, m := withElement(t, in, h)
		layer := m.Layers[0].Encrypted.Content
		if raw, err := io.ReadAll(io.NewSectionReader(layer, 0, layer.Size())); err != nil || !strings.Contains(string(raw), payload) {
			t.Fatalf("%v: what was encrypted is not the payload", err)
		}
		file := filepath.Join(dir, fmt.Sprintf("%d.eml", i))
		if err := os.WriteFile(file, []byte(payload), 0o600); err != nil {
			t.Fatal(err)
		}
		got := peertest.Run(t, "python3", "-c", `
import email, email.policy, sys
m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
for kind in ("plain", "html"):
    p = m.get_body((kind,))
    if p is not None and not p.defects:
        print(kind, p.get_param("hp-legacy-display"), ascii(p.get_content()))
for p in m.iter_attachments():
    print(p.get_filename(), p.get_param("hp-legacy-display"), ascii(p.get_content()))
`, file)
		want := []string{
			"plain 1 'Subject: Gr\\xfc\\xdfe\\n\\na=b\\n'\n",
			"plain 1 'Subject: Gr\\xfc\\xdfe\\n\\nJ\\xfcrgen\\n'\n",
			"plain 1 'Subject: Gr\\xfc\\xdfe\\n\\nJ\\xfcrgen'\nhtml 1 '<html><body><div class=\"header-protection-legacy-display\">\\n<pre>Subject: Gr&#252;&#223;e</pre></div>\\nx</body></html>'\na.txt None 'attached'\n",
		}[i]
		got = []byte(strings.ReplaceAll(strings.ReplaceAll(string(got), "\\r\\n", "\\n"), "\r\n", "\n"))
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Error(diff)
		}
	}
}
