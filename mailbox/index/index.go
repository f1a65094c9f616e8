package index

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/sealmail/sealmail/internal/safeio"
)

// Errors of an Index; they arrive wrapped.
var (
	// ErrDamaged says that a file of the index was damaged or altered, or made under another key. [Destroy] it and begin anew.
	ErrDamaged = errors.New("the index is damaged or was made under another key")
	// ErrNewer says that a later version of this program made the index.
	ErrNewer = errors.New("the index was made by a later version")
	// ErrBusy says that another process wrote for longer than it is waited for.
	ErrBusy = errors.New("another process is writing the index")
	// ErrRenumbered says that the folder has another UIDVALIDITY than the messages are of.
	ErrRenumbered = errors.New("the folder was renumbered")
	// ErrReplaced says that another process found the index damaged, and made it anew: open it again.
	ErrReplaced = errors.New("another process has made the index anew")
)

const (
	databaseName = "mail.db"
	// damagedName is a file that says that damage was met. Most pages and segments are not looked at when an index is opened.
	damagedName = "damaged"
	version     = 2 // of the schema; version 1 was a file for each folder
	busyFor     = 30 * time.Second
)

// schema is what a new database gets. What a list reads is apart from what it does not; headers are folded, for searching.
const schema = `
CREATE TABLE folders(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, validity INTEGER NOT NULL, modseq INTEGER NOT NULL) STRICT;
CREATE TABLE messages(id INTEGER PRIMARY KEY, folder INTEGER NOT NULL, uid INTEGER NOT NULL, date INTEGER, size INTEGER NOT NULL,
	flags TEXT NOT NULL, modseq INTEGER NOT NULL, verdict TEXT NOT NULL, encryption TEXT NOT NULL, attachments INTEGER NOT NULL,
	message_id TEXT NOT NULL, line BLOB NOT NULL, UNIQUE(folder, uid)) STRICT;
CREATE INDEX messages_by_message_id ON messages(message_id);
CREATE TABLE evidence(message INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE headers(message INTEGER PRIMARY KEY, sender TEXT NOT NULL, recipients TEXT NOT NULL, copies TEXT NOT NULL, subject TEXT NOT NULL) STRICT;
CREATE TABLE sealed(message INTEGER NOT NULL, kind INTEGER NOT NULL, segment INTEGER NOT NULL, start INTEGER NOT NULL, size INTEGER NOT NULL,
	key BLOB NOT NULL, PRIMARY KEY(message, kind)) STRICT, WITHOUT ROWID;
CREATE INDEX sealed_by_segment ON sealed(segment);
CREATE TABLE segments(id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, size INTEGER NOT NULL, live INTEGER NOT NULL) STRICT;
`

// Index is the cache of one account. It is for use by several goroutines, which wait for each other.
type Index struct {
	disk safeio.Disk
	dir  string

	mu      sync.Mutex
	db      *sqlite3.Conn
	find    *sqlite3.Stmt // of FindEverywhere; nil: not needed yet
	file    fs.FileInfo   // of the database that is open
	release func()        // gives the name of the file system back
	swept   bool          // files that nothing names were looked for
	damaged bool          // the next who opens it is to know
}

// Open opens the index in a folder, which it makes where it is missing. The folder should hold nothing else: files of
// version 1 are removed, and replaced reports that there were some. The error wraps ErrDamaged, ErrNewer, or says what the
// disk did.
func Open(ctx context.Context, disk safeio.Disk, dir string, key [32]byte) (x *Index, replaced bool, err error) {
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("index: %w", err)
	}
	if replaced, err = removeVersion1(disk, dir); err != nil {
		return nil, false, fmt.Errorf("index: %w", err)
	}
	x = &Index{disk: disk, dir: dir}
	if err := x.open(ctx, key); err != nil {
		return nil, false, errors.Join(x.explain(ctx, err), x.Close())
	}
	return x, replaced, nil
}

