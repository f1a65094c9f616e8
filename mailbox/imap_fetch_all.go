package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

const (
	// batchMessages and batchOctets bound what one command asks for.
	batchMessages = 64
	batchOctets   = pieceSize
	// ahead is how many commands are under way: while the answer to one is read, the server works on the next. maxPending
	// is how many may wait for their end, after all messages that they ask for came.
	ahead      = 2
	maxPending = 16
	// maxHeld bounds the octets of messages that came before their turn.
	maxHeld = 2 * batchOctets
	// sizeSlack is how many octets a message may have beyond twice its size. Servers that reckon sizes instead of
	// counting octets are wrong by less.
	sizeSlack = 64 << 10
)

// FetchAll gets runs of small messages with one command for many, and large messages in pieces.
func (s *IMAP) FetchAll(ctx context.Context, folder string, messages []Info, to Receiver) error {
	session, folder, err := s.open(ctx, folder, false, false)
	if err != nil {
		return err
	}
	defer s.release()
	f := &manyTransfer{session: session, to: to, buffer: make([]byte, 32<<10), limit: s.options.MaxMessage}
	for messages = distinct(messages); len(messages) > 0; {
		n, err := f.run(ctx, messages)
		if err != nil {
			return inFolder(folder, err)
		}
		if n > 0 {
			f.refused = 0
		}
		if messages = messages[n:]; len(messages) == 0 {
			break
		}
		if err := f.single(ctx, messages[0]); err != nil {
			return inFolder(folder, fmt.Errorf("message %d: %w", messages[0].UID, err))
		}
		messages = messages[1:]
	}
	return nil
}

// distinct leaves out what was named before: the library cannot tell two answers about one message apart.
func distinct(messages []Info) []Info {
	seen := make(map[UID]bool, len(messages))
	var out []Info
	for _, m := range messages {
		if !seen[m.UID] {
			seen[m.UID] = true
			out = append(out, m)
		}
	}
	return out
}

// manyTransfer is many messages on their way.
type manyTransfer struct {
	session *imapSession
	to      Receiver
	buffer  []byte
	limit   int64 // of a message, in octets
	refused int   // how many messages in a row the server refused
}

// small reports whether a message is asked for together with others. One of unknown size is not.
func (f *manyTransfer) small(m Info) bool {
	return m.UID != 0 && m.Size > 0 && m.Size <= min(pieceSize, f.limit)
}

// most is how many octets a small message may turn out to have.
func most(m Info) int64 { return 2*m.Size + sizeSlack }

// run gets the small messages that stand first, and returns how many it is through with: fewer than there are where the
// next one has to be asked for by itself.
func (f *manyTransfer) run(ctx context.Context, messages []Info) (n int, err error) {
	budget := int64(answerBudget)
	for i, m := range messages {
		if !f.small(m) {
			messages = messages[:i]
			break
		}
		budget += most(m)
	}
	if len(messages) == 0 {
		return 0, nil
	}
	r := &run{manyTransfer: f, messages: messages, answers: make(map[UID]*answer), events: make(chan event), quit: make(chan struct{})}
	defer close(r.quit)
	err = f.session.do(ctx, "fetch", budget, r.do)
	return r.done, err
}

// run is a row of small messages on their way. Commands are under way all the time, and what is answered to one may come
// before the end of another: Dovecot sends the ends of several together.
type run struct {
	*manyTransfer
	messages []Info
	asked    int // the first so many were asked for
	done     int // the first so many were handed over
	answers  map[UID]*answer
	held     int64 // octets in answers
	pending  int   // commands without an end
	busy     int   // commands that have not answered for all of their messages
	events   chan event
	quit     chan struct{} // closed: nobody listens to events any more
}

// answer is what is known of a message that was asked for and not handed over.
type answer struct {
	info  Info
	state answerState
	text  []byte
}

type answerState int

const (
	awaited answerState = iota
	arrived             // its text is here, before its turn
	gone
	again // has to be asked for by itself
)

