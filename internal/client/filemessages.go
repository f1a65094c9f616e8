package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/sealmail/sealmail/mailbox/mbox"
	"github.com/sealmail/sealmail/smime/spool"
)

// fileMessage is a message in a file. It must be closed.
type fileMessage struct {
	*source
	name  string
	index int   // in an mbox file, from 1; 0 where the file is the message
	err   error // why there is no source
}

// Close ends the use of the file.
func (m fileMessage) Close() error {
	if m.source == nil {
		return nil
	}
	return m.source.Close()
}

// messagesIn yields the messages in files, mbox files and Maildir folders, in their order. What is in a file is found while
// the messages before are looked at: an mbox file of any size is read in constant memory.
func (c *Client) messagesIn(ctx context.Context, files []string) iter.Seq[fileMessage] {
	return func(yield func(fileMessage) bool) {
		for _, name := range files {
			info, err := os.Stat(name)
			if name != "-" && err == nil && info.IsDir() {
				if !c.messagesInMaildir(name, yield) {
					return
				}
				continue
			}
			src, err := c.openSource(name)
			if err != nil {
				if !yield(fileMessage{name: name, err: err}) {
					return
				}
				continue
			}
			head := make([]byte, min(512, src.Size()))
			if _, err := src.ReadAt(head, 0); err != nil || !mbox.Is(head) {
				if !yield(fileMessage{name: name, source: src}) { // who reads it will meet the error
					return
				}
				continue
			}
			if !messagesInMbox(ctx, name, src, yield) {
				return
			}
		}
	}
}

// messagesInMbox yields the messages in an mbox file, which is closed when nobody uses it any more.
func messagesInMbox(ctx context.Context, name string, box *source, yield func(fileMessage) bool) bool {
	var uses atomic.Int32
	uses.Store(1)
	release := func() error {
		if uses.Add(-1) > 0 {
			return nil
		}
		return box.Close()
	}
	defer release()
	index := 0
	for at, err := range mbox.Messages(contextReader{ctx, io.NewSectionReader(box, 0, box.Size())}) {
		index++
		m := fileMessage{name: name, index: index, err: err}
		if err == nil {
			uses.Add(1)
			m.source = &source{io.NewSectionReader(box, at.Start, at.End-at.Start), release, box.changed}
		}
		if !yield(m) {
			return false
		}
	}
	return true
}

var errNoMaildir = errors.New("is a folder, and no Maildir: there is no cur in it")

// messagesInMaildir yields the messages in a Maildir folder: those that were seen by some program, and the new ones.
func (c *Client) messagesInMaildir(name string, yield func(fileMessage) bool) bool {
	for _, part := range []string{"cur", "new"} {
		folder := filepath.Join(name, part)
		entries, err := os.ReadDir(folder)
		switch {
		case errors.Is(err, fs.ErrNotExist) && part == "cur":
			return yield(fileMessage{name: name, err: unreadable(fmt.Errorf("%s %w", name, errNoMaildir))})
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return yield(fileMessage{name: name, err: unreadable(err)})
		}
		for _, entry := range entries {
			if !entry.Type().IsRegular() {
				continue
			}
			path := filepath.Join(folder, entry.Name())
			src, err := c.openSource(path)
			if !yield(fileMessage{name: path, source: src, err: err}) {
				return false
			}
		}
	}
	return true
}

// onlyMessageIn returns the message in a file that holds no other.
func (c *Client) onlyMessageIn(ctx context.Context, file string) (only fileMessage, err error) {
	for m := range c.messagesIn(ctx, []string{file}) {
		switch {
		case only.name != "":
			several := failed(file, errors.New("there are several messages in it, and -o writes the content of one"), "write each to a file of its own first")
			return fileMessage{}, errors.Join(several, only.Close(), m.Close())
		case m.err != nil:
			return fileMessage{}, m.err
		}
		only = m
	}
	if only.name == "" {
		return only, failed(file, errors.New("there is no message in it"), "")
	}
	return only, nil
}

// unquoted returns the message as it was before an mbox file quoted its lines that start with "From ". It is nil if there are none.
func (c *Client) unquoted(m fileMessage) (*fileMessage, error) {
	s := spool.New(c.spoolOptions())
	changed, err := mbox.Unquote(s, io.NewSectionReader(m, 0, m.Size()))
	if err != nil || !changed {
		return nil, errors.Join(err, s.Close())
	}
	m.source = &source{s, s.Close, m.changed}
	return &m, nil
}

// label is what an error calls the message.
func (m fileMessage) label() string {
	if m.index == 0 {
		return m.name
	}
	return fmt.Sprintf("%s, message %d", m.name, m.index)
}
