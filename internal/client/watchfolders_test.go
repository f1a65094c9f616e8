package client_test

import (
	"context"
	"errors"
	"io"
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

// yard is a server with several folders, which come and go.
type yard struct {
	mu      sync.Mutex
	folders map[string]*folder
	marked  map[string]string        // the folder that the server marks, by attribute
	news    map[string]chan struct{} // by folder
}

// yardStore is one connection.
type yardStore struct {
	mailbox.Store
	*yard
}

func newYard(names ...string) *yard {
	y := &yard{folders: map[string]*folder{}, marked: map[string]string{}, news: map[string]chan struct{}{}}
	for _, name := range names {
		y.folders[name] = &folder{validity: 1}
	}
	return y
}

// change changes a folder, and tells who watches it; a folder without messages and numbering is gone.
func (y *yard) change(name string, to folder) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.folders[name] = &to; to.validity == 0 {
		delete(y.folders, name)
	}
	y.told(name) <- struct{}{}
}

// told is where it is told of a folder.
func (y *yard) told(name string) chan struct{} {
	if y.news[name] == nil {
		y.news[name] = make(chan struct{}, 10)
	}
	return y.news[name]
}

func (y *yard) in(name string) (*folder, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if f := y.folders[name]; f != nil {
		return f, nil
	}
	return nil, mailbox.ErrNoFolder
}

func (y *yardStore) Folders(context.Context) (list []mailbox.Folder, err error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for name := range y.folders {
		f := mailbox.Folder{Name: name}
		for attribute, marked := range y.marked {
			if marked == name {
				f.Attributes = append(f.Attributes, attribute)
			}
		}
		list = append(list, f)
	}
	return list, nil
}

func (y *yardStore) Status(ctx context.Context, name string) (mailbox.Status, error) {
	f, err := y.in(name)
	if err != nil {
		return mailbox.Status{}, err
	}
	return f.Status(ctx, name)
}

func (y *yardStore) List(ctx context.Context, name string, first mailbox.UID) ([]mailbox.Info, error) {
	f, err := y.in(name)
	if err != nil {
		return nil, err
	}
	return f.List(ctx, name, first)
}

func (y *yardStore) UIDs(ctx context.Context, name string) ([]mailbox.UID, error) {
	f, err := y.in(name)
	if err != nil {
		return nil, err
	}
	return f.UIDs(ctx, name)
}

func (y *yardStore) Flags(ctx context.Context, name string, _ uint64) ([]mailbox.Info, error) {
	return y.List(ctx, name, 1)
}

func (y *yardStore) FetchAll(ctx context.Context, name string, infos []mailbox.Info, to mailbox.Receiver) error {
	f, err := y.in(name)
	if err != nil {
		return err
	}
	return f.FetchAll(ctx, name, infos, to)
}

func (y *yardStore) Wait(ctx context.Context, name string, longest time.Duration) error {
	y.mu.Lock()
	told := y.told(name)
	y.mu.Unlock()
	select {
	case <-told:
		return nil
	case <-time.After(longest):
		return nil
	case <-ctx.Done():
		return &mailbox.ConnectError{Step: "wait", Reason: mailbox.ReasonCancelled, Err: ctx.Err()}
	}
}

func (*yardStore) Close() error { return nil }

