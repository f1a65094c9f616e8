// Package ca is a small certificate authority for a team: a root, an issuing authority below it, and certificates for
// mail, time stamping, archives and servers.
//
// An authority is a folder:
//
//	ca.json                    its settings
//	root.pem issuing.pem       the two certificates
//	chain.pem                  both, issuing first
//	keys/root/vault.json       the root's private key; the folder may be kept elsewhere, issuing does without it
//	keys/issuing/vault.json    the issuing authority's private key
//	issued/SERIAL.pem          every certificate issued
//	index.json                 what is known of each
//
// Profiles follow RFC 5280 and, as far as a private authority can, the CA/Browser Forum's S/MIME baseline requirements,
// whose policy identifiers are not claimed. Serial numbers are random, of 128 bits.
//
// The package does not revoke as yet, and it serves nothing over a network.
package ca
