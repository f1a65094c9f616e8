// Package vault keeps private keys and other secrets encrypted at rest, in one file.
//
// Each entry is sealed (AES-256-GCM) under a random key of its own; these keys are wrapped under the vault's root key,
// and the root is wrapped under a key derived from what unlocks the vault: a passphrase and a device secret, which is 32
// random octets that are kept outside the file ([Device] says where), or the device secret alone. To forget one entry is to
// drop one wrapped key; [Vault.Rotate] replaces root, passphrase and device secret, so that an old copy of the file opens
// nothing any more, whoever knows the passphrase.
//
// The file is JSON, of version 2:
//
//	{"format": "sealmail-vault", "version": 2,
//	 "root": {"id": …, "made": TIME | absent, "scrypt": {"n": …, "r": …, "p": …, "salt": …} | absent,
//	          "device": {"kind": "beside" | "keyring"} | {"kind": "folder", "folder": …}, "wrapped": …},
//	 "entries": [{"id": …, "kind": …, "key": …, "secret": …}, …]}
//
// Octets are base64. "wrapped", "key" and "secret" are a nonce of 12 octets, the ciphertext and the tag. Associated
// data binds each to its role, to its form and to the identifier and kind of its entry, so that none can stand in
// another's place. The key that wraps the root is HKDF-SHA256 (RFC 5869) over the output of scrypt (RFC 7914), where there
// is a passphrase, and the device secret. An unprotected vault has the device secret alone. A device secret beside the
// vault protects from nothing but a copy of the vault file alone.
//
// In version 1 the root is either under a passphrase alone ("device" is absent) or under a device secret of the kind
// "file", in vault.key beside the vault. Such files are read and written, and become version 2 with their next root.
//
// Writers exclude one another by a lock file, and read the vault again under the lock: two processes never lose each
// other's entries. Readers need no lock, because the file is replaced as a whole.
//
// A backup takes the file and its device secret ([Setting.Copy]). On a machine that has no such place for the secret as the
// file names, [Setting.PlaceSecret] puts it beside the vault, where it is looked for after that place, until the next Rotate.
//
// What the package does not do: find out the passphrase, or keep the root for other processes. An entry that is deleted may
// still be in old copies of the file, and opens until the next Rotate; [Vault.Shred] does both at once.
package vault
