package client

import (
	"cmp"
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/internal/config"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/entity"
)

// maxDated is how long ago the date of a message may be that is kept: so much as a signature's time may differ from that of
// its timestamp without a warning.
const maxDated = 5 * time.Minute

// onceFields may stand in a header once (RFC 5322 section 3.6); readers differ about which of several counts.
var onceFields = []string{"From", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Content-Type"}

// addressFields hold lists of addresses.
var addressFields = []string{"From", "Sender", "Reply-To", "To", "Cc", "Bcc"}

// droppedFields are for the way of a message, and not of it.
var droppedFields = []string{"Bcc", "Return-Path", "MIME-Version"}

// givenDraft makes a draft of a message that was given, and finds the account that it is from.
func (c *Client) givenDraft(root *entity.Entity, p SendmailParams) (config.Account, *draft, error) {
	for _, name := range onceFields {
		if len(root.Header.All(name)) > 1 {
			return config.Account{}, nil, sendmailError(BadMessage, fmt.Errorf("the header field %s is there more than once", name), "leave one of them")
		}
	}
	for _, f := range root.Header {
		if strings.HasPrefix(strings.ToLower(f.Name), "resent-") {
			return config.Account{}, nil, sendmailError(BadMessage, errors.New("it is another's message, sent again (Resent-…), and cannot be signed as yours"),
				"forward it as an attachment")
		}
	}
	a, from, returnPath, err := c.givenSender(root, p)
	if err != nil {
		return a, nil, err
	}
	d := &draft{From: from, returnPath: returnPath, content: given{root}, original: entity.Header{}}
	if d.To, d.Bcc, err = givenRecipients(root, a, p); err != nil {
		return a, nil, err
	}
	now := c.o.Now()
	d.Date, d.MessageID = now.Truncate(time.Second), newMessageID(d.From)
	if f, ok := root.Header.Get("Date"); ok {
		date, err := mail.ParseDate(f.Value())
		if err == nil && !date.After(now) && now.Sub(date) <= maxDated {
			d.Date = date
		} else {
			c.o.Say("note: the message is dated now: " + f.Value() + " is not when it is signed")
		}
	}
	if f, ok := root.Header.Get("Message-ID"); ok {
		id := strings.TrimSuffix(strings.TrimPrefix(f.Value(), "<"), ">")
		if !messageID.MatchString(id) {
			return a, nil, sendmailError(BadMessage, errors.New("its Message-ID is none (RFC 5322 section 3.6.4)"), "leave it out: one is made then")
		}
		d.MessageID = id
	}
	for _, f := range root.Header {
		if f.Structural() || slices.ContainsFunc(droppedFields, f.Is) {
			continue
		}
		made, err := travelling(f)
		if err == nil && slices.ContainsFunc(addressFields, f.Is) && !f.Is("From") {
			made, err = wholeAddresses(made, a, p.LocalUser)
		}
		if err != nil {
			return a, nil, sendmailError(BadMessage, err, "")
		}
		d.original = append(d.original, made)
	}
	if len(d.To)+len(d.Bcc) == 1 && !slices.ContainsFunc(root.Header, func(f entity.Field) bool { return f.Is("To") || f.Is("Cc") || f.Is("Bcc") }) {
		// Who is the only one may be named, so that the message tells them that it is for them.
		d.To, d.Bcc = slices.Concat(d.To, d.Bcc), nil
		to, err := entity.NewField("To", joinAddresses(d.To))
		if err != nil {
			return a, nil, sendmailError(BadRecipient, err, "")
		}
		d.original = append(d.original, to)
	}
	if _, err := d.header(); err != nil {
		return a, nil, sendmailError(BadMessage, err, "")
	}
	return a, d, nil
}

// givenHeader is the header as it was given, but for who it is from and its date, which are those of the signature.
func (d *draft) givenHeader() (entity.Header, error) {
	own := map[string]string{
		"from": joinAddresses([]*mail.Address{d.From}), "date": d.Date.Format(time.RFC1123Z), "message-id": "<" + d.MessageID + ">",
	}
	var h entity.Header
	fields := slices.Clone(d.original)
	for _, name := range []string{"From", "Date", "Message-ID"} {
		if _, ok := fields.Get(name); !ok {
			fields = append(fields, entity.Field{Name: name})
		}
	}
	for _, f := range fields {
		if value, ok := own[strings.ToLower(f.Name)]; ok {
			var err error
			if f, err = entity.NewField(f.Name, value); err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
		}
		h = append(h, f)
	}
	return h, nil
}

// messageID is what stands between the angle brackets of a Message-ID (RFC 5322 section 3.6.4), less what nobody uses.
var messageID = regexp.MustCompile(`^[!#-;=?A-~]+@[!#-;=?A-~]+$`)

// givenSender finds the account that a message is from: by its From, else by the sender that was named. A name without a
// domain is one on this machine, and means the account.
func (c *Client) givenSender(root *entity.Entity, p SendmailParams) (config.Account, *mail.Address, string, error) {
	var from *mail.Address
	if f, ok := root.Header.Get("From"); ok {
		list, err := parseAddressField(f)
		if err != nil {
			return config.Account{}, nil, "", sendmailError(BadMessage, err, "")
		}
		if len(list) != 1 {
			return config.Account{}, nil, "", sendmailError(BadMessage, fmt.Errorf("there are %d addresses in From", len(list)), "name one")
		}
		from = list[0]
	}
	var sender string
	if p.Sender != "" {
		parsed, err := parseAddressField(entity.Field{Name: "-f", Raw: []byte("-f: " + p.Sender)})
		if err != nil || len(parsed) != 1 {
			return config.Account{}, nil, "", usage("sendmail", fmt.Errorf("-f: %q is not an e-mail address", p.Sender), "name one of your addresses")
		}
		sender = parsed[0].Address
	}
	name := c.o.Account
	for _, address := range []string{addressOf(from), sender} {
		if _, found := c.config.AccountFor(address); found && name == "" {
			name = address
		}
	}
	a, err := c.config.Account(name)
	if err != nil {
		return a, nil, "", err
	}
	for _, address := range []string{addressOf(from), sender} {
		if strings.Contains(address, "@") && !a.Owns(address) {
			return a, nil, "", sendmailError(BadSender, fmt.Errorf("%s is not an address of account %s", address, a.Name),
				"send as "+a.Address+", or name the address in the account: addresses = [\"…\"]")
		}
	}
	if !strings.Contains(sender, "@") {
		sender = ""
	}
	if from == nil {
		from = &mail.Address{Name: cmp.Or(p.DisplayName, a.DisplayName), Address: sender}
	}
	if !strings.Contains(from.Address, "@") {
		from.Address = a.Address
	}
	return a, from, sender, nil
}

func addressOf(a *mail.Address) string {
	if a == nil {
		return ""
	}
	return a.Address
}

// givenRecipients are those who get a message: open ones, whom its To or Cc names, and blind ones.
func givenRecipients(root *entity.Entity, a config.Account, p SendmailParams) (open, blind []*mail.Address, err error) {
	named := map[string][]*mail.Address{}
	for _, f := range root.Header {
		for _, name := range []string{"To", "Cc", "Bcc"} {
			if !f.Is(name) {
				continue
			}
			list, err := parseAddressField(f)
			if err != nil {
				return nil, nil, sendmailError(BadRecipient, err, "")
			}
			named[name] = append(named[name], list...)
		}
	}
	seen := slices.Concat(named["To"], named["Cc"])
	var envelope []*mail.Address
	for _, words := range p.Recipients {
		list, err := parseAddressField(entity.Field{Name: "recipient", Raw: []byte("recipient: " + words)})
		if err != nil {
			return nil, nil, sendmailError(BadRecipient, err, "")
		}
		envelope = append(envelope, list...)
	}
	if p.FromHeader {
		envelope = slices.Concat(named["To"], named["Cc"], named["Bcc"], envelope)
	}
	same := func(to *mail.Address) func(*mail.Address) bool {
		return func(have *mail.Address) bool {
			return have.Address == to.Address || smime.SameAddress(have.Address, to.Address)
		}
	}
	for _, to := range envelope {
		shown := slices.ContainsFunc(seen, same(to))
		to = atHome(to, a, p.LocalUser)
		if !strings.Contains(to.Address, "@") {
			return nil, nil, sendmailError(BadRecipient, fmt.Errorf("%q has no domain, and is nobody's name on this machine", to.Address), "write whole addresses")
		}
		switch {
		case slices.ContainsFunc(slices.Concat(open, blind), same(to)): // one message each
		case shown:
			open = append(open, to)
		default:
			blind = append(blind, to)
		}
	}
	if len(open)+len(blind) == 0 {
		return nil, nil, usage("sendmail", errors.New("nobody to send to"), "name recipients, or say -t and name them in To, Cc or Bcc")
	}
	return open, blind, nil
}

// atHome returns a recipient, and for a name without a domain that is the user's, the account's address.
func atHome(to *mail.Address, a config.Account, user string) *mail.Address {
	if user != "" && to.Address == user {
		return &mail.Address{Name: to.Name, Address: a.Address}
	}
	return to
}

// wholeAddresses returns a field in which names without a domain are addresses; most have none, and stay as they are.
func wholeAddresses(f entity.Field, a config.Account, user string) (entity.Field, error) {
	list, err := parseAddressField(f)
	if err != nil || !slices.ContainsFunc(list, func(to *mail.Address) bool { return !strings.Contains(to.Address, "@") }) {
		return f, err
	}
	for i, to := range list {
		if list[i] = atHome(to, a, user); !strings.Contains(list[i].Address, "@") {
			return f, badMessage("%s: %q has no domain, and is nobody's name on this machine", f.Name, to.Address)
		}
	}
	return entity.NewField(f.Name, joinAddresses(list))
}

// localName is an address without a domain, as programs on the same machine have them: user, user (Name), Name <user>.
var localName = regexp.MustCompile(`^(?:([A-Za-z0-9._+-]+)(?:\s*\(([^()\\]*)\))?|"?([^"<>@,]*?)"?\s*<([A-Za-z0-9._+-]+)>)$`)

// parseAddressField reads a list of addresses, some of which may have no domain. All have to be understood.
func parseAddressField(f entity.Field) ([]*mail.Address, error) {
	value := f.Value()
	if list, ok := smime.ParseAddresses(value); ok {
		return list, nil
	}
	var all []*mail.Address
	for word := range strings.SplitSeq(value, ",") {
		word = strings.TrimSpace(word)
		if list, ok := smime.ParseAddresses(word); ok {
			all = append(all, list...)
		} else if m := localName.FindStringSubmatch(word); m != nil {
			all = append(all, &mail.Address{Name: entity.DecodeWords(cmp.Or(m[2], m[3])), Address: cmp.Or(m[1], m[4])})
		} else {
			return nil, badMessage("%s: %q is not an e-mail address", f.Name, word)
		}
	}
	return all, nil
}
