// Package entity reads MIME entities (RFC 2045, RFC 2046, RFC 5322) without changing an octet of them.
//
// A signature stands over the octets of a part as they are, so a part here is a range of a source that can be read
// again and again: its header fields keep their folding, its multipart body is cut exactly at the boundaries, and
// nothing is copied or re-encoded. [Parse] reads a header, [Walk] the whole tree, [Entity.Decode] undoes the transfer
// encoding.
//
// Mail is often malformed. What can be read in one way only is read, and every liberty that was taken is a [Note].
// Everything is bounded by [Limits], and nothing recurses on input.
//
// The package does not compose messages, knows no cryptography, and makes nothing safe for a terminal.
package entity
