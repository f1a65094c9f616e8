package revocation

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on a sentence.
const (
	maxNotes = 8
	maxNote  = 300 // characters
)

// notes are the reasons why some evidence did not count, for the sentence that says why nothing is known.
type notes struct {
	list []string
	more int
}

func (n *notes) add(text string) {
	text = short(text, maxNote)
	switch {
	case slices.Contains(n.list, text):
	case len(n.list) == maxNotes:
		n.more++
	default:
		n.list = append(n.list, text)
	}
}

// text returns all of them, as the end of a sentence.
func (n *notes) text() string {
	if len(n.list) == 0 {
		return "there is neither a list nor a responder to ask"
	}
	text := strings.Join(n.list, "; ")
	if n.more > 0 {
		text += fmt.Sprintf("; and %d other reasons", n.more)
	}
	return text
}

// quote returns text from a certificate or a server as it can stand in a sentence.
func quote(text string) string { return fmt.Sprintf("%q", short(text, 120)) }

// short cuts text, and takes out what does not print: errors of TLS have words of whoever answers.
func short(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, text)
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + "…"
	}
	return text
}
