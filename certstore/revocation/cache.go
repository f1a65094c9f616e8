package revocation

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
)

// What a Cache keeps.
const (
	DefaultCacheBytes = 512 << 20
	maxKept           = 7 * 24 * time.Hour // of what has no nextUpdate
	cacheSuffix       = ".revocation"
	cacheHeader       = 8    // octets: until when it is kept, in seconds since 1970
	minCacheFile      = 4096 // octets that a small file counts as, which bounds their number
)

// ErrCache is that a list or a response could not be kept. The answers that rest on it are none the worse.
var ErrCache = errors.New("what was fetched about revocation could not be kept")

// Cache keeps fetched lists and responses in a folder, each in a file that is named by the hash of the question, until
// its nextUpdate, or for a week where there is none. Files are replaced whole. Several processes may share the folder.
// Nothing in it is trusted.
type Cache struct {
	Dir   string      // is made if it is missing, readable by the owner alone
	Disk  safeio.Disk // does the writing
	Bytes int64       // in all; 0 means DefaultCacheBytes. Beyond that what was kept first goes first.
}

func (c *Cache) path(key string) string {
	name := sha256.Sum256([]byte(key))
	return filepath.Join(c.Dir, hex.EncodeToString(name[:])+cacheSuffix)
}

// load returns what is kept under a key, or nil. A file that cannot be read is as none.
func (c *Cache) load(key string) []byte {
	f, err := os.Open(c.path(key))
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, cacheHeader+MaxCRL+1))
	if err != nil || len(data) < cacheHeader {
		return nil
	}
	return data[cacheHeader:]
}

// store keeps DER until a time, and makes room for it.
func (c *Cache) store(key string, der []byte, until, now time.Time) error {
	if until.IsZero() {
		until = now.Add(maxKept)
	}
	data := binary.BigEndian.AppendUint64(make([]byte, 0, cacheHeader+len(der)), uint64(until.Unix()))
	err := c.Disk.MkdirAll(c.Dir, 0o700)
	if err == nil {
		err = c.Disk.WriteFile(c.path(key), append(data, der...), 0o600)
	}
	if err == nil {
		err = c.sweep(now)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCache, err)
	}
	return nil
}

// sweep removes what a kill left behind and what is out of date and, where it is still too much, what is oldest.
func (c *Cache) sweep(now time.Time) error {
	if err := safeio.RemoveStale(c.Dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return err
	}
	type file struct {
		path    string
		size    int64
		changed time.Time
	}
	var files []file
	var total int64
	for _, entry := range entries {
		path := filepath.Join(c.Dir, entry.Name())
		info, err := entry.Info()
		if !strings.HasSuffix(path, cacheSuffix) || err != nil || !info.Mode().IsRegular() {
			continue // not ours, or removed by another process
		}
		if expired(path, now) {
			if err := c.remove(path); err != nil {
				return err
			}
			continue
		}
		f := file{path, max(info.Size(), minCacheFile), info.ModTime()}
		files, total = append(files, f), total+f.size
	}
	most := c.Bytes
	if most <= 0 {
		most = DefaultCacheBytes
	}
	slices.SortFunc(files, func(a, b file) int {
		return cmp.Or(a.changed.Compare(b.changed), strings.Compare(a.path, b.path))
	})
	for _, f := range files {
		if total <= most {
			break
		}
		if err := c.remove(f.path); err != nil {
			return err
		}
		total -= f.size
	}
	return nil
}

func (c *Cache) remove(path string) error {
	if err := c.Disk.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// expired reports whether a file is out of date by its own header.
func expired(path string, now time.Time) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var header [cacheHeader]byte
	if _, err := io.ReadFull(f, header[:]); err != nil {
		return true
	}
	return int64(binary.BigEndian.Uint64(header[:])) < now.Add(-skew).Unix()
}
