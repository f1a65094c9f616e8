package main

import (
	"context"
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
	// prompt asks a person for a secret; nil where there is no terminal.
	prompt func(question string) ([]byte, error)
	// outIsTerminal tells whether colour and progress make sense.
	outIsTerminal, errIsTerminal bool
}

func systemEnvironment() environment {
	e := environment{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		getenv: os.Getenv,
		now:    time.Now,
		dial:   (&net.Dialer{}).DialContext,

		outIsTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		errIsTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if term.IsTerminal(int(os.Stdin.Fd())) && e.errIsTerminal {
		e.prompt = func(question string) ([]byte, error) {
			if _, err := io.WriteString(os.Stderr, question); err != nil {
				return nil, err
			}
			secret, err := term.ReadPassword(int(os.Stdin.Fd()))
			_, _ = io.WriteString(os.Stderr, "\n") // the person's own line end was not echoed
			return secret, err
		}
	}
	return e
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
