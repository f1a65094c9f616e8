package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/mailbox/index"
	"github.com/sealmail/sealmail/smime/verdict"
)

// archiveRecord is what is known of a message that goes into an archive: where it was, and what was found when it came in. Its JSON
// is what was found; the archive itself says the rest.
type archiveRecord struct {
	Account      string     `json:"-"`
	Folder       string     `json:"-"`
	UIDValidity  uint32     `json:"-"`
	UID          uint32     `json:"-"`
	Flags        []string   `json:"-"`
	InternalDate *time.Time `json:"-"` // nil: the store has none
	Size         int64      `json:"-"` // octets
	SHA256       string     `json:"-"` // of the octets

	Line   ListLine `json:"line"`
	Report *Report  `json:"report"` // without text; null: the message could not be opened, and the line says why

	Judged *judgedBy `json:"judged"` // null as Report
	indexEvidence
}

// judgedBy is what a message was judged by, beside the proofs.
type judgedBy struct {
	Time       time.Time        `json:"time"` // that counts where none is proven
	Revocation string           `json:"revocation"`
	AllowWeak  bool             `json:"allow_weak"`
	Own        []string         `json:"own,omitempty"` // addresses of the reader
	Anchors    []archivedAnchor `json:"anchors,omitempty"`
	Stampers   []string         `json:"timestamp_anchors,omitempty"` // fingerprints
}

// archivedAnchor is the end of a path that was valid.
type archivedAnchor struct {
	Certificate string `json:"certificate"` // fingerprint
	Origin      string `json:"origin"`      // whose decision it was to trust it
}

// keptKey is a content-encryption key that opened a layer of a message.
type keptKey struct {
	EncryptedKey string `json:"encrypted_key"` // SHA-256 of what the message has of it, in hexadecimal
	Key          []byte `json:"key"`
	Certificate  string `json:"certificate,omitempty"` // fingerprint of the recipient's
}

// archived is all of a message that goes into an archive beside its octets. It is closed with its arrival.
type archived struct {
	entry
	record archiveRecord
	json   []byte       // of the record
	proofs []proofPiece // that the record and the keys name
	keys   []keptKey    // of its layers, from the outside in
}

// close wipes the keys.
func (a *archived) close() {
	for _, k := range a.keys {
		clear(k.Key)
	}
	a.keys = nil
}

// newArchiveJudge is the judge of what goes into an archive.
func (c *Client) newArchiveJudge(p VerifyParams) (*judge, error) {
	j, err := c.newJudge(p)
	if err != nil {
		return nil, err
	}
	j.unseen, j.keepKeys = true, true
	return j, nil
}

// archiveEnd is where messages of one folder are judged for an archive, and handed over one after the other in the order in which
// they arrived. keep has the octets, the record and the keys of a message until it returns.
type archiveEnd struct {
	judge   *judge
	account string
	folder  index.Folder
	keep    func(context.Context, *arrival[archived]) error
}

// look is for arrivalsEnd.
func (e *archiveEnd) look(ctx context.Context, a *arrival[archived]) (err error) {
	a.found, err = archiveArrival(ctx, e.judge, e.account, e.folder, a)
	return err
}

// take is for arrivalsEnd.
func (e *archiveEnd) take(ctx context.Context, a *arrival[archived]) error {
	defer a.close()
	return e.keep(ctx, a)
}

// flush is for arrivalsEnd: nothing waits.
func (e *archiveEnd) flush(context.Context) error { return nil }

// archiveArrival judges a message that arrived, for an archive, and makes a record of what is found. What is wrong with the
// message alone is in its line and keeps it out of no archive; of a message that did not arrive there is the line alone.
func archiveArrival[T any](ctx context.Context, j *judge, account string, folder index.Folder, a *arrival[T]) (to archived, err error) {
	to.entry, err = enter(ctx, j, account, folder.Name, a, func(r *judged, _ ListLine) error {
		to.found(j, r)
		return nil
	})
	if err == nil && a.err == nil {
		to.record.InternalDate = timeOrNull(a.info.InternalDate)
		err = to.describe(folder, a.octets.Section())
		if err == nil {
			err = to.encode()
		}
	}
	if err != nil {
		to.close()
		return archived{}, err
	}
	return to, nil
}

