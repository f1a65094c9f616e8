// Package mailbox moves and keeps opaque messages: a [Store] holds them in folders, a [Submitter] hands them to a mail
// server for delivery. [DialIMAP] and [DialSMTP] are the two over the network.
//
// A message is a sequence of octets here, with CRLF line ends, and leaves as it came in: what is inside (MIME, CMS,
// signatures) is nobody's business in this package, and nothing is parsed but the protocols themselves.
//
// Connections are encrypted, and servers checked, or there is no connection: TLS from the first octet (imaps,
// submissions) or STARTTLS before anything else (imap, submission; RFC 8314). Credentials travel inside TLS only. Each
// network step is bounded in time ([Options].Timeout), each answer in size, and a cancelled context ends the step and
// the connection with it.
//
// What goes wrong comes back as one of a few types that can be told apart and told to a person: [ConnectError],
// [AuthError], [QuotaError], [TooLargeError], [RefusedError], [UncertainError], [ServerError] and the sentinels
// [ErrNotFound] and [ErrNoFolder]. Text of a server inside an error is cut short and cleaned of control characters.
//
// The package keeps nothing on disk and never tries twice by itself: mailbox/outbox remembers what is yet to be sent,
// mailbox/index what was seen, and mailbox/mailboxtest holds the tests that each Store and Submitter has to pass.
package mailbox
