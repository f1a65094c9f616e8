package client

import (
	"bytes"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sealmail/sealmail/internal/glyph"
)

// Letter is a message as its author writes it, with flags or in a template.
type Letter struct {
	From        string   // one of the account's own addresses, with a name or without; empty: the account's first
	To, Cc, Bcc []string // addresses, with names or without, several by commas
	ReplyTo     []string
	Subject     string
	// InReplyTo and References are Message-IDs in angle brackets.
	InReplyTo, References string
	Fields                []string // further header fields, as "Name: value"
	Attach                []string // files
	Body                  []byte   // nil: none was given

	kept []attachment // what does not lie in files: of a draft, or of a message that is forwarded
}

// and returns the letter with what flags add to it, or say in its place.
func (l Letter) and(flags Letter) Letter {
	l.To, l.Cc, l.Bcc = slices.Concat(l.To, flags.To), slices.Concat(l.Cc, flags.Cc), slices.Concat(l.Bcc, flags.Bcc)
	l.ReplyTo, l.Fields, l.Attach = slices.Concat(l.ReplyTo, flags.ReplyTo), slices.Concat(l.Fields, flags.Fields), slices.Concat(l.Attach, flags.Attach)
	l.kept = slices.Concat(l.kept, flags.kept)
	for _, field := range []struct {
		own  *string
		flag string
	}{{&l.From, flags.From}, {&l.Subject, flags.Subject}, {&l.InReplyTo, flags.InReplyTo}, {&l.References, flags.References}} {
		if field.flag != "" {
			*field.own = field.flag
		}
	}
	if flags.Body != nil {
		l.Body = flags.Body
	}
	return l
}

// templateFields are those that a template may have beside further ones, in the order in which they are written.
var templateFields = []string{"From", "To", "Cc", "Bcc", "Reply-To", "Subject", "In-Reply-To", "References", "Attach", "Keep"}

// letterFields are the further fields that an author may set, beside those that begin with X- or List-.
var letterFields = []string{"Auto-Submitted", "Comments", "Importance", "Keywords", "Organization", "Precedence", "Priority"}

// ownFieldPrefix begins the names of fields that sealmail itself writes into drafts.
const ownFieldPrefix = "X-Sealmail-"

// isLetterField reports whether an author may set a field of this name.
func isLetterField(name string) bool {
	has := func(prefix string) bool {
		return len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
	}
	return !has(ownFieldPrefix) && (has("X-") || has("List-")) || slices.ContainsFunc(letterFields, func(f string) bool { return strings.EqualFold(f, name) })
}

// list returns where the addresses or files of a field of a template go; nil: it has none.
func (l *Letter) list(name string) *[]string {
	return map[string]*[]string{"to": &l.To, "cc": &l.Cc, "bcc": &l.Bcc, "reply-to": &l.ReplyTo, "attach": &l.Attach}[name]
}

// word returns where the text of a field goes that is there once; nil: it is not one.
func (l *Letter) word(name string) *string {
	return map[string]*string{"from": &l.From, "subject": &l.Subject, "in-reply-to": &l.InReplyTo, "references": &l.References}[name]
}

// template writes the letter for an editor: header fields, an empty line, the text.
func (l Letter) template() []byte {
	var b bytes.Buffer
	for _, name := range templateFields {
		key := strings.ToLower(name)
		if list := l.list(key); list != nil {
			switch {
			case key == "attach":
				for _, file := range *list {
					fmt.Fprintf(&b, "%s: %s\n", name, file)
				}
			case len(*list) > 0 || key == "to" || key == "cc":
				fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(*list, ", "))
			}
			continue
		}
		if key == "keep" {
			for i, a := range l.kept {
				fmt.Fprintf(&b, "%s: %d %s\n", name, i+1, a.name)
			}
			continue
		}
		if value := *l.word(key); value != "" || key == "subject" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	for _, f := range l.Fields {
		fmt.Fprintf(&b, "%s\n", f)
	}
	b.WriteByte('\n')
	b.Write(l.Body)
	return b.Bytes()
}

// templateError is what is wrong with a line of a template.
type templateError struct {
	line int
	why  string
	hint string
}

func (e *templateError) Error() string { return fmt.Sprintf("template, line %d: %s", e.line, e.why) }

// Bounds on the header of a template.
const (
	maxTemplateLines = 10_000
	maxTemplateLine  = 1 << 20
)

// parseTemplate reads a template: lines of header fields, which may be continued by lines that begin with a blank, then an empty
// line, then the text, which may be missing. kept are what lines with Keep may name. The error is a usage error with the line.
func parseTemplate(text []byte, kept []attachment) (Letter, error) {
	var l Letter
	fields, body, err := templateHeader(text)
	for _, f := range fields {
		if err == nil {
			err = l.set(f, kept)
		}
	}
	var broken *templateError
	if errors.As(err, &broken) {
		return l, usage("", err, broken.hint)
	}
	l.Body = body
	return l, err
}

