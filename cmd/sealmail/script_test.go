package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sealmail/sealmail/internal/peertest"
)

// TestScript tells the stories in testdata/script, each in a folder of its own. In them run the program itself
// (sealmail, exit), servers (mailserver, serve, stop), and a few words of their own to look at JSON and to do damage.
//
// Whatever a story is about, each command line in it is held to what all of them promise: see checkPromises.
func TestScript(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &stories{exe: exe, world: newWorld(t)}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               s.setup,
		RequireExplicitExec: true,
		Condition: func(condition string) (bool, error) {
			name, isPeer := strings.CutPrefix(condition, "peer:")
			if !isPeer {
				return false, fmt.Errorf("unknown condition %q", condition)
			}
			return peertest.Present(name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sealmail":        s.sealmail,
			"sendmail":        s.sendmail,
			"exit":            s.exit,
			"account":         s.account,
			"authority":       s.authority,
			"mailserver":      s.mailServer,
			"serve":           s.serve,
			"await":           s.await,
			"port":            freePort,
			"evidence":        collectEvidence,
			"end":             s.end,
			"json":            checkJSON,
			"keep":            keepJSON,
			"flip":            flip,
			"later":           later,
			"tick":            tick,
			"replace":         replace,
			"halve":           halve,
			"sign-with-token": signWithToken,
		},
	})
}

// stories is what all stories share.
type stories struct {
	exe   string
	world *world
}

// storyKey is where a story keeps what it has of its own.
type storyKey struct{}

// story is what one story has of its own: its servers.
type story struct {
	env     []string
	mail    *mailServer
	running map[string]*background
}

func (s *stories) setup(e *testscript.Env) error {
	e.Setenv(asProgram, "1")
	e.Setenv("GORACE", "atexit_sleep_ms=0") // else each command waits for a second with -race
	e.Setenv("WORLD", s.world.dir)
	e.Setenv("TSA", s.world.tsa)
	e.Setenv("PW", s.world.in("password"))
	e.Setenv("HOME", e.WorkDir)
	own := &story{env: e.Vars, running: map[string]*background{}}
	e.Values[storyKey{}] = own
	e.Defer(own.end)
	return nil
}

func storyOf(ts *testscript.TestScript) *story { return ts.Value(storyKey{}).(*story) }

// sealmail WORDS…: runs the program, which must end with 0.
func (s *stories) sealmail(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("say which exit code: exit CODE sealmail …")
	}
	s.run(ts, exitGood, args)
}

// exit CODE sealmail WORDS…: runs the program, which must end with this code.
func (s *stories) exit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[1] != "sealmail" {
		ts.Fatalf("usage: exit CODE sealmail WORDS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	s.run(ts, want, args[2:])
}

func (s *stories) run(ts *testscript.TestScript, want int, args []string) {
	err := ts.Exec(s.exe, args...)
	code := 0
	if err != nil {
		var exited *exec.ExitError
		if !errors.As(err, &exited) {
			ts.Fatalf("%v", err)
		}
		code = exited.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
	if broken := checkPromises(args, code, ts.ReadFile("stdout"), ts.ReadFile("stderr")); broken != "" {
		ts.Fatalf("%s", broken)
	}
}

// checkPromises says how a run breaks what every command promises: errors are one line, with at most one more that says
// what to do; they are there where the exit code says that something could not be done; and with --json stdout
// holds JSON and nothing else.
func checkPromises(args []string, code int, stdout, stderr string) string {
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	count := 0
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "panic:"), strings.HasPrefix(line, "fatal error:"), strings.HasPrefix(line, "WARNING: DATA RACE"):
			return "the program broke down"
		case strings.HasPrefix(line, "hint: "):
			if i == 0 || !strings.HasPrefix(lines[i-1], "sealmail: ") {
				return "a hint without its error"
			}
		case strings.HasPrefix(line, "sealmail: "):
			count++
		case count > 0:
			return "an error that is longer than one line and a hint"
		}
	}
	several := slices.Contains(args, "verify") // one for each file that cannot be read
	switch {
	case code == exitGood && count > 0:
		return "an error with exit code 0"
	case code >= exitUsage && count == 0:
		return "no error with exit code " + strconv.Itoa(code)
	case count > 1 && !several:
		return "more than one error"
	}
	if !slices.Contains(args, "--json") {
		return ""
	}
	for line := range strings.Lines(stdout) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			return "not a JSON object on a line: " + line
		}
	}
	return ""
}

// sendmail CODE WORDS…: runs the program under the name sendmail, which must end with this code.
func (s *stories) sendmail(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: sendmail CODE WORDS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	link := ts.MkAbs("sendmail")
	if err := os.Symlink(s.exe, link); !errors.Is(err, fs.ErrExist) {
		ts.Check(err)
	}
	own := *s
	own.exe = link
	own.run(ts, want, args[1:])
}

// account NAME [FLAGS…]: sets up NAME@example.test in the home NAME, at the story's mail server.
func (s *stories) account(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: account NAME [FLAGS…]")
	}
	root, name := s.world.in("ca/root.pem"), args[0]
	s.run(ts, exitGood, append([]string{"--home", name, "init", name + "@" + worldDomain, "--imap", ts.Getenv("IMAP"), "--smtp", ts.Getenv("SMTP"),
		"--server-ca", root, "--password-file", s.world.in("password"), "--p12", s.world.in(name + ".p12"), "--p12-password-file", s.world.in("password"),
		"--trust", root, "--tsa", s.world.tsa, "--tsa-trust", root, "--unprotected"}, args[1:]...))
}
