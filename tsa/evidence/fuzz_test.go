package evidence_test

import (
	"bytes"
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// FuzzParse: what is accepted is written as the same octets, and nothing but its own data object is proven.
func FuzzParse(f *testing.F) {
	s := newStamper(f)
	for _, der := range append(recordFiles(f), mustMarshal(f, evidence.NewRecord(s.stamp(treeOf(f, crypto.SHA256, objects(5)), tsatest.Now()).ArchiveTimeStamp(0)))) {
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := evidence.Parse(der)
		if err != nil {
			var token *tsa.TokenError
			if !errors.Is(err, evidence.ErrMalformed) && !errors.Is(err, evidence.ErrTooLarge) && !errors.Is(err, evidence.ErrVersion) &&
				!errors.Is(err, evidence.ErrHash) && !errors.As(err, &token) {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := r.Marshal()
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("%x is written as %x, %v", der, again, err)
		}
		o := s.options()
		if _, err := r.Verify(digestsOf([]byte("something that was never stamped")), o); err == nil {
			t.Error("it proves anything")
		}
	})
}

func mustMarshal(t testing.TB, r *evidence.Record) []byte {
	t.Helper()
	der, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// recordFiles are the records in testdata.
func recordFiles(t testing.TB) (list [][]byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*", "*.ers"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		der, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, der)
	}
	return list
}
