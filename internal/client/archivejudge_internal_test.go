package client

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/verdict"
)

// archiveWorld is an authority with one certificate, of Alice.
type archiveWorld struct {
	t   *testing.T
	dir string
	o   Options
}

func newArchiveWorld(t *testing.T) *archiveWorld {
	t.Helper()
	w := &archiveWorld{t: t, dir: t.TempDir()}
	w.o = Options{Home: config.HomeAt(w.in("home")), Now: archiveTime, Say: func(m string) { t.Log(m) }}
	_, err := CAInit(t.Context(), w.o, CAInitParams{Dir: w.in("ca"), Name: "Test", Key: "p256", Days: 3650, Unprotected: true})
	if err == nil {
		_, err = CAIssue(t.Context(), w.o, CAIssueParams{Dir: w.in("ca"), Purpose: "mail", Key: "p256", Email: []string{"alice@example.org"}, Name: "Alice",
			Output: Output{Name: w.in("alice.pem")}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *archiveWorld) in(name string) string { return filepath.Join(w.dir, name) }

func (w *archiveWorld) noPassphrase() ([]byte, error) { return nil, nil }

// lists makes a revocation list of each authority.
func (w *archiveWorld) lists(name string) (files []string) {
	w.t.Helper()
	for _, root := range []bool{false, true} {
		file := w.in(name)
		if root {
			file += "-root"
		}
		_, err := CACRL(w.t.Context(), w.o, CACRLParams{Dir: w.in("ca"), Root: root, Output: Output{Name: file}, Passphrase: w.noPassphrase})
		if err != nil {
			w.t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// signed is a message by Alice.
func (w *archiveWorld) signed() string {
	w.t.Helper()
	data, err := os.ReadFile(w.in("alice.pem"))
	if err != nil {
		w.t.Fatal(err)
	}
	bundle, err := certstore.ParsePEM(data)
	pairs, _ := bundle.KeyPairs()
	if err != nil || len(pairs) != 1 {
		w.t.Fatal(len(pairs), err)
	}
	var message bytes.Buffer
	message.WriteString("MIME-Version: 1.0\r\nFrom: alice@example.org\r\nTo: bob@example.org\r\nSubject: s\r\n")
	signer := smime.Signer{Key: pairs[0].Key.(crypto.Signer), Chain: pairs[0].Chain}
	text := strings.NewReader("Content-Type: text/plain\r\n\r\nHello.\r\n")
	err = smime.Sign(w.t.Context(), &message, text, signer, smime.SignOptions{SigningTime: archiveTime()})
	if err != nil {
		w.t.Fatal(err)
	}
	return message.String()
}

// now is the report by what is trusted and known now.
func (w *archiveWorld) now(m archivedMessage, p VerifyParams) *Report {
	w.t.Helper()
	j, err := archiveClient(w.t).newJudge(p)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := j.judgeArchived(w.t.Context(), "message", m)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	return r.report()
}

// TestArchivedThenRevoked archives a message whose signer's certificate is good, and is revoked afterwards: now it fails, and that it
// was good when it was archived can be shown without anybody's help, as long as what shows it is there and unaltered.
func TestArchivedThenRevoked(t *testing.T) {
	w := newArchiveWorld(t)
	p := VerifyParams{Trust: []string{w.in("ca/root.pem")}, Revocation: "hard", CRLs: w.lists("good")}
	s := shelve(t, archiveClient(t), p, w.signed())
	m := s.message(t, 0)
	if r := m.record; r.Report.Verdict != "passed" || len(r.Proof.CRLs) != 2 || len(r.Proof.Certificates) != 3 || len(r.Judged.Anchors) != 1 {
		t.Fatalf("%s, by %+v, %+v", r.Report.Verdict, r.Proof, r.Judged)
	}
	_, err := CARevoke(t.Context(), w.o, CARevokeParams{Dir: w.in("ca"), Cert: w.in("alice.pem"), Reason: "keyCompromise", Passphrase: w.noPassphrase,
		Confirm: func(string, bool) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	r := w.now(m, VerifyParams{Trust: p.Trust, Revocation: "hard", CRLs: w.lists("later")})
	if r.Verdict != "failed" || r.Signatures[0].Checks.Revocation.Status != "failed" {
		t.Errorf("now it is %s, revocation %+v", r.Verdict, r.Signatures[0].Checks.Revocation)
	}
	if r := w.now(m, VerifyParams{Trust: p.Trust, Revocation: "hard"}); r.Verdict != "passed" {
		t.Errorf("what was kept does not help now: %s", r.Verdict)
	}
	report, _ := reported(t, archiveClient(t), m)
	report.Account, report.Folder, report.UID = m.record.Report.Account, m.record.Report.Folder, m.record.Report.UID
	if diff := cmp.Diff(readAgain(t, m.record.Report), readAgain(t, report)); diff != "" {
		t.Errorf("as archived (-recorded +judged):\n%s", diff)
	}
	for _, name := range append(m.record.Proof.CRLs, m.record.Proof.Certificates...) {
		for _, altered := range []bool{false, true} {
			m := s.message(t, 0)
			for _, set := range []map[string][]byte{m.proofs.CRLs, m.proofs.Certificates} {
				if der := set[name]; der != nil && altered {
					der[len(der)-1] ^= 1
				} else if der != nil {
					delete(set, name)
				}
			}
			_, err := archiveClient(t).judgeAsArchived(t.Context(), "message", m)
			if missing, ok := errors.AsType[*ProofError](err); !ok || missing.Name != name || missing.Altered != altered {
				t.Errorf("without %s: %v", name, err)
			}
		}
	}
}

// TestArchivedWanting archives a message of nobody who is trusted: as archived it stays so, whoever is trusted later and whatever a
// record claims to have found.
func TestArchivedWanting(t *testing.T) {
	w := newArchiveWorld(t)
	good := w.lists("good")
	p := VerifyParams{Revocation: "soft", CRLs: good}
	m := shelve(t, archiveClient(t), p, w.signed()).message(t, 0)
	if r := m.record.Report; r.Verdict != "indeterminate" || orEmpty(r.Signatures[0].Checks.Chain.Code) != string(verdict.ChainNoAnchor) {
		t.Fatalf("%s, %+v", r.Verdict, r.Signatures[0].Checks.Chain)
	}
	if r := w.now(m, VerifyParams{Trust: []string{w.in("ca/root.pem")}, Revocation: "soft", CRLs: good}); r.Verdict != "passed" {
		t.Errorf("now it is %s", r.Verdict)
	}
	was := readAgain(t, m.record.Report.Signatures)
	report, _ := reported(t, archiveClient(t), m)
	if diff := cmp.Diff(was, readAgain(t, report.Signatures)); diff != "" {
		t.Errorf("as archived (-recorded +judged):\n%s", diff)
	}
	found := &m.record.Evidence[0][0]
	found.Chain = verdict.ChainEvidence{Code: verdict.ChainOK, Anchor: "Test"}
	found.Revocation.Code = verdict.RevocationGood
	report, _ = reported(t, archiveClient(t), m)
	if report.Verdict != "indeterminate" || orEmpty(report.Signatures[0].Checks.Chain.Code) != string(verdict.ChainNoAnchor) {
		t.Errorf("a record that claims a path: %s, %+v", report.Verdict, report.Signatures[0].Checks.Chain)
	}
}

// TestArchivedReasons archives messages in which something is found wanting for another reason than would be found with what was
// kept: the reason stays.
func TestArchivedReasons(t *testing.T) {
	w := newArchiveWorld(t)
	trust, good := []string{w.in("ca/root.pem")}, w.lists("good")
	for name, test := range map[string]struct {
		p     VerifyParams
		check func(ChecksReport) CheckReport
		code  string
	}{
		"expired": {VerifyParams{Trust: trust, Revocation: "soft", At: archiveTime().AddDate(9, 0, 0)},
			func(c ChecksReport) CheckReport { return c.Chain }, "expired"},
		"lists out of date": {VerifyParams{Trust: trust, Revocation: "soft", CRLs: good, At: archiveTime().AddDate(1, 0, 0)},
			func(c ChecksReport) CheckReport { return c.Revocation }, "unknown"},
	} {
		m := shelve(t, archiveClient(t), test.p, w.signed()).message(t, 0)
		if got := test.check(m.record.Report.Signatures[0].Checks); orEmpty(got.Code) != test.code {
			t.Fatalf("%s: %+v", name, readAgain(t, got))
		}
		report, _ := reported(t, archiveClient(t), m)
		if diff := cmp.Diff(readAgain(t, m.record.Report.Signatures), readAgain(t, report.Signatures)); diff != "" {
			t.Errorf("%s: as archived (-recorded +judged):\n%s", name, diff)
		}
	}

	names, messages, p := vectors(t)
	i := 0
	for !strings.HasPrefix(names[i], "07-") {
		i++
	}
	m := shelve(t, archiveClient(t), p, messages[i]).message(t, 0)
	proven, _ := reported(t, archiveClient(t), m)
	m.record.Evidence[0][0].Time = verdict.TimeEvidence{Token: true, Code: "revoked", Reason: "the authority was revoked"}
	revoked, _ := reported(t, archiveClient(t), m)
	was, is := proven.Signatures[0].Checks.Time, revoked.Signatures[0].Checks.Time
	if was.Status != "passed" || is.Status == "passed" || orEmpty(is.Code) != "revoked" {
		t.Errorf("a timestamp that was found wanting: %+v, and before %+v", readAgain(t, is), readAgain(t, was))
	}
}

// TestArchivedKeys archives a message that some key opens, and one that none does: the first is read without any private key, the
// second when its key is there.
func TestArchivedKeys(t *testing.T) {
	names, messages, p := vectors(t)
	i := 0
	for !strings.HasPrefix(names[i], "05-") {
		i++
	}
	open := shelve(t, archiveClient(t), p, messages[i]).message(t, 0)
	without := p
	without.Keys = KeyFiles{}
	shut := shelve(t, archiveClient(t), without, messages[i]).message(t, 0)
	if open.record.Report.Verdict != "passed" || len(open.keys) != 1 || shut.record.Report.Encryption != "undecryptable" || len(shut.keys) != 0 {
		t.Fatalf("archived as %s with %d keys, and as %s with %d", open.record.Report.Verdict, len(open.keys), shut.record.Report.Encryption, len(shut.keys))
	}
	w := &archiveWorld{t: t}
	for name, test := range map[string]struct {
		m    archivedMessage
		p    VerifyParams
		want string
	}{
		"key kept, none here":   {open, without, "decrypted"},
		"key kept, one here":    {open, p, "decrypted"},
		"no key kept, none":     {shut, without, "undecryptable"},
		"no key kept, one here": {shut, p, "decrypted"},
	} {
		if r := w.now(test.m, test.p); r.Encryption != test.want || (r.Verdict == "passed") != (test.want == "decrypted") {
			t.Errorf("%s: now it is %s, %s", name, r.Encryption, r.Verdict)
		}
	}
	if report, _ := reported(t, archiveClient(t), shut); report.Encryption != "undecryptable" {
		t.Errorf("what was shut is %s as archived", report.Encryption)
	}
	open.octets = strings.NewReader(messages[i] + " ")
	if _, err := archiveClient(t).judgeAsArchived(t.Context(), "message", open); !errors.Is(err, errOtherMessage) {
		t.Errorf("other octets: %v", err)
	}
	if _, err := mustJudge(t, without).judgeArchived(t.Context(), "message", open); !errors.Is(err, errOtherMessage) {
		t.Errorf("other octets, now: %v", err)
	}
}

// lookingOn notes the keys that an end finds.
type lookingOn struct {
	*archiveEnd
	mu   sync.Mutex
	keys [][]byte
}

func (l *lookingOn) look(ctx context.Context, a *arrival[archived]) error {
	err := l.archiveEnd.look(ctx, a)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range a.found.keys {
		l.keys = append(l.keys, k.Key)
	}
	return err
}

// TestArchiveKeysWiped archives messages until the disk is full, say: nothing is left of their keys, whether they were kept or not.
func TestArchiveKeysWiped(t *testing.T) {
	names, messages, p := vectors(t)
	var sealed []string
	for i, name := range names {
		if strings.HasPrefix(name, "05-") {
			sealed = slices.Repeat(messages[i:i+1], 20)
		}
	}
	c := archiveClient(t)
	j, err := c.newArchiveJudge(p)
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	taken := 0
	end := &lookingOn{archiveEnd: &archiveEnd{judge: j, keep: func(_ context.Context, a *arrival[archived]) error {
		if len(a.found.keys) != 1 || bytes.Equal(a.found.keys[0].Key, make([]byte, len(a.found.keys[0].Key))) {
			t.Errorf("message %d comes with %d keys, or with one that is wiped", a.info.UID, len(a.found.keys))
		}
		if taken++; taken == 10 {
			return full
		}
		return nil
	}}}
	from := letters{list: sealed}
	if err := newArrivals(c, from, "INBOX", from.infos(), end).run(t.Context()); !errors.Is(err, full) || len(end.keys) < 10 {
		t.Errorf("%d keys, %v", len(end.keys), err)
	}
	for i, key := range end.keys {
		if !bytes.Equal(key, make([]byte, len(key))) {
			t.Errorf("key %d of %d was not wiped", i+1, len(end.keys))
		}
	}
}

func mustJudge(t *testing.T, p VerifyParams) *judge {
	t.Helper()
	j, err := archiveClient(t).newJudge(p)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestArchiveBroken archives messages of which one cannot be opened, and meets some that cannot be had: each has its line, and what
// arrived is kept as it came.
func TestArchiveBroken(t *testing.T) {
	huge := "Subject: " + strings.Repeat("x", 2<<20) + "\r\n\r\nhello\r\n"
	fine := "From: a@example.org\r\nSubject: fine\r\n\r\nhello\r\n"
	c := archiveClient(t)
	s := shelve(t, c, VerifyParams{Revocation: "soft"}, fine, huge, "", fine)
	for i, message := range []string{fine, huge, "", fine} {
		m := s.message(t, i)
		broken := message == huge
		r := m.record
		if string(s.octets[i]) != message || s.given[i].Size != int64(len(message)) || (r.Line.Error != nil) != broken || (r.Report == nil) != broken ||
			(r.Judged == nil) != broken {
			t.Errorf("message %d: %+v", i+1, r)
		}
		if _, err := c.judgeAsArchived(t.Context(), "message", m); (err != nil) != broken {
			t.Errorf("message %d as archived: %v", i+1, err)
		}
		if r, err := s.judge.judgeArchived(t.Context(), "message", m); broken != errors.Is(err, entity.ErrHeaderTooLarge) {
			t.Errorf("message %d now: %v", i+1, err)
		} else if err == nil {
			_ = r.Close()
		}
	}
	for _, fault := range []error{mailbox.ErrNotFound, &mailbox.TooLargeError{}, errors.New("not now")} {
		a := &arrival[archived]{info: mailbox.Info{UID: 3}, err: fault}
		got, err := archiveArrival(t.Context(), s.judge, "work", index.Folder{Name: "INBOX"}, a)
		var tooLarge *mailbox.TooLargeError
		gone := errors.Is(fault, mailbox.ErrNotFound)
		again := !gone && !errors.As(fault, &tooLarge)
		if err != nil || got.record.SHA256 != "" || got.skip != gone || got.fleeting != again || (got.line.Error == nil) != gone {
			t.Errorf("%v: %+v, %v", fault, got.entry, err)
		}
	}
}

// TestArchiveRecordUnwritable has a date in a report that no JSON can hold: the message is kept all the same.
func TestArchiveRecordUnwritable(t *testing.T) {
	late := archiveTime().AddDate(8000, 0, 0)
	report := &Report{Signatures: []SignatureReport{{Signer: &SignerReport{NotAfter: late}}}}
	a := archived{record: archiveRecord{Report: report, Judged: &judgedBy{Time: archiveTime(), Revocation: "soft"}}}
	a.record.Proof.CRLs = []string{"x"}
	if err := a.encode(); err != nil {
		t.Fatal(err)
	}
	r, err := readArchiveRecord(a.json)
	if err != nil || r.Report != nil || r.Judged != nil || r.some() || !strings.Contains(orEmpty(r.Line.Error), "cannot be written") ||
		!bytes.Contains(a.message.Line, []byte("cannot be written")) {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestArchiveRecordRefused reads records that nobody wrote.
func TestArchiveRecordRefused(t *testing.T) {
	for _, text := range []string{
		"", "null x", "[]", `{"line":7}`, `{"judged":{"revocation":"soft"}}`,
		`{"judged":{"time":"2026-11-21T10:00:00Z","revocation":"never"}}`, `{"size":1,"junk":"` + strings.Repeat("x", maxArchiveRecord) + `"}`,
	} {
		if _, err := readArchiveRecord([]byte(text)); !errors.Is(err, errRecord) {
			t.Errorf("%.60s: %v", text, err)
		}
	}
	m := archivedMessage{octets: strings.NewReader(""), proofs: &proofSet{}, keys: []keptKey{{EncryptedKey: "12"}}}
	for _, name := range []string{"", "12", strings.Repeat("0", 63) + "x", strings.Repeat("0", 66)} {
		m.keys[0].EncryptedKey = name
		if _, err := m.decrypters(); !errors.Is(err, errRecord) {
			t.Errorf("a key named %q: %v", name, err)
		}
	}
}

// TestArchiveRecordHuge has found very much about a message: the record goes without, so that the message can be archived.
func TestArchiveRecordHuge(t *testing.T) {
	subject := strings.Repeat("&", 2<<20) // six octets each, in JSON
	a := archived{entry: entry{line: ListLine{Subject: &subject}}, record: archiveRecord{Line: ListLine{Subject: &subject}, Judged: &judgedBy{Time: archiveTime(), Revocation: "soft"}}}
	if err := a.encode(); err != nil || len(a.json) > maxFindings {
		t.Fatal(len(a.json), err)
	}
	if r, err := readArchiveRecord(a.json); err != nil || r.Judged != nil || !strings.Contains(orEmpty(r.Line.Error), "cannot be written") {
		t.Errorf("%+v, %v", r, err)
	}
}
