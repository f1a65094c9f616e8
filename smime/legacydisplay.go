package smime

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"

	"github.com/emersion/go-message/charset"
	"golang.org/x/net/html"

	"github.com/sealmail/sealmail/smime/entity"
)

// legacyParameter marks a text that begins with a Legacy Display Element (RFC 9788 section 2.1.2), and legacyClass the
// element in HTML (section 5.2.3).
const (
	legacyParameter = "hp-legacy-display"
	legacyClass     = "header-protection-legacy-display"
)

// shownFields are the user-facing header fields (RFC 9787 section 1.1.2).
var shownFields = []string{
	"From", "To", "Cc", "Subject", "Date", "Reply-To", "Followup-To", "Sender",
	"Resent-From", "Resent-To", "Resent-Cc", "Resent-Date", "Resent-Sender",
}

// displayElement is a Legacy Display Element: the fields that readers are shown and that are hidden outside, a line for
// each.
type displayElement []string

func newDisplayElement(inside entity.Header, p HCP) displayElement {
	var d displayElement
	for _, f := range inside {
		if !slices.ContainsFunc(shownFields, f.Is) {
			continue
		}
		if value, keep := p(f.Name, f.Value()); keep && value == f.Value() {
			continue
		}
		// An empty line would end the element, and what follows it would be taken for text.
		d = append(d, strings.TrimRight(f.Name+": "+oneLine(f.Text()), " ")) // in flowed text a blank would take the next line along
	}
	return d
}

// oneLine makes control characters and runs of white space one space.
func oneLine(text string) string {
	return spaced(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text))
}

// plain is the element for text/plain (section 5.2.2).
func (d displayElement) plain() string { return strings.Join(d, "\r\n") + "\r\n\r\n" }

// html is the element for text/html (section 5.2.3), in ASCII, so that it is the same in nearly every character set.
func (d displayElement) html() string {
	var b strings.Builder
	b.WriteString("<div class=\"" + legacyClass + "\">\r\n<pre>")
	for i, line := range d {
		if i > 0 {
			b.WriteString("\r\n")
		}
		for _, r := range html.EscapeString(line) {
			if r < 0x80 {
				b.WriteRune(r)
			} else {
				fmt.Fprintf(&b, "&#%d;", r)
			}
		}
	}
	b.WriteString("</pre></div>\r\n")
	return b.String()
}

// Bounds on what is looked at to find the texts of an entity.
const (
	maxDisplayLevels = 32       // nested multiparts
	maxHTMLHead      = 64 << 10 // octets of HTML before its body
	maxPlainLine     = 900      // octets of a line that needs no transfer encoding: RFC 5322 section 2.1.1 allows 998
	maxBoundaryLine  = 2 << 10
)

// displayWriter reads the body of an entity, with a Legacy Display Element in each of its main body parts (RFC 9787
// section 7.1): in the first part of a multipart entity, and in all parts of multipart/alternative. It holds no more than
// lines, and leaves everything else as it is.
type displayWriter struct {
	element displayElement
	src     *bufio.Reader
	inLine  bool           // src is not at the start of a line
	levels  []displayLevel // the multiparts that are open, from the outside in
	text    *displayedText // the text that is being read; nil: none
	out     bytes.Buffer   // what is to be read next
	err     error          // io.EOF at the end
}

// displayLevel is an open multipart entity.
type displayLevel struct {
	mark  string // "--" and the boundary
	every bool   // each part is an alternative
	root  string // Content-ID of the part that counts in multipart/related; "": the first
	done  bool   // the parts to come do not count
}

// enter begins with the entity whose header this is and whose body comes next. It returns the header that it is to have now.
func (w *displayWriter) enter(raw []byte) (entity.Header, error) {
	e, err := entity.Parse(bytes.NewReader(raw), entity.Limits{HeaderBytes: maxOwnHeader})
	if err != nil {
		return nil, err
	}
	boundary := e.Type.Params.Get("boundary")
	switch {
	case e.Disposition.Type == "attachment": // section 5.2.4: preserved as it is
	case e.Type.Is("text/plain", "text/html"):
		return w.enterText(e)
	case e.Type.Is("multipart/signed", "multipart/encrypted", "multipart/digest"):
	case e.Type.Multipart() && boundary != "" && len(w.levels) < maxDisplayLevels:
		w.levels = append(w.levels, displayLevel{
			mark: "--" + boundary, every: e.Type.Is("multipart/alternative"), root: contentID(e.Type.Params.Get("start")),
		})
	}
	return e.Header, nil
}

