//go:build unix

package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/outbox"
)

// submitted is how many messages of 8 KB a turn hands over.
const submitted = 500

// submission is a submission server, and a message for it.
type submission struct {
	servers  peertest.Servers
	from, to peertest.User
	message  []byte
}

// BenchmarkSubmit hands messages to Postfix over one connection: out of the outbox, where each is recorded on the disk before its
// last octet goes and after its answer; without it; and with Python's smtplib, which records nothing.
func BenchmarkSubmit(b *testing.B) {
	s := &submission{servers: peertest.MailServers(b)}
	s.from, s.to = s.servers.User(b, "alice"), s.servers.User(b, "bob")
	s.message = fmt.Appendf(nil, "From: <%s>\r\nTo: <%s>\r\nSubject: bench\r\n\r\n%s", s.from.Address, s.to.Address,
		strings.Repeat(strings.Repeat("x", 70)+"\r\n", 8<<10/72))
	fromOutbox, bare, theirs := s.weDeliver(b), s.weSubmit(), s.smtplibSubmits(b)
	for b.Loop() {
		takeTurns(b, 5, fromOutbox, bare, theirs)
	}
	report(b, submitted, fromOutbox, bare, theirs)
	figure := func(c *contender) string { return fmt.Sprintf("%.0f/s", submitted/c.wall()) }
	for _, ours := range []*contender{fromOutbox, bare} {
		work := "submitting 500 messages of 8 KB over one connection, from the outbox"
		if ours == bare {
			work = "the same without the outbox"
		}
		r := ratio(theirs, ours)
		b.ReportMetric(r, ours.name+"-ratio")
		measured.add(row{work: work, ours: figure(ours), theirs: "smtplib: " + figure(theirs), ratio: fmt.Sprintf("%.2f ×", r), bar: "≥ 1 ×"})
	}
}

// timed is a turn in this process.
func (s *submission) timed(name string, prepare func(b *testing.B), work func(b *testing.B)) *contender {
	return &contender{name: name, run: func(b *testing.B) turn {
		b.Helper()
		s.clear(b)
		if prepare != nil {
			prepare(b)
		}
		wall, cpu := time.Now(), cpuTime()
		work(b)
		return turn{wall: time.Since(wall).Seconds(), cpu: (cpuTime() - cpu).Seconds()}
	}}
}

// clear lets the servers come to rest.
func (s *submission) clear(b *testing.B) {
	b.Helper()
	s.servers.Settle(b)
	s.servers.Empty(b, s.to.Address)
}

func (s *submission) dial(ctx context.Context) (mailbox.Submitter, error) {
	ca, err := os.ReadFile(s.servers.CAFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	endpoint, err := mailbox.ParseEndpoint("submissions://" + s.servers.Submissions)
	if err != nil {
		return nil, err
	}
	return mailbox.DialSMTP(ctx, mailbox.Options{
		Endpoint: endpoint, TLSRoots: roots, Credentials: mailbox.Credentials{User: s.from.Address, Password: mailbox.Password(s.from.Password)},
	})
}

func (s *submission) envelope() mailbox.Envelope {
	return mailbox.Envelope{From: s.from.Address, To: []string{s.to.Address}}
}

// weSubmit is the bare Submitter.
func (s *submission) weSubmit() *contender {
	return s.timed("submitter", nil, func(b *testing.B) {
		submitter, err := s.dial(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		for range submitted {
			if err := submitter.Submit(b.Context(), s.envelope(), int64(len(s.message)), bytes.NewReader(s.message), nil); err != nil {
				b.Fatal(err)
			}
		}
		if err := submitter.Close(); err != nil {
			b.Fatal(err)
		}
	})
}

// weDeliver is the outbox, in which the messages lie before a turn begins.
func (s *submission) weDeliver(b *testing.B) *contender {
	box, err := outbox.Open(safeio.Disk{}, filepath.Join(b.TempDir(), "outbox"))
	if err != nil {
		b.Fatal(err)
	}
	fill := func(b *testing.B) {
		for range submitted {
			_, err := box.Add(b.Context(), outbox.Entry{Account: "alice", Created: time.Now(), Messages: []outbox.Message{{Envelope: s.envelope()}}},
				[]func(io.Writer) error{func(w io.Writer) error {
					_, err := w.Write(s.message)
					return err
				}})
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	return s.timed("outbox", fill, func(b *testing.B) {
		entries, err := box.List()
		if err != nil || len(entries) != submitted {
			b.Fatalf("%d entries, %v", len(entries), err)
		}
		submitter, err := s.dial(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		ports := outbox.Ports{Submitter: func(context.Context) (mailbox.Submitter, error) { return submitter, nil }}
		for _, e := range entries {
			if result, err := box.Deliver(b.Context(), e.ID, ports, outbox.DeliverOptions{Now: time.Now()}); err != nil || result.State != outbox.Sent {
				b.Fatalf("%s, %v", result.State, err)
			}
		}
		if err := submitter.Close(); err != nil {
			b.Fatal(err)
		}
	})
}

// smtplibSubmits is Python's standard library, in one process for all turns.
func (s *submission) smtplibSubmits(b *testing.B) *contender {
	python := peertest.Command(b, "python3")
	path := filepath.Join(b.TempDir(), "message.eml")
	if err := os.WriteFile(path, s.message, 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), python, "../../testdata/bench/submit-smtplib.py", s.servers.Submissions, s.servers.CAFile,
		s.from.Address, s.from.Password, s.to.Address, path, strconv.Itoa(submitted))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	return &contender{
		name:  "smtplib",
		begin: func(b *testing.B) { check(b, cmd.Start()) },
		run: func(b *testing.B) turn {
			b.Helper()
			s.clear(b)
			_, err := io.WriteString(in, "go\n")
			check(b, err)
			var t turn
			if !lines.Scan() {
				b.Fatal("submit-smtplib.py ended")
			}
			_, err = fmt.Sscan(lines.Text(), &t.wall, &t.cpu)
			check(b, err)
			return t
		},
		end: func(b *testing.B) {
			check(b, in.Close())
			check(b, cmd.Wait())
		},
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
