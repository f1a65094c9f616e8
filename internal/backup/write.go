package backup

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime/spool"
)

// ManifestName is the first file of an archive.
const ManifestName = "sealmail-backup.json"

const (
	formatName    = "sealmail-backup"
	formatVersion = 1

	maxDepth = 64 // nested folders
	maxPath  = 4096
)

// Manifest says what an archive is.
type Manifest struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	Created time.Time `json:"created"`
}

// Part is a folder whose files go into an archive under a name of its own.
type Part struct {
	Name string // one element of a path
	Dir  string // "": there are only extra files
	// Has tells which files and folders directly in Dir belong to the part; nil: all.
	Has func(name string) bool
	// Skip, if set, leaves out files by their path on disk.
	Skip func(path string) bool
	// Extra, if set, is called when Dir is copied, and returns files of the part that are not copied as they lie there.
	Extra func() ([]File, error)
}

// File is a small file of an archive.
type File struct {
	Path string // below the part, with slashes
	Data []byte
}

// ErrKind says that something in a folder is neither a file nor a folder.
var ErrKind = errors.New("neither a file nor a folder, nor a link to a file")

// errChanging says that a file was written to each time that it was read.
var errChanging = errors.New("the file changed each time that it was read")

// attempts is how often a file is read that changes meanwhile.
const attempts = 5

// Writer makes an archive.
type Writer struct {
	tar   *tar.Writer
	spool spool.Options
	files int
}

// NewWriter begins an archive. What is read is kept in a spool until it is known to be of one piece.
func NewWriter(w io.Writer, created time.Time, o spool.Options) (*Writer, error) {
	manifest, err := json.Marshal(Manifest{formatName, formatVersion, created.UTC()})
	if err != nil {
		return nil, err
	}
	out := &Writer{tar: tar.NewWriter(w), spool: o}
	return out, out.small(ManifestName, append(manifest, '\n'), created)
}

// Files returns how many files of parts were added.
func (w *Writer) Files() int { return w.files }

// Close ends the archive, and does not close what it is written to.
func (w *Writer) Close() error { return w.tar.Close() }

// Add copies a part. A folder that is not there is empty, and a file that vanishes meanwhile was never there. Files are
// replaced as a whole by those who write them, so that one that was opened is of one piece; one that changes all the same is
// read again.
func (w *Writer) Add(ctx context.Context, p Part) error {
	if p.Dir != "" {
		if err := w.folder(ctx, p, p.Dir, p.Name, 0); err != nil {
			return err
		}
	}
	if p.Extra == nil {
		return nil
	}
	extra, err := p.Extra()
	if err != nil {
		return err
	}
	for _, f := range extra {
		if err := w.small(path.Join(p.Name, f.Path), f.Data, time.Time{}); err != nil {
			return err
		}
		w.files++
	}
	return nil
}

// folder copies what is in one, sorted by name. The folder itself is there by its files, or by a header of its own.
func (w *Writer) folder(ctx context.Context, p Part, dir, name string, depth int) error {
	if depth > maxDepth || len(name) > maxPath {
		return fmt.Errorf("%s: folders are nested too deep", dir)
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if depth > 0 {
		if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o700}); err != nil {
			return err
		}
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := filepath.Join(dir, e.Name())
		if passing(e) || depth == 0 && p.Has != nil && !p.Has(e.Name()) || p.Skip != nil && p.Skip(at) {
			continue
		}
		into := path.Join(name, e.Name())
		if e.IsDir() {
			err = w.folder(ctx, p, at, into, depth+1)
		} else {
			err = w.file(ctx, at, into)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// passing reports whether something is of this moment and this machine only: a lock, a socket, a file that is being written.
func passing(e fs.DirEntry) bool {
	name := e.Name()
	return e.Type()&fs.ModeSocket != 0 || safeio.IsTemporary(name) ||
		e.Type().IsRegular() && strings.HasSuffix(name, ".lock") ||
		e.IsDir() && (strings.HasPrefix(name, ".new-") || strings.HasPrefix(name, ".done-")) // of an outbox
}

// file copies a file, of one piece.
func (w *Writer) file(ctx context.Context, at, name string) error {
	info, err := os.Stat(at) // of the file at the end of a link
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", at, ErrKind)
	}
	for range attempts {
		same, err := w.copy(ctx, at, name)
		if same || err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: %w", at, errChanging)
}

// copy reads a file, and adds it if it stayed the same meanwhile.
func (w *Writer) copy(ctx context.Context, at, name string) (same bool, err error) {
	f, err := os.Open(at)
	if err != nil {
		return false, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return false, err
	}
	s := spool.New(w.spool)
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := io.Copy(s, contextReader{ctx, io.LimitReader(f, before.Size()+1)}); err != nil {
		return false, err
	}
	after, err := f.Stat()
	if err != nil || after.Size() != s.Size() || before.Size() != s.Size() || !after.ModTime().Equal(before.ModTime()) {
		return false, err
	}
	if err := w.header(name, s.Size(), before.ModTime()); err != nil {
		return false, err
	}
	if _, err := io.Copy(w.tar, contextReader{ctx, s.Section()}); err != nil {
		return false, err
	}
	w.files++
	return true, nil
}

func (w *Writer) small(name string, data []byte, modified time.Time) error {
	if err := w.header(name, int64(len(data)), modified); err != nil {
		return err
	}
	_, err := w.tar.Write(data)
	return err
}

func (w *Writer) header(name string, size int64, modified time.Time) error {
	if len(name) > maxPath {
		return fmt.Errorf("%s: its path is too long", name)
	}
	if modified.IsZero() {
		modified = time.Unix(0, 0)
	}
	return w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: modified.Truncate(time.Second)})
}

// contextReader ends when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