// Read implements io.Reader.
func (w *displayWriter) Read(p []byte) (int, error) {
	for w.out.Len() == 0 && w.err == nil {
		switch {
		case w.text != nil:
			w.err = w.readText()
		case slices.ContainsFunc(w.levels, func(l displayLevel) bool { return !l.done }):
			w.err = w.copyLine()
		default:
			return w.src.Read(p)
		}
	}
	if w.out.Len() > 0 {
		return w.out.Read(p)
	}
	return 0, w.err
}

// line returns the next line, or a piece of a long one; start says that a line starts with it. It is valid up to the next
// call. At the end, the error is io.EOF, and there is nothing else.
func (w *displayWriter) line() (line []byte, start bool, err error) {
	line, err = w.src.ReadSlice('\n')
	start, w.inLine = !w.inLine, err != nil
	if errors.Is(err, bufio.ErrBufferFull) || errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	return line, start, err
}

// delimits tells which level the line is a boundary of (RFC 2046 section 5.1.1), the innermost first; -1: none.
func (w *displayWriter) delimits(line []byte) (level int, final bool) {
	for i := len(w.levels) - 1; i >= 0 && len(line) <= maxBoundaryLine; i-- {
		rest, ok := bytes.CutPrefix(line, []byte(w.levels[i].mark))
		if !ok {
			continue
		}
		rest, final = bytes.CutPrefix(rest, []byte("--"))
		if len(bytes.Trim(rest, " \t\r\n")) == 0 {
			return i, final
		}
	}
	return -1, false
}

// copyLine passes on what is no text to change.
func (w *displayWriter) copyLine() error {
	line, start, err := w.line()
	if err != nil {
		return err
	}
	w.out.Write(line)
	if !start {
		return nil
	}
	if level, final := w.delimits(line); level >= 0 {
		return w.delimited(level, final)
	}
	return nil
}

// delimited goes on behind a boundary of a level.
func (w *displayWriter) delimited(level int, final bool) error {
	for {
		if final {
			w.levels = w.levels[:level]
			return nil
		}
		w.levels = w.levels[:level+1]
		if w.levels[level].done {
			return nil
		}
		raw, boundary, err := w.header()
		if err == nil {
			return w.enterPart(&w.levels[level], raw)
		}
		w.out.Write(raw) // a part without a body
		if !errors.Is(err, errNoBody) {
			return err
		}
		w.out.Write(boundary)
		level, final = w.delimits(boundary)
	}
}

// enterPart begins with a part whose header is raw.
func (w *displayWriter) enterPart(l *displayLevel, raw []byte) error {
	h, read, _, err := entity.ReadHeader(bufio.NewReader(bytes.NewReader(raw)), maxOwnHeader)
	if err != nil {
		return err
	}
	l.done = !l.every && (l.root == "" || l.root == contentID(h.Value("Content-ID")))
	if (l.every || l.done) && len(read) == len(raw) {
		now, err := w.enter(raw)
		if err != nil {
			return err
		}
		if w.text != nil {
			if err := now.Write(&w.out); err != nil {
				return err
			}
			w.out.WriteString("\r\n")
			return nil
		}
	}
	w.out.Write(raw)
	return nil
}

// errNoBody says that a boundary stands where a header should go on.
var errNoBody = errors.New("a part has no body")

// header returns the lines up to an empty one; with errNoBody or io.EOF, those there are, and the boundary.
func (w *displayWriter) header() (raw, boundary []byte, err error) {
	for {
		line, start, err := w.line()
		if err != nil {
			return raw, nil, err
		}
		if start {
			if level, _ := w.delimits(line); level >= 0 {
				return raw, bytes.Clone(line), errNoBody
			}
		}
		if len(raw)+len(line) > maxOwnHeader {
			return nil, nil, fmt.Errorf("%w: limit is %d octets", entity.ErrHeaderTooLarge, maxOwnHeader)
		}
		raw = append(raw, line...)
		if start && len(bytes.Trim(line, "\r\n")) == 0 {
			return raw, nil, nil
		}
	}
}

