package peertest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	requirePeers   = "SEALMAIL_REQUIRE_PEERS"
	requireCorpora = "SEALMAIL_REQUIRE_CORPORA"
	// runLimit bounds one run of a peer: a peer that waits for input that nobody gives must not hang the tests.
	runLimit = 2 * time.Minute
)

// process is what this test process has started and missed. It is the one variable of the package, and belongs to the
// process as its environment does: tests of one package share the servers, whose start takes longer than most tests.
var process struct {
	sync.Mutex
	managed bool // Main runs, and will stop what is started
	absent  []string
	mail    *mailStack
	mailErr error
}

// Main runs the tests of a package; call it from TestMain and return. Then it stops the mail servers, if any test
// asked for them, and prints one line naming the peers and corpora for whose absence tests were skipped.
func Main(m *testing.M) {
	process.Lock()
	process.managed = true
	process.Unlock()

	m.Run() // its result becomes the exit code when TestMain returns

	process.Lock()
	defer process.Unlock()
	if process.mail != nil {
		if err := process.mail.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the mail servers:", err)
		}
		process.mail = nil
	}
	if len(process.absent) > 0 {
		slices.Sort(process.absent)
		fmt.Println("peers absent, tests skipped:", strings.Join(slices.Compact(process.absent), ", "))
	}
}

// Command returns the path of the peer program name (as "openssl"), looked for in PATH and where system programs are.
// If it is absent the test is skipped, or fails where peers are required.
func Command(t testing.TB, name string) string {
	t.Helper()
	path, err := find(name)
	if err != nil {
		missing(t, name, requirePeers, fmt.Sprintf("peer %s is absent (make peers installs it)", name))
	}
	return path
}

// Present reports whether the peer name is there. Where it is not, and peers are required, that is an error.
func Present(name string) (bool, error) {
	_, err := find(name)
	if err != nil && os.Getenv(requirePeers) != "1" {
		return false, nil
	}
	return err == nil, err
}

// Files checks that files are there which belong to a peer that is no program, such as a library. If one is absent the
// test is skipped, or fails where peers are required.
func Files(t testing.TB, name string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			missing(t, name, requirePeers, fmt.Sprintf("peer %s is absent: %v (make peers installs it)", name, err))
		}
	}
}

// Run runs the peer name and returns its standard output. An error of the peer fails the test with what it said.
func Run(t testing.TB, name string, args ...string) (stdout []byte) {
	t.Helper()
	stdout, stderr, err := RunErr(t, nil, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stderr, stdout)
	}
	return stdout
}

// RunErr runs the peer name with stdin (nil: empty) and returns what it wrote and its error, an *exec.ExitError where
// the peer itself failed. Its messages are in English whatever the locale.
func RunErr(t testing.TB, stdin []byte, name string, args ...string) (stdout, stderr []byte, err error) {
	t.Helper()
	path := Command(t, name)
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errOut
	err = cmd.Run()
	return out.Bytes(), errOut.Bytes(), err
}

// Corpora returns the path of a file or folder below $SEALMAIL_CORPORA (default: shared/corpora beside the checkout).
// If it is absent the test is skipped, or fails where corpora are required.
func Corpora(t testing.TB, elem ...string) string {
	t.Helper()
	root := os.Getenv("SEALMAIL_CORPORA")
	if root == "" {
		checkout, err := Checkout()
		if err != nil {
			t.Fatal(err)
		}
		root = filepath.Join(checkout, "..", "shared", "corpora")
	}
	path := filepath.Join(append([]string{root}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		name := "corpora"
		if len(elem) > 0 {
			name += "/" + elem[0]
		}
		missing(t, name, requireCorpora, fmt.Sprintf("corpora absent: %v (SEALMAIL_CORPORA says where they are)", err))
	}
	return path
}

// Checkout returns the root of the source tree that the test runs in: the nearest folder above with a go.mod.
func Checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod at or above the working directory")
		}
		dir = up
	}
}

// missing ends the test: skipped and noted under name, or failed if the environment variable require is 1.
func missing(t testing.TB, name, require, reason string) {
	t.Helper()
	if os.Getenv(require) == "1" {
		t.Fatalf("%s, and %s=1", reason, require)
	}
	process.Lock()
	process.absent = append(process.absent, name)
	process.Unlock()
	t.Skip(reason)
}

// find looks for a program in PATH, and then in the folders of system programs that are in the PATH of root only.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, name))
	}
	return path, err
}
