package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// maxConversations is how many are held at once; more wait.
	maxConversations = 16
	// clockPoll is how often the time is looked at: a clock that is set, and a machine that slept, end an agent too.
	clockPoll = 15 * time.Second
)

// server holds a key for those who ask.
type server struct {
	id    string
	key   []byte
	until time.Time // by the wall clock
	now   func() time.Time

	end      context.CancelFunc
	mu       sync.Mutex
	farewell []net.Conn // who asked for the end, and is told when it has come
}

// serve answers until the time is over, the context ends or somebody asks for the end. Then the key is wiped.
func (s *server) serve(ctx context.Context, l *listener) error {
	ctx, s.end = context.WithCancel(ctx)
	defer s.end()
	var running sync.WaitGroup
	running.Go(func() { s.watch(ctx, l) })
	places := make(chan struct{}, maxConversations)
	var err error
	for err == nil {
		var conn *net.UnixConn
		if conn, err = l.AcceptUnix(); err != nil {
			break
		}
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			s.answer(ctx, conn)
		})
	}
	if ctx.Err() != nil && errors.Is(err, net.ErrClosed) {
		err = nil
	}
	s.end()
	running.Wait()
	clear(s.key)
	err = errors.Join(err, l.release())
	for _, conn := range s.farewell {
		_, _ = io.WriteString(conn, reply{word: wordEnded}.String()+"\n") // who is gone need not be told
		_ = conn.Close()
	}
	return err
}

// watch ends the agent when its time is over, and closes the socket at the end.
func (s *server) watch(ctx context.Context, l *listener) {
	defer func() { _ = l.Close() }()
	for !s.over() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(s.until.Sub(s.now()), clockPoll)):
		}
	}
	s.end()
}

func (s *server) over() bool { return !s.now().Round(0).Before(s.until) }

// answer holds one conversation.
func (s *server) answer(ctx context.Context, conn *net.UnixConn) {
	keep := false
	defer func() {
		if !keep {
			_ = conn.Close()
		}
	}()
	if conn.SetDeadline(time.Now().Add(exchangeTimeout)) != nil || checkPeer(conn) != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }) // who says nothing is not waited for
	defer stop()
	line, err := readLine(conn)
	if err != nil {
		return
	}
	r, err := parseRequest(line)
	if err != nil {
		return
	}
	if s.over() {
		s.end()
		return
	}
	switch {
	case r.verb == verbEnd:
		keep = true
		s.mu.Lock()
		s.farewell = append(s.farewell, conn)
		s.mu.Unlock()
		s.end()
	case r.verb == verbStatus:
		_, _ = io.WriteString(conn, reply{wordStatus, Status{s.until, s.id}}.String()+"\n") // who is gone asks again
	case r.id != s.id:
		// The vault has another root by now: this key opens nothing any more.
		_, _ = io.WriteString(conn, reply{word: wordOther}.String()+"\n")
		s.end()
	default:
		if _, err := io.WriteString(conn, reply{word: wordKey}.String()+"\n"); err == nil {
			_, _ = conn.Write(s.key)
		}
	}
}
