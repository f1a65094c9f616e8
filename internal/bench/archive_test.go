//go:build unix

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sealmail/sealmail/smime/cms"
)

// How many octets a letter has of which an archive's size is told beside that of larger ones.
const shortLetter = 2 << 10

// archiver is somebody who archives: a mail user with an archiving certificate, and a time-stamp authority that serves, of an
// authority of its own.
type archiver struct {
	*mailUser
	tsa string // its URL
}

func (u *mailUser) newArchiver(b *testing.B) *archiver {
	b.Helper()
	ca := []string{"--dir", u.in("ca"), "--ca-passphrase-file", u.in("password")}
	issue := func(purpose string) *exec.Cmd {
		return u.command(append([]string{"ca", "issue", "--purpose", purpose, "--key", "p256", "--name", purpose, "-o", u.in(purpose + ".p12"),
			"--p12-password-file", u.in("password")}, ca...)...)
	}
	run(b,
		u.command(append([]string{"ca", "init", "--name", "Bench", "--organization", "Example GmbH"}, ca...)...),
		issue("archive"), issue("tsa"),
		u.command("cert", "trust", u.in("ca", "root.pem"), "--for", "mail", "--for", "tsa", "--yes"),
		u.command("cert", "import", u.in("archive.p12"), "--p12-password-file", u.in("password")))

	server := exec.Command(u.program, "tsa", "serve", "--listen", "127.0.0.1:0", "--p12", u.in("tsa.p12"), "--p12-password-file", u.in("password"),
		"--policy", "1.3.6.1.4.1.32473.1", "--state", u.in("tsa-state"))
	out, err := server.StdoutPipe()
	check(b, err)
	var said bytes.Buffer
	server.Stderr = &said
	check(b, server.Start())
	b.Cleanup(func() {
		check(b, server.Process.Signal(syscall.SIGTERM))
		if err := server.Wait(); err != nil {
			b.Errorf("tsa serve: %v\n%s", err, &said)
		}
	})
	var ready struct{ URL string }
	check(b, json.NewDecoder(out).Decode(&ready))
	return &archiver{u, ready.URL}
}

// pull is what brings a folder into an archive.
func (a *archiver) pull(folder, to string) *exec.Cmd {
	return a.command("archive", "pull", folder, "--to", a.in(to), "--tsa", a.tsa, "--json", "--quiet")
}

// pulls is the contender that brings a folder into an archive which it makes, each message judged, sealed, signed, stamped, searchable and
// on the disk.
func (a *archiver) pulls(name, folder, to string) *contender {
	return processes(name, func(b *testing.B, commands ...*exec.Cmd) turn {
		b.Helper()
		for _, old := range []string{a.in(to), a.in("home", "cache"), a.in("home", "data", "archives")} {
			check(b, os.RemoveAll(old))
		}
		return run(b, commands...)
	}, func() []*exec.Cmd { return []*exec.Cmd{a.pull(folder, to)} })
}

// mustBeArchived holds an archive against what there is to be: so many messages, of which so many passed, all of them sound.
func (a *archiver) mustBeArchived(b *testing.B, to string, n, passed int) {
	b.Helper()
	out, err := a.command("archive", "list", "--archive", a.in(to), "--json").Output()
	check(b, err)
	if lines, good := bytes.Count(out, []byte("\n")), bytes.Count(out, []byte(`"verdict":"passed"`)); lines != n || good != passed {
		b.Fatalf("%d messages are in %s, and %d of them passed; want %d and %d", lines, to, good, n, passed)
	}
	out, err = a.command("archive", "verify", a.in(to), "--sample", "100", "--json").Output()
	if err != nil {
		b.Fatalf("archive verify: %v\n%s", err, out)
	}
	if !bytes.Contains(out, fmt.Appendf(nil, `"messages":%d,"checked":100`, n)) || !bytes.Contains(out, []byte(`"unstamped":0`)) {
		b.Fatalf("not all of them are sound and stamped: %s", out)
	}
}

// octetsIn is what the files in a folder have.
func octetsIn(b *testing.B, dir string) (octets int64) {
	b.Helper()
	check(b, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			octets += info.Size()
		}
		return err
	}))
	return octets
}

