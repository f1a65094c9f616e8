package htmltext

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// frame is an open element. Its indexes are places on the stack, each the innermost of its kind that what is in the element
// can close, or -1: so nobody has to search the stack for them.
type frame struct {
	tag     atom.Atom
	name    string // where tag is 0
	element element
	own     *declarations // what is declared for the element itself; nil: nothing
	style   computed
	fosters bool // it stands where only cells may, so that a browser puts it before the table
	quiet   bool // it does not show in the layout
	fresh   bool // nothing was in it yet

	p, li, dd, list, table, section, row, cell, link int
	foreign                                          int // the <svg> or <math> around; 0: none

	prefix      int    // how long the prefix of lines was before it
	opened      int    // what was pending at its start, to be told from what came out since
	openAt      int    // where in layout.open its opening mark is
	open, close string // marks around its text
	number      int    // of a list: of its next item
	step        int
	numbering   byte // as in the type attribute; 0: bullets
	grid        bool // of a table: it holds data, so that an empty cell counts
	line        int  // of a row: on which its text begins; -1: there is none yet
	cells       int  // of a row
	href        string
	textAt      int  // of a link: where its text begins
	image       bool // of a link: a picture is in it
}

// structure reports whether text and most elements directly in it belong before its table.
func (f *frame) structure() bool { return f.element.structure && f.table > 0 }

// start takes a start tag.
func (c *converter) start(z *html.Tokenizer, selfClosing bool) {
	name, more := z.TagName()
	tag := atom.Lookup(name)
	a := &c.attrs
	a.read(z, more, tag, &c.refs)
	top := &c.stack[len(c.stack)-1]
	if top.foreign > 0 {
		z.NextIsNotRawText()
		if !breaksOut[tag] && (tag != atom.Font || !a.hasFontLook) {
			if !selfClosing {
				c.push(tag, name, element{})
			}
			return
		}
		c.popTo(top.foreign)
	}
	e := elements[tag]
	if tag != atom.Col && tag != atom.Template {
		c.endColumns()
	}
	switch tag {
	case atom.Head:
		return
	case atom.Html, atom.Body:
		if c.bottom(tag) {
			c.push(tag, name, element{special: true, scope: true})
		} else if c.sheet.declared(tag, a) != nil { // a browser adds them to those of the first one
			c.result.Conditional = true
		}
		return
	case atom.Noscript: // its content is text only to readers that run scripts
		z.NextIsNotRawText()
	case atom.Svg, atom.Math:
		if selfClosing {
			return
		}
	}
	if !c.place(tag, e) {
		return
	}
	if tag == atom.Div && c.dropClass != "" && slices.Contains(strings.Fields(a.class), c.dropClass) {
		e.dropped = dropAsked
	}
	if e.void {
		c.void(tag)
		return
	}
	c.push(tag, name, e)
}

// endColumns ends a group of columns, which nothing but columns can be in.
func (c *converter) endColumns() {
	if last := len(c.stack) - 1; c.stack[last].tag == atom.Colgroup {
		c.popTo(last)
	}
}

// bottom reports whether <html> or <body> may open here: each once, before all others.
func (c *converter) bottom(tag atom.Atom) bool {
	return len(c.stack) == 1 || tag == atom.Body && len(c.stack) == 2 && c.stack[1].tag == atom.Html
}

// place closes what the start of an element closes, and reports whether the element may stand here at all.
func (c *converter) place(tag atom.Atom, e element) bool {
	top := func() *frame { return &c.stack[len(c.stack)-1] }
	closeIf := func(i int) {
		if i > 0 {
			c.popTo(i)
		}
	}
	switch tag {
	case atom.Caption, atom.Colgroup, atom.Col, atom.Tbody, atom.Thead, atom.Tfoot, atom.Tr, atom.Td, atom.Th:
		return c.placeInTable(tag)
	case atom.Table:
		if top().structure() {
			c.popTo(top().table)
		}
		if c.sheet.doctype { // without one a table may stand in a paragraph
			c.closeParagraph()
		}
	case atom.Li:
		closeIf(top().li)
		c.closeParagraph()
	case atom.Dd, atom.Dt:
		closeIf(top().dd)
		c.closeParagraph()
	case atom.A:
		if top().link > 0 {
			c.closeFormat(tag)
		}
	case atom.Hr:
		c.closeParagraph()
	}
	if e.closesP {
		c.closeParagraph()
	}
	if e.heading && top().element.heading {
		c.popTo(len(c.stack) - 1)
	}
	return true
}

