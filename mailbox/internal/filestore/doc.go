// Package filestore has what the stores that keep mail in files, and not behind a server, have in common: the numbers of
// messages, their line ends, and the calls of a [mailbox.Store] on top of what a [Format] can do with its files.
package filestore