// size is the row about how much an archive takes beside the mail in it, which has lines that end in CR LF.
func (a *archiver) size(b *testing.B, what, to string, n int, message func(int) []byte) {
	b.Helper()
	var raw int64
	for i := range n {
		m := message(i)
		raw += int64(len(m) + bytes.Count(m, []byte("\n")) - bytes.Count(m, []byte("\r\n")))
	}
	takes := octetsIn(b, a.in(to))
	mib := func(octets int64) string { return fmt.Sprintf("%.1f MiB", float64(octets)/(1<<20)) }
	r := float64(takes) / float64(raw)
	b.ReportMetric(r, "size-ratio")
	measuredArchives.add(row{work: "an archive of " + what + ", its size", ours: mib(takes), theirs: "the mail: " + mib(raw), ratio: fmt.Sprintf("%.2f", r), bar: "—"})
}

// short is plainMessage with less text.
func short(i int) []byte {
	m := plainMessage(i)
	end := bytes.IndexByte(m[shortLetter:], '\n') + shortLetter
	return m[:end+1]
}

// grouped is a number with a comma at its thousands.
func grouped(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}

// BenchmarkArchivePull brings messages from Dovecot into an archive, beside fetching them.
func BenchmarkArchivePull(b *testing.B) {
	h := newHouse(b, p256)
	a := h.newMailUser(b, build(b)).newArchiver(b)
	n := *archived
	b.Run("unsigned", func(b *testing.B) {
		a.fill(b, "Plain", n, plainMessage)
		a.fill(b, "Tenth", n/10, plainMessage)
		ours, theirs, less := a.pulls("pull", "Plain", "all"), a.fetches("fetch", "Plain"), a.pulls("tenth", "Tenth", "tenth")
		for b.Loop() {
			takeTurns(b, 3, less)
			takeTurns(b, 3, theirs, ours)
		}
		report(b, n, ours, theirs)
		report(b, n/10, less)
		r, memory := ratio(theirs, ours), ours.mebibytes()/less.mebibytes()
		b.ReportMetric(r, "ratio")
		b.ReportMetric(memory, "memory-ratio")
		measuredArchives.add(row{work: "archiving " + grouped(n) + " messages of 8 KB from Dovecot, unsigned", ours: ours.rate(n), theirs: "sealmail fetch: " + theirs.rate(n),
			ratio: fmt.Sprintf("%.2f ×", r), bar: "≥ 0.5 ×"})
		measuredArchives.add(row{work: "its memory", ours: fmt.Sprintf("%.0f MiB", ours.mebibytes()), theirs: fmt.Sprintf("for %s: %.0f MiB", grouped(n/10), less.mebibytes()),
			ratio: fmt.Sprintf("%.2f", memory), bar: "≤ 1.5"})
		run(b, a.pull("Plain", "all")) // the one that is there now may be that of the fetch
		a.mustBeArchived(b, "all", n, 0)
		a.size(b, grouped(n)+" messages of 8 KB", "all", n, plainMessage)
	})
	b.Run("short", func(b *testing.B) {
		count := min(n, fetched)
		a.fill(b, "Short", count, short)
		ours, theirs := a.pulls("pull", "Short", "short"), a.fetches("fetch", "Short")
		for b.Loop() {
			takeTurns(b, 3, theirs, ours)
		}
		report(b, count, ours, theirs)
		r := ratio(theirs, ours)
		b.ReportMetric(r, "ratio")
		measuredArchives.add(row{work: "archiving " + grouped(count) + " messages of 2 KB from Dovecot, unsigned", ours: ours.rate(count),
			theirs: "sealmail fetch: " + theirs.rate(count), ratio: fmt.Sprintf("%.2f ×", r), bar: "—"})
		run(b, a.pull("Short", "short"))
		a.mustBeArchived(b, "short", count, 0)
		a.size(b, grouped(count)+" messages of 2 KB", "short", count, short)
	})
	b.Run("sealed", func(b *testing.B) {
		h.writeMessages(b, min(letters, n), cms.AES256GCM, plain)
		messages, err := h.messages()
		check(b, err)
		count := min(n, fetched)
		message := func(i int) []byte { // other than every other, or it would be archived once
			return append(fmt.Appendf(nil, "X-Number: %d\r\n", i), messages[i%len(messages)]...)
		}
		a.fill(b, "Sealed", count, message)
		ours, theirs := a.pulls("pull", "Sealed", "sealed"), a.fetches("fetch", "Sealed")
		for b.Loop() {
			takeTurns(b, 3, theirs, ours)
		}
		report(b, count, ours, theirs)
		r := ratio(theirs, ours)
		b.ReportMetric(r, "ratio")
		measuredArchives.add(row{work: "archiving " + grouped(count) + " messages of 8 KB from Dovecot, P-256, AES-256-GCM, decrypt + verify", ours: ours.rate(count),
			theirs: "sealmail fetch: " + theirs.rate(count), ratio: fmt.Sprintf("%.2f ×", r), bar: "≥ 0.5 ×"})
		run(b, a.pull("Sealed", "sealed"))
		a.mustBeArchived(b, "sealed", count, count)
		a.size(b, grouped(count)+" signed and encrypted messages", "sealed", count, message)
	})
}

