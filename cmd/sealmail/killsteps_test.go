package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/sealmail/sealmail/internal/safeio"
)

// The environment of a program that is to be killed.
const (
	killSteps = "SEALMAIL_TEST_STEPS"   // file that the steps are written to, a line each; without it none are counted
	killAt    = "SEALMAIL_TEST_KILL_AT" // number of the step before which the program kills itself; 0 is none
)

// stepper counts the steps of a program by which the world outside of it changes, or could: each step of the disk, each
// connection, each octet string that goes over one. Before one of them it kills the process.
type stepper struct {
	at  int
	log *os.File

	mu    sync.Mutex
	count int
}

// countSteps makes the program of this environment count its steps, if the tests that started it want that.
func countSteps(e environment) (environment, error) {
	path := os.Getenv(killSteps)
	if path == "" {
		return e, nil
	}
	at, err := strconv.Atoi(os.Getenv(killAt))
	if err != nil {
		return e, err
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return e, err
	}
	s := &stepper{at: at, log: log}
	dial := e.dial
	e.disk = safeio.Disk{Before: func(op, path string) error { return s.step(op, path) }}
	e.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if err := s.step("dial", address); err != nil {
			return nil, err
		}
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &steppedConn{Conn: c, stepper: s, address: address}, nil
	}
	return e, nil
}

// step writes down what is about to happen. Where the process is to end here, it does not return.
func (s *stepper) step(what, where string) error {
	s.mu.Lock() // and not unlocked by who dies: nobody takes a step any more
	s.count++
	if _, err := fmt.Fprintf(s.log, "%s %s\n", what, where); err != nil {
		return err
	}
	if s.count == s.at {
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		if err := self.Kill(); err != nil {
			return err
		}
		select {} // the signal may take an instant to arrive
	}
	s.mu.Unlock()
	return nil
}

// steppedConn is a connection whose use is counted.
type steppedConn struct {
	net.Conn
	stepper *stepper
	address string
}

func (c *steppedConn) Read(p []byte) (int, error) {
	if err := c.stepper.step("read", c.address); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *steppedConn) Write(p []byte) (int, error) {
	if err := c.stepper.step("write", c.address); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *steppedConn) Close() error {
	if err := c.stepper.step("close", c.address); err != nil {
		return err
	}
	return c.Conn.Close()
}
