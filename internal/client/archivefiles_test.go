package client_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/maildir"
)

// oddMail are messages that a careless program alters, by their numbers.
func oddMail() []string {
	return []string{
		mail("plain", ""), mail("none", "")[:40], "no header at all\r\n", mail("from", "X: 1\r\n") + "From here on\r\n>From there\r\n",
		mail("octets", "") + "\xff\xfe\x00 \r alone\r\n", mail("long", "") + strings.Repeat("x", 1<<20+7) + "\r\n", mail("plain", ""),
	}
}

// fewMail are some of them, for what is done very often.
func fewMail() []string {
	odd := oddMail()
	return []string{odd[0], odd[3], odd[0]}
}

// archived makes an archive in safe of a folder with these messages, and returns the options of its account.
func (w *world) archived(messages []string) client.Options {
	w.t.Helper()
	o := w.account("bob", &folder{validity: 1, messages: messages, flags: []string{`\Seen`, "Work"}})
	_, err := client.CAIssue(w.t.Context(), o, client.CAIssueParams{Dir: w.in("ca"), Purpose: "archive", Key: "p256", Name: "Archive",
		Output: client.Output{Name: w.in("archive.pem")}})
	if err != nil {
		w.t.Fatal(err)
	}
	c := w.open(o)
	defer c.Close()
	if _, err = c.CertImport(w.t.Context(), client.CertImportParams{Files: []string{w.in("archive.pem")}}); err != nil {
		w.t.Fatal(err)
	}
	anchors, err := c.CertAnchors(w.in("ca/root.pem"))
	if err == nil {
		_, err = c.CertTrust(anchors, "mail")
	}
	if err != nil {
		w.t.Fatal(err)
	}
	result, err := c.ArchivePull(w.t.Context(), client.ArchivePullParams{To: w.in("safe"), NoTimestamp: true}, func(client.ArchiveLine) error { return nil })
	if err != nil || result.Archived != len(messages) {
		w.t.Fatalf("%+v, %v", result, err)
	}
	return o
}

