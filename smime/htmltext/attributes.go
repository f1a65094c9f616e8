package htmltext

import (
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// attributes are those that count, each the first of its name.
type attributes struct {
	style, class, id, placeholder                    string
	href, alt, start, value, kind, role, border, dir string
	color, background                                string
	hidden, open, reversed, hasHref, hasFontLook     bool
}

// read takes the attributes of the current tag.
func (a *attributes) read(z *html.Tokenizer, more bool, tag atom.Atom, refs *references) {
	*a = attributes{}
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		first := func(to *string) {
			if *to == "" {
				*to = string(value)
			}
		}
		switch string(key) {
		case "style":
			first(&a.style)
		case "class":
			first(&a.class)
		case "id":
			first(&a.id)
		case "href":
			first(&a.href)
			a.hasHref = true
		case "alt":
			first(&a.alt)
		case "start":
			first(&a.start)
		case "value":
			first(&a.value)
		case "placeholder":
			first(&a.placeholder)
		case "text":
			if tag == atom.Body {
				first(&a.color)
			}
		case "type":
			first(&a.kind)
		case "role":
			first(&a.role)
		case "border":
			first(&a.border)
		case "dir":
			first(&a.dir)
		case "color":
			first(&a.color)
			a.hasFontLook = true
		case "face", "size":
			a.hasFontLook = true
		case "bgcolor":
			first(&a.background)
		case "hidden":
			a.hidden = true
		case "open":
			a.open = true
		case "reversed":
			a.reversed = true
		}
		refs.attribute(tag, string(key), value)
	}
}
