package htmltext

import (
	"strconv"
	"strings"
)

// property is one that decides on what is seen.
type property uint8

const (
	propNone property = iota
	propDisplay
	propVisibility
	propContentVisibility
	propOpacity
	propFilter
	propFontSize
	propFont
	propColor
	propTextFill
	propBackground
	propBackgroundColor
	propBackgroundImage
	propHeight
	propMaxHeight
	propWidth
	propMaxWidth
	propOverflow
	propTextIndent
	propPosition
	propLeft
	propTop
	propRight
	propBottom
	propMarginLeft
	propMarginTop
	propClip
	propClipPath
	propTransform
	propMsoHide
	propMargin
	propInset
	propZoom
	propScale
	propTranslate
	propLineThrough
	propWhiteSpace
	propUnicodeBidi
	properties
)

// propertyOf returns the property of this name in lower case, or propNone.
func propertyOf(name string) property {
	switch name {
	case "display":
		return propDisplay
	case "visibility":
		return propVisibility
	case "content-visibility":
		return propContentVisibility
	case "opacity":
		return propOpacity
	case "filter", "-webkit-filter":
		return propFilter
	case "font-size":
		return propFontSize
	case "font":
		return propFont
	case "color":
		return propColor
	case "-webkit-text-fill-color":
		return propTextFill
	case "background":
		return propBackground
	case "background-color":
		return propBackgroundColor
	case "background-image":
		return propBackgroundImage
	case "height":
		return propHeight
	case "max-height":
		return propMaxHeight
	case "width":
		return propWidth
	case "max-width":
		return propMaxWidth
	case "overflow", "overflow-x", "overflow-y":
		return propOverflow
	case "text-indent":
		return propTextIndent
	case "position":
		return propPosition
	case "left":
		return propLeft
	case "top":
		return propTop
	case "right":
		return propRight
	case "bottom":
		return propBottom
	case "margin-left":
		return propMarginLeft
	case "margin-top":
		return propMarginTop
	case "clip":
		return propClip
	case "clip-path", "-webkit-clip-path":
		return propClipPath
	case "transform", "-webkit-transform", "-ms-transform":
		return propTransform
	case "mso-hide":
		return propMsoHide
	case "margin":
		return propMargin
	case "inset":
		return propInset
	case "zoom":
		return propZoom
	case "scale":
		return propScale
	case "translate":
		return propTranslate
	case "text-decoration", "text-decoration-line":
		return propLineThrough
	case "white-space":
		return propWhiteSpace
	case "unicode-bidi":
		return propUnicodeBidi
	}
	return propNone
}

// value is a declared value, in lower case and without escapes, and what decides between several.
type value struct {
	text        string
	order       int32
	specificity int16
	important   bool
}

// beats reports whether v stands against another declaration of the same property (CSS Cascade Level 4 section 6).
func (v value) beats(other value) bool {
	switch {
	case other.text == "":
		return true
	case v.important != other.important:
		return v.important
	case v.specificity != other.specificity:
		return v.specificity > other.specificity
	}
	return v.order >= other.order
}

// declarations are those for one element, or of one rule.
type declarations struct {
	values [properties]value
	any    bool
	unsure bool // backgrounds may be others than are declared
	// unclear says that there are values which are not evaluated, and on which it depends what is seen.
	unclear bool
}

func (d *declarations) has(p property) bool { return d.values[p].text != "" }

// maxValue bounds the values that are looked at: longer ones are pictures and fonts.
const maxValue = 512

// set declares a property by its name in lower case.
func (d *declarations) set(name, text string, specificity, order int) {
	p := propertyOf(name)
	if p == propNone {
		return
	}
	if len(text) > maxValue {
		text = text[:maxValue]
	}
	text = strings.ToLower(strings.TrimSpace(unescape(text)))
	v := value{specificity: int16(specificity), order: int32(order)}
	if before, ok := strings.CutSuffix(text, "important"); ok {
		if before, ok = strings.CutSuffix(strings.TrimSpace(before), "!"); ok {
			text, v.important = strings.TrimSpace(before), true
		}
	}
	if text == "" {
		return
	}
	v.text = text
	if p == propMargin || p == propInset {
		d.setSides(p, v)
		return
	}
	if !understood(p, text) {
		// A browser passes over what it does not understand either (CSS Syntax Level 3 section 9).
		d.unclear = d.unclear || unevaluated(p, text)
		d.any = d.any || d.unclear
		return
	}
	d.put(p, v)
}

// put takes a value in, if it stands against what is there.
func (d *declarations) put(p property, v value) {
	if v.beats(d.values[p]) {
		d.values[p], d.any = v, true
	}
}

