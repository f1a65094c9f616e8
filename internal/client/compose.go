package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message"

	"github.com/sealmail/sealmail/smime/entity"
)

// draft is a message as its author means it.
type draft struct {
	From        *mail.Address
	To, Cc, Bcc []*mail.Address
	Subject     string
	Date        time.Time
	MessageID   string // without angle brackets
	Text        []byte // UTF-8
	Attachments []attachment
}

// addresses are those of all who get the message.
func (d *draft) addresses() []string {
	var list []string
	for _, to := range slices.Concat(d.To, d.Cc, d.Bcc) {
		list = append(list, to.Address)
	}
	return list
}

// attachment is a file to go with a message. Its size is known before, and held to while it is read.
type attachment struct {
	path, name, mediaType string
	size                  int64
}

// newMessageID makes a Message-ID that tells nothing of this machine or this moment.
func newMessageID(from *mail.Address) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	_, domain, _ := strings.Cut(from.Address, "@")
	return hex.EncodeToString(b[:]) + "@" + domain
}

// parseAddresses reads addresses as a person types them: an addr-spec, with or without a name, several by commas.
func parseAddresses(flag string, values []string) ([]*mail.Address, error) {
	var all []*mail.Address
	for _, v := range values {
		list, err := mail.ParseAddressList(v)
		if err != nil {
			return nil, usage("", fmt.Errorf("--%s: %q is not an e-mail address", flag, v), "write it like bob@example.org, or \"Bob Brown <bob@example.org>\"")
		}
		all = append(all, list...)
	}
	return all, nil
}

// openAttachment looks at a file that is to be attached.
func openAttachment(path string) (attachment, error) {
	info, err := os.Stat(path)
	if err != nil {
		return attachment{}, failed("", err, "name a file that can be read")
	}
	if !info.Mode().IsRegular() {
		return attachment{}, failed("", fmt.Errorf("%s is not a regular file", path), "attach files only")
	}
	// The parameters are left out: that a file is UTF-8 is only a guess. A part of the last two types would be read as
	// structure of the message.
	mediaType, _, err := mime.ParseMediaType(mime.TypeByExtension(filepath.Ext(path)))
	if err != nil || strings.HasPrefix(mediaType, "multipart/") || strings.HasPrefix(mediaType, "message/") {
		mediaType = "application/octet-stream"
	}
	return attachment{path: path, name: filepath.Base(path), mediaType: mediaType, size: info.Size()}, nil
}

// header returns the message's header fields. Bcc is not among them: nobody shall see it.
func (d *draft) header() (entity.Header, error) {
	var h entity.Header
	var failure error
	add := func(name, value string) {
		if value == "" {
			return
		}
		f, err := entity.NewField(name, value)
		if err != nil {
			failure = errors.Join(failure, fmt.Errorf("%s: %w", name, err))
			return
		}
		h = append(h, f)
	}
	add("From", d.From.String())
	add("To", joinAddresses(d.To))
	add("Cc", joinAddresses(d.Cc))
	add("Subject", mime.QEncoding.Encode("utf-8", d.Subject))
	add("Date", d.Date.Format(time.RFC1123Z))
	add("Message-ID", "<"+d.MessageID+">")
	return h, failure
}

func joinAddresses(list []*mail.Address) string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = a.String()
	}
	return strings.Join(words, ", ")
}

// writeEntity writes the MIME entity of text and attachments, without the message's header fields. It is 7-bit, with
// CRLF line ends, so that no relay has a reason to touch it.
func (d *draft) writeEntity(ctx context.Context, w io.Writer) error {
	if len(d.Attachments) == 0 {
		return d.writeText(func(h message.Header) (*message.Writer, error) { return message.CreateWriter(w, h) })
	}
	var h message.Header
	h.SetContentType("multipart/mixed", nil)
	mixed, err := message.CreateWriter(w, h)
	if err != nil {
		return err
	}
	if err := d.writeText(mixed.CreatePart); err != nil {
		return err
	}
	for _, a := range d.Attachments {
		if err := a.write(ctx, mixed.CreatePart); err != nil {
			return err
		}
	}
	return mixed.Close()
}

func (d *draft) writeText(create func(message.Header) (*message.Writer, error)) error {
	if !utf8.Valid(d.Text) {
		return usage("", errors.New("the text is not UTF-8"), "convert it, or send it as an attachment")
	}
	var h message.Header
	h.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
	h.Set("Content-Transfer-Encoding", "quoted-printable")
	part, err := create(h)
	if err != nil {
		return err
	}
	text := bytes.ReplaceAll(bytes.ReplaceAll(d.Text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	if _, err := part.Write(text); err != nil {
		return err
	}
	return part.Close()
}

func (a attachment) write(ctx context.Context, create func(message.Header) (*message.Writer, error)) error {
	f, err := os.Open(a.path)
	if err != nil {
		return failed("", err, "")
	}
	defer f.Close()
	var h message.Header
	h.SetContentType(a.mediaType, nil)
	h.SetContentDisposition("attachment", map[string]string{"filename": a.name})
	h.Set("Content-Transfer-Encoding", "base64")
	part, err := create(h)
	if err != nil {
		return err
	}
	n, err := io.Copy(part, contextReader{ctx, io.LimitReader(f, a.size+1)})
	if err != nil {
		return failed("", err, "")
	}
	if n != a.size {
		return failed("", fmt.Errorf("%s changed while it was read", a.path), "send it again when it is complete")
	}
	return part.Close()
}

// contextReader ends with the context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
