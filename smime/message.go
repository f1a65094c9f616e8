package smime

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/mail"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
	"github.com/sealmail/sealmail/smime/spool"
)

// Source is a message that can be read as often as wanted: an *io.SectionReader, a *bytes.Reader, a *spool.Spool. It
// must not change, and must stay readable until the Message is closed.
type Source = entity.Source

// Decrypter is a private key that messages may be encrypted to.
type Decrypter interface {
	// Unwrap returns the content-encryption key out of r. ErrNotRecipient says that r is for another certificate;
	// anything else, that this recipient cannot be served by this key. The key is the caller's, who wipes it.
	Unwrap(ctx context.Context, r cms.RecipientInfo) (cek []byte, err error)
	// Certificate is whose key it is; nil: not known, as may be with a ContentKey.
	Certificate() *x509.Certificate
}

// OpenOptions says what Open has at hand.
type OpenOptions struct {
	Decrypters   []Decrypter
	Certificates []*x509.Certificate // of signers that do not send their own
	// Detached is the content, where what is opened is a detached signature by itself. With any other, every signature
	// fails: nobody shall take it for one over this content.
	Detached Source
	// ParseCertificate parses the certificates in a message; nil means cms.RawCertificate.Parse. Somebody who opens many
	// messages of few senders can remember them.
	ParseCertificate func(cms.RawCertificate) (*x509.Certificate, error)
	AllowWeak        bool // accept what cms.VerifyOptions and cms.DecryptOptions call weak
	// KeepContentKeys has [Message.ContentKeys] return the keys that opened the layers, or should have.
	KeepContentKeys bool
	Limits          Limits
	// Spool says where the text of the layers goes. Its Limit is on all layers of the message together.
	Spool spool.Options
}

// Limits bounds what opening may cost. The zero value of a field means its default.
type Limits struct {
	Layers   int // nested layers, default 8
	Enclosed int // signatures inside the content that are looked at, default 8
	Entity   entity.Limits
	CMS      cms.Limits
}

func (l Limits) withDefaults() Limits {
	if l.Layers == 0 {
		l.Layers = 8
	}
	if l.Enclosed == 0 {
		l.Enclosed = 8
	}
	return l
}

// Covers says how much of a message a signature speaks for.
type Covers string

// The values of Covers.
const (
	CoversWhole    Covers = "whole"    // the message as displayed
	CoversPart     Covers = "part"     // one part among others
	CoversEnclosed Covers = "enclosed" // something inside an attached message
)

// Status is what became of an encrypted layer.
type Status string

// The values of Status.
const (
	StatusNone          Status = "none"          // there is no encryption
	StatusDecrypted     Status = "decrypted"     //
	StatusUndecryptable Status = "undecryptable" // no key at hand, or a cipher that is too weak, or not implemented
	StatusFailed        Status = "failed"        // damaged or forged
)

// Layer is one layer around a message: one of Encrypted, Signed and Compressed is set.
type Layer struct {
	Covers     Covers
	Encrypted  *Encrypted
	Signed     *Signed
	Compressed *Compressed
}

// Encrypted is a layer of encryption.
type Encrypted struct {
	Form string // "enveloped-data", "auth-enveloped-data"; "" where that cannot be read
	// Cipher is the algorithm's name, or its number where it is not known.
	Cipher string
	// Authenticated says that nobody without a key altered what was decrypted; false where nothing was. It says nothing
	// about a sender.
	Authenticated bool
	Status        Status
	Recipients    []Recipient
	Key           *x509.Certificate // whose key opened it; nil unless decrypted, or not known
	// Content is the entity that was encrypted, octet for octet, with any layers inside; nil unless decrypted.
	Content *io.SectionReader
	Err     error // why it was not decrypted; does not tell wrong key from altered text
	Weak    error // a *cms.WeakError where it was decrypted only because OpenOptions.AllowWeak is set

	contentKeys []ContentKey // only with OpenOptions.KeepContentKeys
}

// Recipient is one of those who can open a layer.
type Recipient struct {
	Info cms.RecipientInfo
	Mine bool  // it names the certificate of a Decrypter at hand
	Err  error // why that key could not be used, such as a locked store
}

// Signed is a layer of signatures.
type Signed struct {
	Form Form
	// Signatures holds one for every SignerInfo. There may be none, which proves nothing.
	Signatures   []Signature
	Certificates []cms.RawCertificate // as they came
	CRLs         [][]byte
	// OCSPResponses are those that the message brought along (RFC 5940), unverified.
	OCSPResponses [][]byte
	// Err says what is wrong with the layer as a whole; every Signature has it too.
	Err error
	// Content is what was signed, octet for octet; nil if there is none.
	Content *io.SectionReader
	// Canonical says that the signature holds over the content with line ends brought into canonical form, and that
	// Content is that form.
	Canonical bool
}

// Signature is one SignerInfo and what cryptography says of it.
type Signature struct {
	SignerInfo *cms.SignerInfo
	Signer     *x509.Certificate   // nil if it is missing or cannot be parsed
	Bag        []*x509.Certificate // what else the message brought along, unverified
	// SigningTime is claimed by the signer; zero if it is not.
	SigningTime time.Time
	Value       []byte   // the signature value, which time-stamp tokens stand over
	Tokens      [][]byte // RFC 3161 tokens in DER, unverified
	// RevocationValues is what the signer sent along about the revocation of the certificates of the path, unverified.
	// RevocationErr says what of it could not be read. Both are beside the signature, which is none the worse.
	RevocationValues cms.RevocationValues
	RevocationErr    error
	Digest           string // "sha256" and the like; "" if unknown
	Algorithm        string // "ecdsa-p256" and the like; "" if unknown
	Err              error  // nil: the signature holds over the content. Trust is another matter
	Weak             error  // a *cms.WeakError where the signature holds only because OpenOptions.AllowWeak is set
}