// setSides declares a property of four sides in one (CSS Box Model Level 3 section 3.2): "margin" or "inset".
func (d *declarations) setSides(p property, v value) {
	list := words(v.text)
	if len(list) == 0 || len(list) > 4 {
		return
	}
	top, right, bottom, left := list[0], list[min(1, len(list)-1)], list[0], list[min(1, len(list)-1)]
	if len(list) > 2 {
		bottom = list[2]
	}
	if len(list) > 3 {
		left = list[3]
	}
	for _, side := range [...]struct {
		margin, inset property
		text          string
	}{{propMarginTop, propTop, top}, {propNone, propRight, right}, {propNone, propBottom, bottom}, {propMarginLeft, propLeft, left}} {
		at := side.inset
		if p == propMargin {
			at = side.margin
		}
		v.text = side.text
		switch {
		case at == propNone:
		case understood(at, v.text):
			d.put(at, v)
		default:
			d.unclear = d.unclear || unevaluated(at, v.text)
			d.any = d.any || d.unclear
		}
	}
}

// understood reports whether a value is one of those that the property has, as far as they are known here.
func understood(p property, text string) bool {
	switch text {
	case "inherit", "initial", "unset", "revert", "revert-layer":
		return true
	}
	isLength := func() bool {
		if number, ok := strings.CutSuffix(text, "%"); ok {
			_, err := strconv.ParseFloat(number, 64)
			return err == nil
		}
		_, ok := length(text, 16)
		return ok
	}
	switch p {
	case propDisplay:
		return oneOf(text, "none block inline inline-block contents flow flow-root list-item run-in flex inline-flex grid inline-grid ruby math") ||
			strings.HasPrefix(text, "table") || strings.HasPrefix(text, "inline-table") || strings.HasPrefix(text, "ruby-") || strings.ContainsAny(text, " -")
	case propVisibility:
		return oneOf(text, "visible hidden collapse")
	case propContentVisibility:
		return oneOf(text, "visible hidden auto")
	case propOpacity:
		_, ok := number01(text)
		return ok
	case propFontSize:
		return isLength() || oneOf(text, "larger smaller xx-small x-small small medium large x-large xx-large xxx-large")
	case propColor, propTextFill:
		return text == "currentcolor" || parseColor(text).known
	case propTextIndent, propLeft, propTop, propRight, propBottom, propMarginLeft, propMarginTop:
		return text == "auto" || isLength() || strings.Contains(text, " ") && p == propTextIndent
	case propPosition:
		return oneOf(text, "static relative absolute fixed sticky -webkit-sticky")
	case propOverflow:
		return !strings.ContainsFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && r != ' ' && r != '-' })
	}
	return true
}

// unevaluated reports whether what a function such as var() or calc() makes of a property decides on what is seen. Functions are
// common where lengths are concerned; what puts something out of sight has a large number in it.
func unevaluated(p property, text string) bool {
	if !strings.Contains(text, "(") {
		return false
	}
	switch p {
	case propLeft, propTop, propRight, propBottom, propMarginLeft, propMarginTop, propTextIndent:
		digits := 0
		for _, r := range text {
			if r < '0' || r > '9' {
				digits = 0
			} else if digits++; digits > 2 {
				return true
			}
		}
		return strings.Contains(text, "var(")
	}
	return true
}

// oneOf reports whether a word is in a list with blanks between.
func oneOf(word, list string) bool {
	return !strings.Contains(word, " ") && strings.Contains(" "+list+" ", " "+word+" ")
}

// merge takes those of a rule in.
func (d *declarations) merge(rule *declarations, specificity int) {
	d.any, d.unclear = d.any || rule.any, d.unclear || rule.unclear
	for p, v := range rule.values {
		if v.text == "" {
			continue
		}
		v.specificity = int16(specificity)
		if v.beats(d.values[p]) {
			d.values[p] = v
		}
	}
}

// reveals reports whether there is a declaration that shows what another one hides.
func (d *declarations) reveals() bool {
	for _, p := range [...]property{propDisplay, propVisibility, propOpacity, propFontSize, propFont, propMaxHeight, propHeight, propColor, propTextIndent, propOverflow, propPosition} {
		if d.has(p) {
			return true
		}
	}
	return false
}

// computed is what holds for the text in an element.
type computed struct {
	hidden     bool // with all that is in it
	invisible  bool // by visibility, which what is in it may overrule
	away       bool // indented out of sight, which what is in it may overrule
	pre        bool // white space counts
	reorders   bool // the order of characters is turned round
	dropped    drop
	size       float64 // of the font, in px
	color      color
	fill       color // in place of color, where it is declared
	background color
}

