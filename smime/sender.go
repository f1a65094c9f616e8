package smime

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sealmail/sealmail/smime/entity"
)

// Sender is one mailbox of a field that says who a message is from.
type Sender struct {
	Address string // addr-spec
	// Also are other addresses, in its name or in comments: what a reader that shows the name takes for the sender.
	Also []string
}

// ErrSender says that a field that names a sender cannot be read, or not by everybody in the same way.
var ErrSender = errors.New("the sender cannot be read in one way")

// Bounds on what is looked at to find who a message is from.
const (
	maxSenderField = 64 << 10
	maxSenders     = 64
	maxAlso        = 8
)

// ReadSenders reads the fields From, Sender or Reply-To, more strictly than [ParseAddresses] does: a signature vouches for
// whom they name, so that there must be one way to read them. What RFC 5322 calls obsolete (section 4: routes, comments
// inside an address, lists with gaps) is refused as what is malformed is, and so are groups (RFC 6854), encoded words in an
// address (RFC 2047 section 5), control characters and octets that are no UTF-8. Periods in a name are let through. The
// error is an ErrSender and says what is wrong.
func ReadSenders(fields []entity.Field) ([]Sender, error) {
	var list []Sender
	for _, f := range fields {
		some, err := readSenders(f)
		if err != nil {
			return nil, fmt.Errorf("%w: %s %w", ErrSender, f.Name, err)
		}
		if list = append(list, some...); len(list) > maxSenders {
			return nil, fmt.Errorf("%w: %s names more than %d mailboxes", ErrSender, f.Name, maxSenders)
		}
	}
	return list, nil
}

// Errors of a field, whose name they follow.
var (
	errNoAddress = errors.New("holds something that is no address")
	errGroup     = errors.New("names a group")
)

func readSenders(f entity.Field) ([]Sender, error) {
	value := f.Value()
	switch {
	case len(f.Raw) > len(f.Name) && f.Raw[len(f.Name)] != ':':
		return nil, errors.New("has white space before its colon, which not every reader passes over")
	case value == "":
		return nil, nil
	case len(value) > maxSenderField:
		return nil, fmt.Errorf("is longer than %d octets", maxSenderField)
	case !utf8.ValidString(value):
		return nil, errors.New("holds octets that are no UTF-8")
	case strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }):
		return nil, errors.New("holds control characters")
	}
	r := senderReader{in: value}
	var list []Sender
	for {
		s, err := r.mailbox()
		if err != nil {
			return nil, err
		}
		if list = append(list, s); r.at == len(r.in) || len(list) > maxSenders {
			return list, nil
		}
		if r.in[r.at] != ',' {
			return nil, errNoAddress
		}
		r.at++
	}
}

// senderReader reads mailboxes (RFC 5322 section 3.4), with periods in names (section 4.1), and UTF-8 (RFC 6532).
type senderReader struct {
	in string
	at int
}

// mailbox reads one mailbox and the comments and white space around it.
func (r *senderReader) mailbox() (Sender, error) {
	var words, comments []string
	start := 0 // of the last word
	for {
		if err := r.space(&comments); err != nil {
			return Sender{}, err
		}
		before := r.at
		switch c := r.peek(); {
		case c == '"':
			word, err := r.quoted()
			if err != nil {
				return Sender{}, err
			}
			start, words = before, append(words, word)
			continue
		case c == '<':
			r.at++
			r.white()
			address, err := r.addrSpec(r.at)
			if err != nil {
				return Sender{}, err
			}
			if r.white(); r.peek() != '>' {
				return Sender{}, errNoAddress
			}
			r.at++
			return r.sender(address, words, comments)
		case c == '@' && len(words) == 1 && before > start && r.in[before-1] != ' ' && r.in[before-1] != '\t' && r.in[before-1] != ')':
			address, err := r.addrSpec(start)
			if err != nil {
				return Sender{}, err
			}
			return r.sender(address, nil, comments)
		case c == ':' && len(words) > 0:
			return Sender{}, errGroup
		}
		word := r.run(func(c rune) bool { return isAtext(c) || c == '.' })
		if word == "" {
			return Sender{}, errNoAddress
		}
		start, words = before, append(words, word)
	}
}

// sender puts together what was read, with the comments behind it.
func (r *senderReader) sender(address string, words, comments []string) (Sender, error) {
	if err := r.space(&comments); err != nil {
		return Sender{}, err
	}
	s := Sender{Address: address}
	for _, text := range append(comments, strings.Join(words, " ")) {
		for _, other := range addressesIn(entity.DecodeWords(text)) {
			if !SameAddress(other, address) && !slices.Contains(s.Also, other) && len(s.Also) < maxAlso {
				s.Also = append(s.Also, other)
			}
		}
	}
	return s, nil
}

