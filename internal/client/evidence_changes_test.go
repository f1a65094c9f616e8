package client_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
)

// TestEvidenceIsNotReplaced has the record of a file appear while the timestamp for it is asked for: it may prove an earlier
// time.
func TestEvidenceIsNotReplaced(t *testing.T) {
	w := newWorld(t)
	const other = "the record of somebody else"
	var appears atomic.Bool
	url := w.stamps(func() time.Time {
		if appears.Load() {
			w.write("file.ers", other)
		}
		return now()
	})
	file := w.write("file", "text")
	appears.Store(true)
	lines, err := evidenceLines(w.client().CreateEvidence(t.Context(), client.EvidenceParams{Paths: []string{file},
		Stamp: client.StampParams{TSA: []string{url}, TSATrust: []string{w.in("ca/root.pem")}, Hash: "sha256"}}))
	if err == nil || client.KindOf(err) != client.Failed || !strings.Contains(err.Error(), "file.ers") || len(lines) != 0 {
		t.Errorf("told %v, %v", lines, err)
	}
	if now, err := os.ReadFile(w.in("file.ers")); err != nil || string(now) != other {
		t.Errorf("it is %.40q now, %v", now, err)
	}
}

// TestFileChangesWhileRenewed has a file change right after it was held against its record: a record that goes over another
// content from then on would prove neither.
func TestFileChangesWhileRenewed(t *testing.T) {
	var changes atomic.Bool
	w := &world{t: t, dir: t.TempDir()}
	lists := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if changes.Swap(false) {
			w.write("file", "another text")
		}
		http.NotFound(rw, r)
	}))
	defer lists.Close()
	if _, err := client.CAInit(t.Context(), w.options(), client.CAInitParams{Dir: w.in("ca"), Name: "Test", Key: "p256", Days: 3650, Unprotected: true, BaseURL: lists.URL}); err != nil {
		t.Fatal(err)
	}
	url := w.stamps(now)
	p := client.EvidenceParams{Paths: []string{w.write("file", "text")},
		Stamp: client.StampParams{TSA: []string{url}, TSATrust: []string{w.in("ca/root.pem")}, Hash: "sha256"}}
	if _, err := evidenceLines(w.client().CreateEvidence(t.Context(), p)); err != nil {
		t.Fatal(err)
	}
	record, err := os.ReadFile(w.in("file.ers"))
	if err != nil {
		t.Fatal(err)
	}
	p.HashTree, p.Stamp.Hash = true, "sha512"
	changes.Store(true)
	lines, err := evidenceLines(w.client().RenewEvidence(t.Context(), p))
	if err == nil || client.KindOf(err) != client.Failed || changes.Load() {
		t.Errorf("told %+v, %v", lines, err)
	}
	if now, err := os.ReadFile(w.in("file.ers")); err != nil || string(now) != string(record) {
		t.Errorf("the record is another now, %v", err)
	}
}
