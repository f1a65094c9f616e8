package server

import (
	"bufio"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// orderedClock is a clock that tests set. It stands still until somebody waits for it.
type orderedClock struct {
	mu   sync.Mutex
	at   time.Time
	wait []time.Duration
}

func (c *orderedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *orderedClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.wait = at, nil
}

func (c *orderedClock) waitFor(_ context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.wait = c.at.Add(d), append(c.wait, d)
	return nil
}

// orderedAuthority is one with an order, over this clock and state.
func orderedAuthority(t testing.TB, dir string, disk safeio.Disk, clock func() time.Time) *Authority {
	t.Helper()
	pki, key := tsatest.NewPKI(t), tsatest.ECKey(t)
	a, err := New(Options{
		Signer: key, Chain: []*x509.Certificate{pki.Issue(t, key.Public(), nil)}, Policies: []asn1.ObjectIdentifier{tsatest.Policy()},
		Clock: clock, Ordering: true, State: dir, Disk: disk,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// tokenTime asks for a token and returns its time, or why there is none.
func tokenTime(t testing.TB, a *Authority) (time.Time, tsa.FailInfo, error) {
	t.Helper()
	imprint, err := tsa.NewMessageImprint(crypto.SHA256, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	der, err := (&tsa.Request{Imprint: imprint}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	reply, failure := a.Respond(t.Context(), der)
	response, err := tsa.ParseResponse(reply)
	if err != nil {
		t.Fatal(err)
	}
	if response.Token == nil {
		return time.Time{}, response.FailInfo, failure
	}
	token, err := tsa.ParseToken(response.Token)
	if err != nil {
		t.Fatal(err)
	}
	if !token.Info.Ordering {
		t.Error("the token does not say that it is ordered")
	}
	return token.Info.GenTime, 0, failure
}

func mustTime(t testing.TB, a *Authority) time.Time {
	t.Helper()
	at, refused, err := tokenTime(t, a)
	if refused != 0 || err != nil {
		t.Fatalf("no token: %v, %v", refused, err)
	}
	return at
}

// The clock stands still, goes back a little, and goes back a lot: times grow, in the first cases after a moment, and in the
// last there are none until the clock has caught up.
func TestOrderingOverClock(t *testing.T) {
	clock := &orderedClock{at: tsatest.Now()}
	dir := t.TempDir()
	a := orderedAuthority(t, dir, safeio.Disk{}, clock.now)
	a.wait = clock.waitFor
	last := mustTime(t, a)
	later := func(what string) {
		t.Helper()
		at := mustTime(t, a)
		if !at.After(last) || at.After(clock.now()) {
			t.Errorf("%s: %v after %v, at %v", what, at, last, clock.now())
		}
		last = at
	}
	later("the clock stands still")
	clock.set(clock.now().Add(time.Minute + 123456789))
	later("the clock goes on")
	clock.set(last.Add(-time.Second))
	later("the clock is a second behind")
	if len(clock.wait) != 1 || clock.wait[0] != time.Second+time.Microsecond {
		t.Errorf("waited %v", clock.wait)
	}
	clock.set(last.Add(-time.Hour))
	if at, refused, err := tokenTime(t, a); refused != tsa.TimeNotAvailable || !errors.Is(err, errClockBehind) {
		t.Errorf("an hour behind: %v, %v, %v", at, refused, err)
	}
	if len(clock.wait) != 0 {
		t.Errorf("waited %v for nothing", clock.wait)
	}
	// Nor over a restart.
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = orderedAuthority(t, dir, safeio.Disk{}, clock.now)
	a.wait = clock.waitFor
	if at, refused, _ := tokenTime(t, a); refused != tsa.TimeNotAvailable {
		t.Errorf("an hour behind, after a restart: %v, %v", at, refused)
	}
	clock.set(last.Add(time.Microsecond))
	later("the clock has caught up, after a restart")
	if len(clock.wait) != 0 {
		t.Errorf("waited %v after a graceful end", clock.wait)
	}
}

// A clock that is wrong for a moment, so far ahead that the certificate has expired, spoils nothing.
func TestOrderingOverClockFarAhead(t *testing.T) {
	clock := &orderedClock{at: tsatest.Now()}
	a := orderedAuthority(t, t.TempDir(), safeio.Disk{}, clock.now)
	a.wait = clock.waitFor
	before := mustTime(t, a)
	clock.set(tsatest.Now().AddDate(60, 0, 0))
	if _, refused, err := tokenTime(t, a); refused != tsa.SystemFailure || !errors.Is(err, errOutOfService) {
		t.Errorf("got %v, %v", refused, err)
	}
	clock.set(before.Add(time.Second))
	if at := mustTime(t, a); !at.After(before) {
		t.Errorf("%v after %v", at, before)
	}
}

// A clock that never gets on does not keep a request for ever, and neither does a client that went away.
func TestOrderingWaitIsBounded(t *testing.T) {
	at := tsatest.Now()
	a := orderedAuthority(t, t.TempDir(), safeio.Disk{}, func() time.Time { return at })
	var waited time.Duration
	a.wait = func(_ context.Context, d time.Duration) error { waited += d; return nil }
	if at, refused, err := tokenTime(t, a); refused != tsa.TimeNotAvailable || !errors.Is(err, errClockBehind) {
		t.Errorf("%v, %v, %v", at, refused, err)
	}
	if waited > maxOrderedWait {
		t.Errorf("waited %v", waited)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := waitFor(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for who went away: %v", err)
	}
}

// Whatever step of noting the time fails, no token leaves that the disk does not know of.
func TestOrderingDiskFails(t *testing.T) {
	for _, op := range steps() {
		t.Run(op, func(t *testing.T) {
			failure := errors.New("disk is full")
			failing := false
			disk := safeio.Disk{Before: func(step, _ string) error {
				if failing && step == op {
					return failure
				}
				return nil
			}}
			clock := &orderedClock{at: tsatest.Now()}
			a := orderedAuthority(t, t.TempDir(), disk, clock.now)
			a.wait = clock.waitFor
			last := mustTime(t, a)
			clock.set(last.Add(time.Hour))
			failing = true
			if at, refused, err := tokenTime(t, a); refused != tsa.SystemFailure || !errors.Is(err, failure) {
				t.Fatalf("got %v, %v, %v", at, refused, err)
			}
			failing = false
			if at := mustTime(t, a); !at.After(last) || at.UnixMicro() > a.serials.state.Until {
				t.Errorf("%v after %v, with %d on the disk", at, last, a.serials.state.Until)
			}
		})
	}
}

// Many ask at once: no time comes twice, and who asks after an answer was there gets a later time.
func TestOrderingConcurrent(t *testing.T) {
	a := orderedAuthority(t, t.TempDir(), safeio.Disk{}, time.Now)
	const workers, each = 8, 100
	var mu sync.Mutex
	var seen []time.Time
	var latest time.Time
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range each {
				mu.Lock()
				before := latest
				mu.Unlock()
				at, refused, err := tokenTime(t, a)
				if refused != 0 || err != nil || !at.After(before) {
					t.Errorf("%v after %v: %v, %v", at, before, refused, err)
					return
				}
				mu.Lock()
				seen = append(seen, at)
				if at.After(latest) {
					latest = at
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	slices.SortFunc(seen, time.Time.Compare)
	if n := len(slices.CompactFunc(seen, time.Time.Equal)); n != workers*each {
		t.Errorf("%d different times in %d tokens", n, workers*each)
	}
}

// TestOrderedVictim is the process that TestOrderingOverKills kills, and no test of its own: it prints times until then.
func TestOrderedVictim(t *testing.T) {
	dir := os.Getenv(victimState)
	if dir == "" {
		t.Skip("runs for the test of kills only")
	}
	back, err := time.ParseDuration(os.Getenv(victimStep))
	if err != nil {
		t.Fatal(err)
	}
	a := orderedAuthority(t, dir, safeio.Disk{}, func() time.Time { return time.Now().Add(back) })
	for {
		// Whoever reads knows a whole line from one that the kill has cut off.
		fmt.Printf("time %s.\n", mustTime(t, a).Format(time.RFC3339Nano))
	}
}

// Processes are killed at any moment, and the clock is set back between them: times only grow.
func TestOrderingOverKills(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	var last time.Time
	for i, back := range []time.Duration{0, 0, -300 * time.Millisecond, -500 * time.Millisecond, 0} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOrderedVictim$", "-test.v")
		cmd.Env = append(os.Environ(), victimState+"="+dir, victimStep+"="+back.String())
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		count := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			words, found := strings.CutPrefix(lines.Text(), "time ")
			words, whole := strings.CutSuffix(words, ".")
			if !found || !whole {
				continue // what the test framework prints, or a part of a line
			}
			at, err := time.Parse(time.RFC3339Nano, words)
			if err != nil {
				t.Fatal(err)
			}
			if !at.After(last) {
				t.Fatalf("run %d, token %d: %v after %v", i, count, at, last)
			}
			last = at
			if count++; count == 20*(i+1) {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || count < 20*(i+1) {
			t.Fatalf("run %d: %d tokens, then %v", i, count, err)
		}
	}
}
