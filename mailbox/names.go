package mailbox

import "strings"

// CheckFlags returns an error for flags that a message cannot be given: those that are no flag or keyword
// (RFC 9051 section 2.3.2), and \Recent.
func CheckFlags(flags []string) error {
	_, err := imapFlags(flags)
	return err
}

// CanonicalFolder returns a folder's name in the form in which names are compared: INBOX in capitals
// (RFC 9051 section 5.1). A name that no folder can have is [ErrNoFolder].
func CanonicalFolder(name string) (string, error) { return folderName(name) }

// BareMessageID returns a Message-ID without its angle brackets, or nothing where no message has such an identifier
// (RFC 5322 section 3.6.4).
func BareMessageID(id string) string {
	id = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(id), "<"), ">")
	if strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || r == '<' || r == '>' }) {
		return ""
	}
	return id
}
