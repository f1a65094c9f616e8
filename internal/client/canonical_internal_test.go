package client

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/smime/entity"
)

// canonical is what a message that was given becomes, with what a signature would stand over.
func canonical(t testing.TB, message string) (string, error) {
	t.Helper()
	root, err := entity.Parse(strings.NewReader(message), entity.Limits{})
	if err != nil {
		return "", &messageError{err.Error()}
	}
	var once, again bytes.Buffer
	err = given{root}.writeEntity(t.Context(), &once)
	if err := errors.Join(err, given{root}.writeEntity(t.Context(), &again)); err == nil && once.String() != again.String() {
		t.Errorf("written twice, it differs:\n%s\n%s", once.String(), again.String())
	}
	return once.String(), err
}

// TestGivenStays: what can travel is not touched, however it is written.
func TestGivenStays(t *testing.T) {
	for name, message := range map[string]string{
		"text":        "\r\nHello\r\n.\r\nFrom here\r\n",
		"fields":      "content-TYPE:  text/plain ; charset=\"us-ascii\"\r\n (comment)\r\nContent-Language: en\r\n\r\nHello \r\n\t\r\n",
		"long enough": "\r\n" + strings.Repeat("x", 998) + "\r\n",
		"parts": "Content-Type: multipart/mixed;\r\n boundary=b\r\n\r\npreamble\r\n--b  \r\n\r\none\r\n--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: BASE64\r\n\r\n" +
			"PGI+\r\nPC9iPg==\r\n--b--\r\nepilogue\r\n",
		"signed":   "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n",
		"no end":   "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n",
		"labelled": "Content-Transfer-Encoding: 8bit\r\n\r\nHello\r\n",
		"nothing":  "\r\n",
	} {
		got, err := canonical(t, message)
		if diff := cmp.Diff(message, got); err != nil || diff != "" {
			t.Errorf("%s: %v, %s", name, err, diff)
		}
	}
}

