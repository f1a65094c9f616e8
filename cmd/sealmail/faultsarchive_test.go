//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// TestArchiveFaults has everything around an archive fail that can. What was told of stays, it is said in a line what is the matter,
// and the next run mends it.
func TestArchiveFaults(t *testing.T) {
	l := newKillLab(t)
	l.archiver(t)
	l.archiveStages(t)
	tests := []struct {
		name string
		run  func(*killWorld, *testing.T)
	}{
		{"authorities", (*killWorld).badAuthorities}, {"silent authority", (*killWorld).silentAuthority}, {"full disk", (*killWorld).fullDisk},
		{"read-only", (*killWorld).readOnly}, {"two at once", (*killWorld).twoPulls}, {"connection ends", (*killWorld).cutPull},
		{"server stalls", (*killWorld).stalledPull}, {"interrupted", (*killWorld).interruptedPull}, {"places", (*killWorld).badPlaces},
		{"put back", (*killWorld).putBack}, {"witness", (*killWorld).badWitness}, {"clock", (*killWorld).clocks},
		{"folders", (*killWorld).oddFolders}, {"locked vault", (*killWorld).lockedVault}, {"revoked", (*killWorld).revokedArchiver},
	}
	atOnce(len(tests), faultsAtOnce, func(i int) {
		t.Run(tests[i].name, func(t *testing.T) { tests[i].run(l.world(t, stageArchiver), t) })
	})
}

// runIn runs a command as bob in an environment that was changed, and looks at how it speaks of what failed.
func (w *killWorld) runIn(t *testing.T, change func(*environment), args ...string) outcome {
	t.Helper()
	return w.runUntil(t.Context(), t, change, args...)
}

func (w *killWorld) runUntil(ctx context.Context, t *testing.T, change func(*environment), args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	e := environment{
		in: strings.NewReader(""), out: &out, err: &errs, now: time.Now, dial: (&net.Dialer{}).DialContext,
		getenv: func(string) string { return "" },
	}
	if change != nil {
		change(&e)
	}
	args = append([]string{"--home", w.home(killBob), "--json"}, args...)
	o := outcome{args: args, code: run(ctx, e, args), out: out.String(), err: errs.String()}
	if broken := checkPromises(args, o.code, o.out, o.err); broken != "" {
		t.Errorf("%s: %s\n%s%s", strings.Join(args, " "), broken, o.out, o.err)
	}
	if soup := faultSoup.FindString(strings.ReplaceAll(o.out+o.err, "reached: dial tcp", "")); soup != "" { // of timestamp authorities
		t.Errorf("%s: exit %d, says %q in\n%s%s", strings.Join(args, " "), o.code, soup, o.out, o.err)
	}
	return o
}

// says checks what a command came to, and that it says all of these.
func (o outcome) says(t *testing.T, code int, words ...string) outcome {
	t.Helper()
	for _, word := range words {
		if o.code != code || !strings.Contains(o.err, word) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", strings.Join(o.args, " "), o.code, code, word, o.out, o.err)
		}
	}
	return o
}

// mended checks that what was told of is in the archive, and that after another pull of the folder all of it is.
func (w *killWorld) mended(t *testing.T, o outcome, folder string) {
	t.Helper()
	told := killed{outcome: o}.told(t)
	w.run(t, killBob, w.pullArgs(folder)...).mustBe(t, exitGood)
	archived := w.archivedNow(t)
	contain(t, "told of", archived, told)
	contain(t, "at the server", archived, w.atServer(t, folder))
	w.soundArchive(t)
}

// serveHTTP serves until the test ends.
func serveHTTP(t *testing.T, h http.HandlerFunc) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// altered passes requests on to the authority, changed on their way.
func (w *killWorld) altered(t *testing.T, change func(request []byte) []byte) (url string) {
	t.Helper()
	return serveHTTP(t, func(to http.ResponseWriter, r *http.Request) {
		request, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		answer, err := http.Post(w.tsa, r.Header.Get("Content-Type"), bytes.NewReader(change(request))) //nolint:noctx // of a test
		if err != nil {
			return
		}
		defer answer.Body.Close()
		to.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
		_, _ = io.Copy(to, answer.Body)
	})
}

