package index

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/ncruces/go-sqlite3"
)

// Texts are not in a full-text index of the database. FTS5 took 1.4 to 7 MB of text a second, needed up to 200 ms to remove a
// message without a trace (measured in November 2026, with its secure-delete), and finds no words where none are spaced. To
// look through sealed texts costs about a second for each gigabyte of them, nothing when mail is fetched, and to remove one is
// to forget its key.

// part is where a phrase is sought.
type part int

const (
	partSender part = 1 << iota
	partRecipients
	partCopies
	partSubject
	partBody
	partAll = partSender | partRecipients | partCopies | partSubject | partBody
)

// headerColumns are where all parts but the body are.
var headerColumns = []string{"sender", "recipients", "copies", "subject"}

// node is a part of a query.
type node interface {
	// sql is a condition on a message m in a folder f that holds wherever the node does; exact: and nowhere else.
	sql(account string) (text string, args []any, exact bool)
	// facts adds those of the node to a list.
	facts(account string, list *[]fact)
	// holds decides for a candidate, which has the values of all facts in the order in which they were added.
	holds(c *candidate) (bool, error)
}

type (
	// fact is a condition in SQL.
	fact struct {
		text string
		args []any
	}
	// ofAccount is true for all messages of the account of that name.
	ofAccount string
	// phrase is a text that is sought.
	phrase struct {
		where  part
		words  string
		prefix bool
	}
	not   struct{ of node }
	allOf []node
	anyOf []node
)

// candidate is a message of which a query is asked.
type candidate struct {
	id      int64
	facts   []bool
	next    int // of the facts
	headers [4]string
	text    place // without a key: there is none
	read    func(place) (string, error)
	body    *string
}

func (f fact) sql(string) (string, []any, bool)        { return "(" + f.text + ")", f.args, true }
func (f fact) facts(_ string, list *[]fact)            { *list = append(*list, f) }
func (f fact) holds(c *candidate) (bool, error)        { c.next++; return c.facts[c.next-1], nil }
func (p phrase) sql(string) (string, []any, bool)      { return "1", nil, false }
func (p phrase) facts(string, *[]fact)                 {}
func (n not) facts(account string, list *[]fact)       { n.of.facts(account, list) }
func (all allOf) facts(account string, list *[]fact)   { factsOf(all, account, list) }
func (any anyOf) facts(account string, list *[]fact)   { factsOf(any, account, list) }
func (a ofAccount) facts(account string, list *[]fact) { *list = append(*list, a.fact(account)) }
func (a ofAccount) holds(c *candidate) (bool, error)   { return fact{}.holds(c) }
func (a ofAccount) sql(account string) (string, []any, bool) {
	return a.fact(account).sql(account)
}

func (a ofAccount) fact(account string) fact {
	return fact{text: fmt.Sprint(number(strings.EqualFold(account, string(a))))}
}

func factsOf(nodes []node, account string, list *[]fact) {
	for _, n := range nodes {
		n.facts(account, list)
	}
}

func (n not) sql(account string) (string, []any, bool) {
	text, args, exact := n.of.sql(account)
	if !exact { // what it does not hold for is not known
		return "1", nil, false
	}
	return "NOT " + text, args, true
}

func (n not) holds(c *candidate) (bool, error) {
	yes, err := n.of.holds(c)
	return !yes, err
}

func (all allOf) sql(account string) (string, []any, bool) { return sqlOf(all, account, " AND ", "1") }
func (any anyOf) sql(account string) (string, []any, bool) { return sqlOf(any, account, " OR ", "0") }

func sqlOf(nodes []node, account, with, none string) (string, []any, bool) {
	texts, all, exact := []string{}, []any{}, true
	for _, n := range nodes {
		text, args, whole := n.sql(account)
		texts, all, exact = append(texts, text), append(all, args...), exact && whole
	}
	if len(nodes) == 0 {
		return none, nil, true
	}
	return "(" + strings.Join(texts, with) + ")", all, exact
}

func (all allOf) holds(c *candidate) (bool, error) { return holdsOf(all, c, false) }
func (any anyOf) holds(c *candidate) (bool, error) { return holdsOf(any, c, true) }

// holdsOf decides for several nodes: the first that says so decides. Facts of those behind it are passed over.
func holdsOf(nodes []node, c *candidate, decides bool) (bool, error) {
	result := !decides
	for _, n := range nodes {
		if result == decides {
			var passed []fact
			n.facts("", &passed)
			c.next += len(passed)
			continue
		}
		yes, err := n.holds(c)
		if err != nil {
			return false, err
		}
		result = yes
	}
	return result, nil
}

