// Package cms reads and writes the Cryptographic Message Syntax (RFC 5652, RFC 5083, RFC 5084) as a stream, in constant
// memory whatever the size of the content: SignedData, EnvelopedData and AuthEnvelopedData as S/MIME 4.0 (RFC 8551)
// and time stamps (RFC 3161) need them.
//
// It answers what cryptography can answer: does this signature fit this content and this certificate, does this key
// open this message. It knows no MIME, no certificate paths, no revocation and no trust, touches neither files nor
// network, and has no clock: times are parameters.
//
// Reading goes in two steps. [Read] reads the head of a message and says what it is; the value it returns holds the
// open stream, and its content is read next, into a quarantine that the caller provides:
//
//	info, err := cms.Read(src, cms.Limits{})
//	signed, ok := info.(*cms.SignedData)
//	digest, err := signed.ReadContent(ctx, quarantine) // or ReadDetached(ctx, content)
//	results, err := signed.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData})
//
// What is in the quarantine must be released to nobody before that has succeeded. Input comes in BER or DER, is never
// trusted, and is bounded by [Limits] in depth, count and size. Certificates stay as they came and are parsed only
// when needed, so that one odd certificate never makes a message unreadable.
package cms
