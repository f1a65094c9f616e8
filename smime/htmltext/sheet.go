package htmltext

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Bounds on style sheets. Those of newsletters come to some hundreds of rules.
const (
	maxRules = 10_000 // selectors that are remembered
	maxNest  = 16     // blocks in blocks
)

// selector is one of the simple kinds: its fields are what an element must have, "" anything.
type selector struct{ tag, class, id string }

// specificity orders rules that say different things of one element (CSS Selectors Level 4 section 17).
func (s selector) specificity() int {
	n := 0
	if s.id != "" {
		n += 100
	}
	if s.class != "" {
		n += 10
	}
	if s.tag != "" && s.tag != "*" {
		n++
	}
	return n
}

// sheet is what the style sheets of a document say, as far as it decides on what is seen.
type sheet struct {
	rules   map[selector]*declarations
	order   int
	doctype bool // there is one: names of classes are not folded then
	// conceals says that a rule which is not evaluated hides something, or brings text along; reveals, that one shows it.
	conceals, reveals bool
	// colors says that such a rule sets a background: then nobody knows which text cannot be read on it.
	colors bool
}

// readSheets reads the <style> elements of a document, wherever they are: they count for all of it.
func readSheets(source string, refs *references) *sheet {
	s := &sheet{}
	z := html.NewTokenizer(strings.NewReader(source))
	if !containsFold(source, "<style") && !containsFold(source, "<base") {
		// Nothing but a doctype to look for, which stands first.
		for range 8 {
			switch z.Next() {
			case html.DoctypeToken:
				s.doctype = true
				return s
			case html.TextToken, html.CommentToken:
			case html.ErrorToken, html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
				return s
			}
		}
		return s
	}
	for {
		switch z.Next() {
		case html.ErrorToken:
			return s
		case html.DoctypeToken:
			s.doctype = true
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			switch atom.Lookup(name) {
			case atom.Style:
				conditional := false
				for more {
					var key, value []byte
					key, value, more = z.TagAttr()
					if string(key) == "media" {
						media := strings.ToLower(strings.TrimSpace(string(value)))
						conditional = media != "" && media != "all"
					}
				}
				if z.Next() == html.TextToken {
					s.read(string(z.Text()), conditional, refs)
				}
			case atom.Noscript:
				z.NextIsNotRawText()
			case atom.Base:
				for more {
					var key, value []byte
					key, value, more = z.TagAttr()
					if string(key) == "href" {
						refs.base = refs.base || isRemote(string(value))
					}
				}
			}
		case html.TextToken, html.EndTagToken, html.CommentToken:
		}
	}
}

// containsFold reports whether text has what, in whatever case; what is ASCII in lower case, and begins with "<".
func containsFold(text, what string) bool {
	for {
		i := strings.IndexByte(text, what[0])
		if i < 0 {
			return false
		}
		text = text[i:]
		if len(text) >= len(what) && strings.EqualFold(text[:len(what)], what) {
			return true
		}
		text = text[1:]
	}
}

// context is an open block of a style sheet.
type context struct {
	kind        contextKind
	selectors   string
	conditional bool
	declared    *declarations
	content     bool // text is put before or behind elements
}

type contextKind uint8

const (
	ofRules contextKind = iota
	ofDeclarations
	ofNothing // key frames, fonts, pages
)

// read reads a style sheet (CSS Syntax Level 3), tolerantly: what is not understood is passed over.
func (s *sheet) read(text string, conditional bool, refs *references) {
	refs.css(text)
	stack := append(make([]context, 0, maxNest), context{conditional: conditional})
	scan := scanner{text: text}
	deeper := 0
	for {
		piece, end := scan.next()
		top := &stack[len(stack)-1]
		switch end {
		case '{':
			if deeper > 0 || len(stack) == maxNest {
				deeper++
				continue
			}
			stack = append(stack, top.inner(piece))
		case ';':
			if deeper == 0 {
				top.declare(piece, s.order)
			}
		default: // '}', or the end, which closes all
			if deeper > 0 && end == '}' {
				deeper--
				continue
			}
			if deeper == 0 {
				top.declare(piece, s.order)
			}
			if top.kind == ofDeclarations {
				s.order++
				s.add(top)
			}
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
			if end == 0 {
				if len(stack) > 1 {
					deeper = 0
					continue
				}
				return
			}
		}
	}
}

