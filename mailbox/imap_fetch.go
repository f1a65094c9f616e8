package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// pieceSize is how many octets of a message are asked for at once. One piece is under way at a time: the library cannot
// tell the answers of two commands about one message apart, and waits for ever when it hands one to the wrong command.
const pieceSize = 4 << 20

// Fetch reads a message in pieces and writes each as it comes.
func (s *IMAP) Fetch(ctx context.Context, folder string, uid UID, dst io.Writer) error {
	if uid == 0 {
		return inFolder(folder, ErrNotFound)
	}
	session, folder, err := s.open(ctx, folder, false, false)
	if err != nil {
		return err
	}
	defer s.release()
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

// run gets piece after piece. The message ends with a piece that comes short. Where that is not where its size says, it
// is asked once more for what follows: some servers are wrong about the size of messages, but none about there being no
// more of it.
func (t *transfer) run(ctx context.Context) error {
	for {
		var n int64
		err := t.session.do(ctx, "fetch", pieceSize+answerBudget, func() (err error) {
			n, err = t.take(t.ask())
			return err
		})
		switch {
		case err != nil:
			return err
		case n == 0 && t.done == 0 && t.size > 0:
			return ErrNotFound // there was something, and now there is nothing
		case n == 0 || n < pieceSize && t.done == t.size:
			return nil
		}
	}
}

// ask asks for the next piece, and for the size as long as it is not known. PEEK does not mark the message as seen.
func (t *transfer) ask() *imapclient.FetchCommand {
	section := &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Offset: t.done, Size: pieceSize}}
	return t.session.client.Fetch(imap.UIDSetNum(t.uid), &imap.FetchOptions{
		UID:         true,
		RFC822Size:  t.size < 0,
		BodySection: []*imap.FetchItemBodySection{section},
	})
}

// errCut says that a piece ended before its end.
var errCut = fmt.Errorf("in the text of a message: %w", io.ErrUnexpectedEOF)

// take reads the answer, writes the piece, and returns how many octets it had. A server may tell of changed flags at
// any time in the form of an answer; the library takes that for the one waited for and throws the true one away. take
// then claims a whole piece, which makes run ask for the same again.
func (t *transfer) take(cmd *imapclient.FetchCommand) (n int64, err error) {
	var found, text bool
	for m := cmd.Next(); m != nil; m = cmd.Next() {
		found = true
		if n, text, err = t.items(m); err != nil {
			break
		}
	}
	if errors.Is(err, errCut) {
		return n, err // to read on, even to throw it away, would be a data race in the library
	}
	closed := cmd.Close()
	switch {
	case err != nil:
		return n, err
	case closed != nil:
		return n, closed
	case !found:
		return 0, &localError{ErrNotFound}
	case text && t.size >= 0:
		t.mixedUp = 0
		return n, nil
	}
	if t.mixedUp++; t.mixedUp >= attempts || text {
		return n, reasonError{ReasonProtocol, "a message without text or without a size"}
	}
	return pieceSize, nil
}

// items reads what an answer says of the message.
func (t *transfer) items(m *imapclient.FetchMessageData) (n int64, text bool, err error) {
	for item := m.Next(); item != nil; item = m.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataRFC822Size:
			if t.size < 0 {
				t.size = item.Size
			}
			if t.size > t.limit {
				return n, text, t.tooLarge(t.size)
			}
		case imapclient.FetchItemDataBodySection:
			if item.Section.Partial == nil || item.Section.Partial.Offset != t.done || text {
				return n, text, reasonError{ReasonProtocol, "a piece of the message that was not asked for"}
			}
			text = true
			if item.Literal == nil {
				// NIL, not an empty string: there is no text any more. Dovecot says so of a message that was expunged
				// while the folder was open, with a size of 0 and with OK. Behind the end it may mean the end.
				if t.done == 0 || t.done != t.size {
					return n, text, &localError{ErrNotFound}
				}
				continue
			}
			if n, err = t.copy(item.Literal); err != nil {
				return n, text, err
			}
		}
	}
	return n, text, nil
}

// copy writes a piece to its destination.
func (t *transfer) copy(r imap.LiteralReader) (n int64, err error) {
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
			return n, errCut // the library ends a literal quietly where the connection ends
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
