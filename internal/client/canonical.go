package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sealmail/sealmail/smime/entity"
)

// given is the content of a message that another program made. It goes out as it came, but for what cannot be signed or
// cannot travel: octets beyond ASCII, NUL, lines of more than 998 octets (RFC 8551 section 3.1, RFC 5322 section 2.1.1).
// A part that has such is written in another transfer encoding, and all others octet by octet.
type given struct {
	root *entity.Entity
}

// maxGivenDepth bounds parts within parts, and messages within messages.
const maxGivenDepth = 32

// longestLine is how many octets a line may have, without its CRLF.
const longestLine = 998

// writeEntity writes the entity. What cannot be brought into a form that travels is a messageError.
func (g given) writeEntity(ctx context.Context, w io.Writer) error {
	return (&canonicalWriter{ctx: ctx, w: w}).entity(g.root, true, 0)
}

// messageError is what is wrong with a message that was given.
type messageError struct{ why string }

func (e *messageError) Error() string { return e.why }

func badMessage(format string, args ...any) error {
	return &messageError{fmt.Sprintf(format, args...)}
}

// canonicalWriter writes entities in a form that travels.
type canonicalWriter struct {
	ctx context.Context
	w   io.Writer
}

// entity writes an entity; of the message's own only the fields of its structure.
func (c *canonicalWriter) entity(e *entity.Entity, own bool, depth int) error {
	header := e.Header
	if own {
		header = structure(header)
	}
	body, err := c.scan(e.BodySection())
	switch {
	case err != nil:
		return err
	case depth > maxGivenDepth:
		return badMessage("its parts are nested too deeply")
	case body == clean:
		if err := c.header(header, ""); err != nil {
			return err
		}
		return c.copy(e.BodySection())
	case e.Type.Is("multipart/signed", "multipart/encrypted"):
		return badMessage("a part of type %s has octets or lines that cannot travel, and nothing in it may be changed", e.Type.Type)
	case e.Type.Multipart():
		return c.multipart(e, header, depth)
	case e.Message():
		return c.message(e, header, depth)
	}
	return c.leaf(e, header, body)
}

// multipart writes the parts one by one, and what stands between them as it is.
func (c *canonicalWriter) multipart(e *entity.Entity, header entity.Header, depth int) error {
	parts, err := e.Children(nil, entity.Limits{})
	if err != nil {
		return err
	}
	if len(parts) == 0 || slices.Contains(e.Notes, entity.NoteTooManyParts) {
		return badMessage("a multipart entity has octets or lines that cannot travel, and parts that cannot be told apart")
	}
	if err := c.header(header, "7bit"); err != nil {
		return err
	}
	body, at := e.BodySection(), e.Body
	between := func(end int64) error {
		gap := io.NewSectionReader(body, at-e.Body, end-at)
		if found, err := c.scan(gap); err != nil || found != clean {
			return cmp.Or(err, badMessage("text beside the parts of a multipart entity has octets or lines that cannot travel"))
		}
		_, _ = gap.Seek(0, io.SeekStart) // never fails
		return c.copy(gap)
	}
	for _, p := range parts {
		if err := between(p.Start); err != nil {
			return err
		}
		if err := c.entity(p, false, depth+1); err != nil {
			return err
		}
		at = p.End
	}
	return between(e.End)
}

// message writes a message within a message, whose own parts are written in another encoding: it may have none itself (RFC 2046
// section 5.2.1).
func (c *canonicalWriter) message(e *entity.Entity, header entity.Header, depth int) error {
	inner, err := entity.Parse(e.BodySection(), entity.Limits{})
	if err != nil {
		return badMessage("an attached message: %v", err)
	}
	if err := c.header(header, "7bit"); err != nil {
		return err
	}
	return c.entity(inner, false, depth+1)
}

// leaf writes a part in quoted-printable or base64.
func (c *canonicalWriter) leaf(e *entity.Entity, header entity.Header, body octets) error {
	encoding := "base64"
	text := strings.HasPrefix(e.Type.Type, "text/")
	identity := slices.Contains([]string{"", "7bit", "8bit", "binary"}, e.Encoding)
	if text && body&(nul|bareCR) == 0 && e.Encoding != "base64" {
		encoding = "quoted-printable"
	}
	if text && identity && body&high != 0 {
		var err error
		if header, err = c.withCharset(e, header); err != nil {
			return err
		}
	}
	if err := c.header(header, encoding); err != nil {
		return err
	}
	var dst io.WriteCloser = entity.NewBase64Writer(c.w)
	if encoding == "quoted-printable" {
		dst = entity.NewQuotedPrintableWriter(c.w)
	}
	if _, err := io.Copy(dst, contextReader{c.ctx, e.Decode()}); err != nil {
		return err
	}
	return dst.Close()
}

// withCharset says in which character set a text is that has octets beyond ASCII and does not say it.
func (c *canonicalWriter) withCharset(e *entity.Entity, header entity.Header) (entity.Header, error) {
	value, params := "text/plain", map[string]string{}
	if f, ok := header.Get("Content-Type"); ok {
		var err error
		if value, params, err = mime.ParseMediaType(f.Value()); err != nil {
			return nil, badMessage("its Content-Type cannot be read: %v", err)
		}
	}
	if charset := strings.ToLower(params["charset"]); charset != "" && charset != "us-ascii" {
		return header, nil
	}
	valid, err := validUTF8(contextReader{c.ctx, e.BodySection()})
	if err != nil {
		return nil, err
	}
	params["charset"] = "unknown-8bit" // RFC 1428 section 3
	if valid {
		params["charset"] = "utf-8"
	}
	f, err := entity.NewField("Content-Type", mime.FormatMediaType(value, params))
	if err != nil {
		return nil, err
	}
	return append(without(header, "Content-Type"), f), nil
}

