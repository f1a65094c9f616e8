package index

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds on a query.
const (
	maxQuery = 4096 // octets
	maxTerms = 200
	maxDepth = 32
)

// QueryError says what is wrong with a query, and where.
type QueryError struct {
	Position int // of the character, from 1
	Err      error
	Hint     string
}

func (e *QueryError) Error() string { return fmt.Sprintf("at character %d: %v", e.Position, e.Err) }
func (e *QueryError) Unwrap() error { return e.Err }

// Query is what is sought. The zero Query finds everything.
type Query struct {
	root       node
	byAccounts bool
}

// ByAccounts reports whether the query names accounts, so that the others are to be asked too.
func (q Query) ByAccounts() bool { return q.byAccounts }

// textFields are the fields that words can be sought in.
var textFields = map[string]part{"": partAll, "from": partSender, "to": partRecipients, "cc": partCopies, "subject": partSubject, "body": partBody}

// fields are all names before a colon, for hints.
func fields() string {
	return "from: to: cc: subject: body: since: before: on: larger: smaller: has: is: verdict: folder: account: mid:"
}

// ParseQuery reads a query: words and "phrases", all of which are to be found; a OR b; -not; (groups); word* for the
// beginning of a word; and fields, as in from:alice. The error is a *QueryError.
//
// OR binds closer than what stands side by side: a b OR c is a, and b or c. Days are those of UTC, as in lists.
func ParseQuery(text string) (Query, error) {
	p := parser{text: text}
	if len(text) > maxQuery {
		return Query{}, p.fail(0, fmt.Errorf("a query has at most %d octets", maxQuery), "")
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r == utf8.RuneError || unicode.IsControl(r) && !unicode.IsSpace(r) }); i >= 0 {
		return Query{}, p.fail(i, errors.New("this is not text"), "")
	}
	root, err := p.all(0)
	if err == nil && p.at < len(text) {
		err = p.fail(p.at, errors.New("nothing was opened that this closes"), "put it into quotation marks to look for it")
	}
	if err != nil {
		return Query{}, err
	}
	return Query{root, p.byAccounts}, nil
}

type parser struct {
	text       string
	at         int
	terms      int
	byAccounts bool
}

func (p *parser) fail(at int, err error, hint string) error {
	return &QueryError{utf8.RuneCountInString(p.text[:at]) + 1, err, hint}
}

func (p *parser) space() {
	for p.at < len(p.text) {
		r, n := utf8.DecodeRuneInString(p.text[p.at:])
		if !unicode.IsSpace(r) {
			return
		}
		p.at += n
	}
}

