package archive_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

// TestSegmentByHand checks segments with programs that know nothing of archives: each is a ZIP file, and a bag by a checker that was
// written from RFC 8493 alone.
func TestSegmentByHand(t *testing.T) {
	checker, err := filepath.Abs(filepath.Join("..", "..", "testdata", "bagit", "check.sh"))
	if err != nil {
		t.Fatal(err)
	}
	w := filled(t)
	segments := w.open().Segments()
	if segments < 2 {
		t.Fatalf("%d segments", segments)
	}
	for n := 1; n <= segments; n++ {
		name := fmt.Sprintf("%06d", n)
		file := filepath.Join(w.dir, "seg", name+".zip")
		to := t.TempDir()
		peertest.Run(t, "unzip", "-q", file, "-d", to)
		peertest.Run(t, "sh", checker, filepath.Join(to, name))
	}
}