// closeParagraph closes an open paragraph, if a block is about to begin in it. A link that is open goes on behind it, as all
// that formats does in a browser.
func (c *converter) closeParagraph() {
	top := &c.stack[len(c.stack)-1]
	if top.p < 0 {
		return
	}
	if top.link < top.p {
		c.popTo(top.p)
		return
	}
	link := c.stack[top.link]
	saved := c.attrs
	c.popTo(top.p)
	c.attrs = attributes{href: link.href, hasHref: link.href != ""}
	if c.push(atom.A, nil, link.element); c.over == 0 {
		again := len(c.stack) - 1
		c.stack[again].own = link.own
		c.restyle(&c.stack[again], again)
	}
	c.attrs = saved
}

// placeInTable is place for the parts of tables, which are nothing elsewhere.
func (c *converter) placeInTable(tag atom.Atom) bool {
	f := c.stack[len(c.stack)-1]
	if f.table < 0 {
		return false
	}
	base := f.table
	switch tag {
	case atom.Tr:
		base = max(f.table, f.section)
	case atom.Td, atom.Th:
		if base = max(f.table, f.section); f.row > 0 {
			base = f.row
		}
	}
	c.popTo(base + 1)
	implied := func(tag atom.Atom) { // an element that was not opened
		saved := c.attrs
		c.attrs = attributes{}
		c.push(tag, nil, elements[tag])
		c.attrs = saved
	}
	cell := tag == atom.Td || tag == atom.Th
	if (cell || tag == atom.Tr) && base == f.table && c.sheet.rules[selector{tag: "tbody"}] != nil {
		implied(atom.Tbody)
	}
	if cell && c.stack[base].tag != atom.Tr {
		implied(atom.Tr)
	}
	return true
}

// void takes an element that has no content.
func (c *converter) void(tag atom.Atom) {
	top := &c.stack[len(c.stack)-1]
	switch tag {
	case atom.Br:
		if !top.style.unseen() {
			c.lineBreak()
		}
		c.breakAsked(&top.style)
	case atom.Hr:
		if f := c.derive(tag, elements[tag]); !f.style.unseen() {
			c.breakLine(1)
			c.literal("----------", top.row, c.stack)
			c.breakLine(1)
		}
	case atom.Input: // a button, or a field with something in it
		f := c.derive(tag, elements[tag])
		switch strings.ToLower(c.attrs.kind) {
		case "hidden", "checkbox", "radio", "file", "range", "color":
		default:
			c.result.Conditional = c.result.Conditional || !f.style.unseen() && visible([]byte(c.attrs.value+c.attrs.placeholder)) > 0
		}
	case atom.Img, atom.Image:
		f := c.derive(tag, elements[tag])
		if f.style.unseen() {
			c.hide(&f.style, []byte(c.attrs.alt))
			return
		}
		if top.link > 0 {
			c.stack[top.link].image = true
		}
		if alt := strings.Join(strings.Fields(c.attrs.alt), " "); alt != "" {
			c.literal("["+alt+"]", top.row, c.stack)
		}
	}
}

// derive is the frame of an element at the top of the stack, as far as its style goes.
func (c *converter) derive(tag atom.Atom, e element) frame {
	f := frame{tag: tag, element: e}
	parent := &c.stack[len(c.stack)-1]
	f.fosters = parent.structure() && !e.structure && tag != atom.Td && tag != atom.Th && tag != atom.Caption && tag != atom.Colgroup
	f.own = c.sheet.declared(tag, &c.attrs)
	c.restyle(&f, len(c.stack))
	return f
}

// restyle computes the style of what stands at place i of the stack.
func (c *converter) restyle(f *frame, i int) {
	parent := &c.stack[i-1]
	style := &parent.style
	if f.fosters {
		style = &c.stack[parent.table-1].style
	}
	f.style = *style
	f.style.apply(f.own)
	if d := f.element.dropped; d != dropNot && f.style.dropped != dropQuietly {
		f.style.dropped = d
	}
	switch f.tag {
	case atom.Pre, atom.Listing, atom.Xmp, atom.Plaintext:
		f.style.pre = true
	}
}

