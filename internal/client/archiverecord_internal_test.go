package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index"
)

func archiveTime() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC) }

// archiveClient has nothing: no account, no key, no anchor.
func archiveClient(t testing.TB) *Client {
	t.Helper()
	c, err := New(Options{Home: config.HomeAt(t.TempDir()), Now: archiveTime, Say: func(m string) { t.Log(m) },
		Passphrase: func(context.Context, bool) ([]byte, error) { return nil, errors.New("a passphrase was asked for") }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// letters is a store of messages in memory.
type letters struct {
	mailbox.Store
	list []string
}

func (l letters) infos() (infos []mailbox.Info) {
	for i, m := range l.list {
		infos = append(infos, mailbox.Info{UID: mailbox.UID(i + 1), Size: int64(len(m)), Flags: []string{`\Seen`},
			InternalDate: archiveTime().Add(time.Duration(i) * time.Hour)})
	}
	return infos
}

func (l letters) FetchAll(_ context.Context, _ string, infos []mailbox.Info, to mailbox.Receiver) error {
	for _, info := range infos {
		w, err := to.Message(info)
		if err == nil {
			_, err = io.WriteString(w, l.list[info.UID-1])
		}
		if err == nil {
			err = to.Done(info, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// shelf is an archive in memory: it keeps what an archive would, in the form in which it would.
type shelf struct {
	judge   *judge
	records [][]byte
	octets  [][]byte
	given   []archiveRecord // as the archive was given them
	keys    [][]byte
	proofs  proofSet
}

func (s *shelf) keep(_ context.Context, a *arrival[archived]) error {
	octets, err := io.ReadAll(a.octets.Section())
	keys, keysErr := json.Marshal(a.found.keys)
	s.octets, s.records, s.keys = append(s.octets, octets), append(s.records, a.found.json), append(s.keys, keys)
	s.given = append(s.given, a.found.record)
	s.proofs.add(a.found.proofs)
	return errors.Join(err, keysErr)
}

// shelve archives messages by a judge with these parameters.
func shelve(t testing.TB, c *Client, p VerifyParams, messages ...string) *shelf {
	t.Helper()
	j, err := c.newArchiveJudge(p)
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{judge: j}
	from := letters{list: messages}
	end := &archiveEnd{judge: j, account: "work", folder: index.Folder{Name: "INBOX", UIDValidity: 7}, keep: s.keep}
	if err := newArrivals(c, from, "INBOX", from.infos(), end).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// message is what the archive has of one message, after it was written and read.
func (s *shelf) message(t testing.TB, i int) archivedMessage {
	t.Helper()
	m := archivedMessage{octets: bytes.NewReader(s.octets[i]), sha256: s.given[i].SHA256, proofs: &proofSet{}}
	record, err := readArchiveRecord(s.records[i])
	proofs, proofsErr := json.Marshal(s.proofs)
	if err := errors.Join(err, proofsErr, json.Unmarshal(s.keys[i], &m.keys), json.Unmarshal(proofs, m.proofs)); err != nil {
		t.Fatal(err)
	}
	m.record = record
	return m
}

// reported is the report on a message as it was archived, and its text.
func reported(t testing.TB, c *Client, m archivedMessage) (*Report, string) {
	t.Helper()
	r, err := c.judgeAsArchived(t.Context(), "message", m)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := r.message.Text(0)
	if err != nil {
		t.Fatal(err)
	}
	return r.report(), text.Body
}

func vectorFile(name string) string { return filepath.Join("..", "..", "testdata", name) }

// vectors judges the test vectors with the keys of Bob.
func vectors(t testing.TB) (names, messages []string, p VerifyParams) {
	t.Helper()
	files, err := filepath.Glob(vectorFile("vectors/*.eml"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names, messages = append(names, filepath.Base(file)), append(messages, string(data))
	}
	root := []string{vectorFile("pki/root.pem")}
	return names, messages, VerifyParams{Trust: root, TSATrust: root, Revocation: "soft", Keys: KeyFiles{
		P12: []string{vectorFile("pki/bob-rsa2048.p12"), vectorFile("pki/bob-p256.p12")}, P12Password: []byte("test")}}
}

// TestArchiveRecord archives the test vectors, and judges them as archived where nothing is trusted and no key is at hand: the
// report is the same to the letter.
func TestArchiveRecord(t *testing.T) {
	names, messages, p := vectors(t)
	s := shelve(t, archiveClient(t), p, messages...)
	elsewhere := archiveClient(t)
	opened, passed, stamped := 0, 0, 0
	for i, name := range names {
		m := s.message(t, i)
		if r := s.given[i]; !bytes.Equal(s.octets[i], []byte(messages[i])) || r.Size != int64(len(messages[i])) || r.UID != uint32(i+1) || r.UIDValidity != 7 ||
			r.Folder != "INBOX" || r.Account != "work" || !slices.Equal(r.Flags, []string{`\Seen`}) ||
			!r.InternalDate.Equal(archiveTime().Add(time.Duration(i)*time.Hour)) {
			t.Errorf("%s: record %+v", name, r)
		}
		r := m.record
		if r.Report == nil || r.Line.Error != nil || orEmpty(r.Line.Verdict) != r.Report.Verdict {
			t.Fatalf("%s: line %+v, report %v", name, r.Line, r.Report)
		}
		report, text := reported(t, elsewhere, m)
		report.Account, report.Folder, report.UID = r.Report.Account, r.Report.Folder, r.Report.UID
		for i, l := range r.Report.Layers { // whose keys were at hand in vain is not kept
			if l.EncryptionReport != nil && *l.Status == "undecryptable" {
				l.Recipients[0].Mine = report.Layers[i].Recipients[0].Mine
			}
		}
		if diff := cmp.Diff(readAgain(t, r.Report), readAgain(t, report)); diff != "" {
			t.Errorf("%s: as archived (-recorded +judged):\n%s", name, diff)
		}
		if report.Encryption == "decrypted" {
			opened++
			if !strings.Contains(text, "vector") {
				t.Errorf("%s: the text is %q", name, text)
			}
		}
		if report.Verdict == "passed" {
			passed++
			if now := judgedNow(t, elsewhere, m); now.Verdict != "indeterminate" || now.Encryption != report.Encryption {
				t.Errorf("%s: now it is %s, %s, and nobody is trusted", name, now.Verdict, now.Encryption)
			}
		}
		if len(report.Signatures) > 0 && report.Signatures[0].SigningTime.Proven != nil {
			stamped++
		}
	}
	if opened < 3 || passed < 4 || stamped < 2 {
		t.Errorf("%d messages were opened by kept keys, %d passed, %d were timestamped", opened, passed, stamped)
	}
}

// readAgain is what the JSON of a value holds.
func readAgain(t testing.TB, v any) (again any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &again)
	}
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// judgedNow is the report on a message by what is trusted now.
func judgedNow(t testing.TB, c *Client, m archivedMessage) *Report {
	t.Helper()
	j, err := c.newJudge(VerifyParams{Revocation: "soft"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := j.judgeArchived(t.Context(), "message", m)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return r.report()
}
