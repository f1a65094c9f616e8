package htmltext

import (
	"math"
	"strconv"
	"strings"
)

// color is an sRGB color. One that is not known is like no other.
type color struct {
	known   bool
	r, g, b float64 // 0 to 255
	a       float64 // 0 is transparent, 1 opaque
}

// near reports whether nobody can tell one from the other.
func (c color) near(other color) bool {
	const least = 12
	return math.Abs(c.r-other.r) <= least && math.Abs(c.g-other.g) <= least && math.Abs(c.b-other.b) <= least
}

// legacyColor makes a color of HTML attributes one of CSS.
func legacyColor(text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	if isHex(text) && (len(text) == 6 || len(text) == 3) {
		return "#" + text
	}
	return text
}

func isHex(text string) bool {
	for i := range len(text) {
		if _, ok := hexDigit(text[i]); !ok {
			return false
		}
	}
	return text != ""
}

// parseColor reads a color in lower case (CSS Color Level 4): names, hexadecimal digits, rgb() and hsl().
func parseColor(text string) color {
	if text == "transparent" {
		return color{known: true}
	}
	if digits, ok := strings.CutPrefix(text, "#"); ok {
		return hexColor(digits)
	}
	if name, arguments, ok := strings.Cut(text, "("); ok {
		return functionColor(name, strings.TrimSuffix(arguments, ")"))
	}
	if i := strings.Index(colorNames, " "+text+"="); i >= 0 && text != "" && !strings.ContainsAny(text, " =") {
		at := i + len(text) + 2
		return hexColor(colorNames[at : at+6])
	}
	return color{}
}

func hexColor(digits string) color {
	if !isHex(digits) {
		return color{}
	}
	at := func(i, n int) float64 {
		hi, _ := hexDigit(digits[i*n])
		lo, _ := hexDigit(digits[i*n+n-1])
		return float64(hi<<4 | lo)
	}
	n := 1
	switch len(digits) {
	case 3, 4:
	case 6, 8:
		n = 2
	default:
		return color{}
	}
	c := color{known: true, r: at(0, n), g: at(1, n), b: at(2, n), a: 1}
	if len(digits) == 4*n {
		c.a = at(3, n) / 255
	}
	return c
}

func functionColor(name, arguments string) color {
	list := words(strings.ReplaceAll(arguments, "/", " "))
	if len(list) < 3 {
		return color{}
	}
	c := color{known: true, a: 1}
	if len(list) > 3 {
		n, ok := number01(list[3])
		if !ok {
			return color{}
		}
		c.a = n
	}
	var v [3]float64
	for i := range v {
		text, percent := strings.CutSuffix(list[i], "%")
		n, err := strconv.ParseFloat(strings.TrimSuffix(text, "deg"), 64)
		if err != nil {
			return color{}
		}
		if percent && strings.HasPrefix(name, "rgb") {
			n *= 2.55
		}
		v[i] = n
	}
	switch name {
	case "rgb", "rgba":
		c.r, c.g, c.b = v[0], v[1], v[2]
	case "hsl", "hsla":
		// CSS Color Level 4 section 7.1.
		saturation, lightness := v[1]/100, v[2]/100
		part := func(n float64) float64 {
			k := math.Mod(n+v[0]/30+12, 12)
			return 255 * (lightness - saturation*min(lightness, 1-lightness)*max(-1, min(k-3, 9-k, 1)))
		}
		c.r, c.g, c.b = part(0), part(8), part(4)
	default:
		return color{}
	}
	return c
}

// colorNames are those of CSS Color Level 4 section 6.1.
const colorNames = " canvas=ffffff canvastext=000000 aliceblue=f0f8ff antiquewhite=faebd7 aqua=00ffff aquamarine=7fffd4 azure=f0ffff beige=f5f5dc bisque=ffe4c4 black=000000" +
	" blanchedalmond=ffebcd blue=0000ff blueviolet=8a2be2 brown=a52a2a burlywood=deb887 cadetblue=5f9ea0 chartreuse=7fff00" +
	" chocolate=d2691e coral=ff7f50 cornflowerblue=6495ed cornsilk=fff8dc crimson=dc143c cyan=00ffff darkblue=00008b darkcyan=008b8b" +
	" darkgoldenrod=b8860b darkgray=a9a9a9 darkgreen=006400 darkgrey=a9a9a9 darkkhaki=bdb76b darkmagenta=8b008b" +
	" darkolivegreen=556b2f darkorange=ff8c00 darkorchid=9932cc darkred=8b0000 darksalmon=e9967a darkseagreen=8fbc8f" +
	" darkslateblue=483d8b darkslategray=2f4f4f darkslategrey=2f4f4f darkturquoise=00ced1 darkviolet=9400d3 deeppink=ff1493" +
	" deepskyblue=00bfff dimgray=696969 dimgrey=696969 dodgerblue=1e90ff firebrick=b22222 floralwhite=fffaf0 forestgreen=228b22" +
	" fuchsia=ff00ff gainsboro=dcdcdc ghostwhite=f8f8ff gold=ffd700 goldenrod=daa520 gray=808080 green=008000 greenyellow=adff2f" +
	" grey=808080 honeydew=f0fff0 hotpink=ff69b4 indianred=cd5c5c indigo=4b0082 ivory=fffff0 khaki=f0e68c lavender=e6e6fa" +
	" lavenderblush=fff0f5 lawngreen=7cfc00 lemonchiffon=fffacd lightblue=add8e6 lightcoral=f08080 lightcyan=e0ffff" +
	" lightgoldenrodyellow=fafad2 lightgray=d3d3d3 lightgreen=90ee90 lightgrey=d3d3d3 lightpink=ffb6c1 lightsalmon=ffa07a" +
	" lightseagreen=20b2aa lightskyblue=87cefa lightslategray=778899 lightslategrey=778899 lightsteelblue=b0c4de" +
	" lightyellow=ffffe0 lime=00ff00 limegreen=32cd32 linen=faf0e6 magenta=ff00ff maroon=800000 mediumaquamarine=66cdaa" +
	" mediumblue=0000cd mediumorchid=ba55d3 mediumpurple=9370db mediumseagreen=3cb371 mediumslateblue=7b68ee" +
	" mediumspringgreen=00fa9a mediumturquoise=48d1cc mediumvioletred=c71585 midnightblue=191970 mintcream=f5fffa" +
	" mistyrose=ffe4e1 moccasin=ffe4b5 navajowhite=ffdead navy=000080 oldlace=fdf5e6 olive=808000 olivedrab=6b8e23 orange=ffa500" +
	" orangered=ff4500 orchid=da70d6 palegoldenrod=eee8aa palegreen=98fb98 paleturquoise=afeeee palevioletred=db7093" +
	" papayawhip=ffefd5 peachpuff=ffdab9 peru=cd853f pink=ffc0cb plum=dda0dd powderblue=b0e0e6 purple=800080 rebeccapurple=663399" +
	" red=ff0000 rosybrown=bc8f8f royalblue=4169e1 saddlebrown=8b4513 salmon=fa8072 sandybrown=f4a460 seagreen=2e8b57" +
	" seashell=fff5ee sienna=a0522d silver=c0c0c0 skyblue=87ceeb slateblue=6a5acd slategray=708090 slategrey=708090 snow=fffafa" +
	" springgreen=00ff7f steelblue=4682b4 tan=d2b48c teal=008080 thistle=d8bfd8 tomato=ff6347 turquoise=40e0d0 violet=ee82ee" +
	" wheat=f5deb3 white=ffffff whitesmoke=f5f5f5 windowtext=000000 window=ffffff yellow=ffff00 yellowgreen=9acd32 "
