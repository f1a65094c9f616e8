package smime

import (
	"context"
	"io"

	"github.com/sealmail/sealmail/smime/cms"
)

// EncryptOptions says how to encrypt.
type EncryptOptions struct {
	Cipher cms.Cipher // must be stated
	// Bare leaves out the MIME entity around the CMS message, which is written in BER: for programs that write the entity
	// themselves.
	Bare bool
}

// Encrypt reads a MIME entity from e and writes to dst the entity that carries it encrypted: application/pkcs7-mime
// with smime-type=authEnveloped-data where the cipher authenticates, else enveloped-data (RFC 8551 sections 3.3, 3.4).
// Line ends and output are as with [Sign]. Everybody in one message sees who the other recipients are: blind copies are
// encrypted alone.
func Encrypt(ctx context.Context, dst io.Writer, e io.Reader, to []cms.Recipient, o EncryptOptions) error {
	out := newBufferedWriter(dst)
	smimeType := "enveloped-data"
	if o.Cipher.Authenticated() {
		smimeType = "authEnveloped-data"
	}
	lines := newCMSBody(out, o.Bare, smimeType, "S/MIME encrypted message")
	encrypted, err := cms.NewEnvelopedDataWriter(ctx, lines, cms.EnvelopedDataOptions{Cipher: o.Cipher, Recipients: to})
	if err != nil {
		return err
	}
	// RFC 8551 section 3.1: the canonical form is what is protected. A bare carriage return is safe in here.
	if _, err := copyCanonical(ctx, encrypted, e); err != nil {
		return err
	}
	if err := encrypted.Close(); err != nil {
		return err
	}
	if err := lines.Close(); err != nil {
		return err
	}
	return out.Flush()
}
