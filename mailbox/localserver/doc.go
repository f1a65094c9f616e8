// Package localserver is a small mail server inside the process: IMAP (RFC 3501 with the extensions that sealmail
// uses) and SMTP submission (RFC 6409) over TLS, on loopback addresses and nowhere else.
//
// It is what the demonstration and the tests send and fetch through, so it behaves as a server on the network does:
// TLS before any password, UIDs that stay what they were over restarts and kills, message octets kept exactly, a
// Received field put on top at delivery, unknown recipients refused, full mailboxes refused.
//
// It is not a mail transfer agent: it knows its own users, delivers to them alone and relays to nobody. It refuses to
// listen on an address that others could reach.
//
// # On disk
//
//	DIR/.lock                                one server at a time
//	DIR/alice@example.org/.account.json      the last UIDVALIDITY given out
//	DIR/alice@example.org/.incoming/         messages on their way in; emptied at start
//	DIR/alice@example.org/INBOX/.folder.json UIDVALIDITY, UIDNEXT, subscription, special use
//	DIR/alice@example.org/INBOX/0000000042.eml   a message, octet by octet as it came
//	DIR/alice@example.org/INBOX/0000000042.json  its flags and internal date
//
// A message exists from the instant its .eml file has its name; everything that must be known about it was made
// durable before that. Names of users and folders are percent-encoded to one path element each, so no name leads out
// of its folder.
package localserver
