package cms_test

import (
	"bytes"
	"crypto"
	"errors"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
)

func TestContentDigest(t *testing.T) {
	d, err := cms.NewContentDigest(crypto.SHA256, crypto.SHA512, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"a", "", "bc"} {
		if n, err := d.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA512} {
		if sum, ok := d.Sum(h); !ok || !bytes.Equal(sum, hashOf(h, []byte("abc"))) {
			t.Errorf("%v: %x, %v", h, sum, ok)
		}
	}
	if _, ok := d.Sum(crypto.SHA384); ok || d.Size() != 3 {
		t.Errorf("a sum that was not asked for, or size %d", d.Size())
	}
	for _, h := range []crypto.Hash{crypto.MD5, crypto.SHA3_256, 0} {
		if _, err := cms.NewContentDigest(h); !errors.As(err, new(*cms.UnsupportedError)) {
			t.Errorf("%v: %v", h, err)
		}
	}
}

func TestAttributesAsContent(t *testing.T) {
	set := newDraft(testP256()).set()
	long := newDraft(testP256())
	long.add(oidUnknown, append([]byte{4, 0x82, 1, 0}, make([]byte, 256)...))
	for name, tt := range map[string]struct {
		content []byte
		want    bool
	}{
		"attributes":             {set, true},
		"long ones":              {long.set(), true},
		"shortest":               {[]byte{0x31, 3, 0x30, 1, 6}, true},
		"one octet less":         {set[:len(set)-1], false},
		"one octet more":         {append(bytes.Clone(set), 0), false},
		"empty":                  {nil, false},
		"empty set":              {[]byte{0x31, 0}, false},
		"set of something else":  {[]byte{0x31, 3, 0x30, 1, 5}, false},
		"set of no sequence":     {[]byte{0x31, 3, 0x04, 1, 6}, false},
		"sequence":               {append([]byte{0x30}, set[1:]...), false},
		"text that starts alike": {[]byte("1+0)\x06 is no MIME entity, but all text that comes near it"), false},
	} {
		for _, step := range []int{1, 1 << 20} {
			d, err := cms.NewContentDigest(crypto.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			for rest := tt.content; len(rest) > 0; {
				n := min(step, len(rest))
				_, _ = d.Write(rest[:n])
				rest = rest[n:]
			}
			if got := d.AttributesAsContent(); got != tt.want {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
}
