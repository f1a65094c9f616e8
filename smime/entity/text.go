package entity

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
)

// maxParamText bounds the text of one decoded parameter.
const maxParamText = 64 << 10

func copyText(dst io.Writer, src io.Reader) (int64, error) {
	return io.Copy(dst, io.LimitReader(src, maxParamText))
}

// Text returns the body of a text part as valid UTF-8: transfer encoding undone, character set decoded. At most limit
// octets of the body are taken; truncated says that there were more. It may contain any character.
func (e *Entity) Text(limit int64) (text string, truncated bool, err error) {
	var all bytes.Buffer
	all.Grow(int(min(limit+1, e.End-e.Body, 1<<20)) + bytes.MinRead) // a body decoded is seldom longer
	if _, err := all.ReadFrom(io.LimitReader(e.Decode(), limit+1)); err != nil {
		return "", false, err
	}
	raw := all.Bytes()
	if int64(len(raw)) > limit {
		raw, truncated = raw[:limit], true
	}
	text = string(raw)
	switch label := strings.ToLower(e.Type.Params.Get("charset")); label {
	case "", "us-ascii", "utf-8", "utf8":
	default:
		if r, err := charset.Reader(label, strings.NewReader(text)); err == nil {
			// A character takes at most three octets of UTF-8 where it took one.
			if decoded, err := io.ReadAll(io.LimitReader(r, 4*limit+4)); err == nil {
				text = string(decoded)
			}
		}
	}
	if !utf8.ValidString(text) { // telling takes a tenth of replacing nothing
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	return text, truncated, nil
}
