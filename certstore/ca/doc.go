// Package ca is a small certificate authority for a team: a root, two issuers below it, and certificates for mail, time
// stamping, archives and servers, which it can revoke.
//
// An authority is a folder:
//
//	ca.json                     its settings
//	root.pem                    the root: what others trust
//	issuing.pem services.pem    the issuers, for mail and for servers and time stamps
//	chain.pem                   the issuers and the root
//	keys/root/vault.json        the root's private key; the folder may be kept elsewhere
//	keys/issuing/vault.json     the private keys of the issuers and of their OCSP responders
//	issued/SERIAL.pem           every certificate issued
//	holders/HASH.json           the certificates for a key, by the SHA-256 of the key, and whether it is compromised
//	revoked/SERIAL.json         a revocation
//	root.crl issuing.crl …      the last revocation lists
//
// Each file appears, or is replaced, as a whole, and nothing is handed out before it is there. What a kill leaves is
// therefore no more than what was not yet promised: a serial number without certificate among those of a key, or a
// revocation that the list lacks, which the next reader of the list adds, as it takes away a hold that was lifted. A list remembers its own number. There is no
// index: to issue costs the same however much was issued.
//
// Profiles follow RFC 5280 and, as far as a private authority can, the CA/Browser Forum's S/MIME baseline requirements,
// whose policy identifiers are not claimed. Each certificate is checked by zlint before it is signed: all by its lints
// for RFC 5280, those for mail also by its lints for the baseline, as if they claimed a policy of it. Serial numbers
// are random, of 128 bits.
//
// What it is not: it knows no network (package server does), no requests that wait for approval, no delta or
// partitioned lists, and no renewal of its own certificates; when they end, another authority is made.
package ca
