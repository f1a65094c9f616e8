package client

import (
	"sync"

	"github.com/sealmail/sealmail/mailbox"
)

// room bounds what is under way.
type room struct {
	mu       sync.Mutex
	free     *sync.Cond
	messages int
	octets   int64
	closed   bool
}

func newRoom() *room {
	r := &room{}
	r.free = sync.NewCond(&r.mu)
	return r
}

// take waits until there is room for one more; it is false when there will never be.
func (r *room) take(octets int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.closed && r.messages > 0 && (r.messages >= maxUnderWay || r.octets+octets > maxUnderWayOctets) {
		r.free.Wait()
	}
	if r.closed {
		return false
	}
	r.messages++
	r.octets += octets
	return true
}

func (r *room) give(octets int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages--
	r.octets -= octets
	r.free.Signal()
}

func (r *room) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.free.Broadcast()
}

// weight is what a message takes of the room.
func weight(i mailbox.Info) int64 { return min(max(i.Size, 1<<10), spoolMemory) }
