//go:build linux || darwin

package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The words with which the test binary is another program.
const (
	asAgent   = "run-agent"     // is an agent
	asGetter  = "get-key"       // SOCKET: asks for the key, and prints what comes of it
	asVisitor = "talk-to-it"    // SOCKET: connects, asks as an agent is asked, and prints the answer
	asNobody  = "end-at-once"   // ends with a word that is not that it is ready
	asSilent  = "say-nothing"   // waits for the end of its input, and of the world
	asHarden  = "harden-itself" // hardens itself, and prints what the system says of it
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if program, ok := programs()[os.Args[1]]; ok {
			if err := program(os.Args[2:]); err != nil {
				fmt.Println("error:", err)
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(m.Run())
}

func programs() map[string]func(args []string) error {
	return map[string]func([]string) error{
		asAgent: func([]string) error {
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
			defer stop()
			return Run(ctx, os.Stdin, os.Stdout, time.Now)
		},
		asGetter: func(args []string) error {
			key, err := Get(context.Background(), args[0], testID)
			if errors.Is(err, ErrForeign) {
				fmt.Println("foreign")
			}
			fmt.Printf("%x %v\n", key, err)
			return nil
		},
		asVisitor: func(args []string) error {
			conn, err := net.Dial("unix", args[0])
			if err != nil {
				return err
			}
			_, _ = io.WriteString(conn, "get "+testID+"\n") // it may have closed already
			answer, err := io.ReadAll(conn)
			fmt.Printf("connected, and was told %q\n", answer)
			return ignoreReset(err)
		},
		asNobody: func([]string) error { return errors.New("this is\nnot an agent") },
		asSilent: func([]string) error {
			_, err := io.Copy(io.Discard, os.Stdin)
			<-make(chan struct{}) // killed while it waits: signals end it
			return err
		},
		asHarden: func([]string) error {
			if err := harden(); err != nil {
				return err
			}
			if _, err := secretMemory(KeySize); err != nil {
				return err
			}
			return printHardening()
		},
	}
}

func ignoreReset(err error) error {
	if errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

// far is when no test runs any more.
func far() time.Time { return time.Now().Add(time.Hour) }

func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// TestStart has a real process, which is ended, ends by a signal, and is killed.
func TestStart(t *testing.T) {
	socket := socketPath(t)
	task := Task{Socket: socket, ID: testID, Until: far()}
	begin := func() {
		t.Helper()
		if err := Start(t.Context(), []string{self(t), asAgent}, task, testKey()); err != nil {
			t.Fatal(err)
		}
		if key, err := Get(t.Context(), socket, testID); err != nil || !bytes.Equal(key, testKey()) {
			t.Fatalf("Get: %x, %v", key, err)
		}
	}
	begin()
	pid := agentPID(t, socket)
	if err := End(t.Context(), socket); err != nil {
		t.Fatal(err)
	}
	waitFor(t, pid)

	begin()
	if s, err := Query(t.Context(), socket); err != nil || s.ID != testID || s.Until.Unix() != task.Until.Unix() {
		t.Errorf("%+v, %v", s, err)
	}
	signalAndWait(t, agentPID(t, socket), syscall.SIGTERM)
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("after SIGTERM the socket is still there (%v)", err)
	}

	begin()
	signalAndWait(t, agentPID(t, socket), syscall.SIGKILL)
	if _, err := Get(t.Context(), socket, testID); !errors.Is(err, ErrNone) {
		t.Errorf("after SIGKILL: %v", err)
	}
	begin()
	if err := End(t.Context(), socket); err != nil {
		t.Error(err)
	}
}

// agentPID finds out which process has the lock beside the socket.
func agentPID(t *testing.T, socket string) int {
	t.Helper()
	conn, err := dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	pid, err := peerPID(conn)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func signalAndWait(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
	waitFor(t, pid)
}

// waitFor waits for the end of a process that this one started.
func waitFor(t *testing.T, pid int) {
	t.Helper()
	if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
		t.Fatal(err)
	}
}

// TestStartFails says why there is no agent, and leaves no process behind.
func TestStartFails(t *testing.T) {
	inFile := filepath.Join(self(t), "agent.sock") // in no folder
	for name, test := range map[string]struct {
		command []string
		socket  string
		key     []byte
		want    string
	}{
		"no program":        {[]string{"/nonexistent"}, socketPath(t), testKey(), "nonexistent"},
		"no command":        {nil, socketPath(t), testKey(), "without a program"},
		"half a key":        {[]string{self(t), asAgent}, socketPath(t), testKey()[:16], "without a program or a key"},
		"another program":   {[]string{self(t), asNobody}, socketPath(t), testKey(), "not an agent"},
		"no folder":         {[]string{self(t), asAgent}, inFile, testKey(), "not a directory"},
		"too long a socket": {[]string{self(t), asAgent}, filepath.Join(filepath.Dir(socketPath(t)), strings.Repeat("x", 110)), testKey(), "invalid argument"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Start(t.Context(), test.command, Task{Socket: test.socket, ID: testID, Until: far()}, test.key)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := Start(ctx, []string{self(t), asSilent}, Task{Socket: socketPath(t), ID: testID}, testKey()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a program that says nothing: %v", err)
	}
}

// TestOtherUsers: who is somebody else gets nothing, even where the permissions of folder and socket let them come.
func TestOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "sealmail")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(dir, 0o755))
	exe := filepath.Join(dir, "program") // where others can run it
	binary, err := os.ReadFile(self(t))
	must(err)
	must(os.WriteFile(exe, binary, 0o755))
	socket := filepath.Join(dir, "run", "agent.sock")
	r := start(t, t.Context(), socket)

	stranger := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), exe, args...)
		cmd.Dir, cmd.Env = dir, []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, err := cmd.CombinedOutput()
		var exited *exec.ExitError
		if err != nil && !errors.As(err, &exited) {
			t.Fatal(err)
		}
		return string(out)
	}
	if out := stranger(asVisitor, socket); !strings.Contains(out, "permission denied") {
		t.Errorf("as it is: %s", out)
	}
	must(os.Chmod(filepath.Dir(socket), 0o755))
	must(os.Chmod(socket, 0o666))
	if out := stranger(asVisitor, socket); out != "connected, and was told \"\"\n" {
		t.Errorf("with the doors open: %s", out)
	}
	if out := stranger(asGetter, socket); !strings.HasPrefix(out, "foreign\n ") {
		t.Errorf("a user asks an agent of another user's: %s", out)
	}
	// A socket of their own, at which somebody else listens.
	must(os.Chown(socket, nobody, nobody))
	must(os.Chown(filepath.Dir(socket), nobody, nobody))
	if out := stranger(asGetter, socket); !strings.HasPrefix(out, "foreign\n ") || !strings.Contains(out, "at the other end") {
		t.Errorf("a user asks another user's agent at their own socket: %s", out)
	}
	// And here either of the two is somebody else's.
	must(os.Chown(socket, 0, 0))
	if _, err := Get(t.Context(), socket, testID); !errors.Is(err, ErrForeign) {
		t.Errorf("in another user's folder: %v", err)
	}
	if _, err := listen(t.Context(), filepath.Join(filepath.Dir(socket), "other.sock")); !errors.Is(err, ErrForeign) {
		t.Errorf("listen in another user's folder: %v", err)
	}
	must(os.Chown(filepath.Dir(socket), 0, 0))
	must(os.Chown(socket, nobody, nobody))
	if _, err := Get(t.Context(), socket, testID); !errors.Is(err, ErrForeign) {
		t.Errorf("at another user's socket: %v", err)
	}
	must(os.Chown(socket, 0, 0))
	must(End(t.Context(), socket))
	r.gone(t)
	link := filepath.Join(dir, "link")
	must(os.Symlink(filepath.Dir(socket), link))
	must(os.Lchown(link, nobody, nobody))
	if _, err := listen(t.Context(), filepath.Join(link, "agent.sock")); !errors.Is(err, ErrForeign) {
		t.Errorf("a link of %s is followed: %v", strconv.Itoa(nobody), err)
	}
}