// removeVersion1 removes the files of the first version, one a folder.
func removeVersion1(disk safeio.Disk, dir string) (found bool, err error) {
	old, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.index"))
	for _, path := range old {
		err = errors.Join(err, disk.Remove(path))
	}
	return len(old) > 0, err
}

// escapeGlob makes a pattern that is a path and nothing else.
func escapeGlob(path string) string {
	if os.PathSeparator == '\\' { // where no escape exists, and these characters are rare
		return path
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func (x *Index) open(ctx context.Context, key [32]byte) (err error) {
	if _, err := os.Lstat(filepath.Join(x.dir, damagedName)); !errors.Is(err, fs.ErrNotExist) {
		return cmp.Or(err, error(ErrDamaged))
	}
	path := filepath.Join(x.dir, databaseName)
	// SQLite makes files by the umask; the log beside takes the mode of this one.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	x.file, err = file.Stat()
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	system, release := fileSystem(x.disk)
	x.release = release
	// SQLite takes a plus sign for what it is.
	query := strings.ReplaceAll(url.Values{"vfs": {system}, "modeof": {path}}.Encode(), "+", "%20")
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: query}
	if x.db, err = sqlite3.OpenContext(ctx, u.String()); err != nil {
		return err
	}
	if err := x.db.BusyTimeout(busyFor); err != nil {
		return err
	}
	// The key is not in the URI, which is kept and can be asked for.
	if err := x.db.Exec("PRAGMA hexkey='" + hex.EncodeToString(key[:]) + "'"); err != nil {
		return err
	}
	if err := x.db.Exec("PRAGMA temp_store=memory; PRAGMA secure_delete=on; PRAGMA synchronous=full; PRAGMA cache_size=-16384"); err != nil {
		return err
	}
	found, err := x.number("PRAGMA user_version")
	switch {
	case err != nil:
		return err
	case found > version:
		return ErrNewer
	case found < version:
		return x.create()
	}
	return nil
}

// create makes the tables, unless another process is faster.
func (x *Index) create() (err error) {
	if err := x.db.EnableChecksums(""); err != nil {
		return err
	}
	if err := x.db.Exec("PRAGMA journal_mode=wal"); err != nil {
		return err
	}
	tx, err := x.db.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	found, err := x.number("PRAGMA user_version")
	if err != nil || found == version {
		return err
	}
	return x.db.Exec(fmt.Sprintf("%s; PRAGMA user_version=%d", schema, version))
}

// Close closes the index. Where damage was met, it is written down that the index is good for nothing more.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	var err error
	if x.damaged && x.inPlace() {
		err = x.disk.WriteFile(filepath.Join(x.dir, damagedName), nil, 0o600)
		x.damaged = false
	}
	if x.find != nil {
		err = errors.Join(err, x.find.Close())
		x.find = nil
	}
	if x.db != nil {
		err = errors.Join(err, x.db.Close())
		x.db = nil
	}
	if x.release != nil {
		x.release()
		x.release = nil
	}
	return err
}

// inPlace reports whether the database that is open is still the one in the folder, and not one that was destroyed.
func (x *Index) inPlace() bool {
	now, err := os.Stat(filepath.Join(x.dir, databaseName))
	return err == nil && os.SameFile(now, x.file)
}

// met notes that damage was met, where an error says so.
func (x *Index) met(err error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.damaged = x.damaged || errors.Is(err, ErrDamaged)
	return err
}

// Destroy removes an index that is good for nothing more. Whoever has it open meets errors.
func Destroy(disk safeio.Disk, dir string) error {
	// The database first: octets without it are noise, and it without octets would promise what is not there.
	for _, name := range []string{databaseName, databaseName + "-wal", databaseName + "-shm", databaseName + "-journal"} {
		if err := disk.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("index: %w", err)
		}
	}
	if err := disk.RemoveAll(dir); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	return nil
}

