//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sealmail/sealmail/internal/client"
)

// TestKill kills the program (SIGKILL) before each step of the main path, and before each step of the server on that
// path. Afterwards the home is as good as before, no message at the server was touched, nothing that was accepted is
// lost, and nothing is doubled unless somebody asked for it.
func TestKill(t *testing.T) {
	l := newKillLab(t)
	t.Run("init", l.killInit)
	t.Run("stages", l.prepare)
	if t.Failed() {
		return
	}
	t.Run("cert import", l.killImport)
	t.Run("send", l.killSend)
	t.Run("outbox flush", l.killFlush)
	t.Run("fetch", l.killFetch)
	t.Run("list and read", l.killRead)
}

// killCase is a command that is killed, and what must hold afterwards.
type killCase struct {
	lab    *killLab
	stage  string
	person string
	args   func(w *killWorld) []string
	// check looks at what is left; before is the mail of all before the command. A run that was not killed is checked
	// as well.
	check func(t *testing.T, w *killWorld, k killed, before map[string][]string)
	// only, unless nil, picks the steps that are tried; a run that is not killed is not insisted upon then.
	only func(step string) bool
	// shortStride is the distance of the steps that are tried with -short; 0 is each.
	shortStride int
}

// one runs the command in a fresh world.
func (c killCase) one(t *testing.T, step int, event int) (k killed, events []string) {
	w := c.lab.world(t, c.stage)
	before := w.mailOfAll(t)
	process := make(chan *os.Process, 1)
	var mu sync.Mutex
	w.setHook(func(name string) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, name)
		if len(events) == event {
			if err := (<-process).Kill(); err != nil {
				t.Error(err)
			}
		}
	})
	k = w.kill(t, c.person, step, func(p *os.Process) { process <- p }, c.args(w)...)
	w.setHook(nil)
	if !k.killed {
		k.mustBe(t, exitGood)
	}
	c.check(t, w, k, before)
	return k, events
}

// atEachStep kills before each step of the program in turn, until a run is not killed.
func (c killCase) atEachStep(t *testing.T) {
	var whole killed
	t.Run("not killed", func(t *testing.T) { whole, _ = c.one(t, 0, 0) })
	last := len(whole.steps)
	stride := 1
	if testing.Short() {
		stride = max(c.shortStride, 1)
	}
	var steps []int
	for i := 0; i < last; i += stride {
		if c.only == nil || c.only(whole.steps[i]) {
			steps = append(steps, i+1)
		}
	}
	t.Run("step", func(t *testing.T) {
		sideBySide(len(steps), func(i int) {
			step := steps[i]
			t.Run(fmt.Sprintf("%03d", step), func(t *testing.T) { c.one(t, step, 0) })
		})
	})
	// The number of reads depends on how the network cuts what is sent.
	for killed := !t.Failed() && c.only == nil; killed; {
		last++
		t.Run(fmt.Sprintf("further step %03d", last), func(t *testing.T) {
			k, _ := c.one(t, last, 0)
			killed = k.killed
		})
	}
	t.Logf("%d steps, %d tried", len(whole.steps), len(steps))
}

// atEachEvent kills when the server is at each of its steps in turn; the server goes on with what it was told.
func (c killCase) atEachEvent(t *testing.T) {
	var events []string
	t.Run("not killed", func(t *testing.T) { _, events = c.one(t, 0, 0) })
	t.Run("event", func(t *testing.T) {
		sideBySide(len(events), func(i int) {
			t.Run(fmt.Sprintf("%02d %s", i+1, events[i]), func(t *testing.T) {
				if k, _ := c.one(t, 0, i+1); !k.killed {
					t.Error("not killed")
				}
			})
		})
	})
}

// sideBySide calls f for 0 to n-1, some calls at a time: more than there are processors, as they wait for a process and
// for the network most of the time.
func sideBySide(n int, f func(i int)) {
	var next atomic.Int64
	var calls sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		calls.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	calls.Wait()
}

// unharmed checks a home right after a kill: no command finds anything wrong with it.
func (w *killWorld) unharmed(t *testing.T, person string) {
	t.Helper()
	if list := w.run(t, person, "cert", "list").mustBe(t, exitGood); list.err != "" {
		t.Errorf("cert list says\n%s", list.err)
	}
	w.run(t, person, "doctor").mustBe(t, exitGood)
}

// tidy checks that nothing piles up in a home: whoever does again what was killed removes what the kill left.
func (w *killWorld) tidy(t *testing.T, person string) {
	t.Helper()
	for path := range tree(t, w.home(person)) {
		if name := filepath.Base(path); strings.HasPrefix(name, ".sealmail-") || strings.HasPrefix(name, ".new-") || strings.HasPrefix(name, ".done-") {
			t.Errorf("left behind: %s", path)
		}
	}
}