// displayedText is a text on its way: decoded, with the element in it, and encoded anew.
type displayedText struct {
	body    *textBody
	decoded io.Reader
	encoder io.Writer
	close   func() error
	chunk   []byte
}

// enterText begins with a text.
func (w *displayWriter) enterText(e *entity.Entity) (entity.Header, error) {
	h, t, encoding := e.Header, e.Type, e.Encoding
	if t.Params.Has(legacyParameter) {
		return nil, ErrProtected
	}
	identity := slices.Contains([]string{"", "7bit", "8bit", "binary"}, encoding)
	if !identity && encoding != "quoted-printable" && encoding != "base64" {
		return h, nil // what cannot be decoded stays as it is
	}
	element := w.element.plain()
	if t.Is("text/html") {
		element = w.element.html()
	}
	ascii := !strings.ContainsFunc(element, func(r rune) bool { return r >= 0x80 })
	body := &textBody{w: w}
	var decoded io.Reader = entity.NewDecoder(body, encoding)
	newCharset, newEncoding := "", encoding
	switch label := strings.ToLower(t.Params.Get("charset")); {
	case label == "utf-8", label == "utf8", ascii && likeASCII(label):
	case label == "", label == "us-ascii":
		newCharset = "utf-8" // which text in ASCII is as well
	default:
		converted, err := charset.Reader(label, decoded)
		if err != nil {
			return h, nil // a character set that is not known
		}
		decoded, newCharset = converted, "utf-8"
	}
	sevenBit := encoding == "" || encoding == "7bit"
	long := slices.ContainsFunc(strings.Split(element, "\r\n"), func(line string) bool { return len(line) > maxPlainLine })
	if identity && long || sevenBit && (!ascii || newCharset != "") {
		newEncoding = "quoted-printable"
	}
	at := 0
	if t.Is("text/html") {
		buffered := bufio.NewReaderSize(decoded, maxHTMLHead)
		head, err := buffered.Peek(maxHTMLHead)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if at = bodyStart(head, err != nil); at < 0 {
			element, at = "", 0
		}
		decoded = io.MultiReader(io.LimitReader(buffered, int64(at)), strings.NewReader(element), buffered)
	} else {
		decoded = io.MultiReader(strings.NewReader(element), decoded)
	}
	w.text = &displayedText{body: body, decoded: decoded, encoder: &w.out, close: func() error { return nil }, chunk: make([]byte, 32<<10)}
	switch newEncoding {
	case "quoted-printable":
		q := entity.NewQuotedPrintableWriter(&w.out)
		w.text.encoder, w.text.close = q, q.Close
	case "base64":
		b := entity.NewBase64Writer(&w.out)
		w.text.encoder, w.text.close = b, b.Close
	}
	return textHeader(h, t, element != "", newCharset, newEncoding)
}

// likeASCII reports whether text in ASCII is the same in this character set.
func likeASCII(label string) bool {
	return label == "" || slices.ContainsFunc([]string{
		"us-ascii", "iso-8859-", "windows-125", "koi8-", "gb2312", "gbk", "gb18030", "big5", "euc-", "shift_jis", "iso-2022-",
	}, func(prefix string) bool { return strings.HasPrefix(label, prefix) })
}

