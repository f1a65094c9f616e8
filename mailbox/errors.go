package mailbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// What a caller may want to tell from the rest.
var (
	// ErrNotFound: the message is not, or no longer, there.
	ErrNotFound = errors.New("no such message")
	// ErrNoFolder: the folder does not exist.
	ErrNoFolder = errors.New("no such folder")
	// ErrRenumbered: the folder has another UIDVALIDITY than before, so that UIDs from before mean nothing.
	ErrRenumbered = errors.New("the folder was renumbered")
	// ErrTooMany: a listing is longer than its bound.
	ErrTooMany = errors.New("too many entries")
	// ErrSize: a message has more or fewer octets than was said.
	ErrSize = errors.New("the message does not have the size that was given")
	// ErrNotCanonical: a message cannot be submitted unaltered as it is; it is wrapped with the reason.
	ErrNotCanonical = errors.New("not in canonical form")
	// ErrAddress: an address cannot stand in an envelope; it is wrapped with the address.
	ErrAddress = errors.New("not an address that can be sent to")
	// ErrClosed: the Store or Submitter was closed.
	ErrClosed = errors.New("closed")
)

// Reason is why there is no connection, or no longer one.
type Reason int

// The reasons of a ConnectError.
const (
	ReasonUnreachable Reason = iota + 1 // nothing listens there, or there is no way or no such name
	ReasonTimeout                       // the server was silent for too long
	ReasonUntrusted                     // the server's certificate does not lead to an anchor, or is another server's
	ReasonTLS                           // TLS failed for another reason
	ReasonNoSTARTTLS                    // STARTTLS was not offered, was refused, or was meddled with
	ReasonUnavailable                   // the server says that it does not serve
	ReasonLost                          // the connection broke
	ReasonProtocol                      // the server said what no server should say
	ReasonCancelled                     // the caller's context ended
)

// String returns a few words for a person.
func (r Reason) String() string {
	switch r {
	case ReasonUnreachable:
		return "cannot be reached"
	case ReasonTimeout:
		return "no answer in time"
	case ReasonUntrusted:
		return "the server's certificate is not trusted"
	case ReasonTLS:
		return "no TLS connection"
	case ReasonNoSTARTTLS:
		return "no STARTTLS, and nothing is sent in the clear"
	case ReasonUnavailable:
		return "the server does not serve now"
	case ReasonLost:
		return "the connection was lost"
	case ReasonProtocol:
		return "the server's answer makes no sense"
	case ReasonCancelled:
		return "cancelled"
	}
	return "failed"
}

// ConnectError says that there is no connection to a server, or that it ended. What was under way was not done, unless
// the error comes inside an UncertainError.
type ConnectError struct {
	Endpoint Endpoint
	// Step is what was being done, such as "connect", "TLS handshake", "log in" or "fetch".
	Step   string
	Reason Reason
	// Err is the cause.
	Err error
}

// Error returns one line.
func (e *ConnectError) Error() string {
	s := fmt.Sprintf("%s: %s: %s", e.Endpoint, e.Step, e.Reason)
	if e.Err != nil && e.Reason != ReasonCancelled {
		s += ": " + cleanText(networkText(e.Err))
	}
	return s
}

// networkText is the text of an error, without what the system adds to one of the network: which of its calls it was, and
// between which addresses, of which ours says nothing to anybody.
func networkText(err error) string {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Err == nil || op.Op != "dial" && op.Op != "read" && op.Op != "write" {
		return err.Error()
	}
	if call, ok := errors.AsType[*os.SyscallError](op.Err); ok {
		return call.Err.Error()
	}
	return op.Err.Error()
}

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// AuthError says that a server did not accept the credentials, or that no way was found to present them.
type AuthError struct {
	Endpoint Endpoint
	User     string
	// Temporary: the server could not decide now, which says nothing of the password.
	Temporary bool
	// Text is the server's, cleaned; or ours, where it has no way to log in.
	Text string
}

// Error returns one line.
func (e *AuthError) Error() string {
	what := "log-in refused"
	if e.Temporary {
		what = "log-in not possible now"
	}
	return fmt.Sprintf("%s: %s for %s: %s", e.Endpoint, what, cleanText(e.User), e.Text)
}

// QuotaError says that the account's space is used up (RFC 9208 section 4.3.1, OVERQUOTA).
type QuotaError struct {
	Endpoint Endpoint
	Folder   string
	Text     string
}

// Error returns one line.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("%s: no space left for %s: %s", e.Endpoint, cleanText(e.Folder), e.Text)
}

// TooLargeError says that a message is larger than the other side, or a bound of ours, allows.
type TooLargeError struct {
	Endpoint Endpoint
	// Size and Limit are in octets; a Limit of 0 is one that the server did not tell.
	Size, Limit int64
}

// Error returns one line.
func (e *TooLargeError) Error() string {
	if e.Limit == 0 {
		return fmt.Sprintf("%s: a message of %d octets is too large", e.Endpoint, e.Size)
	}
	return fmt.Sprintf("%s: a message of %d octets is too large: the limit is %d", e.Endpoint, e.Size, e.Limit)
}

// UnsupportedError says that something needs a protocol extension that the server does not have.
type UnsupportedError struct {
	Endpoint  Endpoint
	Extension string // such as SMTPUTF8 or UIDPLUS
	Why       string
}

// Error returns one line.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s: the server does not support %s: %s", e.Endpoint, e.Extension, e.Why)
}