// inner is the context of a block behind a prelude.
func (c *context) inner(prelude string) context {
	prelude = strings.TrimSpace(prelude)
	for trimmed := true; trimmed; { // what once hid style sheets from old browsers
		prelude, trimmed = strings.CutPrefix(prelude, "<!--")
		if !trimmed {
			prelude, trimmed = strings.CutPrefix(prelude, "-->")
		}
		prelude = strings.TrimSpace(prelude)
	}
	inner := context{kind: ofDeclarations, selectors: prelude, conditional: c.conditional}
	switch {
	case c.kind == ofNothing:
		inner.kind = ofNothing
	case !strings.HasPrefix(prelude, "@"):
		if c.kind == ofDeclarations { // nested rules have a selector of two parts
			inner.conditional = true
		}
	default:
		name, _, _ := strings.Cut(prelude[1:], " ")
		name, _, _ = strings.Cut(name, "(")
		name = strings.ToLower(name)
		switch {
		case name == "font-face", name == "page", name == "property", name == "counter-style", strings.HasSuffix(name, "keyframes"):
			inner.kind = ofNothing
		default: // @media and the like: whether they apply is not evaluated
			inner.kind, inner.conditional = ofRules, true
			if c.kind == ofDeclarations {
				inner.kind = ofDeclarations
			}
		}
	}
	return inner
}

// declare takes a piece of a block as a declaration.
func (c *context) declare(piece string, order int) {
	if c.kind != ofDeclarations {
		return
	}
	property, value, ok := strings.Cut(piece, ":")
	if !ok {
		return
	}
	property = strings.ToLower(strings.TrimSpace(unescape(property)))
	if property == "content" {
		v := strings.TrimSpace(value)
		c.content = c.content || strings.Trim(v, `"' `) != "" && !strings.EqualFold(v, "none") && !strings.EqualFold(v, "normal")
	}
	if propertyOf(property) == propNone {
		return
	}
	if c.declared == nil {
		c.declared = &declarations{}
	}
	c.declared.set(property, value, 0, order)
}

// add takes the declarations of a block in, for each of its selectors.
func (s *sheet) add(c *context) {
	if c.content {
		s.conceals = true
	}
	if c.declared == nil || !c.declared.any {
		return
	}
	noted := false
	for rest, more := c.selectors, true; more; {
		var one string
		one, rest, more = strings.Cut(rest, ",")
		sel, simple := parseSelector(one, !s.doctype)
		if !simple || c.conditional || len(s.rules) >= maxRules {
			if !noted {
				s.unevaluated(c.declared)
			}
			noted = true
			continue
		}
		if s.rules == nil {
			s.rules = make(map[selector]*declarations)
		}
		if known := s.rules[sel]; known != nil {
			known.merge(c.declared, sel.specificity())
		} else {
			d := &declarations{}
			d.merge(c.declared, sel.specificity())
			s.rules[sel] = d
		}
	}
}

// unevaluated notes what declarations do of which nobody knows whether they apply.
func (s *sheet) unevaluated(d *declarations) {
	alone := initialStyle
	alone.background.known = false // white letters are read on what is dark
	alone.apply(d)
	s.conceals = s.conceals || alone.unseen() || alone.reorders || d.unclear
	s.reveals = s.reveals || d.reveals()
	s.colors = s.colors || d.has(propBackground) || d.has(propBackgroundColor)
}