func (w *world) open(o client.Options) *client.Client {
	w.t.Helper()
	c, err := client.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// names are what is in a folder.
func (w *world) names(dir string) (names []string) {
	w.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestArchiveExportIsExact: what comes out is what went in, octet for octet.
func TestArchiveExportIsExact(t *testing.T) {
	w := newWorld(t)
	c := w.open(w.archived(oddMail()))
	defer c.Close()
	for _, format := range []string{"eml", "bag"} {
		n := 0
		p := client.ArchiveExportParams{To: w.in(format), Format: format}
		result, err := c.ArchiveExport(t.Context(), p, func(l client.ArchiveExportLine) error {
			if n++; l.Number != int64(n) || l.Error != nil || *l.Size != int64(len(oddMail()[n-1])) {
				t.Errorf("line %d is %+v", n, l)
			}
			return nil
		})
		if err != nil || result.Exported != len(oddMail()) {
			t.Fatalf("%+v, %v", result, err)
		}
		dir := map[string]string{"eml": "eml", "bag": "bag/data/bob/INBOX"}[format]
		for i, want := range oddMail() {
			if got := w.read(filepath.Join(dir, fmt.Sprintf("%012d.eml", i+1))); got != want {
				t.Errorf("%s: message %d is %.100q, want %.100q", format, i+1, got, want)
			}
		}
	}
}

// TestArchiveExportUnfit: a message that a format cannot hold is named, and the others are exported; where there are no others, nothing
// is made.
func TestArchiveExportUnfit(t *testing.T) {
	w := newWorld(t)
	c := w.open(w.archived([]string{mail("one", ""), "Subject: two\n\nbare\n", mail("three", "")}))
	defer c.Close()
	for _, format := range []string{"mbox", "maildir"} {
		for _, only := range []bool{false, true} {
			p := client.ArchiveExportParams{To: w.in(fmt.Sprint(format, only)), Format: format}
			if only {
				p.IDs = []string{"2"}
			}
			var refused []int64
			result, err := c.ArchiveExport(t.Context(), p, func(l client.ArchiveExportLine) error {
				if l.Error != nil {
					refused = append(refused, l.Number)
				}
				return nil
			})
			_, statErr := os.Stat(p.To)
			if client.KindOf(err) != client.Failed || err == nil || (result == nil) != only || (statErr != nil) != only || !slices.Equal(refused, []int64{2}) {
				t.Errorf("%s: %+v, %v; %v; of %d it was said", format, result, err, statErr, refused)
			}
			if !only && (result.Exported != 2 || result.Failed != 1) {
				t.Errorf("%s: %+v", format, result)
			}
		}
	}
	for name, p := range map[string]client.ArchiveExportParams{
		"format": {To: w.in("x"), Format: "pst"}, "no target": {Format: "eml"},
		"both": {To: w.in("x"), Format: "eml", ArchiveChoice: client.ArchiveChoice{IDs: []string{"1"}, Folder: "INBOX"}},
	} {
		if _, err := c.ArchiveExport(t.Context(), p, nil); client.KindOf(err) != client.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestArchiveExportLeavesNothing: an export that is ended, by a person or by the disk, leaves nothing behind but what a kill would.
func TestArchiveExportLeavesNothing(t *testing.T) {
	w := newWorld(t)
	o := w.archived(fewMail())
	for _, format := range []string{"eml", "mbox", "maildir", "bag"} {
		t.Run(format, func(t *testing.T) {
			out := t.TempDir()
			p := client.ArchiveExportParams{To: filepath.Join(out, "x"), Format: format}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			c := w.open(o)
			result, err := c.ArchiveExport(ctx, p, func(l client.ArchiveExportLine) error {
				if l.Number == 2 {
					stop()
				}
				return nil
			})
			c.Close()
			if result != nil || !errors.Is(err, context.Canceled) || len(w.names(out)) > 0 {
				t.Errorf("stopped: %+v, %v; %q is there", result, err, w.names(out))
			}
			full, faulty := errors.New("disk full"), o
			for steps := 0; ; steps++ {
				left := steps
				faulty.Disk = safeio.Disk{Before: func(op, path string) error {
					if !strings.HasPrefix(path, out) || op == safeio.OpRemove {
						return nil
					}
					if left--; left < 0 {
						return full
					}
					return nil
				}}
				c := w.open(faulty)
				result, err := c.ArchiveExport(t.Context(), p, func(client.ArchiveExportLine) error { return nil })
				c.Close()
				if err == nil {
					if _, err := os.Stat(p.To); err != nil || steps < 3 || len(w.names(out)) != 1 {
						t.Errorf("after %d steps: %v, and %q is there", steps, err, w.names(out))
					}
					break
				}
				_, statErr := os.Stat(p.To)
				if result != nil || client.KindOf(err) != client.Failed {
					t.Fatalf("step %d: %+v, %v", steps, result, err)
				}
				if statErr == nil { // only that it is there is not certain
					if err := os.RemoveAll(p.To); err != nil {
						t.Fatal(err)
					}
				}
				if left := w.names(out); statErr != nil && len(left) > 0 {
					t.Fatalf("step %d leaves %q", steps, left)
				}
			}
		})
	}
}

// TestArchiveRestoreKilled ends a restoration at each step of the disk, those of the store included: the next one doubles nothing and
// misses nothing.
func TestArchiveRestoreKilled(t *testing.T) {
	w := newWorld(t)
	o := w.archived(fewMail())
	killed := errors.New("killed")
	for steps := 0; ; steps++ {
		dir := t.TempDir()
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		run := func(left int) error {
			step := func(string, string) error {
				if left--; left < 0 {
					return killed
				}
				return nil
			}
			o := o
			o.Disk = safeio.Disk{Before: func(op, path string) error {
				if !strings.Contains(path, "restores") {
					return nil
				}
				return step(op, path)
			}}
			o.DialStore = func(context.Context, mailbox.Options) (mailbox.Store, error) {
				return maildir.Open(maildir.Options{Path: dir, Disk: safeio.Disk{Before: step}, Clock: time.Now})
			}
			c := w.open(o)
			defer c.Close()
			_, err := c.ArchiveRestore(t.Context(), client.ArchiveRestoreParams{Into: "Back"}, func(client.ArchiveRestoreLine) error { return nil })
			return err
		}
		err := run(steps)
		if err != nil && !errors.Is(err, killed) {
			t.Fatal(err)
		}
		if err := run(10000); err != nil {
			t.Fatalf("after %d steps: %v", steps, err)
		}
		w.isBack(dir)
		if err == nil {
			if steps < 30 {
				t.Errorf("there were %d steps", steps)
			}
			break
		}
		if err := os.RemoveAll(filepath.Dir(o.Home.Restores("bob", ""))); err != nil { // of another place
			t.Fatal(err)
		}
	}
}

// isBack checks that all of fewMail is in a Maildir, once.
func (w *world) isBack(dir string) {
	w.t.Helper()
	s, err := maildir.Open(maildir.Options{Path: dir, Clock: time.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	infos, err := s.List(w.t.Context(), "Back", 1)
	if err != nil {
		w.t.Fatal(err)
	}
	want := map[string]bool{}
	for _, m := range fewMail() {
		want[m] = true
	}
	for _, i := range infos {
		var b strings.Builder
		if err := s.Fetch(w.t.Context(), "Back", i.UID, &b); err != nil {
			w.t.Fatal(err)
		}
		if !want[b.String()] {
			w.t.Fatalf("message %d is there twice, or is none of them: %.100q", i.UID, b.String())
		}
		delete(want, b.String())
		if !slices.Contains(i.Flags, "Work") || !slices.Contains(i.Flags, `\Seen`) {
			w.t.Errorf("message %d has %q", i.UID, i.Flags)
		}
	}
	for m := range maps.Keys(want) {
		w.t.Errorf("%.100q is not there", m)
	}
}

// TestArchiveExportPastGaps: segments that are gone keep no message of others in, wherever they are, and what is lost is said by
// number.
func TestArchiveExportPastGaps(t *testing.T) {
	w := newWorld(t)
	f := &folder{validity: 1, messages: []string{mail("1", ""), mail("2", "")}}
	o := w.archived(f.messages)
	o.DialStore = func(context.Context, mailbox.Options) (mailbox.Store, error) { return f, nil }
	c := w.open(o)
	defer c.Close()
	for n := 3; n <= 9; n += 2 { // a segment each time
		f.messages = append(f.messages, mail(fmt.Sprint(n), ""), mail(fmt.Sprint(n+1), ""))
		p := client.ArchivePullParams{To: w.in("safe"), NoTimestamp: true}
		if _, err := c.ArchivePull(t.Context(), p, func(client.ArchiveLine) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		gone []int // segments
		ids  []string
		lost []int64
		said []string
	}{
		{gone: []int{1}, lost: []int64{1, 2}, said: []string{"messages 1 to 2"}},
		{gone: []int{3}, lost: []int64{5, 6}, said: []string{"messages 5 to 6"}},
		{gone: []int{5}, lost: []int64{9, 10}, said: []string{"messages 9 to 10"}},
		{gone: []int{2, 3}, lost: []int64{3, 4, 5, 6}, said: []string{"messages 3 to 6"}},
		{gone: []int{1, 3, 5}, lost: []int64{1, 2, 5, 6, 9, 10}, said: []string{"messages 1 to 2", "messages 5 to 6", "messages 9 to 10"}},
		{gone: []int{2, 4}, ids: []string{"4:5", "8", "1"}, lost: []int64{4, 8}, said: []string{"messages 3 to 4", "messages 7 to 8"}},
	} {
		t.Run(fmt.Sprint(test.gone), func(t *testing.T) {
			for _, segment := range test.gone {
				path := w.in(fmt.Sprintf("safe/seg/%06d.zip", segment))
				if err := os.Rename(path, path+".away"); err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := os.Rename(path+".away", path); err != nil {
						t.Error(err)
					}
				}()
			}
			w.said = nil
			var lost []int64
			lines := 0
			p := client.ArchiveExportParams{To: filepath.Join(t.TempDir(), "x"), Format: "eml", ArchiveChoice: client.ArchiveChoice{IDs: test.ids}}
			result, err := c.ArchiveExport(t.Context(), p, func(l client.ArchiveExportLine) error {
				if lines++; l.Error != nil {
					lost = append(lost, l.Number)
				}
				return nil
			})
			if result == nil || client.KindOf(err) != client.No || !slices.Equal(lost, test.lost) || result.Exported != lines-len(lost) ||
				len(w.names(p.To)) != result.Exported {
				t.Errorf("%+v, %v; %d of %d are lost", result, err, lost, lines)
			}
			said := strings.Join(w.said, "\n")
			if len(w.said) != len(test.said) {
				t.Errorf("it says\n%s", said)
			}
			for _, words := range test.said {
				if !strings.Contains(said, "warning: "+words+" cannot be had: ") {
					t.Errorf("%q is not in\n%s", words, said)
				}
			}
		})
	}
}
