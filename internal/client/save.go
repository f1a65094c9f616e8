package client

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/verdict"
)

// SaveParams say what to save of which messages.
type SaveParams struct {
	ReadParams
	Dir       string // the folder, which is made where it is not there
	Parts     []int  // indexes as in PartReport; none: all attachments
	Overwrite bool   // replace files that are there
	// Anyway is asked whether to save what a message holds whose verdict is failed; nil is no. Its error is returned.
	Anyway func(*Report) (bool, error)
}

// SavedFile is a file that `save` has written; its JSON is a contract.
type SavedFile struct {
	File      string  `json:"file"`
	Part      int     `json:"part"`
	Filename  *string `json:"filename"` // as the sender wrote it
	Type      string  `json:"type"`
	Encloses  *string `json:"encloses"`
	Size      int64   `json:"size"`
	Verdict   string  `json:"verdict"`   // on the message
	Signed    bool    `json:"signed"`    // the signature covers it
	Encrypted bool    `json:"encrypted"` // it was encrypted
	Note      *string `json:"note"`      // what there is to know about the file
}

// Save writes attachments into a folder: decoded, each appearing whole or not at all, readable by their owner alone. Attached
// messages are written as they are, and so are encrypted parts in them, which stay shut. Names are made from the sender's,
// and lead nowhere else. Of each message each is told first the report, and then each file.
func (c *Client) Save(ctx context.Context, p SaveParams, report func(*Report) error, each func(SavedFile) error) error {
	if p.Dir == "" {
		return usage("save", errors.New("the folder is not named"), "--attachments DIR")
	}
	s := &saver{c: c, p: p, used: usedNames{}, each: each}
	defer s.close()
	var refused error
	err := c.eachJudged(ctx, p.ReadParams, func(_ *judge, m located, r *judged) error {
		told := m.report(r)
		if err := m.source.unchanged(); err != nil {
			return err
		}
		if err := report(told); err != nil {
			return err
		}
		err := s.message(ctx, m, r, told)
		var no *Error
		if !errors.As(err, &no) || no.Kind != No {
			return err
		}
		if refused != nil { // which does not stop the others
			c.o.Say("warning: " + refused.Error())
		}
		refused = err
		return nil
	})
	return cmp.Or(err, refused)
}

// saver puts the attachments of one command into one folder.
type saver struct {
	c      *Client
	p      SaveParams
	folder *safeio.Folder // nil: nothing was to be saved yet
	used   usedNames
	each   func(SavedFile) error
}

func (s *saver) close() {
	if s.folder != nil {
		_ = s.folder.Close() // all is on the disk
	}
}

// toSave is a part and the name of its file.
type toSave struct {
	part *smime.Part
	file SavedFile
	name string
}

// message saves what is wanted of one message. Nothing of it is written where a part cannot be had, or a file is in the way.
func (s *saver) message(ctx context.Context, m located, r *judged, told *Report) error {
	if r.message.Content == nil {
		return &Error{Kind: No, What: m.name(), Err: errors.New("it was not opened: there is nothing to save"), Hint: "`sealmail read` says why"}
	}
	indexes, err := s.indexes(m, r.message)
	if err != nil || len(indexes) == 0 {
		return err
	}
	if r.verdict.Status == verdict.Failed {
		anyway := false
		if s.p.Anyway != nil {
			if anyway, err = s.p.Anyway(told); err != nil {
				return err
			}
		}
		if !anyway {
			return &Error{Kind: No, What: m.name(), Err: errors.New("its verdict is failed: nothing was saved"), Hint: "`sealmail read` says why; --yes saves all the same"}
		}
	}
	if err := s.open(); err != nil {
		return err
	}
	var files []toSave
	for _, i := range indexes {
		p := &r.message.Parts[i]
		name, note := attachmentName(p, i+1)
		f := toSave{part: p, name: s.used.unused(name), file: SavedFile{Part: i + 1, Filename: orNull(p.RawFilename), Type: p.Type, Encloses: orNull(string(p.Encloses)),
			Verdict: string(r.verdict.Status), Signed: p.Signed, Encrypted: p.Encrypted, Note: orNull(note)}}
		f.file.File = filepath.Join(s.p.Dir, f.name)
		if err := s.free(f); err != nil {
			return err
		}
		files = append(files, f)
	}
	for _, f := range files {
		if f.file.Size, err = s.write(ctx, m, f); err != nil {
			return err
		}
		if err := s.each(f.file); err != nil {
			return err
		}
	}
	return nil
}

// indexes are the places of the parts that are wanted, in their order.
func (s *saver) indexes(m located, message *smime.Message) ([]int, error) {
	var list []int
	for i := range message.Parts {
		if len(s.p.Parts) == 0 && message.Parts[i].Attachment || slices.Contains(s.p.Parts, i+1) {
			list = append(list, i)
		}
	}
	for _, n := range s.p.Parts {
		if n < 1 || n > len(message.Parts) {
			return nil, failed(m.name(), fmt.Errorf("there is no part %d: it has %d", n, len(message.Parts)), "`sealmail read` lists them")
		}
	}
	return list, nil
}

// open opens the folder, once.
func (s *saver) open() error {
	if s.folder != nil {
		return nil
	}
	err := s.c.o.Disk.MkdirAll(s.p.Dir, 0o700)
	if err == nil {
		err = safeio.RemoveStale(s.p.Dir)
	}
	if err == nil {
		s.folder, err = s.c.o.Disk.OpenFolder(s.p.Dir)
	}
	if err != nil {
		return failed("", err, "name a folder that can be written to")
	}
	return nil
}

// free is an error where something is in the way of a file.
func (s *saver) free(f toSave) error {
	_, err := s.folder.Lstat(f.name)
	switch {
	case err == nil && !s.p.Overwrite:
		return s.inTheWay(f)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return unwritable(f.file.File, err)
	}
	return nil
}

func (s *saver) inTheWay(f toSave) error {
	return failed(f.file.File, fs.ErrExist, "--overwrite replaces it; or name another folder")
}

// write writes one file and returns its size.
func (s *saver) write(ctx context.Context, m located, f toSave) (int64, error) {
	out, err := s.folder.Create(f.name, 0o600, s.p.Overwrite)
	switch {
	case errors.Is(err, fs.ErrExist):
		return 0, s.inTheWay(f)
	case err != nil:
		return 0, unwritable(f.file.File, err)
	}
	defer out.Close()
	w := bufio.NewWriterSize(out, 64<<10)
	size, err := io.Copy(w, contextReader{ctx, f.part.Open()})
	if err == nil {
		err = w.Flush()
	}
	if err := cmp.Or(m.source.unchanged(), ctx.Err()); err != nil {
		return 0, err
	}
	if err != nil {
		return 0, unwritable(f.file.File, err)
	}
	switch err = out.Commit(); {
	case errors.Is(err, fs.ErrExist):
		return 0, s.inTheWay(f)
	case err != nil:
		return 0, unwritable(f.file.File, err)
	}
	return size, nil
}