func (p phrase) holds(c *candidate) (bool, error) {
	for i, text := range c.headers {
		if p.where&(1<<i) != 0 && holds(text, p.words, p.prefix) {
			return true, nil
		}
	}
	if p.where&partBody == 0 || c.text.key == nil {
		return false, nil
	}
	if c.body == nil {
		text, err := c.read(c.text)
		if err != nil {
			return false, err
		}
		c.body = &text
	}
	return holds(*c.body, p.words, p.prefix), nil
}

// Bounds on the candidates that are handed on together: how many there are for each processor, and the octets of their headers.
const (
	atOnce       = 256
	atOnceOctets = 16 << 20
)

// search returns the messages for which a query holds, among those of a selection, the last limit of them: it looks at the
// newest first, on all processors, and no further than it has to.
func (x *Index) search(ctx context.Context, s Selection) (ids []int64, err error) {
	where, args, _ := s.where()
	var facts []fact
	s.Query.root.facts(s.Account, &facts)
	columns, values := "m.id, t.segment, t.start, t.size, t.key", []any{}
	for _, name := range headerColumns {
		columns += ", h." + name
	}
	for _, f := range facts {
		columns, values = columns+", "+f.text, append(values, f.args...)
	}
	// A reader of its own: the order of what it finds is by date, and what is read meanwhile stays as it is.
	sql := "SELECT " + columns + " FROM messages m JOIN folders f ON f.id = m.folder JOIN headers h ON h.message = m.id LEFT JOIN sealed t ON t.message = m.id AND t.kind = ? WHERE " +
		where + " ORDER BY " + fmt.Sprintf(byDate, " DESC")
	values = append(append(values, kindText), args...)

	files := &segmentFiles{x: x, open: map[int64]*os.File{}}
	defer func() { err = errors.Join(err, files.Close()) }()
	err = x.read(ctx, func() error {
		var some []*candidate
		octets := 0
		decide := func() error {
			found, err := decideAll(ctx, s.Query.root, some)
			for i, yes := range found {
				if yes {
					ids = append(ids, some[i].id)
				}
			}
			some, octets = some[:0], 0
			return err
		}
		err := x.rows(func(row *sqlite3.Stmt) error {
			c := &candidate{id: row.ColumnInt64(0), text: placeIn(row, 1), read: files.read}
			for i := range headerColumns {
				c.headers[i] = row.ColumnText(5 + i)
				octets += len(c.headers[i])
			}
			for i := range facts {
				c.facts = append(c.facts, row.ColumnInt64(5+len(headerColumns)+i) != 0)
			}
			if some = append(some, c); len(some) < atOnce*runtime.GOMAXPROCS(0) && octets < atOnceOctets {
				return nil
			}
			if err := decide(); err != nil {
				return err
			}
			if s.Limit > 0 && len(ids) >= s.Limit {
				return errEnough
			}
			return nil
		}, sql, values...)
		if errors.Is(err, errEnough) {
			return nil
		}
		return errors.Join(err, decide())
	})
	if s.Limit > 0 && len(ids) > s.Limit {
		ids = ids[:s.Limit]
	}
	return ids, err
}

// errEnough ends a search that has found what is wanted.
var errEnough = errors.New("enough")

// decideAll asks a query of candidates, on all processors.
func decideAll(ctx context.Context, root node, some []*candidate) (found []bool, err error) {
	found = make([]bool, len(some))
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < len(some) && errs[w] == nil; i += workers {
				if errs[w] = ctx.Err(); errs[w] == nil {
					found[i], errs[w] = root.holds(some[i])
					some[i].body = nil // one text a processor is enough: each may be of maxText octets
				}
			}
		})
	}
	group.Wait()
	return found, errors.Join(errs...)
}

// segmentFiles are segments that are open for reading.
type segmentFiles struct {
	x    *Index
	mu   sync.Mutex
	open map[int64]*os.File
}

func (f *segmentFiles) segment(id int64) (*os.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if file := f.open[id]; file != nil {
		return file, nil
	}
	file, err := os.Open(f.x.segmentPath(id))
	if err != nil {
		return nil, err
	}
	f.open[id] = file
	return file, nil
}

func (f *segmentFiles) read(p place) (string, error) {
	file, err := f.segment(p.segment)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	text.Grow(int(min(p.size, maxText)))
	err = p.open(context.Background(), file, &text)
	return text.String(), err
}

// Close closes all of them.
func (f *segmentFiles) Close() (err error) {
	for _, file := range f.open {
		err = errors.Join(err, file.Close())
	}
	return err
}