// arrivals counts what came since, by address and folder, and checks that what was there is still there, unchanged.
func (w *killWorld) arrivals(t *testing.T, before map[string][]string) map[string]int {
	t.Helper()
	n := map[string]int{}
	for place, now := range w.mailOfAll(t) {
		old := before[place]
		if len(now) < len(old) || !slices.Equal(now[:len(old)], old) {
			t.Errorf("the mail in %s was\n%s\nand is\n%s", place, strings.Join(old, "\n"), strings.Join(now, "\n"))
			continue
		}
		n[place] = len(now) - len(old)
	}
	return n
}

func (w *killWorld) initArgs(person string) []string {
	return []string{
		"init", person, "--imap", "imaps://" + w.imap.address(), "--smtp", "submissions://" + w.smtp.address(), "--server-ca", filepath.Join(w.file("ca"), "root.pem"),
		"--password-file", w.file("password"), "--p12", w.file(person + ".p12"), "--p12-password-file", w.file("password"),
		"--trust", filepath.Join(w.file("ca"), "root.pem"), "--tsa", w.tsa, "--tsa-trust", filepath.Join(w.file("ca"), "root.pem"), "--unprotected",
	}
}

// certificates counts what `cert list` shows, by kind and address or purpose.
func (w *killWorld) certificates(t *testing.T, person string) map[string]int {
	t.Helper()
	n := map[string]int{}
	for _, line := range killLines[client.CertificateLine](t, w.run(t, person, "cert", "list").mustBe(t, exitGood)) {
		n[line.Kind]++
	}
	return n
}

func (l *killLab) killInit(t *testing.T) {
	killCase{
		lab: l, person: killAlice, shortStride: 5,
		args: func(w *killWorld) []string { return w.initArgs(killAlice) },
		check: func(t *testing.T, w *killWorld, k killed, _ map[string][]string) {
			if _, err := os.Stat(filepath.Join(w.home(killAlice), "config.toml")); err == nil {
				w.unharmed(t, killAlice) // an account that is there is complete
			} else if list := w.run(t, killAlice, "cert", "list").mustBe(t, exitGood); list.err != "" {
				t.Errorf("cert list says\n%s", list.err)
			}
			w.run(t, killAlice, w.initArgs(killAlice)...).mustBe(t, exitGood)
			w.unharmed(t, killAlice)
			w.tidy(t, killAlice)
			if n := w.certificates(t, killAlice); n["identity"] != 1 || n["anchor"] != 3 || len(n) != 2 {
				t.Errorf("certificates: %v", n)
			}
		},
	}.atEachStep(t)
}

// The stages of the story.
const (
	stageAlone     = "stage-alone"     // everybody has an account
	stageOld       = "stage-old"       // alice knows all certificates, everybody has one message
	stageQueued    = "stage-queued"    // a message waits in alice's outbox
	stageUncertain = "stage-uncertain" // one waits there and may have been sent, and has
	stageNew       = "stage-new"       // bob fetched the one message, and has two new ones
	stageMany      = "stage-many"      // bob has so many new ones that the index is written twice
)

func (w *killWorld) sendArgs(subject string) []string {
	return append([]string{"send", "--subject", subject, "--body", w.file("letter.txt"), "--attach", w.file("plan.csv")}, w.recipients...)
}

// prepare makes the stages.
func (l *killLab) prepare(t *testing.T) {
	w := l.world(t, "")
	var certificates []string
	for _, person := range killPeople() {
		w.run(t, person, w.initArgs(person)...).mustBe(t, exitGood)
		if person != killAlice {
			certificates = append(certificates, w.file(person+".pem"))
		}
	}
	w.keep(t, stageAlone)
	w.run(t, killAlice, append([]string{"cert", "import"}, certificates...)...).mustBe(t, exitGood)
	w.run(t, killAlice, append(w.sendArgs("old"), "--cc", killAlice)...).mustBe(t, exitGood)
	w.keep(t, stageOld)
	for stage, event := range map[string]string{stageQueued: "smtp.mail", stageUncertain: "smtp.data.received"} {
		w := l.world(t, stageOld)
		process := make(chan *os.Process, 1)
		w.setHook(func(name string) {
			if name == event {
				if err := (<-process).Kill(); err != nil {
					t.Error(err)
				}
			}
		})
		if k := w.kill(t, killAlice, 0, func(p *os.Process) { process <- p }, w.sendArgs("new")...); !k.killed {
			t.Fatal("not killed at " + event)
		}
		w.keep(t, stage)
	}
	w.run(t, killBob, "fetch").mustBe(t, exitGood)
	w.run(t, killAlice, w.sendArgs("new")...).mustBe(t, exitGood)
	w.run(t, killAlice, append(w.sendArgs("new"), "--no-encrypt")...).mustBe(t, exitGood)
	w.keep(t, stageNew)
	for range manyMessages - 3 {
		w.run(t, killAlice, "send", "--to", killBob, "--subject", "many", "--body", w.file("letter.txt"), "--no-timestamp").mustBe(t, exitGood)
	}
	w.keep(t, stageMany)
}

