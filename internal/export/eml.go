package export

import (
	"context"
	"errors"
	"io"

	"github.com/sealmail/sealmail/internal/safeio"
)

// emlFolder is a directory of messages.
type emlFolder struct {
	tree *tree
}

func newEML(disk safeio.Disk, dir string) *emlFolder { return &emlFolder{tree: newTree(disk, dir)} }

func (e *emlFolder) add(ctx context.Context, m Message) error {
	f, err := e.tree.create(fileName(m))
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, &exact{ctx, m.Octets, m.Size}); err != nil {
		return errors.Join(err, f.abort())
	}
	return f.Close()
}

func (e *emlFolder) finish() error { return e.tree.flush() }

func (e *emlFolder) release() error { return nil }
