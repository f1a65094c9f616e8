// Package revocation finds out whether certificates of a path are revoked, from certificate revocation lists (RFC 5280
// sections 5 and 6.3) and from OCSP responders (RFC 6960, RFC 9654, RFC 5019).
//
// [Checker.Check] is asked about a path that was validated, at the time that counts, and answers for each certificate but
// the anchor: good, revoked or unknown, why, and with the octets that say so. What it is given comes first (lists and
// responses that lay in a message or were kept), then what was fetched before, then the network, if it has a [Fetcher]:
// the responders that the certificate names, and its distribution points; with AskAnyway these are asked also where what was
// given says good. Nothing here chooses what an answer means for a message.
//
// Evidence is judged for a time. It speaks for the time that counts if that is not after its nextUpdate; a statement made
// later speaks for earlier times too, as a certificate that is good was good. A revocation stands whatever its age, but
// for certificateHold, which may be lifted. A clock may be wrong by five minutes.
//
// A responder is believed if it is the issuer of the certificate, or if that issuer gave it a certificate for OCSP signing
// directly. Whether the certificate of a responder is itself revoked is not asked, with or without id-pkix-ocsp-nocheck. A
// request has a nonce. A response with another one is refused; one without is taken as long as its own times allow at
// present, as responders that answer from a stock send none (RFC 5019 section 4).
//
// Everything from outside is bounded: 64 MiB and two million entries of a list, 64 KiB of a response, the issuers that are
// tried, the addresses that are asked, and the time that one Check may spend on the network.
package revocation
