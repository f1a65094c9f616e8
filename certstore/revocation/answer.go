package revocation

import (
	"bytes"
	"slices"
	"time"
)

// Status is what is known of a certificate.
type Status uint8

// The values of Status. The zero value says nothing.
const (
	Unknown Status = iota
	Good
	Revoked
)

// String returns the word of RFC 6960 section 2.2.
func (s Status) String() string {
	switch s {
	case Good:
		return "good"
	case Revoked:
		return "revoked"
	}
	return "unknown"
}

// What an answer rests on.
const (
	SourceOCSP = "OCSP"
	SourceCRL  = "CRL"
)

// Answer is what was found out about one certificate of a path.
type Answer struct {
	Index  int // of the certificate in the path
	Status Status

	// At is, where the certificate is good, when that was said (thisUpdate); where it is revoked, from when on. It is zero
	// where the list has no date that can be read: then it is revoked from ever.
	At    time.Time
	Until time.Time // nextUpdate: how long the answer is fresh; zero where nothing is promised, or nothing known

	Reason        string    // of a revocation, by its name in RFC 5280 section 5.3.1, or ""
	ReasonStated  bool      // unspecified, where it is not stated, may hide any other (RFC 3161 section 4)
	KeyCompromise bool      // the key, or that of an issuer, is in other hands
	Invalidity    time.Time // invalidityDate (RFC 5280 section 5.3.2), zero where it is not stated

	Source   string   // SourceOCSP, SourceCRL, or "" where nothing is known
	Why      string   // a sentence; what it takes from certificates and servers is short and quoted
	Evidence Evidence // what says so: given back, it gives the same answer for the same time
}

// Evidence is octets that say something of revocation, all in DER. Nothing in it is trusted: each piece is judged by its
// signature.
type Evidence struct {
	CRLs          [][]byte `json:"crls,omitempty"`           // CertificateList
	OCSPResponses [][]byte `json:"ocsp_responses,omitempty"` // OCSPResponse
	Certificates  [][]byte `json:"certificates,omitempty"`   // of issuers of lists that are not in the path
}

// Add puts in what other has more.
func (e *Evidence) Add(other Evidence) {
	e.CRLs = union(e.CRLs, other.CRLs)
	e.OCSPResponses = union(e.OCSPResponses, other.OCSPResponses)
	e.Certificates = union(e.Certificates, other.Certificates)
}

func union(list, more [][]byte) [][]byte {
	for _, m := range more {
		if !containsOctets(list, m) {
			list = append(list, m)
		}
	}
	return list
}

// covers reports whether all lists and responses of other are there.
func (e Evidence) covers(other Evidence) bool {
	return !slices.ContainsFunc(other.CRLs, func(der []byte) bool { return !containsOctets(e.CRLs, der) }) &&
		!slices.ContainsFunc(other.OCSPResponses, func(der []byte) bool { return !containsOctets(e.OCSPResponses, der) })
}

func containsOctets(list [][]byte, der []byte) bool {
	return slices.ContainsFunc(list, func(l []byte) bool { return bytes.Equal(l, der) })
}

// revocation is what a list or a response says of a certificate that is revoked.
type revocation struct {
	at         time.Time
	reason     Reason
	stated     bool // the reason
	invalidity time.Time
}

// lifts reports whether the revocation may have ended by itself, so that only fresh evidence tells.
func (r revocation) lifts() bool { return r.reason == ReasonCertificateHold }

func (r revocation) answer(source string) Answer {
	a := Answer{Status: Revoked, At: r.at, Reason: r.reason.String(), ReasonStated: r.stated, KeyCompromise: r.reason.keyCompromise(),
		Invalidity: r.invalidity, Source: source}
	since := "revoked, since when cannot be read"
	if !r.at.IsZero() {
		since = "revoked since " + stamp(r.at)
	}
	a.Why = since + ": " + a.Reason + " (" + source + ")"
	return a
}

// stamp returns a time for a sentence.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
