package smime

import (
	"mime"
	"net/mail"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/smime/entity"
)

// Response is how an answer to a message begins.
type Response struct {
	// Fields are To, Cc, Subject, In-Reply-To and References, as far as there is something to say in them. They come from the
	// protected fields, where there are any (RFC 9788 sections 4.4.4 and 6.2).
	Fields entity.Header
	// Policy is for [HeaderProtector]. It hides outside what it would hide of any message, and what the message that is
	// answered kept from the outside (section 6.1), also after somebody has changed Fields.
	Policy HCP
	// Encrypt says that the message was encrypted: an answer that is not would tell others what was in it.
	Encrypt bool
}

// Reply returns how a reply begins. own are the writer's addresses, who gets no copy; all says that the reply goes to
// everybody whom the message went to, too. otherwise is the policy for what the message did not hide; nil is HCPBaseline.
//
// A reply goes to Reply-To, or else to From; one to the writer's own message, to whom that went. Where an older scheme
// protects From and neither To nor Cc, nobody is taken from those.
func (m *Message) Reply(own []string, all bool, otherwise HCP) Response {
	return m.respond(func(h entity.Header) entity.Header { return reply(h, own, all) }, otherwise)
}

// Forward returns how a message begins that sends this one on: its Subject. otherwise is as with Reply.
func (m *Message) Forward(otherwise HCP) Response {
	return m.respond(func(h entity.Header) entity.Header { return withSubject(nil, "Fwd: ", h) }, otherwise)
}

func (m *Message) respond(answer func(entity.Header) entity.Header, otherwise HCP) Response {
	return Response{Fields: answer(m.answerable()), Policy: m.ResponseHCP(answer, otherwise), Encrypt: m.Encryption() != StatusNone}
}

// answerable are the fields that an answer may rest on: see Fields. Whom it goes to is never taken from outside where the
// sender is inside.
func (m *Message) answerable() entity.Header {
	h := slices.Clone(m.Protection.Fields)
	inside := valuesByName(h, nil)
	for _, f := range m.Header {
		if f.Name == "" || inside[lowerASCII(f.Name)] != nil || !m.Protection.fallsBack(f.Name) ||
			inside["from"] != nil && (f.Is("To") || f.Is("Cc")) {
			continue
		}
		h = append(h, f)
	}
	return h
}

// ResponseHCP is the policy for an answer whose fields a function makes out of the header of this message (ReferenceHCP in RFC
// 9788 section 6.1.1): what was not outside here is not outside there. otherwise is asked about everything else; nil is
// HCPBaseline. Where the function's field holds an address or a name that was hidden here, that alone is left out, in
// whichever field, and Subject, Comments and Keywords stay hidden whatever they are changed to.
func (m *Message) ResponseHCP(answer func(entity.Header) entity.Header, otherwise HCP) HCP {
	if otherwise == nil {
		otherwise = HCPBaseline
	}
	composed := m.Protection.composed()
	if composed == nil {
		return otherwise
	}
	c := confidences{fields: map[string]string{}, mailboxes: map[string]string{}, otherwise: otherwise}
	exposed := answer(composed)
	known := fieldKeys(exposed)
	for _, f := range answer(m.answerable()) {
		if key := fieldKey(f.Name, f.Value()); !known[key] {
			c.fields[key] = exposed.Value(f.Name) // "": there is none
		}
	}
	known = fieldKeys(composed)
	for _, f := range m.Protection.Fields {
		if slices.ContainsFunc(writtenFields, f.Is) && !known[fieldKey(f.Name, f.Value())] && !slices.Contains(c.written, f.Name) {
			c.written = append(c.written, f.Name)
		}
	}
	seen := map[string]string{}
	for _, a := range mailboxes(composed) {
		if key := addressKey(a.Address); seen[key] == "" {
			seen[key] = a.String()
		}
	}
	for _, a := range mailboxes(m.Protection.Fields) {
		if key := addressKey(a.Address); seen[key] != a.String() {
			c.mailboxes[key] = seen[key]
		}
	}
	return c.policy
}

// writtenFields are those whose text a person writes.
var writtenFields = []string{"Subject", "Comments", "Keywords"}

// addressFields are those that hold mailboxes.
var addressFields = []string{"From", "Sender", "Reply-To", "To", "Cc"}

// confidences is what a message hid, for the policy of an answer.
type confidences struct {
	fields    map[string]string // fields of the answer that were hidden, and their values outside; "": none
	written   []string          // names of hidden fields that a person writes
	mailboxes map[string]string // those that were hidden, or whose names were, and how they stood outside; "": not at all
	otherwise HCP
}

// policy is an HCP.
func (c *confidences) policy(name, value string) (string, bool) {
	is := func(n string) bool { return strings.EqualFold(n, name) }
	if slices.ContainsFunc(addressFields, is) {
		return c.addresses(name, value)
	}
	if outside, hidden := c.fields[fieldKey(name, value)]; hidden {
		return outside, outside != ""
	}
	outside, keep := c.otherwise(name, value)
	if keep && outside == value && slices.ContainsFunc(c.written, is) {
		if is("Subject") {
			return hiddenSubject, true
		}
		return "", false
	}
	return outside, keep
}

