package archive_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sealmail/sealmail/mailbox/archive"
)

// TestVerifyForged has who holds the archiving key alter the archive and sign that: what then does not fit together is found.
func TestVerifyForged(t *testing.T) {
	w := filled(t)
	whole := w.copy()
	other := filled(t) // by somebody else, with the same messages
	forge := func(change func(h *archive.Head)) {
		t.Helper()
		a := w.open()
		if err := a.Forge(t.Context(), w.signer, change); err != nil {
			t.Fatal(err)
		}
	}
	put := func(h *archive.Head, name string, content []byte) {
		w.put(name, content)
		h.List(name, content)
	}
	// segment exchanges the ZIP file of a segment, with its signature.
	segment := func(h *archive.Head, n int, name string, content []byte) {
		t.Helper()
		put(h, name, content)
		signature, err := archive.SignSegment(t.Context(), w.signer, content, n)
		if err != nil {
			t.Fatal(err)
		}
		put(h, strings.Replace(name, ".zip", ".p7s", 1), signature)
	}
	two := "seg/000002.zip"
	at, _ := w.within(two, "000000000005.commit")
	for _, test := range []struct {
		name   string
		change func(h *archive.Head)
		want   string // by codes, but what the time-stamps have to say
	}{
		{"nothing", func(*archive.Head) {}, ""},
		{"more messages", func(h *archive.Head) { h.Messages++ }, "head-inconsistent"},
		{"fewer messages", func(h *archive.Head) { h.Messages-- }, "head-inconsistent"},
		{"a segment more", func(h *archive.Head) { h.Segments++ }, "head-inconsistent, object-missing, time-stamp-missing"},
		{"a segment less", func(h *archive.Head) { h.Segments-- }, "head-inconsistent"},
		{"a statement more", func(h *archive.Head) { h.Statements++ }, "head-inconsistent"},
		{"no README", func(h *archive.Head) { h.List("README.txt", nil) }, "head-inconsistent, left-behind"},
		{"no signature", func(h *archive.Head) { h.List("seg/000001.p7s", nil) }, "head-inconsistent, left-behind"},
		{"no time-stamp", func(h *archive.Head) { h.List("seg/000001.tst", nil) }, "head-inconsistent, left-behind, time-stamp-missing"},
		{"no keys", func(h *archive.Head) { h.List("keys/000001.k01", nil) }, "head-inconsistent, left-behind"},
		{"keys twice", func(h *archive.Head) { put(h, "keys/000001.k02", w.get("keys/000001.k01")) }, "head-inconsistent"},
		{"something else", func(h *archive.Head) { put(h, "seg/something", []byte("x")) }, "head-inconsistent"},
		{"a renewal that was none", func(h *archive.Head) { put(h, "seg/000001.r01.ers", w.get("seg/000001.ers")) }, "head-inconsistent"},
		{"another archive's segment", func(h *archive.Head) { segment(h, 2, two, other.get(two)) }, "chain-broken, evidence-refused, message-altered 4-6, segment-altered, time-stamp-refused"},
		{"the first segment once more", func(h *archive.Head) {
			segment(h, 2, two, bytes.ReplaceAll(w.get(first), []byte("000001/"), []byte("000002/")))
		}, "chain-broken, evidence-refused, message-altered 1-3, segment-altered, time-stamp-refused"},
		{"another commitment", func(h *archive.Head) {
			data := w.get(two)
			data[at] ^= 1
			segment(h, 2, two, data)
		}, "chain-broken, evidence-refused, message-altered 5-5, time-stamp-refused"},
		{"numbers that are left out", func(h *archive.Head) {
			data := w.get("seg/000003.zip")
			from, size := w.within("seg/000003.zip", "bag-info.txt")
			h.Messages = 8
			segment(h, 3, "seg/000003.zip", recount(data, bytes.Replace(data, []byte("Message-Numbers: 7-7"), []byte("Message-Numbers: 8-8"), 1), from, size))
		}, "chain-broken, evidence-refused, message-missing 8-8, segment-altered, time-stamp-refused"},
		{"a signature over something else", func(h *archive.Head) { put(h, "seg/000002.p7s", w.get("seg/000001.p7s")) }, "evidence-refused, signature-refused, time-stamp-refused"},
		{"keys of another segment", func(h *archive.Head) { put(h, "keys/000002.k01", w.get("keys/000001.k01")) }, "keys-altered"},
		{"a description of another archive", func(h *archive.Head) { put(h, "archive.json", other.get("archive.json")) }, "head-inconsistent"},
	} {
		w.putBack(whole)
		forge(test.change)
		s, findings := w.verify(w.trusting(archive.Full))
		if got := strings.Join(told(findings), ", "); got != test.want {
			t.Errorf("%s: %s, want %s\n%+v", test.name, got, test.want, findings)
		}
		if s.Sound() != (test.want == "") {
			t.Errorf("%s: %+v", test.name, s)
		}
	}
}
