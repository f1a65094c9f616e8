package archive

import (
	"encoding/json"
	"math"
	"time"
)

// Origin says where a message was when it was archived.
type Origin struct {
	Account     string `json:"account"`
	Folder      string `json:"folder"`
	UIDValidity uint32 `json:"uidvalidity"`
	UID         uint32 `json:"uid"`
}

// Message is what an archive is given of a message, beside its octets.
type Message struct {
	Origin
	Flags        []string
	InternalDate time.Time // when it came to the folder; zero: unknown
	// Findings is what was found when the message was archived, for the caller: a JSON value.
	Findings json.RawMessage
	// Material are certificates, revocation lists and the like that the findings speak of. A segment keeps each once.
	Material []Material
	// ContentKeys open the message when its recipient's own key is gone.
	ContentKeys []ContentKey
	// Duplicate is the number of an archived message with the very same octets, which are then not kept twice; 0: there is none.
	Duplicate Number
}

// Material is something that findings rest on.
type Material struct {
	Kind string `json:"kind"` // such as certificate, crl, ocsp
	DER  []byte `json:"der"`
}

// Record is what an archive knows of a message.
type Record struct {
	Number Number `json:"number"`
	Origin
	Flags        []string   `json:"flags"`
	InternalDate *time.Time `json:"internal_date"`
	Archived     time.Time  `json:"archived"` // as the archiver's clock had it
	Size         int64      `json:"size"`     // octets
	SHA256       string     `json:"sha256"`   // of the octets
	// Salt and the octets make the commitment: SHA-512 over both.
	Salt []byte `json:"salt"`
	// OctetsIn is the number of the message that has the octets; 0: this one.
	OctetsIn Number          `json:"octets_in,omitempty"`
	Findings json.RawMessage `json:"findings,omitempty"`
}

// saltSize is as much as nobody guesses.
const saltSize = 32

// Contents say which messages of which folders are in a segment.
type Contents struct {
	Segment int              `json:"segment"`
	First   Number           `json:"first"`
	Last    Number           `json:"last"`
	Folders []FolderContents `json:"folders"`
}

// FolderContents are messages of a folder, under one numbering.
type FolderContents struct {
	Account     string `json:"account"`
	Folder      string `json:"folder"`
	UIDValidity uint32 `json:"uidvalidity"`
	UIDs        UIDSet `json:"uids"`
}

// UIDSet is a set of UIDs; in text it is like 1:500,502 (RFC 9051 section 9, sequence-set).
type UIDSet struct {
	ranges intervals[uint32]
}

// Add puts in a UID.
func (s *UIDSet) Add(uid uint32) { s.ranges.add(uid, uid) }

// Union puts in all of other.
func (s *UIDSet) Union(other UIDSet) {
	for _, r := range other.ranges {
		s.ranges.add(r[0], r[1])
	}
}

// Has reports whether a UID is in the set.
func (s *UIDSet) Has(uid uint32) bool { return s.ranges.has(uid) }

// Len returns how many UIDs there are.
func (s *UIDSet) Len() (n int64) { return s.ranges.count() }

// MarshalText writes the set.
func (s UIDSet) MarshalText() ([]byte, error) { return s.ranges.text(':'), nil }

// UnmarshalText reads what MarshalText writes.
func (s *UIDSet) UnmarshalText(text []byte) error {
	ranges, ok := parseIntervals[uint32](string(text), ":", math.MaxUint32)
	if !ok {
		return ErrAltered
	}
	s.ranges = ranges
	return nil
}