// ServerError is an answer of NO or BAD to an IMAP command that no other type speaks for.
type ServerError struct {
	Endpoint Endpoint
	Step     string
	Status   string // NO or BAD
	Code     string // response code (RFC 9051 section 7.1), if any
	Text     string
}

// Error returns one line.
func (e *ServerError) Error() string {
	s := fmt.Sprintf("%s: %s: the server answered %s", e.Endpoint, e.Step, e.Status)
	if e.Code != "" {
		s += " [" + e.Code + "]"
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// RefusedError is a submission server's refusal of a recipient, or of a whole message.
type RefusedError struct {
	// Recipient is whom it is about; empty: the message.
	Recipient string
	// Step is what was refused: "MAIL", "RCPT", "DATA" or "message".
	Step string
	// Code is the reply code, EnhancedCode that of RFC 3463, if any.
	Code         int
	EnhancedCode string
	// Text is the server's, cleaned.
	Text string
	// Permanent: trying again, unchanged, is of no use (RFC 5321 section 4.2.1).
	Permanent bool
}

// Error returns one line.
func (e *RefusedError) Error() string {
	whom, how, code := "the message", "for now", fmt.Sprint(e.Code)
	if e.Recipient != "" {
		whom = cleanText(e.Recipient)
	}
	if e.Permanent {
		how = "for good"
	}
	if e.EnhancedCode != "" {
		code += " " + e.EnhancedCode
	}
	return fmt.Sprintf("%s was refused %s: %s %s", whom, how, code, e.Text)
}

// RefusedRecipientsError names each recipient that was refused; nothing was sent to anybody. errors.As finds the first
// RefusedError in it.
type RefusedRecipientsError struct {
	Recipients []*RefusedError // at least one
}

// Error returns one line.
func (e *RefusedRecipientsError) Error() string {
	var b strings.Builder
	for i, r := range e.Recipients {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(r.Error())
	}
	return b.String()
}

// Unwrap returns each refusal.
func (e *RefusedRecipientsError) Unwrap() []error {
	errs := make([]error, len(e.Recipients))
	for i, r := range e.Recipients {
		errs[i] = r
	}
	return errs
}

// UncertainError says that the line died after the whole message went out and before the answer: it may have been taken
// or not (RFC 1047).
type UncertainError struct {
	Endpoint Endpoint
	Err      error // a ConnectError
}

// Error returns one line.
func (e *UncertainError) Error() string {
	return "the message may or may not have been taken: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *UncertainError) Unwrap() error { return e.Err }

// Temporary reports whether an error of this package may go away by itself, so that the same call makes sense later. It
// is false for an UncertainError: doing it again may double the message.
func Temporary(err error) bool {
	var (
		uncertain *UncertainError
		all       *RefusedRecipientsError
		refused   *RefusedError
		auth      *AuthError
		quota     *QuotaError
		connect   *ConnectError
	)
	switch {
	case errors.As(err, &uncertain):
		return false
	case errors.As(err, &all):
		for _, r := range all.Recipients {
			if r.Permanent {
				return false
			}
		}
		return true
	case errors.As(err, &refused):
		return !refused.Permanent
	case errors.As(err, &auth):
		return auth.Temporary
	case errors.As(err, &quota):
		return true
	case errors.As(err, &connect):
		return connect.Reason != ReasonUntrusted && connect.Reason != ReasonNoSTARTTLS
	}
	return false
}

// maxText is how much of a server's text is kept, in octets.
const maxText = 300

// cleanText makes foreign text fit to stand in one line of an error: no control or format characters (which could move
// the cursor or turn the writing direction), no invalid UTF-8, no line ends, cut short.
func cleanText(s string) string {
	var b strings.Builder
	space := false
	for i, r := range s {
		if b.Len() >= maxText {
			b.WriteString("…")
			break
		}
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			space = true
			continue
		case !unicode.IsGraphic(r), r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			r = '?'
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
	}
	return b.String()
}

// connectError makes a ConnectError of what ended a connection.
func connectError(e Endpoint, step string, err error) *ConnectError {
	var known *ConnectError
	if errors.As(err, &known) {
		return known
	}
	return &ConnectError{Endpoint: e, Step: step, Reason: reasonOf(err), Err: err}
}

// reasonOf finds the reason in an error of the network, of TLS, or of a protocol library.
func reasonOf(err error) Reason {
	var (
		timeout     net.Error
		certificate *tls.CertificateVerificationError
		unknown     x509.UnknownAuthorityError
		hostname    x509.HostnameError
		record      tls.RecordHeaderError
		op          *net.OpError
		dns         *net.DNSError
		told        reasonError
	)
	switch {
	case errors.As(err, &told):
		return told.reason
	case errors.Is(err, context.Canceled):
		return ReasonCancelled
	case errors.As(err, &certificate), errors.As(err, &unknown), errors.As(err, &hostname):
		return ReasonUntrusted
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return ReasonTimeout
	case errors.As(err, &dns), errors.As(err, &op) && op.Op == "dial":
		return ReasonUnreachable
	case errors.As(err, &record), errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"): // alerts of crypto/tls
		return ReasonTLS
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.As(err, &op):
		return ReasonLost
	}
	return ReasonProtocol
}

// reasonError is an error of ours that knows its reason.
type reasonError struct {
	reason Reason
	text   string
}

func (e reasonError) Error() string { return e.text }
