package smime

import (
	"bufio"
	"fmt"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/htmltext"
)

// DefaultTextLimit is how much of one text part is read for display, in octets.
const DefaultTextLimit = 1 << 20

// Text is the text of a message as it is to be displayed.
type Text struct {
	// Body is valid UTF-8 with line feeds as line ends. It may contain control characters and everything else: what goes
	// to a terminal must be cleaned.
	Body      string
	Parts     []int // indexes in Message.Parts that it was taken from
	FromHTML  bool  // some of it was made from HTML
	Truncated bool  // a part was longer than the limit
	// Notes say what is not in Body and may be shown by others, and what HTML would have done: one note of a code, but of
	// NoteLinkDiffers one for each pair of hosts.
	Notes []entity.Note
}

// The codes of Text.Notes.
const (
	NoteRemoteContent    = "remote-content"    // there are references to what lies elsewhere; nothing was loaded
	NoteHiddenText       = "hidden-text"       // characters that other readers do not show are left out
	NoteLinkDiffers      = "link-differs"      // the text of a link names another host than its target
	NoteConditionalStyle = "conditional-style" // other readers may show another text
	NoteSwallowedText    = "swallowed-text"    // markup or text stands in an address, as if to be sent there
)

// Text returns the text of the message: of alternatives the plain one, else HTML turned into text; of related parts the
// root. Attachments are not text, and nothing is taken from enclosed parts. The lines of flowed text
// (RFC 3676) are put together. limit bounds the octets of one part, and no
// further part is begun beyond it; 0 is DefaultTextLimit.
func (m *Message) Text(limit int64) (Text, error) {
	var t Text
	var b strings.Builder
	if limit <= 0 {
		limit = DefaultTextLimit
	}
	shown := m.displayed()
	var met htmltext.Result
	for i := range m.Parts {
		if !shown[m.Parts[i].node] {
			continue
		}
		if int64(b.Len()) >= limit {
			t.Truncated = true
			break
		}
		text, truncated, err := m.partText(i, limit, &met)
		if err != nil {
			return Text{}, err
		}
		if b.Len() > 0 && text != "" {
			if !strings.HasSuffix(b.String(), "\n") {
				b.WriteByte('\n')
			}
			b.WriteByte('\n')
		}
		b.WriteString(text)
		t.Parts = append(t.Parts, i)
		t.Truncated = t.Truncated || truncated
		t.FromHTML = t.FromHTML || m.Parts[i].Type == "text/html"
	}
	t.Body, t.Notes = b.String(), htmlNotes(met)
	return t, nil
}

// htmlNotes says in words what was met in HTML.
func htmlNotes(met htmltext.Result) []entity.Note {
	var notes []entity.Note
	if met.Swallowed {
		notes = append(notes, entity.Note{Code: NoteSwallowedText, Text: "an address in the text has markup or lines of text in it, or does not end, as if to take the text along to where it leads"})
	}
	if met.Remote > 0 {
		notes = append(notes, entity.Note{Code: NoteRemoteContent, Text: fmt.Sprintf("the text refers to content elsewhere (%s), which was not loaded", counted(met.Remote, "reference"))})
	}
	if met.Hidden > 0 {
		notes = append(notes, entity.Note{Code: NoteHiddenText, Text: fmt.Sprintf("text that others do not see is left out (%s)", counted(met.Hidden, "character"))})
	}
	for _, link := range met.Links {
		notes = append(notes, entity.Note{Code: NoteLinkDiffers, Text: fmt.Sprintf("a link whose text names %s leads to %s", link.Named, link.Target)})
	}
	if met.Conditional {
		notes = append(notes, entity.Note{Code: NoteConditionalStyle, Text: "what is shown of this text depends on the reader: others may see another one"})
	}
	return notes
}

// maxLinks bounds the notes about links.
const maxLinks = 20

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// PartText returns the text of one part, enclosed or not, in the same form; "" for what is no text.
func (m *Message) PartText(i int, limit int64) (text string, truncated bool, err error) {
	if !strings.HasPrefix(m.Parts[i].Type, "text/") {
		return "", false, nil
	}
	return m.partText(i, limit, new(htmltext.Result))
}

