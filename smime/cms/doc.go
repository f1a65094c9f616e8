// Package cms reads and writes the Cryptographic Message Syntax (RFC 5652, RFC 5083, RFC 5084) as a stream, in constant
// memory whatever the size of the content: what S/MIME 4.0 (RFC 8551) and time stamps (RFC 3161) need of it, and what
// old mail still uses.
//
// It answers what cryptography can answer: does this signature fit this content and this certificate, does this key
// open this message. It knows no MIME, no certificate paths, no revocation and no trust, touches neither files nor
// network, and has no clock: times are parameters.
//
// # Reading
//
// Reading goes in two steps. [Read] reads the head of a message and says what it is; the value it returns holds the
// open stream, and its content is read next, into a quarantine that the caller provides. What is in the quarantine must
// be released to nobody before the last step has succeeded. A signed message:
//
//	info, err := cms.Read(src, cms.Limits{})
//	signed, ok := info.(*cms.SignedData)
//	digest, err := signed.ReadContent(ctx, quarantine) // or ReadDetached(ctx, content)
//	results, err := signed.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData})
//
// An encrypted one, whose recipients are all to be tried that may be meant:
//
//	enveloped, ok := info.(*cms.EnvelopedData)
//	recipient, ok := enveloped.Recipients[i].(*cms.KeyAgreeRecipientInfo)
//	cek, err := recipient.Unwrap(key)
//	err = enveloped.Decrypt(ctx, quarantine, cek, cms.DecryptOptions{})
//
// Input comes in BER or DER, is never trusted, and is bounded by [Limits], which says what a message may cost.
// Certificates stay as they came and are parsed only when needed, so that one odd certificate never makes a message
// unreadable.
//
// Whatever depends on a secret fails with one error, [ErrDecrypt]: whoever can tell two failures apart can use the
// difference to decrypt. A cipher that does not authenticate, see [Cipher.Authenticated], leaves the text unverified also
// where decrypting succeeded.
//
// # Writing
//
// [NewSignedDataWriter] and [NewEnvelopedDataWriter] take the content as it comes, and write BER in segments; a detached
// signature is DER. No algorithm is guessed: the caller states each, or asks [DefaultSignature], [DefaultKeyManagement]
// and the functions that choose by what the recipients are known to read. Every signature is over signed attributes that
// name the certificate and the algorithms.
//
// # Algorithms
//
//	signatures       RSA PKCS #1 v1.5, RSASSA-PSS, ECDSA (P-256, P-384, P-521), Ed25519; SHA-256, SHA-384, SHA-512
//	key management   RSA PKCS #1 v1.5, RSAES-OAEP, ECDH (P-256, P-384, P-521, X25519) with X9.63 or HKDF, AES key wrap
//	content          AES-128, AES-192 and AES-256, in GCM (AuthEnvelopedData) and CBC (EnvelopedData)
//	read only        passwords (PBKDF2, PWRI-KEK); CompressedData, EncryptedData, DigestedData
//	read, if weak    SHA-1, RSA keys under 2048 bits, Triple-DES, RC2: where the options allow it
//	never            MD5 and older digests, DES, RC4
//
// What is met and not implemented is an [*UnsupportedError] that names it.
package cms
