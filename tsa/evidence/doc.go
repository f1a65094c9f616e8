// Package evidence makes and checks evidence records (RFC 4998): the proof that data objects existed at a time and were not
// changed since, which can be renewed before an algorithm or a certificate gets too old, for as long as is wanted.
//
// One time-stamp token covers any number of objects. It stands over the root of a hash tree whose leaves are their digests;
// the record of one object holds the token and the few hashes that lead from that object to the root, and proves it alone,
// and no other:
//
//	tree, err := evidence.NewTree(crypto.SHA256)
//	for … {
//		index, err := tree.Add(digest) // or those of a group, which has one record
//	}
//	token, err := client.StampDigest(ctx, tree.Root())
//	proven, err := tree.Stamp(token.Token)
//	record := evidence.NewRecord(proven.ArchiveTimeStamp(index))
//
// Renewal comes in two kinds (section 5). While the hash algorithm is good, a new token over the old one is enough
// ([Record.TimeStampDigest], [Record.RenewTimeStamp]); before the hash algorithm gets weak, the objects themselves are hashed
// anew, together with all evidence so far ([Record.HashTreeDigests], [Record.RenewHashTree]). Many records are renewed with
// one token in the same way as they are made: with a tree over what each of them needs to have stamped. Of a [Collection] one
// record is kept and renewed, and those of its objects are derived when they are wanted. [Record.Due] says when it is time.
//
// What a record does not hide: the hashes beside the path of an object are those of other objects, and who can guess such an
// object can see that it was there. What a hash tree of this RFC does not tell apart: a leaf and an inner node. Somebody who
// is given a record may write another, for a file whose octets are the hashes below a node; such a file means nothing.
//
// The package reads and writes no files, asks no authority and trusts no anchor by itself: the token is brought to it, and
// paths are judged by the [tsa.PathFunc] of the caller. Fields of a record that no time-stamp protects (cryptoInfos,
// encryptionInfo) are kept and not used. docs/evidence.md draws the tree, says which octets are hashed, and how others read it.
package evidence
