package client

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"slices"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/spool"
)

// forwardedFields are those of a message that go along where its encryption is taken off: what its author has written, and no
// traces of its way.
var forwardedFields = []string{
	"From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Comments", "Keywords",
}

// decryptedMessage is a message without its encryption: the fields that are displayed, and the entity inside the innermost layer of
// encryption, octet for octet, with the signatures that it has. Layers around that one are over the ciphertext, and go with it.
func decryptedMessage(m *smime.Message) (io.Reader, error) {
	var content *io.SectionReader
	for _, l := range m.Layers {
		if l.Encrypted != nil {
			content = l.Encrypted.Content
		}
	}
	body := bufio.NewReaderSize(io.NewSectionReader(content, 0, content.Size()), 64<<10)
	own, _, _, err := entity.ReadHeader(body, maxHeader)
	if err != nil {
		return nil, err
	}
	var head bytes.Buffer
	for _, name := range forwardedFields {
		fields, _ := m.Fields(name)
		for _, f := range fields {
			head.Write(f.Raw)
		}
	}
	head.WriteString("MIME-Version: 1.0\r\n")
	for _, f := range own {
		if f.Structural() && !f.Is("MIME-Version") {
			head.Write(f.Raw)
		}
	}
	head.WriteString("\r\n")
	return io.MultiReader(&head, body), nil
}

// withoutBlind is a message as it is, but for who got a blind copy: copies of what one has sent may say that. No signature covers
// the fields that are left out here.
func withoutBlind(message io.Reader) (io.Reader, error) {
	body := bufio.NewReaderSize(message, 64<<10)
	outer, raw, _, err := entity.ReadHeader(body, maxHeader)
	if err != nil {
		return nil, err
	}
	blind := func(f entity.Field) bool { return f.Is("Bcc") || f.Is("Resent-Bcc") }
	if !slices.ContainsFunc(outer, blind) {
		return io.MultiReader(bytes.NewReader(raw), body), nil
	}
	var head bytes.Buffer
	for _, f := range slices.DeleteFunc(outer, blind) {
		head.Write(f.Raw)
	}
	head.WriteString("\r\n")
	return io.MultiReader(&head, body), nil
}

// isOwnDraft reports whether a message is a draft of this program, with fields that no message has.
func isOwnDraft(m *smime.Message) bool {
	return slices.ContainsFunc(m.Protection.Fields, func(f entity.Field) bool { return f.Is(draftBcc) || f.Is(draftOptions) })
}

// keepMessage keeps a whole message as an attachment. Its octets may not be encoded in message/rfc822 (RFC 2046 section 5.2.1), and
// what is signed may not have 8-bit lines or long ones (RFC 8551 section 3.1.2): such a message goes along as a file.
func (w *writing) keepMessage(ctx context.Context, name string, message io.Reader) (attachment, error) {
	s := spool.New(w.client.spoolOptions())
	w.spools = append(w.spools, s)
	lines := &lineWriter{dst: s}
	if _, err := io.Copy(entity.NewCanonicalWriter(lines), contextReader{ctx, message}); err != nil {
		return attachment{}, err
	}
	if lines.odd {
		return keptAttachment(name, "application/octet-stream", s), nil
	}
	a := keptAttachment(name, "message/rfc822", s)
	a.encoding = "7bit"
	return a, nil
}

// lineWriter sees whether what goes through it is 7-bit text (RFC 2045 section 2.7): lines of 998 octets at most, and neither NUL
// nor a bare CR.
type lineWriter struct {
	dst    io.Writer
	length int
	cr     bool // the last octet was a CR
	odd    bool
}

func (l *lineWriter) Write(p []byte) (int, error) {
	for _, c := range p {
		switch {
		case c == '\n':
			l.length = 0
		case c == 0 || c >= 0x80 || l.cr:
			l.odd = true
		case c != '\r':
			l.length++
		}
		l.cr = c == '\r'
		l.odd = l.odd || l.length > maxLine
	}
	return l.dst.Write(p)
}

// maxLine is how long a line of a message may be without its end, in octets (RFC 5322 section 2.1.1).
const maxLine = 998