// badAuthorities asks authorities for timestamps that give none, or none that is worth anything. Nothing is removed at the server
// then, whatever was asked for.
func (w *killWorld) badAuthorities(t *testing.T) {
	port, err := quietPort()
	if err != nil {
		t.Fatal(err)
	}
	w.sealmail(t, w.file("nowhere"), "ca", "init", "--dir", filepath.Join(w.dir, "other"), "--name", "Other", "--unprotected").mustBe(t, exitGood)
	certReq := []byte{0x01, 0x01, 0xff} // the last of a request with a nonce (RFC 3161 section 2.4.1)
	imprint := []byte{0x04, 0x40}       // before the digest
	for i, c := range []struct {
		name string
		args []string
	}{
		{"down", []string{"--tsa", "http://127.0.0.1:" + port}},
		{"page", []string{"--tsa", serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<p>Welcome") })}},
		{"refuses", []string{"--tsa", serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })}},
		{"over something else", []string{"--tsa", w.altered(t, func(request []byte) []byte {
			request[bytes.Index(request, imprint)+5] ^= 1
			return request
		})}},
		{"another nonce", []string{"--tsa", w.altered(t, func(request []byte) []byte {
			request[bytes.LastIndex(request, certReq)-1] ^= 1
			return request
		})}},
		{"not trusted", []string{"--tsa", w.tsa, "--tsa-trust", filepath.Join(w.dir, "other", "root.pem")}},
	} {
		w.put(t, "INBOX", fmt.Sprint("more ", i))
		before := w.atServer(t, "INBOX")
		o := w.runIn(t, nil, w.pullArgs(append(c.args, "INBOX", "--expunge-verified", "--yes")...)...).
			says(t, exitGood, fmt.Sprintf("segment %d has no timestamp yet: ", i+1), "stay at the server, because it has no timestamp yet")
		if n := len(killed{outcome: o}.told(t)); n == 0 {
			t.Errorf("%s: nothing was archived\n%s", c.name, o.err)
		}
		contain(t, c.name+": left", w.atServer(t, "INBOX"), before)
		v := w.verdict(t)
		if v.Damage > 0 || v.Unstamped != i+1 {
			t.Errorf("%s: verification: %+v", c.name, v)
		}
	}
	// It is there again.
	w.runIn(t, nil, w.pullArgs("INBOX", "--expunge-verified", "--yes")...).says(t, exitGood, "note: 6 segment(s) that had no timestamp have one now")
	w.soundArchive(t)
	if left := w.atServer(t, "INBOX"); len(left) > 0 {
		t.Errorf("still at the server: %v", left)
	}
}

// silentAuthority has many segments wait for an authority that does not answer: it is asked once for all of them.
func (w *killWorld) silentAuthority(t *testing.T) {
	for _, folder := range []string{"INBOX", archiveSecond} {
		w.runIn(t, nil, w.pullArgs("--no-timestamp", folder)...).mustBe(t, exitGood)
	}
	var asked atomic.Int32
	silent := serveHTTP(t, func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // only then it is noticed that the client went away
		<-r.Context().Done()
	})
	w.runIn(t, nil, append(w.pullArgs("--tsa", silent), "--timeout", faultShort)...).
		says(t, exitGood, "segment 1 has no timestamp yet", "1 more segment(s) from earlier have no timestamp yet")
	if n := asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	w.mended(t, outcome{}, "INBOX")
}

func (w *killWorld) verdict(t *testing.T) (v client.ArchiveVerdict) {
	t.Helper()
	lines := killLines[client.ArchiveVerdict](t, w.runIn(t, nil, "archive", "verify", w.archive()))
	return lines[len(lines)-1]
}

// broken is a disk of which the writing steps below a folder fail from the nth on. all counts them.
func broken(below string, nth int, why error, all *int) safeio.Disk {
	return safeio.Disk{Before: func(op, path string) error {
		if op == safeio.OpRemove || op == safeio.OpSyncDir || !strings.HasPrefix(path, below) {
			return nil
		}
		*all++
		if *all > nth {
			return why
		}
		return nil
	}}
}

