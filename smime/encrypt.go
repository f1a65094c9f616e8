package smime

import (
	"context"
	"io"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
)

// EncryptOptions says how to encrypt.
type EncryptOptions struct {
	Cipher cms.Cipher // must be stated
}

// Encrypt reads a MIME entity from e and writes to dst the entity that carries it encrypted: application/pkcs7-mime
// with smime-type=authEnveloped-data where the cipher authenticates, else enveloped-data (RFC 8551 sections 3.3, 3.4).
// Line ends and output are as with [Sign]. Everybody in one message sees who the other recipients are: blind copies are
// encrypted alone.
func Encrypt(ctx context.Context, dst io.Writer, e io.Reader, to []cms.Recipient, o EncryptOptions) error {
	out := newBufferedWriter(dst)
	if o.Cipher.Authenticated() {
		writeCMSHeader(out, "authEnveloped-data", "S/MIME encrypted message")
	} else {
		writeCMSHeader(out, "enveloped-data", "S/MIME encrypted message")
	}
	lines := entity.NewBase64Writer(out)
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
