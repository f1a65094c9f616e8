package client

import (
	"strings"
	"time"
)

// Report is what `verify` and `read` say of one message; its JSON is a contract.
type Report struct {
	File    *string `json:"file"`
	Index   *int    `json:"index,omitempty"` // of the message in an mbox file, from 1
	Account *string `json:"account"`
	Folder  *string `json:"folder"`
	UID     *uint32 `json:"uid"`

	Verdict    string            `json:"verdict"`
	Message    MessageReport     `json:"message"`
	Layers     []LayerReport     `json:"layers"`
	Encryption string            `json:"encryption"`
	Signatures []SignatureReport `json:"signatures"`
	Text       *string           `json:"text,omitempty"`
	Parts      []PartReport      `json:"parts"`
	Warnings   []WarningReport   `json:"warnings"`
}

// MessageReport is the header as displayed: protected fields where there are any.
type MessageReport struct {
	From             *string           `json:"from"`
	Sender           *string           `json:"sender"`
	ReplyTo          []string          `json:"reply_to,omitempty"` // where answers go, if the message says so
	To               []string          `json:"to"`
	Cc               []string          `json:"cc"`
	Subject          *string           `json:"subject"`
	Date             *time.Time        `json:"date"`
	MessageID        *string           `json:"message_id"`
	ProtectedHeaders []string          `json:"protected_headers"`
	Outer            map[string]string `json:"outer"`
}

// LayerReport is one layer around the message, from the outside in.
type LayerReport struct {
	Type   string  `json:"type"` // encrypted, signed, compressed
	Form   string  `json:"form"`
	Status *string `json:"status,omitempty"` // of encryption, and of compression: decompressed, failed; signed layers have none
	*EncryptionReport
}

// EncryptionReport is what an encrypted layer has to tell beyond that; other layers have none of it.
type EncryptionReport struct {
	Cipher        *string           `json:"cipher"`
	Authenticated bool              `json:"authenticated"`
	Key           *string           `json:"key"` // fingerprint of the certificate whose key opened it
	Recipients    []RecipientReport `json:"recipients"`
	ClosedReport
}

// ClosedReport says why no key opens an encryption: its algorithm is too weak, or not supported.
type ClosedReport struct {
	Code   *string `json:"code,omitempty"`
	Reason *string `json:"reason,omitempty"`
}

// RecipientReport is one RecipientInfo.
type RecipientReport struct {
	Type         string  `json:"type"`
	Algorithm    string  `json:"algorithm"`
	Issuer       *string `json:"issuer"`
	Serial       *string `json:"serial"`
	SubjectKeyID *string `json:"subject_key_id,omitempty"`
	Mine         bool    `json:"mine"`
}

// SignatureReport is one SignerInfo, judged.
type SignatureReport struct {
	Layer       int               `json:"layer"`
	Covers      string            `json:"covers"`
	Verdict     string            `json:"verdict"`
	Checks      ChecksReport      `json:"checks"`
	Signer      *SignerReport     `json:"signer"`
	SigningTime SigningTimeReport `json:"signing_time"`
	Revocation  *RevocationReport `json:"revocation"`
	Digest      *string           `json:"digest"`
	Algorithm   *string           `json:"algorithm"`
}

// ChecksReport holds the axes of a verdict.
type ChecksReport struct {
	Integrity  CheckReport `json:"integrity"`
	Chain      CheckReport `json:"chain"`
	Revocation CheckReport `json:"revocation"`
	Address    CheckReport `json:"address"`
	Time       CheckReport `json:"time"`
}

// CheckReport is the outcome of one check.
type CheckReport struct {
	Status string  `json:"status"`
	Code   *string `json:"code"`
	Reason *string `json:"reason"`
}

// SignerReport is the identity in the signer's certificate.
type SignerReport struct {
	Name         *string   `json:"name"`
	Organization *string   `json:"organization"`
	Addresses    []string  `json:"addresses"`
	Validation   *string   `json:"validation"`
	Issuer       *string   `json:"issuer"`
	Serial       string    `json:"serial"`
	Fingerprint  string    `json:"fingerprint"`
	NotBefore    time.Time `json:"not_before"`
	NotAfter     time.Time `json:"not_after"`
	// Contact is how a good signer's certificate stands to those that signed as this sender before: first, known, changed.
	Contact   *string    `json:"contact,omitempty"`
	FirstSeen *time.Time `json:"first_seen,omitempty"`
}

