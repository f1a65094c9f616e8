//go:build unix

package maildir_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/mailboxtest"
)

// mail is a message as the test compares it.
type mail struct {
	Octets string
	Flags  string
	Date   int64
}

// content returns the messages of a folder, in the order of their octets.
func content(t testing.TB, s mailbox.Store, folder string) []mail {
	t.Helper()
	list, err := s.List(t.Context(), folder, 1)
	if err != nil {
		t.Fatal(err)
	}
	var all []mail
	for _, m := range list {
		var b bytes.Buffer
		if err := s.Fetch(t.Context(), folder, m.UID, &b); err != nil || b.Len() != int(m.Size) {
			t.Errorf("message %d: %d octets, %v; want %d", m.UID, b.Len(), err, m.Size)
		}
		slices.Sort(m.Flags)
		all = append(all, mail{b.String(), strings.Join(m.Flags, " "), m.InternalDate.Unix()})
	}
	slices.SortFunc(all, func(a, b mail) int { return strings.Compare(a.Octets, b.Octets) })
	return all
}

func add(t testing.TB, s mailbox.Store, folder string, m mail) {
	t.Helper()
	var flags []string
	if m.Flags != "" {
		flags = strings.Split(m.Flags, " ")
	}
	n := mailbox.NewMessage{Flags: flags, Date: time.Unix(m.Date, 0), Size: int64(len(m.Octets)), Body: strings.NewReader(m.Octets)}
	if _, err := s.Append(t.Context(), folder, n); err != nil {
		t.Fatal(err)
	}
}

func same(t testing.TB, what string, got, want []mail) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func mails() []mail {
	return []mail{
		{"Subject: 1\r\n\r\nbody\r\n", "", 1e9},
		{"Subject: 2\r\n\r\nGröße \xff\r\n\r\n", `\Answered \Seen`, 1e9 + 1},
		{"Subject: 3\r\n\r\nFrom here\r\n>From there\r\n", `\Draft \Flagged`, 1e9 + 2},
	}
}