// fullDisk fills up the disk of the archive, or that of the home, at each step of a pull.
func (w *killWorld) fullDisk(t *testing.T) {
	for _, below := range []string{"archive", "home"} {
		try := func(nth int) (steps int) {
			w := w.world(t, stageArchiver)
			o := w.runIn(t, func(e *environment) { e.disk = broken(filepath.Join(w.dir, below), nth, syscall.ENOSPC, &steps) }, w.pullArgs("INBOX", archiveSecond)...)
			if o.code != exitGood {
				o.says(t, exitFailed, "\nhint: ")
				if !strings.Contains(o.err, "no space left on device") && !strings.Contains(o.err, "see that the disk has room") {
					t.Errorf("what is the matter is not said: %s", o.err)
				}
			} // else it was something that can be done without, such as what is kept of revocation lists
			w.mended(t, o, "INBOX")
			w.mended(t, outcome{}, archiveSecond)
			return steps
		}
		const never = 1 << 20
		all, stride := try(never), 5
		if everyStep() {
			stride = 1
		}
		for nth := 0; nth < all; nth += stride {
			try(nth)
		}
	}
}

// readOnly finds the folder of the archive not to be written.
func (w *killWorld) readOnly(t *testing.T) {
	steps := 0
	readOnly := func(e *environment) { e.disk = broken(w.archive(), 0, syscall.EROFS, &steps) }
	w.runIn(t, readOnly, w.pullArgs("INBOX")...).says(t, exitFailed, "read-only file system", "\nhint: ")
	w.mended(t, outcome{}, "INBOX")
	w.runIn(t, readOnly, w.pullArgs(archiveSecond)...).says(t, exitFailed, "read-only file system", "\nhint: ")
	for _, args := range [][]string{{"verify", w.archive()}, {"list", "--archive", w.archive()}, {"read", "1", "--archive", w.archive()}} {
		w.runIn(t, readOnly, append([]string{"archive"}, args...)...).mustBe(t, exitGood)
	}
	w.mended(t, outcome{}, archiveSecond)
}

// twoPulls comes second.
func (w *killWorld) twoPulls(t *testing.T) {
	w.run(t, killBob, w.pullArgs("INBOX")...).mustBe(t, exitGood)
	unlock, err := archive.NewFolder(safeio.Disk{}, w.archive()).Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{w.pullArgs(archiveSecond), {"archive", "hold", "case", "--all", "--archive", w.archive()}, {"archive", "renew", "--now", "--archive", w.archive()}} {
		w.runIn(t, nil, args...).says(t, exitFailed, "\nhint: try again when the other one is done")
	}
	for _, args := range [][]string{{"verify", w.archive()}, {"list", "--archive", w.archive()}, {"read", "1", "--archive", w.archive()}} {
		w.runIn(t, nil, append([]string{"archive"}, args...)...).mustBe(t, exitGood) // who reads need not wait
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	// Another one archives something between the steps of a command that has read the archive's head: it was not put back.
	if err := os.RemoveAll(filepath.Join(w.home(killBob), "cache")); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	between := func(e *environment) {
		e.disk = safeio.Disk{Before: func(_, path string) error {
			if strings.Contains(path, "/cache/") {
				once.Do(func() { w.run(t, killBob, w.pullArgs(archiveSecond)...).mustBe(t, exitGood) })
			}
			return nil
		}}
	}
	w.runIn(t, between, "archive", "hold", "case", "--folder", "INBOX", "--archive", w.archive()).mustBe(t, exitGood)
	// The same, each time it looks at the clock, until it is the one that writes.
	for nth, busy := 1, false; !busy; nth++ {
		w.put(t, archiveSecond, fmt.Sprint("more ", nth))
		calls := 0
		looking := func(e *environment) {
			e.now = func() time.Time {
				if calls++; calls == nth {
					busy = w.run(t, killBob, w.pullArgs(archiveSecond)...).code != exitGood
				}
				return time.Now()
			}
		}
		w.runIn(t, looking, "archive", "hold", fmt.Sprint("case-", nth), "--all", "--archive", w.archive()).mustBe(t, exitGood)
		if calls < nth {
			t.Fatalf("it looked at the clock %d times, and never wrote", calls)
		}
	}
	w.mended(t, outcome{}, archiveSecond)
}

// through has connections to bob's mail server be wrapped.
func (w *killWorld) through(wrap func(net.Conn) net.Conn) func(*environment) {
	return func(e *environment) {
		e.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err == nil && address == w.imap.address() {
				c = wrap(c)
			}
			return c, err
		}
	}
}

