package main

import (
	"io"
	"sync"
	"time"

	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/internal/term"
)

// progress is a line on the terminal that says how far something is, and goes away before anything else is printed;
// elsewhere it is nothing. It is for use by several goroutines.
type progress struct {
	app *app
	err io.Writer // where it is drawn

	mu    sync.Mutex
	what  string
	began time.Time
	shown time.Time
	drawn bool
}

const (
	progressAfter = time.Second     // what takes less needs none
	progressEvery = time.Second / 5 // how often it is drawn anew
)

// newProgress has all that is printed take the line away first.
func (a *app) newProgress() *progress {
	p := &progress{app: a, err: a.err}
	if a.errIsTerminal {
		a.err, a.out = behindProgress{p, a.err}, behindProgress{p, a.out}
	}
	return p
}

func (p *progress) update(now client.Progress) {
	if !p.app.errIsTerminal || p.app.flags.quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.app.now()
	if p.what != now.What || p.began.IsZero() {
		p.what, p.began = now.What, at
	}
	if at.Sub(p.began) < progressAfter || at.Sub(p.shown) < progressEvery {
		return
	}
	p.shown, p.drawn = at, true
	_, _ = p.err.Write([]byte(term.ProgressLine(now, at.Sub(p.began))))
}

// end takes the line away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		p.drawn = false
		_, _ = p.err.Write([]byte(term.ProgressEnd))
	}
}

// behindProgress takes the line away before it writes.
type behindProgress struct {
	line *progress
	io.Writer
}

func (b behindProgress) Write(p []byte) (int, error) {
	b.line.end()
	return b.Writer.Write(p)
}