// TestGivenTravels: what cannot travel is written in another encoding, and reads as it did.
func TestGivenTravels(t *testing.T) {
	long := strings.Repeat("y", 999)
	for name, c := range map[string]struct{ message, want string }{
		"8-bit": {"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xfc\xdfe\r\n",
			"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe\r\n"},
		"nobody says which charset": {"\r\nGröße\r\n", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=B6=C3=9Fe\r\n"},
		"and it is none that can be told": {"Content-Type: text/html; charset=US-ASCII\r\n\r\nGr\xfc\xdfe\r\n",
			"Content-Type: text/html; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe\r\n"},
		"long line":  {"\r\n" + long + "\r\n", ""},
		"NUL":        {"\r\na\x00b\r\n", "Content-Transfer-Encoding: base64\r\n\r\nYQBiDQo=\r\n"},
		"CR in text": {"\r\na\rb\r\n", "Content-Transfer-Encoding: base64\r\n\r\nYQ1iDQo=\r\n"},
		"binary": {"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x89PNG\r\n",
			"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0K\r\n"},
		"base64 without lines": {"Content-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("QUJD", 300) + "\r\n", ""},
		"8-bit in quoted-printable": {"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=B6ö\r\n",
			"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=B6=C3=B6\r\n"},
		"one of the parts": {"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nö\r\n--b--\r\ny\r\n",
			"Content-Type: multipart/mixed; boundary=b\r\n\r\nx\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=B6\r\n--b--\r\ny\r\n"},
		"a message in it": {"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: ö\r\nTo: Jö <a@x.test>\r\n\r\nö\r\n",
			"Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?=C3=B6?=\r\nTo: =?utf-8?q?J=C3=B6?= <a@x.test>\r\n" +
				"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=B6\r\n"},
		"a name of a file": {"Content-Disposition: attachment; filename=\"ö.txt\"\r\n\r\nx\r\n", "Content-Disposition: attachment; filename*=utf-8''%C3%B6.txt\r\n\r\nx\r\n"},
		"a long field":     {"Content-Description:" + strings.Repeat(" word", 200) + "\r\n\r\nx\r\n", ""},
	} {
		got, err := canonical(t, c.message)
		if err != nil || c.want != "" && got != c.want {
			t.Errorf("%s: %v\n%s", name, err, cmp.Diff(c.want, got))
			continue
		}
		travels(t, got)
		before, after := leaves(t, c.message), leaves(t, got)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s: it reads differently: %s", name, diff)
		}
	}
}

// travels checks that a text is in a form that travels.
func travels(t testing.TB, text string) {
	t.Helper()
	found, err := (&canonicalWriter{ctx: t.Context()}).scan(strings.NewReader(text))
	if found != clean || err != nil {
		t.Errorf("%04b is in it, %v:\n%q", found, err, text)
	}
}

// leaves are the bodies of a message's parts, decoded.
func leaves(t testing.TB, message string) (list []string) {
	t.Helper()
	queue := []*entity.Entity{}
	root, err := entity.Parse(strings.NewReader(message), entity.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for queue = append(queue, root); len(queue) > 0 && len(list) < 100; queue = queue[1:] {
		switch e := queue[0]; {
		case e.Type.Multipart():
			parts, err := e.Children(nil, entity.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			queue = append(queue, parts...)
		case e.Message():
			inner, err := entity.Parse(e.BodySection(), entity.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			queue = append(queue, inner)
		default:
			text, err := io.ReadAll(e.Decode())
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, string(text))
		}
	}
	return list
}

// TestGivenRefused: what can neither travel nor be changed.
func TestGivenRefused(t *testing.T) {
	for name, c := range map[string]struct{ message, why string }{
		"signed":                  {"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nö\r\n--b--\r\n", "nothing in it may be changed"},
		"signed inside":           {"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nö\r\n--b--\r\n--a--\r\n", "nothing in it"},
		"beside the parts":        {"Content-Type: multipart/mixed; boundary=b\r\n\r\nö\r\n--b\r\n\r\nx\r\n--b--\r\n", "beside the parts"},
		"no boundary":             {"Content-Type: multipart/mixed\r\n\r\nö\r\n", "cannot be told apart"},
		"a word without end":      {"Content-Description: " + strings.Repeat("x", 2000) + "\r\n\r\nx\r\n", "too long for a line"},
		"a control character":     {"Content-Description: a\x00b\r\n\r\nx\r\n", "control character"},
		"a type that is no type":  {"Content-Type: ö/x; =\r\n\r\nx\r\n", "cannot be read"},
		"messages without end":    {strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 40) + "ö\r\n", "nested too deeply"},
		"a broken type, of 8-bit": {"Content-Type: text/plain; charset\r\n\r\nö\r\n", "cannot be read"},
	} {
		_, err := canonical(t, c.message)
		if bad, ok := errors.AsType[*messageError](err); !ok || !strings.Contains(bad.why, c.why) {
			t.Errorf("%s: %v, want %q", name, err, c.why)
		}
	}
}

// FuzzGiven: whatever comes travels afterwards, or is refused.
func FuzzGiven(f *testing.F) {
	f.Add("\r\nö\r\n")
	f.Add("Content-Type: multipart/mixed; boundary=b\r\n\r\nx\r\n--b\r\n\r\n\xff\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: ö\r\n\r\n\x00\r\n--b--\r\n")
	f.Add("Content-Disposition: attachment; filename=\"ö\"\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJDö\r\n")
	f.Fuzz(func(t *testing.T, message string) {
		var text bytes.Buffer
		if err := copyMessage(&text, strings.NewReader(message), true); err != nil {
			t.Fatal(err)
		}
		got, err := canonical(t, text.String())
		if _, bad := errors.AsType[*messageError](err); err != nil && !bad {
			t.Fatalf("%T: %v", err, err)
		}
		if err == nil {
			travels(t, got)
		}
	})
}

func TestCopyMessage(t *testing.T) {
	long := strings.Repeat("z", 100<<10)
	for _, c := range []struct {
		in   string
		dots bool
		want string
	}{
		{"", false, ""},
		{"a", false, "a\r\n"},
		{"a\nb\r\nc\n", false, "a\r\nb\r\nc\r\n"},
		{"a\n.\nb\n", false, "a\r\n"},
		{"a\r\n.\r\nb\n", false, "a\r\n"},
		{"a\n.", false, "a\r\n"},
		{"a\n.\nb\n", true, "a\r\n.\r\nb\r\n"},
		{"a\n..\n. \nb", false, "a\r\n..\r\n. \r\nb\r\n"},
		{".\n", false, ""},
		{long + "\n.\n" + long, false, long + "\r\n"},
		{long + ".\n" + long, false, long + ".\r\n" + long + "\r\n"},
		{"From alice Mon Jan  2 15:04:05 2006\nTo: b\n\nFrom x\n", false, "To: b\r\n\r\nFrom x\r\n"},
		{"From " + long + "\nTo: b\n", false, "To: b\r\n"},
	} {
		var got bytes.Buffer
		if err := copyMessage(&got, strings.NewReader(c.in), c.dots); err != nil || got.String() != c.want {
			t.Errorf("%.40q, %v: %.60q, %v", c.in, c.dots, got.String(), err)
		}
	}
}

func TestParseAddressField(t *testing.T) {
	for value, want := range map[string]string{
		"bob@x.test, \"Carol, C.\" <carol@x.test>": "<bob@x.test> \"Carol, C.\" <carol@x.test>",
		"root":                         "<root@>",
		"root (Cron Daemon)":           "\"Cron Daemon\" <root@>",
		"Alice A <alice>, bob@x.test":  "\"Alice A\" <alice@> <bob@x.test>",
		"undisclosed-recipients:;":     "",
		"a b":                          "!",
		"bob@x.test, <script>alert(1)": "!",
		"\"a\\\" <b@x.test>":           "!",
	} {
		list, err := parseAddressField(entity.Field{Name: "To", Raw: []byte("To: " + value)})
		var words []string
		for _, a := range list {
			words = append(words, a.String())
		}
		got := strings.Join(words, " ")
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%s: %s (%v), want %s", value, got, err, want)
		}
	}
}
