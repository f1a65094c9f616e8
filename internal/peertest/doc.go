// Package peertest gives tests the programs and data that are not part of the project: peers (openssl, gpgsm,
// cmsutil and others), real mail servers (Dovecot and Postfix, started for one test process), and corpora of messages.
//
// What is absent makes a test skip, by name; with SEALMAIL_REQUIRE_PEERS=1 (peers and mail servers) or
// SEALMAIL_REQUIRE_CORPORA=1 it makes the test fail. A package whose tests use this one has
//
//	func TestMain(m *testing.M) { peertest.Main(m) }
//
// which stops the mail servers at the end and prints, once, what was absent.
//
// Only test files import this package.
package peertest
