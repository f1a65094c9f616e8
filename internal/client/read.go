package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sealmail/sealmail/mailbox"
)

// ReadParams say which message to read.
type ReadParams struct {
	ID        string
	Folder    string // or a word such as sent for the one that is for that; empty: INBOX
	Keys      KeyFiles
	AllowWeak bool // as in VerifyParams
	// MarkSeen marks what Read has told of as seen, at the server and in the index, as far as that can be done soon.
	MarkSeen bool
}

// isFile reports whether the message is in a file: then nothing is asked of any server.
func (p ReadParams) isFile() bool { return p.ID == "-" || namesFile(p.ID, ".eml") }

// Read opens messages and judges them, with their text; each is told one report.
func (c *Client) Read(ctx context.Context, p ReadParams, each func(*Report) error) error {
	var seen []mailbox.UID
	folder := ""
	defer func() {
		if len(seen) > 0 && ctx.Err() == nil {
			c.markSeen(ctx, folder, seen)
		}
	}()
	return c.eachJudged(ctx, p, func(j *judge, m located, judged *judged) error {
		if m.account != "" { // a file may be anybody's
			if err := j.collect(ctx, judged, "came with signed mail to "+m.account, true); err != nil {
				return err
			}
		}
		report := m.report(judged)
		text, err := judged.message.Text(0)
		if changed := m.source.unchanged(); changed != nil {
			return changed
		}
		if err != nil {
			return failed(m.name(), err, "")
		}
		if judged.message.Content != nil {
			report.Text = &text.Body
		}
		report.Warnings = boundWarnings(append(report.Warnings, judged.textWarnings(text)...))
		if p.MarkSeen && m.uid != 0 {
			folder, seen = m.folder, append(seen, m.uid)
		}
		return each(report)
	})
}

// eachJudged finds the messages that an ID means, opens and judges them one after the other, and closes them again.
func (c *Client) eachJudged(ctx context.Context, p ReadParams, use func(*judge, located, *judged) error) error {
	j, err := c.newJudge(VerifyParams{Keys: p.Keys, Revocation: string(c.revocationMode()), Online: !p.isFile(), AllowWeak: p.AllowWeak})
	if err != nil {
		return err
	}
	return c.eachMessage(ctx, p, func(m located) error {
		judged, err := j.judgeFile(ctx, fileMessage{source: m.source, name: m.name(), index: m.index})
		if err != nil {
			return cmp.Or(m.source.unchanged(), err)
		}
		defer judged.Close()
		return use(j, m, judged)
	})
}

// ReadRaw writes the octets of messages as they lie on the server or in the file.
func (c *Client) ReadRaw(ctx context.Context, p ReadParams, w io.Writer) error {
	return c.eachMessage(ctx, p, func(m located) error {
		_, err := io.Copy(w, contextReader{ctx, io.NewSectionReader(m.source, 0, m.source.Size())})
		return cmp.Or(m.source.unchanged(), err)
	})
}

// located is a message that was found.
type located struct {
	source          *source
	file            string
	index           int // in an mbox file, from 1
	account, folder string
	uid             mailbox.UID
}

// name is what an error calls it.
func (m located) name() string {
	if m.file != "" {
		return m.file
	}
	return fmt.Sprintf("message %d in %s", m.uid, m.folder)
}

// report is what there is to say of the message, and where it was found.
func (m located) report(r *judged) *Report {
	report := r.report()
	report.File, report.Index = orNull(m.file), orNull(m.index)
	report.Account, report.Folder, report.UID = orNull(m.account), orNull(m.folder), orNull(uint32(m.uid))
	return report
}

// eachMessage finds the messages that an ID means, and gets them one after the other.
func (c *Client) eachMessage(ctx context.Context, p ReadParams, use func(located) error) error {
	if p.isFile() {
		return c.eachInFile(ctx, p.ID, use)
	}
	a, err := c.account()
	if err != nil {
		return err
	}
	f := finder{client: c, account: a}
	defer f.Close()
	if err := f.inFolder(ctx, p.Folder); err != nil {
		return err
	}
	uids, err := f.find(ctx, p.ID)
	if err != nil {
		return err
	}
	var broken error
	for _, uid := range uids {
		err := func() error {
			s, err := f.get(ctx, uid)
			if err != nil {
				return err
			}
			defer s.Close()
			return use(located{source: &source{s, s.Close, nil}, account: a.Name, folder: f.folder, uid: uid})
		}()
		if err := c.passOver(&broken, err); err != nil {
			return err
		}
	}
	return broken
}

// passOver keeps the error of a message that does not stop the others, and says the one that was kept before. Any other it
// returns.
func (c *Client) passOver(broken *error, err error) error {
	if !isMessageFault(err) && !errors.Is(err, mailbox.ErrNotFound) {
		return err
	}
	if *broken != nil {
		c.o.Say("warning: " + (*broken).Error())
	}
	*broken = err
	return nil
}

// eachInFile goes through the messages of a file, as eachMessage does: one for most files, any number for an mbox file.
func (c *Client) eachInFile(ctx context.Context, name string, use func(located) error) error {
	var broken error
	for m := range c.messagesIn(ctx, []string{name}) {
		err := m.err
		if err == nil {
			err = errors.Join(use(located{source: m.source, file: m.name, index: m.index}), m.Close())
		}
		if err := c.passOver(&broken, err); err != nil {
			return err
		}
	}
	return broken
}

// explainMessage says what to do where a message or a folder is not there.
func explainMessage(id, folder string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mailbox.ErrNotFound):
		return failed(id+" in "+folder, mailbox.ErrNotFound, "`sealmail list "+folder+"` shows what there is; a file must contain a \"/\"")
	case errors.Is(err, mailbox.ErrNoFolder):
		return failed(folder, mailbox.ErrNoFolder, "`sealmail folders` lists those that are there")
	}
	return explainServer(err)
}
