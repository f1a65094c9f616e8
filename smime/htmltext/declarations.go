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
