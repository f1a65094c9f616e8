package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index"
)

// WatchParams say what to watch.
type WatchParams struct {
	Folders []string // none: INBOX
	Strict  bool     // the error tells about verdicts
	// Event is told each event: a WatchMessage, WatchAlert or WatchConnection, one at a time. Its error ends watching.
	Event func(any) error
}

// Words of the field event in what Watch tells.
const (
	EventMessage      = "message"
	EventAlert        = "alert"
	EventConnected    = "connected"
	EventDisconnected = "disconnected"
	EventExecFailed   = "exec-failed"
)

// WatchMessage is a message that came; its JSON is a contract, as is that of all events.
type WatchMessage struct {
	Event string    `json:"event"`
	Time  time.Time `json:"time"`
	ListLine
}

// WatchAlert is something that a person should look at.
type WatchAlert struct {
	Event       string    `json:"event"`
	Time        time.Time `json:"time"`
	Account     string    `json:"account"`
	Code        string    `json:"code"`
	Reason      string    `json:"reason"`
	Address     *string   `json:"address"`     // whom it is about
	Fingerprint *string   `json:"fingerprint"` // of the certificate
	Folder      *string   `json:"folder"`      // of the message; null: it is about none
	UID         *uint32   `json:"uid"`
	MessageID   *string   `json:"message_id"`

	key string // what is to be said once only; empty: it is said each time
}

// WatchConnection says that a folder is watched, or no longer.
type WatchConnection struct {
	Event   string    `json:"event"`
	Time    time.Time `json:"time"`
	Account string    `json:"account"`
	Folder  string    `json:"folder"`
	Reason  *string   `json:"reason"` // why it is not
}

// WatchExecFailed says that what was to be done with an event failed.
type WatchExecFailed struct {
	Event     string    `json:"event"`
	Time      time.Time `json:"time"`
	Of        string    `json:"of"` // the word of the event
	Folder    *string   `json:"folder"`
	UID       *uint32   `json:"uid"`
	MessageID *string   `json:"message_id"`
	Reason    string    `json:"reason"`
}

// ExecFailed says that what was to be done with an event that Watch told failed.
func ExecFailed(at time.Time, event any, reason string) WatchExecFailed {
	f := WatchExecFailed{Event: EventExecFailed, Time: at.UTC(), Reason: reason}
	switch e := event.(type) {
	case WatchMessage:
		f.Of, f.Folder, f.UID, f.MessageID = e.Event, orNull(e.Folder), orNull(e.UID), e.MessageID
	case WatchAlert:
		f.Of, f.Folder, f.UID, f.MessageID = e.Event, e.Folder, e.UID, e.MessageID
	case WatchConnection:
		f.Of, f.Folder = e.Event, orNull(e.Folder)
	}
	return f
}

const (
	// watchWait is how long news are waited for until the folder is looked at anyway.
	watchWait = 25 * time.Minute
	// betweenLooks is the least time from one look at a folder to the next: some servers tell of news all the time.
	betweenLooks = time.Second / 2
	// watchTick is how often it is looked whether the machine slept, and what is due in the outbox.
	watchTick = time.Minute
	// The first pause before a connection is made anew, and the longest; each is twice the one before.
	firstPause, longestPause = time.Second, 5 * time.Minute
	// maxRefusals is how many log-ins in a row may be refused of an account that could log in before: it may be that the server
	// is not well, and it may lock an account that goes on.
	maxRefusals = 3
)

// errWoke ends what was under way while the machine slept: the line is dead, and would be silent for long.
var errWoke = errors.New("the machine was asleep")

// watcher is what the watched folders share.
type watcher struct {
	client  *Client
	account config.Account
	params  WatchParams
	index   *index.Index
	memory  *alertMemory
	turn    chan struct{} // held by who connects, fetches and judges: one folder at a time

	refusals atomic.Int32 // of log-ins in a row, whichever folder they were for; changed by who holds turn
	refusal  error        // the last one, for who holds turn

	telling sync.Mutex // events come one at a time

	mu        sync.Mutex
	awake     context.Context // ends when the machine was asleep
	wake      context.CancelCauseFunc
	connected int           // folders
	first     chan struct{} // has something when one comes to be
	strict    strictness
}

