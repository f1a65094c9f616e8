package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// compact rewrites segments of which more than half is dead, in a transaction of its own, and removes the files of those
// that nothing names any more.
func (x *Index) compact(ctx context.Context) error {
	err := x.write(ctx, func() error {
		for _, kind := range []int64{kindOctets, kindText} {
			if err := x.compactKind(kind); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return x.sweep(ctx)
}

func (x *Index) compactKind(kind int64) (err error) {
	var dead []int64
	err = x.rows(func(s *sqlite3.Stmt) error {
		dead = append(dead, s.ColumnInt64(0))
		return nil
	}, "SELECT id FROM segments WHERE kind = ? AND live * 2 < size", kind)
	if err != nil || len(dead) == 0 {
		return err
	}
	to := &appender{x: x, kind: kind}
	defer func() { err = errors.Join(err, to.close()) }()
	for _, id := range dead {
		if err := x.empty(id, to); err != nil {
			return err
		}
	}
	return to.finish()
}

// empty moves what lives in a segment to others, and forgets it.
func (x *Index) empty(id int64, to *appender) error {
	var messages []int64
	var places []place
	err := x.rows(func(s *sqlite3.Stmt) error {
		messages, places = append(messages, s.ColumnInt64(0)), append(places, placeIn(s, 1))
		return nil
	}, "SELECT message, segment, start, size, key FROM sealed WHERE segment = ? ORDER BY start", id)
	if err != nil {
		return err
	}
	if len(places) > 0 {
		if to.file == nil { // never to one that is itself to be emptied
			if err := to.begin(); err != nil {
				return err
			}
		}
		from, err := os.Open(x.segmentPath(id))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: segment %d is missing", ErrDamaged, id)
		}
		if err != nil {
			return err
		}
		defer from.Close()
		for i, p := range places {
			if p, err = to.copy(from, p); err != nil {
				return err
			}
			err := x.exec("UPDATE sealed SET segment = ?, start = ? WHERE message = ? AND kind = ?", p.segment, p.start, messages[i], to.kind)
			if err != nil {
				return err
			}
		}
	}
	return x.exec("DELETE FROM segments WHERE id = ?", id)
}

// sweep removes the files of segments that are not in the database: those that were emptied, and those of writers that were
// killed before they committed the first octet. Nobody else writes meanwhile.
func (x *Index) sweep(ctx context.Context) error {
	err := x.write(ctx, func() error {
		known := map[string]bool{}
		err := x.rows(func(s *sqlite3.Stmt) error {
			known[filepath.Base(x.segmentPath(s.ColumnInt64(0)))] = true
			return nil
		}, "SELECT id FROM segments")
		if err != nil {
			return err
		}
		entries, err := os.ReadDir(x.dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), segmentSuffix) && !known[e.Name()] {
				if err := x.disk.Remove(filepath.Join(x.dir, e.Name())); err != nil {
					return err
				}
			}
		}
		return nil
	})
	x.swept = err == nil
	return err
}
