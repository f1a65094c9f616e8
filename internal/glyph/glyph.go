package glyph

import "unicode"

// IsHarmless reports whether a terminal shows r as a glyph of its own, or as a mark on the one before, and does nothing else
// with it. What Unicode has no meaning for as far as this program knows is not.
func IsHarmless(r rune) bool {
	switch {
	case r == 0x034F, // combining grapheme joiner
		r == 0x115F, r == 0x1160, // fillers that show nothing
		r == 0x17B4, r == 0x17B5, // vowels that are not written
		r >= 0x180B && r <= 0x180F, // variation selectors and the vowel separator of Mongolian
		r == 0x2800,                // blank Braille pattern
		r == 0x3164, r == 0xFFA0,
		r >= 0xFE00 && r <= 0xFE0E, // variation selectors; FE0F, which makes a picture of a sign, is harmless
		r >= 0xFFF0 && r <= 0xFFF8, // not assigned, and not to be shown
		r == 0x13441, r == 0x13442, // blank hieroglyphs
		r == 0x16FE4,                 // filler of Khitan
		r == 0x1D159,                 // musical symbol null notehead
		r >= 0x1BC9D && r <= 0x1BCA3, // selector and format controls of shorthand
		r >= 0xE0000 && r <= 0xE0FFF: // tags and variation selectors
		return false
	}
	// Not Cc (controls), Cf (formats: bidi, zero width, soft hyphen), Co (private use), Cs, Cn (noncharacters), Zl, Zp.
	return unicode.IsGraphic(r) && !unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}
