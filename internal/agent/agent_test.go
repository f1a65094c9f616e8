//go:build linux || darwin

package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const testID = "00112233445566778899aabbccddeeff"

// clock is one that the test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// running is an agent inside the test.
type running struct {
	server *server
	socket string
	clock  *clock
	ended  chan error
}

// socketPath is short enough for a socket's address, however long the test's name is.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sealmail")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "run", "agent.sock")
}

func testKey() []byte { return bytes.Repeat([]byte{7}, KeySize) }

// start starts an agent that has an hour to live.
func start(t *testing.T, ctx context.Context, socket string) *running {
	t.Helper()
	c := &clock{now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}
	r := &running{socket: socket, clock: c, ended: make(chan error, 1),
		server: &server{id: testID, key: testKey(), until: c.now.Add(time.Hour), now: c.Now}}
	l, err := listen(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.server.serve(ctx, l) }()
	return r
}

// gone waits for the end, and checks that nothing is left.
func (r *running) gone(t *testing.T) {
	t.Helper()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	if !bytes.Equal(r.server.key, make([]byte, KeySize)) {
		t.Error("the key is not wiped")
	}
	if _, err := os.Lstat(r.socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there (%v)", err)
	}
	if _, err := Get(t.Context(), r.socket, testID); !errors.Is(err, ErrNone) {
		t.Errorf("Get after the end: %v", err)
	}
}

func TestAgent(t *testing.T) {
	socket := socketPath(t)
	for name, call := range map[string]func() error{
		"Get":   func() error { _, err := Get(t.Context(), socket, testID); return err },
		"Query": func() error { _, err := Query(t.Context(), socket); return err },
		"End":   func() error { return End(t.Context(), socket) },
	} {
		if err := call(); !errors.Is(err, ErrNone) {
			t.Errorf("%s without an agent: %v", name, err)
		}
	}
	r := start(t, t.Context(), socket)
	for path, want := range map[string]fs.FileMode{socket: 0o600, filepath.Dir(socket): 0o700} {
		if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	for range 3 {
		if key, err := Get(t.Context(), socket, testID); err != nil || !bytes.Equal(key, testKey()) {
			t.Fatalf("Get: %x, %v", key, err)
		}
	}
	if s, err := Query(t.Context(), socket); err != nil || s.ID != testID || !s.Until.Equal(r.server.until) {
		t.Errorf("Query: %+v, %v", s, err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Get(canceled, socket, testID); !errors.Is(err, context.Canceled) {
		t.Errorf("Get with a context that is over: %v", err)
	}
	if err := End(t.Context(), socket); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.server.key, make([]byte, KeySize)) {
		t.Error("End returned before the key was wiped")
	}
	r.gone(t)
}

// TestEnds: an agent ends with its time, with its context, and when the vault has another root.
func TestEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	for name, end := range map[string]func(t *testing.T, r *running){
		"context": func(*testing.T, *running) { cancel() },
		"time": func(t *testing.T, r *running) {
			r.clock.add(time.Hour)
			if _, err := Get(t.Context(), r.socket, testID); !errors.Is(err, ErrNone) {
				t.Errorf("Get when the time is over: %v", err)
			}
		},
		"root": func(t *testing.T, r *running) {
			if _, err := Get(t.Context(), r.socket, strings.Repeat("f", 32)); !errors.Is(err, ErrOtherRoot) {
				t.Errorf("Get of another root: %v", err)
			}
		},
		"silence": func(t *testing.T, r *running) { // who is connected and says nothing does not keep it
			conn, err := net.Dial("unix", r.socket)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			if _, err := io.WriteString(conn, "get "); err != nil {
				t.Fatal(err)
			}
			if err := End(t.Context(), r.socket); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, ctx, socketPath(t))
			end(t, r)
			r.gone(t)
		})
		ctx, cancel = context.WithCancel(t.Context())
	}
	cancel()
}

