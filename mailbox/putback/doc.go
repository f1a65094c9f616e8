// Package putback puts messages that are kept elsewhere, and numbered there, into the folders of a store, each once.
//
// A store has no way to say "this one, unless you have it", and the answer to an APPEND may be lost with the line (RFC 9051
// section 6.3.12 promises nothing about it), or the program be killed before it comes. So a journal says what is about to be
// put where before that is done, and under which number it is there afterwards; and before anything is put into a folder it is
// looked at what that folder has. What has the same octets is the same message: it is there already, whoever put it there.
package putback
