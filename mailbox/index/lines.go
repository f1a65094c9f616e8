package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/sealmail/sealmail/mailbox"
)

// Selection says which lines are wanted.
type Selection struct {
	Folder string // empty: all
	Since  time.Time
	Limit  int // the last so many; 0: all
	// Query, unless nil, is what is sought, and Account is the name that account: compares with. Found are in the order of
	// their dates; without a Query, lines are in that of folders and UIDs.
	Query   *Query
	Account string
}

// The orders of lines, with room for DESC.
const (
	byUID  = "m.folder%[1]s, m.uid%[1]s"
	byDate = "m.date%[1]s, m.folder%[1]s, m.uid%[1]s"
)

// where is the selection as SQL, without the limit; not exact, where the query has to be asked as well.
func (s Selection) where() (text string, args []any, exact bool) {
	conditions, exact := []string{"1"}, true
	if s.Folder != "" {
		conditions, args = append(conditions, "m.folder = (SELECT id FROM folders WHERE name = ?)"), append(args, s.Folder)
	}
	if !s.Since.IsZero() {
		conditions, args = append(conditions, "m.date >= ?"), append(args, s.Since.Unix())
	}
	if s.Query != nil {
		one, more, whole := s.Query.root.sql(s.Account)
		conditions, args, exact = append(conditions, one), append(args, more...), whole
	}
	return strings.Join(conditions, " AND "), args, exact
}

// linesAtOnce is how many lines are read together.
const linesAtOnce = 256

// Lines calls each with the lines that are wanted, the last one last. Nobody waits for each: a view of the index that is held
// open while somebody reads a list would keep what others remove.
func (x *Index) Lines(ctx context.Context, s Selection, each func(Line) error) error {
	ids, err := x.choose(ctx, s)
	if err != nil {
		return err
	}
	slices.Reverse(ids)
	for some := range slices.Chunk(ids, linesAtOnce) {
		lines, err := x.linesOf(ctx, some)
		if err != nil {
			return err
		}
		for _, line := range lines {
			if err := each(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// choose returns the messages whose lines are wanted, the last one first.
func (x *Index) choose(ctx context.Context, s Selection) (ids []int64, err error) {
	where, args, exact := s.where()
	if !exact {
		ids, err = x.search(ctx, s)
		if errors.Is(err, fs.ErrNotExist) { // a segment was rewritten meanwhile
			if ids, err = x.search(ctx, s); errors.Is(err, fs.ErrNotExist) {
				err = x.met(fmt.Errorf("%w: %w", ErrDamaged, err))
			}
		}
		return ids, err
	}
	order := byUID
	if s.Query != nil {
		order = byDate
	}
	sql := "SELECT m.id FROM messages m JOIN folders f ON f.id = m.folder WHERE " + where + " ORDER BY " + fmt.Sprintf(order, " DESC")
	if s.Limit > 0 {
		sql, args = sql+" LIMIT ?", append(args, int64(s.Limit))
	}
	return ids, x.read(ctx, func() error {
		return x.rows(func(row *sqlite3.Stmt) error {
			ids = append(ids, row.ColumnInt64(0))
			return nil
		}, sql, args...)
	})
}

// lineColumns are those that lineIn reads.
const lineColumns = "SELECT f.name, m.uid, m.flags, m.line FROM "

func lineIn(row *sqlite3.Stmt) Line {
	return Line{row.ColumnText(0), mailbox.UID(row.ColumnInt64(1)), strings.Fields(row.ColumnText(2)), row.ColumnBlob(3, nil)}
}

// linesOf returns the lines of messages. Those that were removed meanwhile are left out.
func (x *Index) linesOf(ctx context.Context, ids []int64) (lines []Line, err error) {
	return lines, x.read(ctx, func() error {
		s, err := x.prepare(lineColumns + "messages m JOIN folders f ON f.id = m.folder WHERE m.id = ?")
		if err != nil {
			return err
		}
		defer s.Close()
		for _, id := range ids {
			if err := bind(s[0], id); err != nil {
				return err
			}
			for s[0].Step() {
				lines = append(lines, lineIn(s[0]))
			}
			if err := s[0].Reset(); err != nil {
				return err
			}
		}
		return nil
	})
}
