package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/emersion/go-smtp"
)

// Submit sends one message in one transaction (RFC 5321 section 3.3).
func (s *SMTP) Submit(ctx context.Context, e Envelope, size int64, message io.Reader, commit func() error) error {
	paths, err := newPaths(e)
	if err != nil {
		return err
	}
	if size <= 0 {
		return fmt.Errorf("%w: a message cannot be empty", ErrSize)
	}
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()

	session, err := s.open(ctx, paths, size)
	if err != nil {
		return err
	}
	if err := session.recipients(ctx, paths.to); err != nil {
		return err
	}
	data, err := session.data(ctx, size)
	if err != nil {
		return err
	}
	wide, _ := session.client.Extension("8BITMIME")
	if err := session.do(ctx, "send message", func() error { return session.text(data, size, message, wide) }); err != nil {
		return err
	}
	if commit != nil {
		if err := commit(); err != nil {
			// Without the final dot there was no message (RFC 5321 section 4.1.1.4).
			session.conn.fail(err)
			return err
		}
	}
	return session.finish(ctx, data, size)
}

// open begins the transaction. Servers end connections that rest for long, which shows only now; before anything was
// said of this message a second connection is tried.
func (s *SMTP) open(ctx context.Context, p paths, size int64) (*smtpSession, error) {
	for {
		session, err := s.connect(ctx)
		if err != nil {
			return nil, err
		}
		used := session.used
		session.used = true
		if err = session.mail(ctx, p, size); err == nil {
			return session, nil
		}
		var (
			lost    *ConnectError
			refused *RefusedError
		)
		gone := errors.As(err, &lost) && lost.Reason == ReasonLost || errors.As(err, &refused) && refused.Code == 421
		if !used || !gone {
			return nil, err
		}
	}
}

// mail says who the message is from and how large it is, after looking up what the server can do.
func (s *smtpSession) mail(ctx context.Context, p paths, size int64) error {
	if limit, ok := s.client.MaxMessageSize(); ok && limit > 0 && size > int64(limit) { // RFC 1870 section 6.1
		return &TooLargeError{Endpoint: s.endpoint, Size: size, Limit: int64(limit)}
	}
	if ok, _ := s.client.Extension("SMTPUTF8"); p.wide != "" && !ok { // RFC 6531 section 3.1
		return &UnsupportedError{Endpoint: s.endpoint, Extension: "SMTPUTF8", Why: p.wide}
	}
	// The library adds BODY=8BITMIME wherever the server offers it, needed or not.
	err := s.do(ctx, "MAIL", func() error {
		return s.client.Mail(p.from.wire, &smtp.MailOptions{Size: size, UTF8: p.wide != ""})
	})
	var answer *smtp.SMTPError
	if errors.As(err, &answer) {
		return s.refusal("MAIL", size, answer)
	}
	return err
}

// recipients names those whom the message is for. All have to be accepted: the caller could otherwise not tell a message
// that went to some from one that went to all.
func (s *smtpSession) recipients(ctx context.Context, to []path) error {
	var refused []*RefusedError
	for _, p := range to {
		err := s.do(ctx, "RCPT", func() error { return s.client.Rcpt(p.wire, nil) })
		var answer *smtp.SMTPError
		switch {
		case err == nil:
		case errors.As(err, &answer):
			refused = append(refused, newRefusedError("RCPT", p.given, answer))
		default:
			return err
		}
		if s.conn.failure() != nil { // 421
			break
		}
	}
	if len(refused) == 0 {
		return nil
	}
	s.reset(ctx)
	return &RefusedRecipientsError{Recipients: refused}
}

// reset gives up a transaction. A session that cannot do that is given up as a whole.
func (s *smtpSession) reset(ctx context.Context) {
	if s.conn.failure() != nil {
		return
	}
	err := s.do(ctx, "RSET", func() error {
		if err := s.client.Reset(); err != nil {
			return err
		}
		// The library wants to greet again after that, and would do so in the middle of something else.
		return s.client.Hello(s.localName)
	})
	if err != nil {
		s.conn.fail(err)
	}
}

