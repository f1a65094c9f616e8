package glyph_test

import (
	"testing"
	"unicode"

	"github.com/sealmail/sealmail/internal/glyph"
)

// TestIsHarmless asks about each character there is. The ranges are those of Default_Ignorable_Code_Point in Unicode 17
// (DerivedCoreProperties), but for U+FE0F, which makes a picture of the sign before it.
func TestIsHarmless(t *testing.T) {
	ignorable := [][2]rune{
		{0x00AD, 0x00AD}, {0x034F, 0x034F}, {0x061C, 0x061C}, {0x115F, 0x1160}, {0x17B4, 0x17B5}, {0x180B, 0x180F}, {0x200B, 0x200F}, {0x202A, 0x202E},
		{0x2060, 0x206F}, {0x3164, 0x3164}, {0xFE00, 0xFE0E}, {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFF8}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
		{0xE0000, 0xE0FFF},
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		hidden := unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Co, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point)
		for _, span := range ignorable {
			hidden = hidden || span[0] <= r && r <= span[1]
		}
		if got := glyph.IsHarmless(r); got && hidden {
			t.Errorf("%U is shown", r)
		}
	}
	for _, r := range "aÄß世界👍éְ\ufe0f\u0301 ☂क्षि\u00a0" {
		if !glyph.IsHarmless(r) {
			t.Errorf("%U is not shown", r)
		}
	}
}
