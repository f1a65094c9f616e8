package maildir

import (
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/internal/filestore"
)

// letterFlags are the flags that have a letter (https://cr.yp.to/proto/maildir.html), in the order of the letters. P is for
// "passed", that is resent, forwarded or bounced.
var letterFlags = []struct {
	letter byte
	flag   string
}{{'D', `\Draft`}, {'F', `\Flagged`}, {'P', "$Forwarded"}, {'R', `\Answered`}, {'S', `\Seen`}, {'T', `\Deleted`}}

// info parts a file's name into the letters of the flags and what stands behind them.
func info(name string) (letters, rest string) {
	_, info, _ := strings.Cut(name, ":")
	letters, ok := strings.CutPrefix(info, "2,")
	if !ok {
		return "", "" // of no known meaning
	}
	if at := strings.IndexByte(letters, ','); at >= 0 {
		letters, rest = letters[:at], letters[at:]
	}
	return letters, rest
}

// flags returns the flags that a file's name tells.
func (f *folder) flags(name string) (flags []string) {
	letters, _ := info(name)
	for _, known := range letterFlags {
		if strings.IndexByte(letters, known.letter) >= 0 {
			flags = append(flags, known.flag)
		}
	}
	for i, keyword := range f.keywords {
		if keyword != "" && strings.IndexByte(letters, 'a'+byte(i)) >= 0 {
			flags = append(flags, keyword)
		}
	}
	return flags
}

// letters returns what stands behind the colon of a message with these flags, colon included, and the flags that have no letter.
// Of the name that it has so far letters of no known meaning are kept.
func (f *folder) letters(flags []string, name string) (written string, rest []string) {
	old, behind := info(name)
	var letters []byte
	for _, c := range []byte(old) {
		if f.flagOf(c) == "" {
			letters = append(letters, c)
		}
	}
	for _, flag := range flags {
		letter := byte(0)
		for _, c := range []byte("DFPRSTabcdefghijklmnopqrstuvwxyz") {
			if own := f.flagOf(c); own != "" && strings.EqualFold(own, flag) {
				letter = c
				break
			}
		}
		if letter == 0 {
			rest = append(rest, flag)
			continue
		}
		letters = append(letters, letter)
	}
	slices.Sort(letters)
	return ":2," + string(slices.Compact(letters)) + behind, rest
}

// flagOf returns what a letter stands for, or nothing.
func (f *folder) flagOf(letter byte) string {
	for _, known := range letterFlags {
		if known.letter == letter {
			return known.flag
		}
	}
	if i := int(letter) - 'a'; i >= 0 && i < len(f.keywords) {
		return f.keywords[i]
	}
	return ""
}

// unknownLetters returns a name whose letters are those that mean nothing here, without Dovecot's, which stand for other keywords
// in each folder.
func unknownLetters(name string) string {
	letters, rest := info(name)
	kept := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || strings.ContainsRune("DFPRST", r) {
			return -1
		}
		return r
	}, letters)
	return ":2," + kept + rest
}

// maxKeywords bounds Dovecot's file of keywords.
const maxKeywords = 64 << 10

// dovecotKeywords reads which keywords the letters from a to z stand for, where Dovecot serves the Maildir as well: lines with a
// number and a keyword. The file is Dovecot's, and never written.
func dovecotKeywords(path string) []string {
	file, _, err := filestore.OpenRegular(path)
	if err != nil {
		return nil // there are none
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxKeywords))
	if err != nil {
		return nil
	}
	keywords := make([]string, 26)
	for line := range strings.Lines(string(text)) {
		number, keyword, ok := strings.Cut(strings.TrimRight(line, "\n"), " ")
		n, err := strconv.Atoi(number)
		if ok && err == nil && n >= 0 && n < len(keywords) && mailbox.CheckFlags([]string{keyword}) == nil {
			keywords[n] = keyword
		}
	}
	return keywords
}