// data asks to send the message.
func (s *smtpSession) data(ctx context.Context, size int64) (data *smtp.DataCommand, err error) {
	err = s.do(ctx, "DATA", func() error {
		data, err = s.client.Data()
		return err
	})
	var answer *smtp.SMTPError
	if errors.As(err, &answer) {
		s.reset(ctx)
		return nil, s.refusal("DATA", size, answer)
	}
	return data, err
}

// text writes the message to the library, which doubles leading dots and changes nothing else in what lines lets pass.
func (s *smtpSession) text(data io.Writer, size int64, message io.Reader, wide bool) error {
	var (
		l      = lines{eightBit: wide, endpoint: s.endpoint}
		buffer = make([]byte, 32<<10)
		left   = size
	)
	for {
		var (
			n   int
			end error
		)
		s.conn.hold(func() { n, end = io.ReadFull(message, buffer) })
		if left -= int64(n); left < 0 {
			return &localError{fmt.Errorf("%w: there are more than %d octets", ErrSize, size)}
		}
		if err := l.check(buffer[:n]); err != nil {
			return &localError{err}
		}
		if _, err := data.Write(buffer[:n]); err != nil {
			return err
		}
		switch {
		case end == nil:
			continue
		case !errors.Is(end, io.EOF) && !errors.Is(end, io.ErrUnexpectedEOF):
			return &localError{end}
		case left > 0:
			return &localError{fmt.Errorf("%w: %d octets are missing", ErrSize, left)}
		}
		if err := l.end(); err != nil {
			return &localError{err}
		}
		return nil
	}
}

// finish sends the final dot and waits for the answer. From the moment that an octet of this goes out, only an answer
// can tell what becomes of the message.
func (s *smtpSession) finish(ctx context.Context, data *smtp.DataCommand, size int64) error {
	const name = "await the answer to the message"
	if err := ctx.Err(); err != nil {
		s.conn.fail(err)
		return connectError(s.endpoint, name, err)
	}
	before := s.conn.written()
	end := s.conn.beginFor(ctx, s.answerTimeout, answerBudget)
	defer end()
	_, err := data.CloseWithResponse()
	var answer *smtp.SMTPError
	if errors.As(err, &answer) && answer.Code/100 == 2 { // any 2yz is a yes: RFC 5321 section 4.2.1
		return nil
	}
	err = s.judge(name, err)
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &answer) && s.conn.written() == before:
		return err
	case !errors.As(err, &answer):
		return &UncertainError{Endpoint: s.endpoint, Err: err}
	case answer.Code/100 != 4 && answer.Code/100 != 5:
		err := reasonError{ReasonProtocol, fmt.Sprintf("reply code %d", answer.Code)}
		s.conn.fail(err)
		return &UncertainError{Endpoint: s.endpoint, Err: connectError(s.endpoint, name, err)}
	}
	return s.refusal("message", size, answer)
}

// refusal gives a negative reply to a message the type that speaks for it.
func (s *smtpSession) refusal(step string, size int64, e *smtp.SMTPError) error {
	// RFC 1870 section 6; 552 may also be a full mailbox, which its enhanced code tells.
	if e.EnhancedCode == (smtp.EnhancedCode{5, 3, 4}) || e.Code == 552 && e.EnhancedCode == (smtp.EnhancedCode{}) {
		return &TooLargeError{Endpoint: s.endpoint, Size: size}
	}
	return newRefusedError(step, "", e)
}

func newRefusedError(step, recipient string, e *smtp.SMTPError) *RefusedError {
	r := &RefusedError{Recipient: recipient, Step: step, Code: e.Code, Text: cleanText(e.Message), Permanent: e.Code >= 500}
	if e.EnhancedCode != (smtp.EnhancedCode{}) {
		r.EnhancedCode = fmt.Sprintf("%d.%d.%d", e.EnhancedCode[0], e.EnhancedCode[1], e.EnhancedCode[2])
	}
	return r
}
