package putback_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/putback"
)

// message is one with these octets.
func message(number int64, folder, octets, messageID string) putback.Message {
	return putback.Message{Number: number, Folder: folder, Size: int64(len(octets)), SHA256: sha256.Sum256([]byte(octets)), MessageID: messageID,
		Flags: []string{`\Seen`, "Work"}, Date: time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC),
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(octets)), nil }}
}

// text is a message like many others; all have the same size.
func text(n int) (octets, messageID string) {
	messageID = fmt.Sprintf("<%04d@example.test>", n)
	return "Message-ID: " + messageID + "\r\nSubject: x\r\n\r\nFrom here on.\r\n", messageID
}

// some are messages of two folders, one without Message-ID, one without a line end, and one that was archived twice.
func some() []putback.Message {
	one, oneID := text(1)
	list := []putback.Message{message(1, "North", one, oneID), message(2, "North", one, oneID)}
	for n := 2; n <= 5; n++ {
		octets, id := text(n)
		list = append(list, message(int64(n)+1, []string{"INBOX", "North"}[n%2], octets, id))
	}
	return append(list, message(7, "INBOX", one, oneID), message(8, "INBOX", "Subject: none\r\n\r\nno end", ""))
}

// want are the octets in a folder after all of some were put back.
func want(folder string) []string {
	one, _ := text(1)
	two, _ := text(2)
	three, _ := text(3)
	four, _ := text(4)
	five, _ := text(5)
	if folder == "North" {
		return []string{one, three, five}
	}
	return []string{one, two, four, "Subject: none\r\n\r\nno end"}
}

// put puts messages into a store, with the journal at path, and returns what became of them.
func put(t *testing.T, store mailbox.Store, disk safeio.Disk, path string, messages []putback.Message) (results []putback.Result, err error) {
	t.Helper()
	journal, err := putback.OpenJournal(disk, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, journal.Close()) }()
	p := putback.New(store, journal)
	for batch := range slices.Chunk(messages, 3) {
		base := len(results)
		err := p.Put(t.Context(), batch, func(i int, r putback.Result) error {
			if base+i != len(results) {
				t.Errorf("told of %d after %d", base+i, len(results))
			}
			results = append(results, r)
			return nil
		})
		if err != nil {
			return results, err
		}
	}
	return results, nil
}

// checkWhole checks that each message is where it belongs, once.
func checkWhole(t *testing.T, at place) {
	t.Helper()
	for _, folder := range []string{"INBOX", "North"} {
		got := slices.Sorted(maps.Values(octetsIn(t, at, folder)))
		if want := slices.Sorted(slices.Values(want(folder))); !slices.Equal(got, want) {
			t.Errorf("%s has %d messages, want %d: %q", folder, len(got), len(want), got)
		}
	}
}

func there(results []putback.Result) (n int) {
	for _, r := range results {
		if r.There {
			n++
		}
	}
	return n
}

func TestPut(t *testing.T) {
	for name, at := range places(t) {
		t.Run(name, func(t *testing.T) { putTwice(t, at) })
	}
}

