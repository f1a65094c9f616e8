package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/mailbox"
)

// live is a folder that changes while it is watched, over lines that break.
type live struct {
	mu     sync.Mutex
	folder folder
	dials  int
	open   int           // connections
	news   chan struct{} // one for each change
	broken chan error    // what Wait meets
	refuse func(dial int) error
	cut    int // so many messages in, the next fetch loses its line
}

func newLive(messages ...string) *live {
	return &live{folder: folder{validity: 1, messages: messages}, news: make(chan struct{}, 1), broken: make(chan error)}
}

// liveStore is one connection.
type liveStore struct {
	mailbox.Store
	*live
	once sync.Once
}

var errLine = &mailbox.ConnectError{Step: "wait", Reason: mailbox.ReasonLost, Err: io.ErrUnexpectedEOF}

func (l *live) dial(context.Context, mailbox.Options) (mailbox.Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dials++
	if l.refuse != nil {
		if err := l.refuse(l.dials); err != nil {
			return nil, err
		}
	}
	l.open++
	return &liveStore{live: l}, nil
}

func (l *live) deliver(messages ...string) {
	l.mu.Lock()
	l.folder.messages = append(l.folder.messages, messages...)
	l.mu.Unlock()
	select {
	case l.news <- struct{}{}:
	default:
	}
}

func (s *liveStore) copy() *folder {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.folder
	f.messages = slices.Clone(f.messages)
	return &f
}

func (s *liveStore) Status(ctx context.Context, n string) (mailbox.Status, error) {
	return s.copy().Status(ctx, n)
}
func (s *liveStore) List(ctx context.Context, n string, first mailbox.UID) ([]mailbox.Info, error) {
	return s.copy().List(ctx, n, first)
}
func (s *liveStore) UIDs(ctx context.Context, n string) ([]mailbox.UID, error) {
	return s.copy().UIDs(ctx, n)
}
func (s *liveStore) Flags(ctx context.Context, n string, since uint64) ([]mailbox.Info, error) {
	return s.copy().Flags(ctx, n, since)
}

func (s *liveStore) FetchAll(ctx context.Context, n string, infos []mailbox.Info, to mailbox.Receiver) error {
	s.mu.Lock()
	cut := s.cut
	s.cut = 0
	s.mu.Unlock()
	if cut > 0 {
		if err := s.copy().FetchAll(ctx, n, infos[:cut], to); err != nil {
			return err
		}
		if w, err := to.Message(infos[cut]); err == nil {
			_, _ = io.WriteString(w, "half of a mess")
		}
		return errLine
	}
	return s.copy().FetchAll(ctx, n, infos, to)
}

func (s *liveStore) Wait(ctx context.Context, _ string, longest time.Duration) error {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-s.news:
		return nil
	case err := <-s.broken:
		return err
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &mailbox.ConnectError{Step: "wait", Reason: mailbox.ReasonCancelled, Err: ctx.Err()}
	}
}

func (s *liveStore) Close() error {
	s.once.Do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
	})
	return nil
}

// watching runs Watch beside a test in a bubble; what it told so far is in words.
type watching struct {
	mu    sync.Mutex
	words []string
	stop  func() error
}

func watch(t *testing.T, o client.Options, p client.WatchParams) *watching {
	t.Helper()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &watching{}
	p.Event = func(event any) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch e := event.(type) {
		case client.WatchMessage:
			w.words = append(w.words, fmt.Sprint(e.Event, outsideInbox(e.Folder), " ", e.UID))
		case client.WatchAlert:
			about := "nothing"
			switch {
			case e.UID != nil:
				about = fmt.Sprint(*e.UID)
			case e.Address != nil:
				about = *e.Address
			}
			w.words = append(w.words, e.Event+" "+e.Code+" "+about)
		case client.WatchConnection:
			w.words = append(w.words, e.Event+outsideInbox(e.Folder))
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Watch(ctx, p) }()
	w.stop = func() error {
		cancel()
		defer c.Close()
		return <-ended
	}
	return w
}

func outsideInbox(folder string) string {
	if folder == "INBOX" {
		return ""
	}
	return " " + folder
}

// told are the words since it was asked last.
func (w *watching) told() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	words := strings.Join(w.words, ", ")
	w.words = nil
	return words
}

// inBubble runs a test whose account is set up, with a clock that stands still unless all wait.
func inBubble(t *testing.T, l *live, test func(t *testing.T, w *world, o client.Options)) {
	t.Helper()
	w := newWorld(t)
	o := w.account("bob", &l.folder)
	synctest.Test(t, func(t *testing.T) {
		// Channels belong to the bubble that they are made in.
		l.news, l.broken = make(chan struct{}, 1), make(chan error)
		o := o
		o.DialStore = l.dial
		test(t, w, o)
	})
}

