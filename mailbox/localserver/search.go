package localserver

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// search returns the messages of the view that match, in ascending order.
func (v *view) search(criteria *imap.SearchCriteria) ([]imap.UID, error) {
	v.fixCriteria(criteria)
	var out []imap.UID
	for i, uid := range v.uids {
		m, ok := v.folder.get(uid)
		if !ok {
			continue
		}
		c := candidate{message: m, folder: v.folder, number: uint32(i + 1)}
		matches, err := c.matches(criteria)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		if matches {
			out = append(out, uid)
		}
	}
	return out, nil
}

// fixCriteria puts numbers in place of "*". Criteria are as deep as the command was, which the library bounds.
func (v *view) fixCriteria(c *imap.SearchCriteria) {
	for i := range c.SeqNum {
		for j := range c.SeqNum[i] {
			fixRange(&c.SeqNum[i][j].Start, &c.SeqNum[i][j].Stop, uint32(len(v.uids)))
		}
	}
	for i := range c.UID {
		c.UID[i] = v.fixUIDs(c.UID[i])
	}
	for i := range c.Not {
		v.fixCriteria(&c.Not[i])
	}
	for i := range c.Or {
		v.fixCriteria(&c.Or[i][0])
		v.fixCriteria(&c.Or[i][1])
	}
}

// candidate is a message under search. Its header is read when the first criterion asks for it.
type candidate struct {
	message
	folder *folder
	number uint32 // sequence number, for the client that searches
	header *mail.Header
}

// matches tells whether all criteria hold (RFC 3501 section 6.4.4).
func (c *candidate) matches(s *imap.SearchCriteria) (bool, error) {
	if !c.matchesRecord(s) {
		return false, nil
	}
	for _, step := range []func(*imap.SearchCriteria) (bool, error){c.matchesHeader, c.matchesText, c.matchesNested} {
		if ok, err := step(s); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// matchesRecord checks what is known without the message's file.
func (c *candidate) matchesRecord(s *imap.SearchCriteria) bool {
	for _, set := range s.SeqNum {
		if !set.Contains(c.number) {
			return false
		}
	}
	for _, set := range s.UID {
		if !set.Contains(c.uid) {
			return false
		}
	}
	for _, flag := range s.Flag {
		if !hasFlag(c.Flags, flag) {
			return false
		}
	}
	for _, flag := range s.NotFlag {
		if hasFlag(c.Flags, flag) {
			return false
		}
	}
	return within(c.Date, s.Since, s.Before) &&
		(s.Larger == 0 || c.size > s.Larger) &&
		(s.Smaller == 0 || c.size < s.Smaller)
}

// within compares days, disregarding time and zone (RFC 3501 section 6.4.4).
func within(t, since, before time.Time) bool {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	return (since.IsZero() || !day.Before(since)) && (before.IsZero() || day.Before(before))
}

func (c *candidate) matchesHeader(s *imap.SearchCriteria) (bool, error) {
	if len(s.Header) == 0 && s.SentSince.IsZero() && s.SentBefore.IsZero() {
		return true, nil
	}
	if err := c.readHeader(); err != nil {
		return false, err
	}
	for _, want := range s.Header {
		fields := c.header.FieldsByKey(want.Key)
		found := false
		for fields.Next() && !found {
			text, err := fields.Text()
			if err != nil {
				text = fields.Value() // of an unknown charset: as it is written
			}
			found = strings.Contains(strings.ToLower(text), strings.ToLower(want.Value))
		}
		if !found {
			return false, nil
		}
	}
	if s.SentSince.IsZero() && s.SentBefore.IsZero() {
		return true, nil
	}
	date, err := c.header.Date()
	return err == nil && within(date, s.SentSince, s.SentBefore), nil
}

func (c *candidate) readHeader() error {
	if c.header != nil {
		return nil
	}
	file, err := c.folder.open(c.uid)
	if err != nil {
		return err
	}
	defer file.Close()
	h, err := parsedHeader(file, c.size)
	if err != nil {
		return err
	}
	c.header = &mail.Header{Header: gomessage.Header{Header: h}}
	return nil
}

// matchesText looks for strings in the octets as they are stored, letter case aside: encoded text is not decoded.
func (c *candidate) matchesText(s *imap.SearchCriteria) (bool, error) {
	if len(s.Body) == 0 && len(s.Text) == 0 {
		return true, nil
	}
	file, err := c.folder.open(c.uid)
	if err != nil {
		return false, err
	}
	defer file.Close()
	start, err := headerEnd(file, c.size)
	if err != nil {
		return false, err
	}
	for _, want := range s.Text {
		if ok, err := contains(io.NewSectionReader(file, 0, c.size), want); !ok || err != nil {
			return false, err
		}
	}
	for _, want := range s.Body {
		if ok, err := contains(io.NewSectionReader(file, start, c.size-start), want); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// contains searches a stream for want, letter case of ASCII aside, in constant memory.
func contains(r io.Reader, want string) (bool, error) {
	pattern := bytes.ToLower([]byte(want))
	if len(pattern) == 0 {
		return true, nil
	}
	buf := make([]byte, 0, 64<<10+len(pattern))
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if bytes.Contains(bytes.ToLower(buf), pattern) {
			return true, nil
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return false, nil
		case err != nil:
			return false, err
		}
		// The end of this piece may be the beginning of a match.
		buf = append(buf[:0], buf[len(buf)-len(pattern)+1:]...)
	}
}

func (c *candidate) matchesNested(s *imap.SearchCriteria) (bool, error) {
	for i := range s.Not {
		if ok, err := c.matches(&s.Not[i]); ok || err != nil {
			return false, err
		}
	}
	for i := range s.Or {
		ok, err := c.matches(&s.Or[i][0])
		if err == nil && !ok {
			ok, err = c.matches(&s.Or[i][1])
		}
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// searchData puts the answer into the form that the client asked for.
func (v *view) searchData(uids []imap.UID, byUID bool) *imap.SearchData {
	data := &imap.SearchData{Count: uint32(len(uids))}
	numbers := make([]uint32, len(uids))
	for i, uid := range uids {
		numbers[i] = uint32(uid)
		if !byUID {
			numbers[i] = v.number(uid)
		}
	}
	if len(numbers) > 0 {
		data.Min, data.Max = slices.Min(numbers), slices.Max(numbers)
	}
	if byUID {
		data.All = imap.UIDSetNum(uids...)
	} else {
		data.All = imap.SeqSetNum(numbers...)
	}
	return data
}
