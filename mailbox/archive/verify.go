package archive

import (
	"context"
	"crypto/x509"
	"time"
)

// Level is how much of an archive is verified.
type Level int

// The levels, each with all that the one before it has.
const (
	// Quick holds every object against the signed head, and verifies all signatures, time-stamps and evidence of segments.
	Quick Level = iota
	// Sample opens some messages, too, and holds octets, record and commitment against one another.
	Sample
	// Full does that with every message, and holds each file of each segment against its manifests, and each commitment against
	// the evidence.
	Full
)

// Severity is how bad a finding is.
type Severity string

// Severities.
const (
	Damage Severity = "damage" // the archive is not, or not provably, what was archived
	Note   Severity = "note"   // something to know, or to do
)

// Code is a stable word for what was found.
type Code string

// The codes of damage.
const (
	HeadMissing       Code = "head-missing"       // the archive has no head
	HeadAltered       Code = "head-altered"       // its head is not one that was signed
	HeadInconsistent  Code = "head-inconsistent"  // it contradicts itself
	SignerRefused     Code = "signer-refused"     // who signed may not
	CertificateExtra  Code = "certificate-extra"  // a certificate with a signature is none of its signer's path
	ObjectMissing     Code = "object-missing"     // the head speaks of an object that is not there
	ObjectAltered     Code = "object-altered"     // it is another one
	ObjectUnreadable  Code = "object-unreadable"  // it cannot be read
	ObjectUnexpected  Code = "object-unexpected"  // it looks like one of the archive, and the head does not speak of it
	RolledBack        Code = "rolled-back"        // there is more than the head speaks of, or the witness knows of more
	SignatureRefused  Code = "signature-refused"  // a segment's signature is none over it
	TimeStampRefused  Code = "time-stamp-refused" // a segment's time-stamp proves nothing
	EvidenceRefused   Code = "evidence-refused"   // a segment's evidence record proves nothing, or not all messages
	ChainBroken       Code = "chain-broken"       // a segment does not follow on the one before it
	MessageAltered    Code = "message-altered"    // a message is not what was archived
	MessageMissing    Code = "message-missing"    // it is not there
	ManifestAltered   Code = "manifest-altered"   // a list of files in a segment is not what was archived
	SegmentAltered    Code = "segment-altered"    // something else in a segment is not what was archived
	KeysAltered       Code = "keys-altered"       // keys do not open
	StatementsAltered Code = "statements-altered" // statements do not follow on one another
)

// The codes of notes.
const (
	ObjectForeign    Code = "object-foreign"     // something lies in the archive's place that is not of it
	LeftBehind       Code = "left-behind"        // a writer that was interrupted left it; the next one mends that
	SignerExpired    Code = "signer-expired"     // the certificate of the head has expired since
	TimeStampMissing Code = "time-stamp-missing" // a segment has no time-stamp yet
	EvidenceExpired  Code = "evidence-expired"   // what proves the time of a segment was not renewed in time
)

// Finding is something that verification found.
type Finding struct {
	Severity    Severity
	Code        Code
	Object      string // its name; "" where it is about the whole archive
	Segment     int    // 0: none
	First, Last Number // of the messages it is about; 0: none in particular
	Reason      string // for people
}

// Proof is what a time-stamp or an evidence record proves.
type Proof struct {
	Time time.Time // since when, at the latest
	// Outdated says that a certificate of the last authority has expired, so that it proves less by the day.
	Outdated bool
}

// VerifyOptions say how an archive is verified, and what is trusted. Without a function for it something is verified as far as
// it goes without trust; the Summary says so. The functions are called by several goroutines at a time.
type VerifyOptions struct {
	Level   Level
	Sample  int // how many messages Sample opens, at random
	Workers int // how many segments at a time; 0: as many as there are processors

	// Signer returns the path from c, which signed something of the archive, to what is trusted to sign it; extra are
	// certificates that came with the signature, at is when it is to be judged.
	Signer func(ctx context.Context, c *x509.Certificate, extra []*x509.Certificate, at time.Time) ([]*x509.Certificate, error)
	// Token verifies a time-stamp token (RFC 3161) over data.
	Token func(ctx context.Context, token, data []byte) (*Proof, error)
	// Evidence verifies an evidence record (RFC 4998): for a leaf alone where there is one, else for all leaves of the hash tree
	// that it begins with, the first of which it is the record of.
	Evidence func(ctx context.Context, record []byte, leaves [][]byte) (*Proof, error)

	// Witness is an older head of the archive that was kept elsewhere; nil: there is none.
	Witness []byte

	// Progress, unless nil, is told how far it is, by one goroutine at a time.
	Progress func(Progress)
}

// Progress is how far verification is.
type Progress struct {
	Octets, AllOctets     int64 // of segments
	Messages, AllMessages int64 // that are opened
}

// Summary is what came of verification.
type Summary struct {
	Archive  string // its identifier; "" where it is not known
	Level    Level
	Headless bool      // there is no head to hold anything against: segments were verified by their own signatures
	Sequence int64     // of the head
	HeadTime time.Time // as its signer's clock had it

	Objects  int   // that were verified
	Octets   int64 // of them
	Segments int
	Messages int64 // in the archive
	Checked  int64 // messages that were opened, and held against their commitments
	Shredded int64 // messages that can be opened no more, as was meant, of those that were looked at

	Unstamped        int       // segments without a time-stamp
	Earliest, Latest time.Time // proven times of segments; zero: there is none
	WithoutKeys      int       // segments in which nothing was opened, because nobody here has the keys
	SignersJudged    bool      // it was asked who may sign
	TimesJudged      bool      // time-stamps and evidence were verified
	// WitnessChecked says that the archive was held against a witness. Otherwise it is not known whether the whole of it was put
	// back to what it was some time ago.
	WitnessChecked bool

	Damage, Notes int
	Codes         map[Code]int
}

// Sound reports whether nothing was found that is damage.
func (s *Summary) Sound() bool { return s.Damage == 0 }

// Verify verifies the archive in the storage, whatever is the matter with it, and calls each for all that it finds. It goes on as
// far as it can: where there is no head that could be believed, segments are verified by their own signatures. o may be without
// keys: then what is encrypted is verified as octets. Memory does not grow with the archive beyond its head.
//
// The error is that of the context, that of each, or ErrNoArchive where there is nothing at all. Of what is damaged, only the
// Summary and the findings speak.
func Verify(ctx context.Context, s Storage, o Options, v VerifyOptions, each func(Finding) error) (*Summary, error) {
	return (&verification{storage: s, o: o, v: v, each: each}).run(ctx)
}

// Verify verifies the archive as it is in its storage now; see the function of this name.
func (a *Archive) Verify(ctx context.Context, v VerifyOptions, each func(Finding) error) (*Summary, error) {
	return Verify(ctx, a.storage, a.o, v, each)
}
