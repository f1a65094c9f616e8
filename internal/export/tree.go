package export

import (
	"errors"
	"io"
	"path/filepath"

	"github.com/sealmail/sealmail/internal/safeio"
)

const (
	maxHeld  = 1 << 20  // octets of a file that is held in memory until there are more of its like
	maxBatch = 16 << 20 // octets of these
	batch    = 256      // number of these
)

// tree writes files below a folder, small ones many at a time: that takes a fraction of the time. It is a bag.Sink.
type tree struct {
	disk    safeio.Disk
	root    string
	made    map[string]bool // folders that are there
	pending []safeio.NewFile
	octets  int
}

func newTree(disk safeio.Disk, root string) *tree {
	return &tree{disk: disk, root: root, made: map[string]bool{root: true}}
}

// Create begins a file, which is durable after flush. The name is one that a bag takes.
func (t *tree) Create(name string) (io.WriteCloser, error) { return t.create(name) }

func (t *tree) create(name string) (*treeFile, error) {
	local, err := filepath.Localize(name)
	if err != nil {
		return nil, err
	}
	return t.createFile(filepath.Dir(local), filepath.Base(local))
}

// createFile begins a file in a directory below the root.
func (t *tree) createFile(dir, name string) (*treeFile, error) {
	dir = filepath.Join(t.root, filepath.FromSlash(dir))
	if !t.made[dir] {
		if err := t.disk.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		t.made[dir] = true
	}
	return &treeFile{tree: t, path: filepath.Join(dir, name)}, nil
}

// flush makes all files durable.
func (t *tree) flush() error {
	pending := t.pending
	t.pending, t.octets = nil, 0
	return t.disk.WriteFiles(pending)
}

// treeFile is a file of a tree.
type treeFile struct {
	tree *tree
	path string
	held []byte
	file *safeio.File // once there is too much to hold
}

// Write appends to the file.
func (f *treeFile) Write(p []byte) (int, error) {
	if f.file == nil {
		if len(f.held)+len(p) <= maxHeld {
			f.held = append(f.held, p...)
			return len(p), nil
		}
		file, err := f.tree.disk.Create(f.path, 0o600)
		if err != nil {
			return 0, err
		}
		if _, err := file.Write(f.held); err != nil {
			return 0, errors.Join(err, file.Abort())
		}
		f.file, f.held = file, nil
	}
	return f.file.Write(p)
}

// Close completes the file.
func (f *treeFile) Close() error {
	if f.file != nil {
		return f.file.Commit()
	}
	t := f.tree
	t.pending = append(t.pending, safeio.NewFile{Path: f.path, Data: f.held, Perm: 0o600})
	if t.octets += len(f.held); t.octets < maxBatch && len(t.pending) < batch {
		return nil
	}
	return t.flush()
}

// abort gives the file up.
func (f *treeFile) abort() error {
	if f.file == nil {
		return nil
	}
	return f.file.Abort()
}
