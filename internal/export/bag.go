package export

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sealmail/sealmail/mailbox/archive/bag"
)

// Field is an element of bag-info.txt.
type Field = bag.Field

// recordsName is that of the file with the records, below the folder of the payload.
const recordsName = "records.jsonl"

// Record is a line of data/records.jsonl in a bag.
type Record struct {
	Number uint64          `json:"number"`
	File   string          `json:"file"`   // path below the bag's base folder
	Folder string          `json:"folder"` // as it was called: the path may have other characters
	Flags  []string        `json:"flags"`
	Date   *time.Time      `json:"date,omitempty"` // of arrival, in UTC
	Size   int64           `json:"size"`
	SHA512 string          `json:"sha512"`
	Record json.RawMessage `json:"record,omitempty"`
}

// bagFolder is a bag.
type bagFolder struct {
	tree    *tree
	bag     *bag.Writer
	info    []Field
	clock   func() time.Time
	spool   *os.File // the records: a bag's files are written one after the other
	records *bufio.Writer
}

func newBag(o Options, dir, spool string) (exporter, error) {
	b := &bagFolder{tree: newTree(o.Disk, dir), info: o.Info, clock: o.Clock}
	var err error
	if b.bag, err = bag.NewWriter(b.tree); err != nil {
		return nil, err
	}
	if b.spool, err = os.OpenFile(spool, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	b.records = bufio.NewWriterSize(b.spool, 64<<10)
	return b, nil
}

func (b *bagFolder) add(ctx context.Context, m Message) error {
	path := folderPath(m.Folder) + "/" + fileName(m)
	f, err := b.bag.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, &exact{ctx, m.Octets, m.Size}); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	written, _ := b.bag.Last()
	r := Record{Number: m.Number, File: written.Name, Folder: m.Folder, Flags: m.Flags, Size: m.Size, SHA512: hex.EncodeToString(written.SHA512[:]), Record: m.Record}
	if r.Flags == nil {
		r.Flags = []string{}
	}
	if !m.Date.IsZero() {
		date := m.Date.UTC()
		r.Date = &date
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("record of message %d: %w", m.Number, err)
	}
	_, err = b.records.Write(append(line, '\n'))
	return err
}

func (b *bagFolder) finish() error {
	if err := b.records.Flush(); err != nil {
		return err
	}
	if _, err := b.spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	f, err := b.bag.Create(recordsName)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, b.spool); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := b.bag.Close(append(b.info[:len(b.info):len(b.info)], Field{Label: "Bagging-Date", Value: b.clock().UTC().Format(time.DateOnly)})); err != nil {
		return err
	}
	return b.tree.flush()
}

func (b *bagFolder) release() error { return b.spool.Close() }
