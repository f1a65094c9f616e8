package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/sealmail/sealmail/internal/safeio"
)

// environment is what a command finds around it; tests put other things there.
type environment struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	now      func() time.Time
	disk     safeio.Disk
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	resolver interface {
		LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	}
	// prompt asks a person for a secret, until they interrupt; nil where there is no terminal.
	prompt func(question string, interrupted <-chan struct{}) ([]byte, error)
	// outIsTerminal tells whether colour and progress make sense.
	outIsTerminal, errIsTerminal bool
	// screen tells the size of the terminal that stdout is; nil where it is none.
	screen func() (columns, rows int)
}

func systemEnvironment() environment {
	e := environment{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		getenv: os.Getenv,
		now:    time.Now,
		dial:   (&net.Dialer{}).DialContext,

		resolver: net.DefaultResolver,

		outIsTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		errIsTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if e.outIsTerminal {
		e.screen = func() (columns, rows int) {
			columns, rows, err := term.GetSize(int(os.Stdout.Fd()))
			if err != nil {
				return 0, 0
			}
			return columns, rows
		}
	}
	if term.IsTerminal(int(os.Stdin.Fd())) && e.errIsTerminal {
		e.prompt = promptSecret
	}
	return e
}

// promptSecret asks at the terminal, which does not show the answer.
func promptSecret(question string, interrupted <-chan struct{}) ([]byte, error) {
	in := int(os.Stdin.Fd())
	before, err := term.GetState(in)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(os.Stderr, question); err != nil {
		return nil, err
	}
	secret, err := untilInterrupted(interrupted, func() ([]byte, error) { return term.ReadPassword(in) })
	if errors.Is(err, errInterrupted) {
		_ = term.Restore(in, before) // the read that nobody waits for any more leaves it without echo
	}
	_, _ = io.WriteString(os.Stderr, "\n") // the person's own line end was not echoed
	return secret, err
}

// errInterrupted says that the person interrupted the program instead of giving an answer.
var errInterrupted = errors.New("interrupted")

// untilInterrupted returns what a person answers. Nothing can break off the reading itself: after an interruption it goes on
// to the end of the process.
func untilInterrupted[T any](interrupted <-chan struct{}, read func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	select {
	case <-interrupted:
		return none, errInterrupted
	default:
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := read()
		answers <- answer{value, err}
	}()
	select {
	case <-interrupted:
		return none, errInterrupted
	case a := <-answers:
		return a.value, a.err
	}
}

// interruptible reads until the person interrupts the program: who waits for input that does not come ends as well.
type interruptible struct {
	r           io.Reader
	interrupted <-chan struct{}
	buffer      []byte // nobody else's, as a reading that was given up may still write to it
}

func (i *interruptible) Read(p []byte) (int, error) {
	if i.buffer == nil {
		i.buffer = make([]byte, 32<<10)
	}
	var end error
	text, err := untilInterrupted(i.interrupted, func() ([]byte, error) {
		n, err := i.r.Read(i.buffer[:min(len(p), len(i.buffer))])
		end = err
		return i.buffer[:n], nil
	})
	if err != nil {
		return 0, err // and from now on each time: the channel stays closed
	}
	return copy(p, text), end
}

// sharedWriter is for several goroutines: one may have a warning to say while another prints an error.
type sharedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sharedWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
