package client

import (
	"bytes"
	_ "embed" // for the template
	"strings"
	"text/template"
)

// proofReadme is what the README of a proof is made of. All of it is digits, fingerprints, times, or a name that is cleaned.
type proofReadme struct {
	Number, Segment, SHA256 string
	Size                    int64

	Signer, SignerFingerprint string
	SignerRoot                string // fingerprint; empty: there is no archive-root.pem
	Time                      string // of the timestamp; empty: there is none
	AttestedAt                int64  // the same, in seconds since 1970
	Authority, AuthorityRoot  string

	Verdict            string // empty: the message could not be opened
	Opened             bool   // there is opened.eml
	SignedIn           string // the file that the sender's signature is in
	Sender, SenderRoot string // empty: there is no sender-root.pem
}

//go:embed archiveproofreadme.txt
var proofReadmeTemplate string

// text returns the README: lines that begin with "$ " are commands.
func (r proofReadme) text() []byte {
	r.Signer, r.Authority, r.Sender = nameInReadme(r.Signer), nameInReadme(r.Authority), nameInReadme(r.Sender)
	t := template.Must(template.New("README").Parse(proofReadmeTemplate))
	var b bytes.Buffer
	_ = t.Execute(&b, r) // into memory, of fields that are there
	return b.Bytes()
}

// nameInReadme is a name out of a certificate in which nothing is a control character or the beginning of a line.
func nameInReadme(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, name)
}
