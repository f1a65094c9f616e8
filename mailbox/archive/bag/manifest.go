package bag

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"
)

const (
	maxLine    = 16 << 10 // octets of a line: a path of maxName octets, encoded, with a checksum
	maxEntries = 1 << 20  // lines of a manifest, and files of a bag
)

// Entry is a line of a manifest.
type Entry struct {
	Name string // path below the base folder, decoded; it leads nowhere else
	Sum  []byte
}

// LineError says which line of a tag file is not as it has to be, and why. Line 0 is the file as a whole.
type LineError struct {
	Line int
	Why  string
}

func (e *LineError) Error() string {
	if e.Line == 0 {
		return e.Why
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Why)
}

// Manifest reads a manifest or tag manifest (RFC 8493 section 2.1.3) whose checksums have so many octets. A line that is not as it has
// to be yields a [*LineError], and the next one follows; of the errors of r, and of a manifest beyond all bounds, nothing follows.
//
// What sha512sum and the like write for names with a line end or a backslash, and the asterisk that some put before names, are not taken.
func Manifest(r io.Reader, octets int) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		n := 0
		for line, err := range lines(r) {
			if n++; n > maxEntries && err == nil {
				yield(Entry{}, &LineError{0, fmt.Sprintf("it has more than %d lines", maxEntries)})
				return
			}
			var e Entry
			if err == nil {
				if e, err = parseEntry(line, octets); err != nil {
					err = &LineError{n, err.Error()}
				}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func parseEntry(line string, octets int) (Entry, error) {
	end := strings.IndexAny(line, " \t")
	if end < 0 {
		return Entry{}, errors.New("it is not a checksum and a path")
	}
	sum, err := hex.DecodeString(line[:end])
	if err != nil || len(sum) != octets {
		return Entry{}, fmt.Errorf("the checksum is not %d hexadecimal digits", 2*octets)
	}
	name, err := decodeName(strings.TrimLeft(line[end:], " \t"))
	if err != nil {
		return Entry{}, err
	}
	return Entry{name, sum}, checkPath(name)
}

// decodeName undoes encodeName. Whatever else is percent-encoded is refused: it could mean two files.
func decodeName(s string) (string, error) {
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(s, "%")
		b.WriteString(plain)
		if !found {
			return b.String(), nil
		}
		switch code := strings.ToUpper(rest[:min(2, len(rest))]); code {
		case "25":
			b.WriteByte('%')
		case "0A":
			b.WriteByte('\n')
		case "0D":
			b.WriteByte('\r')
		default:
			return "", fmt.Errorf("a percent sign in the path stands for itself or for %q", code)
		}
		s = rest[2:]
	}
}

// lines yields the lines of a text tag file (RFC 8493 section 2.3), which end with LF, CR or both. The errors are a *LineError, or that
// of r, and the last thing that is yielded.
func lines(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		open := false // the last line has no end
		s := bufio.NewScanner(r)
		s.Buffer(nil, maxLine)
		s.Split(func(data []byte, atEOF bool) (int, []byte, error) {
			at := bytes.IndexAny(data, "\r\n")
			switch {
			case at < 0 && atEOF && len(data) > 0:
				open = true
				return len(data), data, nil
			case at < 0 || data[at] == '\r' && at+1 == len(data) && !atEOF:
				return 0, nil, nil
			case data[at] == '\r' && at+1 < len(data) && data[at+1] == '\n':
				return at + 2, data[:at:at], nil
			}
			return at + 1, data[:at:at], nil
		})
		n := 0
		for s.Scan() {
			n++
			line := s.Text()
			var why string
			switch {
			case open:
				why = "it does not end with a line end"
			case !utf8.ValidString(line):
				why = "it is not UTF-8"
			case n == 1 && strings.HasPrefix(line, "\ufeff"):
				why = "it begins with a byte-order mark"
			case strings.Contains(line, "\x00"):
				why = "it has a NUL"
			}
			if why != "" {
				if !yield("", &LineError{n, why}) {
					return
				}
				continue
			}
			if !yield(line, nil) {
				return
			}
		}
		switch err := s.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield("", &LineError{n + 1, fmt.Sprintf("it is longer than %d octets", maxLine)})
		case err != nil:
			yield("", err)
		}
	}
}