// batch is one command. It belongs to its goroutine while that waits for the next message, and to the run otherwise.
type batch struct {
	messages []Info
	left     int // messages without an answer
	cmd      *imapclient.FetchCommand
	read     chan struct{} // the message of the last event was read
}

// event is a message of a batch, or its end.
type event struct {
	batch   *batch
	message *imapclient.FetchMessageData
}

// ask sends a command for as many messages as go into one.
func (r *run) ask() {
	var (
		b      = &batch{read: make(chan struct{})}
		octets int64
		uids   []UID
	)
	for _, m := range r.messages[r.asked:] {
		if octets += m.Size; len(uids) == batchMessages || len(uids) > 0 && octets > batchOctets {
			break
		}
		uids = append(uids, m.UID)
		r.answers[m.UID] = &answer{info: m}
	}
	b.messages, b.left = r.messages[r.asked:r.asked+len(uids)], len(uids)
	r.asked += len(uids)
	r.pending++
	r.busy++
	b.cmd = r.session.client.Fetch(uidSets(uids)[0], &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
	go b.listen(r.events, r.quit)
}

// listen passes on the messages of a batch, each when the one before was read.
func (b *batch) listen(events chan<- event, quit <-chan struct{}) {
	for {
		m := b.cmd.Next()
		select {
		case events <- event{b, m}:
		case <-quit:
			return
		}
		if m == nil {
			return
		}
		select {
		case <-b.read:
		case <-quit:
			return
		}
	}
}

// do asks and reads until all is handed over, or one message has to be asked for by itself, or the receiver wants no
// more. In the latter two cases what is under way is thrown away: the connection is good for more.
func (r *run) do() error {
	var (
		stop bool
		err  error
	)
	for {
		for !stop && r.busy < ahead && r.pending < maxPending && r.asked < len(r.messages) {
			r.ask()
		}
		if r.pending == 0 {
			return err
		}
		e := <-r.events
		if e.message == nil {
			r.pending--
			closed := e.batch.cmd.Close()
			if closed != nil && !errors.As(closed, new(*imap.Error)) {
				return closed
			}
			r.close(e.batch, closed != nil)
		} else if !stop {
			err = r.answer(e.batch, e.message)
			if errors.Is(err, errCut) {
				return err // see transfer.take
			}
		}
		if err == nil && !stop {
			stop, err = r.advance()
		}
		stop = stop || err != nil
		if e.message != nil {
			e.batch.read <- struct{}{}
		}
	}
}

// answer reads the answer for one message. It may be news of flags in the place of an answer, see transfer.take.
func (r *run) answer(b *batch, m *imapclient.FetchMessageData) error {
	var a *answer
	text := false
	for item := m.Next(); item != nil; item = m.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			a = r.answers[UID(item.UID)]
		case imapclient.FetchItemDataBodySection:
			if a == nil || text || item.Section.Partial != nil || item.Section.Specifier != imap.PartSpecifierNone || len(item.Section.Part) > 0 {
				return reasonError{ReasonProtocol, "a text that was not asked for"}
			}
			text = true
			if err := r.text(a, item.Literal); err != nil {
				return err
			}
		}
	}
	if a != nil && a.state == awaited && r.answers[a.info.UID] == a {
		a.state = again
	}
	r.answered(b, 1)
	return nil
}

// text takes the text of a message: hands it over if it is its turn, or keeps it.
func (r *run) text(a *answer, text imap.LiteralReader) error {
	switch {
	case text == nil || text.Size() == 0:
		a.state = gone // see transfer.items
	case text.Size() > most(a.info):
		a.state = again // and left to the library to throw away
	case r.messages[r.done].UID == a.info.UID:
		delete(r.answers, a.info.UID)
		if err := r.handOver(a.info, text, text.Size()); err != nil {
			return err
		}
		r.done++
	case r.held+text.Size() > maxHeld:
		a.state = again
	default:
		a.text = make([]byte, text.Size())
		if _, err := io.ReadFull(text, a.text); err != nil {
			return errCut
		}
		a.state = arrived
		r.held += text.Size()
	}
	return nil
}