// initialStyle is that of a document: black on white.
var initialStyle = computed{size: 16, color: color{known: true, a: 1}, background: color{known: true, r: 255, g: 255, b: 255, a: 1}}

// unseen reports whether text of this style is not to be seen.
func (s *computed) unseen() bool {
	if s.hidden || s.invisible || s.away || s.dropped != dropNot || s.size <= 1 {
		return true
	}
	ink := s.color
	if s.fill.known {
		ink = s.fill
	}
	return ink.known && (ink.a <= 0.05 || s.background.known && ink.near(s.background))
}

// far is how many px out of its place text is out of sight.
const far = 500

// apply computes the style of an element from that of the one around it and what is declared for it.
func (s *computed) apply(d *declarations) {
	s.reorders = false
	if d == nil {
		return
	}
	if d.unsure {
		s.background.known = false
	}
	if !d.any {
		return
	}
	get := func(p property) string { return d.values[p].text }
	if v := get(propFont); v != "" {
		s.size = fontSize(sizeInFont(v), s.size)
	}
	if v := get(propFontSize); v != "" {
		s.size = fontSize(v, s.size)
	}
	switch v := get(propVisibility); v {
	case "hidden", "collapse":
		s.invisible = true
	case "visible", "initial":
		s.invisible = false
	}
	s.paint(d)
	if v := get(propTextIndent); v != "" {
		n, ok := length(v, s.size)
		s.away = ok && (n <= -far || n >= 2*far)
	}
	if v := get(propWhiteSpace); v != "" {
		s.pre = strings.HasPrefix(v, "pre") || v == "break-spaces"
	}
	if v := get(propUnicodeBidi); strings.Contains(v, "override") {
		s.reorders = true
	}
	s.hidden = s.hidden || s.conceals(d)
}

// paint computes the colors.
func (s *computed) paint(d *declarations) {
	if v := d.values[propColor].text; v != "" && v != "inherit" && v != "currentcolor" {
		s.color = parseColor(v)
	}
	if v := d.values[propTextFill].text; v != "" && v != "inherit" {
		s.fill = parseColor(v)
	}
	ground, shorthand := d.values[propBackgroundColor], d.values[propBackground]
	if shorthand.text != "" && shorthand.beats(ground) {
		ground = shorthand
	}
	switch image := d.values[propBackgroundImage].text; {
	case strings.Contains(image, "(") || strings.Contains(ground.text, "url(") || strings.Contains(ground.text, "gradient("):
		s.background = color{} // a picture is there, and could be of any color
	case ground.text == "" || ground.text == "inherit" || ground.text == "initial" || ground.text == "none":
	default:
		c := color{}
		for _, word := range words(ground.text) {
			if c = parseColor(word); c.known {
				break
			}
		}
		if c.known && c.a <= 0.05 {
			return // what is behind shows
		}
		if c.a < 0.95 {
			c = color{}
		}
		s.background = c
	}
}

// conceals reports whether the element is out of sight with all that is in it.
func (s *computed) conceals(d *declarations) bool {
	get := func(p property) string { return d.values[p].text }
	small := func(p property) bool {
		n, ok := length(get(p), s.size)
		return ok && n <= 1
	}
	outside := func(p property) bool {
		n, ok := length(get(p), s.size)
		return ok && (n <= -far || n >= 10*far)
	}
	if get(propDisplay) == "none" || get(propMsoHide) == "all" || get(propContentVisibility) == "hidden" {
		return true
	}
	if n, ok := number01(get(propOpacity)); ok && n <= 0.05 {
		return true
	}
	if rest, ok := strings.CutPrefix(get(propFilter), "opacity("); ok {
		if n, ok := number01(strings.TrimRight(rest, ") ")); ok && n <= 0.05 {
			return true
		}
	}
	if v := get(propOverflow); strings.Contains(v, "hidden") || strings.Contains(v, "clip") {
		if small(propHeight) || small(propMaxHeight) || small(propWidth) || small(propMaxWidth) {
			return true
		}
	}
	if outside(propMarginLeft) || outside(propMarginTop) {
		return true
	}
	if v := get(propPosition); v == "absolute" || v == "fixed" || v == "relative" {
		if outside(propLeft) || outside(propTop) || outside(propRight) || outside(propBottom) {
			return true
		}
		if rest, ok := strings.CutPrefix(get(propClip), "rect("); ok && v != "relative" {
			if n := numbers(rest, s.size); len(n) == 4 && (n[2]-n[0] <= 1 || n[1]-n[3] <= 1) {
				return true
			}
		}
	}
	if n, ok := number01(get(propZoom)); ok && n <= 0.05 && n >= 0 {
		return true
	}
	return clipped(get(propClipPath)) || moved(get(propTransform), s.size) ||
		moved("scale("+get(propScale)+")", s.size) || moved("translate("+get(propTranslate)+")", s.size)
}

