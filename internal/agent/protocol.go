package agent

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// KeySize is the size of the key that an agent keeps, in octets.
const KeySize = 32

const (
	maxID   = 64  // octets
	maxLine = 160 // octets
)

// errProtocol says that the other side speaks another language.
var errProtocol = errors.New("not the words of an agent")

// The verbs of requests.
const (
	verbGet    = "get"
	verbStatus = "status"
	verbEnd    = "end"
)

type request struct {
	verb string
	id   string // for get
}

func (r request) String() string {
	if r.verb == verbGet {
		return r.verb + " " + r.id
	}
	return r.verb
}

func parseRequest(line string) (request, error) {
	verb, id, more := strings.Cut(line, " ")
	switch {
	case verb == verbGet && validID(id), (verb == verbStatus || verb == verbEnd) && !more:
		return request{verb, id}, nil
	}
	return request{}, errProtocol
}

// validID reports whether an identifier can stand in a line: lower-case hexadecimal.
func validID(id string) bool {
	return id != "" && len(id) <= maxID && strings.Trim(id, "0123456789abcdef") == ""
}

// The words that replies begin with.
const (
	wordKey    = "key"
	wordOther  = "other"
	wordStatus = "status"
	wordEnded  = "ended"
)

type reply struct {
	word   string
	status Status // for status
}

func (r reply) String() string {
	if r.word == wordStatus {
		return fmt.Sprintf("%s %s %s", r.word, r.status.Until.UTC().Format(time.RFC3339), r.status.ID)
	}
	return r.word
}

func parseReply(line string) (reply, error) {
	words := strings.Split(line, " ")
	switch words[0] {
	case wordKey, wordOther, wordEnded:
		if len(words) == 1 {
			return reply{word: words[0]}, nil
		}
	case wordStatus:
		if len(words) != 3 || !validID(words[2]) {
			break
		}
		until, err := time.Parse(time.RFC3339, words[1])
		if err != nil {
			break
		}
		return reply{word: wordStatus, status: Status{Until: until, ID: words[2]}}, nil
	}
	return reply{}, errProtocol
}

// readLine reads a line of bounded length, without its end. It reads an octet at a time, and nothing behind the line: there
// may be a key, which goes into no buffer.
func readLine(r io.Reader) (string, error) {
	var line []byte
	var c [1]byte
	for {
		if _, err := io.ReadFull(r, c[:]); err != nil {
			return "", err
		}
		if c[0] == '\n' {
			return string(line), nil
		}
		if len(line) == maxLine {
			return "", errProtocol
		}
		line = append(line, c[0])
	}
}