func (w *watching) want(t *testing.T, about, want string) {
	t.Helper()
	// What is kept is told within a fraction of a second.
	time.Sleep(time.Second)
	if got := w.told(); got != want {
		t.Errorf("%s: told %q, want %q", about, got, want)
	}
}

// TestWatch: what is there is fetched, what comes is told once, whatever happens to the line.
func TestWatch(t *testing.T) {
	l := newLive(mail("one", ""), mail("two", ""))
	inBubble(t, l, func(t *testing.T, w *world, o client.Options) {
		run := watch(t, o, client.WatchParams{})
		run.want(t, "at first", "connected, message 1, message 2")
		l.deliver(mail("three", ""))
		run.want(t, "news", "message 3")
		l.broken <- errLine
		run.want(t, "a lost line", "disconnected, connected")
		l.mu.Lock()
		l.cut = 1
		l.mu.Unlock()
		l.deliver(mail("four", ""), mail("five", ""))
		time.Sleep(5 * time.Second)
		run.want(t, "a line lost in a fetch", "message 4, disconnected, connected, message 5")
		l.mu.Lock()
		l.folder = folder{validity: 2, messages: []string{mail("new", "")}}
		l.mu.Unlock()
		l.broken <- mailbox.ErrRenumbered
		time.Sleep(5 * time.Second)
		run.want(t, "a new numbering", "disconnected, connected, message 1")
		if err := run.stop(); err != nil {
			t.Errorf("the end: %v", err)
		}
		if l.open != 0 {
			t.Errorf("%d connections are open", l.open)
		}
		l.folder.messages = append(l.folder.messages, mail("unsigned", ""))
		again := watch(t, o, client.WatchParams{Strict: true})
		again.want(t, "another run", "connected, message 2")
		if err := again.stop(); client.KindOf(err) != client.No {
			t.Errorf("unsigned mail, where all is to be signed: %v", err)
		}
	})
}

// TestWatchPauses: an unreachable server is asked less and less often, and what happens is said once.
func TestWatchPauses(t *testing.T) {
	l := newLive()
	down := &mailbox.ConnectError{Step: "connect", Reason: mailbox.ReasonUnreachable, Err: errors.New("no route")}
	inBubble(t, l, func(t *testing.T, w *world, o client.Options) {
		l.refuse = func(int) error { return down }
		run := watch(t, o, client.WatchParams{})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		l.mu.Lock()
		dials := l.dials
		l.refuse = nil
		l.mu.Unlock()
		if least, most := 24*60/5, 24*60/5*2+20; dials < least || dials > most {
			t.Errorf("%d attempts in a day, want %d to %d", dials, least, most)
		}
		time.Sleep(10 * time.Minute)
		run.want(t, "back again", "connected")
		if n := strings.Count(strings.Join(w.said, "\n"), "not watched for now"); n != 1 {
			t.Errorf("said %d times: %q", n, w.said)
		}
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	})
}

// hasty is a store that tells of news all the time.
type hasty struct {
	mailbox.Store
	waits *atomic.Int64
}

func (h hasty) Wait(ctx context.Context, _ string, _ time.Duration) error {
	if h.waits.Add(1) > 1000 {
		<-ctx.Done()
	}
	return ctx.Err()
}

