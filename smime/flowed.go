package smime

import (
	"strings"
	"unicode/utf8"
)

// flowWidth is how many characters a line of flowed text may have before it is broken (RFC 3676 section 4.2: 78, and 72 to leave
// room for others to quote it).
const flowWidth = 72

// maxFlowedDepth is how deep a line may be quoted that is broken still: marks of many lines would be more than the text.
const maxFlowedDepth = flowWidth / 2

// signatureSeparator stands above the lines with which writers end their mail (RFC 3676 section 4.3). It is never flowed.
const signatureSeparator = "-- "

// FlowText returns plain text in the form of format=flowed (RFC 3676 section 4.2, DelSp=no): long lines are broken at blanks, so
// that readers put them together again, and all other lines stay as they are, but for blanks at their ends. Lines that begin with
// ">" are quoted: what they are broken into is too. Line ends are LF or CRLF, and become LF.
func FlowText(text string) string {
	var b strings.Builder
	b.Grow(len(text) + len(text)/16)
	for line := range strings.Lines(text) {
		body, ended := strings.CutSuffix(line, "\n")
		if ended {
			body = strings.TrimSuffix(body, "\r")
		}
		flowLine(&b, body)
		if ended {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// flowLine writes one line, without its end.
func flowLine(b *strings.Builder, line string) {
	marks, rest := cutQuote(line)
	if marks != "" {
		rest = strings.TrimPrefix(rest, " ")
	}
	if rest != signatureSeparator {
		rest = strings.TrimRight(rest, " ")
	}
	for first := true; first || rest != ""; first = false {
		if !first {
			b.WriteByte('\n')
		}
		piece := rest
		if rest != signatureSeparator && len(marks) <= maxFlowedDepth {
			piece = rest[:breakAt(rest, flowWidth-len(marks))]
		}
		rest = rest[len(piece):]
		b.WriteString(marks)
		// Space-stuffing (section 4.4). Behind marks there always is a space, so that nothing of the text is taken for one.
		if marks != "" && piece != "" || marks == "" && (strings.HasPrefix(piece, " ") || strings.HasPrefix(piece, ">") || strings.HasPrefix(piece, "From ")) {
			b.WriteByte(' ')
		}
		b.WriteString(piece)
	}
}

// breakAt returns how much of a line fits into so many characters with the blank behind it; all of it where it need not, or
// cannot, be broken. What is broken off is never taken for a signature separator.
func breakAt(line string, width int) int {
	at, n := len(line), 0
	for i := 0; i < len(line); {
		_, size := utf8.DecodeRuneInString(line[i:])
		if n++; n > width && at < len(line) {
			return at
		}
		if end := i + 1; line[i] == ' ' && end < len(line) && line[end] != ' ' && line[:end] != signatureSeparator {
			if at = end; n > width { // a long word
				return at
			}
		}
		i += size
	}
	if n <= width {
		return len(line)
	}
	return at
}

// cutQuote cuts the marks of quotation off a line (RFC 3676 section 4.5).
func cutQuote(line string) (marks, rest string) {
	rest = strings.TrimLeft(line, ">")
	return line[:len(line)-len(rest)], rest
}

// unflow puts the lines of flowed text together (RFC 3676 sections 4.1 to 4.5). Only lines of the same depth of quotation belong
// together: nothing that is quoted becomes part of what is not. Line ends are LF.
func unflow(text string, delsp bool) string {
	var b strings.Builder
	b.Grow(len(text))
	const none = -1
	open := none // the depth of the paragraph that goes on
	for line := range strings.Lines(text) {
		body, ended := strings.CutSuffix(line, "\n")
		marks, rest := cutQuote(body)
		rest = strings.TrimPrefix(rest, " ") // section 4.4: what was stuffed
		separator := rest == signatureSeparator
		if open != none && (open != len(marks) || separator) {
			b.WriteByte('\n')
			open = none
		}
		if open == none {
			b.WriteString(marks)
			if marks != "" && rest != "" {
				b.WriteByte(' ')
			}
		}
		open = none
		if strings.HasSuffix(rest, " ") && !separator {
			open = len(marks)
			if delsp {
				rest = rest[:len(rest)-1]
			}
		}
		b.WriteString(rest)
		if open == none && ended {
			b.WriteByte('\n')
		}
	}
	if open != none && strings.HasSuffix(text, "\n") {
		b.WriteByte('\n')
	}
	return b.String()
}
