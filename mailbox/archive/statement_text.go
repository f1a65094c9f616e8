package archive

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// statementText is what is signed of a statement: lines that people can read.
type statementText struct {
	Statement
	archive  string
	previous [sha512.Size]byte // of the object of the statement before; zeros: this is the first
}

const (
	statementTitle = "sealmail archive statement, version 1"
	// maxStatement bounds the octets of the text.
	maxStatement = 8 << 20
	// maxWords bounds the octets of what people write.
	maxWords = 4096
)

// The fields of a statement, in their order. All but the first five are left out where there is nothing to say.
const (
	statementArchive  = "Archive"
	statementNumber   = "Number"
	statementTime     = "Time"
	statementPrevious = "Previous"
	statementKind     = "Kind"
	statementTopic    = "Name"
	statementReason   = "Reason"
	statementBy       = "By"
	statementPeriod   = "Period"
	statementMessages = "Messages"
	statementInFolder = "Folder"

	allMessages = "all"
	noPrevious  = "none"
)

// marshal returns the text. The error wraps ErrStatement where the statement is none.
func (t *statementText) marshal() ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	text := t.text()
	if len(text) > maxStatement {
		return nil, fmt.Errorf("the scope: %w", ErrTooLarge)
	}
	return text, nil
}

func (t *statementText) text() []byte {
	var b bytes.Buffer
	field := func(name, value string) { fmt.Fprintf(&b, "%s: %s\n", name, value) }
	optional := func(name, value string) {
		if value != "" {
			field(name, value)
		}
	}
	b.WriteString(statementTitle + "\n")
	field(statementArchive, t.archive)
	field(statementNumber, strconv.Itoa(t.Number))
	field(statementTime, t.Time.UTC().Format(time.RFC3339))
	previous := noPrevious
	if t.previous != [sha512.Size]byte{} {
		previous = hex.EncodeToString(t.previous[:])
	}
	field(statementPrevious, previous)
	field(statementKind, string(t.Kind))
	optional(statementTopic, t.Name)
	optional(statementReason, t.Reason)
	optional(statementBy, t.By)
	optional(statementPeriod, t.Period.String())
	if t.Scope.All {
		field(statementMessages, allMessages)
	}
	optional(statementMessages, t.Scope.Messages.String())
	for _, f := range t.Scope.Folders {
		field(statementInFolder, strconv.Quote(f.Account)+" "+strconv.Quote(f.Folder))
	}
	return b.Bytes()
}

// parseStatement reads what marshal returns, and nothing else. Whether a kind is known is not asked.
func parseStatement(text []byte) (*statementText, error) {
	if len(text) > maxStatement {
		return nil, ErrTooLarge
	}
	t := &statementText{}
	rest, ok := strings.CutPrefix(string(text), statementTitle+"\n")
	if !ok {
		return nil, ErrStatement
	}
	for line := range strings.Lines(rest) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if err := t.set(name, value); err != nil {
			return nil, err
		}
	}
	// What is there twice, in another order or otherwise written shows here.
	if err := t.check(); err != nil || !bytes.Equal(t.text(), text) {
		return nil, ErrStatement
	}
	return t, nil
}

// set takes in a field.
func (t *statementText) set(name, value string) (err error) {
	switch name {
	case statementArchive:
		t.archive = value
	case statementNumber:
		t.Number, err = strconv.Atoi(value)
	case statementTime:
		t.Time, err = time.Parse(time.RFC3339, value)
	case statementPrevious:
		if value != noPrevious {
			sum, _ := hex.DecodeString(value)
			if len(sum) != sha512.Size {
				return ErrStatement
			}
			t.previous = [sha512.Size]byte(sum)
		}
	case statementKind:
		t.Kind = StatementKind(value)
	case statementTopic:
		t.Name = value
	case statementReason:
		t.Reason = value
	case statementBy:
		t.By = value
	case statementPeriod:
		t.Period, err = ParsePeriod(value)
	case statementMessages:
		if t.Scope.All = value == allMessages; !t.Scope.All {
			err = t.Scope.Messages.UnmarshalText([]byte(value))
		}
	case statementInFolder:
		return t.setFolder(value)
	default:
		return ErrStatement
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, ErrStatement)
	}
	return nil
}

// setFolder reads two strings in quotes.
func (t *statementText) setFolder(value string) error {
	account, err := strconv.QuotedPrefix(value)
	if err != nil {
		return ErrStatement
	}
	folder := strings.TrimPrefix(value[len(account):], " ")
	var f FolderName
	if f.Account, err = strconv.Unquote(account); err != nil {
		return ErrStatement
	}
	if f.Folder, err = strconv.Unquote(folder); err != nil {
		return ErrStatement
	}
	t.Scope.Folders = append(t.Scope.Folders, f)
	return nil
}

// check reports what is wrong with a statement, if anything is. A kind that is not known may have any fields.
func (t *statementText) check() error {
	wrong := func(field string) error { return fmt.Errorf("%s: %w", field, ErrStatement) }
	if !isIdentifier(t.archive) || t.Number < 1 || (t.Number == 1) != (t.previous == [sha512.Size]byte{}) {
		return wrong(statementNumber)
	}
	for _, f := range [][2]string{{statementKind, string(t.Kind)}, {statementTopic, t.Name}, {statementReason, t.Reason}, {statementBy, t.By}} {
		if !isLine(f[1]) {
			return wrong(f[0])
		}
	}
	hasScope := t.Scope.All || len(t.Scope.Folders) > 0 || t.Scope.Messages.Len() > 0
	if t.Scope.All && (len(t.Scope.Folders) > 0 || t.Scope.Messages.Len() > 0) {
		return wrong(statementMessages)
	}
	named, scoped, limited := false, true, false
	switch t.Kind {
	case "":
		return wrong(statementKind)
	case StatementHold:
		named = true
	case StatementRelease:
		named, scoped = true, false
	case StatementRetain:
		limited = true
	case StatementShredded, StatementContentKeysShredded:
		if t.Scope.All || len(t.Scope.Folders) > 0 {
			return wrong(statementInFolder)
		}
	default:
		return nil
	}
	switch {
	case named && t.Name == "":
		return wrong(statementTopic)
	case scoped != hasScope:
		return wrong(statementMessages)
	case limited != (t.Period != Period{}), limited && !t.Period.sound():
		return wrong(statementPeriod)
	}
	return nil
}

// isLine reports whether words are one line that shows as what it is, without spaces around it.
func isLine(words string) bool {
	return len(words) <= maxWords && utf8.ValidString(words) && words == strings.TrimSpace(words) &&
		!strings.ContainsFunc(words, func(r rune) bool { return !unicode.IsPrint(r) })
}