// all reads what stands side by side, to the end or a closing parenthesis.
func (p *parser) all(depth int) (node, error) {
	var parts []node
	for {
		p.space()
		if p.at == len(p.text) || p.text[p.at] == ')' {
			return join(allOf{}, parts), nil
		}
		part, err := p.either(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
}

// either reads one term, and those that OR joins to it.
func (p *parser) either(depth int) (node, error) {
	var parts []node
	for {
		part, err := p.term(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		p.space()
		if !p.isOr() {
			return join(anyOf{}, parts), nil
		}
		p.at += len("OR")
	}
}

// isOr reports whether the word OR is next.
func (p *parser) isOr() bool {
	rest, ok := strings.CutPrefix(p.text[p.at:], "OR")
	next, _ := utf8.DecodeRuneInString(rest)
	return ok && (rest == "" || unicode.IsSpace(next) || next == '(' || next == '"' || next == '-')
}

// join makes one node of several.
func join(as node, parts []node) node {
	if len(parts) == 1 {
		return parts[0]
	}
	if _, ok := as.(anyOf); ok {
		return anyOf(parts)
	}
	return allOf(parts)
}

func (p *parser) term(depth int) (node, error) {
	p.space()
	start := p.at
	if p.terms++; p.terms > maxTerms || depth > maxDepth {
		return nil, p.fail(start, errors.New("the query is too long or too deep"), "")
	}
	switch {
	case p.at == len(p.text) || p.text[p.at] == ')':
		return nil, p.fail(start, errors.New("something to look for is missing here"), "put a word that is meant as such into quotation marks")
	case p.isOr():
		return nil, p.fail(start, errors.New("OR stands between two things to look for"), `put it into quotation marks to look for it: "OR"`)
	case p.text[p.at] == '-':
		p.at++
		part, err := p.term(depth + 1)
		if err != nil {
			return nil, err
		}
		return not{part}, nil
	case p.text[p.at] == '(':
		p.at++
		part, err := p.all(depth + 1)
		if err != nil {
			return nil, err
		}
		if p.at == len(p.text) {
			return nil, p.fail(start, errors.New("this parenthesis is not closed"), "")
		}
		p.at++
		return part, nil
	}
	field := p.field()
	valueAt := p.at
	value, err := p.value()
	if err != nil {
		return nil, err
	}
	part, hint, err := p.condition(field, value)
	if err != nil {
		at := start
		if _, known := textFields[field]; known || value != "" {
			at = valueAt
		}
		return nil, p.fail(at, err, hint)
	}
	return part, nil
}

// field reads the name before a colon, if there is one.
func (p *parser) field() string {
	name, _, found := strings.Cut(p.text[p.at:], ":")
	if !found || name == "" || strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) {
		return ""
	}
	p.at += len(name) + 1
	return strings.ToLower(name)
}

// value reads a word, or what stands between quotation marks.
func (p *parser) value() (string, error) {
	if start := p.at; strings.HasPrefix(p.text[p.at:], `"`) {
		value, rest, closed := strings.Cut(p.text[p.at+1:], `"`)
		if !closed {
			return "", p.fail(start, errors.New("this quotation mark is not closed"), "")
		}
		p.at = len(p.text) - len(rest)
		if strings.HasPrefix(rest, "*") {
			p.at++
			value += "*"
		}
		return value, nil
	}
	rest := p.text[p.at:]
	end := strings.IndexFunc(rest, func(r rune) bool { return unicode.IsSpace(r) || r == ')' || r == '(' || r == '"' })
	if end < 0 {
		end = len(rest)
	}
	p.at += end
	return rest[:end], nil
}

// condition is what a field and its value mean. Where they mean nothing, hint says what to write.
func (p *parser) condition(field, value string) (found node, hint string, err error) {
	fixed := func(sql string, args ...any) (node, string, error) {
		return fact{sql, args}, "", nil
	}
	oneOf := func(words map[string]string) (node, string, error) {
		if sql, ok := words[strings.ToLower(value)]; ok {
			return fixed(sql)
		}
		known := []string{}
		for word := range words {
			known = append(known, field+":"+word)
		}
		slices.Sort(known)
		return nil, strings.Join(known, ", "), fmt.Errorf("%s:%s is not known", field, value)
	}
	if where, isText := textFields[field]; isText {
		words, prefix := strings.CutSuffix(value, "*")
		words = strings.TrimSpace(fold(words))
		if !strings.ContainsFunc(words, isWord) {
			return nil, "words have letters or digits", errors.New("there is no word in what is to be looked for")
		}
		return phrase{where, words, prefix}, "", nil
	}
	switch field {
	case "since", "before", "on":
		from, to, err := parseDay(value)
		if err != nil {
			return nil, "write a day as 2026-11-21, a month as 2026-11, or a time as 2026-11-21T10:00:00Z", err
		}
		switch field {
		case "since":
			return fixed("coalesce(m.date >= ?, 0)", from.Unix())
		case "before":
			return fixed("coalesce(m.date < ?, 0)", from.Unix())
		}
		return fixed("coalesce(m.date >= ? AND m.date < ?, 0)", from.Unix(), to.Unix())
	case "larger", "smaller":
		size, err := parseSize(value)
		if err != nil {
			return nil, "write octets as a number, or with K, M or G behind it: larger:5M", err
		}
		if field == "larger" {
			return fixed("m.size > ?", size)
		}
		return fixed("m.size < ?", size)
	case "has":
		return oneOf(map[string]string{"attachment": "m.attachments"})
	case "is":
		flag := func(name string) string { return "(instr(' ' || m.flags || ' ', ' " + name + " ') > 0)" }
		return oneOf(map[string]string{"read": flag(`\Seen`), "unread": "NOT " + flag(`\Seen`), "flagged": flag(`\Flagged`), "answered": flag(`\Answered`),
			"draft": flag(`\Draft`), "encrypted": "(m.encryption NOT IN ('', 'none'))", "signed": "(m.verdict NOT IN ('', 'unsigned'))"})
	case "verdict":
		verdicts := map[string]string{}
		for _, word := range []string{"passed", "failed", "indeterminate", "unsigned"} {
			verdicts[word] = "(m.verdict = '" + word + "')"
		}
		return oneOf(verdicts)
	case "folder", "account", "mid":
		switch {
		case value == "":
			return nil, "", fmt.Errorf("after %s: a name is missing", field)
		case field == "mid":
			return fixed("m.message_id = ?", strings.Trim(value, "<>"))
		case field == "folder" && strings.EqualFold(value, "INBOX"): // RFC 9051 section 5.1
			return fixed("f.name = ?", "INBOX")
		case field == "folder":
			return fixed("f.name = ?", value)
		}
		p.byAccounts = true
		return ofAccount(value), "", nil
	}
	return nil, "known are " + fields() + "; what has a colon in it is found in quotation marks", fmt.Errorf("%s: is not known", field)
}

// parseDay reads a day, a month, a year or a time, and returns when it begins and when the next one does.
func parseDay(value string) (from, to time.Time, err error) {
	for layout, next := range map[string][3]int{time.DateOnly: {0, 0, 1}, "2006-01": {0, 1, 0}, "2006": {1, 0, 0}} {
		if from, err = time.Parse(layout, value); err == nil {
			return from, from.AddDate(next[0], next[1], next[2]), nil
		}
	}
	if from, err = time.Parse(time.RFC3339, value); err != nil {
		return from, to, fmt.Errorf("%q is no day", value)
	}
	return from, from.Add(time.Second), nil
}

// parseSize reads a number of octets.
func parseSize(value string) (int64, error) {
	digits, shift := value, 0
	if value != "" {
		if i := strings.IndexByte("KMG", value[len(value)-1]&^0x20); i >= 0 {
			digits, shift = value[:len(value)-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no number of octets", value)
	}
	return int64(n) << shift, nil
}
