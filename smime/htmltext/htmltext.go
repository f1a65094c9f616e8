package htmltext

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// DefaultLimit is how many octets of HTML are read, and of text written, where Options names no other number.
const DefaultLimit = 1 << 20

// maxLinks bounds Result.Links: who has seen so many needs no more.
const maxLinks = 20

// Options says how to convert. The zero value is ready for use.
type Options struct {
	// Limit bounds the octets of the source that are read, and those of the text. 0 is DefaultLimit.
	Limit int
	// DropClass is the class of div elements that are left out and not counted as hidden, as RFC 9788 section 4.5.3.3
	// asks; "" is none. What they hold is in Result.Dropped.
	DropClass string
}

// Result is the text of a source, and what there is to know about it.
type Result struct {
	Text      string // valid UTF-8, with line feeds between lines and none at the end
	Truncated bool   // the source, or the text, was longer than the limit
	// Dropped is the text in elements of Options.DropClass, line by line.
	Dropped string
	// Hidden counts the characters, white space aside, that other readers do not show: they are not in Text.
	Hidden int
	// Remote counts references to content elsewhere that other readers may load. None was.
	Remote int
	// Links are links whose text names another host than the one where they lead, up to 20 different ones.
	Links []Link
	// Conditional says that it depends on the reader what is shown, so that others may show another text.
	Conditional bool
	// Swallowed says that the value of an attribute which a reader may send elsewhere has markup or lines of text in it,
	// or does not end: as if somebody had put an open quotation mark before text that is not theirs.
	Swallowed bool
}

// Link is a link that seems to lead to one host, and leads to another.
type Link struct {
	Named  string // in its text
	Target string // where it leads
}

// Convert returns the text of an HTML document or fragment. There is no malformed one: what a browser would make of it
// counts.
func Convert(source string, o Options) Result {
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
	c := &converter{dropClass: o.DropClass, layout: layout{limit: o.Limit}}
	if len(source) > o.Limit {
		source, c.result.Truncated = source[:o.Limit], true
	}
	c.sheet = readSheets(source, &c.refs)
	c.stack = append(make([]frame, 0, 16), frame{p: -1, li: -1, dd: -1, list: -1, table: -1, section: -1, row: -1, cell: -1, link: -1, style: initialStyle})
	for _, tag := range [...]atom.Atom{atom.Html, atom.Body} { // which are there whether they are opened or not
		c.stack[0].style.apply(c.sheet.declared(tag, &attributes{}))
	}
	c.convert(source)
	c.popTo(0)
	return c.finish()
}

// converter holds what is known at one place of the document.
type converter struct {
	layout
	result    Result
	sheet     *sheet
	refs      references
	dropClass string
	stack     []frame         // open elements, below them one that stands for the document
	asked     strings.Builder // Result.Dropped
	over      int             // open elements that are not on the stack, because it is full
	attrs     attributes
}

// maxDepth bounds the stack. Browsers stop at 512; newsletters come to a hundred.
const maxDepth = 256

// convert walks over the tokens.
func (c *converter) convert(source string) {
	z := html.NewTokenizer(strings.NewReader(source))
	for {
		switch z.Next() {
		case html.ErrorToken: // the end, as reading a string does not fail
			if raw := z.Raw(); bytes.HasPrefix(raw, []byte("<")) && !c.result.Truncated && openQuote(raw) {
				c.result.Swallowed = true
			}
			return
		case html.TextToken:
			c.text(z.Text())
		case html.StartTagToken:
			c.start(z, false)
		case html.SelfClosingTagToken:
			c.start(z, true)
		case html.EndTagToken:
			name, _ := z.TagName()
			c.end(atom.Lookup(name), name)
		case html.CommentToken:
			c.comment(z.Text())
		case html.DoctypeToken: // it has been looked at before
		}
		if c.full {
			c.result.Truncated = true
			return
		}
	}
}

// openQuote reports whether a tag that does not end has an attribute whose value does not end.
func openQuote(tag []byte) bool {
	for rest := tag; ; {
		at := bytes.IndexByte(rest, '=')
		if at < 0 {
			return false
		}
		rest = bytes.TrimLeft(rest[at+1:], " \t\r\n\f")
		if len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
			continue
		}
		end := bytes.IndexByte(rest[1:], rest[0])
		if end < 0 {
			return true
		}
		rest = rest[end+2:]
	}
}

// comment looks into a comment that some readers take for content: <!--[if mso]> … <![endif]-->.
func (c *converter) comment(text []byte) {
	if condition, content, ok := bytes.Cut(bytes.TrimLeft(text, " \t\r\n"), []byte(">")); ok && bytes.HasPrefix(condition, []byte("[if")) && !c.result.Conditional {
		c.result.Conditional = hasText(string(content))
	}
}

// hasText reports whether there is anything to see in a piece of HTML, but for what is in elements of no text.
func hasText(source string) bool {
	z := html.NewTokenizer(strings.NewReader(source))
	data := 0 // open <xml>, which holds settings
	for {
		switch z.Next() {
		case html.ErrorToken:
			return false
		case html.TextToken:
			if data == 0 && visible(z.Text()) > 0 {
				return true
			}
		case html.StartTagToken:
			name, _ := z.TagName()
			switch string(name) {
			case "script", "style", "title":
				z.Next() // the text in it
			case "xml":
				data++
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == "xml" && data > 0 {
				data--
			}
		case html.SelfClosingTagToken, html.CommentToken, html.DoctypeToken:
		}
	}
}

// text takes text in.
func (c *converter) text(text []byte) {
	if len(bytes.TrimLeft(text, whiteSpace)) > 0 {
		c.endColumns()
	}
	top := &c.stack[len(c.stack)-1]
	style := &top.style
	if top.structure() && len(bytes.TrimLeft(text, whiteSpace)) > 0 {
		style = &c.stack[top.table-1].style // a browser puts text that is in no cell before the table
	}
	switch {
	case style.unseen():
		c.hide(style, text)
	case style.pre:
		if top.fresh {
			text = bytes.TrimPrefix(text, []byte("\n"))
		}
		c.writePre(text, top.row, c.stack)
	default:
		c.write(text, top.row, c.stack)
	}
	top.fresh = false
}

// hide counts text that is left out.
func (c *converter) hide(style *computed, text []byte) {
	switch {
	case style.dropped == dropQuietly:
	case style.dropped == dropAsked:
		if !style.pre {
			text = bytes.ReplaceAll(text, []byte{'\n'}, []byte{' '})
		}
		c.asked.Write(text)
	case style.dropped == dropShown:
		c.result.Conditional = c.result.Conditional || visible(text) > 0
	default:
		c.result.Hidden += visible(text)
	}
}

func (c *converter) finish() Result {
	r := &c.result
	r.Dropped = strings.ToValidUTF8(strings.TrimSpace(c.asked.String()), "\uFFFD")
	r.Text = strings.ToValidUTF8(string(bytes.TrimRight(c.out, " \t\n")), "\uFFFD")
	r.Remote = c.refs.count()
	r.Swallowed = r.Swallowed || c.refs.swallowed
	r.Conditional = r.Conditional || c.refs.embedded || c.sheet.conceals || c.sheet.reveals && r.Hidden > 0
	return *r
}
