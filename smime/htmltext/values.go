package htmltext

import (
	"strconv"
	"strings"
)

// words cuts a value at white space and commas outside of parentheses.
func words(text string) []string {
	var list []string
	depth, start := 0, 0
	cut := func(end int) {
		if end > start {
			list = append(list, text[start:end])
		}
		start = end + 1
	}
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ' ', '\t', '\n', '\r', '\f', ',':
			if depth <= 0 {
				cut(i)
			}
		}
	}
	cut(len(text))
	return list
}

// numbers are the lengths in a list of arguments, "auto" being 0.
func numbers(arguments string, size float64) []float64 {
	var list []float64
	for _, word := range words(strings.TrimRight(arguments, ") ")) {
		n, _ := length(word, size)
		list = append(list, n)
	}
	return list
}

// number01 reads a number or a percentage as a part of one.
func number01(text string) (float64, bool) {
	percent, ok := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(percent), 64)
	if ok {
		n /= 100
	}
	return n, err == nil
}

// length reads a length in px; em is the size of the font. Of percentages, only none is known.
func length(text string, em float64) (float64, bool) {
	end := len(text)
	for end > 0 && (text[end-1] >= 'a' && text[end-1] <= 'z' || text[end-1] == '%') {
		end--
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text[:end]), 64)
	if err != nil {
		return 0, false
	}
	switch text[end:] {
	case "", "px":
		return n, true
	case "pt":
		return n * 4 / 3, true
	case "pc":
		return n * 16, true
	case "in":
		return n * 96, true
	case "cm":
		return n * 96 / 2.54, true
	case "mm":
		return n * 96 / 25.4, true
	case "em":
		return n * em, true
	case "ex", "ch":
		return n * em / 2, true
	case "rem", "lh", "rlh":
		return n * 16, true
	case "vw", "vh", "vmin", "vmax", "vi", "vb":
		return n * 6, true
	}
	return n, n == 0 // percent and what is not known
}

// fontSize reads a size of a font; parent is that around it.
func fontSize(text string, parent float64) float64 {
	switch text {
	case "", "inherit", "larger", "smaller", "unset":
		return parent
	case "xx-small", "x-small", "small", "medium", "large", "x-large", "xx-large", "xxx-large", "initial":
		return 16
	}
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		if n, err := strconv.ParseFloat(percent, 64); err == nil {
			return n / 100 * parent
		}
		return parent
	}
	if n, ok := length(text, parent); ok && n >= 0 {
		return n
	}
	return parent
}

// sizeInFont finds the size in the font shorthand, where it is the first word with a digit that is no weight.
func sizeInFont(font string) string {
	for _, word := range words(font) {
		size, _, _ := strings.Cut(word, "/")
		if size == "" || size[0] != '.' && (size[0] < '0' || size[0] > '9') {
			continue
		}
		if n, err := strconv.Atoi(size); err == nil && n >= 100 {
			continue
		}
		return size
	}
	return ""
}
