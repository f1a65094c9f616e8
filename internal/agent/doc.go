// Package agent keeps the unlocked root key of a vault for the commands of its user, in a process of its own behind a Unix
// socket, so that none of them need ask for a passphrase or pay for deriving a key from it.
//
// [Start] runs that process and hands it the key over a pipe; [Run] is what it does. The key lies in memory that is not
// swapped out where the system allows it, in a process that leaves no core dump, and is wiped at the end: when the time is
// over, at [End], when the context ends, and when somebody asks for the key of another root, because then the vault has a
// new one.
//
// The socket is for its user alone, three times over: it lies in a folder that nobody else can enter, has the mode 0600,
// and each side asks the system who the other is. A conversation is one line there and one back:
//
//	get ID      key, and behind the line the 32 octets; or other
//	status      status TIME ID
//	end         ended, after the key was wiped
//
// The package knows nothing of vaults. It works on Linux and macOS; elsewhere everything is [ErrUnavailable].
package agent
