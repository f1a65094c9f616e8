package entity

import (
	"io"
	"strings"

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
	raw, err := io.ReadAll(io.LimitReader(e.Decode(), limit+1))
	if err != nil {
		return "", false, err
	}
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
	return strings.ToValidUTF8(text, "\uFFFD"), truncated, nil
}
