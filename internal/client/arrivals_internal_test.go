package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
)

// arriving is a store that gives messages as they are asked for. Each third cannot be had, and of each seventh only half. Where
// the number is one of them, the line is lost in the middle of that message.
type arriving struct {
	mailbox.Store
	lost mailbox.UID
}

var errLineLost = errors.New("the line is lost")

func (s arriving) FetchAll(ctx context.Context, _ string, infos []mailbox.Info, to mailbox.Receiver) error {
	for i, info := range infos {
		if err := ctx.Err(); err != nil {
			return err
		}
		var fault error
		if i%3 == 2 {
			fault = mailbox.ErrNotFound
		} else {
			w, err := to.Message(info)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprint(w, "message ", info.UID); err != nil {
				return err
			}
			if info.UID == s.lost {
				return errLineLost
			}
			if i%7 == 6 {
				fault = errors.New("the line broke")
			}
		}
		if err := to.Done(info, fault); err != nil {
			return err
		}
	}
	return nil
}

// arrivalsNoted is an end that notes what it is given.
type arrivalsNoted struct {
	looking func(uid mailbox.UID) error // unless nil, instead of nothing
	taking  func(uid mailbox.UID) error
	keeps   bool // until they are flushed

	taken, flushed []mailbox.UID
	held           []*arrival[string]
	lost           mailbox.UID // where the store breaks off; 0: nowhere
	most           int         // how many were held
}

func (e *arrivalsNoted) look(_ context.Context, a *arrival[string]) error {
	data, err := io.ReadAll(a.octets.Section())
	if a.err != nil {
		data = []byte(a.err.Error())
	}
	a.found = string(data)
	if e.looking != nil && err == nil {
		err = e.looking(a.info.UID)
	}
	return err
}

func (e *arrivalsNoted) take(ctx context.Context, a *arrival[string]) error {
	e.held = append(e.held, a)
	e.most = max(e.most, len(e.held))
	e.taken = append(e.taken, a.info.UID)
	if e.taking != nil {
		if err := e.taking(a.info.UID); err != nil {
			e.drop()
			return err
		}
	}
	if e.keeps {
		return nil
	}
	return e.flush(ctx)
}

func (e *arrivalsNoted) flush(context.Context) error {
	for _, a := range e.held {
		e.flushed = append(e.flushed, a.info.UID)
	}
	e.drop()
	return nil
}

func (e *arrivalsNoted) drop() {
	for _, a := range e.held {
		a.close()
	}
	e.held = nil
}

// arrive has n messages arrive at an end, and sees that nothing is left of them.
func arrive(ctx context.Context, t *testing.T, n int, end *arrivalsNoted) (all []mailbox.UID, err error) {
	t.Helper()
	infos := make([]mailbox.Info, n)
	for i := range infos {
		infos[i] = mailbox.Info{UID: mailbox.UID(i + 1), Size: 10}
		all = append(all, infos[i].UID)
	}
	c := &Client{o: Options{Home: config.HomeAt(t.TempDir())}}
	p := newArrivals(c, arriving{lost: end.lost}, "INBOX", infos, end)
	err = p.run(ctx)
	if p.room.messages != 0 || p.room.octets != 0 {
		t.Errorf("%d messages with %d octets are under way still", p.room.messages, p.room.octets)
	}
	return all, err
}

// TestArrivalsInOrder has the first of several messages be looked at for longest: it is taken first all the same.
func TestArrivalsInOrder(t *testing.T) {
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("needs two that look at messages")
	}
	later := make(chan struct{})
	end := &arrivalsNoted{looking: func(uid mailbox.UID) error {
		if uid == 2 {
			close(later)
		}
		if uid == 1 {
			<-later // another worker has the second
		}
		return nil
	}}
	all, err := arrive(t.Context(), t, 300, end)
	if err != nil || !slices.Equal(end.taken, all) || !slices.Equal(end.flushed, all) {
		t.Errorf("took %v, flushed %v: %v", end.taken, end.flushed, err)
	}
}

// TestArrivalsWait has an end keep all that it takes until it is flushed: there is never more than there is room for, and it comes to
// an end.
func TestArrivalsWait(t *testing.T) {
	end := &arrivalsNoted{keeps: true}
	all, err := arrive(t.Context(), t, 2*maxUnderWay+1, end)
	if err != nil || !slices.Equal(end.flushed, all) {
		t.Errorf("%d of %d were flushed: %v", len(end.flushed), len(all), err)
	}
	if end.most > maxUnderWay {
		t.Errorf("%d messages were under way at once; there is room for %d", end.most, maxUnderWay)
	}
}

// TestArrivalsFail ends arrivals in every way: what came before the error is kept, what came after is not taken, and nothing is left.
func TestArrivalsFail(t *testing.T) {
	const bad = 100
	broken := errors.New("broken")
	fault := func(uid mailbox.UID) error {
		if uid == bad {
			return broken
		}
		return nil
	}
	t.Run("look", func(t *testing.T) {
		end := &arrivalsNoted{looking: fault, keeps: true}
		all, err := arrive(t.Context(), t, 3*maxUnderWay, end)
		if want := all[:bad-1]; !errors.Is(err, broken) || !slices.Equal(end.taken, want) || !slices.Equal(end.flushed, want) {
			t.Errorf("took %d, flushed %d: %v", len(end.taken), len(end.flushed), err)
		}
	})
	t.Run("take", func(t *testing.T) {
		end := &arrivalsNoted{taking: fault}
		all, err := arrive(t.Context(), t, 3*maxUnderWay, end)
		if !errors.Is(err, broken) || !slices.Equal(end.taken, all[:bad]) || !slices.Equal(end.flushed, all[:bad-1]) {
			t.Errorf("took %d, flushed %d: %v", len(end.taken), len(end.flushed), err)
		}
	})
	t.Run("interruption", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		end := &arrivalsNoted{keeps: true}
		end.taking = func(uid mailbox.UID) error {
			if uid == bad {
				cancel()
			}
			return nil
		}
		all, err := arrive(ctx, t, 3*maxUnderWay, end)
		if !errors.Is(err, context.Canceled) || len(end.taken) < bad || !slices.Equal(end.taken, all[:len(end.taken)]) || !slices.Equal(end.flushed, end.taken) {
			t.Errorf("took %d, flushed %d: %v", len(end.taken), len(end.flushed), err)
		}
	})
}

// TestArrivalsLost loses the line in the middle of a message: what came before is kept.
func TestArrivalsLost(t *testing.T) {
	end := &arrivalsNoted{keeps: true, lost: 101}
	all, err := arrive(t.Context(), t, 3*maxUnderWay, end)
	if want := all[:100]; !errors.Is(err, errLineLost) || !slices.Equal(end.flushed, want) {
		t.Errorf("flushed %v: %v", end.flushed, err)
	}
}

// TestArrivalsFound tells what the end finds of messages that arrived whole, in half and not at all.
func TestArrivalsFound(t *testing.T) {
	var found []string
	end := &arrivalsNoted{}
	end.taking = func(mailbox.UID) error { found = append(found, end.held[0].found); return nil }
	_, err := arrive(t.Context(), t, 8, end)
	gone := mailbox.ErrNotFound.Error()
	want := []string{"message 1", "message 2", gone, "message 4", "message 5", gone, "the line broke", "message 8"}
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("found %q: %v", found, err)
	}
}