// TestEndsByItself: nobody need ask for the time to be over.
func TestEndsByItself(t *testing.T) {
	l, err := listen(t.Context(), socketPath(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{id: testID, key: testKey(), until: time.Now().Add(time.Millisecond).Round(0), now: time.Now}
	if err := s.serve(t.Context(), l); err != nil || !bytes.Equal(s.key, make([]byte, KeySize)) {
		t.Errorf("%v, key %x", err, s.key)
	}
}

// TestNonsense is answered by silence, and the agent lives on.
func TestNonsense(t *testing.T) {
	r := start(t, t.Context(), socketPath(t))
	for _, said := range []string{"\n", "get\n", "GET " + testID + "\n", "get " + testID + " \n", strings.Repeat("x", 10*maxLine)} {
		conn, err := net.Dial("unix", r.socket)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, said) // it may close while this is written
		if answer, _ := io.ReadAll(conn); len(answer) > 0 {
			t.Errorf("to %.20q it answers %q", said, answer)
		}
		_ = conn.Close()
	}
	if _, err := Get(t.Context(), r.socket, testID); err != nil {
		t.Error(err)
	}
	if err := End(t.Context(), r.socket); err != nil {
		t.Error(err)
	}
	r.gone(t)
}

// TestImpostors: what answers otherwise than an agent does is refused, and not waited for.
func TestImpostors(t *testing.T) {
	for name, says := range map[string]string{
		"half a key": "key\nxxx", "no line": "key", "nothing": "", "nonsense": "hello\n", "the wrong word": "status 2026-11-21T10:00:00Z 00\n",
		"no end": strings.Repeat("k", 100<<10),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := listen(t.Context(), socketPath(t))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			path := l.Addr().String()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = readLine(conn)
				_, _ = io.WriteString(conn, says)
				_ = conn.Close()
			}()
			if key, err := Get(t.Context(), path, testID); err == nil || key != nil {
				t.Errorf("%x, %v", key, err)
			}
		})
	}
}

// TestOneAgent: a second one waits for the first to end, and takes the place of one that was killed.
func TestOneAgent(t *testing.T) {
	socket := socketPath(t)
	r := start(t, t.Context(), socket)
	soon, cancel := context.WithTimeout(t.Context(), 3*lockPoll)
	defer cancel()
	if _, err := listen(soon, socket); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second agent beside the first: %v", err)
	}
	if _, err := Get(t.Context(), socket, testID); err != nil {
		t.Errorf("the first one's socket is gone: %v", err)
	}
	if err := End(t.Context(), socket); err != nil {
		t.Fatal(err)
	}
	r.gone(t)
	// A socket that nobody listens at.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Get(t.Context(), socket, testID); !errors.Is(err, ErrNone) {
		t.Errorf("Get from nobody: %v", err)
	}
	r = start(t, t.Context(), socket)
	if _, err := Get(t.Context(), socket, testID); err != nil {
		t.Error(err)
	}
	if err := End(t.Context(), socket); err != nil {
		t.Error(err)
	}
	r.gone(t)
}

func TestPath(t *testing.T) {
	short := "/home/alice/.local/state/sealmail/agent.sock"
	if got, err := Path(short, "/tmp"); err != nil || got != short {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := Path("agent.sock", "/tmp"); err != nil || !filepath.IsAbs(got) {
		t.Errorf("%q, %v", got, err)
	}
	long := filepath.Join("/home", strings.Repeat("x", maxSocketPath), "agent.sock")
	got, err := Path(long, "/tmp")
	if err != nil || len(got) > maxSocketPath || !strings.HasPrefix(got, "/tmp/sealmail-") {
		t.Errorf("%q, %v", got, err)
	}
	if other, err := Path(strings.Replace(long, "x", "y", 1), "/tmp"); err != nil || other == got {
		t.Errorf("two homes share %q (%v)", other, err)
	}
	if got, err := Path(long, filepath.Dir(long)); err == nil {
		t.Errorf("%q fits into no address", got)
	}
}

// TestOpenFolder: a folder that others can write to is no place for a socket, on either side.
func TestOpenFolder(t *testing.T) {
	socket := socketPath(t)
	r := start(t, t.Context(), socket)
	dir := filepath.Dir(socket)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Get(t.Context(), socket, testID); !errors.Is(err, ErrForeign) {
		t.Errorf("Get: %v", err)
	}
	if _, err := listen(t.Context(), filepath.Join(dir, "other.sock")); !errors.Is(err, ErrForeign) {
		t.Errorf("listen: %v", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := End(t.Context(), socket); err != nil {
		t.Error(err)
	}
	r.gone(t)
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Get(t.Context(), socket, testID); !errors.Is(err, ErrForeign) {
		t.Errorf("Get from a file: %v", err)
	}
}