// partText is PartText that adds what it meets in HTML to met.
func (m *Message) partText(i int, limit int64, met *htmltext.Result) (string, bool, error) {
	if limit <= 0 {
		limit = DefaultTextLimit
	}
	p := &m.Parts[i]
	text, truncated, err := p.entity.Text(limit)
	if err != nil {
		return "", false, err
	}
	if p.Type == "text/html" {
		o := htmltext.Options{Limit: len(text) + 1<<16} // what was read is converted, and room for line prefixes
		if p.legacy != nil {
			o.DropClass = legacyClass
		}
		r := htmltext.Convert(text, o)
		if strings.TrimSpace(r.Dropped) != "" && !m.repeatsHeader(r.Dropped) {
			r = htmltext.Convert(text, htmltext.Options{Limit: o.Limit})
		}
		met.Hidden, met.Remote = met.Hidden+r.Hidden, met.Remote+r.Remote
		for _, link := range r.Links {
			if !slices.Contains(met.Links, link) && len(met.Links) < maxLinks {
				met.Links = append(met.Links, link)
			}
		}
		met.Conditional, met.Swallowed = met.Conditional || r.Conditional, met.Swallowed || r.Swallowed
		return r.Text, truncated || r.Truncated, nil
	}
	text = lineFeeds(text)
	if p.legacy != nil {
		text = m.dropLegacyDisplay(text)
	}
	if params := p.entity.Type.Params; p.Type == "text/plain" && strings.EqualFold(params.Get("format"), "flowed") {
		text = unflow(text, strings.EqualFold(params.Get("delsp"), "yes"))
	}
	return text, truncated, nil
}

// lineFeeds makes line ends line feeds.
func lineFeeds(text string) string {
	var b strings.Builder
	for rest := text; ; {
		i := strings.IndexByte(rest, '\r')
		if i < 0 {
			if b.Len() == 0 && len(rest) == len(text) {
				return text
			}
			b.WriteString(rest)
			return b.String()
		}
		if b.Cap() == 0 {
			b.Grow(len(text))
		}
		b.WriteString(rest[:i])
		if rest = rest[i:]; !strings.HasPrefix(rest, "\r\n") {
			b.WriteByte('\r')
		}
		rest = rest[1:]
	}
}

// dropLegacyDisplay drops the lines up to the first empty one (RFC 9788 section 4.5.3.2), if they are what they should be: the
// section has no such condition, and anything else would be text that other readers show.
func (m *Message) dropLegacyDisplay(text string) string {
	for rest := text; rest != ""; {
		line, after, _ := strings.Cut(rest, "\n")
		if strings.TrimRight(line, "\r") == "" {
			if m.repeatsHeader(text[:len(text)-len(after)]) {
				return after
			}
			break
		}
		rest = after
	}
	return text
}

// repeatsHeader reports whether a text says nothing else than protected header fields do that readers are shown.
func (m *Message) repeatsHeader(text string) bool {
	if len(text) > maxHeaderCopy {
		return false
	}
	rest := bufio.NewReader(strings.NewReader(strings.TrimSpace(text) + "\n"))
	fields, _, _, err := entity.ReadHeader(rest, 2*maxHeaderCopy)
	if _, more := rest.ReadByte(); err != nil || more == nil || len(fields) == 0 || len(fields) > maxCopied {
		return false // it is no header
	}
	return !slices.ContainsFunc(fields, func(f entity.Field) bool {
		same := func(p entity.Field) bool { // here it may be decoded already
			text := oneLine(p.Text())
			return text == oneLine(f.Text()) || text == oneLine(strings.ToValidUTF8(f.Value(), "\uFFFD"))
		}
		return !slices.ContainsFunc(shownFields, f.Is) || !slices.ContainsFunc(m.Protection.Fields.All(f.Name), same)
	})
}

// Bounds on the text that may repeat header fields.
const (
	maxHeaderCopy = 64 << 10 // octets
	maxCopied     = 32       // fields
)

