package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

const (
	// pieceSize is how many octets of a message are asked for at once: enough that asking costs little, and little
	// enough that a slow line moves it within a step.
	pieceSize = 1 << 20
	// pieceDepth is how many pieces are on the way at a time, so that the line is not idle while one is asked for.
	pieceDepth = 2
)

// Fetch reads a message in pieces and writes each as it comes.
func (s *IMAP) Fetch(ctx context.Context, folder string, uid UID, dst io.Writer) error {
	folder, err := folderName(folder)
	if err != nil {
		return err
	}
	if uid == 0 {
		return inFolder(folder, ErrNotFound)
	}
	session, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer s.release()
	if _, err := s.choose(ctx, session, folder, false, false); err != nil {
		return err
	}
	t := &transfer{session: session, uid: imap.UID(uid), dst: dst, buffer: make([]byte, 32<<10), limit: s.options.MaxMessage, size: -1}
	if err := t.run(ctx); err != nil {
		return inFolder(folder, fmt.Errorf("message %d: %w", uid, err))
	}
	return nil
}

// transfer is one message on its way.
type transfer struct {
	session *imapSession
	uid     imap.UID
	dst     io.Writer
	buffer  []byte
	limit   int64 // of the message, in octets
	size    int64 // what the server says it is; -1 while unknown
	done    int64 // octets written
	mixedUp int   // how often in a row a piece was asked for in vain
}

// run gets the first piece, which tells the size, and then the others. The message ends with a piece that comes short.
// Where that is not where its size says, it is asked once more for what follows: some servers are wrong about the size
// of messages, but none about there being no more of it.
func (t *transfer) run(ctx context.Context) error {
	n, err := t.single(ctx)
	for err == nil {
		switch {
		case n == pieceSize && t.done < t.size:
			n, err = t.pipelined(ctx)
		case n == 0 && t.done == 0 && t.size > 0:
			return ErrNotFound // there was something, and now there is nothing
		case n == 0 || n < pieceSize && t.done == t.size:
			return nil
		default:
			n, err = t.single(ctx)
		}
	}
	return err
}

// single gets the piece that follows, and returns how many octets came.
func (t *transfer) single(ctx context.Context) (n int64, err error) {
	err = t.step(ctx, func() error {
		n, err = t.take(t.ask(t.done))
		return err
	})
	return n, err
}

// pipelined gets pieces up to the message's size or to one that comes short, and returns how many octets the last had.
func (t *transfer) pipelined(ctx context.Context) (n int64, err error) {
	var flight []*imapclient.FetchCommand
	next := t.done
	for err == nil && (next < t.size || len(flight) > 0) {
		expect := t.done + pieceSize
		err = t.step(ctx, func() error {
			for ; len(flight) < pieceDepth && next < t.size; next += pieceSize {
				flight = append(flight, t.ask(next))
			}
			cmd := flight[0]
			flight = flight[1:]
			n, err = t.take(cmd)
			return err
		})
		if t.done != expect {
			break // what follows was asked for at the wrong place
		}
	}
	for _, cmd := range flight {
		// The answers have to be read in any case; without err they are asked for again.
		if lost := t.step(ctx, cmd.Close); err == nil && !errors.As(lost, new(*ServerError)) {
			err = lost
		}
	}
	return n, err
}

func (t *transfer) step(ctx context.Context, f func() error) error {
	return t.session.do(ctx, "fetch", pieceDepth*pieceSize+answerBudget, f)
}

// ask asks for the piece at an offset, and for the size as long as it is not known. PEEK does not mark it as seen.
func (t *transfer) ask(offset int64) *imapclient.FetchCommand {
	section := &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Offset: offset, Size: pieceSize}}
	return t.session.client.Fetch(imap.UIDSetNum(t.uid), &imap.FetchOptions{
		UID:         true,
		RFC822Size:  t.size < 0,
		BodySection: []*imap.FetchItemBodySection{section},
	})
}

// take reads the answer, the piece at t.done, and returns how many octets it had. A server may tell of changed flags at
// any time in the form of an answer; the library takes that for the one waited for and throws the true one away. take
// then claims a whole piece, which makes run go on asking at the same place.
func (t *transfer) take(cmd *imapclient.FetchCommand) (n int64, err error) {
	found, body := false, false
	for m := cmd.Next(); m != nil && err == nil; m = cmd.Next() {
		found = true
		for item := m.Next(); item != nil && err == nil; item = m.Next() {
			switch item := item.(type) {
			case imapclient.FetchItemDataRFC822Size:
				if t.size < 0 {
					t.size = item.Size
				}
				if t.size > t.limit {
					err = t.tooLarge(t.size)
				}
			case imapclient.FetchItemDataBodySection:
				if item.Section.Partial == nil || item.Section.Partial.Offset != t.done || body {
					err = reasonError{ReasonProtocol, "a piece of the message that was not asked for"}
					break
				}
				body = true
				n, err = t.copy(item.Literal)
			}
		}
	}
	closed := cmd.Close()
	switch {
	case err != nil && (closed == nil || errors.As(err, new(*localError))):
		return n, err
	case closed != nil:
		return n, closed
	case !found:
		return 0, &localError{ErrNotFound}
	case body && t.size >= 0:
		t.mixedUp = 0
		return n, nil
	}
	if t.mixedUp++; t.mixedUp >= attempts || body {
		return n, reasonError{ReasonProtocol, "a message without text or without a size"}
	}
	return pieceSize, nil
}

// copy writes a piece to its destination.
func (t *transfer) copy(r imap.LiteralReader) (n int64, err error) {
	if r == nil { // NIL
		return 0, nil
	}
	switch {
	case r.Size() > pieceSize:
		return 0, reasonError{ReasonProtocol, "more than the piece that was asked for"}
	case t.done+r.Size() > t.limit:
		return 0, t.tooLarge(t.done + r.Size())
	}
	for n < r.Size() {
		// Whole buffers, so that time stands still for writing only after some progress.
		k, err := io.ReadFull(r, t.buffer[:min(int64(len(t.buffer)), r.Size()-n)])
		if err != nil {
			return n, io.ErrUnexpectedEOF // the library ends a literal quietly where the connection ends
		}
		t.session.conn.hold(func() { _, err = t.dst.Write(t.buffer[:k]) })
		if err != nil {
			return n, &localError{err}
		}
		n += int64(k)
		t.done += int64(k)
	}
	return n, nil
}

func (t *transfer) tooLarge(size int64) error {
	return &localError{&TooLargeError{Endpoint: t.session.endpoint, Size: size, Limit: t.limit}}
}
