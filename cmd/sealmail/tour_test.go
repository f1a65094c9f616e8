//go:build unix

package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/peertest"
)

// TestTour runs each command of docs/tour.md as it stands there, against a Dovecot and a Postfix, and compares what it prints with
// what the page shows.
func TestTour(t *testing.T) {
	servers := peertest.MailServers(t)
	page, err := os.ReadFile("../../docs/tour.md")
	if err != nil {
		t.Fatal(err)
	}
	people := []string{"alice", "bob", "carol"}
	for _, person := range people { // the page has the numbers of messages that a new account gives
		if err := os.RemoveAll(servers.MailDir(servers.User(t, person).Address, "INBOX")); err != nil {
			t.Fatal(err)
		}
	}
	g := newGuide(t, servers)
	defer func() { // before the context of the test ends, and with it its commands
		for _, person := range people {
			if out, err := g.command(t, person, "lock").CombinedOutput(); err != nil {
				t.Errorf("lock: %v: %s", err, out)
			}
		}
	}()
	steps := tourSteps(t, string(page))
	if len(steps) < 40 {
		t.Fatalf("the page has %d commands only", len(steps))
	}
	for _, step := range steps {
		g.do(t, step)
		servers.Settle(t)
	}
}

// tourStep is a command on the page, and what it prints.
type tourStep struct {
	person, command, want string
	goesOn                bool      // until a later step ends it
	ends                  *tourStep // the step whose output this is, up to Ctrl-C
}

// tourSteps takes the transcripts out of a page. A line that begins with a name and a dollar sign is a command, and goes on in the next
// line where it ends with a backslash. A transcript without a command is what an earlier one printed meanwhile, up to Ctrl-C.
func tourSteps(t *testing.T, page string) (steps []*tourStep) {
	t.Helper()
	prompt := regexp.MustCompile(`^([a-z]+)\$ (.*)$`)
	var open *tourStep // the last command that ended a transcript without printing anything
	for _, block := range regexp.MustCompile("(?s)\n```console\n(.*?)\n```\n").FindAllStringSubmatch(page, -1) {
		text := strings.ReplaceAll(block[1], "\\\n", "")
		var step *tourStep
		for line := range strings.SplitSeq(text, "\n") {
			words := prompt.FindStringSubmatch(line)
			switch {
			case words != nil:
				step = &tourStep{person: words[1], command: words[2]}
				steps = append(steps, step)
			case step == nil && open == nil:
				t.Fatalf("nothing printed %q", line)
			case step == nil:
				open.goesOn = true
				step = &tourStep{ends: open, want: line + "\n"}
				steps = append(steps, step)
			default:
				step.want += line + "\n"
			}
		}
		if step.ends != nil {
			var ended bool
			if step.want, ended = strings.CutSuffix(step.want, "^C\n"); !ended {
				t.Fatalf("nobody ends what prints %q", step.want)
			}
		}
		if step.want == "" {
			open = step
		}
	}
	return steps
}

// guide leads somebody through the page.
type guide struct {
	*reader
	asked   *strings.Replacer // from what the page has its readers type to what they type here
	running map[*tourStep]*running
	env     []string
}

// running is a command that goes on.
type running struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func newGuide(t *testing.T, servers peertest.Servers) *guide {
	t.Helper()
	g := &guide{reader: &reader{world: newWorld(t), dir: t.TempDir()}, running: map[*tourStep]*running{}}
	root, err := os.ReadFile(g.world.in("ca/root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	g.write(t, "tsa-root.pem", root)
	for name, secret := range map[string]string{"mail-password": servers.User(t, "alice").Password, "p12-password": "p12 word", "passphrase": "vault word"} {
		g.write(t, name, []byte(secret+"\n"))
	}
	names := []string{"imaps://imap.example.test", "imaps://" + servers.IMAPS, "submissions://smtp.example.test", "submissions://" + servers.Submissions,
		"https://tsa.example.test", g.world.tsa}
	g.renaming = strings.NewReplacer(names...)
	names[3] += " --server-ca " + servers.CAFile // it is not from an authority that every machine trusts
	g.asked = strings.NewReplacer(names...)
	g.env = []string{asProgram + "=1", "GORACE=atexit_sleep_ms=0", "PATH=" + g.bin(t, "sealmail") + ":" + os.Getenv("PATH"), "HOME=" + g.dir,
		"TMPDIR=" + os.TempDir(), "LC_ALL=C.UTF-8"}
	return g
}

// shell is a command as somebody types it.
func (g *guide) shell(ctx context.Context, step *tourStep, before string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", before+g.asked.Replace(step.command))
	cmd.Env, cmd.Dir = append(g.env[:len(g.env):len(g.env)], "SEALMAIL_HOME="+step.person), g.dir
	return cmd
}

// do does a step.
func (g *guide) do(t *testing.T, step *tourStep) {
	t.Helper()
	switch {
	case step.goesOn:
		g.start(t, step)
	case step.ends != nil:
		g.end(t, step)
	default:
		out, err := g.shell(t.Context(), step, "").CombinedOutput()
		if failed := strings.Contains("\n"+string(out), "\nsealmail: "); (err != nil) != failed {
			t.Fatalf("%s$ %s: %v\n%s", step.person, step.command, err, out)
		}
		g.compare(t, step.command, string(out), step.want)
	}
}

func (g *guide) compare(t *testing.T, command, got, want string) {
	t.Helper()
	if want = g.renaming.Replace(want); !printed(got, want) {
		t.Errorf("%s prints\n%s\nand the page says\n%s", command, got, want)
	}
}

func (g *guide) start(t *testing.T, step *tourStep) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := g.shell(ctx, step, "exec 2>&1; exec ")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.running[step] = &running{cmd, bufio.NewScanner(out)}
}

// end waits until a command that goes on has printed what the page shows, and ends it.
func (g *guide) end(t *testing.T, step *tourStep) {
	t.Helper()
	r := g.running[step.ends]
	var got strings.Builder
	for n := strings.Count(step.want, "\n"); n > 0 && r.lines.Scan(); n-- {
		got.WriteString(r.lines.Text() + "\n")
	}
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for r.lines.Scan() {
		got.WriteString(r.lines.Text() + "\n")
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("%s, ended by Ctrl-C: %v", step.ends.command, err)
	}
	g.compare(t, step.ends.command, got.String(), step.want)
}