// headerCopy finds the part that repeats protected header fields for readers that do not know HPProtectedHeaders (section 4.2
// of the draft): the first one of multipart/mixed in an encrypted message, marked as the root is. It counts only if it says
// nothing else than the protected fields do, so that nobody can hide text in this way. 0: there is none.
func (m *Message) headerCopy(encrypted bool) (int, error) {
	if !encrypted || m.Protection.Scheme != HPProtectedHeaders || !m.root.Type.Is("multipart/mixed") || len(m.nodes) < 2 {
		return 0, nil
	}
	e := m.nodes[1].Entity
	if !isProtectedHeaders(e) || !e.Type.Is("text/plain", "text/rfc822-headers") || e.Disposition.Type == "attachment" {
		return 0, nil
	}
	text, truncated, err := e.Text(maxHeaderCopy)
	if err != nil || truncated || !m.repeatsHeader(text) {
		return 0, err
	}
	return 1, nil
}

// spaced makes runs of white space one space.
func spaced(s string) string { return strings.Join(strings.Fields(s), " ") }

// What a leaf offers for display.
const (
	offersNothing = iota
	offersHTML
	offersPlain
)

// displayed tells for each node whether it is a text that is displayed.
func (m *Message) displayed() []bool {
	offers := make([]int, len(m.nodes)) // the best in each subtree
	chosen := make([]int, len(m.nodes)) // the child that is displayed, where only one is; 0: all
	named := m.startParts()
	// Parts come after what is around them, so walking backwards meets the inside first.
	for i := len(m.nodes) - 1; i >= 0; i-- {
		n := m.nodes[i]
		if leaf := m.leafOffers(i); leaf != offersNothing && !m.enclosed(i) {
			offers[i] = leaf
		}
		if n.Parent < 0 || offers[i] == offersNothing {
			continue
		}
		around := m.nodes[n.Parent].Entity
		if root := named[n.Parent]; root > 0 && root != i {
			continue
		}
		// Of equals the first of its siblings wins, which is met last; of HTML alternatives the last, which is the richest
		// (RFC 2046 section 5.1.4).
		better := offers[i] > offers[n.Parent] || offers[i] == offersPlain
		switch {
		case around.Type.Is("multipart/alternative") && better,
			around.Type.Is("multipart/related"): // the first is the root, where none is named
			chosen[n.Parent] = i
		}
		offers[n.Parent] = max(offers[n.Parent], offers[i])
	}
	shown := make([]bool, len(m.nodes))
	visible := make([]bool, len(m.nodes))
	for i, n := range m.nodes {
		visible[i] = n.Parent < 0 || visible[n.Parent] && (chosen[n.Parent] == 0 || chosen[n.Parent] == i)
		shown[i] = visible[i] && m.leafOffers(i) != offersNothing && !m.enclosed(i)
	}
	return shown
}

// startParts tells for each multipart/related which of its parts is named as the root by the parameter start (RFC 2387 section
// 3.2); 0: none that is there. Where it has no text, all texts are displayed.
func (m *Message) startParts() []int {
	named := make([]int, len(m.nodes))
	for i := len(m.nodes) - 1; i > 0; i-- { // of several with this name the first counts
		around := m.nodes[m.nodes[i].Parent].Entity
		if start := contentID(around.Type.Params.Get("start")); start != "" && around.Type.Is("multipart/related") && start == contentID(m.nodes[i].Header.Value("Content-ID")) {
			named[m.nodes[i].Parent] = i
		}
	}
	return named
}

// contentID is a Content-ID, or what names one, without its brackets.
func contentID(value string) string { return strings.Trim(value, "<> ") }

func (m *Message) leafOffers(i int) int {
	switch e := m.nodes[i].Entity; {
	case i > 0 && i == m.copied: // what it says is displayed as the header
		return offersNothing
	case e.Disposition.Type == "attachment":
		return offersNothing
	case e.Type.Is("text/html"):
		return offersHTML
	case e.Type.Is("text/plain"):
		return offersPlain
	}
	return offersNothing
}
