// Package archive keeps mail so that it can be read and proven for as long as is wanted: encrypted, signed, time-stamped, and
// only ever added to.
//
// An archive is a set of objects in a [Storage]. Messages are in segments, ZIP files that are bags of RFC 8493, each message
// sealed under a key of its own beside a commitment to its octets that says nothing without its salt. A segment is signed with
// the archiving certificate, its signature stamped (RFC 3161), and signature and commitments have an evidence record (RFC 4998).
// The [Head] lists every object with its digest, and is signed as well: what it does not speak of is not in the archive. Keys are
// sealed under a segment key that a [Keeper] has, and to recovery certificates.
//
// A [Writer] adds messages: they are archived once Seal has returned. After a kill at any instant the next writer mends what is
// half done, and nothing that was archived is touched. [Archive.Verify] finds whatever was changed, and names it.
//
// What may not be destroyed is said by statements ([Writer.State], [Policy]): holds, and retentions, which count from proven times.
// [Writer.Shred] destroys single messages by leaving their keys out of the next generation of their segment's keys; nothing else changes.
// [Writer.Renew] renews all evidence at once.
//
// docs/archive.md describes the format, and docs/archive-statements.md holds, retention and destruction.
//
// What the package does not do: it asks no authority and no server, opens no mail, trusts no certificate, and knows no clock; all that is
// brought by its caller. That the whole archive was put back to what it was some time ago cannot be seen in it: who keeps a copy of the
// head elsewhere can tell.
package archive
