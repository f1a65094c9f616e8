package smime

import (
	"strings"

	"github.com/k3a/html2text"
	"github.com/sealmail/sealmail/smime/entity"
	"golang.org/x/net/html"
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
}

// Text returns the text of the message: of alternatives the plain one, else HTML turned into text; of related parts the
// first. Attachments are not text, and nothing is taken from enclosed parts. limit bounds the octets of one part, and no
// further part is begun beyond it; 0 is DefaultTextLimit.
func (m *Message) Text(limit int64) (Text, error) {
	var t Text
	var b strings.Builder
	if limit <= 0 {
		limit = DefaultTextLimit
	}
	shown := m.displayed()
	for i := range m.Parts {
		if !shown[m.Parts[i].node] {
			continue
		}
		if int64(b.Len()) >= limit {
			t.Truncated = true
			break
		}
		text, truncated, err := m.partText(i, limit)
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
	t.Body = b.String()
	return t, nil
}

// PartText returns the text of one part, enclosed or not, in the same form; "" for what is no text.
func (m *Message) PartText(i int, limit int64) (text string, truncated bool, err error) {
	if !strings.HasPrefix(m.Parts[i].Type, "text/") {
		return "", false, nil
	}
	return m.partText(i, limit)
}

func (m *Message) partText(i int, limit int64) (string, bool, error) {
	if limit <= 0 {
		limit = DefaultTextLimit
	}
	p := &m.Parts[i]
	text, truncated, err := p.entity.Text(limit)
	if err != nil {
		return "", false, err
	}
	// RFC 9788 section 4.5.3: only where the message is encrypted, and never where the parameter is elsewhere.
	legacy := p.Encrypted && !p.Enclosed && m.Protection.Scheme == HPCipher && p.entity.Type.Params.Get("hp-legacy-display") == "1"
	if p.Type == "text/html" {
		return htmlText(text, legacy), truncated, nil
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if legacy {
		text = dropLegacyDisplay(text)
	}
	return text, truncated, nil
}

// dropLegacyDisplay drops the lines up to the first empty one (RFC 9788 section 4.5.3.2).
func dropLegacyDisplay(text string) string {
	for rest := text; rest != ""; {
		line, after, _ := strings.Cut(rest, "\n")
		if strings.TrimRight(line, "\r") == "" {
			return after
		}
		rest = after
	}
	return text
}

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
	// Parts come after what is around them, so walking backwards meets the inside first.
	for i := len(m.nodes) - 1; i >= 0; i-- {
		n := m.nodes[i]
		if leaf := leafOffers(n.Entity); leaf != offersNothing && !m.enclosed(i) {
			offers[i] = leaf
		}
		if n.Parent < 0 || offers[i] == offersNothing {
			continue
		}
		around := m.nodes[n.Parent].Entity
		// Of equals the first of its siblings wins, which is met last; of HTML alternatives the last, which is the richest
		// (RFC 2046 section 5.1.4).
		better := offers[i] > offers[n.Parent] || offers[i] == offersPlain
		switch {
		case around.Type.Is("multipart/alternative") && better,
			around.Type.Is("multipart/related"): // the first is the root (RFC 2387 section 3.2)
			chosen[n.Parent] = i
		}
		offers[n.Parent] = max(offers[n.Parent], offers[i])
	}
	shown := make([]bool, len(m.nodes))
	visible := make([]bool, len(m.nodes))
	for i, n := range m.nodes {
		visible[i] = n.Parent < 0 || visible[n.Parent] && (chosen[n.Parent] == 0 || chosen[n.Parent] == i)
		shown[i] = visible[i] && leafOffers(n.Entity) != offersNothing && !m.enclosed(i)
	}
	return shown
}

func leafOffers(e *entity.Entity) int {
	switch {
	case e.Disposition.Type == "attachment":
		return offersNothing
	case e.Type.Is("text/html"):
		return offersHTML
	case e.Type.Is("text/plain"):
		return offersPlain
	}
	return offersNothing
}

// dropped are HTML elements whose content is not text.
var dropped = map[string]bool{
	"script": true, "style": true, "head": true, "title": true, "template": true, "noscript": true, "iframe": true,
	"object": true, "svg": true, "math": true, "select": true, "textarea": true, "button": true,
}

// legacyClass marks what repeats header fields for readers that do not know header protection (RFC 9788 section 5.2.3).
const legacyClass = "header-protection-legacy-display"

// htmlText turns HTML into text. A real tokenizer goes first: it takes out what is not text, and leaves to the converter
// nothing but bare tags that it cannot misread.
func htmlText(source string, legacy bool) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(source))
	skip, depth := "", 0 // the element that is being dropped, and how often it is nested in itself
	link := ""           // where the open link leads
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		token := z.Token()
		name := token.Data
		if skip != "" {
			switch {
			case kind == html.StartTagToken && name == skip:
				depth++
			case kind == html.EndTagToken && name == skip:
				if depth--; depth == 0 {
					skip = ""
				}
			case name == "body" && skip == "head": // a head that nobody closed
				skip, depth = "", 0
			}
			continue
		}
		switch kind {
		case html.TextToken:
			b.WriteString(html.EscapeString(name))
		case html.StartTagToken, html.SelfClosingTagToken:
			if kind == html.StartTagToken && (dropped[name] || legacy && name == "div" && hasClass(token, legacyClass)) {
				skip, depth = name, 1
				continue
			}
			if name == "a" {
				link = target(token)
			}
			writeTag(&b, name, token)
		case html.EndTagToken:
			if name == "a" && link != "" {
				// Where a link leads is said, because its text may say something else.
				b.WriteString(" &lt;" + html.EscapeString(link) + "&gt;")
				link = ""
			}
			if name == "p" || name == "ul" || name == "ol" || isHeading(name) {
				b.WriteString("</" + name + ">")
			} else if block[name] {
				b.WriteString("<br>")
			}
		}
	}
	text := html2text.HTML2TextWithOptions(b.String(), html2text.WithUnixLineBreaks(), html2text.WithListSupport())
	return strings.ToValidUTF8(text, "\uFFFD")
}

