package archive_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// within returns where the content of a file in a segment's ZIP file begins, and how long it is.
func (w *world) within(segment, file string) (at, size int64) {
	w.t.Helper()
	data := w.get(segment)
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, file) {
			at, err := f.DataOffset()
			if err != nil {
				w.t.Fatal(err)
			}
			return at, int64(f.UncompressedSize64)
		}
	}
	w.t.Fatalf("%s: there is no %s", segment, file)
	return 0, 0
}

// told is a finding in short: its code, and the messages it is about.
func told(findings []archive.Finding) (all []string) {
	for _, f := range findings {
		word := string(f.Code)
		if f.First > 0 {
			word += fmt.Sprintf(" %d-%d", f.First, f.Last)
		}
		if !slices.Contains(all, word) {
			all = append(all, word)
		}
	}
	slices.Sort(all)
	return all
}

const first = "seg/000001.zip"

// recount puts the right CRC of a file into the ZIP file in which it was altered.
func recount(data, altered []byte, at, size int64) []byte {
	was, is := crc32.ChecksumIEEE(data[at:at+size]), crc32.ChecksumIEEE(altered[at:at+size])
	return bytes.ReplaceAll(altered, binary.LittleEndian.AppendUint32(nil, was), binary.LittleEndian.AppendUint32(nil, is))
}

// TestVerifyNamesMessages damages a segment in many ways. The messages that are hit are named, and no others, by those who have
// the keys and by those who have not.
func TestVerifyNamesMessages(t *testing.T) {
	flip := func(at int64) func([]byte) []byte {
		return func(data []byte) []byte {
			data[at] ^= 4
			return data
		}
	}
	w := filled(t)
	whole := w.get(first)
	octets, size := w.within(first, "000000000002.eml.p7m")
	record, _ := w.within(first, "000000000003.json.p7m")
	commit, _ := w.within(first, "000000000001.commit")
	contents, _ := w.within(first, "contents.json.p7m")
	info, _ := w.within(first, "bag-info.txt")
	sums512, sums512Size := w.within(first, "/manifest-sha512.txt")
	tags, tagsSize := w.within(first, "tagmanifest-sha256.txt")
	directory := int64(bytes.Index(whole, []byte("PK\x01\x02")))
	for _, test := range []struct {
		name   string
		damage func([]byte) []byte
		want   string
	}{
		{"octets", flip(octets), "message-altered 2-2"},
		{"octets, and their CRC", func(data []byte) []byte { return recount(whole, flip(octets)(data), octets, size) }, "message-altered 2-2"},
		{"manifest, and its CRC", func(data []byte) []byte { return recount(whole, flip(sums512+9)(data), sums512, sums512Size) }, "manifest-altered"},
		{"tag manifest, and its CRC", func(data []byte) []byte { return recount(whole, flip(tags+9)(data), tags, tagsSize) }, "manifest-altered"},
		{"end of octets", flip(octets + size - 1), "message-altered 2-2"},
		{"record", flip(record + 50), "message-altered 3-3"},
		{"commitment", flip(commit + 5), "message-altered 1-1"},
		{"commitments", func(data []byte) []byte { return flip(commit + 5)(flip(octets)(data)) }, "message-altered 1-1, message-altered 2-2"},
		{"contents", flip(contents + 9), "segment-altered"},
		{"information", flip(info + 40), "segment-altered"},
		{"manifest", flip(sums512 + 9), "manifest-altered"},
		{"tag manifest", flip(tags + 9), "manifest-altered"},
		{"time in a local header", flip(octets - 52), "segment-altered"},
		{"local header", flip(octets - 60), "message-altered 2-2"},
		{"directory", flip(directory), "segment-altered"},
		{"no directory", func(data []byte) []byte { return data[:directory] }, "segment-altered"},
		{"no directory, and octets", func(data []byte) []byte { return flip(octets)(data)[:directory] }, "message-altered 2-2"},
		{"no directory, and no beginning of octets", func(data []byte) []byte { return flip(octets - 62)(data)[:directory] }, "message-missing 2-2"},
		{"half", func(data []byte) []byte { return data[:octets+10] }, "manifest-altered, message-missing 2-3, segment-altered"},
		{"something before it", func(data []byte) []byte { return append([]byte("something"), data...) }, "segment-altered"},
		{"empty", func([]byte) []byte { return nil }, "message-missing 1-3, segment-altered"},
		{"a hole", func(data []byte) []byte { clear(data[octets-62 : octets+size]); return data }, "message-altered 2-2"},
	} {
		w.put(first, test.damage(bytes.Clone(whole)))
		for _, o := range []archive.Options{w.options(), {Now: now}} {
			_, findings := w.verifyWith(w.storage(safeio.Disk{}), o, w.trusting(archive.Quick))
			var got []string
			for _, f := range findings {
				if f.Object != first || f.Segment != 1 || f.Severity != archive.Damage {
					t.Errorf("%s: %+v", test.name, f)
				}
				if f.Code == archive.MessageMissing && strings.HasPrefix(test.want, "message-altered") {
					f.Code = archive.MessageAltered // by the manifest or by the ZIP file
				}
				if f.Code != archive.ObjectAltered {
					got = append(got, told([]archive.Finding{f})...)
				}
			}
			slices.Sort(got)
			if list := strings.Join(slices.Compact(got), ", "); list != test.want {
				t.Errorf("%s, keys %t: %s, want %s\n%+v", test.name, o.Keeper != nil, list, test.want, findings)
			}
		}
		// Without the head, the segment's signature shows it.
		head := w.get("head")
		w.remove("head")
		s, findings := w.verify(w.trusting(archive.Quick))
		if !s.Headless || !strings.Contains(strings.Join(told(findings), ", "), test.want) {
			t.Errorf("%s, headless: %+v", test.name, findings)
		}
		w.put("head", head)
	}
	w.put(first, whole)
	if s, findings := w.verify(w.trusting(archive.Full)); !s.Sound() {
		t.Errorf("afterwards: %+v", findings)
	}
	w.remove(first)
	if _, findings := w.verify(w.trusting(archive.Quick)); strings.Join(told(findings), ", ") != "message-missing 1-3, object-missing" {
		t.Errorf("removed: %+v", findings)
	}
}