// TestWatchHastyServer: a folder is not looked at all the time because the server says that there is news.
func TestWatchHastyServer(t *testing.T) {
	l := newLive()
	inBubble(t, l, func(t *testing.T, _ *world, o client.Options) {
		var waits atomic.Int64
		o.DialStore = func(ctx context.Context, mo mailbox.Options) (mailbox.Store, error) {
			s, err := l.dial(ctx, mo)
			return hasty{s, &waits}, err
		}
		run := watch(t, o, client.WatchParams{})
		time.Sleep(10 * time.Second)
		if n := waits.Load(); n < 10 || n > 21 {
			t.Errorf("looked %d times in ten seconds", n)
		}
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestWatchGivesUp where trying again is of no use.
func TestWatchGivesUp(t *testing.T) {
	refused := &mailbox.AuthError{User: "bob", Text: "wrong password"}
	for name, c := range map[string]struct {
		after int // good dials
		dials int
	}{"a password that was never good": {0, 1}, "one that is no longer good": {1, 4}} {
		t.Run(name, func(t *testing.T) {
			l := newLive()
			inBubble(t, l, func(t *testing.T, _ *world, o client.Options) {
				l.refuse = func(dial int) error {
					if dial > c.after {
						return refused
					}
					return nil
				}
				run := watch(t, o, client.WatchParams{})
				if c.after > 0 {
					run.want(t, "at first", "connected")
					l.broken <- errLine
				}
				time.Sleep(time.Hour)
				if err := run.stop(); !errors.Is(err, refused) {
					t.Errorf("got error %v", err)
				}
				if l.dials != c.dials {
					t.Errorf("%d log-ins, want %d", l.dials, c.dials)
				}
			})
		})
	}
}

// TestWatchGivesUpForAll: servers count the log-ins of an account, and not of a folder.
func TestWatchGivesUpForAll(t *testing.T) {
	w := newWorld(t)
	names := []string{"INBOX", "A", "B", "C", "D"}
	y := newYard(names...)
	o := w.account("bob", &yardStore{yard: y})
	synctest.Test(t, func(t *testing.T) {
		y.news = map[string]chan struct{}{}
		dials := 0 // one at a time
		o := o
		o.Say = func(string) {} // by several at once
		o.DialStore = func(context.Context, mailbox.Options) (mailbox.Store, error) {
			if dials++; dials > len(names) {
				return nil, &mailbox.AuthError{User: "bob", Text: "wrong password"}
			}
			return &yardStore{yard: y}, nil
		}
		run := watch(t, o, client.WatchParams{Folders: names})
		time.Sleep(time.Second)
		for _, name := range names {
			y.change(name, folder{})
		}
		time.Sleep(time.Hour)
		if err := run.stop(); !errors.As(err, new(*mailbox.AuthError)) {
			t.Errorf("got error %v", err)
		}
		if refused := dials - len(names); refused != 3 {
			t.Errorf("%d log-ins were refused, want 3", refused)
		}
	})
}

// TestWatchSleep: after the machine slept, the line is made anew at once, although it says nothing.
func TestWatchSleep(t *testing.T) {
	l := newLive()
	inBubble(t, l, func(t *testing.T, _ *world, o client.Options) {
		var mu sync.Mutex
		slept := time.Duration(0)
		o.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(slept)
		}
		run := watch(t, o, client.WatchParams{})
		time.Sleep(5 * time.Minute)
		run.want(t, "awake", "connected")
		mu.Lock()
		slept = time.Hour
		mu.Unlock()
		time.Sleep(time.Minute)
		run.want(t, "after sleep", "disconnected, connected")
		if err := run.stop(); err != nil || l.dials != 2 {
			t.Errorf("%d dials, %v", l.dials, err)
		}
	})
}

// TestWatchManyReconnects: nothing is left behind by a line that was lost.
func TestWatchManyReconnects(t *testing.T) {
	l := newLive(mail("one", ""))
	inBubble(t, l, func(t *testing.T, w *world, o client.Options) {
		run := watch(t, o, client.WatchParams{})
		run.want(t, "at first", "connected, message 1")
		before, handlesBefore := runtime.NumGoroutine(), handles()
		for i := range 1000 {
			if i%20 == 0 {
				l.deliver(mail(fmt.Sprint(i), ""))
			}
			l.broken <- errLine
			time.Sleep(longest)
		}
		synctest.Wait()
		if after, handlesAfter := runtime.NumGoroutine(), handles(); after != before || handlesAfter != handlesBefore {
			t.Errorf("%d goroutines and %d open files, %d and %d before", after, handlesAfter, before, handlesBefore)
		}
		if l.open != 1 || l.dials != 1001 {
			t.Errorf("%d connections are open, of %d", l.open, l.dials)
		}
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	})
}

// handles is how many files are open, where the system tells.
func handles() int {
	list, _ := os.ReadDir("/proc/self/fd")
	return len(list)
}

// longest is longer than the pause between two attempts.
const longest = 6 * time.Minute

// TestWatchManyArrivals: each of many messages is told once, while more come.
func TestWatchManyArrivals(t *testing.T) {
	l := newLive()
	inBubble(t, l, func(t *testing.T, _ *world, o client.Options) {
		run := watch(t, o, client.WatchParams{})
		run.want(t, "at first", "connected")
		var want []string
		for i := range 1000 {
			l.deliver(mail(fmt.Sprint(i), ""))
			want = append(want, fmt.Sprint("message ", i+1))
			if i%100 == 0 {
				time.Sleep(100 * time.Millisecond)
			}
		}
		run.want(t, "all", strings.Join(want, ", "))
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	})
}