// push opens an element.
func (c *converter) push(tag atom.Atom, name []byte, e element) {
	if len(c.stack) == maxDepth {
		c.over++
		c.result.Conditional = c.result.Conditional || e.dropped != dropNot || c.sheet.declared(tag, &c.attrs) != nil
		return
	}
	i, a := len(c.stack), &c.attrs
	parent := &c.stack[i-1]
	f := c.derive(tag, e)
	if tag == 0 {
		f.name = string(name)
	}
	f.p, f.li, f.dd, f.list, f.table, f.section, f.row, f.cell = parent.p, parent.li, parent.dd, parent.list, parent.table, parent.section, parent.row, parent.cell
	f.link, f.foreign, f.prefix, f.line, f.fresh = parent.link, parent.foreign, len(c.prefix), -1, true
	f.quiet = f.style.hidden || f.style.dropped != dropNot
	if e.scope {
		f.p, f.link = -1, -1
	}
	if e.special && tag != atom.Address && tag != atom.Div && tag != atom.P {
		f.li, f.dd = -1, -1
	}
	if f.style.reorders || f.own != nil && f.own.unclear {
		c.result.Conditional = true
	}
	c.stack = append(c.stack, f)
	top := &c.stack[i]
	if e.block > 0 {
		c.breakAsked(&top.style)
	}
	if !top.quiet && e.block > 0 {
		c.breakLine(c.margin(top))
	}
	c.opens(top, i, a)
}

// margin is how many line ends are around a block: lists in lists stand close.
func (c *converter) margin(f *frame) int {
	switch f.tag {
	case atom.Ul, atom.Ol, atom.Menu, atom.Dir:
		if c.stack[len(c.stack)-2].list > 0 {
			return 1
		}
	}
	return f.element.block
}

// opens does what is special to an element.
func (c *converter) opens(f *frame, i int, a *attributes) {
	switch f.tag {
	case atom.P:
		f.p = i
	case atom.Button:
		f.p = -1
	case atom.Svg, atom.Math:
		f.foreign = i
	case atom.A:
		f.link, f.textAt = i, -1
		if a.hasHref {
			f.href = a.href
		}
	case atom.Bdo:
		c.result.Conditional = c.result.Conditional || strings.EqualFold(a.dir, "rtl")
	case atom.S, atom.Strike, atom.Del:
		f.open, f.close = "~~", "~~"
	case atom.Q:
		f.open, f.close = "“", "”"
	case atom.Sup:
		f.open = "^"
	case atom.Blockquote:
		c.indent(f, "> ", "")
	case atom.Dt:
		f.dd = i
	case atom.Dd:
		f.dd = i
		c.indent(f, "  ", "")
	case atom.Ul, atom.Ol, atom.Menu, atom.Dir:
		f.list, f.li = i, -1
		c.numbers(f, a)
	case atom.Li:
		f.li = i
		marker := "- "
		if f.list > 0 {
			marker = c.stack[f.list].nextMarker(a)
		}
		c.indent(f, strings.Repeat(" ", len(marker)), marker)
	case atom.Table:
		f.table, f.section, f.row, f.cell = i, -1, -1, -1
		f.grid = a.border != "" && a.border != "0" || a.role == "table" || a.role == "grid"
	case atom.Tbody, atom.Thead, atom.Tfoot:
		f.section, f.row, f.cell = i, -1, -1
		if f.tag == atom.Thead {
			c.stack[f.table].grid = true
		}
	case atom.Tr:
		f.row, f.cell = i, -1
	case atom.Caption:
		f.cell = i
	case atom.Td, atom.Th:
		f.cell = i
		if f.tag == atom.Th {
			c.stack[f.table].grid = true
		}
		if row := &c.stack[f.row]; !f.quiet {
			if row.cells++; row.cells > 1 {
				c.nextCell(row.line, c.stack[f.table].grid)
			}
			c.inCell = true
		}
	}
	if f.own != nil && strings.Contains(f.own.values[propLineThrough].text, "line-through") {
		f.open, f.close = "~~", "~~"
	}
	if f.quiet {
		f.open, f.close = "", ""
	}
	if f.open != "" {
		f.opened, f.openAt = c.begun, len(c.open)
		c.open = append(c.open, f.open...)
	}
	if f.link == i && f.tag == atom.A {
		f.textAt, f.opened = len(c.out), c.begun
	}
}

