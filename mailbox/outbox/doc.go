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
//	                                       → (final dot, server's no)  → queued
//	                                       → (line dies)               stays uncertain
//
// The outbox holds octets: whoever adds a message has sealed it before. Addresses are in clear in it, as the submission
// server must be told them. Several processes may use one outbox at the same time.
//
// # On disk
//
//	DIR/.lock               held shared by whoever changes something, alone by who clears up
//	DIR/ID/entry.json       what is to be done, and how far it is
//	DIR/ID/0.eml 1.eml …    messages, octet by octet
//	DIR/ID.lock             held by who delivers the entry
//	DIR/.new-… DIR/.done-…  entries before their acceptance and after their end; removed by Open
//
// Accepting is the rename of a .new- folder, all of whose files are durable. Folders have mode 0700, files 0600.
package outbox
