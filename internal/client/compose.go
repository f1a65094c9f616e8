package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/entity"
)

// draft is a message as its author means it.
type draft struct {
	From        *mail.Address
	To, Cc, Bcc []*mail.Address
	ReplyTo     []*mail.Address
	Subject     string
	InReplyTo   string // Message-IDs in angle brackets, as References
	References  string
	Date        time.Time
	MessageID   string        // without angle brackets
	further     entity.Header // what else stands in the header
	original    entity.Header // the header as it was given; nil: it is made of the fields above
	returnPath  string        // where errors go; empty: to From
	content     content
	// policy, if set, makes the policy of what is hidden outside out of the one that was chosen: answers hide more.
	policy func(chosen smime.HCP) smime.HCP
}

// content is the MIME entity of a draft, without the message's header fields.
type content interface {
	// writeEntity writes it. It may be called more than once, and writes the same each time.
	writeEntity(ctx context.Context, w io.Writer) error
}

// addresses are those of all who get the message.
func (d *draft) addresses() []string {
	var list []string
	for _, to := range slices.Concat(d.To, d.Cc, d.Bcc) {
		list = append(list, to.Address)
	}
	return list
}

// newMessageID makes a Message-ID that tells nothing of this machine or this moment.
func newMessageID(from *mail.Address) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	domain := from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	if ascii, err := mailbox.WireAddress("x@" + domain); err == nil { // also where the local part keeps the address in UTF-8
		_, domain, _ = strings.Cut(ascii, "@")
	}
	return hex.EncodeToString(b[:]) + "@" + domain
}

// parseAddresses reads addresses as a person types them: an addr-spec, with or without a name, several by commas.
func parseAddresses(flag string, values []string) ([]*mail.Address, error) {
	var all []*mail.Address
	for _, v := range values {
		list, err := mail.ParseAddressList(v)
		if err != nil {
			return nil, usage("", fmt.Errorf("--%s: %q is not an e-mail address", flag, v), addressHint)
		}
		all = append(all, list...)
	}
	return all, nil
}

// newDraft checks the words of a letter, before anything is signed or sent. It need not go to anybody yet, nor say anything: see
// draft.complete.
func (c *Client) newDraft(a config.Account, l Letter) (*draft, error) {
	d := &draft{Subject: l.Subject, Date: c.o.Now().Truncate(time.Second)}
	var err error
	if d.From, err = ownSender(a, l.From); err != nil {
		return nil, err
	}
	for _, group := range []struct {
		flag   string
		values []string
		list   *[]*mail.Address
	}{{"to", l.To, &d.To}, {"cc", l.Cc, &d.Cc}, {"bcc", l.Bcc, &d.Bcc}} {
		list, err := parseAddresses(group.flag, group.values)
		if err != nil {
			return nil, err
		}
		for _, address := range list {
			// Who is named twice gets one message, where it was named first.
			if !slices.ContainsFunc(slices.Concat(d.To, d.Cc, d.Bcc), func(have *mail.Address) bool { return smime.SameAddress(have.Address, address.Address) }) {
				*group.list = append(*group.list, address)
			}
		}
	}
	if d.ReplyTo, err = parseAddresses("reply-to", l.ReplyTo); err != nil {
		return nil, err
	}
	if d.InReplyTo, err = identifiers("In-Reply-To", l.InReplyTo); err != nil {
		return nil, err
	}
	if d.References, err = identifiers("References", l.References); err != nil {
		return nil, err
	}
	for _, words := range l.Fields {
		f, err := furtherField(words)
		if err != nil {
			return nil, err
		}
		d.further = append(d.further, f)
	}
	text := &composed{text: l.Body, attachments: slices.Clone(l.kept)}
	for _, path := range l.Attach {
		file, err := c.openAttachment(path)
		if err != nil {
			return nil, err
		}
		text.attachments = append(text.attachments, file)
	}
	d.content = text
	d.MessageID = newMessageID(d.From)
	if strings.ContainsFunc(d.Subject, endsLine) {
		return nil, usage("send", fmt.Errorf("the subject %q has a control character", shortText(d.Subject)), controlHint)
	}
	if _, err := d.header(); err != nil {
		return nil, usage("send", err, controlHint)
	}
	return d, nil
}

