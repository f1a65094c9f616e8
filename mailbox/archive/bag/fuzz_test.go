package bag_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sealmail/sealmail/mailbox/archive/bag"
)

// FuzzManifest: whatever a manifest says, its paths stay in the bag, it reads the same however it comes in, and so does what is
// written of it.
func FuzzManifest(f *testing.F) {
	for _, line := range []string{"", "00 data/a\n", "00 data/a", "0g data/a\n", "00\t data/%0A%0d%25\r\nff  data/b\r11 ../x\n", "00 *data/a\n", "\\00 data/a\\\\\n",
		"00 data/%2e%2e/x\n", "\ufeff00 data/a\n", "00 data/\xff\n", "00 " + strings.Repeat("n", 20<<10) + "\n"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read := func(text []byte, slow bool) (all []string) {
			r := bytes.NewReader(text)
			list := bag.Manifest(r, 1)
			if slow {
				list = bag.Manifest(iotest.OneByteReader(r), 1)
			}
			for e, err := range list {
				var line *bag.LineError
				if err != nil && !errors.As(err, &line) {
					t.Fatalf("%q: %v", text, err)
				}
				if err == nil && (!fs.ValidPath(e.Name) || path.Clean(e.Name) != e.Name || strings.ContainsAny(e.Name, "\\\x00") || len(e.Sum) != 1) {
					t.Errorf("%q is taken: %x", e.Name, e.Sum)
				}
				all = append(all, fmt.Sprintf("%x %q %v", e.Sum, e.Name, err))
			}
			return all
		}
		at, slow := read(text, false), read(text, true)
		if a, b := fmt.Sprint(at), fmt.Sprint(slow); a != b {
			t.Errorf("%q: %s at once, and %s octet by octet", text, a, b)
		}
		for e, err := range bag.Manifest(bytes.NewReader(text), 1) {
			if err != nil {
				continue
			}
			line := fmt.Sprintf("%x  %s\n", e.Sum, strings.NewReplacer("%", "%25", "\n", "%0A", "\r", "%0D").Replace(e.Name))
			if again := read([]byte(line), false); len(again) != 1 || again[0] != fmt.Sprintf("%x %q %v", e.Sum, e.Name, nil) {
				t.Errorf("%q reads as %v", line, again)
			}
		}
	})
}

// FuzzCheck has tag files that say anything: Check ends, and says that the bag is valid only where it can be.
func FuzzCheck(f *testing.F) {
	files := plain()
	f.Add(files["bagit.txt"], files["bag-info.txt"], files["manifest-sha512.txt"], files["tagmanifest-sha512.txt"], "https://example.org/a - data/a\n")
	f.Add("", "a:\n b", "x", "y\r", "z z z")
	f.Fuzz(func(t *testing.T, declaration, info, manifest, tags, fetch string) {
		files := map[string]string{"bagit.txt": declaration, "bag-info.txt": info, "manifest-sha512.txt": manifest,
			"tagmanifest-sha512.txt": tags, "fetch.txt": fetch, "data/a": "one", "data/b/c": "three"}
		r, err := bag.Check(t.Context(), folder(files), bag.Options{})
		if err != nil {
			t.Fatal(err)
		}
		lower := strings.ToLower(manifest)
		if r.Valid() && (!strings.Contains(lower, sum512("one")) || !strings.Contains(lower, sum512("three")) || !strings.Contains(manifest, "data/b/c")) {
			t.Errorf("valid: %q", manifest)
		}
	})
}
