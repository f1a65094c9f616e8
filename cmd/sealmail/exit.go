package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/internal/term"
)

// The exit codes are a contract with scripts.
const (
	exitGood   = 0 // done, and all that was checked is good
	exitNo     = 1 // checked, and the answer is no
	exitUsage  = 2 // wrong usage or configuration; nothing was attempted
	exitFailed = 3 // could not be done
)

const exitCodesHelp = `Exit codes: 0 done, and all that was checked is good; 1 checked, and the answer is no;
2 wrong usage or configuration, nothing was attempted; 3 could not be done.`

// errAnswerIsNo ends a command whose output has said already what the answer is.
var errAnswerIsNo = errors.New("the answer is no")

// usageError is a mistake in the words of the command line.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(hint, format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...), hint: hint}
}

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	var (
		usage  *usageError
		broken *config.Error
		known  *client.Error
		system *sysexit
	)
	switch {
	case err == nil:
		return exitGood
	case errors.As(err, &system):
		return system.code
	case errors.Is(err, errInterrupted):
		return exitFailed
	case errors.Is(err, errAnswerIsNo):
		return exitNo
	case errors.As(err, &known): // first: a locked vault is a failure, whatever is wrong with the words that would open it
		switch known.Kind {
		case client.No:
			return exitNo
		case client.Usage:
			return exitUsage
		}
	case errors.As(err, &usage), errors.As(err, &broken), errors.Is(err, config.ErrNoAccount):
		return exitUsage
	}
	return exitFailed
}

// printError says what failed and why in one line, and in a second one what to do.
func printError(w io.Writer, err error, color bool) {
	if err == nil || errors.Is(err, errAnswerIsNo) {
		return
	}
	hint := ""
	var (
		usage  *usageError
		broken *config.Error
		known  *client.Error
	)
	switch {
	case errors.Is(err, errInterrupted): // whatever the answer was for
		err = errInterrupted
	case errors.Is(err, context.Canceled):
		hint, err = explainInterruption(err)
	case errors.As(err, &known) && known.Hint != "":
		hint = known.Hint
	case errors.As(err, &usage):
		hint = usage.hint
	case errors.As(err, &broken):
		hint = broken.Hint
	case errors.Is(err, config.ErrNoAccount):
		hint = "set one up with `sealmail init ADDRESS`, or name one with --account"
	case errors.Is(err, context.DeadlineExceeded):
		hint = "allow more time with --timeout"
	}
	lines := []string{"sealmail: " + oneLine(err.Error())}
	if hint != "" {
		lines = append(lines, "hint: "+oneLine(hint))
	}
	for _, line := range lines {
		if color {
			line = term.PaintNotice(line)
		}
		fmt.Fprintln(w, line)
	}
}

// explainInterruption says what was interrupted. What to do about a server is of no help then; what lies in the outbox is there, and
// what was written is kept.
func explainInterruption(err error) (hint string, said error) {
	var known *client.Error
	if !errors.As(err, &known) {
		return "", errInterrupted
	}
	said = errInterrupted
	if known.What != "" {
		said = fmt.Errorf("%s: %w", known.What, errInterrupted)
	}
	if strings.Contains(known.Hint, "`sealmail outbox") || strings.Contains(known.Hint, "`sealmail send --draft") {
		hint = known.Hint
	}
	return hint, said
}

// oneLine keeps what servers and files put into an error from moving the cursor or adding lines.
func oneLine(s string) string {
	return term.Line(strings.Join(strings.Fields(s), " "))
}
