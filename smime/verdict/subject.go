package verdict

import (
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/smime"
)

// Covers says how much of a message a signature speaks for.
type Covers = smime.Covers

// Subject is what was found in a message, as far as a verdict depends on it.
type Subject struct {
	// Layers are those of the message from the outside in, and behind them those that are enclosed in the content.
	Layers []Layer
	// Protected says that the header fields are protected by the layers (RFC 9788), To and Cc among them.
	Protected bool
	From      []string // protected addresses
	To        []string // protected addresses of To and Cc
	Outer     []OuterField
	// FromMismatch says that the address in From differs from the protected one.
	FromMismatch bool
	Sender       SenderFacts
	Repeated     []string // names of fields that are there more than once, and must not be
}

// SenderFacts is what From says as it is displayed, protected or not.
type SenderFacts struct {
	Addresses  []string
	Unreadable string   // why From cannot be read in one way; "": it can
	Also       []string // other addresses in the name, or in comments
}

// OuterField is a header field that reads otherwise outside than inside, and is not explained by what its composer says.
type OuterField struct {
	Name  string
	Value string // "" if it is only inside
	Alone bool   // it is only outside
}

// Layer is one layer around a message, or around a part of it.
type Layer struct {
	Covers     Covers
	Encrypted  *Encrypted // exactly one of the three is set
	Signed     *Signed
	Compressed *Compressed
}

// Encrypted is a layer of encryption.
type Encrypted struct {
	Decrypted     bool
	Authenticated bool
}

// Compressed is a layer of compression. It neither adds to what a signature says nor takes away from it, if it opens.
type Compressed struct {
	Err error // why it does not
}

// Signed is a layer of signatures.
type Signed struct {
	Err        error
	Signatures []Signature
}

// Signature is what cryptography says of one signature.
type Signature struct {
	Err         error
	Weak        error     // why it does not hold unless weak algorithms are allowed, as they were
	SigningTime time.Time // claimed; zero if it is not
}

// SubjectOf takes from an opened message what a verdict depends on.
func SubjectOf(m *smime.Message) Subject {
	s := Subject{
		Protected:    protectsRecipients(&m.Protection),
		FromMismatch: m.Protection.FromMismatch,
		Repeated:     m.Repeated(),
	}
	from, err := m.Senders("From")
	if err != nil {
		s.Sender.Unreadable = err.Error()
	}
	for _, f := range from {
		s.Sender.Addresses, s.Sender.Also = append(s.Sender.Addresses, f.Address), append(s.Sender.Also, f.Also...)
	}
	for _, l := range m.Layers {
		s.Layers = append(s.Layers, layerOf(l))
	}
	for _, e := range m.Enclosed {
		s.Layers = append(s.Layers, layerOf(e.Layer))
	}
	if m.Protection.Scheme == smime.HPNone {
		return s
	}
	s.From = addresses(m, "From")
	for _, f := range slices.Concat(m.Protection.Fields.All("To"), m.Protection.Fields.All("Cc")) { // what is outside alone, anybody has added
		list, _ := smime.ParseAddresses(f.Value())
		for _, a := range list {
			s.To = append(s.To, a.Address)
		}
	}
	for _, d := range m.Protection.Differences {
		if d.Explained && !(s.FromMismatch && strings.EqualFold(d.Name, "From")) { // of that address there is something to say
			continue
		}
		s.Outer = append(s.Outer, OuterField{Name: d.Name, Value: strings.Join(d.Outer, "; "), Alone: len(d.Protected) == 0})
	}
	return s
}

// protectsRecipients reports whether the message says under its protection whom it is for.
func protectsRecipients(p *smime.HeaderProtection) bool {
	return p.Complete() || len(p.Fields.All("To"))+len(p.Fields.All("Cc")) > 0
}

func layerOf(l smime.Layer) Layer {
	layer := Layer{Covers: l.Covers}
	if e := l.Encrypted; e != nil {
		layer.Encrypted = &Encrypted{Decrypted: e.Status == smime.StatusDecrypted, Authenticated: e.Authenticated}
	}
	if c := l.Compressed; c != nil {
		layer.Compressed = &Compressed{Err: c.Err}
	}
	if signed := l.Signed; signed != nil {
		layer.Signed = &Signed{Err: signed.Err}
		for _, s := range signed.Signatures {
			layer.Signed.Signatures = append(layer.Signed.Signatures, Signature{Err: s.Err, Weak: s.Weak, SigningTime: s.SigningTime})
		}
	}
	return layer
}

func addresses(m *smime.Message, name string) []string {
	var list []string
	found, _ := m.Addresses(name)
	for _, a := range found {
		list = append(list, a.Address)
	}
	return list
}
