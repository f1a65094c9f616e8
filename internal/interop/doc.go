// Package interop exchanges CMS messages between smime/cms and other implementations, in both directions, and keeps the
// outcome as the table docs/interop.md. It exchanges evidence records with Bouncy Castle, and reads the corpora that others
// collected.
//
// It holds tests only. A form is a kind of message with its algorithms; a peer is a program or library that writes and
// reads forms. Each form is written here and read by each peer, and written by each peer and read here; what has passed
// is "yes" in the table, and what a peer cannot do stands there in the peer's own words. What we cannot do is a failing
// test. After a change on purpose,
//
//	go test ./internal/interop -run TestTable -update
//
// writes the table anew, to be read before it is committed.
package interop
