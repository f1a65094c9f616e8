package entity_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sealmail/sealmail/smime/entity"
)

func TestReadHeader(t *testing.T) {
	type field struct{ Name, Value string }
	tests := map[string]struct {
		in    string
		want  []field
		body  string
		notes []entity.Note
	}{
		"plain": {
			"From: a@example.org\r\nSubject: hello\r\n\r\nbody", []field{{"From", "a@example.org"}, {"Subject", "hello"}}, "body", nil,
		},
		"folded": {
			"Subject: one\r\n two\r\n\tthree\r\nTo: b\r\n\r\n", []field{{"Subject", "one two\tthree"}, {"To", "b"}}, "", nil,
		},
		"bare line feeds": {"A: 1\nB: 2\n 3\n\nbody\n", []field{{"A", "1"}, {"B", "2 3"}}, "body\n", nil},
		"mailbox line": {
			"From x@y Mon\r\nA: 1\r\n\r\nb", []field{{"", "From x@y Mon"}, {"A", "1"}}, "b", []entity.Note{entity.NoteMboxLine},
		},
		"line without colon": {
			"A: 1\r\nnonsense\r\nB: 2\r\n\r\nb", []field{{"A", "1"}, {"", "nonsense"}, {"B", "2"}}, "b",
			[]entity.Note{entity.NoteMalformedLine},
		},
		"continuation of nothing": {
			"A: 1\r\nnonsense\r\n more\r\n\r\nb", []field{{"A", "1"}, {"", "nonsense"}, {"", "more"}}, "b",
			[]entity.Note{entity.NoteMalformedLine},
		},
		"space before the colon": {"Subject \t: x\r\n\r\n", []field{{"Subject", "x"}}, "", nil},
		"empty value":            {"A:\r\nB: \r\n\r\n", []field{{"A", ""}, {"B", ""}}, "", nil},
		"empty header":           {"\r\nbody", nil, "body", nil},
		"no header":              {"Hello there\r\n\r\nbody", nil, "Hello there\r\n\r\nbody", []entity.Note{entity.NoteNoHeader}},
		"nothing":                {"", nil, "", []entity.Note{entity.NoteNoHeader}},
		"unfinished":             {"A: 1\r\nB: 2", []field{{"A", "1"}, {"B", "2"}}, "", []entity.Note{entity.NoteUnfinishedHeader}},
		"octets in a name":       {"A: 1\r\nB\x00C: 2\r\n\r\n", []field{{"A", "1"}, {"", "B\x00C: 2"}}, "", []entity.Note{entity.NoteMalformedLine}},
		"white space line":       {"A: 1\r\n \r\nB: 2\r\n\r\n", []field{{"A", "1"}, {"B", "2"}}, "", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := bufio.NewReader(strings.NewReader(test.in))
			header, raw, notes, err := entity.ReadHeader(r, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			var got []field
			for _, f := range header {
				got = append(got, field{f.Name, f.Value()})
			}
			body, _ := io.ReadAll(r)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if string(body) != test.body {
				t.Errorf("body %q", body)
			}
			if string(raw)+string(body) != test.in {
				t.Errorf("octets were lost: %q", raw)
			}
			if diff := cmp.Diff(test.notes, notes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHeaderKeepsRawOctets(t *testing.T) {
	// More than the buffers hold, so that lines come in pieces and the section outgrows its memory.
	var in bytes.Buffer
	for i := range 300 {
		in.WriteString("X-Field: " + strings.Repeat("v", i*40) + "\r\n folded\r\n")
	}
	in.WriteString("\r\n")
	header, raw, _, err := entity.ReadHeader(bufio.NewReaderSize(bytes.NewReader(in.Bytes()), 300), 10<<20)
	if err != nil {
		t.Fatal(err)
	}
	var joined []byte
	for _, f := range header {
		joined = append(joined, f.Raw...)
	}
	if len(header) != 300 || !bytes.Equal(raw, in.Bytes()) || !bytes.Equal(append(joined, "\r\n"...), raw) {
		t.Error("raw octets differ")
	}
}

func TestHeaderLimit(t *testing.T) {
	for _, in := range []string{strings.Repeat("A: b\r\n", 1000), "A: " + strings.Repeat("x", 6000)} {
		_, _, _, err := entity.ReadHeader(bufio.NewReader(strings.NewReader(in)), 5000)
		if !errors.Is(err, entity.ErrHeaderTooLarge) {
			t.Errorf("got %v", err)
		}
	}
}

// failsOnce is a source of which one read fails, as a disk may.
type failsOnce struct {
	*bytes.Reader
	left int
}

var errDisk = errors.New("input/output error")

func (f *failsOnce) ReadAt(p []byte, off int64) (int, error) {
	if f.left--; f.left == 0 {
		return 0, errDisk
	}
	return f.Reader.ReadAt(p, off)
}

// TestReadErrorsAreNotLost fails each read in turn: what cannot be read must not pass for an entity without header.
func TestReadErrorsAreNotLost(t *testing.T) {
	const message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\nhi\r\n--b--\r\n"
	for n := 1; ; n++ {
		src := &failsOnce{bytes.NewReader([]byte(message)), n}
		root, err := entity.Parse(src, entity.Limits{})
		var nodes []entity.Node
		if err == nil {
			nodes, err = entity.Walk(root, entity.Limits{})
		}
		if src.left > 0 { // more than there are reads
			if n < 4 || err != nil || len(nodes) != 2 || nodes[1].Type.Type != "text/html" {
				t.Errorf("%d reads: %d entities, %v", n-1, len(nodes), err)
			}
			return
		}
		if !errors.Is(err, errDisk) {
			t.Errorf("read %d fails: %v", n, err)
		}
	}
}

func TestFieldText(t *testing.T) {
	tests := map[string]string{
		"plain":                              "plain",
		"=?utf-8?Q?J=C3=BCrgen?= M":          "Jürgen M",
		"=?iso-8859-15?B?pA==?=":             "€",
		"=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=": "日本",
		"=?windows-1252?q?=80?=":             "€",
		"=?nonsense?Q?a?=":                   "=?nonsense?Q?a?=",
		"raw \xe4":                           "raw \uFFFD",
		"=?utf-8?Q?a?=\r\n =?utf-8?Q?b?=":    "ab",
	}
	for in, want := range tests {
		f := entity.Field{Name: "Subject", Raw: []byte("Subject: " + in + "\r\n")}
		if got := f.Text(); got != want {
			t.Errorf("%q: %q instead of %q", in, got, want)
		}
	}
}

func TestNewField(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"Subject", "short", "Subject: short\r\n"},
		{"Subject", "", "Subject:\r\n"},
		{"To", strings.Repeat("someone@example.org, ", 6), "To: someone@example.org, someone@example.org, someone@example.org,\r\n" +
			" someone@example.org, someone@example.org, someone@example.org,\r\n"},
		{"X", strings.Repeat("y", 100), "X: " + strings.Repeat("y", 100) + "\r\n"},
	}
	for _, test := range tests {
		f, err := entity.NewField(test.name, test.value)
		if err != nil {
			t.Fatal(err)
		}
		if string(f.Raw) != test.want {
			t.Errorf("%q", f.Raw)
		}
		if got := f.Value(); got != strings.TrimSpace(test.value) {
			t.Errorf("reads back as %q", got)
		}
	}
	for _, bad := range [][2]string{{"", "x"}, {"A:", "x"}, {"A B", "x"}, {"A", "x\r\nBcc: y"}, {"A", "x\ny"}, {"A", "\x00"}, {"Ä", ""}} {
		if f, err := entity.NewField(bad[0], bad[1]); !errors.Is(err, entity.ErrField) {
			t.Errorf("%q: %q, %v", bad, f.Raw, err)
		}
	}
}

func TestStructural(t *testing.T) {
	for name, want := range map[string]bool{
		"Content-Type": true, "content-id": true, "MIME-Version": true, "mime-version": true, "CONTENT-X": true,
		"Subject": false, "Contents": false, "Content": false, "": false,
	} {
		if got := (entity.Field{Name: name}).Structural(); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestCanonicalWriter(t *testing.T) {
	tests := []struct {
		in, want        string
		changed, bareCR bool
	}{
		{"", "", false, false},
		{"a\r\nb\r\n", "a\r\nb\r\n", false, false},
		{"a\nb\n", "a\r\nb\r\n", true, false},
		{"\n\n", "\r\n\r\n", true, false},
		{"a\r\nb\nc", "a\r\nb\r\nc", true, false},
		{"a\rb", "a\rb", false, true},
		{"a\r\r\n", "a\r\r\n", false, true},
		{"a\r", "a\r", false, true},
	}
	for _, test := range tests {
		for _, step := range []int{1, 2, 3, 100} {
			var out bytes.Buffer
			c := entity.NewCanonicalWriter(&out)
			for rest := test.in; rest != ""; {
				n := min(step, len(rest))
				if got, err := io.WriteString(c, rest[:n]); got != n || err != nil {
					t.Fatalf("%d, %v", got, err)
				}
				rest = rest[n:]
			}
			if out.String() != test.want || c.Changed() != test.changed || c.BareCR() != test.bareCR {
				t.Errorf("%q by %d: %q, changed %v, bare CR %v", test.in, step, out.String(), c.Changed(), c.BareCR())
			}
		}
	}
}

func TestCanonicalWriterReportsErrors(t *testing.T) {
	for _, text := range []string{"a\nb", "ab"} {
		r, w := io.Pipe()
		r.Close()
		if _, err := entity.NewCanonicalWriter(w).Write([]byte(text)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
