// Package vault keeps private keys and other secrets encrypted at rest, in one file.
//
// Each entry is sealed (AES-256-GCM) under a random key of its own; these keys are wrapped under the vault's root key,
// and the root is wrapped under a key derived from what unlocks the vault: a passphrase, a secret kept outside the
// file, or both. To forget one entry is to drop one wrapped key; to change the passphrase is to wrap the root anew.
//
// The file is JSON, of version 1:
//
//	{"format": "sealmail-vault", "version": 1,
//	 "root": {"id": …, "scrypt": {"n": …, "r": …, "p": …, "salt": …} | absent,
//	          "device": {"kind": "file", "name": …} | absent, "wrapped": …},
//	 "entries": [{"id": …, "kind": …, "key": …, "secret": …}, …]}
//
// Octets are base64. "wrapped", "key" and "secret" are a nonce of 12 octets, the ciphertext and the tag. Associated
// data binds each to its role, to the version and to the identifier and kind of its entry, so that none can stand in
// another's place. The key that wraps the root is HKDF-SHA256 over the outputs of scrypt and of the device, of which
// at least one is there. An unprotected vault has the device alone: a random secret in a file beside the vault, which
// protects from nothing but a copy of the vault file alone. [Vault.Protected] says so.
//
// Writers exclude one another by a lock file, and read the vault again under the lock: two processes never lose each
// other's entries. Readers need no lock, because the file is replaced as a whole.
//
// What the package does not do: find out the passphrase, keep the root for other processes, or destroy. A deleted entry
// may still be in old copies of the file.
package vault
