package htmltext

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html/atom"
	"golang.org/x/net/idna"
)

// Bounds on links.
const (
	maxTarget   = 2000 // octets of a target that are said
	maxLinkText = 1000 // octets of a text that is compared with the target
	maxHost     = 1012 // octets of a host that is brought into A-labels, which takes time that grows as the square: 4*253 (RFC 1034 section 3.1)
)

// closeLink says where a link leads, unless its text says just that.
func (c *converter) closeLink(f *frame) {
	to, ok := parseTarget(f.href)
	f.href = ""
	if !ok {
		return
	}
	if f.opened == c.begun {
		if f.image { // a picture alone, which others can click
			c.literal("<"+to.text+">", f.row, c.stack)
		}
		return
	}
	shown := c.out[min(f.textAt, len(c.out)):]
	if len(shown) <= maxLinkText {
		text := strings.Join(strings.Fields(string(shown)), " ")
		for after, ok := text, true; ok; { // of lines in a quotation or a cell
			if after, ok = strings.CutPrefix(text, "> "); !ok {
				after, ok = strings.CutPrefix(text, "| ")
			}
			text = after
		}
		if sameTarget(text, to.text) {
			return
		}
		if named := hostNamed(text, to.scheme == "mailto"); named != "" && to.host != "" && !leadsTo(to.host, named) {
			c.differs(Link{Named: named, Target: to.host})
		}
	}
	c.out = append(bytes.TrimRight(c.out, " \t"), " <"+to.text+">"...)
}

func (c *converter) differs(l Link) {
	for _, known := range c.result.Links {
		if known == l {
			return
		}
	}
	if len(c.result.Links) < maxLinks {
		c.result.Links = append(c.result.Links, l)
	}
}

// target is where a link leads.
type target struct {
	text   string // as it is said
	scheme string
	host   string // in lower case, an internationalized one as A-labels; of mailto the domain of a single address
}

// parseTarget reads a link of those kinds that a reader may want to follow (URL Living Standard section 4.4, as far as
// that is about hosts). Others, such as javascript: and data:, are none.
func parseTarget(href string) (t target, ok bool) {
	href = strings.TrimFunc(href, func(r rune) bool { return r <= ' ' })
	href = strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' { // browsers drop them anywhere
			return -1
		}
		return r
	}, href)
	scheme, rest, found := strings.Cut(href, ":")
	if !found {
		return t, false
	}
	t.scheme = strings.ToLower(scheme)
	switch t.scheme {
	case "http", "https", "ftp":
		rest = strings.TrimLeft(rest, `/\`)
		end := strings.IndexAny(rest, `/\?#`)
		if end < 0 {
			end = len(rest)
		}
		authority := rest[:end]
		host := authority[strings.LastIndexByte(authority, '@')+1:]
		name, port := host, ""
		if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
			name, port = host[:i], host[i:]
		}
		if name == "" {
			return t, false
		}
		t.host = asciiHost(name)
		user := authority[:len(authority)-len(host)]
		t.text = t.scheme + "://" + user + displayHost(name, t.host) + port + rest[end:]
	case "mailto", "tel":
		t.text = t.scheme + ":" + rest
		address, _, _ := strings.Cut(rest, "?")
		if i := strings.LastIndexByte(address, '@'); i >= 0 && t.scheme == "mailto" && !strings.Contains(address, ",") {
			t.host = asciiHost(address[i+1:])
		}
	default:
		return t, false
	}
	if len(t.text) > maxTarget {
		t.text = strings.ToValidUTF8(t.text[:maxTarget], "") + "…"
	}
	return t, true
}

// asciiHost is the form in which hosts are compared. One that is no host stays as it is.
func asciiHost(host string) string {
	host = strings.TrimSuffix(host, ".")
	if isASCII(host) || len(host) > maxHost {
		return strings.ToLower(host)
	}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		return ascii
	}
	return strings.ToLower(host)
}

// displayHost is the form in which a host is shown: as A-labels where letters of several scripts, or letters that do not
// fit its last label, could make it look like another one.
func displayHost(host, ascii string) string {
	if isASCII(host) || len(host) > maxHost {
		return host
	}
	labels := strings.FieldsFunc(host, func(r rune) bool { return r == '.' || r == '。' || r == '．' || r == '｡' })
	last := ""
	for i := len(labels) - 1; i >= 0; i-- {
		script := scriptOf(labels[i])
		if last == "" {
			last = script
		}
		if script == "" || script != last && script != "Latin" {
			return ascii
		}
	}
	return host
}

