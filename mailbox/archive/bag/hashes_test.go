package bag_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sealmail/sealmail/mailbox/archive/bag"
)

// TestWriterSums writes files of sizes about those that are hashed at once, in pieces of all sizes: the checksums are those of the files.
func TestWriterSums(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	sink := &memory{files: map[string]string{}}
	w, err := bag.NewWriter(sink)
	if err != nil {
		t.Fatal(err)
	}
	var want []bag.File
	for i, size := range []int{0, 1, 256<<10 - 30, 5, 256 << 10, 0, 700 << 10, 3, 100 << 10, 200 << 10} {
		data := make([]byte, size)
		for j := range data {
			data[j] = byte(random.Uint32())
		}
		want = append(want, bag.File{Name: fmt.Sprintf("data/%d", i), Size: int64(size), SHA512: sha512.Sum512(data), SHA256: sha256.Sum256(data)})
		f, err := w.Create(fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		for len(data) > 0 {
			n := min(len(data), 1+random.IntN(300<<10))
			piece := bytes.Clone(data[:n])
			if _, err := f.Write(piece); err != nil {
				t.Fatal(err)
			}
			clear(piece) // which is the caller's again
			data = data[n:]
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if i%4 == 3 {
			if last, ok := w.Last(); !ok || last != want[i] {
				t.Errorf("%s: the last file is %s", want[i].Name, last.Name)
			}
		}
	}
	for i, f := range w.Files() {
		if f != want[i] {
			t.Errorf("%s has other checksums", f.Name)
		}
	}
}
