package entity_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sealmail/sealmail/smime/entity"
)

// tree describes nodes as "depth type [notes]" lines, with the bodies of leaves.
func tree(t testing.TB, in string, l entity.Limits) string {
	t.Helper()
	root, err := entity.Parse(strings.NewReader(in), l)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := entity.Walk(root, l)
	if err != nil {
		t.Fatal(err)
	}
	parents := make(map[int]bool)
	for _, n := range nodes {
		parents[n.Parent] = true
	}
	var b strings.Builder
	for i, n := range nodes {
		fmt.Fprintf(&b, "%s%s", strings.Repeat(" ", n.Depth), n.Type.Type)
		for _, note := range n.Notes {
			fmt.Fprintf(&b, " !%s", note.Code)
		}
		if !parents[i] {
			body, err := io.ReadAll(n.BodySection())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, " %q", body)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestWalk(t *testing.T) {
	const head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	tests := map[string]struct{ in, want string }{
		"two parts": {
			head + "pre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n\r\n--b--\r\nepilogue\r\n--b\r\n\r\nnot a part",
			"multipart/mixed\n text/plain \"one\"\n text/html \"two\\r\\n\"\n",
		},
		"bare line feeds": {
			strings.ReplaceAll(head+"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", "\r", ""),
			"multipart/mixed\n text/plain \"one\"\n text/plain \"two\"\n",
		},
		"padding behind the boundary": {
			head + "--b \t\r\n\r\none\r\n--b--  \r\n", "multipart/mixed\n text/plain \"one\"\n",
		},
		"longer lines are no boundary": {
			head + "--b\r\n\r\n--bb\r\n--b -\r\n--b--x\r\n--b--\r\n", "multipart/mixed\n text/plain \"--bb\\r\\n--b -\\r\\n--b--x\"\n",
		},
		"missing final boundary": {
			head + "--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n", "multipart/mixed !missing-final-boundary\n text/plain \"one\"\n text/plain \"two\\r\\n\"\n",
		},
		"empty parts": {
			head + "--b\r\n--b\r\n\r\n--b--", "multipart/mixed\n text/plain !no-header \"\"\n text/plain !no-header \"\"\n",
		},
		"closed before it begins": {head + "--b--\r\n", "multipart/mixed !no-parts \"--b--\\r\\n\"\n"},
		"no boundary":             {"Content-Type: multipart/mixed\r\n\r\n--b\r\n", "multipart/mixed !no-boundary \"--b\\r\\n\"\n"},
		"boundary does not occur": {head + "text", "multipart/mixed !no-parts \"text\"\n"},
		"outer boundary ends inner parts": {
			head + "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\none\r\n--b--\r\n--c--\r\n",
			"multipart/mixed\n multipart/mixed !missing-final-boundary\n  text/plain \"one\"\n",
		},
		"message": {
			"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ntext", "message/rfc822\n text/plain \"text\"\n",
		},
		"encoded message stays shut": {
			"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQQ==", "message/rfc822 \"QQ==\"\n",
		},
		"encoded multipart stays shut": {
			"Content-Transfer-Encoding: base64 (x)\r\n" + head + "--b\r\n\r\n--b--", "multipart/mixed !transfer-encoding \"--b\\r\\n\\r\\n--b--\"\n",
		},
		"digest": {
			"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\ny\r\n--b--",
			"multipart/digest\n message/rfc822\n  text/plain \"y\"\n",
		},
		"content type is nonsense":  {"Content-Type: nonsense\r\n\r\nx", "application/octet-stream !content-type \"x\"\n"},
		"content type is only text": {"Content-Type: text\r\n\r\nx", "text/plain !content-type \"x\"\n"},
		"content type twice": {
			"Content-Type: text/html\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nx", "text/html !several-content-types \"x\"\n",
		},
		"no header at all": {"just text\r\n", "text/plain !no-header \"just text\\r\\n\"\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, tree(t, test.in, entity.Limits{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWalkOrder(t *testing.T) {
	part := func(b, inside string) string {
		return "Content-Type: multipart/mixed; boundary=" + b + "\r\n\r\n--" + b + "\r\n" + inside + "\r\n--" + b + "--\r\n"
	}
	text := func(s string) string { return "Content-Type: text/" + s + "\r\n\r\n" }
	got := tree(t, part("a", text("1")+"\r\n--a\r\n"+part("b", text("2")+"\r\n--b\r\n"+text("3"))+"\r\n--a\r\n"+text("4")), entity.Limits{})
	want := "multipart/mixed\n text/1 \"\"\n multipart/mixed\n  text/2 \"\"\n  text/3 \"\"\n text/4 \"\"\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSplitIsExact(t *testing.T) {
	// The body is longer than the scanner's buffer, with a carriage return at its edge.
	for _, size := range []int{1, 65530, 65533, 65534, 65535, 65536, 65537, 131072} {
		body := strings.Repeat("x", size)
		in := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + body + "\r\n--b--"
		root, err := entity.Parse(strings.NewReader(in), entity.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		parts, notes, err := root.Split(10)
		if err != nil || len(notes) > 0 || len(parts) != 1 {
			t.Fatalf("%d: %v %v %v", size, parts, notes, err)
		}
		if got := in[parts[0].Start:parts[0].End]; got != "\r\n"+body {
			t.Errorf("%d: part has %d octets", size, len(got))
		}
	}
}

func TestWalkLimits(t *testing.T) {
	deep := ""
	for i := range 40 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	many := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\n", 2000)
	messages := strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 10_000)
	for name, test := range map[string]struct {
		in   string
		most int
		note entity.Note
	}{
		"depth":    {deep, 32, entity.NoteTooDeep},
		"messages": {messages, 32, entity.NoteTooDeep},
		"parts":    {many, 1000, entity.NoteTooManyParts},
	} {
		root, err := entity.Parse(strings.NewReader(test.in), entity.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		nodes, err := entity.Walk(root, entity.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		noted := false
		for _, n := range nodes {
			for _, note := range n.Notes {
				noted = noted || note == test.note
			}
		}
		if len(nodes) > test.most || !noted {
			t.Errorf("%s: %d parts, noted: %v", name, len(nodes), noted)
		}
	}
	headers := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\nX: "+strings.Repeat("x", 5000)+"\r\n\r\n", 300)
	root, err := entity.Parse(strings.NewReader(headers), entity.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entity.Walk(root, entity.Limits{}); !errors.Is(err, entity.ErrHeaderTooLarge) {
		t.Errorf("headers of all parts: %v", err)
	}
}