// textHeader returns the header of a text with an element in it, if it is marked, in a character set and transfer encoding
// that may be others than before.
func textHeader(h entity.Header, t entity.MediaType, marked bool, newCharset, newEncoding string) (entity.Header, error) {
	value := h.Value("Content-Type")
	switch {
	case newCharset != "":
		params := map[string]string{}
		for _, p := range t.Params {
			params[p.Name] = p.Value
		}
		params["charset"] = newCharset
		if value = mime.FormatMediaType(t.Type, params); value == "" {
			return nil, fmt.Errorf("%w: a Content-Type with parameters that cannot be written", entity.ErrField)
		}
	case value == "":
		value = t.Type + "; charset=us-ascii" // RFC 2045 section 5.2
	}
	if marked {
		var err error
		if value, err = withParameter(value, legacyParameter, "1"); err != nil {
			return nil, err
		}
	}
	fresh := map[string]string{"Content-Type": value, "Content-Transfer-Encoding": newEncoding}
	var list entity.Header
	add := func(name string) error {
		value := fresh[name]
		if value == "" {
			return nil
		}
		delete(fresh, name)
		f, err := entity.NewField(name, value)
		list = append(list, f)
		return err
	}
	for _, f := range h {
		var err error
		switch {
		case f.Is("Content-Type"):
			err = add("Content-Type")
		case f.Is("Content-Transfer-Encoding"):
			err = add("Content-Transfer-Encoding")
		case f.Is("Content-MD5"), f.Is("Content-Length"): // which it has no more
		default:
			list = append(list, f)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"Content-Type", "Content-Transfer-Encoding"} {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// readText goes on with the text.
func (w *displayWriter) readText() error {
	n, err := w.text.decoded.Read(w.text.chunk)
	if _, err := w.text.encoder.Write(w.text.chunk[:n]); err != nil {
		return err
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	if err := w.text.close(); err != nil {
		return err
	}
	body := w.text.body
	w.text = nil
	if _, err := io.Copy(io.Discard, body); err != nil { // what the decoder passed over
		return err
	}
	if body.boundary == nil {
		return io.EOF
	}
	if len(body.held) == 0 { // there was no text, and the empty line behind the header was the boundary's
		body.held = []byte("\r\n")
	}
	w.out.Write(body.held)
	w.out.Write(body.boundary)
	level, final := w.delimits(body.boundary)
	return w.delimited(level, final)
}

// textBody reads the body of a text up to a boundary, without the line end that belongs to that (RFC 2046 section 5.1.1).
type textBody struct {
	w        *displayWriter
	buffer   []byte
	ready    []byte // what is left of it
	held     []byte // a line end that may belong to a boundary
	boundary []byte // the line that ended the text; nil: none
	err      error
}

func (b *textBody) Read(p []byte) (int, error) {
	for len(b.ready) == 0 && b.err == nil {
		line, start, err := b.w.line()
		if err == nil && start {
			if level, _ := b.w.delimits(line); level >= 0 {
				b.boundary, b.err = bytes.Clone(line), io.EOF
				break
			}
		}
		text := bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'})
		b.buffer = append(append(b.buffer[:0], b.held...), text...)
		b.ready, b.held = b.buffer, append(b.held[:0], line[len(text):]...)
		b.err = err // at the end, there is no boundary any more, and nothing else
	}
	if len(b.ready) == 0 {
		return 0, b.err
	}
	n := copy(p, b.ready)
	b.ready = b.ready[n:]
	return n, nil
}

// bodyStart returns where in an HTML document what a reader is shown begins: behind the tag of its body, or before the first
// thing that belongs to none of its head; -1 where that is not seen. head is the beginning of the document; whole says that
// it is all.
func bodyStart(head []byte, whole bool) int {
	z := html.NewTokenizer(bytes.NewReader(head))
	at, inside := 0, "" // inside an element of the head that has content
	for {
		kind := z.Next()
		size := len(z.Raw())
		name := ""
		if kind == html.StartTagToken || kind == html.EndTagToken || kind == html.SelfClosingTagToken {
			tag, _ := z.TagName()
			name = string(tag)
		}
		switch {
		case kind == html.ErrorToken:
			if whole && inside == "" {
				return at
			}
			return -1
		case inside != "":
			if kind == html.EndTagToken && name == inside {
				inside = ""
			}
		case kind == html.TextToken && len(bytes.TrimSpace(bytes.TrimPrefix(z.Raw(), []byte("\uFEFF")))) > 0:
			return at
		case kind == html.StartTagToken && name == "body":
			return at + size
		case name == "frameset":
			return -1 // there is no body
		case kind == html.StartTagToken && slices.Contains([]string{"title", "style", "script", "noscript", "template"}, name):
			inside = name
		case kind == html.StartTagToken, kind == html.SelfClosingTagToken:
			if !slices.Contains([]string{"html", "head", "meta", "link", "base"}, name) {
				return at
			}
		}
		at += size
	}
}