// cutPull ends the connection to the server after ever more octets.
func (w *killWorld) cutPull(t *testing.T) {
	server := w.imap.address()
	whole := &shortLine{after: -1}
	pull := func(w *killWorld, line *shortLine) outcome {
		server = w.imap.address()
		return w.runIn(t, w.through(func(c net.Conn) net.Conn { return line.of(c, server) }), w.pullArgs("INBOX", archiveSecond)...)
	}
	pull(w, whole).mustBe(t, exitGood)
	const points = 12
	for i := range points {
		w := w.world(t, stageArchiver)
		o := pull(w, &shortLine{after: whole.passed.Load() * int64(i) / points})
		if o.code != exitGood {
			o.says(t, exitFailed, "://"+server+": ", "\nhint: ")
		}
		w.mended(t, o, "INBOX")
		w.mended(t, outcome{}, archiveSecond)
	}
}

// stuck is a connection on which nothing comes any more after so many octets.
type stuck struct {
	net.Conn
	left  *atomic.Int64
	ended chan struct{}
}

func (s stuck) Read(p []byte) (int, error) {
	if s.left.Load() <= 0 {
		<-s.ended
		return 0, net.ErrClosed
	}
	n, err := s.Conn.Read(p[:min(int64(len(p)), s.left.Load())])
	s.left.Add(-int64(n))
	return n, err
}

func (s stuck) Close() error {
	select {
	case <-s.ended:
	default:
		close(s.ended)
	}
	return s.Conn.Close()
}

// stalledPull waits for a server that says nothing any more.
func (w *killWorld) stalledPull(t *testing.T) {
	for _, after := range []int64{0, 3000, 7000} {
		var left atomic.Int64
		left.Store(after)
		o := w.runIn(t, w.through(func(c net.Conn) net.Conn { return stuck{c, &left, make(chan struct{})} }), append(w.pullArgs("INBOX"), "--timeout", faultShort)...)
		if left.Load() > 0 {
			t.Errorf("the server had said it all after %d octets", after)
		}
		o.says(t, exitFailed, "://"+w.imap.address()+": ", "\nhint: ")
	}
	w.mended(t, outcome{}, "INBOX")
}

// interruptedPull is interrupted while messages come: what came is archived, and told of.
func (w *killWorld) interruptedPull(t *testing.T) {
	store := w.store(t, killBob)
	for i := range 100 {
		text := faultText(i)
		if _, err := store.Append(t.Context(), archiveSecond, mailbox.NewMessage{Size: int64(len(text)), Body: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
	}
	// How much of what came was looked at when the interruption is met depends on the machine: a slow one may have nothing yet.
	told := 0
	var o outcome
	for messages := int64(50); told == 0 && messages < 100; messages += 10 {
		ctx, stop := context.WithCancel(t.Context())
		var left atomic.Int64
		left.Store(messages * int64(len(faultText(0)))) // octets
		o = w.runUntil(ctx, t, w.through(func(c net.Conn) net.Conn {
			return readHook{c, func(n int) {
				if left.Add(-int64(n)) < 0 {
					stop()
				}
			}}
		}), w.pullArgs(archiveSecond)...)
		stop()
		o.says(t, exitFailed, "sealmail: interrupted\n")
		if told = len(killed{outcome: o}.told(t)); told > int(messages) {
			t.Errorf("%d messages were told of, of %d", told, messages)
		}
	}
	if told == 0 {
		t.Error("no message was told of")
	}
	w.mended(t, o, archiveSecond)
}

type readHook struct {
	net.Conn
	read func(n int)
}

func (c readHook) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read(n)
	return n, err
}
