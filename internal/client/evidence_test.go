package client_test

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/safeio"
)

// evidenceLines are what is told of records, until an error.
func evidenceLines(records iter.Seq2[client.EvidenceLine, error]) (lines []client.EvidenceLine, err error) {
	for line, err := range records {
		if err != nil {
			return lines, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// TestEvidenceDiskFails has the disk fail at every step of making and of renewing records, one after the other. Whatever is
// there then holds; what was told is there; and the next run does the rest.
func TestEvidenceDiskFails(t *testing.T) {
	errFault := errors.New("no space left")
	w := newWorld(t)
	url := w.stamps(now)
	const files = 3
	steps := 0
	for fault := 1; ; fault++ {
		dir := filepath.Join(w.dir, fmt.Sprint("docs", fault))
		for i := range files {
			if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte{byte(i)}, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		p := client.EvidenceParams{Paths: []string{dir}, Stamp: client.StampParams{TSA: []string{url}, TSATrust: []string{w.in("ca/root.pem")}, Hash: "sha256"}}
		run := func(disk safeio.Disk, use func(*client.Client, client.EvidenceParams) iter.Seq2[client.EvidenceLine, error]) ([]client.EvidenceLine, error) {
			o := w.options()
			o.Disk = disk
			c, err := client.New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			return evidenceLines(use(c, p))
		}
		create := func(c *client.Client, p client.EvidenceParams) iter.Seq2[client.EvidenceLine, error] {
			return c.CreateEvidence(t.Context(), p)
		}
		renew := func(c *client.Client, p client.EvidenceParams) iter.Seq2[client.EvidenceLine, error] {
			return c.RenewEvidence(t.Context(), p)
		}
		verify := func(c *client.Client, p client.EvidenceParams) iter.Seq2[client.EvidenceLine, error] {
			return c.VerifyEvidence(t.Context(), p)
		}
		step := 0
		faulty := safeio.Disk{Before: func(string, string) error {
			if step++; step == fault {
				return errFault
			}
			return nil
		}}
		// holds makes sure that what is there is good, and what was told is there; missing says that some need not be.
		holds := func(told []client.EvidenceLine, missing bool) {
			t.Helper()
			lines, err := run(safeio.Disk{}, verify)
			if err != nil || len(lines) != files {
				t.Fatalf("step %d: %d lines, %v", fault, len(lines), err)
			}
			for _, line := range lines {
				i := slices.IndexFunc(told, func(l client.EvidenceLine) bool { return l.Record == line.Record })
				switch {
				case line.Status == "passed" && (i < 0 || len(told[i].TimeStamps) == len(line.TimeStamps)):
				case line.Status == "indeterminate" && *line.Code == "record-missing" && missing && i < 0:
				default:
					t.Errorf("step %d: %+v", fault, line)
				}
			}
		}
		told, failure := run(faulty, create)
		if failure != nil && !errors.Is(failure, errFault) {
			t.Fatal(failure)
		}
		holds(told, true)
		if _, err := run(safeio.Disk{}, create); err != nil {
			t.Fatal(err)
		}
		holds(told, false)
		if failure == nil {
			if told, failure = run(faulty, renew); failure != nil && !errors.Is(failure, errFault) {
				t.Fatal(failure)
			}
			holds(told, false)
		}
		if failure == nil {
			steps = fault - 1
			break
		}
	}
	if steps < 2*files {
		t.Errorf("only %d steps failed", steps)
	}
}

// TestEvidenceUnwritable has records go to a folder that cannot be written, or is full: it is named, and not a file beside the
// record of which nobody knows.
func TestEvidenceUnwritable(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.dir, "docs")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o600)); err != nil {
		t.Fatal(err)
	}
	stamp := client.StampParams{TSA: []string{w.stamps(now)}, TSATrust: []string{w.in("ca/root.pem")}, Hash: "sha256"}
	for _, c := range []struct {
		cause error
		hint  string
	}{
		{syscall.EROFS, "name another folder for the records, with --records"},
		{syscall.ENOSPC, "make room on the disk, and try again: records that are there stay"},
	} {
		o := w.options()
		o.Disk = safeio.Disk{Before: func(_, path string) error { return &fs.PathError{Op: "open", Path: path, Err: c.cause} }}
		cl, err := client.New(o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = evidenceLines(cl.CreateEvidence(t.Context(), client.EvidenceParams{Paths: []string{dir}, Records: dir, Stamp: stamp}))
		cl.Close()
		told, ok := errors.AsType[*client.Error](err)
		if want := "a record cannot be written: " + c.cause.Error(); !ok || told.What != dir || told.Err.Error() != want || told.Hint != c.hint {
			t.Errorf("%v: %#v", c.cause, err)
		}
	}
}