// BenchmarkArchive works with an archive of messages of 8 KB: verifies it, lists and searches it, and pulls where nothing is new. All are
// processes of their own.
func BenchmarkArchive(b *testing.B) {
	h := newHouse(b, p256)
	a := h.newMailUser(b, build(b)).newArchiver(b)
	n := *archived
	a.fill(b, "Plain", n, plainMessage)
	run(b, a.pull("Plain", "all"))
	a.mustBeArchived(b, "all", n, 0)
	segments, err := filepath.Glob(a.in("all", "seg", "*.zip"))
	check(b, err)
	command := func(name string, args ...string) *contender {
		return processes(name, run, func() []*exec.Cmd { return []*exec.Cmd{a.command(append([]string{"archive"}, args...)...)} })
	}
	b.Run("verify", func(b *testing.B) {
		quick, full := command("quick", "verify", a.in("all"), "--quick"), command("full", "verify", a.in("all"), "--full")
		sums := processes("sha512sum", run, func() []*exec.Cmd { return []*exec.Cmd{exec.Command("sha512sum", segments...)} })
		for b.Loop() {
			takeTurns(b, 5, quick, sums)
			takeTurns(b, 3, full)
		}
		report(b, n, quick, sums, full)
		all := float64(octetsIn(b, a.in("all"))) / 1e6
		b.ReportMetric(all/quick.wall(), "quick-MB/s")
		rate := func(c *contender) string { return fmt.Sprintf("%.0f MB/s, %.0f MiB", all/c.wall(), c.mebibytes()) }
		measuredArchives.add(row{work: "archive verify --quick of " + grouped(n) + " messages of 8 KB", ours: rate(quick), theirs: "sha512sum: " + rate(sums),
			ratio: fmt.Sprintf("%.2f ×", ratio(sums, quick)), bar: "≥ 300 MB/s"})
		measuredArchives.add(row{work: "archive verify --full of them", ours: fmt.Sprintf("%.0f/s, ", float64(n)/full.wall()) + rate(full), theirs: "—", ratio: "—", bar: "—"})
	})
	b.Run("processes", func(b *testing.B) {
		again := processes("again", run, func() []*exec.Cmd { return []*exec.Cmd{a.pull("Plain", "all")} })
		word := fmt.Sprintf("%d", n/2) // of one letter alone
		search, list := command("search", "search", word, "--archive", a.in("all")), command("list", "list", "--archive", a.in("all"), "--limit", "100")
		for b.Loop() {
			takeTurns(b, 20, search, list)
			takeTurns(b, 5, again)
		}
		report(b, 1, search, list, again)
		for _, c := range []struct {
			work string
			*contender
		}{{"archive search of a word that is in one message", search}, {"archive list --limit 100", list}, {"archive pull where nothing is new", again}} {
			measuredArchives.add(row{work: c.work + ", " + grouped(n) + " messages, whole process", ours: c.duration(), theirs: "—", ratio: "—", bar: "—"})
		}
	})
}

// TestGrouped writes numbers as the table has them.
func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1_234_567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if m := short(7); len(m) < shortLetter || len(m) > shortLetter+200 || !strings.HasSuffix(string(m), "\r\n") {
		t.Errorf("a short letter has %d octets", len(m))
	}
}