// TestDovecot: Dovecot serves what the store wrote, and the store reads what Dovecot wrote; each sees the other's changes.
func TestDovecot(t *testing.T) {
	servers := peertest.MailServers(t)
	user := servers.User(t, "alice")
	servers.Empty(t, user.Address)
	pem, err := os.ReadFile(servers.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	endpoint, err := mailbox.ParseEndpoint("imaps://" + servers.IMAPS)
	if err != nil {
		t.Fatal(err)
	}
	dovecot, err := mailbox.DialIMAP(t.Context(), mailbox.Options{Endpoint: endpoint, TLSRoots: roots,
		Credentials: mailbox.Credentials{User: user.Address, Password: mailbox.Password(user.Password)}})
	if err != nil {
		t.Fatal(err)
	}
	defer dovecot.Close()
	add(t, dovecot, "INBOX", mail{Octets: "Subject: 0\r\n\r\n", Date: 1e9})

	dir := servers.MailDir(user.Address, "INBOX")
	owner, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	// In life both run as the user; here the test is root.
	give := func() {
		t.Helper()
		id := owner.Sys().(*syscall.Stat_t)
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, int(id.Uid), int(id.Gid)))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ours := open(t, dir)
	defer ours.Close()
	want := content(t, dovecot, "INBOX")
	for _, m := range mails() {
		add(t, ours, "INBOX", m)
		add(t, ours, "Größe & Co.Level", m)
	}
	give()
	want = append(want, mails()...)
	same(t, "INBOX by Dovecot", content(t, dovecot, "INBOX"), want)
	same(t, "INBOX by us", content(t, ours, "INBOX"), want)
	same(t, "a folder of ours by Dovecot", content(t, dovecot, "Größe & Co/Level"), mails())

	for _, m := range mails() {
		m.Flags = strings.TrimSpace(m.Flags + " work")
		add(t, dovecot, "Von Dovecot: ü", m)
	}
	give()
	same(t, "a folder of Dovecot's by us", content(t, ours, "Von Dovecot: ü"), content(t, dovecot, "Von Dovecot: ü"))

	// Each changes what the other wrote.
	uids, err := ours.UIDs(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := dovecot.UIDs(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		dovecot.SetFlags(t.Context(), "INBOX", theirs[1:3], mailbox.FlagChange{Add: []string{`\Flagged`}, Remove: []string{`\Seen`}}),
		ours.SetFlags(t.Context(), "INBOX", uids[:1], mailbox.FlagChange{Add: []string{`\Seen`}}),
		ours.Delete(t.Context(), "INBOX", uids[3:4]),
		dovecot.Delete(t.Context(), "INBOX", theirs[2:3]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Move(t.Context(), "INBOX", uids[1:2], "Von Dovecot: ü"); err != nil {
		t.Fatal(err)
	}
	give()
	for _, folder := range []string{"INBOX", "Von Dovecot: ü"} {
		same(t, folder+" changed by both", content(t, ours, folder), content(t, dovecot, folder))
	}
	if now, err := ours.UIDs(t.Context(), "INBOX"); err != nil || !slices.Equal(now, uids[:1]) {
		t.Errorf("UIDs %v are %v now, %v", uids, now, err)
	}
}

const python = `
import json, mailbox, sys
box = mailbox.Maildir(sys.argv[1], factory=None, create=False)
if sys.argv[2] == "read":
    out = {}
    for name in [""] + box.list_folders():
        folder = box.get_folder(name) if name else box
        out[name] = sorted([folder.get_bytes(key).decode("latin-1"), folder.get_message(key).get_flags(),
            int(folder.get_message(key).get_date())] for key in folder.keys())
    print(json.dumps(out))
elif sys.argv[2] == "write":
    m = mailbox.MaildirMessage("Subject: 4\n\nby Python\n")
    m.set_subdir("cur")
    m.set_flags("FS")
    m.set_date(1000000003)
    box.add_folder("Python").add(m)
elif sys.argv[2] == "deliver":
    for n in range(int(sys.argv[3])):
        box.add("Subject: %d\n\ndelivered\n" % n)
`

func runPython(t testing.TB, args ...string) []byte {
	t.Helper()
	return peertest.Run(t, peertest.Command(t, "python3"), append([]string{"-c", python}, args...)...)
}

// TestPython: Python's module reads what the store wrote, and the other way round.
func TestPython(t *testing.T) {
	dir := newMaildir(t)
	s := open(t, dir)
	defer s.Close()
	for _, m := range mails() {
		add(t, s, "INBOX", m)
		add(t, s, "Sent", m)
	}
	var got map[string][][]any
	if err := json.Unmarshal(runPython(t, dir, "read"), &got); err != nil {
		t.Fatal(err)
	}
	var want [][]any
	for _, m := range mails() {
		letters := strings.NewReplacer(`\Answered`, "R", `\Seen`, "S", `\Draft`, "D", `\Flagged`, "F", " ", "").Replace(m.Flags)
		latin := make([]rune, 0, len(m.Octets))
		for _, c := range []byte(strings.ReplaceAll(m.Octets, "\r\n", "\n")) {
			latin = append(latin, rune(c))
		}
		want = append(want, []any{string(latin), letters, float64(m.Date)})
	}
	if diff := cmp.Diff(map[string][][]any{"": want, "Sent": want}, got); diff != "" {
		t.Error(diff)
	}
	runPython(t, dir, "write")
	same(t, "by Python", content(t, s, "Python"), []mail{{"Subject: 4\r\n\r\nby Python\r\n", `\Flagged \Seen`, 1e9 + 3}})
}

// TestStoreWhileDelivering runs the tests of a store while another process delivers into the same Maildir.
func TestStoreWhileDelivering(t *testing.T) {
	const delivered = 300
	dir := newMaildir(t)
	var wg sync.WaitGroup
	wg.Go(func() { runPython(t, dir, "deliver", fmt.Sprint(delivered)) })
	mailboxtest.TestStore(t, func(t *testing.T) mailbox.Store { return open(t, dir) })
	wg.Wait()
	s := open(t, dir)
	defer s.Close()
	if got := content(t, s, "INBOX"); len(got) != delivered {
		t.Errorf("%d messages, want %d", len(got), delivered)
	}
}

// TestOthersAtWork: while another program delivers messages, takes them from new to cur and changes their flags, two stores look,
// set flags and move. No message is lost or doubled, and none gets another UID while it stays in its folder.
func TestOthersAtWork(t *testing.T) {
	const messages = 60
	dir := newMaildir(t)
	first := open(t, dir)
	defer first.Close()
	if err := first.CreateFolder(t.Context(), "Other"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range messages {
			part, name := filepath.Join(dir, "tmp", fmt.Sprint(n)), fmt.Sprintf("%d.other.host", 1000+n)
			err := os.WriteFile(part, fmt.Appendf(nil, "Message-ID: <%d@example.test>\n\nx\n", n), 0o600)
			if err = errors.Join(err, os.Rename(part, filepath.Join(dir, "new", name))); err != nil {
				t.Error(err)
			}
			before := filepath.Join(dir, "new", name)
			for _, flags := range []string{"", "S", "FS", "S", ""} {
				after := filepath.Join(dir, "cur", name+":2,"+flags)
				if err := os.Rename(before, after); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
				before = after
			}
		}
	})
	known := make(map[string]mailbox.UID) // of INBOX
	var lock sync.Mutex
	for n := range 2 {
		wg.Go(func() {
			s := open(t, dir)
			defer s.Close()
			for round := range 40 {
				uids, err := s.UIDs(t.Context(), "INBOX")
				if err != nil {
					t.Error(err)
					return
				}
				for _, uid := range uids {
					var b bytes.Buffer
					err := s.Fetch(t.Context(), "INBOX", uid, &b)
					if errors.Is(err, mailbox.ErrNotFound) {
						continue
					}
					lock.Lock()
					if was := known[b.String()]; err != nil || was != 0 && was != uid {
						t.Errorf("%q has UID %d, was %d; %v", b.String(), uid, was, err)
					}
					known[b.String()] = uid
					lock.Unlock()
				}
				if len(uids) == 0 {
					continue
				}
				some := uids[:1+round%len(uids)]
				if n == 0 {
					err = s.SetFlags(t.Context(), "INBOX", some, mailbox.FlagChange{Add: []string{`\Answered`, "x"}})
				} else {
					_, err = s.Move(t.Context(), "INBOX", some[:1], "Other")
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := make(map[string]int)
	for _, m := range slices.Concat(content(t, first, "INBOX"), content(t, first, "Other")) {
		got[m.Octets]++
	}
	if len(got) != messages {
		t.Errorf("%d messages, want %d", len(got), messages)
	}
	for text, n := range got {
		if n != 1 {
			t.Errorf("%q is there %d times", text, n)
		}
	}
}
