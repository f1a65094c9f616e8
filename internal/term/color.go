package term

import (
	"fmt"
	"io"
	"strings"
)

// Color says whether output is coloured.
type Color string

// The words for it: on a terminal; always; never.
const (
	ColorAuto   Color = "auto"
	ColorAlways Color = "always"
	ColorNever  Color = "never"
)

// ParseColor reads the word.
func ParseColor(word string) (Color, error) {
	switch c := Color(word); c {
	case ColorAuto, ColorAlways, ColorNever:
		return c, nil
	}
	return "", fmt.Errorf("%q is not auto, always or never", word)
}

// On decides, for a file that is a terminal or not. NO_COLOR (https://no-color.org) and TERM count where nothing was said.
func (c Color) On(terminal bool, getenv func(string) string) bool {
	switch c {
	case ColorAlways:
		return true
	case ColorNever:
		return false
	}
	return terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// hue is what a colour says. What it says is said in words as well.
type hue string

// The hues: by the plain codes of ECMA-48, which every terminal maps to colours that can be read on its background.
const (
	noHue    hue = ""
	goodHue  hue = "\x1b[32m"
	badHue   hue = "\x1b[31m"
	doubtHue hue = "\x1b[33m"
	dimHue   hue = "\x1b[2m"

	endOfHue = "\x1b[0m"
)

// hueOf is that of a verdict, of a state, of a finding.
func hueOf(word string) hue {
	switch strings.ToLower(word) {
	case "passed", "ok", "sent", "good":
		return goodHue
	case "failed", "bad", "broken", "revoked", "refused":
		return badHue
	case "indeterminate", "warning", "uncertain", "weak":
		return doubtHue
	case "unsigned", "skipped":
		return dimHue
	}
	return noHue
}

// Screen is a writer that knows what it is written on. All that a print function is to know of a terminal comes with it.
type Screen struct {
	io.Writer
	Columns int // 0: not a terminal, and nothing is cut or folded
	Color   bool
}

// Style returns what print functions look for in a writer.
func (s *Screen) Style() (columns int, color bool) { return s.Columns, s.Color }

// style is how lines are written.
type style struct {
	columns int
	color   bool
}

// styleOf asks a writer; one that cannot say is plain.
func styleOf(w io.Writer) (s style) {
	if screen, ok := w.(interface{ Style() (int, bool) }); ok {
		s.columns, s.color = screen.Style()
	}
	return s
}

// paint colours a text of sealmail's own. What others chose is never painted: it stands outside of all colour, and what it
// could end or begin one with does not come through Clean.
func (s style) paint(h hue, text string) string {
	if !s.color || h == noHue || text == "" {
		return text
	}
	return string(h) + text + endOfHue
}

// PaintNotice colours the word that a line to a person begins with, if it is one of sealmail's own.
func PaintNotice(line string) string {
	for word, h := range map[string]hue{"warning:": doubtHue, "sealmail:": badHue, "hint:": dimHue, "note:": dimHue} {
		if rest, ok := strings.CutPrefix(line, word); ok {
			return style{color: true}.paint(h, word) + rest
		}
	}
	return line
}
