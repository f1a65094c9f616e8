package client

import (
	"errors"
	"fmt"
)

// Kind sorts what can go wrong by what a script has to know about it.
type Kind int

// The kinds, in the order of the exit codes 3, 2 and 1.
const (
	Failed Kind = iota // could not be done: network, server, file, locked vault, no usable certificate
	Usage              // wrong usage or configuration; nothing was attempted
	No                 // it was checked, and the answer is no
)

// Error is an error for a person: what failed, why, and what to do about it.
type Error struct {
	Kind Kind
	What string // the thing that failed, for example "send" or a file's name
	Err  error  // why
	Hint string // what to do; may be empty
}

func (e *Error) Error() string {
	if e.What == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%s: %v", e.What, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

func failed(what string, err error, hint string) error {
	return &Error{Kind: Failed, What: what, Err: err, Hint: hint}
}

func usage(what string, err error, hint string) error {
	return &Error{Kind: Usage, What: what, Err: err, Hint: hint}
}

// KindOf returns the kind of err; errors that carry none could not be done.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Failed
}
