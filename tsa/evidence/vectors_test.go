package evidence_test

import (
	"bytes"
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// TestByHand reads the records that were made by hand: see testdata/by-hand/README.md.
func TestByHand(t *testing.T) {
	in := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", "by-hand", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	o := evidence.VerifyOptions{
		Path: tsatest.Path(tsatest.ReadPEM(t, filepath.Join("testdata", "by-hand", "root.pem"))), At: tsatest.Now().AddDate(50, 0, 0),
	}
	for _, tt := range []struct {
		record string
		whole  bool
		files  []string
	}{
		{"1.ers", false, []string{"1.txt"}},
		{"2.ers", true, []string{"2c.txt", "2a.txt", "2b.txt"}},
		{"3.ers", false, []string{"3.txt"}},
	} {
		der := in(tt.record)
		r, err := evidence.Parse(der)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := r.Marshal(); err != nil || !bytes.Equal(again, der) {
			t.Errorf("%s is written as other octets: %v", tt.record, err)
		}
		var list [][]byte
		for _, name := range tt.files {
			list = append(list, in(name))
		}
		o.Whole = tt.whole
		result, err := r.Verify(digestsOf(list...), o)
		if err != nil || len(result.TimeStamps) != 1 || result.TimeStamps[0].Hash != crypto.SHA256 {
			t.Errorf("%s: %v, %v", tt.record, result, err)
		}
	}
	// A tree of ours over the same objects has the same root, so that the token that was made by hand stands over it.
	tree, err := evidence.NewTree(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var group [][]byte
	for _, name := range []string{"2a.txt", "2b.txt", "2c.txt"} {
		group = append(group, digest(crypto.SHA256, in(name)))
	}
	for _, digests := range [][][]byte{{digest(crypto.SHA256, in("1.txt"))}, group, {digest(crypto.SHA256, in("3.txt"))}} {
		if _, err := tree.Add(digests...); err != nil {
			t.Fatal(err)
		}
	}
	h2abc := father(group...)
	if want := father(father(digest(crypto.SHA256, in("1.txt")), h2abc), digest(crypto.SHA256, in("3.txt"))); !bytes.Equal(tree.Root(), want) {
		t.Errorf("root %x, not %x", tree.Root(), want)
	}
	r, err := evidence.Parse(in("3.ers"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Stamp(r.Chains[0][0].TimeStamp); err != nil {
		t.Error(err)
	}
}

// TestCollectionsByHand derives, from the record of the first object of a collection, those that were made by hand for each of
// them, octet by octet: see testdata/collections/README.md.
func TestCollectionsByHand(t *testing.T) {
	in := func(name string, number int, suffix string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", "collections", fmt.Sprint(name, number, suffix)))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	o := evidence.VerifyOptions{
		Path: tsatest.Path(tsatest.ReadPEM(t, filepath.Join("testdata", "collections", "root.pem"))), At: tsatest.Now().AddDate(50, 0, 0), Whole: true,
	}
	for name, n := range map[string]int{"a": 5, "b": 2} {
		var list [][]byte
		for i := range n {
			list = append(list, in(name, i+1, ".txt"))
		}
		first, err := evidence.Parse(in(name, 1, ".ers"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := first.Collection(digestsOf(list...))
		if err != nil {
			t.Fatal(err)
		}
		if result, err := c.Verify(o); err != nil || len(result.TimeStamps) != 4 {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
		for i, object := range list {
			r, err := c.Record(i)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(mustMarshal(t, r), in(name, i+1, ".ers")) {
				t.Errorf("%s%d.ers is another record", name, i+1)
			}
			if _, err := again(t, r).Verify(digestsOf(object), o); err != nil {
				t.Errorf("%s%d: %v", name, i+1, err)
			}
		}
	}
}
