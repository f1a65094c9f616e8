// Package index keeps, encrypted, what a client knows of the mail of one account between two runs: for each message its
// octets, a record of the caller's making, what a search asks for, and the words of its text.
//
// It is a cache and nothing else. All that is in it can be had again from the server, so one that is damaged, missing, or
// made under another key costs time and no mail: [Destroy] it and fetch again. Do not keep here what exists nowhere else.
// An old copy put in the place of a newer one is not noticed.
//
// Records and words are in an SQLite database whose pages are encrypted by a wide-block cipher, each with a checksum
// inside: whoever changes a page on disk makes all of it meaningless, which is [ErrDamaged]. Octets are in segment files
// beside it, to which is only ever appended, each message sealed under a random key of its own that is in the database
// alone. Removing a message removes that key, and with it the octets; what is dead in segments is given back later.
//
// Octets are on the disk before the transaction that names them ends. A kill at any instant leaves what was committed
// before it; what was written and not committed is cut off by the next who writes. Several processes may use one index at a
// time: who writes waits for the other.
package index
