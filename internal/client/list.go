package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox/index"
)

// ListParams say what to list.
type ListParams struct {
	Folder  string // or a word such as sent for the one that is for that; empty: INBOX
	Refresh bool
	Since   time.Time
	Limit   int // the newest so many; 0: all
	Strict  bool
	// More, unless nil, is called before the first line where the limit leaves out lines.
	More func()
}

// List tells the lines of a folder from the index, the oldest first.
func (c *Client) List(ctx context.Context, p ListParams, each func(ListLine) error) error {
	if p.Refresh {
		if err := c.Fetch(ctx, FetchParams{Folder: p.Folder}, func(ListLine) error { return nil }); err != nil {
			return err
		}
	}
	a, err := c.account()
	if err != nil {
		return err
	}
	if err := c.warnOfExpiry(a); err != nil {
		return err
	}
	l := lister{limit: p.Limit, more: p.More, each: each}
	if err := l.add(ctx, c, a, index.Selection{Folder: orInbox(p.Folder), Since: p.Since}); err != nil {
		return err
	}
	return l.end(p.Strict)
}

// lister tells lines out of indexes.
type lister struct {
	limit  int
	more   func()
	each   func(ListLine) error
	strict strictness
}

// add tells the lines of one account.
func (l *lister) add(ctx context.Context, c *Client, a config.Account, s index.Selection) (err error) {
	x, err := c.openIndex(ctx, a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	if s.Folder != "" {
		if s.Folder, _, err = folderHere(ctx, x, a, s.Folder); err != nil {
			return err
		}
		known, err := x.Folder(ctx, s.Folder)
		if err != nil {
			return explainIndex(err)
		}
		if known.UIDValidity == 0 {
			c.o.Say(fmt.Sprintf("note: %s was never fetched: `sealmail fetch %s` does it", s.Folder, s.Folder))
			return nil
		}
	}
	if l.limit > 0 {
		s.Limit = l.limit + 1 // to know whether there are more
	}
	var held []ListLine
	tell := func(line ListLine) error {
		l.strict.add(line)
		return l.each(line)
	}
	err = x.Lines(ctx, s, func(from index.Line) error {
		line, err := lineOf(from)
		if err != nil {
			return err
		}
		line.Account = a.Name
		if l.limit > 0 { // the first may be one too many
			held = append(held, line)
			return nil
		}
		return tell(line)
	})
	if err != nil {
		return explainIndex(err)
	}
	if l.limit > 0 && len(held) > l.limit {
		held = held[1:]
		if l.more != nil {
			l.more()
		}
	}
	for _, line := range held {
		if err := tell(line); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) end(strict bool) error {
	if strict {
		return l.strict.err()
	}
	return nil
}

// SearchParams say what to look for.
type SearchParams struct {
	ListParams        // Folder empty: all folders that were fetched
	Query      string // see index.ParseQuery
}

// Search tells the lines of messages that a query finds in the index, the oldest first. That there are none is no error.
func (c *Client) Search(ctx context.Context, p SearchParams, each func(ListLine) error) error {
	query, err := parseQuery(p.Query)
	if err != nil {
		return err
	}
	a, err := c.account()
	if err != nil {
		return err
	}
	s := index.Selection{Since: p.Since, Query: &query}
	if p.Folder != "" {
		s.Folder = orInbox(p.Folder)
	}
	if p.Refresh {
		err := c.Fetch(ctx, FetchParams{Folder: p.Folder, All: p.Folder == ""}, func(ListLine) error { return nil })
		if err != nil {
			return err
		}
	}
	accounts := []config.Account{a}
	if query.ByAccounts() {
		accounts = c.config.Accounts
	}
	l := lister{limit: p.Limit, more: p.More, each: each}
	for _, a := range accounts {
		s.Account = a.Name
		if err := l.add(ctx, c, a, s); err != nil {
			return err
		}
	}
	return l.end(p.Strict)
}
