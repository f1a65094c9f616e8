package client

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"runtime"
	"slices"
	"time"

	"github.com/sealmail/sealmail/smime"
)

// VerifyParams say what a message is judged by.
type VerifyParams struct {
	Keys            KeyFiles
	Trust, TSATrust []string  // files; empty: the store's anchors
	Content         string    // file that a detached .p7s signs
	At              time.Time // zero: now
	Revocation      string    // soft, hard, off
	CRLs            []string  // files with revocation lists
	OCSPResponses   []string  // files with OCSP responses
	Online          bool      // responders and distribution points may be asked
	AllowWeak       bool
	Brief           bool // leave the parts out of the reports: to tell their sizes, they would have to be read once more
}

// maxJudges bounds how many messages are judged at once, and so the memory that this takes.
const maxJudges = 16

// Verify judges the messages in files, without their text, and tells of them in their order. They are judged several at
// once where there are several CPUs. A file that cannot be read has its error, and does not stop the others; what
// concerns them all, such as a locked vault, is said once and ends it.
func (c *Client) Verify(ctx context.Context, p VerifyParams, files []string) iter.Seq2[*Report, error] {
	return func(yield func(*Report, error) bool) {
		j, err := c.newJudge(p)
		if err != nil {
			yield(nil, err)
			return
		}
		workers := min(runtime.GOMAXPROCS(0), maxJudges)
		if p.Content == "-" || slices.Contains(files, "-") {
			workers = 1 // stdin is read once, and by whoever is named first
		}
		results := inOrder(ctx, workers, c.messagesIn(ctx, files), func(ctx context.Context, m fileMessage) (*Report, error) {
			defer m.Close()
			return j.message(ctx, m, p.Content, nil)
		})
		for report, err := range results {
			if !yield(report, err) || err != nil && errors.Is(err, ctx.Err()) || c.isLocked(err) {
				return
			}
		}
	}
}

// VerifyTo judges the message in a file, and writes what its signature covers: the entity inside all layers, octet for
// octet. Where the verdict is another than passed, nothing is written.
func (c *Client) VerifyTo(ctx context.Context, p VerifyParams, file string, out Output) (*Report, error) {
	j, err := c.newJudge(p)
	if err != nil {
		return nil, err
	}
	m, err := c.onlyMessageIn(ctx, file)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return j.message(ctx, m, p.Content, func(r *judged, in sources) error {
		if !r.passed() {
			return nil
		}
		if r.message.Content == nil {
			return failed(file, errors.New("there is no content to write"), "")
		}
		return c.writeFrom(in, out, func(w io.Writer) error {
			return smime.WriteContent(ctx, w, r.message.Content)
		})
	})
}

// message judges a message in a file; content is the file that it signs, if that is another. use, if set, is called with what
// came out.
func (j *judge) message(ctx context.Context, m fileMessage, content string, use func(*judged, sources) error) (*Report, error) {
	if err := errors.Join(ctx.Err(), m.err); err != nil {
		return nil, err
	}
	in := sources{m.source}
	if content != "" {
		detached, err := j.client.openSource(content)
		if err != nil {
			return nil, err
		}
		defer detached.Close()
		in = append(in, detached)
		own := *j // others judge other files meanwhile
		own.detached = detached
		j = &own
	}
	judged, err := j.judgeFile(ctx, m)
	if err != nil {
		return nil, cmp.Or(in.unchanged(), err)
	}
	defer judged.Close()
	if err := in.unchanged(); err != nil {
		return nil, err
	}
	if use != nil {
		if err := use(judged, in); err != nil {
			return nil, err
		}
	}
	report := judged.brief()
	if !j.brief {
		report = judged.report()
		if err := in.unchanged(); err != nil { // the parts were read for it
			return nil, err
		}
	}
	report.Warnings = boundWarnings(report.Warnings)
	report.File, report.Index = orNull(m.name), orNull(m.index)
	if m.name == "-" {
		report.File = nil
	}
	return report, nil
}

// judgeFile judges a message in a file. Where it lies in an mbox file, and a signature does not fit, the message is judged as
// it was before lines of it were quoted: which of the forms called mbox a file has cannot be seen.
func (j *judge) judgeFile(ctx context.Context, m fileMessage) (*judged, error) {
	r, err := j.judge(ctx, m.label(), m.source)
	if err != nil || m.index == 0 || !r.altered() {
		return r, err
	}
	second, err := j.judgeUnquoted(ctx, m)
	switch {
	case err != nil:
		return nil, errors.Join(err, r.Close())
	case second == nil:
		return r, nil
	}
	if err := r.Close(); err != nil {
		return nil, errors.Join(err, second.Close())
	}
	return second, nil
}

// judgeUnquoted judges a message of an mbox file without the quotes of its lines. It is nil where there are none, or where the
// signatures do not fit then either.
func (j *judge) judgeUnquoted(ctx context.Context, m fileMessage) (*judged, error) {
	original, err := j.client.unquoted(m)
	if err != nil || original == nil {
		return nil, err
	}
	r, err := j.judge(ctx, m.label(), original.source)
	if err != nil {
		return nil, errors.Join(err, original.Close())
	}
	r.closers = append(r.closers, original)
	if r.altered() {
		return nil, r.Close()
	}
	r.remarks = append(r.remarks, WarningReport{"mbox-quoting", "the mailbox file has quoted lines that start with \"From \": the message was judged without these quotes"})
	return r, nil
}

// sources are the inputs that a verdict is about: a message, and what it signs where that is another file.
type sources []*source

func (s sources) unchanged() error {
	for _, one := range s {
		if err := one.unchanged(); err != nil {
			return err
		}
	}
	return nil
}

// inOrder does pieces of work, several at once, and yields what comes of them in order. What is done ahead of its turn is
// bounded. When it returns, nothing goes on: who stops listening has what is under way canceled. Work is done, with a context
// that ended, also on an item that was taken before.
func inOrder[I, T any](ctx context.Context, workers int, items iter.Seq[I], work func(ctx context.Context, item I) (T, error)) iter.Seq2[T, error] {
	type result struct {
		value T
		err   error
	}
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		stop := make(chan struct{})
		turns := make(chan chan result, 4*workers)
		busy := make(chan struct{}, workers)
		go func() {
			defer close(turns)
			for item := range items {
				busy <- struct{}{}
				done := make(chan result, 1)
				go func() {
					value, err := work(ctx, item)
					<-busy
					done <- result{value, err}
				}()
				turns <- done
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
		defer func() {
			close(stop)
			cancel()
			for done := range turns {
				<-done
			}
		}()
		for done := range turns {
			if r := <-done; !yield(r.value, r.err) {
				return
			}
		}
	}
}

// upTo yields the numbers from 0 to n-1.
func upTo(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}
