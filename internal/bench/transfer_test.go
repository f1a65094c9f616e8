//go:build unix

package bench

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/smime/cms"
)

// How many messages are fetched, and how many lie in the folder whose list is looked at.
const (
	fetched = 10_000
	few     = 1_000
	listed  = 100_000
)

// mailUser is somebody with an account on a Dovecot, its vault opened by an agent: what the passphrase costs once a day is not measured.
type mailUser struct {
	house
	program string
	servers peertest.Servers
	user    peertest.User
}

// newMailUser gives the reader of a house an account. Unlocked is only for as long as the benchmark takes.
func (h house) newMailUser(b *testing.B, program string) *mailUser {
	b.Helper()
	u := &mailUser{house: h, program: program, servers: peertest.MailServers(b)}
	u.user = u.servers.User(b, "alice")
	h.write(b, "password", []byte(u.user.Password+"\n"))
	run(b,
		u.command("cert", "import", h.in(reader+".key"), h.in(reader+".pem"), "--passphrase-file", h.in("password")),
		u.command("init", address(reader), "--imap", "imaps://"+u.servers.IMAPS, "--smtp", "submissions://"+u.servers.Submissions,
			"--user", u.user.Address, "--password-file", h.in("password"), "--server-ca", u.servers.CAFile, "--trust", h.in("root.pem"),
			"--no-check", "--passphrase-file", h.in("password")),
		u.command("unlock", "--for", "2h", "--passphrase-file", h.in("password")))
	b.Cleanup(func() {
		if out, err := u.command("lock").CombinedOutput(); err != nil {
			b.Errorf("lock: %v\n%s", err, out)
		}
	})
	return u
}

func (u *mailUser) command(args ...string) *exec.Cmd {
	return exec.Command(u.program, append(args, "--home", u.in("home"))...)
}

// fill makes a folder on the server, of n messages that message makes.
func (u *mailUser) fill(b *testing.B, folder string, n int, message func(i int) []byte) {
	b.Helper()
	u.servers.Fill(b, u.user.Address, folder, 0, n, message)
}

// plainMessage is a message of 8 KB that is not signed, a little of it other than in every other.
func plainMessage(i int) []byte {
	return fmt.Appendf(nil, "From: <%s>\nTo: <%s>\nSubject: Letter %d\nDate: %s\nMessage-ID: <%d@example.test>\nMIME-Version: 1.0\n%s",
		address(sender(i)), address(reader), i, time.Unix(1763715731+int64(i), 0).UTC().Format(time.RFC1123Z), i, letter(i, letterSize-200))
}

// fetches is the contender that brings a folder into an index that has nothing yet, on the disk and judged.
func (u *mailUser) fetches(name, folder string) *contender {
	return processes(name, func(b *testing.B, commands ...*exec.Cmd) turn {
		b.Helper()
		check(b, os.RemoveAll(u.in("home", "cache")))
		return run(b, commands...)
	}, func() []*exec.Cmd { return []*exec.Cmd{u.command("fetch", folder, "--json", "--quiet")} })
}

// mustHave holds what was fetched against what there is: so many messages, of which so many passed.
func (u *mailUser) mustHave(b *testing.B, folder string, n, passed int) {
	b.Helper()
	out, err := u.command("list", folder, "--json").Output()
	if err != nil {
		b.Fatal(err)
	}
	if lines, good := bytes.Count(out, []byte("\n")), bytes.Count(out, []byte(`"verdict":"passed"`)); lines != n || good != passed {
		b.Fatalf("%d messages are in %s, and %d of them passed; want %d and %d", lines, folder, good, n, passed)
	}
}

// mbsyncs is the contender that brings a folder into a Maildir, each message on the disk as it does unless told otherwise.
func (u *mailUser) mbsyncs(b *testing.B, folder string) *contender {
	peertest.Command(b, "mbsync")
	_, port, err := net.SplitHostPort(u.servers.IMAPS)
	check(b, err)
	to := u.in("mbsync")
	u.write(b, "mbsyncrc", fmt.Appendf(nil, `IMAPAccount bench
Host localhost
Port %s
User %s
Pass %s
SSLType IMAPS
CertificateFile %s

IMAPStore far
Account bench

MaildirStore near
Path %[5]s/
Inbox %[5]s/INBOX

Channel bench
Far :far:%[6]s
Near :near:%[6]s
Sync Pull
Create Near
SyncState *
`, port, u.user.Address, u.user.Password, u.servers.CAFile, to, folder))
	return processes("mbsync", func(b *testing.B, commands ...*exec.Cmd) turn {
		b.Helper()
		check(b, os.RemoveAll(to))
		check(b, os.MkdirAll(to, 0o700))
		t := run(b, commands...)
		var count int
		for _, sub := range []string{"cur", "new"} {
			entries, err := os.ReadDir(filepath.Join(to, folder, sub))
			check(b, err)
			count += len(entries)
		}
		if count != fetched {
			b.Fatalf("mbsync brought %d messages", count)
		}
		return t
	}, func() []*exec.Cmd {
		return []*exec.Cmd{exec.Command("mbsync", "--config", u.in("mbsyncrc"), "--quiet", "bench")}
	})
}

