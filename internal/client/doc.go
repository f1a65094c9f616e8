// Package client holds the use cases of sealmail: send, fetch, read, verify, and all that a command line offers. A use
// case takes plain parameters, brings the rooms together (smime, certstore, tsa, mailbox), and returns a result that can
// be printed or put into JSON. It asks nobody and prints nothing; what it needs from outside (the clock, the disk, the
// passphrase, connections) is given to it in [Options].
package client
