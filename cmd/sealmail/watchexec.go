package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync/atomic"
	"time"

	"github.com/sealmail/sealmail/internal/term"
)

const (
	// maxWaiting is how many events wait for the command of --exec; then watching waits for it.
	maxWaiting = 256
	// execFarewell is how long, at the end, events that were told already are given to the command.
	execFarewell = 10 * time.Second
	// execPipes is how long what a command has started may hold its output open after it.
	execPipes = time.Second
)

// runner gives events to a command, one at a time and in order.
type runner struct {
	command string
	timeout time.Duration
	output  io.Writer
	failed  func(event any, reason string) error

	events chan any
	last   context.CancelFunc // ends the command, and gives it no event any more
	ended  chan struct{}      // closed when no event is given to it any more
	left   atomic.Int64       // that were not
	err    error              // of failed
}

// startRunner starts it; the caller ends it. After the context has ended, or end was called, what waits is done in bounded time.
func startRunner(ctx context.Context, command string, timeout time.Duration, output io.Writer, failed func(any, string) error) *runner {
	r := &runner{command: command, timeout: timeout, output: output, failed: failed, events: make(chan any, maxWaiting), ended: make(chan struct{})}
	last, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.last = stop
	farewell := context.AfterFunc(ctx, func() { time.AfterFunc(execFarewell, stop) })
	go func() {
		defer close(r.ended)
		defer stop()
		defer farewell()
		for event := range r.events {
			if last.Err() != nil || r.err != nil {
				r.left.Add(1)
				continue
			}
			if err := r.one(last, event); err != nil {
				r.err = r.failed(event, err.Error())
			}
		}
	}()
	return r
}

// run has the command get an event; it waits where too many are waiting.
func (r *runner) run(ctx context.Context, event any) error {
	select {
	case r.events <- event:
		return nil
	default:
	}
	select {
	case r.events <- event:
	case <-ctx.Done():
		r.left.Add(1)
	}
	return nil
}

// end waits for the command, for so long at most, and returns how many events it was not given.
func (r *runner) end() (left int, err error) {
	close(r.events)
	defer time.AfterFunc(execFarewell, r.last).Stop() // watching ends by itself, too
	<-r.ended
	return int(r.left.Load()), r.err
}

// one runs the command for one event. Nothing of the event is in its arguments or in its environment.
func (r *runner) one(ctx context.Context, event any) error {
	line, err := term.JSON(event)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", r.command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(line, '\n')), r.output, r.output
	cmd.WaitDelay = execPipes
	ownGroup(cmd)
	err = cmd.Run()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended well, and left something running
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("it took longer than %s", r.timeout)
	case ctx.Err() != nil:
		return errors.New("it was ended with the program")
	}
	return err
}
