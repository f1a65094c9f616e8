package client

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/spool"
)

// Output is a file that a use case writes, whole or not at all, or stdout where Name is "-".
type Output struct {
	Name   string
	Stdout io.Writer
}

// source is an input that can be read at any place and more than once.
type source struct {
	smime.Source
	close   func() error
	changed func() error // nil: nobody else can change it
}

func (s *source) Close() error { return s.close() }

// unchanged returns an error where the input is no longer what it was when it was opened. What was found out and made of
// it is then of two minds: one reading verified the text, and another wrote it.
func (s *source) unchanged() error {
	if s.changed == nil {
		return nil
	}
	return s.changed()
}

// ErrChanged says that a file was changed while it was read.
var ErrChanged = errors.New("the file changed while it was read")

// watch returns a function that looks whether an open file is as it was. The open file is asked, and not what has its name
// now: who replaces a file leaves the old one as it was to those who read it.
func watch(f *os.File, before fs.FileInfo) func() error {
	return func() error {
		now, err := f.Stat()
		if err != nil {
			return unreadable(err)
		}
		if now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()) {
			return failed(f.Name(), ErrChanged, "try again when nothing writes to it")
		}
		return nil
	}
}

// openSource opens a file, or stdin for "-". A regular file is read where it lies; anything else goes into a spool first.
func (c *Client) openSource(in string) (*source, error) {
	r := c.o.Stdin
	if in != "-" {
		f, info, err := openFile(in)
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			return &source{c.fileSource(in, f, info), f.Close, watch(f, info)}, nil
		}
		defer f.Close()
		r = f
	}
	s := spool.New(c.spoolOptions())
	if _, err := io.Copy(s, r); err != nil {
		return nil, errors.Join(failed(in, err, ""), s.Close())
	}
	return &source{s, s.Close, nil}, nil
}

// openFile opens a file that is no folder.
func openFile(name string) (*os.File, fs.FileInfo, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, unreadable(err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", name)
	}
	if err != nil {
		f.Close()
		return nil, nil, unreadable(err)
	}
	return f, info, nil
}

const maxSmallFile = 16 << 20

// readSmall reads an input that is a certificate, a key, a token: nothing large.
func (o Options) readSmall(in string) ([]byte, error) { return o.readBounded(in, maxSmallFile) }

// readBounded reads an input of so many octets at most.
func (o Options) readBounded(in string, limit int64) ([]byte, error) {
	r := o.Stdin
	if in != "-" {
		f, err := os.Open(in)
		if err != nil {
			return nil, unreadable(err)
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if int64(len(b)) > limit {
		return nil, failed(in, fmt.Errorf("larger than %d MiB", limit>>20), "this is no certificate, key or token")
	}
	return b, nil
}

// unreadable is the error of a file that was named and cannot be read.
func unreadable(err error) error {
	return failed("", err, "name a file that can be read, or - for stdin")
}

// unwritable is the error of a file that was named and cannot be written. The path in err may be that of a temporary file
// beside it, which nobody knows.
func unwritable(name string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return failed(name, err, "name a file that can be written")
}

// writeFrom is write for what is made of an input. Where that changed, nothing is written, whatever else went wrong; on
// stdout, nothing more.
func (c *Client) writeFrom(in interface{ unchanged() error }, out Output, fill func(io.Writer) error) error {
	if err := in.unchanged(); err != nil {
		return err
	}
	return c.write(out, func(w io.Writer) error {
		err := fill(w)
		return cmp.Or(in.unchanged(), err)
	})
}

// write lets fill write the output. A file appears only when fill and the disk have done all without an error, and is
// readable by its owner alone; on stdout, what was written before an error stays.
func (c *Client) write(out Output, fill func(io.Writer) error) error {
	if out.Name == "-" {
		w := bufio.NewWriterSize(out.Stdout, 64<<10)
		if err := fill(w); err != nil {
			return err
		}
		return w.Flush()
	}
	f, err := c.o.Disk.Create(out.Name, 0o600)
	if err != nil {
		return unwritable(out.Name, err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 32<<10)
	if err := fill(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return unwritable(out.Name, err)
	}
	if err := f.Commit(); err != nil {
		return unwritable(out.Name, err)
	}
	return nil
}
