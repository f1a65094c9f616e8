package htmltext

import (
	"strconv"
	"strings"
)

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
