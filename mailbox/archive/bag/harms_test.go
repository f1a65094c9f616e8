package bag_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"maps"
	"slices"
	"strings"
)

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

// harm is something that is done to a bag.
type harm struct {
	name string
	do   func(map[string]string)
	fast []string // found without checksums
	full []string // found besides with them
}

// harms harm plain in each way; some do no harm.
func harms() []harm {
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
	return []harm{
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
	}
}