// putTwice puts messages into an empty place, and then again: with what the journal knows, and without.
func putTwice(t *testing.T, at place) {
	path := filepath.Join(t.TempDir(), "sub", "journal")
	for run, journal := range []string{path, path, filepath.Join(t.TempDir(), "another")} {
		s := &counting{Store: at(t)}
		results, err := put(t, s, safeio.Disk{}, journal, some())
		if err != nil {
			t.Fatal(err)
		}
		infos, err := s.List(t.Context(), "North", 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range infos {
			if !slices.Contains(i.Flags, `\Seen`) || !slices.Contains(i.Flags, "Work") || !i.InternalDate.Equal(some()[0].Date) {
				t.Errorf("message %d has %q and %s", i.UID, i.Flags, i.InternalDate)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for i, r := range results {
			m := some()[i]
			if r.Err != nil || sha256.Sum256([]byte(octetsIn(t, at, m.Folder)[r.UID])) != m.SHA256 {
				t.Errorf("run %d: message %d became %+v", run, m.Number, r)
			}
		}
		// Of the first, 2 has the octets of 1, in the same folder.
		switch n := there(results); {
		case run == 0 && n != 1, run > 0 && n != 8:
			t.Errorf("run %d: %d were there", run, n)
		case run == 1 && s.fetched > 0:
			t.Errorf("run %d: %d were fetched, where the journal says it all", run, s.fetched)
		}
		checkWhole(t, at)
	}
}

// TestDovecot is TestPut with somebody else's server.
func TestDovecot(t *testing.T) {
	s := peertest.MailServers(t)
	u := s.User(t, "bob")
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s.Empty(t, u.Address)
	at := func(t testing.TB) mailbox.Store {
		return dial(t, imapOptions(t, s.IMAPS, u.Address, u.Password, roots))
	}
	putTwice(t, at)
	s.DeleteFolder(t, u.Address, "North")
}

// counting counts what is asked of a store.
type counting struct {
	mailbox.Store
	fetched, appended int
}

func (c *counting) Fetch(ctx context.Context, folder string, uid mailbox.UID, dst io.Writer) error {
	c.fetched++
	return c.Store.Fetch(ctx, folder, uid, dst)
}

func (c *counting) Append(ctx context.Context, folder string, m mailbox.NewMessage) (mailbox.UID, error) {
	c.appended++
	return c.Store.Append(ctx, folder, m)
}

var errKilled = errors.New("killed")

// killer ends everything at the step of this number: one of the disk, or before an Append, or between it and its answer.
type killer struct {
	mailbox.Store
	steps int // to go
}

func (k *killer) step() error {
	if k.steps--; k.steps < 0 {
		return errKilled
	}
	return nil
}

func (k *killer) Append(ctx context.Context, folder string, m mailbox.NewMessage) (mailbox.UID, error) {
	if err := k.step(); err != nil {
		return 0, &mailbox.ConnectError{Reason: mailbox.ReasonLost, Err: err}
	}
	uid, err := k.Store.Append(ctx, folder, m)
	if killed := k.step(); killed != nil {
		return 0, &mailbox.UncertainError{Err: killed}
	}
	return uid, err
}

// TestKilledAnywhere ends a run at each of its steps: the next one doubles nothing and misses nothing, with what the journal says
// and without it, and where the store does not tell UIDs.
func TestKilledAnywhere(t *testing.T) {
	for _, test := range []struct {
		name   string
		place  func(*testing.T) place
		silent bool
		forget bool // the journal is lost with the run
	}{
		{name: "embedded server", place: embedded},
		{name: "no UIDPLUS", place: inMaildir, silent: true},
		{name: "Maildir", place: inMaildir},
		{name: "mbox", place: inMbox},
		{name: "without the journal", place: inMaildir, forget: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			steps := 0
			for run := func(t *testing.T, at place, path string, steps int) error {
				k := &killer{Store: at(t), steps: steps}
				store := mailbox.Store(k)
				if test.silent {
					store = silent{k}
				}
				_, err := put(t, store, safeio.Disk{Before: func(string, string) error { return k.step() }}, path, some())
				return errors.Join(err, k.Close())
			}; ; steps++ {
				at, path := test.place(t), filepath.Join(t.TempDir(), "journal")
				err := run(t, at, path, steps)
				if err == nil {
					checkWhole(t, at)
					break
				}
				if !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
				if test.forget {
					if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
						t.Fatal(err)
					}
				}
				if err := run(t, at, path, 1000); err != nil {
					t.Fatalf("after %d steps: %v", steps, err)
				}
				checkWhole(t, at)
			}
			if steps < 20 {
				t.Errorf("there were %d steps", steps)
			}
		})
	}
}

// silent is a store that does not tell UIDs.
type silent struct{ mailbox.Store }

func (s silent) Append(ctx context.Context, folder string, m mailbox.NewMessage) (mailbox.UID, error) {
	_, err := s.Store.Append(ctx, folder, m)
	return 0, err
}
