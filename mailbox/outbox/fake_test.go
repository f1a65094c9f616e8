package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

const messageID = "<1@example.org>"

var errInjected = errors.New("injected")

// fakeServer is a mail server that remembers what it took. Its Submitter and Store fail where fail says.
type fakeServer struct {
	// fail is asked before each step: connect, rcpt (a refusal for good), data, dot (nothing of it arrived), took (the server has the
	// message, the answer is lost), refuse (the answer to the dot is no), store, find, append, appended.
	fail func(step string) error

	// submit, unless nil, is asked at each message, by its first recipient.
	submit func(to string) error

	inbox map[string]int      // by content
	sent  map[string][]string // contents by folder
	// sentName is the folder that is marked as the one for what was sent; empty: none is.
	sentName string
	// reached says that some client came to the final dot.
	reached bool
	log     []string
}

func newFakeServer() *fakeServer {
	return &fakeServer{inbox: map[string]int{}, sent: map[string][]string{}, fail: func(string) error { return nil }}
}

func (s *fakeServer) step(name string) error {
	s.log = append(s.log, name)
	return s.fail(name)
}

func (s *fakeServer) ports() Ports {
	return Ports{
		Submitter: func(context.Context) (mailbox.Submitter, error) {
			if err := s.step("connect"); err != nil {
				return nil, &mailbox.ConnectError{Err: err}
			}
			return fakeSubmitter{s}, nil
		},
		Store: func(context.Context) (mailbox.Store, error) {
			if err := s.step("store"); err != nil {
				return nil, &mailbox.ConnectError{Err: err}
			}
			return fakeStore{server: s}, nil
		},
	}
}

type fakeSubmitter struct{ server *fakeServer }

func (f fakeSubmitter) Submit(_ context.Context, e mailbox.Envelope, size int64, message io.Reader, commit func() error) error {
	s := f.server
	if s.submit != nil {
		if err := s.submit(e.To[0]); err != nil {
			return err
		}
	}
	if err := s.step("rcpt"); err != nil {
		return &mailbox.RefusedError{Recipient: e.To[0], Step: "RCPT", Code: 550, Permanent: true}
	}
	if err := s.step("data"); err != nil {
		return &mailbox.ConnectError{Err: err}
	}
	content, err := io.ReadAll(message)
	if err != nil || int64(len(content)) != size {
		return fmt.Errorf("message of %d octets, said to be %d: %w", len(content), size, err)
	}
	if err := commit(); err != nil {
		return err
	}
	s.reached = true
	if err := s.step("dot"); err != nil {
		return &mailbox.UncertainError{Err: err}
	}
	if err := s.step("refuse"); err != nil {
		return &mailbox.RefusedError{Step: "message", Code: 451}
	}
	s.inbox[string(content)]++
	if err := s.step("took"); err != nil {
		return &mailbox.UncertainError{Err: err}
	}
	return nil
}

func (fakeSubmitter) Close() error { return nil }

type fakeStore struct {
	mailbox.Store
	server *fakeServer
}

func (f fakeStore) Folders(context.Context) ([]mailbox.Folder, error) {
	if err := f.server.step("folders"); err != nil {
		return nil, &mailbox.ConnectError{Err: err}
	}
	all := []mailbox.Folder{{Name: "INBOX"}, {Name: "Sent"}}
	if f.server.sentName != "" {
		all = append(all, mailbox.Folder{Name: f.server.sentName, Attributes: []string{`\HasNoChildren`, `\sent`}})
	}
	return all, nil
}

func (f fakeStore) Find(_ context.Context, folder, id string) ([]mailbox.UID, error) {
	if err := f.server.step("find"); err != nil {
		return nil, &mailbox.ConnectError{Err: err}
	}
	all, ok := f.server.sent[folder]
	if !ok {
		return nil, mailbox.ErrNoFolder
	}
	if id != messageID {
		return nil, nil
	}
	uids := make([]mailbox.UID, len(all))
	for i := range all {
		uids[i] = mailbox.UID(i + 1)
	}
	return uids, nil
}

func (f fakeStore) Append(_ context.Context, folder string, m mailbox.NewMessage) (mailbox.UID, error) {
	if err := f.server.step("append"); err != nil {
		return 0, &mailbox.ConnectError{Err: err}
	}
	content, err := io.ReadAll(m.Body)
	if err != nil || int64(len(content)) != m.Size {
		return 0, fmt.Errorf("copy of %d octets, said to be %d: %w", len(content), m.Size, err)
	}
	f.server.sent[folder] = append(f.server.sent[folder], string(content))
	if err := f.server.step("appended"); err != nil {
		return 0, &mailbox.UncertainError{Err: err}
	}
	return mailbox.UID(len(f.server.sent[folder])), nil
}

// testMail is a mail to Bob, with a blind copy to Carol, and the sender's copy.
func testMail() (Entry, []func(io.Writer) error) {
	e := Entry{
		Account: "alice", MessageID: messageID, Created: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Messages: []Message{
			{Envelope: mailbox.Envelope{From: "alice@example.org", To: []string{"bob@example.org"}}},
			{Envelope: mailbox.Envelope{From: "alice@example.org", To: []string{"carol@example.org"}}},
		},
		Copy: &Copy{Folder: "Sent", Message: 0},
		Note: []byte(`{"k":1}`),
	}
	return e, []func(io.Writer) error{writes(toBob), writes(toCarol)}
}

const (
	toBob   = "Message-ID: " + messageID + "\r\n\r\nto bob\r\n"
	toCarol = "Message-ID: " + messageID + "\r\n\r\nto carol\r\n"
)

func writes(content string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader([]byte(content)))
		return err
	}
}

// fastDir is a folder in memory, where there is such a thing: a test that injects hundreds of faults need not wait for a
// disk each time.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "outbox-test")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func openOutbox(t testing.TB, disk safeio.Disk, dir string) *Outbox {
	t.Helper()
	o, err := Open(disk, dir)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func addMail(t testing.TB, o *Outbox) Entry {
	t.Helper()
	e, write := testMail()
	added, err := o.Add(t.Context(), e, write)
	if err != nil {
		t.Fatal(err)
	}
	return added
}