// RevocationReport is what the check of revocation rests on; null where nothing was found out.
type RevocationReport struct {
	Source string     `json:"source"` // OCSP or CRL
	At     *time.Time `json:"at"`     // when it was said that the certificate is good, or from when on it is revoked
}

// SigningTimeReport tells what the signer claims from what an authority proves.
type SigningTimeReport struct {
	Claimed  *time.Time `json:"claimed"`
	Proven   *time.Time `json:"proven"`
	ProvenBy *string    `json:"proven_by"`
}

// PartReport is one leaf of the displayed entity.
type PartReport struct {
	Index     int     `json:"index"` // from 1: what `save --part` takes
	Type      string  `json:"type"`
	Filename  *string `json:"filename"`
	Size      int64   `json:"size"` // octets, decoded
	Signed    bool    `json:"signed"`
	Encrypted bool    `json:"encrypted"`
	Enclosed  bool    `json:"enclosed"`

	Attachment bool    `json:"attachment"` // what `save` writes
	Encloses   *string `json:"encloses"`   // message, signed, encrypted, compressed; null: it is a file or a text
	Within     *int    `json:"within"`     // the index of the attached message that it is in
	Verdict    *string `json:"verdict"`    // on the signatures of an enclosed part that begins here, or is all of this attached message
}

// WarningReport is something a reader should know that does not decide the verdict.
type WarningReport struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// ListLine is what `fetch` and `list` say of one message; its JSON is a contract.
type ListLine struct {
	Account    string          `json:"account"`
	Folder     string          `json:"folder"`
	UID        uint32          `json:"uid"`
	MessageID  *string         `json:"message_id"`
	Date       *time.Time      `json:"date"`
	From       *string         `json:"from"`
	Subject    *string         `json:"subject"`
	Verdict    *string         `json:"verdict"`
	Encryption *string         `json:"encryption"`
	Signer     *ListLineSigner `json:"signer"`
	Size       int64           `json:"size"`
	Flags      []string        `json:"flags"`
	Error      *string         `json:"error"`
}

// ListLineSigner names the signer in a list.
type ListLineSigner struct {
	Name        *string `json:"name"`
	Fingerprint string  `json:"fingerprint"`
}

// SendResult is what `send` says; its JSON is a contract.
type SendResult struct {
	MessageID  string                `json:"message_id"`
	State      *string               `json:"state"` // sent, queued, uncertain, refused; dry-run; null where nothing was accepted
	Timestamp  *time.Time            `json:"timestamp"`
	Revocation *RevocationReport     `json:"revocation"` // what goes along about the signer's own certificate; null: nothing does
	Recipients []SendRecipientResult `json:"recipients"`
	// HeaderConfidentiality is the policy by which header fields are hidden: baseline, shy, none; null where nothing is encrypted.
	HeaderConfidentiality *string `json:"header_confidentiality"`
	// Readable are the header fields that everybody on the way can read, in a dry run.
	Readable []FieldReport `json:"readable,omitempty"`
	// Draft is the message itself, in a dry run.
	Draft *DraftReport `json:"draft,omitempty"`
}

// DraftReport is a message as its author means it.
type DraftReport struct {
	From        string             `json:"from"`
	To          []string           `json:"to"`
	Cc          []string           `json:"cc"`
	Bcc         []string           `json:"bcc"`
	ReplyTo     []string           `json:"reply_to"`
	Subject     *string            `json:"subject"`
	Date        time.Time          `json:"date"`
	InReplyTo   *string            `json:"in_reply_to"`
	References  *string            `json:"references"`
	Fields      []FieldReport      `json:"fields"` // further ones
	Text        *string            `json:"text"`   // null where there is none
	Attachments []AttachmentReport `json:"attachments"`
}

// AttachmentReport is what goes along with a message.
type AttachmentReport struct {
	Filename string `json:"filename"`
	Type     string `json:"type"`
	Size     int64  `json:"size"` // octets
}

