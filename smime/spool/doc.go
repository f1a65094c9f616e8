// Package spool keeps decrypted text in quarantine until its integrity was decided, and readable afterwards.
//
// A [Spool] holds its first octets in memory and everything beyond a threshold in a temporary file, encrypted under a
// random key that exists in memory only: what a crash leaves on disk is unreadable. The encryption protects secrecy
// alone, not integrity: somebody who can write to another user's open temporary file is out of scope.
package spool
