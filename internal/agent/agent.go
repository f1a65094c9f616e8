package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// Errors of an agent. They arrive wrapped.
var (
	ErrNone        = errors.New("no agent runs")
	ErrOtherRoot   = errors.New("the agent held the key of another root, and has ended")
	ErrForeign     = errors.New("belongs to another user, or is open to others")
	ErrUnavailable = errors.New("an agent is not available on this system")
)

// exchangeTimeout bounds one conversation: both sides are on this machine, and neither has anything to think about.
const exchangeTimeout = 5 * time.Second

// Status is what an agent says of itself.
type Status struct {
	Until time.Time // when it ends
	ID    string    // the root whose key it holds
}

// Get returns the key of the root with this identifier from the agent at a socket. The error wraps [ErrNone] where no
// agent runs, [ErrOtherRoot] where it had another root's key, and [ErrForeign] where the socket is not this user's.
func Get(ctx context.Context, socket, id string) ([]byte, error) {
	var key []byte
	err := converse(ctx, socket, request{verbGet, id}, func(conn net.Conn, r reply) error {
		switch r.word {
		case wordKey:
			key = make([]byte, KeySize)
			_, err := io.ReadFull(conn, key)
			return err
		case wordOther:
			return ErrOtherRoot
		}
		return errProtocol
	})
	if err != nil {
		clear(key)
		return nil, err
	}
	return key, nil
}

// Query asks the agent at a socket for its status. The errors are those of [Get].
func Query(ctx context.Context, socket string) (Status, error) {
	var s Status
	err := converse(ctx, socket, request{verb: verbStatus}, func(_ net.Conn, r reply) error {
		if s = r.status; r.word != wordStatus {
			return errProtocol
		}
		return nil
	})
	return s, err
}

// End ends the agent at a socket, and returns when its key is wiped. The errors are those of [Get].
func End(ctx context.Context, socket string) error {
	return converse(ctx, socket, request{verb: verbEnd}, func(_ net.Conn, r reply) error {
		if r.word != wordEnded {
			return errProtocol
		}
		return nil
	})
}

// converse sends a request and gives the reply, and what may come behind it, to understand.
func converse(ctx context.Context, socket string, r request, understand func(net.Conn, reply) error) error {
	conn, err := dial(ctx, socket)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	err = conn.SetDeadline(time.Now().Add(exchangeTimeout))
	if err == nil {
		_, err = io.WriteString(conn, r.String()+"\n")
	}
	var line string
	if err == nil {
		line, err = readLine(conn)
	}
	var answer reply
	if err == nil {
		answer, err = parseReply(line)
	}
	if err == nil {
		err = understand(conn, answer)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("agent: %w", context.Cause(ctx))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("agent: %w: it ended at this moment, or refuses to answer", ErrNone)
	}
	return fmt.Errorf("agent: %w", err)
}

// dial connects to the agent, if everything about the socket is this user's.
func dial(ctx context.Context, socket string) (*net.UnixConn, error) {
	if !available {
		return nil, ErrUnavailable
	}
	if err := checkSocket(socket); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone // who was killed left the socket
	}
	if err != nil {
		return nil, err
	}
	unix, ok := conn.(*net.UnixConn)
	if ok {
		err = checkPeer(unix)
	}
	if !ok || err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return unix, nil
}

// checkPeer sees to it that the process at the other end is this user's.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var uid int
	var peerErr error
	if err := raw.Control(func(fd uintptr) { uid, peerErr = peerUID(int(fd)) }); err != nil {
		return err
	}
	if peerErr != nil {
		return fmt.Errorf("who is at the other end: %w", peerErr)
	}
	if uid != os.Geteuid() {
		return fmt.Errorf("the process at the other end: %w", ErrForeign)
	}
	return nil
}
