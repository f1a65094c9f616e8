package entity

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"io"
	"strings"
	"testing"
)

// TestReleasedBuffersAreWiped looks into buffers that others will use: nothing of a message is left in them, and they do
// not hold on to it.
func TestReleasedBuffersAreWiped(t *testing.T) {
	secret := strings.Repeat("secret", 2000)
	for name, body := range map[string]string{
		"usual lines": strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte(secret)), "c2VjcmV0c2VjcmV0", "c2VjcmV0c2VjcmV0\r\n"),
		"one line":    base64.StdEncoding.EncodeToString([]byte(secret)),
		"not base64":  "*" + secret,
	} {
		b := new(base64Reader)
		b.start(new(Decoder), strings.NewReader(body), int64(len(body)))
		buffers := b.base64Buffers
		text, err := io.ReadAll(b)
		if err != nil || name != "not base64" && string(text) != secret {
			t.Fatalf("%s: %d octets, %v", name, len(text), err)
		}
		if b.base64Buffers != nil {
			t.Fatalf("%s: buffers are kept", name)
		}
		for _, buf := range [][]byte{contents(t, buffers.src), buffers.buf[:cap(buffers.buf)], buffers.block[:cap(buffers.block)]} {
			if len(bytes.Trim(buf, "\x00")) > 0 {
				t.Errorf("%s: %q is left", name, buf)
			}
		}
	}
}

// TestReleasedWindowsAreWiped is the same for the window on a multipart body.
func TestReleasedWindowsAreWiped(t *testing.T) {
	body := "--b\r\n\r\n" + strings.Repeat("secret", 2000) + "\r\n--b--\r\n"
	e, err := Parse(strings.NewReader("Content-Type: multipart/mixed; boundary=b\r\n\r\n"+body), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s := newSplitter(e, []byte("--b"))
	short := s.short
	for range 2 {
		if _, found, err := s.next(nil); err != nil || !found {
			t.Fatalf("%t, %v", found, err)
		}
	}
	if !bytes.Contains(short[:], []byte("secret")) {
		t.Fatal("the window shows nothing")
	}
	s.release()
	if s.window != nil || len(bytes.Trim(short[:], "\x00")) > 0 {
		t.Errorf("%q is left", short[:])
	}
}

// contents returns the whole buffer of a reader that has no source.
func contents(t *testing.T, r *bufio.Reader) []byte {
	t.Helper()
	buf := make([]byte, r.Size())
	r.Reset(untouched{&buf})
	if _, err := r.Peek(r.Size()); err != nil {
		t.Fatal(err)
	}
	return buf
}

// untouched is a source that shows what is in the buffer that it is to fill.
type untouched struct{ seen *[]byte }

func (u untouched) Read(p []byte) (int, error) { return copy(*u.seen, p), nil }
