package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// Append stores a message.
func (s *IMAP) Append(ctx context.Context, folder string, m NewMessage) (UID, error) {
	folder, err := folderName(folder)
	if err != nil {
		return 0, err
	}
	flags, err := imapFlags(m.Flags)
	if err != nil {
		return 0, err
	}
	if m.Size <= 0 {
		return 0, fmt.Errorf("%w: a message cannot be empty", ErrSize)
	}
	session, err := s.acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer s.release()

	if limit, ok := session.caps.AppendLimit(); ok && limit != nil && m.Size > int64(*limit) { // RFC 7889 section 3
		return 0, &TooLargeError{Endpoint: session.endpoint, Size: m.Size, Limit: int64(*limit)}
	}
	if err := s.ensure(ctx, session, folder); err != nil {
		return 0, err
	}
	var (
		data *imap.AppendData
		sent bool
	)
	err = session.do(ctx, "store", answerBudget, func() error {
		// This waits for the server to accept the size; the message is not begun before.
		cmd := session.client.Append(folder, m.Size, &imap.AppendOptions{Flags: flags, Time: m.Date})
		err := session.send(cmd, m.Body, m.Size)
		if err != nil && errors.As(err, new(*localError)) {
			// The server waits for the rest of a message that will not come: there is no other way to say so.
			session.conn.fail(err)
		}
		sent = err == nil
		// Close also ends a command that was refused; the library gives up the connection then.
		if closed := cmd.Close(); err == nil {
			err = closed
		}
		answer, waited := cmd.Wait()
		if data = answer; errors.As(waited, new(*imap.Error)) || err == nil {
			err = waited
		}
		return err
	})
	switch refused := (*ServerError)(nil); {
	case err == nil:
	case errors.Is(err, ErrNoFolder): // deleted since it was last seen
		delete(session.known, folder)
		return 0, inFolder(folder, err)
	case errors.As(err, &refused):
		return 0, appendRefusal(folder, m.Size, refused)
	case sent:
		return 0, &UncertainError{Endpoint: session.endpoint, Err: err}
	default:
		return 0, inFolder(folder, err)
	}
	if v, ok := s.validity[folder]; ok && v != data.UIDValidity {
		return 0, nil // a UID of another numbering than the one that is known
	}
	return UID(data.UID), nil
}

// appendRefusal gives a refusal the type that speaks for it.
func appendRefusal(folder string, size int64, e *ServerError) error {
	switch imap.ResponseCode(e.Code) {
	case imap.ResponseCodeOverQuota:
		return &QuotaError{Endpoint: e.Endpoint, Folder: folder, Text: e.Text}
	case imap.ResponseCodeTooBig, imap.ResponseCodeLimit: // RFC 7889 section 3, RFC 5530 section 3
		return &TooLargeError{Endpoint: e.Endpoint, Size: size}
	}
	return inFolder(folder, e)
}

// send writes exactly size octets of a body. Its own errors, of reading the body, are a localError.
func (s *imapSession) send(cmd *imapclient.AppendCommand, body io.Reader, size int64) error {
	buffer := make([]byte, 32<<10)
	for left := size; left > 0; {
		var (
			n   int
			err error
		)
		s.conn.hold(func() { n, err = io.ReadFull(body, buffer[:min(int64(len(buffer)), left)]) })
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return &localError{fmt.Errorf("%w: %d octets are missing", ErrSize, left-int64(n))}
		case err != nil:
			return &localError{err}
		}
		if left -= int64(n); left == 0 {
			// Looked at before the last octets go out: afterwards the server could take the message as complete.
			var extra int
			s.conn.hold(func() { extra, err = io.ReadFull(body, make([]byte, 1)) })
			if extra > 0 {
				return &localError{fmt.Errorf("%w: there are more than %d octets", ErrSize, size)}
			}
			if !errors.Is(err, io.EOF) {
				return &localError{err}
			}
		}
		if _, err := cmd.Write(buffer[:n]); err != nil {
			return err
		}
	}
	return nil
}