// scriptOf returns the script of all letters in a label, or "" if there are several. Chinese and Japanese are one: they
// are written together.
func scriptOf(label string) string {
	found := "Latin"
	for first, rest := true, label; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		script := ""
		switch {
		case r < utf8.RuneSelf && !unicode.IsLetter(r):
			continue
		case unicode.Is(unicode.Latin, r):
			script = "Latin"
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			script = "Han"
		default:
			for name, table := range unicode.Scripts {
				if name != "Common" && name != "Inherited" && unicode.Is(table, r) {
					script = name
				}
			}
		}
		if script == "" || !first && script != found {
			return ""
		}
		found, first = script, false
	}
	return found
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// sameTarget reports whether the text of a link is its target, but for what people leave out.
func sameTarget(text, to string) bool {
	if text == to {
		return true
	}
	short := func(s string) string {
		for _, prefix := range []string{"http://", "https://", "mailto:", "tel:"} {
			if len(s) > len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
				s = s[len(prefix):]
			}
		}
		host, path, found := strings.Cut(s, "/")
		if s = strings.ToLower(host); found {
			s += "/" + path
		}
		return strings.TrimSuffix(strings.TrimPrefix(s, "www."), "/")
	}
	return short(text) == short(to)
}

// hostNamed returns the host that a text names, or "". In the midst of a text that takes http or www before it.
func hostNamed(text string, mail bool) string {
	fields := strings.Fields(text)
	for _, word := range fields {
		word = strings.Trim(word, `"'()[]<>,;:!?.…`)
		plain := len(fields) == 1
		for _, prefix := range []string{"http://", "https://", "ftp://"} {
			if len(word) > len(prefix) && strings.EqualFold(word[:len(prefix)], prefix) {
				word, plain = word[len(prefix):], true
			}
		}
		if !plain && (len(word) < 4 || !strings.EqualFold(word[:4], "www.")) && (!mail || !strings.Contains(word, "@")) {
			continue
		}
		if i := strings.IndexAny(word, `/\?#`); i >= 0 {
			word = word[:i]
		}
		word = word[strings.LastIndexByte(word, '@')+1:]
		word, _, _ = strings.Cut(word, ":")
		if host := asciiHost(word); isHost(host) {
			return host
		}
	}
	return ""
}

// isHost reports whether a word looks like a host, and not like the name of a file.
func isHost(word string) bool {
	labels := strings.Split(word, ".")
	if len(labels) < 2 || len(word) > 253 {
		return false
	}
	for _, label := range labels {
		if label == "" || !isName(label, false) || strings.Contains(label, "_") {
			return false
		}
	}
	last := labels[len(labels)-1]
	if len(last) < 2 || strings.Trim(last, "0123456789") == "" {
		return len(labels) == 4 && strings.Trim(word, "0123456789.") == "" // an address
	}
	if strings.ContainsAny(last, "0123456789") && !strings.HasPrefix(last, "xn--") {
		return false
	}
	return !strings.Contains(fileEndings, " "+last+" ")
}

// fileEndings end the names of files and no host: link texts are often such names.
const fileEndings = " pdf doc docx xls xlsx ppt pptx odt ods odp txt rtf csv htm html xhtml xml json yaml yml js css php asp aspx jsp jpg jpeg png" +
	" gif svg webp tif tiff bmp ico mp mpg mpeg avi wav exe msi dll bat cmd tar gz tgz bz rar eml msg ics vcf pem crt cer der asc sig" +
	" go net-tools java class jar log ini cfg conf bak tmp sql db "

// leadsTo reports whether a link to host leads where its text says: to this name, or one below it.
func leadsTo(host, named string) bool {
	host, named = strings.TrimPrefix(host, "www."), strings.TrimPrefix(named, "www.")
	return host == named || strings.HasSuffix(host, "."+named)
}

// references counts what other readers may load.
type references struct {
	remote    int
	relative  int  // to be counted where the document says that it lies elsewhere
	base      bool // it does
	embedded  bool // a document or style sheet is brought along, which other readers may show or use
	swallowed bool
}

func (r *references) count() int {
	if r.base {
		return r.remote + r.relative
	}
	return r.remote
}

// attribute looks at an attribute.
func (r *references) attribute(tag atom.Atom, key string, value []byte) {
	switch key {
	case "src", "background", "poster", "data", "srcset", "imagesrcset", "lowsrc", "dynsrc", "manifest", "classid", "codebase", "archive", "code":
		r.reference(string(value), key == "srcset" || key == "imagesrcset")
		switch tag {
		case atom.Iframe, atom.Frame, atom.Embed, atom.Object:
			r.embed(string(value))
		}
	case "srcdoc":
		r.embedded = r.embedded || hasText(string(value))
	case "href", "xlink:href":
		switch tag {
		case atom.A, atom.Area:
			r.swallow(value)
		case atom.Base: // counts for others
		case atom.Link:
			r.embed(string(value))
			fallthrough
		default: // and what draws
			r.reference(string(value), false)
		}
	case "action", "formaction", "ping", "cite", "longdesc":
		r.swallow(value)
	case "style":
		r.css(string(value))
	case "content": // of <meta http-equiv=refresh>
		if _, address, ok := strings.Cut(strings.ToLower(string(value)), "url="); ok && tag == atom.Meta {
			r.reference(strings.Trim(address, `"' `), false)
		}
	}
}

