package bag

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// readDeclaration reads bagit.txt (RFC 8493 section 2.1.1). Its labels are read in any letter case, as the strings of its grammar are.
func readDeclaration(r io.Reader) error {
	want := []string{"BagIt-Version: 1.0", "Tag-File-Character-Encoding: UTF-8"}
	n := 0
	for line, err := range lines(r) {
		if err != nil {
			return err
		}
		if n++; n > len(want) {
			return &LineError{0, "it has more than two lines"}
		}
		if !strings.EqualFold(line, want[n-1]) {
			return &LineError{n, fmt.Sprintf("it is %.100q, and only %q is known", line, want[n-1])}
		}
	}
	if n < len(want) {
		return &LineError{0, "it has fewer than two lines"}
	}
	return nil
}

// readInfo reads bag-info.txt (RFC 8493 section 2.2.2). What continues on the next line has one space there.
func readInfo(r io.Reader) (fields []Field, err error) {
	n := 0
	for line, err := range lines(r) {
		n++
		if err != nil {
			return fields, err
		}
		if n > maxInfo {
			return fields, &LineError{0, fmt.Sprintf("it has more than %d lines", maxInfo)}
		}
		if line != "" && (line[0] == ' ' || line[0] == '\t') {
			if len(fields) == 0 {
				return fields, &LineError{n, "it continues nothing"}
			}
			fields[len(fields)-1].Value += " " + strings.TrimLeft(line, " \t")
			continue
		}
		label, value, found := strings.Cut(line, ":")
		if !found || label == "" || strings.TrimRight(label, " \t") != label || value == "" || value[0] != ' ' && value[0] != '\t' {
			return fields, &LineError{n, "it is not a label, a colon, a space and a value"}
		}
		fields = append(fields, Field{label, value[1:]})
	}
	return fields, nil
}

// maxInfo bounds the lines of bag-info.txt.
const maxInfo = 10_000

// payloadOxum returns the octets and files that bag-info.txt tells of; known is false where it does not.
func payloadOxum(info []Field) (octets int64, files int, known bool, err error) {
	for _, f := range info {
		if !strings.EqualFold(f.Label, oxum) {
			continue
		}
		if known {
			return 0, 0, false, errors.New(oxum + " stands there twice")
		}
		left, right, _ := strings.Cut(f.Value, ".")
		a, errA := strconv.ParseUint(left, 10, 63)
		b, errB := strconv.ParseUint(right, 10, 31)
		if errors.Join(errA, errB) != nil {
			return 0, 0, false, fmt.Errorf("%s is %.100q, not two numbers", oxum, f.Value)
		}
		octets, files, known = int64(a), int(b), true
	}
	return octets, files, known, nil
}

// readFetch returns the paths in fetch.txt (RFC 8493 section 2.2.3).
func readFetch(r io.Reader) (names []string, err error) {
	n := 0
	for line, err := range lines(r) {
		n++
		if err != nil {
			return names, err
		}
		if n > maxEntries {
			return names, &LineError{0, fmt.Sprintf("it has more than %d lines", maxEntries)}
		}
		rest := line
		var words [2]string
		for i := range words {
			end := strings.IndexAny(rest, " \t")
			if end <= 0 {
				return names, &LineError{n, "it is not an address, a length and a path"}
			}
			words[i], rest = rest[:end], strings.TrimLeft(rest[end:], " \t")
		}
		if !strings.Contains(words[0], ":") {
			return names, &LineError{n, "the address is not absolute"}
		}
		if _, err := strconv.ParseUint(words[1], 10, 63); err != nil && words[1] != "-" {
			return names, &LineError{n, "the length is not a number"}
		}
		name, err := decodeName(rest)
		if err == nil {
			err = checkPath(name)
		}
		if err != nil {
			return names, &LineError{n, err.Error()}
		}
		names = append(names, name)
	}
	return names, nil
}
