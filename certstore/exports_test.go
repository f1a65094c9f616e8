package certstore_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/safeio"
)

// TestExports: what was recorded is there, the oldest first, and what cannot be read is told and not left out.
func TestExports(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	if list, problems, err := h.store.Exports(); len(list)+len(problems) > 0 || err != nil {
		t.Fatalf("%v, %v, %v", list, problems, err)
	}
	alice := issue(t, nil, "Alice", newKey(t), forMail("alice@example.org", nil))
	var want []certstore.Export
	for i := range 3 {
		want = append(want, certstore.NewExport(alice.cert, fmt.Sprintf("/tmp/%d.p12", i), "pkcs12", "alice on this machine", now().Add(time.Duration(-i)*time.Hour)))
		for range 2 { // the same at the same moment is two exports
			if err := h.store.RecordExport(want[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want[0].Fingerprint != certstore.Fingerprint(alice.cert) || want[0].Key != certstore.KeyFingerprint(alice.cert) || !slices.Equal(want[0].Addresses, []string{"alice@example.org"}) {
		t.Errorf("%+v", want[0])
	}
	list, problems, err := h.store.Exports()
	if diff := cmp.Diff([]certstore.Export{want[2], want[2], want[1], want[1], want[0], want[0]}, list); diff != "" || len(problems) > 0 || err != nil {
		t.Errorf("%v, %v\n%s", problems, err, diff)
	}
	write(t, h.path("exports", "odd.json"), []byte("{"))
	write(t, h.path("exports", "of-nothing.json"), []byte(`{"version":1}`))
	write(t, h.path("exports", "newer.json"), []byte(`{"version":9,"fingerprint":"`+want[0].Fingerprint+`"}`))
	if list, problems, err := h.store.Exports(); len(list) != 6 || len(problems) != 3 || err != nil {
		t.Errorf("%d, %v, %v", len(list), problems, err)
	}
}

// TestExportFaults makes every step of recording fail: either there is an error or there is the record, and a record is
// whole.
func TestExportFaults(t *testing.T) {
	alice := issue(t, nil, "Alice", newKey(t), forMail("alice@example.org", nil))
	errFault := errors.New("no space left")
	for step := 1; ; step++ {
		count := 0
		h := newHome(t, safeio.Disk{Before: func(string, string) error {
			if count++; count == step {
				return errFault
			}
			return nil
		}})
		err := h.store.RecordExport(certstore.NewExport(alice.cert, "/tmp/x.p12", "pkcs12", "", now()))
		list, problems, listErr := h.store.Exports()
		if listErr != nil || len(problems) > 0 {
			t.Fatalf("step %d: %v, %v", step, problems, listErr)
		}
		if err == nil {
			if len(list) != 1 || step <= 4 {
				t.Fatalf("%d records after %d steps", len(list), step)
			}
			return
		}
		if !errors.Is(err, errFault) {
			t.Fatalf("step %d: %v", step, err)
		}
	}
}

// TestExportsAreForTheOwner: who else uses the machine does not learn where keys lie.
func TestExportsAreForTheOwner(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	alice := issue(t, nil, "Alice", newKey(t), forMail("alice@example.org", nil))
	if err := h.store.RecordExport(certstore.NewExport(alice.cert, "/tmp/x.p12", "pkcs12", "", now())); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(h.path("exports"), func(path string, entry fs.DirEntry, err error) error {
		info, statErr := os.Stat(path)
		if err == nil && statErr == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return errors.Join(err, statErr)
	})
	if err != nil {
		t.Fatal(err)
	}
}
