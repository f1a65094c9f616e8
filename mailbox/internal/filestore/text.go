package filestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sealmail/sealmail/mailbox"
)

// memory is how much of a message is kept in memory; more lies in a file.
const memory = 1 << 20

// Text is a message that is to be stored, or was read. It must be closed.
//
// Files of mail have LF line ends, messages CRLF. A message with CRLF line ends and no other CR or LF is stored with LF, and has
// CRLF again when it is read. Any other message is stored as it is; its first line ends with CRLF, which tells the two apart.
// One whose first line ends with LF alone could not come back as it was, and is refused with mailbox.ErrNotCanonical.
type Text struct {
	Size  int64 // in octets
	LFs   int64 // how many line feeds there are
	Plain bool  // stored with LF
	// Open says that the last line has no line end.
	Open bool

	octets []byte
	file   *os.File
}

// Spool reads a message of size octets, and notes what its line ends are. What does not fit into memory goes to a file in dir
// that has no name.
func Spool(ctx context.Context, dir string, body io.Reader, size int64) (*Text, error) {
	t := &Text{Size: size}
	lines := lineEnds{}
	var (
		dst    io.Writer
		buffer bytes.Buffer
	)
	if size <= memory {
		dst = io.MultiWriter(&lines, &buffer)
	} else {
		file, err := os.CreateTemp(dir, ".sealmail-*.tmp")
		if err != nil {
			return nil, err
		}
		t.file = file
		// Who tidies up after a kill may have removed it already.
		if err := os.Remove(file.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, t.Close())
		}
		dst = io.MultiWriter(&lines, file)
	}
	n, err := io.Copy(dst, io.LimitReader(contextReader{ctx, body}, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("%w: %d octets were announced", mailbox.ErrSize, size)
	}
	if err == nil && lines.firstIsLF {
		err = fmt.Errorf("%w: the first line ends with LF alone", mailbox.ErrNotCanonical)
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	t.octets, t.LFs, t.Plain, t.Open = buffer.Bytes(), lines.lfs, !lines.bare && lines.last != '\r', lines.last != '\n'
	return t, nil
}

// Octets returns the message.
func (t *Text) Octets() io.Reader {
	if t.file != nil {
		return io.NewSectionReader(t.file, 0, t.Size)
	}
	return bytes.NewReader(t.octets)
}

// Stored returns what is to be in the file.
func (t *Text) Stored() io.Reader {
	if t.Plain {
		return &withoutCR{t.Octets()}
	}
	return t.Octets()
}

// StoredSize is how many octets Stored has.
func (t *Text) StoredSize() int64 {
	if t.Plain {
		return t.Size - t.LFs
	}
	return t.Size
}

// Close gives up the room that the message takes.
func (t *Text) Close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

// lineEnds looks at the line ends of what is written to it.
type lineEnds struct {
	lfs       int64
	last      byte
	bare      bool // there is a CR without LF, or an LF without CR
	firstIsLF bool // the first line ends without CR
}

func (l *lineEnds) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		at := bytes.IndexAny(rest, "\r\n")
		if l.last == '\r' && rest[0] != '\n' {
			l.bare = true
		}
		if at < 0 {
			l.last = rest[len(rest)-1]
			break
		}
		if at > 0 {
			l.last = rest[at-1]
		}
		if rest[at] == '\n' {
			if l.last != '\r' {
				l.bare = true
				l.firstIsLF = l.firstIsLF || l.lfs == 0
			}
			l.lfs++
		}
		l.last, rest = rest[at], rest[at+1:]
	}
	return len(p), nil
}

// withoutCR takes away all CRs.
type withoutCR struct{ r io.Reader }

func (w *withoutCR) Read(p []byte) (int, error) {
	for {
		n, err := w.r.Read(p)
		kept := 0
		for rest := p[:n]; len(rest) > 0; {
			part, after, _ := bytes.Cut(rest, []byte{'\r'})
			kept += copy(p[kept:], part)
			rest = after
		}
		if kept > 0 || err != nil || len(p) == 0 {
			return kept, err
		}
	}
}

// Canonical returns a message in the form in which it was before it was stored: if its first line ends with LF alone, each LF
// without CR gets one.
func Canonical(r io.Reader) io.Reader { return &canonical{r: r} }

type canonical struct {
	r     io.Reader
	state int  // of the line ends: not known yet, as they are, or to be mended
	last  byte // octet that was read
	in    []byte
	room  []byte // of out
	out   []byte
	err   error
}

const (
	lineEndsUnknown = iota
	lineEndsKept
	lineEndsMended
)

func (c *canonical) Read(p []byte) (int, error) {
	for len(c.out) == 0 && c.err == nil && len(p) > 0 {
		if c.in == nil {
			c.in, c.room = make([]byte, 32<<10), make([]byte, 0, 64<<10)
		}
		var n int
		n, c.err = c.r.Read(c.in)
		c.take(c.in[:n])
	}
	n := copy(p, c.out)
	if c.out = c.out[n:]; len(c.out) > 0 || n > 0 || len(p) == 0 {
		return n, nil
	}
	return n, c.err
}

func (c *canonical) take(in []byte) {
	out := c.room
	for len(in) > 0 {
		at := bytes.IndexByte(in, '\n')
		if at < 0 {
			out, c.last = append(out, in...), in[len(in)-1]
			break
		}
		if at > 0 {
			out, c.last = append(out, in[:at]...), in[at-1]
		}
		if c.state == lineEndsUnknown {
			c.state = lineEndsMended
			if c.last == '\r' {
				c.state = lineEndsKept
			}
		}
		if c.state == lineEndsMended && c.last != '\r' {
			out = append(out, '\r')
		}
		out, c.last, in = append(out, '\n'), '\n', in[at+1:]
	}
	c.out = out
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
