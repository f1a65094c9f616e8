package verdict

import (
	"time"

	"github.com/sealmail/sealmail/smime"
)

// Evidence is what was found out about one signature. It is plain data, and can be kept.
type Evidence struct {
	Time       TimeEvidence       `json:"time"`
	Chain      ChainEvidence      `json:"chain"`
	Revocation RevocationEvidence `json:"revocation"`
	Address    AddressEvidence    `json:"address"`
}

// TimeEvidence is what the time-stamp tokens of a signature prove. Of several tokens, the caller takes the best one.
type TimeEvidence struct {
	Token     bool      `json:"token"`               // there is one
	Proven    time.Time `json:"proven,omitzero"`     // zero: not proven
	Authority string    `json:"authority,omitempty"` // name of who proves it
	// AuthorityEnds is when the validity of the authority's certificate ends.
	AuthorityEnds time.Time `json:"authority_ends,omitzero"`
	// AuthorityUnchecked is why it is not known whether the authority was revoked; "" where it was not, or where nobody is
	// named who would know.
	AuthorityUnchecked string   `json:"authority_unchecked,omitempty"`
	Code               TimeCode `json:"code"` // TimeOK, or why it proves nothing
	Reason             string   `json:"reason"`
}

// TimeCode says why a token proves nothing.
type TimeCode string

// The values of TimeCode. A token that breaks, or that is for another signature, is told from one whose authority is
// merely not trusted.
const (
	TimeOK                 TimeCode = ""
	TimeNoToken            TimeCode = "no-token"
	TimeTokenBroken        TimeCode = "token-broken"
	TimeTokenMismatch      TimeCode = "token-mismatch"
	TimeUntrustedAuthority TimeCode = "untrusted-authority"
)

// ChainEvidence is what path validation found at the time that counts.
type ChainEvidence struct {
	Code   ChainCode `json:"code"` // ChainOK, or why there is no valid path
	Reason string    `json:"reason"`
	// Certificates are the fingerprints of the path, the signer's first. Without them ChainOK says nothing.
	Certificates []string `json:"certificates"`
	Anchor       string   `json:"anchor"` // name of the trust anchor
}

// ChainCode says why there is no valid path.
type ChainCode string

// The values of ChainCode, as certificate stores name them.
const (
	ChainOK                     ChainCode = ""
	ChainNoAnchor               ChainCode = "no-anchor"
	ChainExpired                ChainCode = "expired"
	ChainNotYetValid            ChainCode = "not-yet-valid"
	ChainKeyUsage               ChainCode = "key-usage"
	ChainExtendedKeyUsage       ChainCode = "extended-key-usage"
	ChainNotACA                 ChainCode = "not-a-ca"
	ChainNameConstraints        ChainCode = "name-constraints"
	ChainPathLength             ChainCode = "path-length"
	ChainBadSignature           ChainCode = "bad-signature"
	ChainCriticalExtension      ChainCode = "critical-extension"
	ChainUnsupportedCertificate ChainCode = "unsupported-certificate"
	ChainInvalid                ChainCode = "chain-invalid"
)

// RevocationEvidence is what revocation lists or OCSP say of the certificates in the path. Of several certificates, the
// caller takes the worst.
type RevocationEvidence struct {
	Code   RevocationCode `json:"code"`
	At     time.Time      `json:"at,omitzero"` // if good: when it was said; if revoked: from when
	Source string         `json:"source"`      // "OCSP", "CRL" and the like
	Reason string         `json:"reason"`      // a sentence
	// KeyCompromise says that the reason of the revocation is that the key is in other hands (keyCompromise, cACompromise,
	// aACompromise of RFC 5280 section 5.3.1), so that it may have signed anything, and dated it as it pleased.
	KeyCompromise bool `json:"key_compromise"`
	// Invalidity is the invalidityDate of a revocation (RFC 5280 section 5.3.2); zero if it is not stated.
	Invalidity time.Time `json:"invalidity,omitzero"`
}

// RevocationCode says what is known about revocation. Its zero value says nothing, as RevocationUnknown does.
type RevocationCode string

// The values of RevocationCode.
const (
	RevocationGood    RevocationCode = "good"
	RevocationRevoked RevocationCode = "revoked"
	RevocationUnknown RevocationCode = "unknown"
)

// AddressEvidence is how the sender's addresses compare with the signer's certificate.
type AddressEvidence struct {
	From       []string `json:"from"` // every mailbox in every From field that is to be displayed
	Unreadable bool     `json:"unreadable"`
	Reason     string   `json:"reason,omitempty"` // why it is
	Sender     string   `json:"sender"`           // the mailbox of Sender; "" if there is none
	// NoMessage says that what was signed is a file or a bare entity: there is no header field of a message anywhere, so
	// that nobody is named as its sender, and nobody can be named falsely.
	NoMessage bool `json:"no_message"`
	// NoCertificate says that the signer's certificate is missing, so that there is nothing to compare with.
	NoCertificate bool `json:"no_certificate"`
	FromMatches   bool `json:"from_matches"`
	SenderMatches bool `json:"sender_matches"`
}

// AddressEvidenceOf reads who a message, or an enclosed one, says it is from. Whom of them a certificate speaks for is left
// to the caller.
func AddressEvidenceOf(m interface {
	Senders(name string) ([]smime.Sender, error)
}) AddressEvidence {
	var e AddressEvidence
	from, err := m.Senders("From")
	for _, s := range from {
		e.From = append(e.From, s.Address)
	}
	if err != nil {
		e.Unreadable, e.Reason = true, err.Error()
	}
	if sender, err := m.Senders("Sender"); err == nil && len(sender) == 1 {
		e.Sender = sender[0].Address
	}
	return e
}

// TimeThatCounts returns the proven time if there is one, else now: the time at which paths and revocation are judged.
func TimeThatCounts(t TimeEvidence, now time.Time) time.Time {
	if t.proves() {
		return t.Proven
	}
	return now
}

func (t TimeEvidence) proves() bool { return t.Token && t.Code == TimeOK && !t.Proven.IsZero() }