// TestVerifyLarge has a message whose size stands behind it in the ZIP file, and one that shares its octets from another segment.
func TestVerifyLarge(t *testing.T) {
	w := newWorld(t)
	w.create()
	a := w.open()
	writer, err := a.Write(t.Context(), w.write)
	if err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("Large: PK\x07\x08 PK\x03\x04\r\n", 100_000)
	for i, m := range []archive.Message{{}, {}, {Duplicate: 1}, {Duplicate: 2}} {
		m.Origin = archive.Origin{Folder: "INBOX", UIDValidity: 1, UID: uint32(i + 1)}
		m.Material = []archive.Material{{Kind: "crl", DER: []byte{0x30, 0}}}
		octets := large
		if i%2 == 1 {
			octets = "small"
		}
		if _, err := writer.Add(t.Context(), m, strings.NewReader(octets)); err != nil {
			t.Fatal(err)
		}
		if i == 1 || i == 3 {
			if _, err := writer.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if s, findings := w.verify(w.trusting(archive.Full)); !s.Sound() || s.Checked != 4 {
		t.Errorf("%+v, %+v", s, findings)
	}
	whole := w.get(first)
	directory := bytes.Index(whole, []byte("PK\x01\x02"))
	w.put(first, whole[:directory])
	s, findings := w.verify(w.trusting(archive.Full))
	if got := strings.Join(told(findings), ", "); s.Checked != 2 || got != "message-altered 3-4, object-altered, segment-altered" {
		t.Errorf("no directory: %+v, %+v", s, findings)
	}
	at, _ := w.withinOf(whole, "000000000001.eml.p7m")
	whole[at+1000] ^= 1
	w.put(first, whole)
	s, findings = w.verify(w.trusting(archive.Full))
	if got := strings.Join(told(findings), ", "); s.Checked != 2 || got != "message-altered 1-1, message-altered 3-3, object-altered" {
		t.Errorf("octets that are shared: %+v, %+v", s, findings)
	}
}

func (w *world) withinOf(data []byte, file string) (at, size int64) {
	w.t.Helper()
	w.put("seg/scratch", data)
	defer w.remove("seg/scratch")
	return w.within("seg/scratch", file)
}

// failing is a storage in which some octets cannot be read.
type failing struct {
	archive.Storage
	fails func(name string, from, to int64) error
}

func (s failing) Open(ctx context.Context, name string) (archive.Object, error) {
	if err := s.fails(name, -1, -1); err != nil {
		return nil, err
	}
	o, err := s.Storage.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return failingObject{o, name, s}, nil
}

type failingObject struct {
	archive.Object
	name string
	in   failing
}

func (o failingObject) ReadAt(p []byte, at int64) (int, error) {
	if err := o.in.fails(o.name, at, at+int64(len(p))); err != nil {
		return 0, err
	}
	return o.Object.ReadAt(p, at)
}

// TestVerifyUnreadable lets a sector of each object not be read, and lets objects not be opened: all is named, and nothing stops.
func TestVerifyUnreadable(t *testing.T) {
	w := filled(t)
	octets, size := w.within(first, "000000000002.eml.p7m")
	for _, name := range w.list() {
		for _, test := range []struct {
			err      error
			from, to int64
		}{{syscall.EIO, octets, octets + size}, {fs.ErrPermission, -1, -1}, {syscall.EIO, 0, 1}} {
			if name != first && test.from > 0 {
				continue
			}
			s := failing{w.storage(safeio.Disk{}), func(object string, from, to int64) error {
				if object == name && (from < 0) == (test.from < 0) && (from < 0 || from < test.to && to > test.from) {
					return test.err
				}
				return nil
			}}
			summary, findings := w.verifyWith(s, w.options(), w.trusting(archive.Full))
			if len(findings) == 0 || findings[0].Code != archive.ObjectUnreadable || findings[0].Object != name {
				t.Errorf("%s at %d: %+v", name, test.from, findings)
			}
			if got := strings.Join(told(findings), ", "); test.from > 0 && (got != "message-altered 2-2, object-unreadable" || summary.Checked != 6) {
				t.Errorf("%s: %+v, %+v", name, summary, findings)
			}
		}
	}
}

// TestVerifyHeadless takes the head, and what describes the archive: its segments speak for themselves.
func TestVerifyHeadless(t *testing.T) {
	w := filled(t)
	head, description := w.get("head"), w.get("archive.json")
	for _, test := range []struct {
		name string
		do   func()
		want string
	}{
		{"no head", func() { w.remove("head") }, "head-missing"},
		{"no words", func() { w.put("head", []byte("head")) }, "head-altered"},
		{"no description either", func() { w.remove("head"); w.remove("archive.json") }, "head-missing, object-missing"},
		{"another description", func() { w.remove("head"); w.put("archive.json", []byte("{}")) }, "head-missing, object-altered"},
		{"a segment is gone", func() {
			w.remove("head")
			for _, name := range w.list() {
				if strings.Contains(name, "/000002") {
					w.remove(name)
				}
			}
		}, "head-missing, object-missing"},
	} {
		test.do()
		s, findings := w.verify(w.trusting(archive.Full))
		if got := strings.Join(told(findings), ", "); got != test.want || !s.Headless {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if want := int64(7); s.Checked != want && test.name != "a segment is gone" {
			t.Errorf("%s: %d messages were opened", test.name, s.Checked)
		}
		w.put("head", head)
		w.put("archive.json", description)
	}
}

// TestVerifyTrust has the archive signed by somebody else, stamped with words that prove nothing, and not stamped at all.
func TestVerifyTrust(t *testing.T) {
	w := filled(t)
	v := w.trusting(archive.Full)
	other := certificate(t, "Archive")
	w.signer.Chain, other.Chain = other.Chain, w.signer.Chain
	if _, findings := w.verify(v); strings.Join(told(findings), ", ") != "signer-refused" || len(findings) != 4 {
		t.Errorf("another signer: %+v", findings)
	}
	w.signer.Chain = other.Chain

	w.write.Stamp = func(context.Context, []byte) ([]byte, error) { return []byte("lie"), nil }
	if _, err := w.add(t.Context(), safeio.Disk{}, 8, 8); err != nil {
		t.Fatal(err)
	}
	w.write.Stamp = w.trustedStamp()
	evidence := w.write.Evidence
	w.write.Evidence = func(ctx context.Context, leaves [][]byte) ([]byte, error) { return evidence(ctx, leaves[:1]) }
	if _, err := w.add(t.Context(), safeio.Disk{}, 9, 9); err != nil {
		t.Fatal(err)
	}
	w.write.Evidence = nil
	if _, err := w.add(t.Context(), safeio.Disk{}, 10, 10); err != nil {
		t.Fatal(err)
	}
	s, findings := w.verify(v)
	if got := strings.Join(told(findings), ", "); got != "evidence-refused, time-stamp-missing, time-stamp-refused" || s.Unstamped != 1 || len(findings) != 3 {
		t.Errorf("stamps: %+v, %+v", s, findings)
	}
	v.Level = archive.Quick // where the record stands for the signature alone
	if _, findings := w.verify(v); strings.Join(told(findings), ", ") != "time-stamp-missing, time-stamp-refused" {
		t.Errorf("stamps: %+v", findings)
	}
	stop := errors.New("stop")
	if _, err := archive.Verify(t.Context(), w.storage(safeio.Disk{}), w.options(), v, func(archive.Finding) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.Verify(ctx, w.storage(safeio.Disk{}), w.options(), v, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestVerifyExpired lets the archiving certificate expire: what was stamped before stays good, and the head is good for as much.
func TestVerifyExpired(t *testing.T) {
	w := filled(t)
	o := w.options()
	expired := w.signer.Chain[0].NotAfter.AddDate(1, 0, 0)
	o.Now = func() time.Time { return expired }
	s, findings := w.verifyWith(w.storage(safeio.Disk{}), o, w.trusting(archive.Full))
	if got := strings.Join(told(findings), ", "); got != "signer-expired" || !s.Sound() {
		t.Errorf("%+v", findings)
	}
	v := w.trusting(archive.Full)
	signer := v.Signer
	v.Signer = func(ctx context.Context, c *x509.Certificate, extra []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
		if at.After(now().Add(time.Hour)) {
			return nil, errors.New("revoked")
		}
		return signer(ctx, c, extra, at)
	}
	revoked := w.options()
	revoked.Now = func() time.Time { return now().AddDate(0, 1, 0) }
	if _, findings := w.verifyWith(w.storage(safeio.Disk{}), revoked, v); strings.Join(told(findings), ", ") != "signer-refused" || len(findings) != 1 || findings[0].Object != "head" {
		t.Errorf("revoked: %+v", findings)
	}
	v = w.trusting(archive.Full)
	v.Token, v.Evidence = nil, nil
	if _, findings := w.verifyWith(w.storage(safeio.Disk{}), o, v); strings.Join(told(findings), ", ") != "signer-refused" || len(findings) != 4 {
		t.Errorf("without times: %+v", findings)
	}
}
