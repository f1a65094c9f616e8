// Package export puts messages into files that other programs read: each into one, all into an mbox file or a Maildir, or into a bag
// with a record of each.
//
// An export has its name once it is whole, and replaces nothing. What a message, or the name of the folder that it was in, says leads
// to no file outside of it.
package export