// BenchmarkFetch brings 10,000 messages of 8 KB from Dovecot to the disk: sealmail fetch, which judges and indexes them, beside
// mbsync, which keeps them as they are; and signed and encrypted ones, beside opening them in memory.
func BenchmarkFetch(b *testing.B) {
	h := newHouse(b, p256)
	u := h.newMailUser(b, build(b))
	b.Run("unsigned", func(b *testing.B) {
		u.fill(b, "Plain", fetched, plainMessage)
		u.fill(b, "Few", few, plainMessage)
		ours, theirs, less := u.fetches("sealmail", "Plain"), u.mbsyncs(b, "Plain"), u.fetches("few", "Few")
		for b.Loop() {
			takeTurns(b, 5, less)
			takeTurns(b, 5, ours, theirs)
		}
		u.mustHave(b, "Plain", fetched, 0)
		report(b, fetched, ours, theirs)
		report(b, few, less)
		r, memory := ratio(theirs, ours), ours.mebibytes()/less.mebibytes()
		b.ReportMetric(r, "ratio")
		b.ReportMetric(memory, "memory-ratio")
		measured.add(row{work: "fetching 10,000 messages of 8 KB from Dovecot, unsigned", ours: ours.rate(fetched), theirs: "mbsync: " + theirs.rate(fetched),
			ratio: fmt.Sprintf("%.2f ×", r), bar: "≥ 2 ×"})
		measured.add(row{work: "its memory", ours: fmt.Sprintf("%.0f MiB", ours.mebibytes()), theirs: fmt.Sprintf("for 1,000: %.0f MiB", less.mebibytes()),
			ratio: fmt.Sprintf("%.2f", memory), bar: "≤ 1.5"})
	})
	b.Run("sealed", func(b *testing.B) {
		h.writeMessages(b, letters, cms.AES256GCM, plain)
		messages, err := h.messages()
		check(b, err)
		u.fill(b, "Sealed", fetched, func(i int) []byte { return messages[i%len(messages)] })
		ours, opening := u.fetches("sealmail", "Sealed"), playing(b, "open", h.work(b, "open", 0))
		for b.Loop() {
			takeTurns(b, 5, ours, opening)
		}
		u.mustHave(b, "Sealed", fetched, fetched)
		report(b, fetched, ours)
		report(b, letters, opening)
		r := ratio(opening, ours) * fetched / letters
		b.ReportMetric(r, "ratio")
		measured.add(row{work: "fetching 10,000 messages of 8 KB from Dovecot, P-256, AES-256-GCM, decrypt + verify", ours: ours.rate(fetched),
			theirs: "opening them in memory: " + opening.rate(letters), ratio: fmt.Sprintf("%.2f", r), bar: "≥ 0.5"})
	})
}

// BenchmarkList lists the last 100 of 100,000 messages that were fetched, and prints the version, by processes of their own.
func BenchmarkList(b *testing.B) {
	h := newHouse(b, p256)
	u := h.newMailUser(b, build(b))
	u.fill(b, "Many", listed, func(i int) []byte {
		head, _, _ := strings.Cut(string(plainMessage(i)), "\r\n\r\n")
		return []byte(head + "\n\nA line.\n")
	})
	run(b, u.command("fetch", "Many", "--quiet"))
	list := processes("list", run, func() []*exec.Cmd { return []*exec.Cmd{u.command("list", "Many", "--limit", "100")} })
	version := processes("version", run, func() []*exec.Cmd { return []*exec.Cmd{u.command("version")} })
	for b.Loop() {
		takeTurns(b, 100, list, version)
	}
	report(b, 1, list, version)
	measured.add(row{work: "listing 100 of 100,000 messages, whole process", ours: list.duration(), theirs: "—", ratio: "—", bar: "≤ 50 ms"})
	measured.add(row{work: "printing the version, whole process", ours: version.duration(), theirs: "—", ratio: "—", bar: "≤ 50 ms"})
}
