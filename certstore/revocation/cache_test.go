package revocation

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore/certpath"
	"github.com/sealmail/sealmail/internal/safeio"
)

func filesIn(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, filepath.Join(dir, e.Name()))
	}
	return names
}

// ask is one Check by a Checker that remembers nothing.
func (c *Cache) ask(t testing.TB, n Fetcher, path []*certpath.Certificate, now time.Time) Answer {
	t.Helper()
	answers, err := (&Checker{Fetcher: n, Cache: c}).Check(t.Context(), path, Evidence{}, now, now)
	if err != nil {
		t.Fatal(err)
	}
	return answers[0]
}

// TestCache keeps an answer and a list, and alters them in all ways.
func TestCache(t *testing.T) {
	root := newRoot(t, "Root")
	asked := issue(t, &root, "Asked", withAddresses)
	other := issue(t, &root, "Other", withAddresses)
	tests := []struct {
		name   string
		answer map[string]func(context.Context, Request) ([]byte, error)
	}{
		{"a response", map[string]func(context.Context, Request) ([]byte, error){
			responderURL: respond(t, response{by: root, singles: []single{{c: asked, issuer: root, status: Good}}})}},
		{"a list", map[string]func(context.Context, Request) ([]byte, error){
			listURL: serve(list{by: root, entries: []entry{{serial: other.SerialNumber, date: epoch()}}}.der(t))}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Cache{Dir: filepath.Join(t.TempDir(), "kept")}
			path := pathOf(asked, root)
			first := c.ask(t, &network{answer: test.answer}, path, epoch())
			names := filesIn(t, c.Dir)
			if first.Status != Good || len(names) != 1 {
				t.Fatalf("%s, and %v", describe(first), names)
			}
			if info, err := os.Stat(names[0]); err != nil || info.Mode() != 0o600 {
				t.Errorf("%v %v", info, err)
			}
			if again := c.ask(t, nil, path, epoch()); again.Status != Good || again.Why != first.Why {
				t.Errorf("out of the cache: %s", describe(again))
			}
			if late := c.ask(t, nil, path, epoch().AddDate(0, 0, 2)); late.Status != Unknown || !strings.Contains(late.Why, "out of date") {
				t.Errorf("too late: %s", describe(late))
			}
			whole, err := os.ReadFile(names[0])
			if err != nil {
				t.Fatal(err)
			}
			write := func(octets []byte) {
				if err := os.WriteFile(names[0], octets, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for i := range whole {
				altered := bytes.Clone(whole)
				altered[i] ^= 1
				write(altered)
				// What is before the DER says how long the file is kept, and nothing else.
				if a := c.ask(t, nil, path, epoch()); (a.Status == Good) != (i < cacheHeader) {
					t.Errorf("with octet %d altered: %s", i, describe(a))
				}
				write(whole[:i])
				if a := c.ask(t, nil, path, epoch()); a.Status != Unknown {
					t.Errorf("cut off after %d octets: %s", i, describe(a))
				}
			}
			// The list is about the other certificate, and revokes it; the response says nothing of it.
			write(whole)
			if a := c.ask(t, nil, pathOf(other, root), epoch()); a.Status == Good {
				t.Errorf("another certificate: %s", describe(a))
			}
			key := (&question{run: &run{}, path: pathOf(other, root)}).key()
			if err := os.Rename(names[0], c.path(key)); err != nil {
				t.Fatal(err)
			}
			if a := c.ask(t, nil, pathOf(other, root), epoch()); a.Status != Unknown {
				t.Errorf("the answer about a certificate under the name of another: %s", describe(a))
			}
		})
	}
}

// TestCacheSteps fails at each step of keeping an answer: it is none the worse, and what is in the folder is whole.
func TestCacheSteps(t *testing.T) {
	root := newRoot(t, "Root")
	leaf := issue(t, &root, "Leaf", withAddresses)
	n := &network{answer: map[string]func(context.Context, Request) ([]byte, error){listURL: serve(list{by: root}.der(t))}}
	errStep := errors.New("no room")
	for fail := 0; ; fail++ {
		steps := 0
		c := &Cache{Dir: filepath.Join(t.TempDir(), "kept"), Disk: safeio.Disk{Before: func(op, path string) error {
			if steps++; steps == fail+1 {
				return errStep
			}
			return nil
		}}}
		answers, err := (&Checker{Fetcher: n, Cache: c}).Check(t.Context(), pathOf(leaf, root), Evidence{}, epoch(), epoch())
		if len(answers) != 1 || answers[0].Status != Good {
			t.Fatalf("step %d: %v", fail, answers)
		}
		if steps <= fail {
			if err != nil || fail < 5 {
				t.Errorf("after %d steps: %v", steps, err)
			}
			return
		}
		if !errors.Is(err, ErrCache) || !errors.Is(err, errStep) {
			t.Errorf("step %d: %v", fail, err)
		}
		c.Disk = safeio.Disk{}
		kept := len(filesIn(t, c.Dir)) > 0
		if a := c.ask(t, nil, pathOf(leaf, root), epoch()); (a.Status == Good) != kept {
			t.Errorf("step %d: kept %v, then %s", fail, kept, describe(a))
		}
	}
}

// TestCacheBounds keeps more than there is room for, and what is out of date.
func TestCacheBounds(t *testing.T) {
	c := &Cache{Dir: t.TempDir(), Bytes: 3 * minCacheFile}
	stranger := filepath.Join(c.Dir, "somebody-else")
	if err := os.WriteFile(stranger, make([]byte, 5*minCacheFile), 0o600); err != nil {
		t.Fatal(err)
	}
	store := func(key string, until time.Time) {
		t.Helper()
		if err := c.store(key, []byte(key), until, epoch()); err != nil {
			t.Fatal(err)
		}
		// The order of times on the disk is what counts, and files are made faster than it tells apart.
		if err := os.Chtimes(c.path(key), time.Time{}, epoch().Add(time.Duration(len(filesIn(t, c.Dir)))*time.Second)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	there := func() string {
		var found []string
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			if octets := c.load(key); octets != nil {
				if string(octets) != key {
					t.Errorf("%s holds %q", key, octets)
				}
				found = append(found, key)
			}
		}
		return strings.Join(found, " ")
	}
	tests := []struct {
		key   string
		until time.Time
		want  string
	}{
		{"a", epoch().Add(time.Hour), "a"},
		{"b", time.Time{}, "a b"},
		{"c", epoch().Add(-time.Hour), "a b"}, // out of date at once
		{"d", epoch().Add(time.Hour), "a b d"},
		{"e", epoch().Add(time.Hour), "b d e"},
	}
	for _, test := range tests {
		store(test.key, test.until)
		if got := there(); got != test.want {
			t.Errorf("after %s: %q, want %q", test.key, got, test.want)
		}
	}
	// Without nextUpdate it is kept for a week.
	for _, test := range []struct {
		days int
		want string
	}{{6, "b"}, {8, ""}} {
		if err := c.sweep(epoch().AddDate(0, 0, test.days)); err != nil {
			t.Fatal(err)
		}
		if got := there(); got != test.want {
			t.Errorf("after %d days: %q", test.days, got)
		}
	}
	store("a", epoch().Add(time.Hour))
	errRemove := errors.New("may not")
	c.Disk.Before = func(op, _ string) error {
		if op == safeio.OpRemove {
			return errRemove
		}
		return nil
	}
	if err := c.sweep(epoch().AddDate(0, 0, 8)); !errors.Is(err, errRemove) {
		t.Errorf("a file that stays: %v", err)
	}
	if err := c.sweep(epoch()); err != nil {
		t.Errorf("with nothing to remove: %v", err)
	}
	c.Bytes = 1
	if err := c.sweep(epoch()); !errors.Is(err, errRemove) {
		t.Errorf("a file that there is no room for: %v", err)
	}
	if _, err := os.Stat(stranger); err != nil {
		t.Error(err)
	}
}
