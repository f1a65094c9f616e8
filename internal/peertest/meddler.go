package peertest

import (
	"regexp"
	"strings"
	"sync"
)

// Harm is what becomes of a command.
type Harm string

// What may become of a command. The server is told of it only where its answer is lost.
const (
	HarmNO      Harm = "NO"              // IMAP
	HarmBAD     Harm = "BAD"             // IMAP
	HarmBYE     Harm = "BYE"             // IMAP; the connection ends
	Harm4yz     Harm = "451"             // SMTP
	Harm5yz     Harm = "554"             // SMTP
	Harm421     Harm = "421"             // SMTP; the connection ends
	HarmGarbage Harm = "garbage"         // an answer of no protocol
	HarmLost    Harm = "lost on the way" // the connection ends before the server has it
	HarmAnswer  Harm = "answer lost"     // the connection ends before the answer
	HarmStall   Harm = "stalled"         // nothing passes any more
)

// Meddler sits between a client and a real server, and does harm to one command. Commands of IMAP are lines with a tag of
// the form T1, those of SMTP all lines but the text of a message, so that its final dot is one.
type Meddler struct {
	SMTP   bool     // the server speaks SMTP; else IMAP
	Hide   []string // capabilities of IMAP that the client does not see, as regular expressions
	Harm   Harm
	Before func() // called when the command comes that is harmed; may be nil

	mu    sync.Mutex
	nth   int    // the command that is harmed, from 1 on, since Arm; 0: none is
	seen  int    // commands since Arm
	tag   string // of the IMAP command whose answer is kept back
	quiet bool   // the answer to an SMTP command is kept back
	asked bool   // the client has said DATA
	text  bool   // what the client says is the text of a message
	ended bool   // the server waits for the rest of a message, of which the client believes that it was refused
}

var meddledTag = regexp.MustCompile(`^T\d+ `)

// Arm harms the nth command that comes from now on (0: none).
func (m *Meddler) Arm(nth int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nth, m.seen, m.tag, m.quiet = nth, 0, "", false
}

// Seen returns how many commands came since Arm.
func (m *Meddler) Seen() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen
}

// Tamper returns what a proxy is to do.
func (m *Meddler) Tamper() Tamper { return Tamper{Client: m.client, Server: m.server} }

func (m *Meddler) client(line string) (string, Fate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tag := ""
	if m.SMTP {
		if m.ended {
			return "221 2.0.0 so be it", Cut
		}
		if m.text && line != "." {
			return "", Pass
		}
		m.asked = strings.EqualFold(line, "DATA")
	} else if tag = meddledTag.FindString(line); tag == "" {
		return "", Pass
	}
	inText := m.text
	m.text = false
	if m.nth == 0 {
		return "", Pass
	}
	if m.seen++; m.seen != m.nth {
		return "", Pass
	}
	if m.Before != nil {
		m.Before()
	}
	switch m.Harm {
	case HarmNO, HarmBAD:
		return tag + string(m.Harm) + " [CANNOT] harmed", Pass
	case HarmBYE:
		return "* BYE harmed", Cut
	case Harm4yz, Harm5yz:
		m.ended = inText
		return string(m.Harm) + " " + string(m.Harm[0]) + ".3.0 harmed", Pass
	case Harm421:
		return "421 4.3.2 harmed", Cut
	case HarmGarbage:
		m.ended = inText
		return "what is this", Pass
	case HarmLost:
		return Swallow, Cut
	case HarmAnswer:
		m.tag, m.quiet = tag, m.SMTP
	case HarmStall:
		return Swallow, Stall
	}
	return "", Pass
}

func (m *Meddler) server(line string) (string, Fate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.quiet && len(line) > 3 && line[3] == '-', m.tag != "" && !strings.HasPrefix(line, m.tag) && !strings.HasPrefix(line, "+"):
		return Swallow, Pass
	case m.quiet, m.tag != "" && strings.HasPrefix(line, m.tag):
		m.tag, m.quiet = "", false
		return Swallow, Cut
	case m.SMTP && strings.HasPrefix(line, "220 "): // another connection
		m.text, m.ended = false, false
	case m.SMTP && m.asked && strings.HasPrefix(line, "354 "):
		m.text = true
	}
	if strings.Contains(line, "CAPABILITY") {
		for _, c := range m.Hide {
			line = regexp.MustCompile(` `+c+`\b`).ReplaceAllString(line, "")
		}
	}
	return line, Pass
}
