package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message"

	"github.com/sealmail/sealmail/smime"
)

// composed is a text with attachments.
type composed struct {
	text        []byte // UTF-8
	attachments []attachment
}

// attachment is something to go with a message. Its size is known before, and held to while it is read.
type attachment struct {
	name, mediaType string
	encoding        string // the transfer encoding; "" is base64
	size            int64
	open            func() (io.ReadCloser, error)
}

// report is the draft as it is told of. Addresses are as a person types them.
func (d *draft) report() *DraftReport {
	r := &DraftReport{
		From: typedAddress(d.From), To: listed(d.To), Cc: listed(d.Cc), Bcc: listed(d.Bcc), ReplyTo: listed(d.ReplyTo), Subject: orNull(d.Subject), Date: d.Date.UTC(),
		InReplyTo: orNull(d.InReplyTo), References: orNull(d.References), Fields: []FieldReport{}, Attachments: []AttachmentReport{},
	}
	for _, f := range d.further {
		r.Fields = append(r.Fields, FieldReport{f.Name, f.Text()})
	}
	if t, ok := d.content.(*composed); ok {
		r.Text = orNull(string(t.text))
		for _, a := range t.attachments {
			r.Attachments = append(r.Attachments, AttachmentReport{a.name, a.mediaType, a.size})
		}
	}
	return r
}

func listed(list []*mail.Address) []string { return append([]string{}, typedAddresses(list)...) }

// openAttachment looks at a file that is to be attached.
func (c *Client) openAttachment(path string) (attachment, error) {
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
	return attachment{name: filepath.Base(path), mediaType: mediaType, size: info.Size(), open: func() (io.ReadCloser, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		return &tellingFile{tellingReader{Reader: f, client: c, so: Progress{What: path, AllOctets: info.Size()}}, f}, nil
	}}, nil
}

// writeEntity writes the MIME entity of text and attachments, without the message's header fields. It is 7-bit, with
// CRLF line ends, so that no relay has a reason to touch it.
func (t *composed) writeEntity(ctx context.Context, w io.Writer) error {
	if len(t.attachments) == 0 {
		return t.writeText(func(h message.Header) (*message.Writer, error) { return message.CreateWriter(w, h) })
	}
	var h message.Header
	h.SetContentType("multipart/mixed", nil)
	mixed, err := message.CreateWriter(w, h)
	if err != nil {
		return err
	}
	if err := t.writeText(mixed.CreatePart); err != nil {
		return err
	}
	for _, a := range t.attachments {
		if err := a.write(ctx, mixed.CreatePart); err != nil {
			return err
		}
	}
	return mixed.Close()
}

func (t *composed) writeText(create func(message.Header) (*message.Writer, error)) error {
	if !utf8.Valid(t.text) {
		return usage("", errors.New("the text is not UTF-8"), "convert it, or send it as an attachment")
	}
	var h message.Header
	h.SetContentType("text/plain", map[string]string{"charset": "utf-8", "format": "flowed"})
	h.Set("Content-Transfer-Encoding", "quoted-printable")
	part, err := create(h)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(smime.FlowText(string(t.text)), "\n", "\r\n")
	if _, err := io.WriteString(part, text); err != nil {
		return err
	}
	return part.Close()
}

func (a attachment) write(ctx context.Context, create func(message.Header) (*message.Writer, error)) error {
	f, err := a.open()
	if err != nil {
		return failed("", err, "")
	}
	defer f.Close()
	var h message.Header
	h.SetContentType(a.mediaType, nil)
	h.SetContentDisposition("attachment", map[string]string{"filename": a.name})
	h.Set("Content-Transfer-Encoding", cmp.Or(a.encoding, "base64"))
	part, err := create(h)
	if err != nil {
		return err
	}
	n, err := io.Copy(part, contextReader{ctx, io.LimitReader(f, a.size+1)})
	if err != nil {
		return failed("", err, "")
	}
	if n != a.size {
		return failed("", fmt.Errorf("%s changed while it was read", a.name), "send it again when it is complete")
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
