package archive

import (
	"context"
	"errors"
	"io"
)

// Storage keeps the objects of an archive, each a sequence of octets under a name with slashes. What a method says to be
// durable is so when it returns.
//
// An archive asks for little, so that a folder can be its storage as well as an object store: objects come whole or not at
// all, those that Create made are never changed, and the few that Replace makes are exchanged only by who has seen what is
// there.
type Storage interface {
	// Create begins an object. Nothing has the name before ObjectWriter.Commit, which fails, with an error that wraps
	// fs.ErrExist, where something has it by then.
	Create(ctx context.Context, name string) (ObjectWriter, error)

	// Open opens an object. The error wraps fs.ErrNotExist where there is none.
	Open(ctx context.Context, name string) (Object, error)

	// Replace puts data in the place of a mutable object, if what is there still is old; nil: if there is nothing. Else the
	// error is ErrChanged.
	Replace(ctx context.Context, name string, data, old []byte) error

	// List returns the names of all objects, ascending, and of whatever else is in the place of the archive.
	List(ctx context.Context) ([]string, error)

	// Remove removes an object that has become part of no archive, as an interrupted writer leaves it behind. It is no error
	// if there is none.
	Remove(ctx context.Context, name string) error

	// Lock keeps other writers out until unlock. The error is ErrBusy where there is one.
	Lock(ctx context.Context) (unlock func() error, err error)
}

// ObjectWriter takes the octets of an object. Who does not commit it aborts it.
type ObjectWriter interface {
	io.Writer
	// Commit makes the object, durably.
	Commit() error
	// Abort gives it up. It does nothing after Commit or Abort.
	Abort() error
}

// Object is an object that is being read.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Errors of a Storage; they arrive wrapped.
var (
	// ErrBusy says that another process is writing the archive.
	ErrBusy = errors.New("another process is writing the archive")
	// ErrChanged says that an object is not the one that was to be replaced: somebody else was faster.
	ErrChanged = errors.New("the archive was changed by somebody else meanwhile")
)
