// Package keyring keeps small secrets in the keyring of the operating system: the Secret Service (GNOME Keyring, KWallet)
// on Linux and the BSDs, the Keychain on macOS, the Credential Manager on Windows.
//
// A keyring asks its user at times, or hangs, or is not there, as on a server without a desktop: each step has a time limit,
// and [ErrUnavailable] says what is missing. What is stored is base64, because keyrings take text; they limit its size, so
// that only what is small goes there: a passphrase, a key.
//
// The package decides nothing: which secrets are kept here is its callers' business.
package keyring