// addrSpec reads the addr-spec that starts at start (RFC 5322 section 3.4.1).
func (r *senderReader) addrSpec(start int) (string, error) {
	r.at = start
	if r.peek() == '"' {
		if _, err := r.quoted(); err != nil {
			return "", err
		}
	} else if !r.dotAtom() {
		return "", errNoAddress
	}
	if r.peek() != '@' {
		return "", errNoAddress
	}
	r.at++
	if r.peek() == '[' {
		r.at++
		r.run(func(c rune) bool { return c > ' ' && c != '[' && c != ']' && c != '\\' })
		if r.peek() != ']' {
			return "", errNoAddress
		}
		r.at++
	} else if !r.dotAtom() {
		return "", errNoAddress
	}
	address := r.in[start:r.at]
	switch {
	case len(address)-strings.LastIndexByte(address, '@') > maxDomain:
		return "", errors.New("has an address whose domain is longer than any can be")
	case strings.Contains(address, "=?") && strings.Contains(address, "?="):
		return "", errors.New("has an encoded word in an address")
	case strings.ContainsFunc(address, func(c rune) bool { return c >= utf8.RuneSelf && !isAddressRune(c) }):
		return "", errors.New("has an address with characters that cannot be seen, or look like others")
	}
	return address, nil
}

// dotAtom passes over a dot-atom-text.
func (r *senderReader) dotAtom() bool {
	text := r.run(func(c rune) bool { return isAtext(c) || c == '.' })
	return text != "" && text[0] != '.' && text[len(text)-1] != '.' && !strings.Contains(text, "..")
}

// quoted reads a quoted-string (RFC 5322 section 3.2.4).
func (r *senderReader) quoted() (string, error) {
	var b strings.Builder
	for r.at++; r.at < len(r.in); r.at++ {
		switch c := r.in[r.at]; c {
		case '"':
			r.at++
			return b.String(), nil
		case '\\':
			if r.at++; r.at == len(r.in) {
				break
			}
			b.WriteByte(r.in[r.at])
		default:
			b.WriteByte(c)
		}
	}
	return "", errors.New("has a quotation without end")
}

// space passes over white space and comments, which it adds to the list (RFC 5322 section 3.2.2).
func (r *senderReader) space(comments *[]string) error {
	for r.white(); r.peek() == '('; r.white() {
		start, depth := r.at, 0
		for ; ; r.at++ {
			if r.at >= len(r.in) {
				return errors.New("has a comment without end")
			}
			switch r.in[r.at] {
			case '\\':
				r.at++
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth == 0 {
				break
			}
		}
		r.at++
		*comments = append(*comments, r.in[start+1:r.at-1])
	}
	return nil
}

func (r *senderReader) white() {
	r.run(func(c rune) bool { return c == ' ' || c == '\t' })
}

// run passes over characters that are of a kind, and returns them.
func (r *senderReader) run(is func(rune) bool) string {
	start := r.at
	for r.at < len(r.in) {
		c, size := utf8.DecodeRuneInString(r.in[r.at:])
		if !is(c) {
			break
		}
		r.at += size
	}
	return r.in[start:r.at]
}

// peek returns the next octet, 0 at the end: there is none in the text.
func (r *senderReader) peek() byte {
	if r.at >= len(r.in) {
		return 0
	}
	return r.in[r.at]
}

// isAtext is atext of RFC 5322 section 3.2.3, with RFC 6532.
func isAtext(c rune) bool {
	return c >= utf8.RuneSelf || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", c)
}

// isAddressRune reports whether a character beyond ASCII can stand in an address: it is seen, and is no form of @ or of a
// period that some readers take for these.
func isAddressRune(c rune) bool {
	return unicode.IsGraphic(c) && !unicode.In(c, unicode.Cf, unicode.Z) && !isAt(c) && !strings.ContainsRune("。．｡․﹒", c)
}

func isAt(c rune) bool { return c == '@' || c == '＠' || c == '﹫' }

// addressesIn finds what a person would take for addresses in a text.
func addressesIn(text string) []string {
	text = strings.Map(func(c rune) rune {
		switch {
		case isAt(c):
			return '@'
		case unicode.In(c, unicode.Cf, unicode.Cc):
			return -1 // nobody sees it
		}
		return c
	}, text)
	ends := func(c rune) bool { return unicode.IsSpace(c) || strings.ContainsRune(`<>()[]"',;:`, c) }
	pieces := strings.SplitN(text, "@", maxAlso+2)
	var list []string
	for i := range len(pieces) - 1 {
		left, right := strings.FieldsFunc(pieces[i], ends), strings.FieldsFunc(pieces[i+1], ends)
		if len(left) > 0 && len(right) > 0 {
			list = append(list, left[len(left)-1]+"@"+strings.Trim(right[0], "."))
		}
	}
	return list
}