// parseSelector reads a selector of one part, made of a tag, a class or an identifier.
func parseSelector(text string, fold bool) (s selector, simple bool) {
	text = strings.TrimSpace(text)
	if strings.Contains(text, `\`) || text == "" {
		return s, false
	}
	end := strings.IndexAny(text, ".#")
	if end < 0 {
		end = len(text)
	}
	s.tag = strings.ToLower(text[:end])
	if s.tag != "*" && !isName(s.tag, true) {
		return s, false
	}
	if end == len(text) {
		return s, s.tag != ""
	}
	name := text[end+1:]
	if !isName(name, false) {
		return s, false
	}
	if fold {
		name = strings.ToLower(name)
	}
	if s.tag == "*" {
		s.tag = ""
	}
	if text[end] == '.' {
		s.class = name
	} else {
		s.id = name
	}
	return s, true
}

func isName(s string, mayBeEmpty bool) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c >= 0x80) {
			return false
		}
	}
	return s != "" || mayBeEmpty
}

// declared is what style sheets and attributes declare for an element; nil is nothing.
func (s *sheet) declared(tag atom.Atom, a *attributes) *declarations {
	var d *declarations
	all := func() *declarations {
		if d == nil {
			d = &declarations{}
		}
		return d
	}
	// Presentational hints come before all rules (CSS Cascade Level 4 section 6.3).
	if a.hidden || tag == atom.Dialog && !a.open {
		all().set("display", "none", -1, 0)
	}
	if a.color != "" && (tag == atom.Font || tag == atom.Body) {
		all().set("color", legacyColor(a.color), -1, 0)
	}
	if a.background != "" {
		all().set("background-color", legacyColor(a.background), -1, 0)
	}
	if tag == atom.A && a.hasHref {
		all().set("color", "#0000ee", -1, 0)
	}
	if s.colors {
		all().unsure = true
	}
	if len(s.rules) > 0 {
		class, id := a.class, a.id
		if !s.doctype {
			class, id = strings.ToLower(class), strings.ToLower(id)
		}
		name := tag.String()
		match := func(sel selector) {
			if found := s.rules[sel]; found != nil {
				all().merge(found, sel.specificity())
			}
		}
		match(selector{tag: "*"})
		if name != "" {
			match(selector{tag: name})
		}
		for _, class := range strings.Fields(class) {
			match(selector{class: class})
			if name != "" {
				match(selector{tag: name, class: class})
			}
		}
		if id != "" {
			match(selector{id: id})
			if name != "" {
				match(selector{tag: name, id: id})
			}
		}
	}
	if a.style != "" {
		scan := scanner{text: a.style}
		for end := byte(';'); end != 0; {
			var piece string
			piece, end = scan.next()
			if property, value, ok := strings.Cut(piece, ":"); ok {
				if property = strings.ToLower(strings.TrimSpace(unescape(property))); propertyOf(property) != propNone {
					all().set(property, value, 1000, 0)
				}
			}
		}
	}
	return d
}

// scanner cuts CSS at semicolons and braces, heeding strings, comments and parentheses.
type scanner struct {
	text string
	at   int
}

// next returns the text up to the next semicolon or brace, and which it is; 0 is the end.
func (s *scanner) next() (piece string, end byte) {
	start, parens, commented := s.at, 0, false
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case '\\':
			s.at++
		case '"', '\'':
			s.skipString(c)
		case '/':
			if strings.HasPrefix(s.text[s.at:], "/*") {
				commented = true
				n := strings.Index(s.text[s.at+2:], "*/")
				if n < 0 {
					s.at = len(s.text)
				} else {
					s.at += n + 3
				}
			}
		case '(':
			parens++
		case ')':
			parens = max(parens-1, 0)
		case ';':
			if parens == 0 {
				piece = s.text[start:s.at]
				s.at++
				return withoutComments(piece, commented), c
			}
		case '{', '}':
			piece = s.text[start:s.at]
			s.at++
			return withoutComments(piece, commented), c
		}
		s.at++
	}
	s.at = len(s.text)
	return withoutComments(s.text[start:], commented), 0
}

// skipString stops at the end of a string: the same quotation mark, or the end of the line, where it was not closed.
func (s *scanner) skipString(quote byte) {
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case quote, '\n':
			return
		}
	}
}

func withoutComments(piece string, commented bool) string {
	if !commented {
		return piece
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(piece, "/*")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		_, piece, _ = strings.Cut(rest, "*/")
	}
}

// unescape undoes the escapes of CSS (CSS Syntax Level 3 section 4.3.7).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		value, digits := rune(0), 0
		for ; digits < 6 && i < len(s); digits++ {
			d, ok := hexDigit(s[i])
			if !ok {
				break
			}
			value = value<<4 | rune(d)
			i++
		}
		switch {
		case digits == 0:
			b.WriteByte(s[i])
			continue
		case value == 0 || value > 0x10ffff:
			value = '\uFFFD'
		}
		b.WriteRune(value)
		if i == len(s) || s[i] != ' ' && s[i] != '\n' && s[i] != '\t' { // one white space belongs to the escape
			i--
		}
	}
	return b.String()
}

func hexDigit(c byte) (int, bool) {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0'), true
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10, true
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10, true
	}
	return 0, false
}
