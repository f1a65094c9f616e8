// Package certstore keeps certificates and decides what they may be used for: one's own identities, the certificates
// of correspondents, and the trust anchors for each [Purpose].
//
// It holds the one address match of the project ([MatchAddress]), which sending and reading both use, and the path
// validation for e-mail protection, time stamping and servers ([Validator]). It reads and writes PKCS#12, PEM and DER.
//
// It does not know messages, mail servers or the network: revocation lists and issuers that have to be fetched are
// someone else's errand. Private keys are kept by package vault below this one; a small certificate authority is in
// package ca.
package certstore
