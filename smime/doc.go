// Package smime signs, encrypts and opens S/MIME messages (RFC 8551) as streams.
//
// [Sign] and [Encrypt] take a MIME entity and write the entity that protects it, in constant memory. [ProtectHeaders]
// and [WriteOuterHeader] put the header fields of a message inside and outside as RFC 9788 asks. So a protected message
// is made from the inside out:
//
//	payload, outer, err := smime.ProtectHeaders(body, fields, smime.HPCipher)
//	err = smime.Sign(ctx, signed, payload, signer, smime.SignOptions{SigningTime: now})
//	err = smime.WriteOuterHeader(dst, outer)
//	err = smime.Encrypt(ctx, dst, signed, recipients, smime.EncryptOptions{Cipher: cms.AES256GCM})
//
// [Open] goes the other way: it peels the layers that protect a message as a whole, from the outside in, and says what
// cryptography says of each. What it returns as content is exactly what was signed or decrypted, octet for octet; text
// that failed to decrypt is released to nobody. Whether a signer is to be trusted is not decided here: package verdict
// does that from the evidence that its caller collects.
//
// The package knows no files but the temporary ones of package spool, no network, no certificate store and no clock.
package smime
