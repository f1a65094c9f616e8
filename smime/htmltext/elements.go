package htmltext

import "golang.org/x/net/html/atom"

// element says how a browser treats a kind of element (HTML Living Standard sections 13.2 and 15.3).
type element struct {
	block     int  // it stands on lines of its own; 2: with empty lines around it
	void      bool // it has no content and no end tag
	closesP   bool // its start ends a paragraph
	special   bool // end tags of other names do not reach through it
	scope     bool // end tags of blocks do not either
	formats   bool // its end tag closes it alone, and not the blocks that began in it
	heading   bool
	dropped   drop
	structure bool // of a table: text in it belongs before the table
}

// drop says that the content of an element is not text, and what is known of it.
type drop uint8

const (
	dropNot     drop = iota
	dropQuietly      // no reader shows it
	dropAsked        // by Options.DropClass
	dropShown        // other readers may show it
)

var (
	block     = element{block: 1, closesP: true, special: true}
	paragraph = element{block: 2, closesP: true, special: true}
	heading   = element{block: 2, closesP: true, special: true, heading: true}
	format    = element{formats: true}
	void      = element{void: true, special: true}
	raw       = element{dropped: dropQuietly, special: true}
	replaced  = element{dropped: dropShown, special: true}
)

// elements are those that are not treated as <span> is.
var elements = map[atom.Atom]element{
	atom.Address: block, atom.Article: block, atom.Aside: block, atom.Center: block, atom.Details: block, atom.Dialog: block,
	atom.Div: block, atom.Fieldset: block, atom.Figcaption: block, atom.Figure: block, atom.Footer: block, atom.Form: block,
	atom.Header: block, atom.Hgroup: block, atom.Legend: {block: 1}, atom.Main: block, atom.Nav: block, atom.Section: block,
	atom.Summary: block, atom.Search: block, atom.Optgroup: {}, atom.Option: {},

	atom.P: paragraph, atom.Blockquote: paragraph, atom.Pre: paragraph, atom.Listing: paragraph, atom.Xmp: paragraph,
	atom.Plaintext: paragraph, atom.Dl: paragraph, atom.Ul: paragraph, atom.Ol: paragraph, atom.Menu: paragraph, atom.Dir: paragraph,
	atom.Li: {block: 1, special: true}, atom.Dt: {block: 1, special: true}, atom.Dd: {block: 1, special: true},
	atom.H1: heading, atom.H2: heading, atom.H3: heading, atom.H4: heading, atom.H5: heading, atom.H6: heading,

	atom.Table:    {block: 1, special: true, scope: true, structure: true},
	atom.Caption:  {block: 1, special: true, scope: true},
	atom.Colgroup: {special: true, dropped: dropQuietly},
	atom.Tbody:    {special: true, structure: true}, atom.Thead: {special: true, structure: true}, atom.Tfoot: {special: true, structure: true},
	atom.Tr: {block: 1, special: true, structure: true},
	atom.Td: {special: true, scope: true}, atom.Th: {special: true, scope: true},

	atom.A: format, atom.B: format, atom.Big: format, atom.Code: format, atom.Em: format, atom.Font: format, atom.I: format,
	atom.Nobr: format, atom.S: format, atom.Small: format, atom.Strike: format, atom.Strong: format, atom.Tt: format, atom.U: format,

	atom.Area: void, atom.Base: void, atom.Basefont: void, atom.Bgsound: void, atom.Br: void, atom.Col: void, atom.Embed: void,
	atom.Hr: void, atom.Img: void, atom.Image: void, atom.Input: void, atom.Keygen: void, atom.Link: void, atom.Meta: void,
	atom.Param: void, atom.Source: void, atom.Track: void, atom.Wbr: void, atom.Frame: void,

	atom.Script: raw, atom.Style: raw, atom.Title: raw, atom.Iframe: raw, atom.Noembed: raw, atom.Noframes: raw,
	// Browsers show nothing of these, but of a <frameset> behind text; others have never heard of them.
	atom.Template: {dropped: dropShown, special: true, scope: true}, atom.Frameset: replaced, atom.Datalist: replaced, atom.Rp: replaced,
	atom.Textarea: replaced, atom.Select: replaced, atom.Button: replaced, atom.Noscript: replaced, atom.Svg: replaced, atom.Math: replaced,
	atom.Canvas: replaced, atom.Video: replaced, atom.Audio: replaced, atom.Progress: replaced, atom.Meter: replaced,
	atom.Object:  {dropped: dropShown, special: true, scope: true},
	atom.Applet:  {dropped: dropShown, special: true, scope: true},
	atom.Marquee: {block: 1, special: true, scope: true},
}

// breaksOut are the elements before which a browser ends an open <svg> or <math> (HTML Living Standard section 13.2.6.5).
var breaksOut = map[atom.Atom]bool{
	atom.B: true, atom.Big: true, atom.Blockquote: true, atom.Body: true, atom.Br: true, atom.Center: true, atom.Code: true, atom.Dd: true,
	atom.Div: true, atom.Dl: true, atom.Dt: true, atom.Em: true, atom.Embed: true, atom.H1: true, atom.H2: true, atom.H3: true,
	atom.H4: true, atom.H5: true, atom.H6: true, atom.Head: true, atom.Hr: true, atom.I: true, atom.Img: true, atom.Li: true,
	atom.Listing: true, atom.Menu: true, atom.Meta: true, atom.Nobr: true, atom.Ol: true, atom.P: true, atom.Pre: true, atom.Ruby: true,
	atom.S: true, atom.Small: true, atom.Span: true, atom.Strong: true, atom.Strike: true, atom.Sub: true, atom.Sup: true,
	atom.Table: true, atom.Tt: true, atom.U: true, atom.Ul: true, atom.Var: true,
}