// block are elements that end a line.
var block = map[string]bool{
	"div": true, "tr": true, "blockquote": true, "pre": true, "table": true, "section": true, "article": true,
	"header": true, "footer": true, "dt": true, "dd": true, "address": true,
}

func writeTag(b *strings.Builder, name string, token html.Token) {
	switch {
	case name == "br", name == "p", name == "li", name == "ul", name == "ol", isHeading(name):
		b.WriteString("<" + name + ">")
	case name == "hr":
		b.WriteString("<br>----<br>")
	case name == "td", name == "th":
		b.WriteByte(' ')
	case name == "img":
		for _, a := range token.Attr {
			if a.Key == "alt" && a.Val != "" {
				b.WriteString("[" + html.EscapeString(a.Val) + "]")
			}
		}
	}
}

// target returns where a link leads, for the kinds of links that a reader may want to follow.
func target(token html.Token) string {
	for _, a := range token.Attr {
		if a.Key == "href" {
			href := strings.TrimSpace(a.Val)
			for _, scheme := range []string{"http:", "https:", "mailto:"} {
				if len(href) > len(scheme) && strings.EqualFold(href[:len(scheme)], scheme) {
					return href
				}
			}
		}
	}
	return ""
}

func isHeading(name string) bool {
	return len(name) == 2 && name[0] == 'h' && '1' <= name[1] && name[1] <= '6'
}

func hasClass(token html.Token, class string) bool {
	for _, a := range token.Attr {
		if a.Key == "class" {
			for _, c := range strings.Fields(a.Val) {
				if c == class {
					return true
				}
			}
		}
	}
	return false
}