// manyMessages is more than fetch keeps in mind before it writes the index.
const manyMessages = 70

func (l *killLab) killImport(t *testing.T) {
	args := func(w *killWorld) []string {
		return []string{"cert", "import", w.file(killBob + ".pem"), w.file(killCarol + ".pem"), w.file(killDave + ".p12"), "--p12-password-file", w.file("password")}
	}
	killCase{
		lab: l, stage: stageAlone, person: killAlice, args: args, shortStride: 5,
		check: func(t *testing.T, w *killWorld, _ killed, _ map[string][]string) {
			w.unharmed(t, killAlice)
			w.run(t, killAlice, args(w)...).mustBe(t, exitGood)
			w.unharmed(t, killAlice)
			w.tidy(t, killAlice)
			if n := w.certificates(t, killAlice); n["identity"] != 2 || n["correspondent"] != 2 || n["anchor"] != 3 {
				t.Errorf("certificates: %v", n)
			}
		},
	}.atEachStep(t)
}

func (l *killLab) killFetch(t *testing.T) {
	for stage, messages := range map[string]int{stageOld: 1, stageNew: 3, stageMany: manyMessages} {
		t.Run(stage, func(t *testing.T) {
			c := killCase{
				lab: l, stage: stage, person: killBob,
				args: func(*killWorld) []string { return []string{"fetch"} },
				check: func(t *testing.T, w *killWorld, _ killed, before map[string][]string) {
					w.unharmed(t, killBob)
					w.listed(t, 0, messages)
					w.run(t, killBob, "fetch", "--strict").mustBe(t, exitGood)
					w.listed(t, messages, messages)
					if again := w.run(t, killBob, "fetch").mustBe(t, exitGood); again.out != "" {
						t.Errorf("fetched again: %s", again.out)
					}
					if n := w.certificates(t, killBob)["correspondent"]; n != 1 {
						t.Errorf("%d correspondents", n)
					}
					w.unharmed(t, killBob)
					w.tidy(t, killBob)
					w.untouched(t, before)
				},
			}
			if stage == stageMany {
				c.only = func(step string) bool { return strings.HasSuffix(step, ".index") }
				c.atEachStep(t)
				return
			}
			t.Run("client", c.atEachStep)
			t.Run("server", c.atEachEvent)
		})
	}
}

// untouched checks that no mailbox changed.
func (w *killWorld) untouched(t *testing.T, before map[string][]string) {
	t.Helper()
	if n := nonzero(w.arrivals(t, before)); len(n) > 0 {
		t.Errorf("arrived: %v", n)
	}
}

// listed checks that `list` shows each of the first messages once.
func (w *killWorld) listed(t *testing.T, least, most int) {
	t.Helper()
	list := w.run(t, killBob, "list", "--strict").mustBe(t, exitGood)
	lines := killLines[client.ListLine](t, list)
	if list.err != "" || len(lines) < least || len(lines) > most {
		t.Errorf("%d messages in the list, want %d to %d\n%s", len(lines), least, most, list.err)
	}
	for i, line := range lines {
		if line.UID != uint32(i+1) {
			t.Errorf("message %d stands where %d should", line.UID, i+1)
		}
	}
}

// killRead kills what only reads: nothing changes at all.
func (l *killLab) killRead(t *testing.T) {
	for name, args := range map[string][]string{
		"list": {"list"}, "read": {"read", "last"}, "outbox list": {"outbox", "list"},
	} {
		t.Run(name, func(t *testing.T) {
			killCase{
				lab: l, stage: stageNew, person: killBob, shortStride: 5,
				args: func(*killWorld) []string { return args },
				check: func(t *testing.T, w *killWorld, _ killed, before map[string][]string) {
					w.unharmed(t, killBob)
					w.run(t, killBob, args...).mustBe(t, exitGood)
					w.tidy(t, killBob)
					w.untouched(t, before)
				},
			}.atEachStep(t)
		})
	}
}
