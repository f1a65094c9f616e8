package client

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"time"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/index"
)

// watched is one folder.
type watched struct {
	*watcher
	name    string
	fetcher *fetcher
	online  bool // the last event was connected
	known   bool // it was connected once
	pauses  int  // in a row
}

// folder watches one folder until the context ends.
func (w *watcher) folder(ctx context.Context, name string) error {
	f := &watched{watcher: w, name: name, fetcher: &fetcher{
		client: w.client, account: w.account, proofs: proofKeeper{client: w.client}, index: w.index, renew: w.judge, shown: w.alertsOf, changed: changedAlert,
		alert: w.alert,
	}}
	f.fetcher.each = func(line ListLine) error {
		w.mu.Lock()
		w.strict.add(line)
		w.mu.Unlock()
		return w.tell(WatchMessage{EventMessage, w.client.o.Now().UTC(), line})
	}
	for {
		awake := w.untilAsleep()
		began := w.client.o.Now()
		err := f.connection(awake)
		if ctx.Err() != nil {
			return nil
		}
		slept := awake.Err() != nil
		if slept {
			err = errWoke
		} else if !f.passes(err) {
			return err
		}
		if err := f.lost(err); err != nil {
			return err
		}
		if w.client.o.Now().Sub(began) > longestPause {
			f.pauses = 0
		}
		if !slept {
			f.pause(w.untilAsleep())
		}
	}
}

// connection makes a connection and watches the folder over it, until something fails.
func (f *watched) connection(ctx context.Context) (err error) {
	var store mailbox.Store
	err = f.inTurn(ctx, func() (err error) {
		if store, err = f.client.dialStore(ctx, f.account); err != nil {
			return dialError{err}
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer store.Close()
	f.fetcher.store = store
	if !f.known {
		if f.name, err = folderAt(ctx, store, f.index, f.account, f.name); err != nil {
			return err
		}
	}
	for first := true; ; first = false {
		looked := time.Now()
		err := f.inTurn(ctx, func() error {
			err := f.fetcher.look(ctx, f.name, f.watching)
			if err == nil && first { // later, a line that is there says nothing of log-ins
				f.refusals.Store(0)
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := store.Wait(ctx, f.name, watchWait); err != nil {
			return explainServer(err)
		}
		rest(ctx, betweenLooks-time.Since(looked))
	}
}

// dialError is that there is no connection, in contrast to that one was lost.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// passes reports whether it makes sense to try again after an error.
func (f *watched) passes(err error) bool {
	if isRefused(err) {
		return f.known && f.refusals.Load() < maxRefusals
	}
	if !f.known {
		return mailbox.Temporary(err)
	}
	var (
		dial   dialError
		lost   *mailbox.ConnectError
		answer *mailbox.ServerError
		auth   *mailbox.AuthError
	)
	return errors.As(err, &dial) || errors.As(err, &lost) || errors.As(err, &answer) || errors.As(err, &auth) ||
		errors.Is(err, mailbox.ErrRenumbered) || errors.Is(err, index.ErrRenumbered) || errors.Is(err, mailbox.ErrNoFolder) ||
		errors.Is(err, index.ErrBusy)
}

// watching tells that the folder is watched, once.
func (f *watched) watching() error {
	if f.online {
		return nil
	}
	if f.known {
		f.client.o.Say("note: " + f.name + " is watched again")
	}
	f.online, f.known = true, true
	err := f.tell(WatchConnection{Event: EventConnected, Time: f.client.o.Now().UTC(), Account: f.account.Name, Folder: f.name})
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.connected++
	f.mu.Unlock()
	select {
	case f.first <- struct{}{}:
	default: // keepHouse looks soon
	}
	return nil
}

// lost tells that the folder is not watched for now, once.
func (f *watched) lost(reason error) error {
	words := f.name + " is not watched for now: " + reason.Error()
	if !f.online {
		if f.pauses == 0 && !f.known {
			f.client.o.Say("note: " + words + "; it is tried again")
		} else {
			f.client.detail("note: " + words)
		}
		return nil
	}
	f.client.o.Say("note: " + words + "; it is tried again")
	f.online = false
	f.mu.Lock()
	f.connected--
	f.mu.Unlock()
	return f.tell(WatchConnection{Event: EventDisconnected, Time: f.client.o.Now().UTC(), Account: f.account.Name, Folder: f.name, Reason: orNull(reason.Error())})
}

// pause waits before the next attempt. Its length is left to chance in part, so that not all who lost the same server come
// back to it at once.
func (f *watched) pause(ctx context.Context) {
	d := longestPause
	if f.pauses < 16 {
		d = min(firstPause<<f.pauses, longestPause)
	}
	f.pauses++
	chance, err := rand.Int(rand.Reader, big.NewInt(int64(d/2)))
	if err != nil {
		chance = new(big.Int)
	}
	rest(ctx, d/2+time.Duration(chance.Int64()))
}

// rest waits for so long, or until the context ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