// complete is an error where the draft cannot be sent yet.
func (l Letter) complete(d *draft) error {
	switch {
	case len(d.addresses()) == 0:
		return usage("send", errors.New("nobody to send to"), "name somebody with --to, --cc or --bcc")
	case l.Body == nil && len(l.Attach)+len(l.kept) == 0:
		return usage("send", errors.New("neither text nor attachment"), "--body FILE, or --body - for stdin")
	}
	return nil
}

// ownSender is who a message is from: one of the account's addresses.
func ownSender(a config.Account, from string) (*mail.Address, error) {
	if from == "" {
		return &mail.Address{Name: a.DisplayName, Address: a.Address}, nil
	}
	list, err := parseAddresses("from", []string{from})
	if err != nil {
		return nil, err
	}
	for _, own := range a.Addresses {
		if len(list) == 1 && smime.SameAddress(own, list[0].Address) {
			return &mail.Address{Name: cmp.Or(list[0].Name, a.DisplayName), Address: own}, nil
		}
	}
	return nil, usage("send", fmt.Errorf("--from: %q is none of the addresses of account %s", from, a.Name),
		"its addresses are "+strings.Join(a.Addresses, ", ")+"; `addresses` in the configuration adds one, -a names another account")
}

// identifiers are Message-IDs as they stand in a field (RFC 5322 section 3.6.4).
func identifiers(name, words string) (string, error) {
	ids := strings.Fields(words)
	for _, id := range ids {
		inside := strings.TrimSuffix(strings.TrimPrefix(id, "<"), ">")
		if len(inside)+2 != len(id) || inside == "" || strings.ContainsAny(inside, "<>") {
			return "", usage("send", fmt.Errorf("%s: %q is no Message-ID", name, shortText(id)), "write it like <1234@example.org>")
		}
	}
	return strings.Join(ids, " "), nil
}

// furtherField is a field that an author wants in the header.
func furtherField(words string) (entity.Field, error) {
	name, value, _ := strings.Cut(words, ":")
	if !isLetterField(name) {
		return entity.Field{}, usage("send", fmt.Errorf("the header field %q cannot be set", shortText(words)), knownFieldsHint)
	}
	value = strings.TrimSpace(value)
	if strings.ContainsFunc(value, endsLine) {
		return entity.Field{}, usage("send", fmt.Errorf("the header field %q has a control character", shortText(words)), controlHint)
	}
	f, err := entity.NewField(name, mime.QEncoding.Encode("utf-8", value))
	if err != nil {
		return f, usage("send", err, controlHint)
	}
	return f, nil
}

const controlHint = "leave out line breaks and control characters"

// endsLine reports whether a character would do more in a line than stand there. Encoded (RFC 2047) it would get into a header all
// the same, and programs that decode before they split a header would see more fields than there are.
func endsLine(r rune) bool { return unicode.IsControl(r) && r != '\t' }

// header returns the message's header fields. Bcc is not among them: nobody shall see it.
func (d *draft) header() (entity.Header, error) {
	if d.original != nil {
		return d.givenHeader()
	}
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
	add("From", joinAddresses([]*mail.Address{d.From}))
	add("To", joinAddresses(d.To))
	add("Cc", joinAddresses(d.Cc))
	add("Reply-To", joinAddresses(d.ReplyTo))
	add("Subject", mime.QEncoding.Encode("utf-8", d.Subject))
	add("Date", d.Date.Format(time.RFC1123Z))
	add("Message-ID", "<"+d.MessageID+">")
	add("In-Reply-To", d.InReplyTo)
	add("References", d.References)
	return append(h, d.further...), failure
}

func joinAddresses(list []*mail.Address) string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = (&mail.Address{Name: a.Name, Address: wireAddress(a.Address)}).String()
	}
	return strings.Join(words, ", ")
}

// wireAddress is an address as it stands in a header: in ASCII as far as it can be. One that mail cannot carry stays as it is,
// for the server to be refused with.
func wireAddress(address string) string {
	if wire, err := mailbox.WireAddress(address); err == nil {
		return wire
	}
	return address
}

// beyondASCII reports whether a header is one of RFC 6532, as it is with an address whose local part goes beyond ASCII.
func beyondASCII(h entity.Header) bool {
	return slices.ContainsFunc(h, func(f entity.Field) bool {
		return slices.ContainsFunc(f.Raw, func(b byte) bool { return b >= utf8.RuneSelf })
	})
}