// Watch fetches what is new in folders, and then each message as it comes, and tells of both, until the context ends, which
// is no error. Lost lines are made anew. It is an error where the first connection cannot be made for a reason that does not
// pass by itself, where the account can no longer log in, and what fetching meets on this machine.
func (c *Client) Watch(ctx context.Context, p WatchParams) (err error) {
	w := &watcher{client: c, params: p, turn: make(chan struct{}, 1), first: make(chan struct{}, 1)}
	if w.account, err = c.account(); err != nil {
		return err
	}
	if w.index, err = c.openIndex(ctx, w.account); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.index.Close()) }()
	w.memory = c.openAlertMemory(w.account)
	if _, err := w.judge(); err != nil { // before a server is asked
		return err
	}
	folders := []string{}
	for _, name := range p.Folders {
		folders = append(folders, orInbox(name))
	}
	if len(folders) == 0 {
		folders = append(folders, orInbox(""))
	}
	slices.SortFunc(folders, compareFolders)
	folders = slices.Compact(folders)

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w.awake, w.wake = context.WithCancelCause(ctx)
	ended := make(chan error, len(folders)+1)
	run := func(do func() error) {
		go func() {
			err := do()
			stop() // one that ends ends all
			ended <- err
		}()
	}
	run(func() error { return w.keepHouse(ctx) })
	for _, folder := range folders {
		run(func() error { return w.folder(ctx, folder) })
	}
	for range cap(ended) {
		if e := <-ended; err == nil {
			err = e
		}
	}
	if err == nil && p.Strict {
		err = w.strict.err()
	}
	return err
}

// judge makes the judge of what comes next: the time goes on, and keys and certificates are added meanwhile.
func (w *watcher) judge() (*judge, error) {
	return w.client.newJudge(VerifyParams{Revocation: string(w.account.Revocation), Online: true})
}

// tell tells one event.
func (w *watcher) tell(event any) error {
	w.telling.Lock()
	defer w.telling.Unlock()
	return w.params.Event(event)
}

// alert tells an alert, unless it was told before and is to be told once.
func (w *watcher) alert(a WatchAlert) error {
	w.telling.Lock()
	defer w.telling.Unlock()
	if a.key != "" && w.memory.has(a.key) {
		return nil
	}
	a.Event, a.Time, a.Account = EventAlert, w.client.o.Now().UTC(), w.account.Name
	if err := w.params.Event(a); err != nil {
		return err
	}
	if a.key == "" {
		return nil
	}
	return w.memory.add(a.key, w.client.o.Now())
}

// inTurn does what one folder at a time does. Log-ins that are refused it counts, and after the last allowed one there is none.
func (w *watcher) inTurn(ctx context.Context, do func() error) error {
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if w.refusals.Load() >= maxRefusals {
		return w.refusal
	}
	err := do()
	if isRefused(err) {
		w.refusals.Add(1)
		w.refusal = err
	}
	return err
}

// isRefused reports whether a log-in was refused, for a reason that does not pass by itself.
func isRefused(err error) bool {
	refused, ok := errors.AsType[*mailbox.AuthError](err)
	return ok && !refused.Temporary
}

// untilAsleep is a context that ends when the machine was asleep.
func (w *watcher) untilAsleep() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.awake
}

// wakeUp ends everything that was under way while the machine slept.
func (w *watcher) wakeUp(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wake(errWoke)
	w.awake, w.wake = context.WithCancelCause(ctx)
}

// keepHouse does beside the folders what is due: it notices that the machine slept, sends what waits in the outbox, and looks
// at certificates once a day.
func (w *watcher) keepHouse(ctx context.Context) error {
	ticker := time.NewTicker(watchTick)
	defer ticker.Stop()
	ticked, clock := time.Now(), w.client.o.Now().Round(0)
	var faulted time.Time // when certificates could not be checked
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.first:
		case <-ticker.C:
		}
		// Timers stand still while a machine sleeps, and its clock does not. It may have slept while what follows was under way.
		now, clocked := time.Now(), w.client.o.Now().Round(0)
		slept := clocked.Sub(clock)-now.Sub(ticked) > watchTick/2
		ticked, clock = now, clocked
		if slept {
			w.wakeUp(ctx)
			continue // until a line is there again
		}
		w.mu.Lock()
		connected := w.connected > 0
		w.mu.Unlock()
		if connected {
			w.client.OutboxDue(ctx)
			if !faulted.IsZero() && now.Sub(faulted) < checkPause {
				continue
			}
			if err := w.checkCertificates(ctx); err != nil && ctx.Err() == nil {
				faulted = now
				w.client.o.Say(fmt.Sprintf("warning: certificates could not be checked: %v", err))
			}
		}
	}
}

// detail tells who wants to know.
func (c *Client) detail(message string) {
	if c.o.Detail != nil {
		c.o.Detail(message)
	}
}
