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
	"github.com/sealmail/sealmail/mailbox"
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
	t.Run("change", l.killMove)
	t.Run("draft", l.killDraft)
	t.Run("reply", l.killReply)
	t.Run("send a draft", l.killSendDraft)
	t.Run("refused", l.killRefused)
}

// killCase is a command that is killed, and what must hold afterwards.
type killCase struct {
	lab    *killLab
	stage  string
	person string
	// begin makes the world of a run; nil: that of the embedded server at the stage.
	begin func(t *testing.T) *killWorld
	args  func(w *killWorld) []string
	// check looks at what is left; before is the mail of all before the command. A run that was not killed is checked
	// as well.
	check func(t *testing.T, w *killWorld, k killed, before map[string][]string)
	// only, unless nil, picks the steps that are tried, by their number from 0 on, unless each is to be; a run that is not killed is not
	// insisted upon then.
	only func(steps []string, i int) bool
	// shortStride is the distance of the steps that are tried with -short; 0 is each.
	shortStride int
	// turns is for runs that share mailboxes: one comes after the other.
	turns bool
	// exit is the exit code of a run that is not killed.
	exit int
}

// one runs the command in a fresh world.
func (c killCase) one(t *testing.T, step int, event int) (k killed, events []string) {
	begin := c.begin
	if begin == nil {
		begin = func(t *testing.T) *killWorld { return c.lab.world(t, c.stage) }
	}
	w := begin(t)
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
		k.mustBe(t, c.exit)
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
	if everyStep() {
		c.only = nil
	}
	var steps []int
	for i := 0; i < last; i += stride {
		if c.only == nil || c.only(whole.steps, i) {
			steps = append(steps, i+1)
		}
	}
	t.Run("step", func(t *testing.T) {
		c.each(len(steps), func(i int) {
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
		c.each(len(events), func(i int) {
			t.Run(fmt.Sprintf("%02d %s", i+1, events[i]), func(t *testing.T) {
				if k, _ := c.one(t, 0, i+1); !k.killed {
					t.Error("not killed")
				}
			})
		})
	})
}

// everyStep reports whether each step is to be tried, and each fault at each line: that takes longer than all other tests
// together. Otherwise it is those that matter most, and some of the others.
func everyStep() bool { return os.Getenv("SEALMAIL_EVERY_STEP") == "1" }

// some is for killCase.only: the steps between the disk and the network, where what one side knows is not what the other does, and
// each nth of the others; but nothing that repeats the step before, as a further part of a file or of an answer.
func some(n int) func(steps []string, i int) bool {
	return func(steps []string, i int) bool {
		crossing := func(i int) bool { return i > 0 && i < len(steps) && onNetwork(steps[i]) != onNetwork(steps[i-1]) }
		repeated := i > 0 && steps[i] == steps[i-1]
		return !repeated && (crossing(i) || crossing(i+1) || i%n == 0)
	}
}

func onNetwork(step string) bool { return strings.Contains(step, " 127.0.0.1:") }

// each calls f for 0 to n-1.
func (c killCase) each(n int, f func(i int)) {
	if !c.turns {
		sideBySide(n, f)
		return
	}
	for i := range n {
		f(i)
	}
}

// sideBySide calls f for 0 to n-1, some calls at a time: more than there are processors, as they wait for a process and
// for the network most of the time.
func sideBySide(n int, f func(i int)) { atOnce(n, 2*runtime.GOMAXPROCS(0), f) }

// atOnce is sideBySide with so many calls at a time.
func atOnce(n, width int, f func(i int)) {
	var next atomic.Int64
	var calls sync.WaitGroup
	for range width {
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
	stageShelf     = "stage-shelf"     // bob has a shelf
	stageAsked     = "stage-asked"     // alice has fetched a message of bob's
	stageDraft     = "stage-draft"     // alice has a draft to bob
	stageRefused   = "stage-refused"   // a message of alice's went to bob, and was refused for somebody else
	stageChanged   = "stage-changed"   // of three that bob has fetched one has other flags, one is gone, and one is new
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
	drafted := l.world(t, stageOld)
	drafted.run(t, killAlice, drafted.draftArgs()...).mustBe(t, exitGood)
	drafted.keep(t, stageDraft)
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
	changed := l.world(t, stageNew)
	changed.change(t)
	changed.keep(t, stageChanged)
	for range manyMessages - 3 {
		w.run(t, killAlice, "send", "--to", killBob, "--subject", "many", "--body", w.file("letter.txt"), "--no-timestamp").mustBe(t, exitGood)
	}
	w.keep(t, stageMany)
}

// change has bob fetch, and everything happen that can happen to what he has fetched.
func (w *killWorld) change(t *testing.T) {
	t.Helper()
	w.run(t, killBob, "fetch").mustBe(t, exitGood)
	store := w.store(t, killBob)
	there := w.held(t, killBob, "INBOX")
	if err := store.SetFlags(t.Context(), "INBOX", []mailbox.UID{there[0].UID}, mailbox.FlagChange{Add: []string{`\Flagged`}}); err != nil {
		t.Fatal(err)
	}
	w.gone = []mailbox.UID{there[1].UID}
	if err := store.Delete(t.Context(), "INBOX", []mailbox.UID{there[1].UID}); err != nil {
		t.Fatal(err)
	}
	w.run(t, killAlice, w.sendArgs("changed")...).mustBe(t, exitGood)
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
