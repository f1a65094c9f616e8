package revocation

import (
	"sync"
	"time"
)

// Bounds on what a Checker remembers.
const (
	maxHeld      = 4096      // lists and responses
	maxHeldBytes = 256 << 20 // of their octets
	maxFailures  = 4096
	retryAfter   = 10 * time.Minute // a server that did not answer is not asked before
)

// held is a list or a response that was fetched.
type held struct {
	response *Response
	list     *CRL
}

func (h held) size() int {
	if h.list != nil {
		return len(h.list.Raw)
	}
	return len(h.response.Raw)
}

// memory is what a Checker remembers. The zero value is ready for use.
type memory struct {
	mu       sync.Mutex
	held     map[string]held
	size     int
	failures map[string]failure
}

type failure struct {
	why string
	at  time.Time
}

func (m *memory) get(key string) (held, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.held[key]
	return h, ok
}

// put remembers h. Where there is no room, others are forgotten, whichever: they can be had again.
func (m *memory) put(key string, h held) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		m.held = map[string]held{}
	}
	if old, ok := m.held[key]; ok {
		m.size -= old.size()
	}
	m.held[key] = h
	m.size += h.size()
	for other, old := range m.held {
		if m.size <= maxHeldBytes && len(m.held) <= maxHeld {
			break
		}
		if other != key {
			m.size -= old.size()
			delete(m.held, other)
		}
	}
}

// fail remembers that a server, or its answer to one question, was of no use.
func (m *memory) fail(name, why string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failures == nil || len(m.failures) >= maxFailures {
		m.failures = map[string]failure{}
	}
	m.failures[name] = failure{why, now}
}

// failed reports whether that was so a short time ago.
func (m *memory) failed(name string, now time.Time) (why string, failed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.failures[name]
	if !ok || now.Sub(f.at).Abs() >= retryAfter {
		return "", false
	}
	return f.why + " (asked before)", true
}

// keptResponse returns the response that was kept under a key, or nil.
func (c *Checker) keptResponse(key string) *Response {
	return c.kept(key, func(der []byte) (h held, err error) {
		h.response, err = ParseResponse(der)
		return h, err
	}).response
}

// keptList returns the list that was fetched from an address before, or nil.
func (c *Checker) keptList(address string) *CRL {
	return c.kept(listKey(address), func(der []byte) (h held, err error) {
		h.list, err = ParseCRL(der)
		return h, err
	}).list
}

// kept looks in the memory, then in the cache. What is there is judged as if it came from anywhere: whoever can write to
// the cache can make it forget, and no more.
func (c *Checker) kept(key string, parse func([]byte) (held, error)) held {
	if h, ok := c.memory.get(key); ok {
		return h
	}
	if c.Cache == nil {
		return held{}
	}
	h, err := parse(c.Cache.load(key))
	if err != nil {
		return held{}
	}
	c.memory.put(key, h)
	return h
}

// keep remembers what was fetched and judged, also in the cache.
func (r *run) keep(key string, h held, der []byte, until time.Time) {
	r.memory.put(key, h)
	if r.Cache == nil {
		return
	}
	if err := r.Cache.store(key, der, until, r.now); err != nil && r.unkept == nil {
		r.unkept = err
	}
}