// header writes a header section and the empty line behind it. Encoding, unless empty, is the new transfer encoding.
func (c *canonicalWriter) header(h entity.Header, encoding string) error {
	if encoding != "" {
		h = without(h, "Content-Transfer-Encoding")
		if encoding != "7bit" { // which needs no words
			f, err := entity.NewField("Content-Transfer-Encoding", encoding)
			if err != nil {
				return err
			}
			h = append(h, f)
		}
	}
	for _, f := range h {
		f, err := travelling(f)
		if err != nil {
			return err
		}
		if _, err := c.w.Write(f.Raw); err != nil {
			return err
		}
	}
	_, err := io.WriteString(c.w, "\r\n")
	return err
}

func (c *canonicalWriter) copy(r io.Reader) error {
	_, err := io.Copy(c.w, contextReader{c.ctx, r})
	return err
}

// structure are the fields that describe a message's MIME structure, but for its version, which stands outside.
func structure(h entity.Header) entity.Header {
	return slices.DeleteFunc(slices.Clone(h), func(f entity.Field) bool { return !f.Structural() || f.Is("MIME-Version") })
}

func without(h entity.Header, name string) entity.Header {
	return slices.DeleteFunc(slices.Clone(h), func(f entity.Field) bool { return f.Is(name) })
}

// travelling returns a field in ASCII and in lines that are short enough: as it is, where it is so, else with words beyond
// ASCII encoded by RFC 2047, and in parameters by RFC 2231.
func travelling(f entity.Field) (entity.Field, error) {
	found := scanOctets(f.Raw, &lineState{})
	switch {
	case f.Name == "":
		return f, badMessage("a line of its header is no header field: put an empty line before the text")
	case found == clean:
		return f, nil
	case found&(nul|bareCR) != 0:
		return f, badMessage("the header field %s has a control character", f.Name)
	}
	value := f.Value()
	switch {
	case found&high == 0: // too long, and folded anew
	case f.Is("Content-Type"), f.Is("Content-Disposition"):
		kind, params, err := mime.ParseMediaType(value)
		if err == nil {
			value = mime.FormatMediaType(kind, params)
		}
		if err != nil || value == "" {
			return f, badMessage("the header field %s has octets beyond ASCII, and cannot be read", f.Name)
		}
	case slices.ContainsFunc(addressFields, f.Is):
		list, err := parseAddressField(f)
		if err != nil {
			return f, err
		}
		value = joinAddresses(list)
	default:
		value = mime.QEncoding.Encode("utf-8", f.Text())
	}
	made, err := entity.NewField(f.Name, value)
	if err == nil && scanOctets(made.Raw, &lineState{})&long != 0 {
		err = errors.New("a word of it is too long for a line")
	}
	if err != nil {
		return f, badMessage("the header field %s cannot travel: %v", f.Name, err)
	}
	return made, nil
}

// octets are kinds of octets that cannot travel in mail as they are.
type octets uint8

const clean octets = 0

const (
	high   octets = 1 << iota // beyond ASCII
	nul                       // RFC 5322 section 4
	long                      // a line longer than longestLine
	bareCR                    // a carriage return without line feed
)

// lineState is where in a line a scan is.
type lineState struct {
	length int
	cr     bool
}

// scanOctets tells which kinds are in the next piece of a text.
func scanOctets(p []byte, s *lineState) (found octets) {
	for _, b := range p {
		switch {
		case b == '\n':
			s.length, s.cr = 0, false
			continue
		case s.cr:
			found |= bareCR
			fallthrough
		default:
			s.cr = b == '\r'
		}
		if b >= utf8.RuneSelf {
			found |= high
		} else if b == 0 {
			found |= nul
		}
		if b != '\r' {
			s.length++
		}
		if s.length > longestLine {
			found |= long
		}
	}
	return found
}

// scan tells which kinds are in a text.
func (c *canonicalWriter) scan(r io.Reader) (found octets, err error) {
	var (
		s      lineState
		buffer = make([]byte, 32<<10)
		src    = contextReader{c.ctx, r}
	)
	for {
		n, err := src.Read(buffer)
		found |= scanOctets(buffer[:n], &s)
		if errors.Is(err, io.EOF) {
			if s.cr {
				found |= bareCR
			}
			return found, nil
		}
		if err != nil {
			return found, err
		}
	}
}

// validUTF8 reports whether a text is UTF-8.
func validUTF8(r io.Reader) (bool, error) {
	var rest []byte
	buffer := make([]byte, 32<<10)
	for {
		n, err := r.Read(buffer[copy(buffer, rest):])
		p := buffer[:len(rest)+n]
		for len(p) > 0 && (utf8.FullRune(p) || err != nil) {
			if p[0] < utf8.RuneSelf {
				p = p[1:]
				continue
			}
			r, size := utf8.DecodeRune(p)
			if r == utf8.RuneError && size <= 1 {
				return false, nil
			}
			p = p[size:]
		}
		rest = bytes.Clone(p)
		if errors.Is(err, io.EOF) {
			return len(rest) == 0, nil
		}
		if err != nil {
			return false, err
		}
	}
}
