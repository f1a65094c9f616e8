package entity_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/entity"
)

// checkTree parses a message and checks what must hold for any input.
func checkTree(t *testing.T, in []byte) []entity.Node {
	t.Helper()
	limits := entity.Limits{HeaderBytes: 64 << 10, Parts: 50, Depth: 8}
	root, err := entity.Parse(bytes.NewReader(in), limits)
	if err != nil {
		return nil // the header is too large
	}
	header, err := io.ReadAll(root.RawHeader())
	if err != nil {
		t.Fatal(err)
	}
	var fields []byte
	for _, f := range root.Header {
		fields = append(fields, f.Raw...)
		f.Text()
	}
	// Every octet of the header section is in a field or in the empty line behind the last one.
	if rest, ok := bytes.CutPrefix(header, fields); !ok || len(bytes.Trim(rest, "\r\n")) > 0 || bytes.Count(rest, []byte{'\n'}) > 1 {
		t.Fatalf("fields %q are not the header %q", fields, header)
	}
	nodes, err := entity.Walk(root, limits)
	if err != nil {
		return nil
	}
	if len(nodes) > limits.Parts {
		t.Fatalf("%d parts", len(nodes))
	}
	end := int64(0) // of the last sibling, by parent
	for i, n := range nodes {
		if n.Depth >= limits.Depth || n.Parent >= i || n.Start > n.Body || n.Body > n.End {
			t.Fatalf("node %d: %+v", i, n)
		}
		if n.Parent >= 0 {
			around := nodes[n.Parent]
			if n.Start < around.Body || n.End > around.End || n.Depth != around.Depth+1 {
				t.Fatalf("node %d lies outside the one around it", i)
			}
			if n.Index > 0 && n.Start < end && nodes[i-1].Parent == n.Parent {
				t.Fatalf("node %d overlaps the one before it", i)
			}
		}
		end = n.End
		n.Filename()
		if _, err := io.Copy(io.Discard, n.Decode()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := n.Text(1000); err != nil {
			t.Fatal(err)
		}
	}
	return nodes
}

func FuzzWalk(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\nx\r\n--b--\r\n"))
	f.Add([]byte("From x\nSubject: =?utf-8?B?w7w=?=\n folded\nContent-Transfer-Encoding: base64\nContent-Type: text/plain; charset=utf-16; name*0*=utf-8''%41\n\naGVsbG8=\n__\n"))
	f.Add([]byte("Content-Transfer-Encoding: quoted-printable\r\n\r\n=41= \r\n=Z\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) { checkTree(t, in) })
}

func FuzzReadHeader(f *testing.F) {
	f.Add([]byte("A: b\r\n c\r\n\r\nbody"), uint8(16))
	f.Add([]byte("From x\nA : b\nnonsense\n\n"), uint8(20))
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		r := bufio.NewReaderSize(bytes.NewReader(in), int(size))
		_, raw, _, err := entity.ReadHeader(r, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(append(raw, rest...), in) {
			t.Fatalf("octets were lost: %v", err)
		}
	})
}

func FuzzParseMediaType(f *testing.F) {
	f.Add(`text/plain; charset="utf-8"; name*0*=iso-8859-1'en'a%20; name*1=b (c)`)
	f.Fuzz(func(t *testing.T, in string) {
		m := entity.ParseMediaType(in)
		if len(m.Params) > 256 {
			t.Fatal("too many parameters")
		}
	})
}

// TestMIMECorpus reads malformed, legacy and odd mail of others.
func TestMIMECorpus(t *testing.T) {
	dir := peertest.Corpora(t, "mime")
	files, parts := 0, 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		parts += len(checkTree(t, raw))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 || parts < files {
		t.Errorf("%d files, %d parts", files, parts)
	}
	t.Logf("%d files, %d parts", files, parts)
}

// However the source hands out its octets, and whichever way a line takes, the same comes out.
func FuzzDecode(f *testing.F) {
	usual := strings.Repeat("QUJD", 19) + "\r\n"
	for _, in := range []string{"aGVs\r\nbG8=\r\n", usual + usual + "QUI=", usual + "QU\rJD\r\n" + usual, usual + "\r\n-- \r\nlist", "=C3=BC =\r\nx \t\r\n=4"} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, encoding := range []string{"base64", "quoted-printable"} {
			whole, single := entity.NewDecoder(bytes.NewReader(in), encoding), entity.NewDecoder(iotest.OneByteReader(bytes.NewReader(in)), encoding)
			got, err := io.ReadAll(whole)
			want, wantErr := io.ReadAll(single)
			if err != nil || wantErr != nil || !bytes.Equal(got, want) || !slices.Equal(whole.Notes(), single.Notes()) {
				t.Errorf("%s: %q and %q, %v and %v, %v and %v", encoding, got, want, whole.Notes(), single.Notes(), err, wantErr)
			}
		}
	})
}