// FieldReport is a header field, decoded.
type FieldReport struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SendRecipientResult says how the message was sealed for one recipient, or why it could not be.
type SendRecipientResult struct {
	Address       string  `json:"address"`
	Certificate   *string `json:"certificate"`
	Cipher        *string `json:"cipher"`
	KeyManagement *string `json:"key_management"`
	Reason        *string `json:"reason,omitempty"` // why this cipher
	// KeyManagementReason says why the key is handed over in this way.
	KeyManagementReason *string `json:"key_management_reason,omitempty"`
	Error               *string `json:"error"`
	// Notice is something to know before sending: a first contact, another key than before.
	Notice *string `json:"notice,omitempty"`
	// Candidates are all certificates that were considered, in a dry run and where none could be used.
	Candidates []CandidateReport `json:"candidates,omitempty"`
}

// CandidateReport is a certificate that was considered for a recipient, and what came of it.
type CandidateReport struct {
	Fingerprint  string    `json:"fingerprint"`
	Name         *string   `json:"name"`
	Issuer       *string   `json:"issuer"`
	NotAfter     time.Time `json:"not_after"`
	KeyAlgorithm string    `json:"key_algorithm"`
	Chosen       bool      `json:"chosen"`
	Usable       bool      `json:"usable"`
	Code         *string   `json:"code"`   // why it is not usable
	Reason       *string   `json:"reason"` // the same in words, or something to know though it is usable
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// timeOrNull leaves out what RFC 3339 has no form for, which the time zone of a Date may lead to.
func timeOrNull(t time.Time) *time.Time {
	t = t.UTC()
	if t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
		return nil
	}
	return &t
}

// OutboxLine is what `outbox list` says of one message.
type OutboxLine struct {
	ID        string    `json:"id"`
	Account   string    `json:"account"`
	MessageID string    `json:"message_id"`
	Created   time.Time `json:"created"`
	State     string    `json:"state"` // queued, uncertain, refused, sent (and its copy is not yet in the Sent folder)
	To        []string  `json:"to"`    // the envelope recipients that are still waiting
	Attempts  int       `json:"attempts"`
	Error     *string   `json:"error"` // of the last attempt

	NextAttempt *time.Time        `json:"next_attempt"` // null: at the next opportunity, or, uncertain and refused, never by itself
	Recipients  []OutboxRecipient `json:"recipients"`
}

// OutboxRecipient is what became of a message for one of its envelope recipients.
type OutboxRecipient struct {
	Address string  `json:"address"`
	State   string  `json:"state"` // queued, uncertain, refused, sent
	Error   *string `json:"error"`
}

// CertificateLine is a certificate in a list.
type CertificateLine struct {
	Kind        string     `json:"kind"` // identity, correspondent, anchor, issuer, request
	Purpose     *string    `json:"purpose"`
	Use         *string    `json:"use,omitempty"` // of an identity, correspondent or request: mail, or sign or encrypt alone
	Subject     string     `json:"subject"`
	Addresses   []string   `json:"addresses"`
	Issuer      *string    `json:"issuer"`              // null for a request
	NotAfter    *time.Time `json:"not_after"`           // null for a request
	Fingerprint string     `json:"fingerprint"`         // of a request: the key's, SHA-256 of its SubjectPublicKeyInfo
	Label       *string    `json:"label,omitempty"`     // what the owner calls an identity
	Origin      *string    `json:"origin,omitempty"`    // whose decision an anchor is: private, local, public
	Accounts    []string   `json:"accounts,omitempty"`  // the only ones that trust an anchor, by name; none: all do
	Expiry      *string    `json:"expiry,omitempty"`    // in words, where it ends within 30 days, or did
	Requested   *time.Time `json:"requested,omitempty"` // when a request was made
	Key         *string    `json:"key,omitempty"`       // what forgetting a request does with its key: KeyDestroyed or KeyKept
}

// KindWords say what the store has a certificate as.
func (l CertificateLine) KindWords() string {
	words := l.Kind
	if l.Purpose != nil {
		words += " for " + *l.Purpose
	}
	if len(l.Accounts) > 0 {
		words += ", of " + strings.Join(l.Accounts, ", ") + " alone"
	}
	return words
}

// What becomes of the private key of a request that is forgotten.
const (
	KeyDestroyed = "destroyed"
	KeyKept      = "kept" // because there is a certificate for it
)