// templateField is a field in a template.
type templateField struct {
	line        int
	name, value string
}

func templateHeader(text []byte) (fields []templateField, body []byte, err error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	seen := map[string]bool{}
	for n := 1; len(text) > 0; n++ {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		text = rest
		words := strings.TrimRight(string(line), " \t\r")
		if words == "" {
			return fields, text, nil
		}
		if n > maxTemplateLines || len(words) > maxTemplateLine {
			return nil, nil, &templateError{n, "the header is too long", "an empty line ends the header; what follows it is the text"}
		}
		if words[0] == ' ' || words[0] == '\t' {
			if len(fields) == 0 {
				return nil, nil, &templateError{n, "it begins with a blank, and continues nothing", "write header fields like `To: bob@example.org`, then an empty line, then the text"}
			}
			last := &fields[len(fields)-1].value
			*last = strings.TrimSpace(*last + " " + strings.TrimSpace(words))
			continue
		}
		name, value, found := strings.Cut(words, ":")
		if !found {
			return nil, nil, &templateError{n, fmt.Sprintf("%q is no header field", shortText(words)), "write header fields like `To: bob@example.org`, then an empty line, then the text"}
		}
		key := strings.ToLower(name)
		if seen[key] && new(Letter).word(key) != nil {
			return nil, nil, &templateError{n, name + " is there twice", "leave one of them"}
		}
		seen[key] = true
		fields = append(fields, templateField{n, name, strings.TrimSpace(value)})
	}
	return fields, []byte{}, nil
}

// set takes a field of a template.
func (l *Letter) set(f templateField, kept []attachment) error {
	key := strings.ToLower(f.name)
	if f.value == "" && (isLetterField(f.name) || slices.ContainsFunc(templateFields, func(known string) bool { return strings.EqualFold(known, f.name) })) {
		return nil
	}
	if list := l.list(key); list != nil {
		if key != "attach" {
			if _, err := mail.ParseAddressList(f.value); err != nil {
				return &templateError{f.line, fmt.Sprintf("%s: %q is not an e-mail address", f.name, shortText(f.value)), addressHint}
			}
		}
		*list = append(*list, f.value)
		return nil
	}
	if word := l.word(key); word != nil {
		*word = f.value
		return nil
	}
	if key == "keep" {
		number, _, _ := strings.Cut(f.value, " ")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > len(kept) {
			return &templateError{f.line, fmt.Sprintf("Keep: %q is nothing that came along", shortText(f.value)), "to attach a file, write `Attach: FILE`"}
		}
		l.kept = append(l.kept, kept[n-1])
		return nil
	}
	if !isLetterField(f.name) {
		return &templateError{f.line, fmt.Sprintf("the header field %q cannot be set", shortText(f.name)), knownFieldsHint}
	}
	l.Fields = append(l.Fields, f.name+": "+f.value)
	return nil
}

const (
	addressHint     = "write it like bob@example.org, or \"Bob Brown <bob@example.org>\""
	knownFieldsHint = "a header has From, To, Cc, Bcc, Reply-To, Subject, In-Reply-To, References, Attach, and further fields " +
		"Auto-Submitted, Comments, Importance, Keywords, Organization, Precedence, Priority, X-… and List-…"
)

// shortText bounds what an error repeats.
func shortText(text string) string {
	const most = 80
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// typedAddress is an address as a person would type it, its name in letters and not encoded.
func typedAddress(a *mail.Address) string {
	address := strings.Trim((&mail.Address{Address: a.Address}).String(), "<>")
	name := visibleWords(a.Name)
	if name == "" {
		return address
	}
	if strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != ' ' && r != '-' && r != '\''
	}) {
		name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return name + " <" + address + ">"
}

func typedAddresses(list []*mail.Address) []string {
	var words []string
	for _, a := range list {
		words = append(words, typedAddress(a))
	}
	return words
}

// visibleWords is one line of what is seen of a text.
func visibleWords(text string) string {
	name, _ := visibleName(text)
	return name
}

// visibleText is a text of somebody else's for one's own: what is not seen as what it is, or does something to a terminal, is
// written as <U+XXXX>, as it is displayed.
func visibleText(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range strings.ReplaceAll(text, "\r\n", "\n") {
		switch {
		case r == '\t':
			b.WriteString("    ")
		case r == '\n' || glyph.IsHarmless(r):
			b.WriteRune(r)
		case r == '\u200d': // which joins pictures: they stand side by side then
		default:
			fmt.Fprintf(&b, "<U+%04X>", r)
		}
	}
	return b.String()
}

// quote puts marks of quotation before each line (RFC 3676 section 4.5).
func quote(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimRight(text, "\n ") + "\n") {
		b.WriteByte('>')
		if line[0] != '\n' && line[0] != '>' {
			b.WriteByte(' ')
		}
		b.WriteString(line)
	}
	return b.String()
}
