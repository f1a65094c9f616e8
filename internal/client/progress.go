package client

import (
	"context"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/smime"
)

// Progress is how far something is that may take long.
type Progress struct {
	What        string // a folder, a file, or what is done
	Done, Total int    // messages; of nothing: it is octets alone
	Octets      int64  // of Done
	AllOctets   int64  // of Total, as far as is known
}

// tell tells how far something is, where somebody wants to know. It is for use by several goroutines.
func (c *Client) tell(p Progress) {
	if c.o.Progress != nil {
		c.o.Progress(p)
	}
}

// tellingReader tells how much of it was read.
type tellingReader struct {
	io.Reader
	client *Client
	so     Progress
}

func (r *tellingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.so.Octets += int64(n)
	r.client.tell(r.so)
	return n, err
}

// tellingFile is a tellingReader that is closed.
type tellingFile struct {
	tellingReader
	io.Closer
}

// tellingSource tells up to where it was read.
type tellingSource struct {
	smime.Source
	client *Client

	mu sync.Mutex
	so Progress
}

// fileSource is an open file of this size, of which is told up to where it was read.
func (c *Client) fileSource(name string, f *os.File, info fs.FileInfo) smime.Source {
	return &tellingSource{Source: io.NewSectionReader(f, 0, info.Size()), client: c, so: Progress{What: name, AllOctets: info.Size()}}
}

func (s *tellingSource) ReadAt(p []byte, at int64) (int, error) {
	n, err := s.Source.ReadAt(p, at)
	s.mu.Lock()
	s.so.Octets = max(s.so.Octets, at+int64(n))
	so := s.so
	s.mu.Unlock()
	s.client.tell(so)
	return n, err
}

// tellingSubmitter tells how much of a message was sent.
type tellingSubmitter struct {
	mailbox.Submitter
	client *Client
}

func (s tellingSubmitter) Submit(ctx context.Context, e mailbox.Envelope, size int64, message io.Reader, commit func() error) error {
	message = &tellingReader{Reader: message, client: s.client, so: Progress{What: "sending", AllOctets: size}}
	return s.Submitter.Submit(ctx, e, size, message, commit)
}

// tellingStore tells how much of a message was put into a folder.
type tellingStore struct {
	mailbox.Store
	client *Client
}

func (s tellingStore) Append(ctx context.Context, folder string, m mailbox.NewMessage) (mailbox.UID, error) {
	m.Body = &tellingReader{Reader: m.Body, client: s.client, so: Progress{What: "copy in " + folder, AllOctets: m.Size}}
	return s.Store.Append(ctx, folder, m)
}
