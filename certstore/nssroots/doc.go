// Package nssroots reads the root certificates, with what each is trusted for, from the root module of NSS:
// libnssckbi.so, which distributions install with NSS, and which some builds of Thunderbird and Firefox carry.
//
// It is the one source of roots for e-mail that Linux systems have: their usual bundles hold those for servers alone. The
// module is a program that gives its answers over PKCS #11. It is not loaded, because a mail client that runs
// foreign code in its own process trusts that code with its keys; the file is read as data instead. What lies in it is
// what NSS's lib/ckfw/builtins compiles, a table with a row for each PKCS #11 object:
//
//	struct { CK_ULONG n; CK_ATTRIBUTE_TYPE *types; NSSItem *items; … } nss_builtins_data[];
//	struct NSSItem { void *data; PRUint32 size; };
//
// The symbols are not exported, so the rows are known by their form: the pointers are among the relative relocations of
// the ELF file, the first attribute is CKA_CLASS, and its value is the class of a certificate or of a trust object.
// Both forms of trust objects are known, NSS's own (CKO_NSS_TRUST) and that of PKCS #11 3.2 (CKO_TRUST).
//
// A list that is shorter than it should be would look like a decision of Mozilla's, so whatever does not fit together is
// an error: a row out of line, an object that no row leads to, a hash that does not match, trust without a certificate.
//
// What it is not: a judge. It does not say whether a root is valid today, and trusts nothing. It does not read the
// modules of macOS and Windows, nor p11-kit's replacement of the module, which has no roots of its own ([ErrP11Kit]).
// Newer builds of Firefox and Thunderbird have their roots in a form of their own inside another library, and have no such
// file at all.
package nssroots
