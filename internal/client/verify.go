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
		results := inOrder(ctx, workers, len(files), func(ctx context.Context, i int) (*Report, error) {
			return j.file(ctx, files[i], p.Content, nil)
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
	return j.file(ctx, file, p.Content, func(r *judged, in sources) error {
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

// file judges the message in a file; content is the file that it signs, if that is another. use, if set, is called with
// what came out.
func (j *judge) file(ctx context.Context, name, content string, use func(*judged, sources) error) (*Report, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	src, err := j.client.openSource(name)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	in := sources{src}
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
	judged, err := j.judge(ctx, name, src)
	if err != nil {
		return nil, cmp.Or(in.unchanged(), err)
	}
	defer judged.message.Close()
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
	if name != "-" {
		report.File = &name
	}
	return report, nil
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

// inOrder does the pieces of work from 0 to n-1, several at once, and yields what comes of them in order. What is done
// ahead of its turn is bounded. When it returns, nothing goes on: who stops listening has what is under way canceled.
func inOrder[T any](ctx context.Context, workers, n int, work func(ctx context.Context, i int) (T, error)) iter.Seq2[T, error] {
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
			for i := range n {
				select {
				case <-stop:
					return
				case busy <- struct{}{}:
				}
				done := make(chan result, 1)
				go func() {
					value, err := work(ctx, i)
					<-busy
					done <- result{value, err}
				}()
				turns <- done
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