// addresses leaves out the mailboxes, and the names, that were hidden. A sender is never left out (section 3.1.1).
func (c *confidences) addresses(name, value string) (string, bool) {
	list, ok := ParseAddresses(value)
	if !ok {
		return c.otherwise(name, value)
	}
	var left []string
	changed := false
	for _, a := range list {
		outside, hidden := c.mailboxes[addressKey(a.Address)]
		switch {
		case !hidden:
			left = append(left, a.String())
			continue
		case outside != "":
			left = append(left, outside)
		case strings.EqualFold(name, "From"):
			left = append(left, addrSpecs([]*mail.Address{a}))
		}
		changed = true
	}
	switch {
	case !changed:
		return c.otherwise(name, value)
	case len(left) == 0:
		return "", false
	}
	return c.otherwise(name, strings.Join(left, ", "))
}

// fieldKey is the same for fields that read the same, however they are encoded and folded.
func fieldKey(name, value string) string {
	return lowerASCII(name) + ":" + spaced(entity.DecodeWords(value))
}

func fieldKeys(h entity.Header) map[string]bool {
	keys := map[string]bool{}
	for _, f := range h {
		keys[fieldKey(f.Name, f.Value())] = true
	}
	return keys
}

// addressKey is the same for equivalent addresses (RFC 9788 section 4.4.5).
func addressKey(a string) string {
	local, domain, ok := cutAddress(a)
	if !ok {
		return a
	}
	return lowerASCII(local) + "@" + asciiDomain(domain)
}

// mailboxes are all that a header names.
func mailboxes(h entity.Header) []*mail.Address {
	var list []*mail.Address
	for _, f := range h {
		if slices.ContainsFunc(addressFields, f.Is) {
			some, _ := ParseAddresses(f.Value())
			list = append(list, some...)
		}
	}
	return list
}

// reply makes the fields of a reply to a message with this header (RFC 5322 section 3.6.3).
func reply(h entity.Header, own []string, all bool) entity.Header {
	addresses := func(name string) []*mail.Address { list, _ := addressesOf(h.All(name)); return list }
	isOwn := func(a *mail.Address) bool {
		return slices.ContainsFunc(own, func(o string) bool { return SameAddress(o, a.Address) })
	}
	from, to, cc := addresses("From"), addresses("Reply-To"), slices.Concat(addresses("To"), addresses("Cc"))
	switch {
	case len(from) > 0 && !slices.ContainsFunc(from, func(a *mail.Address) bool { return !isOwn(a) }):
		to, cc = addresses("To"), addresses("Cc")
	case len(to) == 0:
		to = from
	}
	seen := map[string]bool{}
	once := func(list []*mail.Address, mine bool) (kept []*mail.Address) {
		for _, a := range list {
			if key := addressKey(a.Address); !seen[key] && (mine || !isOwn(a)) {
				seen[key] = true
				kept = append(kept, a)
			}
		}
		return kept
	}
	var fields entity.Header
	fields = withField(fields, "To", joinMailboxes(once(to, true)))
	if all {
		fields = withField(fields, "Cc", joinMailboxes(once(cc, false)))
	}
	fields = withSubject(fields, "Re: ", h)
	ids := messageIDs(h, "Message-ID")
	if len(ids) != 1 {
		return fields
	}
	references := messageIDs(h, "References")
	if parents := messageIDs(h, "In-Reply-To"); len(references) == 0 && len(parents) == 1 {
		references = parents
	}
	if more := len(references) - maxReferences; more > 0 { // the first one is where the conversation began
		references = slices.Delete(references, 1, 1+more)
	}
	fields = withField(fields, "In-Reply-To", ids[0])
	return withField(fields, "References", strings.Join(append(references, ids[0]), " "))
}

// Bounds on what an answer says of the messages before it.
const (
	maxReferences  = 50
	maxMessageID   = 250
	maxSubjectText = 16 << 10
)

// messageIDs are the identifiers in the fields of this name, between which there need be no space (RFC 5322 section 3.6.4).
func messageIDs(h entity.Header, name string) []string {
	var ids []string
	for _, f := range h.All(name) {
		for _, id := range strings.Fields(strings.ReplaceAll(f.Value(), "><", "> <")) {
			inside := strings.TrimSuffix(strings.TrimPrefix(id, "<"), ">")
			if len(inside)+2 == len(id) && inside != "" && !strings.ContainsAny(inside, "<>") && len(id) <= maxMessageID {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// withSubject adds the subject of the header, with a prefix that is not there yet.
func withSubject(fields entity.Header, prefix string, h entity.Header) entity.Header {
	f, _ := h.Get("Subject")
	text := ""
	if f.Name != "" {
		text = oneLine(f.Text())
	}
	if len(text) > maxSubjectText {
		text = strings.ToValidUTF8(text[:maxSubjectText], "")
	}
	if bare := strings.TrimSpace(prefix); len(text) < len(bare) || !strings.EqualFold(text[:len(bare)], bare) {
		text = prefix + text
	}
	return withField(fields, "Subject", mime.QEncoding.Encode("utf-8", strings.TrimSpace(text)))
}

// withField adds a field, unless it is empty.
func withField(fields entity.Header, name, value string) entity.Header {
	if value == "" {
		return fields
	}
	f, err := entity.NewField(name, value)
	if err != nil {
		return fields // what cannot be written is nobody's address, and no identifier
	}
	return append(fields, f)
}

func joinMailboxes(list []*mail.Address) string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = a.String()
	}
	return strings.Join(words, ", ")
}
