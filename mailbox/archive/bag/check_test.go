package bag_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/mailbox/archive/bag"
)

// folder makes a file system of files.
func folder(files map[string]string) fstest.MapFS {
	f := fstest.MapFS{}
	for name, text := range files {
		f[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return f
}

func sum512(text string) string { return fmt.Sprintf("%x", sha512.Sum512([]byte(text))) }
func sum256(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

// plain is a bag with two files of payload, written by hand.
func plain() map[string]string {
	files := map[string]string{
		"bagit.txt":           "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
		"data/a":              "one",
		"data/b/c":            "three",
		"bag-info.txt":        "Bagging-Date: 2026-11-22\nPayload-Oxum: 8.2\n",
		"manifest-sha512.txt": sum512("one") + " data/a\n" + strings.ToUpper(sum512("three")) + "\t data/b/c\n",
		"manifest-sha256.txt": sum256("three") + " data/b/c\r\n" + sum256("one") + " data/a\r\n",
	}
	tag(files)
	return files
}

// tag lists the tag files anew.
func tag(files map[string]string) {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.Contains(name, "/") && !strings.HasPrefix(name, "tagmanifest-") {
			text += sum512(files[name]) + " " + name + "\n"
		}
	}
	files["tagmanifest-sha512.txt"] = text
}

// check returns the kinds and files of what is found.
func check(t testing.TB, fsys fs.FS, o bag.Options) (found []string) {
	t.Helper()
	r, err := bag.Check(t.Context(), fsys, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		found = append(found, string(f.Kind)+" "+f.File)
	}
	if valid := len(found) == 0 && !o.Fast; r.Valid() != valid || r.Complete() != (len(found) == 0) {
		t.Errorf("valid: %v, complete: %v with %v", r.Valid(), r.Complete(), found)
	}
	return found
}

// TestCheck harms a bag in each way. What a fast look finds as well is said with it.
func TestCheck(t *testing.T) {
	set := func(name, text string) func(map[string]string) {
		return func(files map[string]string) { files[name] = text; tag(files) }
	}
	add := func(name, text string) func(map[string]string) {
		return func(files map[string]string) { files[name] += text; tag(files) }
	}
	remove := func(name string) func(map[string]string) {
		return func(files map[string]string) { delete(files, name); tag(files) }
	}
	long := strings.Repeat("x", 20<<10)
	for _, test := range []struct {
		name string
		harm func(map[string]string)
		fast []string // found without checksums
		full []string // found besides with them
	}{
		{"nothing", func(map[string]string) {}, nil, nil},
		{"no tag manifest, no bag-info.txt", func(f map[string]string) { delete(f, "tagmanifest-sha512.txt"); delete(f, "bag-info.txt") }, nil, nil},
		{"another tag file", func(f map[string]string) { f["tags/x"] = "\xff" }, nil, nil},
		{"a listed tag file", func(f map[string]string) {
			f["tags/x"] = "1"
			f["tagmanifest-sha512.txt"] += sum512("2") + " tags/x\n"
		}, nil, []string{"altered tags/x"}},
		{"an octet", set("data/a", "onE"), nil, []string{"altered data/a"}},
		{"a shorter file", set("data/a", "on"), []string{"altered data"}, []string{"altered data/a"}},
		{"a file that is gone", remove("data/a"), []string{"missing data/a", "altered data"}, nil},
		{"a file more", set("data/d", "x"), []string{"unexpected data/d", "altered data"}, nil},
		{"all files gone", func(f map[string]string) { delete(f, "data/a"); delete(f, "data/b/c") },
			[]string{"missing data", "missing data/a", "missing data/b/c", "altered data"}, nil},
		{"listed in one of two", set("manifest-sha256.txt", sum256("one")+" data/a\n"), []string{"unexpected data/b/c"}, nil},
		{"listed twice", add("manifest-sha256.txt", sum256("one")+" data/a\n"), []string{"malformed manifest-sha256.txt"}, nil},
		{"another sum", func(f map[string]string) {
			f["manifest-sha256.txt"] = strings.Replace(f["manifest-sha256.txt"], sum256("one"), sum256("two"), 1)
			tag(f)
		}, nil, []string{"altered data/a"}},
		{"an altered manifest", func(f map[string]string) {
			f["manifest-sha256.txt"] = strings.ReplaceAll(f["manifest-sha256.txt"], " ", "\t")
		},
			nil, []string{"altered manifest-sha256.txt"}},
		{"other line ends", func(f map[string]string) {
			f["manifest-sha256.txt"] = strings.ReplaceAll(f["manifest-sha256.txt"], "\r\n", "\r")
		},
			nil, []string{"altered manifest-sha256.txt"}},
		{"no declaration", remove("bagit.txt"), []string{"missing bagit.txt"}, nil},
		{"another version", set("bagit.txt", "BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n"), []string{"malformed bagit.txt"}, nil},
		{"another encoding", set("bagit.txt", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-16\n"), []string{"malformed bagit.txt"}, nil},
		{"label in small letters", set("bagit.txt", "BagIt-version: 1.0\r\nTag-File-Character-Encoding: utf-8\r\n"), nil, nil},
		{"a third line", add("bagit.txt", "X: y\n"), []string{"malformed bagit.txt"}, nil},
		{"one line", set("bagit.txt", "BagIt-Version: 1.0\n"), []string{"malformed bagit.txt"}, nil},
		{"a byte-order mark", set("bagit.txt", "\ufeffBagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"), []string{"malformed bagit.txt"}, nil},
		{"no manifest", func(f map[string]string) { delete(f, "manifest-sha512.txt"); delete(f, "manifest-sha256.txt"); tag(f) },
			[]string{"missing manifest-sha512.txt"}, nil},
		{"an empty manifest", set("manifest-sha256.txt", ""), []string{"unexpected data/a", "unexpected data/b/c"}, nil},
		{"a manifest of an unknown kind", set("manifest-md5.txt", "d41d8cd98f00b204e9800998ecf8427e data/a\n"), []string{"unsupported manifest-md5.txt"}, nil},
		{"an algorithm in capitals", set("manifest-SHA512.txt", sum512("one")+" data/a\n"), []string{"unsupported manifest-SHA512.txt"}, nil},
		{"a manifest that the tag manifest has not", func(f map[string]string) {
			f["tagmanifest-sha256.txt"] = sum256(f["manifest-sha512.txt"]) + " manifest-sha512.txt\n"
		}, []string{"malformed tagmanifest-sha256.txt"}, nil},
		{"payload in a tag manifest", func(f map[string]string) { f["tagmanifest-sha512.txt"] += sum512("one") + " data/a\n" },
			[]string{"malformed tagmanifest-sha512.txt"}, nil},
		{"a tag file in a manifest", add("manifest-sha256.txt", sum256("x")+" bagit.txt\n"), []string{"malformed manifest-sha256.txt"}, nil},
		{"a folder in a manifest", add("manifest-sha256.txt", sum256("x")+" data/b\n"), []string{"missing data/b"}, nil},
		{"a line without end", add("manifest-sha256.txt", sum256("one")+" data/x"), []string{"malformed manifest-sha256.txt"}, nil},
		{"an empty line", add("manifest-sha256.txt", "\n"), []string{"malformed manifest-sha256.txt"}, nil},
		{"an asterisk", set("manifest-sha256.txt", sum256("one")+" *data/a\n"+sum256("three")+" data/b/c\n"),
			[]string{"malformed manifest-sha256.txt", "unexpected data/a"}, nil},
		{"a line of all lengths", add("manifest-sha256.txt", sum256("x")+" data/"+long+"\n"), []string{"malformed manifest-sha256.txt"}, nil},
		{"half a sum", add("manifest-sha256.txt", sum256("x")[:62]+" data/x\n"), []string{"malformed manifest-sha256.txt"}, nil},
		{"no sum", add("manifest-sha256.txt", sum256("x")[:63]+"g data/x\n"), []string{"malformed manifest-sha256.txt"}, nil},
		{"no path", add("manifest-sha256.txt", sum256("x")+" \n"), []string{"malformed manifest-sha256.txt"}, nil},
		{"no UTF-8", add("manifest-sha256.txt", sum256("x")+" data/\xff\n"), []string{"malformed manifest-sha256.txt"}, nil},
		{"encoded needlessly", set("manifest-sha256.txt", sum256("one")+" data/%61\n"+sum256("three")+" data/b/c\n"),
			[]string{"malformed manifest-sha256.txt", "unexpected data/a"}, nil},
		{"paths that lead outside", add("manifest-sha256.txt", sum256("x")+" ../x\n"+sum256("x")+" /etc/passwd\n"+sum256("x")+" ~root/x\n"+
			sum256("x")+" data/../../x\n"+sum256("x")+" data\\..\\x\n"+sum256("x")+" C:/x\n"+sum256("x")+" data/./a\n"),
			slices.Repeat([]string{"malformed manifest-sha256.txt"}, 7), nil},
		{"bag-info.txt continued", set("bag-info.txt", "A: b\n\tc\n  d\nA: e\npayload-OXUM: 8.2\n"), nil, nil},
		{"two Payload-Oxum", add("bag-info.txt", "Payload-Oxum: 8.2\n"), []string{"malformed bag-info.txt"}, nil},
		{"Payload-Oxum of one number", set("bag-info.txt", "Payload-Oxum: 8\n"), []string{"malformed bag-info.txt"}, nil},
		{"Payload-Oxum below nothing", set("bag-info.txt", "Payload-Oxum: -8.2\n"), []string{"malformed bag-info.txt"}, nil},
		{"a space before the colon", set("bag-info.txt", "A : b\n"), []string{"malformed bag-info.txt"}, nil},
		{"no space behind the colon", set("bag-info.txt", "A:b\n"), []string{"malformed bag-info.txt"}, nil},
		{"what continues nothing", set("bag-info.txt", " a: b\n"), []string{"malformed bag-info.txt"}, nil},
		{"no label", set("bag-info.txt", "a\n"), []string{"malformed bag-info.txt"}, nil},
		{"fetched", set("fetch.txt", "https://example.org/a - data/a\nhttps://example.org/c 5\tdata/b/c\n"), nil, nil},
		{"not fetched", func(f map[string]string) {
			delete(f, "data/a")
			f["fetch.txt"] = "https://example.org/a 3 data/a\n"
			tag(f)
		}, []string{"missing data/a", "altered data"}, nil},
		{"to be fetched, and not listed", set("fetch.txt", "https://example.org/a 3 data/x\n"), []string{"malformed fetch.txt"}, nil},
		{"a tag file to be fetched", set("fetch.txt", "https://example.org/a 3 bagit.txt\n"), []string{"malformed fetch.txt"}, nil},
		{"to be fetched outside", set("fetch.txt", "https://example.org/a 3 data/../../x\n"), []string{"malformed fetch.txt"}, nil},
		{"a length in words", set("fetch.txt", "https://example.org/a three data/a\n"), []string{"malformed fetch.txt"}, nil},
		{"a relative address", set("fetch.txt", "a 3 data/a\n"), []string{"malformed fetch.txt"}, nil},
		{"two words", set("fetch.txt", "https://example.org/a data/a\n"), []string{"malformed fetch.txt"}, nil},
	} {
		files := plain()
		test.harm(files)
		if diff := cmp.Diff(test.fast, check(t, folder(files), bag.Options{Fast: true})); diff != "" {
			t.Errorf("%s: fast: %s", test.name, diff)
		}
		if diff := cmp.Diff(slices.Concat(test.fast, test.full), check(t, folder(files), bag.Options{})); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// TestCheckOwn: what Writer wrote is valid, with all that names may be.
func TestCheckOwn(t *testing.T) {
	sink := &memory{files: map[string]string{}}
	write(t, sink, []bag.Field{{"A", "b: c"}}, "100%", "x", "a\r\nb%0A", "y", " c ü/d", "", "d/~e", "z")
	if found := check(t, folder(sink.files), bag.Options{}); found != nil {
		t.Error(found)
	}
	r, err := bag.Check(t.Context(), folder(sink.files), bag.Options{})
	if err != nil || r.Files != 4 || r.Octets != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if diff := cmp.Diff([]bag.Field{{"A", "b: c"}, {"Payload-Oxum", "3.4"}}, r.Info); diff != "" {
		t.Error(diff)
	}
}

// TestCheckZIP checks a bag in its ZIP file, and with each octet of its content altered.
func TestCheckZIP(t *testing.T) {
	octets := zipped(t)
	open := func(octets []byte) fs.FS {
		r, err := zip.NewReader(bytes.NewReader(octets), int64(len(octets)))
		if err != nil {
			t.Fatal(err)
		}
		sub, err := fs.Sub(r, "000001")
		if err != nil {
			t.Fatal(err)
		}
		return sub
	}
	if found := check(t, open(octets), bag.Options{}); found != nil {
		t.Error(found)
	}
	at := bytes.Index(octets, []byte("000001/data/1.eml")) + len("000001/data/1.eml")
	octets[at]++
	if diff := cmp.Diff([]string{"unreadable data/1.eml"}, check(t, open(octets), bag.Options{})); diff != "" {
		t.Error(diff)
	}
}

// TestCheckLinks: a link is not followed, be its target what it may.
func TestCheckLinks(t *testing.T) {
	dir := t.TempDir()
	base, outside := filepath.Join(dir, "bag"), filepath.Join(dir, "outside")
	files := plain()
	delete(files, "data/a")
	for name, text := range files {
		name = filepath.Join(base, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(outside, []byte("one"), 0o600), os.Symlink(outside, filepath.Join(base, "data/a"))); err != nil {
		t.Fatal(err)
	}
	want := []string{"malformed data/a", "missing data/a", "altered data"}
	if diff := cmp.Diff(want, check(t, os.DirFS(base), bag.Options{})); diff != "" {
		t.Error(diff)
	}
}

// TestCheckBounds: neither findings nor octets are without end, and the context ends it.
func TestCheckBounds(t *testing.T) {
	files := plain()
	for i := range 2500 {
		files[fmt.Sprintf("data/x%d", i)] = ""
	}
	r, err := bag.Check(t.Context(), folder(files), bag.Options{})
	if err != nil || len(r.Findings) != 1000 || r.More != 1501 || r.Valid() { // the sum of the payload besides
		t.Errorf("%d findings, %d more, %v", len(r.Findings), r.More, err)
	}
	files = plain()
	most := len(files["bag-info.txt"] + files["bagit.txt"] + files["data/a"] + files["data/b/c"] + files["manifest-sha256.txt"] + files["manifest-sha512.txt"])
	if diff := cmp.Diff([]string{"unreadable manifest-sha512.txt"}, check(t, folder(files), bag.Options{MaxOctets: int64(most - 1)})); diff != "" {
		t.Error(diff)
	}
	if found := check(t, folder(files), bag.Options{MaxOctets: int64(most)}); found != nil {
		t.Error(found) // tag manifests are listed nowhere
	}
	files["bag-info.txt"] += strings.Repeat("a: b\n", 10_000)
	tag(files)
	if diff := cmp.Diff([]string{"malformed bag-info.txt"}, check(t, folder(files), bag.Options{Fast: true})); diff != "" {
		t.Error(diff)
	}
	if _, err := bag.Check(t.Context(), crowd{}, bag.Options{}); err == nil {
		t.Error("more than a million files are looked at")
	}
	n := 0
	for _, err := range bag.Manifest(strings.NewReader(strings.Repeat("00 a\n", 2<<20)), 1) {
		if n++; (err != nil) != (n == 1<<20+1) {
			t.Fatalf("line %d: %v", n, err)
		}
	}
	if n != 1<<20+1 {
		t.Errorf("%d lines are read", n)
	}
}

// crowd is a folder of very many files.
type crowd struct{ fstest.MapFS }

func (crowd) ReadDir(string) ([]fs.DirEntry, error) {
	list := make([]fs.DirEntry, 1<<20+1)
	for i := range list {
		list[i] = fs.FileInfoToDirEntry(named(fmt.Sprint(i)))
	}
	return list, nil
}

// named is a file that is empty.
type named string

func (n named) Name() string     { return string(n) }
func (named) Size() int64        { return 0 }
func (named) Mode() fs.FileMode  { return 0 }
func (named) ModTime() time.Time { return time.Time{} }
func (named) IsDir() bool        { return false }
func (named) Sys() any           { return nil }

// ending cancels when a file is opened.
type ending struct {
	fs.FS
	at     string
	cancel func()
}

func (e ending) Open(name string) (fs.File, error) {
	if name == e.at {
		e.cancel()
	}
	return e.FS.Open(name)
}

// TestCheckCancelled: what was cancelled has no result, wherever it was.
func TestCheckCancelled(t *testing.T) {
	for _, at := range []string{".", "data", "bagit.txt", "manifest-sha512.txt", "bag-info.txt", "data/a", "manifest-sha256.txt"} {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := bag.Check(ctx, ending{folder(plain()), at, cancel}, bag.Options{})
		if r != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, %v", at, r, err)
		}
		cancel()
	}
}

// TestFinding: what a bag calls its files is not printed as it is.
func TestFinding(t *testing.T) {
	for _, f := range []bag.Finding{{bag.Missing, "data/\x1b[2J", ""}, {bag.Missing, "data/\x1b[2J", "why"}} {
		if s := f.String(); strings.Contains(s, "\x1b") || !strings.HasPrefix(s, `missing: "data/\x1b[2J"`) || !strings.HasSuffix(s, f.Detail) {
			t.Errorf("%q", s)
		}
	}
}
