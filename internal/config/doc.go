// Package config reads the configuration strictly into validated accounts, and says where everything lies on disk.
//
// A key that is misspelt, a value that means nothing, an address that is none: each is an error that names the file, the
// line and the mend. Nothing is guessed and nothing falls back. Secrets are not kept here: a password lies in the vault,
// or comes from a command or a file that the configuration names.
package config