// SystemTrustResult says what `cert trust --system` took from the system.
type SystemTrustResult struct {
	Source  string        `json:"source"`  // the file
	Added   int           `json:"added"`   // trusted now
	Kept    int           `json:"kept"`    // trusted before
	Removed int           `json:"removed"` // trusted before as public, and in the file no more
	Skipped []SkippedRoot `json:"skipped"`
}

// SkippedRoot is a root that cannot be used.
type SkippedRoot struct {
	Label  string `json:"label"`
	Reason string `json:"reason"`
}

// FindResult is what `cert find` says of an address.
type FindResult struct {
	Address     string            `json:"address"`
	Certificate *string           `json:"certificate"` // the one that would be taken; null: none can be
	Cipher      *string           `json:"cipher"`      // for a mail to this address alone
	Reason      *string           `json:"reason"`      // why this cipher
	Candidates  []CandidateReport `json:"candidates"`
}

// RequestResult is what `cert request` and `cert renew` have made.
type RequestResult struct {
	File        *string          `json:"file"` // where the request is; null: there is none, because the certificate is here
	Addresses   []string         `json:"addresses"`
	Key         string           `json:"key"`         // SHA-256 of the public key
	Certificate *CertificateLine `json:"certificate"` // from one's own authority; null: it was asked for
}

// CertificateReport is what `cert show` says of a certificate.
type CertificateReport struct {
	SignerReport
	Subject      string   `json:"subject"`
	KeyAlgorithm string   `json:"key_algorithm"`
	Uses         []string `json:"uses"`
	Kinds        []string `json:"kinds"` // what the store has it as
	Trusted      bool     `json:"trusted"`
	Reason       *string  `json:"reason"` // why it is not trusted
	// Revocation is what was found out before about the path to an anchor; null: nothing. At is, where it is not trusted
	// because it is revoked, when that began.
	Revocation *RevocationReport `json:"revocation"`
	Chain      []string          `json:"chain"` // subjects, leaf first
	// Path is the same as Chain, with what tells the certificates from others of their names; where there is no path to an
	// anchor, the issuers as far as they are known.
	Path   []PathReport `json:"path"`
	Label  *string      `json:"label"`  // what its owner calls an identity
	Source *string      `json:"source"` // where it came from
	Origin *string      `json:"origin"` // whose decision the anchor of the path is: private, local, public
}

// PathReport is a certificate of a path.
type PathReport struct {
	Subject     string    `json:"subject"`
	Name        string    `json:"name"`
	Fingerprint string    `json:"fingerprint"`
	NotAfter    time.Time `json:"not_after"`
	Anchor      bool      `json:"anchor"`
}

// StampResult is what is known of a timestamp that was made or checked.
type StampResult struct {
	Time     time.Time `json:"time"`
	Accuracy *string   `json:"accuracy"`
	ProvenBy string    `json:"proven_by"`
	Policy   string    `json:"policy"`
	Serial   string    `json:"serial"`
	Trusted  bool      `json:"trusted"`
}

// InitResult is what `init` has set up.
type InitResult struct {
	Account      string   `json:"account"`
	Address      string   `json:"address"`
	Config       string   `json:"config"`
	Certificates []string `json:"certificates"` // fingerprints of the identities
	Timestamp    string   `json:"timestamp"`
	Protected    bool     `json:"protected"` // whether the vault has a passphrase
	Checked      bool     `json:"checked"`   // whether the servers were tried
}

// FindingStatus is how one thing that `doctor` looked at is.
type FindingStatus string

// The statuses of a Finding.
const (
	FindingGood    FindingStatus = "good"
	FindingWarning FindingStatus = "warning"
	FindingBad     FindingStatus = "bad"
)

// Finding is one thing that `doctor` looked at.
type Finding struct {
	Check  string        `json:"check"`
	Status FindingStatus `json:"status"`
	Detail string        `json:"detail"`
	Hint   *string       `json:"hint"`
}

// ReadIsGood reports whether `read` ends with 0: the message passed or is unsigned, and could be opened.
func (r *Report) ReadIsGood() bool {
	for _, l := range r.Layers {
		if l.Type == "compressed" && orEmpty(l.Status) != "decompressed" {
			return false
		}
	}
	return (r.Verdict == "passed" || r.Verdict == "unsigned") && (r.Encryption == "none" || r.Encryption == "decrypted")
}