// TestWatchFolders: several folders, some by what they are for, do not disturb each other, also where one goes and comes again.
func TestWatchFolders(t *testing.T) {
	w := newWorld(t)
	y := newYard("INBOX", "Sent Items", "Bin", "Archive", "Junk", "Projects")
	y.marked[`\Sent`] = "Sent Items"
	o := w.account("bob", &yardStore{yard: y})
	config := w.read("home/config.toml")
	if changed := strings.Replace(config, "[account.bob]\n", "[account.bob]\ntrash = \"Bin\"\n", 1); changed != config {
		w.write("home/config.toml", changed)
	} else {
		t.Fatal(config)
	}
	synctest.Test(t, func(t *testing.T) {
		o := o
		o.DialStore = func(context.Context, mailbox.Options) (mailbox.Store, error) { return &yardStore{yard: y}, nil }
		run := watch(t, o, client.WatchParams{Folders: []string{"inbox", "sent", "TRASH", "archive", "Projects", "INBOX"}})
		want := func(about, want string) {
			t.Helper()
			time.Sleep(time.Second)
			words := strings.Split(run.told(), ", ")
			slices.Sort(words) // which folder comes first does not matter
			if got := strings.Join(words, ", "); got != want {
				t.Errorf("%s: told %q, want %q", about, got, want)
			}
		}
		want("at first", "connected, connected Archive, connected Bin, connected Projects, connected Sent Items")
		for _, name := range []string{"INBOX", "Sent Items", "Bin", "Archive"} {
			y.change(name, folder{validity: 1, messages: []string{mail(name, "")}})
		}
		want("each its news", "message 1, message Archive 1, message Bin 1, message Sent Items 1")
		y.change("Projects", folder{})
		want("one is gone", "disconnected Projects")
		y.change("INBOX", folder{validity: 1, messages: []string{mail("one", ""), mail("two", "")}})
		y.change("Sent Items", folder{validity: 1, messages: []string{mail("one", ""), mail("two", "")}})
		want("the others go on", "message 2, message Sent Items 2")
		time.Sleep(time.Hour)
		want("it stays away", "")
		y.change("Projects", folder{validity: 2, messages: []string{mail("new", "")}})
		time.Sleep(longest)
		want("it is there again, another one", "connected Projects, message Projects 1")
		y.change("Archive", folder{})
		y.change("Archive of old", folder{validity: 1, messages: []string{mail("Archive", "")}})
		time.Sleep(longest)
		want("one is renamed", "disconnected Archive")
		y.change("INBOX", folder{validity: 1, messages: []string{mail("one", ""), mail("two", ""), mail("three", "")}})
		want("the others go on", "message 3")
		if err := run.stop(); err != nil {
			t.Error(err)
		}
	})
	for name, folders := range map[string][]string{"a name": {"Nowhere"}, "a word": {"INBOX", "drafts"}} {
		synctest.Test(t, func(t *testing.T) {
			y.news = map[string]chan struct{}{}
			o := o
			o.DialStore = func(context.Context, mailbox.Options) (mailbox.Store, error) { return &yardStore{yard: y}, nil }
			run := watch(t, o, client.WatchParams{Folders: folders})
			time.Sleep(time.Hour)
			if err := run.stop(); !errors.Is(err, mailbox.ErrNoFolder) {
				t.Errorf("%s that means no folder: %v", name, err)
			}
		})
	}
}

// TestWatchOutbox: a message that waits in the outbox is sent when its time comes, once, while nothing else happens. The machine
// sleeps while it is sent, which is noticed then.
func TestWatchOutbox(t *testing.T) {
	w := newWorld(t)
	o, out := w.sender(w.stamps(now), 0)
	working := o.DialSubmitter
	o.DialSubmitter = func(context.Context, mailbox.Options) (mailbox.Submitter, error) {
		return nil, &mailbox.ConnectError{Step: "connect", Reason: mailbox.ReasonUnreachable, Err: errors.New("no route")}
	}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := client.SendParams{Letter: client.Letter{To: []string{"to@example.org"}, Body: []byte("hello\n")}, SendOptions: client.SendOptions{NoEncrypt: true}}
	_, _ = c.Send(t.Context(), p)
	waiting, err := c.OutboxList(t.Context())
	if err != nil || len(waiting) != 1 || waiting[0].NextAttempt == nil {
		t.Fatalf("the outbox has %+v, %v", waiting, err)
	}
	due := waiting[0].NextAttempt.Sub(now())
	l := newLive()
	synctest.Test(t, func(t *testing.T) {
		l.news, l.broken = make(chan struct{}, 1), make(chan error)
		o := o
		began := time.Now().Add(10 * time.Minute) // so long before its time
		var submitted atomic.Int32
		var slept atomic.Int64
		o.Now = func() time.Time { return now().Add(due + time.Since(began) + time.Duration(slept.Load())) }
		o.DialSubmitter = func(ctx context.Context, m mailbox.Options) (mailbox.Submitter, error) {
			slept.Store(int64(time.Hour))
			s, err := working(ctx, m)
			return counted{s, &submitted}, err
		}
		o.DialStore = func(ctx context.Context, m mailbox.Options) (mailbox.Store, error) {
			s, err := l.dial(ctx, m)
			return appending{s, out}, err
		}
		run := watch(t, o, client.WatchParams{})
		time.Sleep(9 * time.Minute)
		run.want(t, "before its time", "connected")
		if submitted.Load() > 0 {
			t.Error("it was sent before its time")
		}
		time.Sleep(2 * time.Minute)
		run.want(t, "its time", "disconnected, connected")
		if submitted.Load() != 1 {
			t.Errorf("sent %d times", submitted.Load())
		}
		time.Sleep(24 * time.Hour)
		run.want(t, "afterwards", "")
		if err := run.stop(); err != nil || submitted.Load() != 1 {
			t.Errorf("sent %d times; %v", submitted.Load(), err)
		}
	})
}