// clipped reports whether a clip-path leaves nothing to see.
func clipped(path string) bool {
	name, arguments, _ := strings.Cut(path, "(")
	first := ""
	if list := words(strings.TrimRight(arguments, ") ")); len(list) > 0 {
		first = list[0]
	}
	switch strings.TrimSpace(name) {
	case "inset":
		if percent, ok := strings.CutSuffix(first, "%"); ok {
			n, err := strconv.ParseFloat(percent, 64)
			return err == nil && n >= 50
		}
	case "circle", "ellipse":
		n, ok := length(first, 16)
		return ok && n <= 1
	case "polygon":
		return strings.Trim(arguments, "0px%, )") == ""
	}
	return false
}

// moved reports whether a transform shrinks the element to nothing, or takes it away.
func moved(transform string, size float64) bool {
	for rest := transform; rest != ""; {
		name, arguments, ok := strings.Cut(rest, "(")
		if !ok {
			return false
		}
		arguments, rest, _ = strings.Cut(arguments, ")")
		name = strings.TrimSpace(name)
		list := numbers(arguments, size)
		if name == "matrix" && len(list) == 6 && list[0] == 0 && list[1] == 0 && list[2] == 0 && list[3] == 0 {
			return true
		}
		for _, n := range list {
			if strings.HasPrefix(name, "scale") && n > -0.05 && n < 0.05 || strings.HasPrefix(name, "translate") && (n <= -far || n >= 10*far) {
				return true
			}
		}
	}
	return false
}

// words cuts a value at white space and commas outside of parentheses.
func words(text string) []string {
	var list []string
	depth, start := 0, 0
	cut := func(end int) {
		if end > start {
			list = append(list, text[start:end])
		}
		start = end + 1
	}
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ' ', '\t', '\n', '\r', '\f', ',':
			if depth <= 0 {
				cut(i)
			}
		}
	}
	cut(len(text))
	return list
}

// numbers are the lengths in a list of arguments, "auto" being 0.
func numbers(arguments string, size float64) []float64 {
	var list []float64
	for _, word := range words(strings.TrimRight(arguments, ") ")) {
		n, _ := length(word, size)
		list = append(list, n)
	}
	return list
}

// number01 reads a number or a percentage as a part of one.
func number01(text string) (float64, bool) {
	percent, ok := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(percent), 64)
	if ok {
		n /= 100
	}
	return n, err == nil
}

// length reads a length in px; em is the size of the font. Of percentages, only none is known.
func length(text string, em float64) (float64, bool) {
	end := len(text)
	for end > 0 && (text[end-1] >= 'a' && text[end-1] <= 'z' || text[end-1] == '%') {
		end--
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text[:end]), 64)
	if err != nil {
		return 0, false
	}
	switch text[end:] {
	case "", "px":
		return n, true
	case "pt":
		return n * 4 / 3, true
	case "pc":
		return n * 16, true
	case "in":
		return n * 96, true
	case "cm":
		return n * 96 / 2.54, true
	case "mm":
		return n * 96 / 25.4, true
	case "em":
		return n * em, true
	case "ex", "ch":
		return n * em / 2, true
	case "rem", "lh", "rlh":
		return n * 16, true
	case "vw", "vh", "vmin", "vmax", "vi", "vb":
		return n * 6, true
	}
	return n, n == 0 // percent and what is not known
}

// fontSize reads a size of a font; parent is that around it.
func fontSize(text string, parent float64) float64 {
	switch text {
	case "", "inherit", "larger", "smaller", "unset":
		return parent
	case "xx-small", "x-small", "small", "medium", "large", "x-large", "xx-large", "xxx-large", "initial":
		return 16
	}
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		if n, err := strconv.ParseFloat(percent, 64); err == nil {
			return n / 100 * parent
		}
		return parent
	}
	if n, ok := length(text, parent); ok && n >= 0 {
		return n
	}
	return parent
}

// sizeInFont finds the size in the font shorthand, where it is the first word with a digit that is no weight.
func sizeInFont(font string) string {
	for _, word := range words(font) {
		size, _, _ := strings.Cut(word, "/")
		if size == "" || size[0] != '.' && (size[0] < '0' || size[0] > '9') {
			continue
		}
		if n, err := strconv.Atoi(size); err == nil && n >= 100 {
			continue
		}
		return size
	}
	return ""
}