// indent puts a prefix before the lines of an element, as deep as lines stay readable.
func (c *converter) indent(f *frame, prefix, marker string) {
	if f.quiet {
		return
	}
	if len(c.prefix)+len(prefix) > maxPrefix {
		prefix = ""
	}
	c.prefix = append(c.prefix, prefix...)
	c.marker = append(c.marker, marker...)
}

// end takes an end tag.
func (c *converter) end(tag atom.Atom, name []byte) {
	if c.over > 0 {
		c.over--
		return
	}
	top := &c.stack[len(c.stack)-1]
	if top.foreign > 0 {
		for i := len(c.stack) - 1; i >= top.foreign; i-- {
			if c.stack[i].is(tag, name) {
				c.popTo(i)
				return
			}
		}
	}
	e, at := elements[tag], -1
	switch tag {
	case atom.Html, atom.Body, atom.Head: // what follows belongs to the body all the same
		return
	case atom.Br:
		c.void(tag)
		return
	case atom.P:
		at = top.p
	case atom.Li:
		at = top.li
	case atom.Table:
		at = top.table
	case atom.Tr:
		at = top.row
	case atom.Tbody, atom.Thead, atom.Tfoot:
		at = top.section
	default:
		if e.formats {
			c.closeFormat(tag)
			return
		}
		at = c.find(tag, name, e)
	}
	if at > 0 {
		c.popTo(at)
	}
}

// is reports whether a tag is of this name.
func (f *frame) is(tag atom.Atom, name []byte) bool {
	return f.tag == tag && (tag != 0 || f.name == string(name))
}

// find looks for the element that an end tag closes, or returns -1.
func (c *converter) find(tag atom.Atom, name []byte, e element) int {
	for i := len(c.stack) - 1; i > 0; i-- {
		f := &c.stack[i]
		switch {
		case f.is(tag, name), e.heading && f.element.heading:
			return i
		case f.element.scope, f.element.special && !e.special:
			return -1
		}
	}
	return -1
}

// closeFormat closes an element such as <b>. Blocks that began in it stay open, and are no longer in it.
func (c *converter) closeFormat(tag atom.Atom) {
	at, blocks := -1, false
	for i := len(c.stack) - 1; i > 0 && at < 0; i-- {
		f := &c.stack[i]
		switch {
		case f.tag == tag:
			at = i
		case f.element.scope:
			return
		}
		blocks = blocks || f.element.special
	}
	switch {
	case at < 0:
	case !blocks:
		c.popTo(at)
	default:
		f := &c.stack[at]
		c.closes(f)
		f.tag, f.name, f.own, f.element, f.open, f.close = 0, "", nil, element{}, "", ""
		around := c.stack[at-1].link
		for i := at; i < len(c.stack); i++ {
			c.restyle(&c.stack[i], i)
			if c.stack[i].link == at {
				c.stack[i].link = around
			}
		}
	}
}

// popTo closes the elements from place i of the stack on.
func (c *converter) popTo(i int) {
	i = max(i, 1)
	if i < len(c.stack) {
		c.over = 0
	}
	for len(c.stack) > i {
		last := len(c.stack) - 1
		f := &c.stack[last]
		c.closes(f)
		if f.element.block > 0 {
			c.breakAsked(&f.style)
		}
		if !f.quiet {
			if f.tag == atom.Tr || f.tag == atom.Li {
				c.tighten()
			}
			if f.tag == atom.Tr {
				c.seps, c.inCell = 0, false
				if around := c.stack[f.table-1].row; around > 0 && c.stack[around].line < 0 {
					c.stack[around].line = f.line
				}
			}
			if len(c.prefix) > f.prefix {
				c.prefix, c.marker = c.prefix[:f.prefix], c.marker[:0]
			}
			if f.element.block > 0 {
				c.breakLine(c.margin(f))
			}
			c.low = min(c.low, len(c.prefix))
		}
		c.stack = c.stack[:last]
	}
}

// breakAsked begins a line in what is dropped because that was asked for.
func (c *converter) breakAsked(style *computed) {
	if style.dropped == dropAsked {
		c.asked.WriteByte('\n')
	}
}

// closes writes what stands behind an element.
func (c *converter) closes(f *frame) {
	if f.tag == atom.A && f.href != "" && !f.style.unseen() {
		c.closeLink(f)
	}
	if f.open == "" {
		return
	}
	if f.opened == c.begun { // nothing came out
		c.open = c.open[:min(f.openAt, len(c.open))]
		return
	}
	c.out = append(c.out, f.close...)
}