// embed looks at a reference to a document or style sheet.
func (r *references) embed(value string) {
	value = strings.TrimLeft(value, whiteSpace)
	r.embedded = r.embedded || !isRemote(value) && hasScheme(value)
}

// reference counts a reference, or the several ones of a srcset.
func (r *references) reference(value string, several bool) {
	r.swallow([]byte(value))
	if several {
		for one := range strings.SplitSeq(value, ",") {
			r.one(one)
		}
		return
	}
	r.one(value)
}

func (r *references) one(value string) {
	value = strings.TrimFunc(value, func(r rune) bool { return r <= ' ' })
	switch {
	case value == "" || value[0] == '#':
	case isRemote(value):
		r.remote++
	case !hasScheme(value):
		r.relative++
	}
}

// isRemote reports whether a reference leads over a network.
func isRemote(value string) bool {
	value = strings.TrimLeft(value, " \t\r\n\f")
	if strings.HasPrefix(value, "//") || strings.HasPrefix(value, `\\`) {
		return true
	}
	scheme, _, ok := strings.Cut(value, ":")
	if !ok || len(scheme) > 20 {
		return false
	}
	switch strings.ToLower(strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(scheme)) {
	case "http", "https", "ftp", "ftps", "ws", "wss", "file", "smb", "ldap", "ldaps", "feed", "view-source":
		return true
	}
	return false
}

func hasScheme(value string) bool {
	i := strings.IndexAny(value, ":/?#")
	return i > 0 && value[i] == ':'
}

// swallow looks for markup or lines of text in an address, where no program writes any.
func (r *references) swallow(value []byte) {
	if r.swallowed || len(value) < 8 {
		return
	}
	r.swallowed = bytes.IndexByte(value, '<') >= 0 && !bytes.HasPrefix(value, []byte("data:")) && !bytes.HasPrefix(value, []byte("javascript:")) ||
		bytes.Count(value, []byte("\n")) >= 3
}

// css looks for what a style sheet, or a style attribute, refers to.
func (r *references) css(text string) {
	if !strings.Contains(text, "(") && !strings.Contains(text, "@") && !strings.Contains(text, `\`) {
		return
	}
	text = unescape(text)
	for rest := text; ; {
		i := strings.IndexAny(rest, "(@")
		if i < 0 {
			return
		}
		before, after := rest[:i], rest[i+1:]
		value := ""
		if rest[i] == '@' && len(after) > 6 && strings.EqualFold(after[:6], "import") {
			from := strings.TrimLeft(after[6:min(len(after), maxLinkText)], whiteSpace)
			if len(from) > 4 && strings.EqualFold(from[:4], "url(") {
				from = from[4:]
			}
			imported, _ := cssArgument(from)
			r.embed(imported)
		}
		switch {
		case rest[i] == '(' && endsFold(before, "url"), rest[i] == '(' && endsFold(before, "image-set"), rest[i] == '(' && endsFold(before, "src"):
			value, _ = cssArgument(after)
		case rest[i] == '@' && len(after) > 6 && strings.EqualFold(after[:6], "import"):
			var quoted bool
			if value, quoted = cssArgument(after[6:]); !quoted { // url( follows, and is found next
				value = ""
			}
		}
		r.one(value)
		if value != "" && (strings.Contains(value, "<") && !strings.HasPrefix(value, "data:") || strings.Count(value, "\n") >= 3) {
			r.swallowed = true
		}
		rest = after
	}
}

// cssArgument reads the first argument of url() and the like.
func cssArgument(text string) (value string, quoted bool) {
	text = strings.TrimLeft(text[:min(len(text), maxLinkText)], whiteSpace) // nobody searches to the end for each of many
	if text == "" {
		return "", false
	}
	end := -1
	if quoted = text[0] == '"' || text[0] == '\''; quoted {
		quote := text[0]
		text = text[1:]
		end = strings.IndexByte(text, quote)
	} else {
		end = strings.IndexByte(text, ')')
	}
	if end < 0 {
		end = len(text)
	}
	return text[:end], quoted
}

func endsFold(text, end string) bool {
	return len(text) >= len(end) && strings.EqualFold(text[len(text)-len(end):], end)
}
