package maildir

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sealmail/sealmail/mailbox"
)

// maxName bounds the name of a folder on disk; common file systems take 255 octets for a path element.
const maxName = 255

// delimiter parts the levels of a folder's name, here and on disk.
const delimiter = "."

const inbox = "INBOX"

// checkName refuses what no folder in a Maildir can be called.
func checkName(folder string) error {
	reason := ""
	switch {
	case strings.Contains(folder, "/"):
		reason = "a name with / cannot be that of a folder in a Maildir; levels are parted by a dot"
	case strings.HasPrefix(folder, delimiter), strings.HasSuffix(folder, delimiter), strings.Contains(folder, delimiter+delimiter):
		reason = "a level of the name is empty"
	case len(encodeName(folder))+len(delimiter) > maxName:
		reason = "the name is too long"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", mailbox.ErrNoFolder, reason)
}

// base64 of RFC 3501 section 5.1.3 has a comma in the place of the slash.
var modifiedBase64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// encodeName gives a name the form in which it stands on disk: modified UTF-7 (RFC 3501 section 5.1.3).
func encodeName(name string) string {
	var b strings.Builder
	for name != "" {
		wide := strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r > '~' || r == '&' })
		if wide < 0 {
			b.WriteString(name)
			break
		}
		b.WriteString(name[:wide])
		if name = name[wide:]; name[0] == '&' {
			b.WriteString("&-")
			name = name[1:]
			continue
		}
		end := strings.IndexFunc(name, func(r rune) bool { return r >= ' ' && r <= '~' })
		if end < 0 {
			end = len(name)
		}
		units := utf16.Encode([]rune(name[:end]))
		octets := make([]byte, 0, 2*len(units))
		for _, u := range units {
			octets = append(octets, byte(u>>8), byte(u))
		}
		b.WriteString("&" + modifiedBase64.EncodeToString(octets) + "-")
		name = name[end:]
	}
	return b.String()
}

// decodeName undoes encodeName. It reports false for what encodeName does not produce.
func decodeName(encoded string) (string, bool) {
	var b strings.Builder
	for rest := encoded; rest != ""; {
		plain, shifted, found := strings.Cut(rest, "&")
		b.WriteString(plain)
		if !found {
			break
		}
		octets, after, ended := strings.Cut(shifted, "-")
		if !ended {
			return "", false
		}
		rest = after
		if octets == "" {
			b.WriteByte('&')
			continue
		}
		wide, err := modifiedBase64.DecodeString(octets)
		if err != nil || len(wide)%2 != 0 {
			return "", false
		}
		units := make([]uint16, 0, len(wide)/2)
		for i := 0; i < len(wide); i += 2 {
			units = append(units, uint16(wide[i])<<8|uint16(wide[i+1]))
		}
		b.WriteString(string(utf16.Decode(units)))
	}
	name := b.String()
	return name, encodeName(name) == encoded
}

// nameOf returns the name of the folder that lies in a directory of this name. Names that are not encoded, as some programs
// write them, stand for themselves.
func nameOf(directory string) (string, bool) {
	encoded, ok := strings.CutPrefix(directory, delimiter)
	if !ok {
		return "", false
	}
	name, ok := decodeName(encoded)
	if !ok {
		name = encoded
	}
	printable := utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
	return name, printable && name != "" && !strings.EqualFold(name, inbox) && checkName(name) == nil
}
