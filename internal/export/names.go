package export

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxPart = 100 // octets of a level of a folder's name that are kept
	maxPath = 600 // and of all levels
	// A Maildir has all levels in one name, in modified UTF-7, which takes up to twice as much.
	maxMaildir = 120
)

// folderPath returns a path that tells the name of a mail folder, and is a safe one on any system: what could mean something else there
// is written as = and two hexadecimal digits for each octet. It is the same for the same name only, but for letter case.
func folderPath(folder string) string {
	parts := strings.Split(folder, "/")
	for i, part := range parts {
		parts[i] = pathPart(part)
	}
	path := strings.Join(parts, "/")
	if len(path) > maxPath {
		return digest(folder)
	}
	return path
}

// digest stands for a name that is too long.
func digest(name string) string { return fmt.Sprintf("=%x", sha256.Sum256([]byte(name))) }

// pathPart returns what stands for a level of a folder's name.
func pathPart(part string) string {
	if part == "" {
		return "="
	}
	var b strings.Builder
	for i, r := range part {
		_, size := utf8.DecodeRuneInString(part[i:])
		end := i+size == len(part)
		switch {
		case r == utf8.RuneError && size == 1, strings.ContainsRune(`<>:"\|?*%=`, r), !unicode.IsPrint(r), i == 0 && strings.ContainsRune("~. -", r),
			end && strings.ContainsRune(". ", r):
			for _, c := range []byte(part[i : i+size]) {
				fmt.Fprintf(&b, "=%02X", c)
			}
		default:
			b.WriteRune(r)
		}
	}
	name := b.String()
	// So that no folder has the name of a file, nor of a device of some system.
	at := strings.LastIndexByte(name, '.')
	if at > 0 && (strings.EqualFold(name[at:], ".eml") || strings.EqualFold(name[at:], ".jsonl")) {
		name = name[:at] + "=2E" + name[at+1:]
	}
	stem, _, _ := strings.Cut(name, ".")
	if isDevice(strings.ToUpper(strings.TrimSpace(stem))) {
		name = fmt.Sprintf("=%02X", name[0]) + name[1:]
	}
	if len(name) > maxPart {
		return digest(part)
	}
	return name
}

// isDevice reports whether a name without its extension, in capitals, is one that Windows reserves.
func isDevice(stem string) bool {
	switch stem {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	return len(stem) == 4 && (strings.HasPrefix(stem, "COM") || strings.HasPrefix(stem, "LPT")) && stem[3] >= '0' && stem[3] <= '9'
}

// maildirName returns a name for a folder in a Maildir, whose levels are separated by dots.
func maildirName(folder string) string {
	parts := strings.Split(folderPath(folder), "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(part, ".", "=2E")
	}
	name := strings.Join(parts, ".")
	if len(name) > maxMaildir {
		return digest(folder)
	}
	return name
}
