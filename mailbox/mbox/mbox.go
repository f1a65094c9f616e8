// Package mbox finds the messages in mbox files (RFC 4155), where they lie one behind the other, each after a separator line
// that starts with "From ", and is a [mailbox.Store] on a folder of such files.
package mbox

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
)

// Range is where a message is in the file, without the separator line before it and the empty line behind it.
type Range struct {
	Start, End int64
	From       int64 // where the separator line starts
}

// maxSeparator is how much of a line is looked at: a separator is shorter.
const maxSeparator = 512

// Is reports whether a file that starts so is an mbox file. 512 octets are enough to tell.
func Is(head []byte) bool {
	line, _, _ := bytes.Cut(head[:min(len(head), maxSeparator)], []byte{'\n'})
	return isSeparator(line)
}

// isSeparator reports whether a line is "From ", a sender, and a date such as "Sat Nov 21 10:02:11 2026". Programs differ in
// what they write for the sender, and behind the time; that a day and a month stand there tells the line from text.
func isSeparator(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("From "))
	if !ok {
		return false
	}
	words := bytes.Fields(rest)
	for i := 1; i < len(words)-1; i++ {
		if oneOf("MonTueWedThuFriSatSun", words[i]) && oneOf("JanFebMarAprMayJunJulAugSepOctNovDec", words[i+1]) {
			return true
		}
	}
	return false
}

// oneOf reports whether the word is one of those of three letters that the list runs together.
func oneOf(list string, word []byte) bool {
	for i := 0; i < len(list); i += 3 {
		if string(word) == list[i:i+3] {
			return true
		}
	}
	return false
}

// Messages yields where the messages are in an mbox file. A separator counts at the start of the file and behind an empty
// line. What stands before the first one is no message. The error is that of r, and the last thing that is yielded.
func Messages(r io.Reader) iter.Seq2[Range, error] {
	return func(yield func(Range, error) bool) {
		lines := bufio.NewReaderSize(r, 64<<10)
		var (
			at     int64 // where the line starts
			from   int64
			start  = int64(-1)
			end    int64 // of what lies before the line, without the last empty line
			begins = true
			empty  = true // the line before is empty, or there is none
		)
		for {
			line, err := lines.ReadSlice('\n')
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
				yield(Range{}, err)
				return
			}
			if len(line) > 0 {
				if begins && empty && isSeparator(line[:min(len(line), maxSeparator)]) {
					if start >= 0 && !yield(Range{start, end, from}, nil) {
						return
					}
					from, start = at, at+int64(len(line))
					for errors.Is(err, bufio.ErrBufferFull) { // a separator of this length has no end
						line, err = lines.ReadSlice('\n')
						start += int64(len(line))
					}
					at, end, begins, empty = start, start, true, false
				} else {
					blank := begins && len(bytes.TrimRight(line, "\r\n")) == 0
					end = at + int64(len(line))
					if blank {
						end = at
					}
					at, empty = at+int64(len(line)), blank
					begins = line[len(line)-1] == '\n'
				}
			}
			if errors.Is(err, io.EOF) {
				if start >= 0 {
					yield(Range{start, end, from}, nil)
				}
				return
			}
		}
	}
}

// Unquote writes what r holds to dst, and takes away the ">" that a program put before a line that starts with "From ", or with
// such a line quoted already (the form called mboxrd). It reports whether there was one.
func Unquote(dst io.Writer, r io.Reader) (changed bool, err error) {
	lines := bufio.NewReaderSize(r, 32<<10)
	for begins := true; ; {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return changed, err
		}
		begun := begins
		begins = len(line) > 0 && line[len(line)-1] == '\n'
		if begun && isQuoted(line) {
			line, changed = line[1:], true
		}
		if _, err := dst.Write(line); err != nil {
			return changed, err
		}
		if errors.Is(err, io.EOF) {
			return changed, nil
		}
	}
}

// isQuoted reports whether a line begins as one that was quoted.
func isQuoted(line []byte) bool {
	return bytes.HasPrefix(line, []byte{'>'}) && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From "))
}

// Quote writes what r holds to dst, and puts a ">" before each line that starts with "From ", or with such a line quoted already
// (mboxrd). Unquote undoes it.
func Quote(dst io.Writer, r io.Reader) error {
	lines := bufio.NewReaderSize(r, 32<<10)
	for begins := true; ; {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if begins && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
			if _, err := dst.Write([]byte{'>'}); err != nil {
				return err
			}
		}
		if _, err := dst.Write(line); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		begins = err == nil
	}
}
