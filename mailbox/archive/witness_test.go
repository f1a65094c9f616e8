package archive_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// putBack puts the whole folder back to a copy of it.
func (w *world) putBack(from string) {
	w.t.Helper()
	if err := errors.Join(os.RemoveAll(w.dir), os.CopyFS(w.dir, os.DirFS(from))); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) copy() (to string) {
	w.t.Helper()
	to = w.t.TempDir()
	if err := os.CopyFS(to, os.DirFS(w.dir)); err != nil {
		w.t.Fatal(err)
	}
	return to
}

// TestWitness puts archives back, whole and in part. What cannot be seen in the folder itself, a witness shows.
func TestWitness(t *testing.T) {
	w := filled(t)
	before := w.copy()
	_, older := w.open().Head()
	if _, err := w.add(t.Context(), safeio.Disk{}, 8, 9); err != nil {
		t.Fatal(err)
	}
	after := w.copy()
	_, newer := w.open().Head()
	check := func(name string, witness []byte, want string) {
		t.Helper()
		v := w.trusting(archive.Quick)
		v.Witness = witness
		s, findings := w.verify(v)
		if got := strings.Join(told(findings), ", "); got != want || s.WitnessChecked != (witness != nil) {
			t.Errorf("%s: %q, want %q: %+v", name, got, want, findings)
		}
		a := w.open()
		if err := a.CheckWitness(t.Context(), witness); witness != nil && strings.Contains(want, "rolled-back") != errors.Is(err, archive.ErrWitness) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("gone on", older, "")
	check("the same", newer, "")
	w.putBack(before)
	check("put back, and nobody has a witness", nil, "")
	check("put back", newer, "rolled-back")
	check("put back to the witness", older, "")
	w.putBack(after)
	w.put("head", older)
	check("only the head put back", nil, "left-behind")
	check("only the head put back", newer, "left-behind, rolled-back")
	w.putBack(before)
	if _, err := w.add(t.Context(), safeio.Disk{}, 8, 9); err != nil {
		t.Fatal(err)
	}
	check("put back, and gone on from there", newer, "rolled-back")
	check("put back, and gone on from there, and nobody knew of more", older, "")
	_, here := w.open().Head()
	a := w.open()
	if err := a.Forge(t.Context(), w.signer, func(*archive.Head) {}); err != nil {
		t.Fatal(err)
	}
	_, later := a.Head()
	w.put("head", here)
	check("put back by a head that says nothing new", later, "rolled-back")
	if err := w.open().Forge(t.Context(), w.signer, func(*archive.Head) {}); err != nil {
		t.Fatal(err)
	}
	check("gone on twice from the same", later, "rolled-back")
	_, another := filled(t).open().Head()
	check("the witness of another one", another, "rolled-back")
	if err := w.open().CheckWitness(t.Context(), another[1:]); err == nil || errors.Is(err, archive.ErrWitness) {
		t.Errorf("no witness: %v", err)
	}
	v := w.trusting(archive.Quick)
	v.Witness = []byte("no head")
	if _, err := archive.Verify(t.Context(), w.storage(safeio.Disk{}), w.options(), v, nil); err == nil {
		t.Error("what is no witness was taken for one")
	}
}
