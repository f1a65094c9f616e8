package client

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/spool"
)

// layer reads a MIME entity and writes the one that protects it.
type layer func(w io.Writer, payload io.Reader) error

// around is two layers at once: what the inner one writes is what the outer one protects. They work side by side, and
// nothing lies in between but what one of them has in hand. Where one fails, the other ends too.
func around(inner, outer layer) layer {
	return func(w io.Writer, payload io.Reader) error {
		r, between := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := inner(between, payload)
			between.CloseWithError(err) // nil: that is all
			ended <- err
		}()
		err := outer(w, r)
		r.CloseWithError(err)       // nil: then all was read
		return cmp.Or(err, <-ended) // either has met the other's error
	}
}

// messageFields are fields that make of a MIME entity a message.
var messageFields = []string{"From", "To", "Cc", "Subject", "Date", "Message-ID"}

// protect reads a MIME entity or a whole message and writes it under one more layer. The header of a message is
// protected inside, and stays outside as far as the scheme lets it: a message is refused where the layer is to be bare, which has
// no place for a header outside.
func (c *Client) protect(ctx context.Context, name string, out Output, bare bool, header smime.HeaderProtector, protection layer) error {
	in, err := c.openInput(name)
	if err != nil {
		return err
	}
	defer in.Close()
	e := in.head
	whole := slices.ContainsFunc(messageFields, func(name string) bool { return len(e.Header.All(name)) > 0 })
	if whole && bare {
		return usage(name, errors.New("it is a whole message, and bare CMS has no place for its header fields"), "leave out --bare, or take the fields off first")
	}
	if whole && isLayer(e) && header.Scheme == smime.HPCipher {
		inside, err := c.headerInside(ctx, in)
		if err != nil {
			return cmp.Or(in.unchanged(), explainOpen(name, err))
		}
		if !inside { // what is hidden outside would be nowhere
			header.Scheme = smime.HPClear
			c.o.Say("warning: the message does not protect its header inside: all of it, Subject too, stays readable outside")
		}
	}
	return c.writeFrom(in, out, func(w io.Writer) error {
		payload := in.all()
		if whole {
			var outer entity.Header
			var err error
			if payload, outer, err = in.protectHeader(header); err != nil {
				return failed(name, err, "take the message's header fields off the entity first")
			}
			if err := smime.WriteOuterHeader(w, outer); err != nil {
				return err
			}
		}
		if err := protection(w, contextReader{ctx, payload}); err != nil {
			return storeError(err)
		}
		return nil
	})
}

// headerInside reports whether a message that is a layer has its header fields inside as well. Where that cannot be
// seen, because the layer is encrypted, they are taken for missing.
func (c *Client) headerInside(ctx context.Context, in *input) (bool, error) {
	src, err := in.again(c.spoolOptions())
	if err != nil {
		return false, err
	}
	m, err := smime.Open(ctx, src, smime.OpenOptions{Spool: c.layerOptions(src.Size())})
	if err != nil {
		return false, err
	}
	return m.Protection.Scheme != smime.HPNone, m.Close()
}

// isLayer tells an entity that is signed or encrypted from one that is content.
func isLayer(e *entity.Entity) bool {
	switch e.Type.Type {
	case "multipart/signed", "application/pkcs7-mime", "application/x-pkcs7-mime":
		return true
	}
	return false
}

// input is a MIME entity or a message whose header was read, and whose body is read once, where it lies or as it comes.
type input struct {
	head   *entity.Entity // of which the header alone is to be used
	raw    []byte         // that header, as it stands
	body   io.Reader
	file   *os.File     // nil: stdin
	watch  func() error // nil: nobody else can change it
	spool  *spool.Spool
	source smime.Source // nil: it cannot be read more than once
}

// maxHeader is what the header of an input may take in memory.
const maxHeader = 1 << 20

func (c *Client) openInput(name string) (*input, error) {
	in := &input{}
	r := c.o.Stdin
	if name != "-" {
		f, info, err := openFile(name)
		if err != nil {
			return nil, err
		}
		r, in.file = f, f
		if info.Mode().IsRegular() {
			in.watch = watch(f, info)
			in.source = c.fileSource(name, f, info)
			r = io.NewSectionReader(in.source, 0, info.Size())
		}
	}
	body := bufio.NewReaderSize(r, 64<<10)
	var err error
	if _, in.raw, _, err = entity.ReadHeader(body, maxHeader); err == nil {
		in.head, err = entity.Parse(bytes.NewReader(in.raw), entity.Limits{HeaderBytes: maxHeader})
	}
	if err != nil {
		return nil, errors.Join(failed(name, err, ""), in.Close())
	}
	in.body = body
	return in, nil
}

// again returns the input as one that can be read at any place. Where it is none by itself, it goes into a spool first.
func (in *input) again(o spool.Options) (smime.Source, error) {
	if in.source != nil {
		return in.source, nil
	}
	in.spool = spool.New(o)
	if _, err := io.Copy(in.spool, in.all()); err != nil {
		return nil, err
	}
	in.source = in.spool
	in.body = io.NewSectionReader(in.spool, int64(len(in.raw)), in.spool.Size()-int64(len(in.raw)))
	return in.source, nil
}

// all is the entity as it stands.
func (in *input) all() io.Reader { return io.MultiReader(bytes.NewReader(in.raw), in.body) }

// protectHeader returns the payload of a whole message, and the fields that stay outside.
func (in *input) protectHeader(header smime.HeaderProtector) (payload io.Reader, outer entity.Header, err error) {
	if !isLayer(in.head) {
		return header.Protect(in.all(), in.head.Header)
	}
	// The header is protected at the root of the payload (RFC 9788 section 2.1), which is further inside.
	header.LegacyDisplay = false
	_, outer, err = header.Protect(bytes.NewReader(in.raw), in.head.Header)
	return in.withoutMessageFields(), outer, err
}

// withoutMessageFields is the entity less what belongs to the message.
func (in *input) withoutMessageFields() io.Reader {
	var head bytes.Buffer
	for _, f := range in.head.Header {
		if f.Structural() && !f.Is("MIME-Version") {
			head.Write(f.Raw)
		}
	}
	head.WriteString("\r\n")
	return io.MultiReader(&head, in.body)
}

// unchanged is source.unchanged: the file is read once at least, and must not be half one text and half another.
func (in *input) unchanged() error {
	if in.watch == nil {
		return nil
	}
	return in.watch()
}

func (in *input) Close() error {
	var errs []error
	if in.spool != nil {
		errs = append(errs, in.spool.Close())
	}
	if in.file != nil {
		errs = append(errs, in.file.Close())
	}
	return errors.Join(errs...)
}