// refuse makes the layer and all its signatures fail.
func (s *Signed) refuse(err error) {
	s.Err = err
	for i := range s.Signatures {
		s.Signatures[i].Err = err
	}
}

// Message is an opened message. It must be closed.
type Message struct {
	// Header is the outermost header section of a message, as received: where the source is bare CMS, or an entity by
	// itself, that of the message that is inside its layers.
	Header entity.Header
	Layers []Layer // around the message as a whole, from the outside in
	// Enclosed are signatures inside the content. They protect no more than what they cover. Encrypted parts inside
	// the content are not opened at all.
	Enclosed []Enclosed
	// Content is the innermost entity, header and body, exactly as it was signed or decrypted: what is displayed. It is
	// nil where a layer around it could not be opened.
	Content    *io.SectionReader
	Protection HeaderProtection
	Parts      []Part
	Notes      []entity.Note // liberties that reading the outer structure took

	root   *entity.Entity
	copied int // the node that repeats header fields for readers that do not know HPProtectedHeaders; 0: none
	nodes  []entity.Node
	spools []*spool.Spool
}

// Enclosed is a signed part inside the content.
type Enclosed struct {
	Layer
	Part int // index of its first part in Message.Parts
	// Message is the index in Message.Parts of the attached message that all of it is; -1: it is less, or in none.
	Message int

	header entity.Header // of the attached message that it is in, the innermost of several
}

// Addresses is [Message.Addresses] of the attached message that the part is in: that header is where its sender is named,
// and not the one of the message around. Of a part in no attached message there are none.
func (e *Enclosed) Addresses(name string) (list []*mail.Address, ok bool) {
	return addressesOf(e.header.All(name))
}

// Senders is [Message.Senders] of the attached message that the part is in.
func (e *Enclosed) Senders(name string) ([]Sender, error) { return ReadSenders(e.header.All(name)) }

// Close wipes and removes what was decrypted. Nothing that came out of the Message can be read afterwards.
func (m *Message) Close() error {
	for _, l := range m.Layers {
		if l.Encrypted != nil {
			l.Encrypted.wipeContentKeys()
		}
	}
	var errs []error
	for _, s := range m.spools {
		errs = append(errs, s.Close())
	}
	m.spools = nil
	return errors.Join(errs...)
}

// Encryption sums up the encrypted layers: StatusNone, StatusDecrypted, or what kept one of them shut.
func (m *Message) Encryption() Status {
	status := StatusNone
	for _, l := range m.Layers {
		if l.Encrypted != nil {
			status = l.Encrypted.Status
			if status != StatusDecrypted {
				break
			}
		}
	}
	return status
}

// Fields returns the fields of this name as they are to be displayed: the protected ones where the message protects its
// header, and no others then (RFC 9788 section 4.6). Only where it was protected in an older way that leaves fields out
// (HPProtectedHeaders), those come from outside, and are not protected. For From see [Message.From].
func (m *Message) Fields(name string) (fields []entity.Field, protected bool) {
	if inside := m.Protection.Fields.All(name); len(inside) > 0 || !m.Protection.fallsBack(name) {
		return inside, true
	}
	return m.Header.All(name), false
}

// Field returns the decoded value of the first field that Fields returns, or "".
func (m *Message) Field(name string) string {
	fields, _ := m.Fields(name)
	if len(fields) == 0 {
		return ""
	}
	return fields[0].Text()
}

// From returns the From fields to be displayed. bound says that the message has a valid signature whose certificate
// speaks for the protected From: without one, a From that differs outside is shown as it is outside, because that is the
// one that mail servers may have checked (RFC 9788 section 4.4.3). Replies go to the protected one all the same.
func (m *Message) From(bound bool) []entity.Field {
	if m.FromOutside(bound) {
		return m.Header.All("From")
	}
	fields, _ := m.Fields("From")
	return fields
}

// FromOutside reports whether From returns the fields outside, which are not protected.
func (m *Message) FromOutside(bound bool) bool { return m.Protection.FromMismatch && !bound }

// Addresses returns the mailboxes in all fields of this name that Fields returns; ok is false if something in them
// cannot be read.
func (m *Message) Addresses(name string) (list []*mail.Address, ok bool) {
	fields, _ := m.Fields(name)
	return addressesOf(fields)
}

// Senders reads From, or another field that names who sent the message, as it is judged: see [ReadSenders].
func (m *Message) Senders(name string) ([]Sender, error) {
	fields, _ := m.Fields(name)
	return ReadSenders(fields)
}

// onceFields are those that a message has at most once (RFC 5322 section 3.6).
var onceFields = []string{
	"Date", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject",
}

// Repeated returns the names of fields to be displayed that are there more than once, though a message has at most one of
// them (RFC 5322 section 3.6): another reader may show another one.
func (m *Message) Repeated() []string {
	var names []string
	for _, name := range onceFields {
		if fields, _ := m.Fields(name); len(fields) > 1 {
			names = append(names, name)
		}
	}
	return names
}