// answered notes that a command has answered for n more messages.
func (r *run) answered(b *batch, n int) {
	if b.left > 0 && b.left <= n {
		r.busy--
	}
	b.left -= min(n, b.left)
}

// close notes that a command has ended. The messages that it did not answer for are gone, unless it failed.
func (r *run) close(b *batch, failed bool) {
	for _, m := range b.messages {
		if a := r.answers[m.UID]; a != nil && a.state == awaited {
			a.state = gone
			if failed {
				a.state = again
			}
		}
	}
	r.answered(b, b.left)
}

// advance hands over what came before its turn. It reports true where the next has to be asked for by itself.
func (r *run) advance() (stop bool, err error) {
	for r.done < r.asked {
		a := r.answers[r.messages[r.done].UID]
		switch a.state {
		case awaited:
			return false, nil
		case again:
			return true, nil
		case gone:
			err = r.over(a.info, ErrNotFound)
		case arrived:
			r.held -= int64(len(a.text))
			err = r.handOver(a.info, bytes.NewReader(a.text), int64(len(a.text)))
		}
		if err != nil {
			return true, err
		}
		delete(r.answers, a.info.UID)
		r.done++
	}
	return false, nil
}

// handOver hands over a message as it comes.
func (f *manyTransfer) handOver(m Info, text io.Reader, size int64) error {
	if size > f.limit {
		return f.over(m, &TooLargeError{Endpoint: f.session.endpoint, Size: size, Limit: f.limit})
	}
	var w io.Writer
	for n := int64(0); n < size; {
		// Whole buffers, so that time stands still for writing only after some progress.
		k, err := io.ReadFull(text, f.buffer[:min(int64(len(f.buffer)), size-n)])
		if err != nil {
			return errCut // the library ends a literal quietly where the connection ends
		}
		n += int64(k)
		err = f.local(func() (err error) {
			if w == nil {
				w, err = f.to.Message(m)
			}
			if err == nil {
				_, err = w.Write(f.buffer[:k])
			}
			if err == nil && n == size {
				err = f.to.Done(m, nil)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// over says of a message that it could not be had.
func (f *manyTransfer) over(m Info, why error) error {
	return f.local(func() error { return f.to.Done(m, why) })
}

// local calls the receiver, without the clock ticking.
func (f *manyTransfer) local(call func() error) error {
	var err error
	f.session.conn.hold(func() { err = call() })
	if err != nil {
		return &localError{err}
	}
	return nil
}

// single gets one message in pieces. What the server will not give is told to the receiver, unless it refuses one
// message after the other: then it is not about messages.
func (f *manyTransfer) single(ctx context.Context, m Info) error {
	w := &lateWriter{to: f.to, info: m}
	err := error(ErrNotFound)
	if m.UID != 0 {
		t := &transfer{session: f.session, uid: imap.UID(m.UID), dst: w, buffer: f.buffer, limit: f.limit, size: -1}
		err = t.run(ctx)
	}
	if err == nil {
		_, err = w.Write(nil)
	}
	if w.err != nil {
		return w.err
	}
	var refused *ServerError
	switch {
	case err == nil, errors.Is(err, ErrNotFound), errors.As(err, new(*TooLargeError)):
		f.refused = 0
	case errors.As(err, &refused):
		if f.refused++; f.refused >= attempts {
			return err
		}
	default:
		return err
	}
	return f.to.Done(m, err)
}

// lateWriter asks the receiver for a writer when there is something to write.
type lateWriter struct {
	to   Receiver
	info Info
	w    io.Writer
	err  error // the receiver's
}

func (l *lateWriter) Write(p []byte) (n int, err error) {
	if l.w == nil && l.err == nil {
		l.w, l.err = l.to.Message(l.info)
	}
	if l.err == nil && len(p) > 0 {
		n, l.err = l.w.Write(p)
	}
	return n, l.err
}
