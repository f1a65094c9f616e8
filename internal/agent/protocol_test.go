package agent

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestParseRequest(t *testing.T) {
	for line, want := range map[string]bool{
		"get 0a1b": true, "status": true, "end": true,
		"": false, "get": false, "get ": false, "get 0A": false, "get 0a 0b": false, "get ../x": false, "status ": false, "end now": false, "put 0a": false,
		"get " + strings.Repeat("0", maxID): true, "get " + strings.Repeat("0", maxID+1): false,
	} {
		if _, err := parseRequest(line); (err == nil) != want {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// FuzzParseRequest: what is accepted is the one way to write it.
func FuzzParseRequest(f *testing.F) {
	f.Add("get 00ff")
	f.Add("status")
	f.Add("end")
	f.Fuzz(func(t *testing.T, line string) {
		if r, err := parseRequest(line); err == nil && r.String() != line {
			t.Fatalf("%q is %q", line, r)
		}
	})
}

// FuzzReply: whatever an agent says, no more than a line of it is read, and what is accepted says the same when written
// and read again.
func FuzzReply(f *testing.F) {
	f.Add([]byte("key\n0123456789abcdef"))
	f.Add([]byte("status 2026-11-21T10:00:00Z 00ff\n"))
	f.Add([]byte("ended\n"))
	f.Add([]byte("other\nmore"))
	f.Add(bytes.Repeat([]byte("x"), maxLine+1))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		line, err := readLine(r)
		if read := len(data) - r.Len(); read > maxLine+1 || err == nil && read != len(line)+1 {
			t.Fatalf("read %d octets for a line of %d", read, len(line))
		}
		if err != nil {
			return
		}
		answer, err := parseReply(line)
		if err != nil {
			return
		}
		again, err := parseReply(answer.String())
		if err != nil || again.word != answer.word || again.status.ID != answer.status.ID || !again.status.Until.Equal(answer.status.Until) {
			t.Fatalf("%q comes back as %+v, %v", line, again, err)
		}
		if rest, _ := io.ReadAll(r); !bytes.HasSuffix(data, rest) {
			t.Fatal("octets behind the line are gone")
		}
	})
}
