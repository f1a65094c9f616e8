package export

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox"
)

// Kind is a form that messages are exported in.
type Kind string

const (
	// EML is a directory with a file for each message, called by its number: 000000000001.eml. Octets alone are kept.
	EML Kind = "eml"
	// Mbox is a file (RFC 4155) in which messages follow one another. Octets and dates are kept: lines that begin with "From ", or ">" and
	// that, have one ">" more (mboxrd), and lines end with LF, which programs that know of it undo. Folders and flags are not told.
	Mbox Kind = "mbox"
	// Maildir is a directory with one for each mail folder, as in Maildir++. Octets, dates and flags are kept; lines end with LF, as in any.
	// Keywords have letters as Dovecot gives them: 26 in each folder, and those beyond are left out. The names of folders keep what they can.
	Maildir Kind = "maildir"
	// Bag is a bag (RFC 8493): data/FOLDER/NUMBER.eml, and data/records.jsonl with a line of JSON for each message, in which all is kept.
	Bag Kind = "bag"
)

var (
	// ErrUnfit: this message cannot be in an export of this kind and come out as it went in; it is wrapped with the reason. The export
	// goes on without it.
	ErrUnfit = errors.New("the message cannot be exported in this form")
	// ErrKind: there is no such kind.
	ErrKind = errors.New("no such kind of export")
	// ErrClosed: the export was closed or given up.
	ErrClosed = errors.New("the export is closed")
)

// Message is a message to be exported.
type Message struct {
	Number uint64 // above that of the message before
	Folder string // that it was in, levels separated by slashes
	Flags  []string
	Date   time.Time // of arrival; may be zero
	Size   int64     // of Octets, exactly
	Octets io.Reader
	Record json.RawMessage // what else is known of it: a JSON value, for the bag; may be empty
}

// Exporter takes messages, one after the other, and is for use by one goroutine.
type Exporter interface {
	// Add exports a message. After an ErrUnfit, which leaves no trace of it, the next may follow; after any other error the export
	// cannot be completed. A message of another size than was said is mailbox.ErrSize.
	Add(ctx context.Context, m Message) error
	// Close completes the export, which is durable and has its name when it returns nil. After an error there is nothing of that name,
	// or what somebody else put there meanwhile, which is fs.ErrExist; where only the name could not be brought to the disk, there is
	// the whole export.
	Close() error
	// Abort gives the export up and removes what there is of it. After Close it does nothing.
	Abort() error
}

// Options are for Open.
type Options struct {
	Kind Kind
	// Path is that of the file or directory to be made. What it is in has to be there.
	Path  string
	Disk  safeio.Disk
	Clock func() time.Time // names the messages of a Maildir, and dates a bag
	// Info is for bag-info.txt, before Bagging-Date. It is for a bag alone.
	Info []Field
}

// Open begins an export. A path where something is already gives fs.ErrExist.
//
// Until it is closed the export lies beside its path, as .NAME.part-RANDOM, or .sealmail-RANDOM.tmp for an mbox file; there a kill leaves
// it.
func Open(o Options) (Exporter, error) {
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, err
	}
	if err := absent(path); err != nil {
		return nil, err
	}
	switch o.Kind {
	case Mbox:
		return openMbox(o.Disk, path)
	case EML, Maildir, Bag:
	default:
		return nil, fmt.Errorf("%w: %.100q", ErrKind, o.Kind)
	}
	p := &part{disk: o.Disk, path: path}
	p.dir = filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".part-"+rand.Text()[:10])
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := o.Disk.MkdirAll(p.whole(), 0o700); err != nil {
		return nil, errors.Join(err, p.discard())
	}
	var e exporter
	switch o.Kind {
	case EML:
		e = newEML(o.Disk, p.whole())
	case Maildir:
		e, err = newMaildir(o, p.whole())
	case Bag:
		e, err = newBag(o, p.whole(), filepath.Join(p.dir, "records"))
	}
	if err != nil {
		return nil, errors.Join(err, p.discard())
	}
	return &folder{part: p, to: e}, nil
}

// absent gives an error where there is something.
func absent(path string) error {
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil:
		return &fs.PathError{Op: "export", Path: path, Err: fs.ErrExist}
	}
	return err
}

// part is where an export that is a directory lies until it is whole.
type part struct {
	disk      safeio.Disk
	path, dir string
}

// whole is what becomes the export.
func (p *part) whole() string { return filepath.Join(p.dir, "export") }

// place gives the export its name. A directory takes the place of no file, and of no directory that has something in it.
func (p *part) place() error {
	if err := absent(p.path); err != nil {
		return err
	}
	if err := p.disk.Rename(p.whole(), p.path); err != nil {
		return err
	}
	_ = p.disk.Discard(p.dir) // that is empty, or holds what is not needed any more
	return nil
}

func (p *part) discard() error { return p.disk.Discard(p.dir) }

// exporter writes the files of an export that is a directory.
type exporter interface {
	add(ctx context.Context, m Message) error
	// finish makes all of it durable.
	finish() error
	// release closes what is open. It is called in the end in any case.
	release() error
}

// folder is an export that is a directory.
type folder struct {
	part *part
	to   exporter
	last uint64 // number of a message
	err  error  // the first failure, or ErrClosed
}

// Add exports a message.
func (f *folder) Add(ctx context.Context, m Message) error {
	if f.err != nil {
		return f.err
	}
	err := check(m, &f.last)
	if err == nil {
		err = f.to.add(ctx, m)
	}
	if !errors.Is(err, ErrUnfit) {
		f.err = err
	}
	return err
}

// Close completes the export.
func (f *folder) Close() error {
	err := f.err
	if errors.Is(err, ErrClosed) {
		return err
	}
	f.err = ErrClosed
	if err == nil {
		err = f.to.finish()
	}
	err = errors.Join(err, f.to.release())
	if err == nil {
		err = f.part.place()
	}
	if err != nil {
		return errors.Join(err, f.part.discard())
	}
	return nil
}

// Abort gives the export up.
func (f *folder) Abort() error {
	if errors.Is(f.err, ErrClosed) {
		return nil
	}
	f.err = ErrClosed
	return errors.Join(f.to.release(), f.part.discard())
}

// ErrMessage: a message has no octets, or no number above that of the message before.
var ErrMessage = errors.New("not a message to be exported")

// check refuses what is no message of an export, of whose messages the last one has this number.
func check(m Message, last *uint64) error {
	if m.Number <= *last || m.Size < 0 || m.Octets == nil {
		return fmt.Errorf("%w: number %d behind %d, of %d octets", ErrMessage, m.Number, *last, m.Size)
	}
	*last = m.Number
	return nil
}

// fileName is that of a message.
func fileName(m Message) string { return fmt.Sprintf("%012d.eml", m.Number) }

// exact reads a message to its end, which has to be where it was said to be.
type exact struct {
	ctx  context.Context
	r    io.Reader
	left int64
}

// Read reads.
func (e *exact) Read(p []byte) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left+1)])
	if e.left -= int64(n); e.left < 0 || e.left > 0 && errors.Is(err, io.EOF) {
		return 0, mailbox.ErrSize
	}
	return n, err
}
