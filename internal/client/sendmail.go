package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/outbox"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/spool"
)

// SendmailParams are the words of `sendmail`.
type SendmailParams struct {
	Recipients  []string  // addresses, in the form of header fields
	FromHeader  bool      // To, Cc and Bcc of the message are recipients as well
	DotIsText   bool      // a line of one dot does not end the message
	Sender      string    // whom errors go to, and who it is from where the message does not say; empty: the account
	DisplayName string    // for a From that the message has not; empty: the account's
	LocalUser   string    // who runs the program: mail to this name, without a domain, is for the account
	Input       io.Reader // the message
	SendOptions
}

// SendmailCause is why a message was not taken, as sysexits.h tells causes apart.
type SendmailCause int

// The causes.
const (
	Unavailable  SendmailCause = iota // it cannot be sent: a recipient has no certificate, the server refuses
	BadMessage                        // it is malformed, or cannot be signed and travel
	BadSender                         // it is from somebody else
	BadRecipient                      // a recipient is no address, or unknown to the server
	BadDomain                         // a recipient's domain is unknown to the server
	BadInput                          // it could not be read
	NoOutbox                          // it could not be kept
	NotNow                            // the vault is locked, or a service that is needed does not answer
)

// sendmailFailure is an error whose cause is known.
type sendmailFailure struct {
	cause SendmailCause
	err   error
}

func (e *sendmailFailure) Error() string { return e.err.Error() }
func (e *sendmailFailure) Unwrap() error { return e.err }

// SendmailCauseOf finds the cause of an error of Sendmail.
func (c *Client) SendmailCauseOf(err error) SendmailCause {
	if known, ok := errors.AsType[*sendmailFailure](err); ok {
		return known.cause
	}
	if r, ok := errors.AsType[*mailbox.RefusedError](err); ok && r.Recipient != "" {
		switch { // RFC 3463 section 3.2
		case r.EnhancedCode == "5.1.2":
			return BadDomain
		case strings.HasPrefix(r.EnhancedCode, "5.1."), r.EnhancedCode == "" && r.Code == 550:
			return BadRecipient
		}
		return Unavailable
	}
	_, network := errors.AsType[net.Error](err)
	_, file := errors.AsType[*fs.PathError](err)
	switch {
	case c.isLocked(err), network, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return NotNow
	case file:
		return NoOutbox
	}
	return Unavailable
}

func sendmailError(cause SendmailCause, err error, hint string) error {
	return failed("sendmail", &sendmailFailure{cause, err}, hint)
}

// Sendmail takes a message that another program made, and signs, timestamps, encrypts and sends it as Send does. Its
// header fields and its MIME structure stay as they are; what cannot travel is written in another transfer encoding. Bcc
// is left out. From, Date and Message-ID are made where they are missing. The Date is that of the signature: one that is
// more than maxDated ago, or to come, is replaced, as the signature would be taken for another message's.
func (c *Client) Sendmail(ctx context.Context, p SendmailParams) (*SendResult, error) {
	s := spool.New(c.spoolOptions())
	defer s.Close()
	if err := copyMessage(s, contextReader{ctx, p.Input}, p.DotIsText); err != nil {
		return nil, sendmailError(BadInput, err, "")
	}
	if s.Size() == 0 {
		return nil, sendmailError(BadMessage, errors.New("nothing came in: there is no message"), "the message is read from stdin")
	}
	root, err := entity.Parse(s, entity.Limits{})
	if err != nil {
		return nil, sendmailError(BadMessage, err, "")
	}
	a, d, err := c.givenDraft(root, p)
	if err != nil {
		return nil, err
	}
	c.o.Account = a.Name // whose anchors count
	result, err := c.deliverDraft(ctx, a, d, p.SendOptions)
	if bad, ok := errors.AsType[*messageError](err); ok {
		err = sendmailError(BadMessage, bad, "")
	}
	if result != nil && result.State != nil && *result.State == string(outbox.Refused) {
		err = c.giveBack(ctx, d.MessageID, err)
	}
	return result, err
}

// giveBack takes a message that was refused, and sent to nobody, out of the outbox: the error tells the program that gave
// it that it still has it.
func (c *Client) giveBack(ctx context.Context, messageID string, refused error) error {
	box, err := c.outbox()
	if err != nil {
		return refused
	}
	entries, _ := box.List()
	for _, e := range entries {
		if e.MessageID != messageID || e.State() != outbox.Refused || len(sentTo(e)) > 0 {
			continue
		}
		if err := box.Drop(ctx, e.ID); err != nil {
			return errors.Join(refused, err)
		}
		if known, ok := errors.AsType[*Error](refused); ok {
			return failed("sendmail", known.Err, "nothing was sent, and nothing is kept; leave out the address, or try again")
		}
	}
	return refused
}

// copyMessage reads a message as sendmail(8) is given it, with CRLF at the end of each line (RFC 8551 section 3.1.1). The line
// that mailboxes put in front of a message is left out.
func copyMessage(dst io.Writer, src io.Reader, dotIsText bool) error {
	w := entity.NewCanonicalWriter(dst)
	r := bufio.NewReaderSize(src, 64<<10)
	if from, _ := r.Peek(5); string(from) == "From " {
		if err := skipLine(r); err != nil {
			return err
		}
	}
	begins := true // a line
	for {
		piece, err := r.ReadSlice('\n')
		if begins && !dotIsText && string(bytes.TrimRight(piece, "\r\n")) == "." && !errors.Is(err, bufio.ErrBufferFull) {
			return nil
		}
		if len(piece) > 0 {
			begins = piece[len(piece)-1] == '\n'
			if _, err := w.Write(piece); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			if !begins {
				_, err := io.WriteString(w, "\r\n")
				return err
			}
			return nil
		case err != nil:
			return err
		}
	}
}

func skipLine(r *bufio.Reader) error {
	for {
		_, err := r.ReadSlice('\n')
		if err == nil || errors.Is(err, io.EOF) {
			return nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}
