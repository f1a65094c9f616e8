// Package hostiletest makes the hostile messages of testdata/hostile: forged, odd and misleading ones, each with what is
// right about it.
//
// A [Case] holds the words that say what it is about, the expectations, which are written by hand from what the verdict
// promises and not from what the program says, and the way the message is built. The tests of this package make the files anew:
//
//	go test ./internal/hostiletest -make        # the messages, with the keys in testdata/pki
//	go test ./internal/hostiletest -make-keys   # first, new keys and certificates
//
// The tests of cmd/sealmail read them. The package serves tests only: it panics where a message cannot be built.
package hostiletest
