// Package ber reads and writes the Basic Encoding Rules of ASN.1 (X.690) as a stream.
//
// CMS messages of any size arrive in BER: indefinite lengths, and octet strings cut into segments. A [Reader] walks
// such a message without recursion and without holding content in memory; depth and the size of everything that is
// held are bounded by [Limits]. What is held (certificates, attributes) comes out either verbatim or as DER.
//
// The package knows tags and lengths only. What a value means is its caller's business; for values that were brought
// into memory as DER, golang.org/x/crypto/cryptobyte is the right tool.
package ber
