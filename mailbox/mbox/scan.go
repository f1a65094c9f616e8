package mbox

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/internal/filestore"
)

// The sender in the separator lines that are written. The second says that the line end before the empty line is not the
// message's.
const (
	sender     = "MAILER-DAEMON"
	openSender = "no-final-line-end"
)

// asctime is the date in a separator line, in UTC (RFC 4155 appendix A).
const asctime = "Mon Jan _2 15:04:05 2006"

// entry is a message in a file.
type entry struct {
	Range
	key   string
	size  int64 // with CRLF line ends
	date  time.Time
	flags []string // that Status and X-Status tell
}

// read finds the messages: behind those that are known, where the file only grew, else all.
func (f *folder) read(info fs.FileInfo) error {
	if f.info != nil && os.SameFile(f.info, info) && info.Size() > f.info.Size() && len(f.entries) > 0 {
		last := f.entries[len(f.entries)-1]
		again, err := f.scan(f.entries[:len(f.entries)-1], last.From, info)
		if err != nil {
			return err
		}
		if at := len(f.entries) - 1; len(again) > at && again[at].key == last.key && again[at].Range == last.Range {
			f.info, f.entries = info, again
			return nil
		}
	}
	entries, err := f.scan(nil, 0, info)
	f.info, f.entries = info, entries
	return err
}

// scan returns the messages before an offset, which are known, and those from there on.
func (f *folder) scan(before []entry, from int64, info fs.FileInfo) ([]entry, error) {
	entries := slices.Clone(before)
	times := make(map[string]int)
	for _, e := range entries {
		digest, _, _ := strings.Cut(e.key, "-")
		times[digest]++
	}
	for at, err := range Messages(io.NewSectionReader(f.file, from, info.Size()-from)) {
		if err != nil {
			return nil, err
		}
		if len(entries) >= mailbox.DefaultMaxMessages {
			return nil, fmt.Errorf("%w: the limit is %d", mailbox.ErrTooMany, mailbox.DefaultMaxMessages)
		}
		at = Range{at.Start + from, at.End + from, at.From + from}
		e, err := f.entry(at, info)
		if err != nil {
			return nil, err
		}
		if times[e.key]++; times[e.key] > 1 { // one that is there twice
			e.key = fmt.Sprintf("%s-%d", e.key, times[e.key])
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// statusFields are the fields of the header that programs change where mail lies.
var statusFields = []string{"Status:", "X-Status:", "X-Keywords:", "X-UID:", "X-IMAPbase:", "X-IMAP:", "Content-Length:", "Lines:"}

// entry reads a message. Its key is a digest of all but what programs change.
func (f *folder) entry(at Range, info fs.FileInfo) (entry, error) {
	e := entry{Range: at, date: info.ModTime()}
	separator := make([]byte, min(at.Start-at.From, maxSeparator))
	if _, err := f.file.ReadAt(separator, at.From); err != nil {
		return e, err
	}
	words := strings.Fields(string(separator))
	if len(words) >= 7 {
		if date, err := time.Parse(asctime, strings.Join(words[2:7], " ")); err == nil {
			e.date = date
		}
		if words[1] == openSender && at.End > at.Start {
			e.End--
		}
	}
	digest := sha256.New()
	digest.Write(separator)
	end, err := f.withoutLineEnd(e.Range)
	if err != nil {
		return e, err
	}
	lines := bufio.NewReaderSize(io.NewSectionReader(f.file, e.Start, end-e.Start), 32<<10)
	for header, begins := true, true; ; {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return e, err
		}
		changes := false
		if header && begins {
			header = len(bytes.TrimRight(line, "\r\n")) > 0
			changes = header && f.status(&e, string(line[:min(len(line), 100)]))
		}
		if begins = err == nil; !changes {
			digest.Write(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
	}
	e.key = hex.EncodeToString(digest.Sum(nil)[:16])
	e.size, err = io.Copy(io.Discard, f.octets(e))
	return e, err
}

// withoutLineEnd returns where a message ends without its last line end, which a file that ends in the midst of a line gets with the
// next message.
func (f *folder) withoutLineEnd(at Range) (int64, error) {
	last := make([]byte, min(at.End-at.Start, 2))
	if _, err := f.file.ReadAt(last, at.End-int64(len(last))); err != nil {
		return 0, err
	}
	trimmed, ended := bytes.CutSuffix(last, []byte{'\n'})
	if ended {
		trimmed = bytes.TrimSuffix(trimmed, []byte{'\r'})
	}
	return at.End - int64(len(last)-len(trimmed)), nil
}

// status reads a line of the header, and reports whether it is one that programs change. R is for read, and in X-Status A for
// answered, F for flagged, D for deleted, T for draft.
func (f *folder) status(e *entry, line string) bool {
	for _, field := range statusFields {
		if len(line) < len(field) || !strings.EqualFold(line[:len(field)], field) {
			continue
		}
		if field == "Status:" || field == "X-Status:" {
			for letter, flag := range map[string]string{"R": `\Seen`, "A": `\Answered`, "F": `\Flagged`, "D": `\Deleted`, "T": `\Draft`} {
				if strings.Contains(line[len(field):], letter) {
					e.flags = append(e.flags, flag)
				}
			}
		}
		return true
	}
	return false
}

// octets returns the octets of a message as they were before it was stored.
func (f *folder) octets(e entry) io.Reader {
	return filestore.Canonical(&unquoted{lines: bufio.NewReaderSize(io.NewSectionReader(f.file, e.Start, e.End-e.Start), 32<<10), begins: true})
}

// unquoted is Unquote as a reader.
type unquoted struct {
	lines  *bufio.Reader
	begins bool
	rest   []byte
	err    error
}

func (u *unquoted) Read(p []byte) (int, error) {
	for len(u.rest) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		line, err := u.lines.ReadSlice('\n')
		if u.begins && isQuoted(line) {
			line = line[1:]
		}
		u.begins = err == nil
		if u.rest = line; !errors.Is(err, bufio.ErrBufferFull) {
			u.err = err
		}
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// separator returns the separator line of a message, or the beginning of it.
func (f *folder) separator(e entry) string {
	line := make([]byte, min(e.Start-e.From, maxSeparator))
	if _, err := f.file.ReadAt(line, e.From); err != nil {
		return ""
	}
	return string(line)
}
