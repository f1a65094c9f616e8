// Package outbox keeps messages that were accepted for sending until they are sent.
//
// A message is accepted when Add returns: it is on the disk then and survives a kill at any instant. Deliver submits
// it, puts the sender's copy into a folder, and forgets it. A kill, a fault of the disk or a broken line at any step
// loses nothing and sends nothing twice. What SMTP cannot promise (RFC 1047) is not hidden: when all of a message but
// the answer to its final dot went over the line, its fate is unknown. It is uncertain then, and stays so until a
// person decides: Deliver with ResendUncertain sends the same octets again, Drop forgets them.
//
// A message's way, each arrow durable before the next step:
//
//	queued → (all octets sent) → uncertain → (final dot, server's OK) → sent
//	                                       → (server's no for now)     → queued
//	                                       → (server's no for good)    → refused
//	                                       → (line dies)               stays uncertain
//
// A server's no before the final dot leads to queued and refused in the same way. What is queued is tried again: Entry.Due
// tells when, after waits that grow from a minute to some hours. What was refused is left alone until a person decides, by
// Deliver with RetryRefused, or Drop. A mail of several messages keeps what was sent of it sent, whatever becomes of the
// others.
//
// The outbox holds octets: whoever adds a message has sealed it before. Addresses are in clear in it, as the submission
// server must be told them. Several processes may use one outbox at the same time.
//
// # On disk
//
//	DIR/.lock               held shared by whoever changes something, alone by who clears up
//	DIR/ID/entry.json       what is to be done, and how far it is
//	DIR/ID/0.eml 1.eml …    messages, octet by octet
//	DIR/ID/0.dot-1 …        marks: message 0 came to its final dot at attempt 1; void once entry.json tells of that attempt
//	DIR/ID.lock             held by who delivers the entry
//	DIR/.new-… DIR/.done-…  entries before their acceptance and after their end; removed by Open
//
// Accepting is the rename of a .new- folder, all of whose files are durable. Folders have mode 0700, files 0600.
package outbox