// describe fills in what is known of a message that arrived whatever is in it.
func (a *archived) describe(folder index.Folder, octets *io.SectionReader) error {
	hash := sha256.New()
	size, err := io.Copy(hash, io.LimitReader(octets, octets.Size())) // which says how large a buffer need be
	if err != nil {
		return failed("", err, "")
	}
	r, l := &a.record, a.line
	r.Account, r.Folder, r.UIDValidity, r.UID, r.Flags = l.Account, l.Folder, folder.UIDValidity, l.UID, l.Flags
	r.Size, r.SHA256, r.Line = size, hex.EncodeToString(hash.Sum(nil)), l
	if r.Report != nil {
		r.Report.Account, r.Report.Folder, r.Report.UID = orNull(l.Account), orNull(l.Folder), orNull(l.UID)
	}
	return nil
}

// maxFindings bounds the octets of what was found about a message that comes in. An archive takes no larger records, and a message
// that has a megabyte in each of its fields is to be archived all the same.
const maxFindings = 8 << 20

// encode writes the record. Where a hostile message has something found in it that has no form in JSON, such as a date after the
// year 9999, the record does without what was found, and says why.
func (a *archived) encode() (err error) {
	if a.json, err = json.Marshal(a.record); err == nil && len(a.json) > maxFindings {
		err = fmt.Errorf("it has %d octets", len(a.json))
		a.line.From, a.line.Subject, a.line.MessageID = nil, nil, nil // which is what is so long
	}
	if err == nil {
		return nil
	}
	a.line.Error = orNull("what was found cannot be written: " + err.Error())
	a.record.Line, a.record.Report, a.record.Judged, a.record.indexEvidence = a.line, nil, nil, indexEvidence{}
	if a.message.Line, err = json.Marshal(a.line); err == nil {
		a.json, err = json.Marshal(a.record)
	}
	return err
}

// found fills in what was found out about a message that could be opened.
func (a *archived) found(j *judge, r *judged) {
	a.record.Report = r.report()
	a.record.Report.Warnings = boundWarnings(a.record.Report.Warnings)
	a.record.Evidence = r.evidence
	a.record.Proof, a.proofs = r.proofs(j.parsed)
	by := &judgedBy{Time: j.policy.Now.UTC(), Revocation: string(j.policy.Revocation), AllowWeak: j.allowWeak, Own: distinct(j.policy.Own)}
	for _, path := range r.paths {
		name := j.parsed.Fingerprint(path[len(path)-1])
		if !slices.ContainsFunc(by.Anchors, func(a archivedAnchor) bool { return a.Certificate == name }) {
			by.Anchors = append(by.Anchors, archivedAnchor{name, string(r.originOf(name))})
		}
	}
	slices.SortFunc(by.Anchors, func(a, b archivedAnchor) int { return strings.Compare(a.Certificate, b.Certificate) })
	for _, cert := range r.stampers {
		by.Stampers = append(by.Stampers, j.parsed.Fingerprint(cert))
	}
	a.record.Judged = by
	for _, k := range r.message.ContentKeys() {
		kept := keptKey{EncryptedKey: hex.EncodeToString(k.EncryptedKey[:]), Key: slices.Clone(k.Key)}
		if k.Certificate != nil {
			kept.Certificate = j.parsed.Fingerprint(k.Certificate)
			a.proofs = append(a.proofs, certificatePieces(j.parsed, k.Certificate)...)
		}
		a.keys = append(a.keys, kept)
	}
}

// originOf is whose decision an anchor was; one that is given in a file is private.
func (r *judged) originOf(fingerprint string) certstore.Origin {
	if anchor, known := r.origins[fingerprint]; known {
		return anchor.Origin
	}
	return certstore.Private
}

// maxArchiveRecord bounds the octets of a record that is read. The largest are those of messages with very many parts.
const maxArchiveRecord = 64 << 20

// errRecord is that the record of a message is none that was written.
var errRecord = errors.New("the record of the message cannot be read")

// readArchiveRecord reads what was found. The error is errRecord.
func readArchiveRecord(data []byte) (r archiveRecord, err error) {
	if len(data) > maxArchiveRecord {
		return r, fmt.Errorf("%w: it has %d octets", errRecord, len(data))
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return archiveRecord{}, fmt.Errorf("%w: %w", errRecord, err)
	}
	if r.Judged == nil {
		return r, nil
	}
	switch verdict.RevocationMode(r.Judged.Revocation) {
	case verdict.RevocationSoft, verdict.RevocationHard, verdict.RevocationOff:
	default:
		return archiveRecord{}, fmt.Errorf("%w: it was judged by %q", errRecord, r.Judged.Revocation)
	}
	if r.Judged.Time.IsZero() {
		return archiveRecord{}, fmt.Errorf("%w: when it was judged is missing", errRecord)
	}
	return r, nil
}

// distinct returns the words of a list, each once.
func distinct(words []string) []string {
	words = slices.Clone(words)
	slices.Sort(words)
	return slices.Compact(words)
}
