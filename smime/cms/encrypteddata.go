package cms

import (
	"context"
	"encoding/asn1"
	"io"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// EncryptedData is a content under a key that both sides have by other means (RFC 5652 section 8). After [Read] its head
// is known; [EncryptedData.Decrypt] reads the rest. It authenticates nothing.
type EncryptedData struct {
	Version           int
	EContentType      asn1.ObjectIdentifier // what is inside
	ContentEncryption AlgorithmIdentifier
	Cipher            Cipher // 0 where the algorithm is not implemented, or is none for this kind of message
	KeySize           int    // octets of the key that Decrypt wants; 0 where that is not known

	// UnprotectedAttributes stand behind the content and are there after Decrypt. Anybody may have changed them.
	UnprotectedAttributes Attributes

	content *encryptedContent
}

// ContentType returns OIDEncryptedData.
func (e *EncryptedData) ContentType() asn1.ObjectIdentifier { return OIDEncryptedData }

// readEncryptedData reads up to the octets of the ciphertext.
func readEncryptedData(s *structure, l Limits) (*EncryptedData, error) {
	if err := s.r.Enter(ber.Universal, ber.TagSequence); err != nil {
		return nil, malformed(err)
	}
	e := &EncryptedData{}
	var err error
	if e.Version, err = s.version(); err != nil {
		return nil, err
	}
	if e.content, err = s.encryptedContentInfo(l, "EncryptedData", false); err != nil {
		return nil, err
	}
	e.EContentType, e.ContentEncryption = e.content.contentType, e.content.algorithm
	e.Cipher, e.KeySize = e.content.parameters.cipher, e.content.parameters.keySize
	return e, nil
}

// Check is [EnvelopedData.Check] for this kind of message.
func (e *EncryptedData) Check(o DecryptOptions) error { return e.content.check(o) }

// Decrypt is [EnvelopedData.Decrypt] under a key that the caller has. A key of another length than KeySize is
// [ErrDecrypt] like any other that does not fit.
func (e *EncryptedData) Decrypt(ctx context.Context, quarantine io.Writer, key []byte, o DecryptOptions) error {
	src, err := e.content.open(key, o)
	if err != nil {
		return err
	}
	return e.content.decryptCBC(ctx, quarantine, key, src, func() (err error) {
		e.UnprotectedAttributes, err = e.content.readTail(1)
		return err
	})
}