// read does what only reads.
func (x *Index) read(ctx context.Context, do func() error) (err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db == nil {
		return fmt.Errorf("index: %w", fs.ErrClosed)
	}
	defer x.db.SetInterrupt(x.db.SetInterrupt(ctx))
	err = x.explain(ctx, do())
	x.damaged = x.damaged || errors.Is(err, ErrDamaged)
	return err
}

// write does what writes, as one transaction: nobody else writes meanwhile, neither to the database nor to segments.
func (x *Index) write(ctx context.Context, do func() error) error {
	return x.read(ctx, func() (err error) {
		tx, err := x.db.BeginImmediate()
		if err != nil {
			return err
		}
		defer tx.End(&err)
		if !x.inPlace() { // segments are found by their names, and those of the new index are not ours
			return ErrReplaced
		}
		return do()
	})
}

// explain wraps an error of the database in what it means.
func (x *Index) explain(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && errors.Is(err, sqlite3.INTERRUPT):
		return ctx.Err()
	case errors.Is(err, sqlite3.CORRUPT), errors.Is(err, sqlite3.NOTADB), errors.Is(err, sqlite3.IOERR_DATA):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case errors.Is(err, sqlite3.BUSY):
		return ErrBusy
	case errors.Is(err, ErrDamaged), errors.Is(err, ErrNewer), errors.Is(err, ErrRenumbered), errors.Is(err, ErrReplaced):
		return err
	}
	return fmt.Errorf("index: %w", err)
}

// number is the first column of the first row of an answer, or zero.
func (x *Index) number(sql string, args ...any) (n int64, err error) {
	return n, x.rows(func(s *sqlite3.Stmt) error {
		n = s.ColumnInt64(0)
		return nil
	}, sql, args...)
}

// rows calls each for every row of an answer.
func (x *Index) rows(each func(*sqlite3.Stmt) error, sql string, args ...any) error {
	s, _, err := x.db.Prepare(sql)
	if err != nil {
		return err
	}
	defer s.Close()
	return answers(s, each, args...)
}

// answers runs a statement, and each for every row of its answer.
func answers(s *sqlite3.Stmt, each func(*sqlite3.Stmt) error, args ...any) error {
	if err := bind(s, args...); err != nil {
		return err
	}
	for s.Step() {
		if err := each(s); err != nil {
			return err
		}
	}
	return s.Err()
}

// exec runs a statement that has no answer.
func (x *Index) exec(sql string, args ...any) error {
	return x.rows(func(*sqlite3.Stmt) error { return nil }, sql, args...)
}

// statements are prepared once for many rows.
type statements []*sqlite3.Stmt

// prepare compiles statements, which are to be closed.
func (x *Index) prepare(sql ...string) (all statements, err error) {
	for _, text := range sql {
		s, _, err := x.db.Prepare(text)
		if err != nil {
			return nil, errors.Join(err, all.Close())
		}
		all = append(all, s)
	}
	return all, nil
}

// Close closes all of them.
func (all statements) Close() (err error) {
	for _, s := range all {
		err = errors.Join(err, s.Close())
	}
	return err
}

// run runs a statement anew.
func run(s *sqlite3.Stmt, args ...any) error {
	if err := bind(s, args...); err != nil {
		return err
	}
	return s.Exec()
}

func bind(s *sqlite3.Stmt, args ...any) (err error) {
	for i, arg := range args {
		switch v := arg.(type) {
		case int64:
			err = s.BindInt64(i+1, v)
		case string:
			err = s.BindText(i+1, v)
		case []byte:
			if err = s.BindBlob(i+1, v); len(v) == 0 {
				err = s.BindZeroBlob(i+1, 0) // not NULL
			}
		case time.Time:
			err = s.BindNull(i + 1)
			if !v.IsZero() {
				err = s.BindInt64(i+1, v.Unix())
			}
		default:
			err = fmt.Errorf("a %T cannot be stored", arg)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
