// Package glyph knows which characters are shown as what they are, and which move, hide, turn round or join others. It judges
// single characters: what a run of them does is its callers' business.
package glyph
