package bag

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrName: a file cannot have this name in a bag; it is wrapped with the name and the reason.
var ErrName = errors.New("not a name of a file in a bag")

// maxName bounds a path, in octets: more is opened by few systems.
const maxName = 4096

// checkPath refuses paths that lead out of a folder on any system (RFC 8493 section 5.1).
func checkPath(name string) error {
	switch {
	case name == "" || len(name) > maxName:
		return badName(name, "its length")
	case !utf8.ValidString(name):
		return badName(name, "it is not UTF-8")
	case strings.ContainsAny(name, "\x00\\"):
		return badName(name, "it has a NUL or a backslash")
	case name[0] == '~':
		return badName(name, "it names somebody's home")
	case len(name) > 1 && name[1] == ':':
		return badName(name, "it names a drive")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return badName(name, "it leads elsewhere")
		}
	}
	return nil
}

// checkName refuses what checkPath does, and what is another file on some systems than on others (section 6.1.2).
func checkName(name string) error {
	if err := checkPath(name); err != nil {
		return err
	}
	for part := range strings.SplitSeq(name, "/") {
		stem, _, _ := strings.Cut(part, ".")
		switch {
		case strings.Contains(part, ":"):
			return badName(name, "a colon is not a part of names everywhere")
		case strings.HasSuffix(part, ".") || strings.HasSuffix(part, " "):
			return badName(name, "a name that ends so is cut somewhere")
		case isDevice(strings.ToUpper(strings.TrimRight(stem, " "))):
			return badName(name, "it is a device somewhere")
		}
	}
	return nil
}

func badName(name, why string) error { return fmt.Errorf("%w: %.200q: %s", ErrName, name, why) }

// isDevice reports whether a name without its extension, in capitals, is one that Windows reserves.
func isDevice(stem string) bool {
	switch stem {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	return len(stem) == 4 && (strings.HasPrefix(stem, "COM") || strings.HasPrefix(stem, "LPT")) && stem[3] >= '0' && stem[3] <= '9'
}

// nameSet holds the names of files, and of the folders that they are in, in a form that is the same whatever the letter case.
type nameSet map[string]bool // true: a file

// add adds the name of a file, unless one has it already.
func (s nameSet) add(name string) error {
	folded := fold(name)
	if _, taken := s[folded]; taken {
		return badName(name, "it is there already, perhaps in another letter case")
	}
	for i, c := range folded {
		if c == '/' && s[folded[:i]] {
			return badName(name, "a folder that it is in is a file")
		}
	}
	for i, c := range folded {
		if c == '/' {
			s[folded[:i]] = false
		}
	}
	s[folded] = true
	return nil
}

// fold returns the same for names that differ in letter case only.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name)
}

// encodeName writes a path as it stands in a manifest (RFC 8493 section 2.1.3): line ends and percent signs, and nothing else, are
// percent-encoded.
func encodeName(name string) string {
	if !strings.ContainsAny(name, "%\r\n") { // as nearly all of them
		return name
	}
	return strings.NewReplacer("%", "%25", "\n", "%0A", "\r", "%0D").Replace(name)
}