// counted counts what is submitted.
type counted struct {
	mailbox.Submitter
	n *atomic.Int32
}

func (c counted) Submit(ctx context.Context, e mailbox.Envelope, size int64, message io.Reader, commit func() error) error {
	c.n.Add(1)
	return c.Submitter.Submit(ctx, e, size, message, commit)
}

// appending is a store that takes the sender's copies too.
type appending struct {
	mailbox.Store
	to *sent
}

func (a appending) Folders(ctx context.Context) ([]mailbox.Folder, error) { return a.to.Folders(ctx) }
func (a appending) Find(context.Context, string, string) ([]mailbox.UID, error) {
	return nil, nil
}
func (a appending) Append(ctx context.Context, folder string, m mailbox.NewMessage) (mailbox.UID, error) {
	return a.to.Append(ctx, folder, m)
}

// TestWatchToken: each log-in has a token of its own, and tokens that are refused end it.
func TestWatchToken(t *testing.T) {
	refused := &mailbox.AuthError{User: "bob", Text: "invalid_token"}
	for name, test := range map[string]struct {
		good   int // log-ins
		tokens string
	}{
		"refused at once": {0, "token-1"},
		"refused later":   {3, "token-1 token-2 token-3 token-4 token-5 token-6"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			o := w.options()
			o.Unprotected, o.DialStore = true, func(context.Context, mailbox.Options) (mailbox.Store, error) { return closer{}, nil }
			c, err := client.New(o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Init(t.Context(), client.InitParams{Name: "bob", Address: "bob@example.org", NoCheck: true, IMAP: "imaps://imap.example.org", SMTP: "submissions://smtp.example.org",
				OAuthTokenCommand: strings.ReplaceAll("echo x >>RUNS; echo token-$(grep -c x RUNS)", "RUNS", w.in("runs"))})
			c.Close()
			if err != nil {
				t.Fatal(err)
			}
			var tokens []string
			l := newLive()
			synctest.Test(t, func(t *testing.T) {
				l.news, l.broken = make(chan struct{}, 1), make(chan error)
				o := o
				o.DialStore = func(ctx context.Context, m mailbox.Options) (mailbox.Store, error) {
					token, err := m.Credentials.Token(ctx)
					if err != nil {
						return nil, err
					}
					if tokens = append(tokens, string(token)); len(tokens) > test.good {
						return nil, refused
					}
					return l.dial(ctx, m)
				}
				run := watch(t, o, client.WatchParams{})
				for n := range test.good {
					run.want(t, "a token that is good", []string{"connected", "disconnected, connected"}[min(n, 1)])
					l.broken <- errLine
					time.Sleep(longest)
				}
				time.Sleep(time.Hour)
				var known *client.Error
				if err := run.stop(); !errors.Is(err, refused) || !errors.As(err, &known) || !strings.Contains(known.Hint, "oauth_token_command") {
					t.Errorf("the end: %v", err)
				}
			})
			if got := strings.Join(tokens, " "); got != test.tokens {
				t.Errorf("tokens %q, want %q", got, test.tokens)
			}
		})
	}
}
