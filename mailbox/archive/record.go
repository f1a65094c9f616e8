package archive

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
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
	ranges [][2]uint32 // ascending, with gaps between them
}

// Add puts in a UID.
func (s *UIDSet) Add(uid uint32) { s.add(uid, uid) }

// Union puts in all of other.
func (s *UIDSet) Union(other UIDSet) {
	for _, r := range other.ranges {
		s.add(r[0], r[1])
	}
}

// Has reports whether a UID is in the set.
func (s *UIDSet) Has(uid uint32) bool {
	_, found := slices.BinarySearchFunc(s.ranges, uid, func(r [2]uint32, uid uint32) int {
		switch {
		case r[1] < uid:
			return -1
		case r[0] > uid:
			return 1
		}
		return 0
	})
	return found
}

// Len returns how many UIDs there are.
func (s *UIDSet) Len() (n int64) {
	for _, r := range s.ranges {
		n += int64(r[1]) - int64(r[0]) + 1
	}
	return n
}

func (s *UIDSet) add(from, to uint32) {
	// The ranges that touch the new one are joined with it.
	i, _ := slices.BinarySearchFunc(s.ranges, from, func(r [2]uint32, from uint32) int {
		if int64(r[1])+1 < int64(from) {
			return -1
		}
		return 1
	})
	j := i
	for ; j < len(s.ranges) && int64(s.ranges[j][0]) <= int64(to)+1; j++ {
		from, to = min(from, s.ranges[j][0]), max(to, s.ranges[j][1])
	}
	s.ranges = slices.Replace(s.ranges, i, j, [2]uint32{from, to})
}

// MarshalText writes the set.
func (s UIDSet) MarshalText() ([]byte, error) {
	var b []byte
	for i, r := range s.ranges {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(r[0]), 10)
		if r[1] != r[0] {
			b = strconv.AppendUint(append(b, ':'), uint64(r[1]), 10)
		}
	}
	return b, nil
}

// UnmarshalText reads what MarshalText writes.
func (s *UIDSet) UnmarshalText(text []byte) error {
	s.ranges = nil
	if len(text) == 0 {
		return nil
	}
	for word := range strings.SplitSeq(string(text), ",") {
		first, last, isRange := strings.Cut(word, ":")
		from, err := strconv.ParseUint(first, 10, 32)
		to := from
		if err == nil && isRange {
			to, err = strconv.ParseUint(last, 10, 32)
		}
		if err != nil || from == 0 || to < from {
			return ErrAltered
		}
		s.add(uint32(from), uint32(to))
	}
	return nil
}
