package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// Task is what an agent is to do.
type Task struct {
	Socket string    `json:"socket"` // its absolute path
	ID     string    `json:"id"`     // names the key: lower-case hexadecimal, 64 digits at most
	Until  time.Time `json:"until"`
}

const (
	maxTask    = 64 << 10 // octets
	maxFailure = 1 << 10  // octets

	wordReady = "ready\n"
)

// Start runs command, which must come to [Run], in a process of its own that outlives this one, hands it the task and the
// key of [KeySize] octets, and returns when it answers. The context bounds the wait.
func Start(ctx context.Context, command []string, t Task, key []byte) error {
	if !available {
		return ErrUnavailable
	}
	if len(command) == 0 || len(key) != KeySize {
		return errors.New("agent: without a program or a key there is nothing to start")
	}
	task, err := json.Marshal(t)
	if err != nil {
		return err
	}
	cmd := exec.Command(command[0], command[1:]...) // not ended by the context: only the wait is
	cmd.Dir = "/"                                   // it keeps no folder from being unmounted
	cmd.SysProcAttr = detached()
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	_, err = in.Write(key)
	if err == nil {
		_, err = in.Write(task)
	}
	err = errors.Join(err, in.Close())
	// It closes its output once it has said that it is ready, or why it is not.
	said, readErr := io.ReadAll(io.LimitReader(out, maxFailure))
	if stop() && err == nil && readErr == nil && string(said) == wordReady {
		return cmd.Process.Release()
	}
	_ = cmd.Process.Kill()
	waitErr := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("agent: %w", ctx.Err())
	case len(said) > 0:
		return fmt.Errorf("agent: %s", strings.Join(strings.Fields(string(said)), " "))
	}
	return fmt.Errorf("agent: it ended: %w", errors.Join(waitErr, err, readErr))
}

// Run is the agent's own process: it reads the key and the task from in, tells out that it is ready, closes out, and
// answers until the task's time, or the context, ends. An error is told to out as well.
func Run(ctx context.Context, in io.Reader, out io.WriteCloser, now func() time.Time) error {
	s, l, err := prepare(ctx, in, now)
	if err != nil {
		_, _ = io.WriteString(out, err.Error()) // who started it may be gone
		return errors.Join(err, out.Close())
	}
	defer clear(s.key)
	if _, err := io.WriteString(out, wordReady); err != nil {
		return errors.Join(err, l.Close(), l.release()) // nobody knows of it
	}
	return errors.Join(out.Close(), s.serve(ctx, l))
}

func prepare(ctx context.Context, in io.Reader, now func() time.Time) (*server, *listener, error) {
	if !available {
		return nil, nil, ErrUnavailable
	}
	if err := harden(); err != nil {
		return nil, nil, err
	}
	key, err := secretMemory(KeySize)
	if err != nil {
		return nil, nil, err
	}
	fail := func(err error) (*server, *listener, error) {
		clear(key)
		return nil, nil, err
	}
	// Straight from the pipe into the memory where it stays.
	if _, err := io.ReadFull(in, key); err != nil {
		return fail(err)
	}
	data, err := io.ReadAll(io.LimitReader(in, maxTask))
	if err != nil {
		return fail(err)
	}
	var t Task
	if err := json.Unmarshal(data, &t); err != nil {
		return fail(err)
	}
	if !validID(t.ID) {
		return fail(errors.New("the key has no name"))
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	l, err := listen(ctx, t.Socket)
	if err != nil {
		return fail(err)
	}
	return &server{id: t.ID, key: key, until: t.Until.Round(0), now: now}, l, nil
}
