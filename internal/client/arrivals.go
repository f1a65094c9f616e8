package client

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/smime/spool"
)

// Bounds on what is under way between a store and where messages are kept, so that memory does not grow with the mailbox. There
// is room for more than one batch: while one is brought to the disk, the next arrives and is judged.
const (
	maxUnderWay       = 512             // messages
	maxUnderWayOctets = 64 << 20        // octets in memory
	spoolMemory       = 1 << 20         // of one message; the rest is in a file
	flushTime         = time.Second / 4 // how long what was taken may wait to be kept
)

// arrivals takes messages from a store to where they are kept: one goroutine receives, several look at them, and one takes them,
// in the order in which they arrived. T is what is found out about a message on the way.
type arrivals[T any] struct {
	store  mailbox.Store
	folder string
	infos  []mailbox.Info
	spool  spool.Options
	end    arrivalsEnd[T]

	room    *room
	jobs    chan *arrival[T]
	looked  chan *arrival[T]
	current *arrival[T] // that is being received
	next    int         // number of the next arrival
}

// arrivalsEnd is where messages go.
type arrivalsEnd[T any] interface {
	// look finds out about a message, and leaves it in found. Several are looked at at once. An error ends all, in its turn: what
	// arrived before is taken and flushed.
	look(ctx context.Context, a *arrival[T]) error
	// take takes one message after the other. It is the end's to close now. What waits for a flush keeps others from
	// arriving: it must stay well below the bounds of what is under way. An error ends all.
	take(ctx context.Context, a *arrival[T]) error
	// flush keeps what was taken, and closes it. It is called from time to time, and when there is nothing more to take, but for
	// after an error of take and of its own.
	flush(ctx context.Context) error
}

// arrival is a message on its way.
type arrival[T any] struct {
	info   mailbox.Info
	octets *spool.Spool
	err    error // why it did not arrive
	found  T

	number int
	fatal  error // of looking at it
	room   *room
}

// close gives up the octets of a message and what was found, if that is to be closed, and its place to another.
func (a *arrival[T]) close() {
	_ = a.octets.Close()
	if found, ok := any(&a.found).(interface{ close() }); ok {
		found.close()
	}
	a.room.give(weight(a.info))
}

// newArrivals are those of these messages of a folder.
func newArrivals[T any](c *Client, store mailbox.Store, folder string, infos []mailbox.Info, end arrivalsEnd[T]) *arrivals[T] {
	o := c.spoolOptions()
	o.Memory = spoolMemory
	return &arrivals[T]{
		store: store, folder: folder, infos: infos, spool: o, end: end,
		room: newRoom(), jobs: make(chan *arrival[T], maxUnderWay), looked: make(chan *arrival[T], maxUnderWay),
	}
}

var errFetchEnds = errors.New("fetching ends")

// run takes all of them. When it returns nothing goes on, and every message was closed, but for those that take took. The error
// is that of the end, or else the store's, or that of the context.
func (p *arrivals[T]) run(ctx context.Context) error {
	inner, stop := context.WithCancel(ctx)
	defer stop()
	// A receiver that waits for room is woken when all ends.
	defer context.AfterFunc(inner, p.room.close)()

	received := make(chan error, 1)
	go func() {
		defer close(p.jobs)
		received <- p.store.FetchAll(inner, p.folder, p.infos, p)
	}()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for a := range p.jobs {
				a.fatal = p.end.look(inner, a)
				p.looked <- a
			}
		})
	}
	go func() {
		workers.Wait()
		close(p.looked)
	}()
	err := p.takeAll(ctx, stop)
	fetchErr := <-received
	if p.current != nil {
		p.current.close() // half of a message
	}
	switch {
	case err != nil:
		return err
	case errors.Is(fetchErr, errFetchEnds): // as nothing here failed, it was interrupted
		return ctx.Err()
	}
	return explainServer(fetchErr)
}

// Message is for mailbox.Receiver.
func (p *arrivals[T]) Message(info mailbox.Info) (io.Writer, error) {
	if !p.room.take(weight(info)) {
		return nil, errFetchEnds
	}
	p.current = p.arrival(info)
	return p.current.octets, nil
}

func (p *arrivals[T]) arrival(info mailbox.Info) *arrival[T] {
	return &arrival[T]{info: info, octets: spool.New(p.spool), room: p.room}
}

// Done is for mailbox.Receiver.
func (p *arrivals[T]) Done(info mailbox.Info, err error) error {
	a := p.current
	p.current = nil
	if a == nil { // it could not even be begun
		if !p.room.take(weight(info)) {
			return errFetchEnds
		}
		a = p.arrival(info)
	}
	a.number, a.err = p.next, err
	p.next++
	p.jobs <- a // which has room for all that are under way
	return nil
}

// takeAll has what was looked at be taken, in the order in which it arrived. After an error it calls stop, and what is still
// under way is given up.
func (p *arrivals[T]) takeAll(ctx context.Context, stop func()) error {
	waiting := map[int]*arrival[T]{} // looked at before its turn
	defer func() {
		stop()
		p.room.close()
		for a := range p.looked {
			a.close()
		}
		for _, a := range waiting {
			a.close()
		}
	}()
	ticker := time.NewTicker(flushTime)
	defer ticker.Stop()
	for turn := 0; ; {
		select {
		case <-ticker.C:
			if err := p.end.flush(ctx); err != nil {
				return err
			}
		case a, ok := <-p.looked:
			if !ok {
				return p.end.flush(ctx)
			}
			waiting[a.number] = a
			for ; waiting[turn] != nil; turn++ {
				a := waiting[turn]
				if a.fatal != nil { // and given up with what waits
					return errors.Join(a.fatal, p.end.flush(ctx))
				}
				delete(waiting, turn)
				if err := p.end.take(ctx, a); err != nil {
					return err
				}
			}
		}
	}
}
