// Package certpath is certificates and their paths by RFC 5280: it reads certificates as they are ([Parse]), finds
// paths from one to a trust anchor ([Builder]), and validates them by the algorithm of section 6.1 ([Validate]), each
// step with its section, its inputs, and a reason where it ends the work.
//
// It is more patient with odd certificates than crypto/x509: those with a key that nobody here can use, a negative
// serial number or a malformed extension are read, so that they can be shown and explained. That does not make them
// valid: what breaks the rules so far that it could not be understood is a [Problem] of the certificate, and a path with
// one is refused; so is a signature by a key that cannot be used. RFC 5280 asks that the serial number be borne with.
//
// It knows nothing of revocation, of what a certificate is used for in mail, of files or of the network. All is bounded:
// the size of a certificate, the lists in it, the signatures that are checked and the names that are compared.
package certpath
