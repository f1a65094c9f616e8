package smime

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"

	"github.com/sealmail/sealmail/smime/cms"
)

// ContentKey is the content-encryption key of one layer, as a private key gave it out. Who keeps it with the message can open
// that layer, and nothing else, when the private key is gone.
type ContentKey struct {
	// EncryptedKey is the SHA-256 of the EncryptedKey in the RecipientInfo that the key came from (RFC 5652 section 6.2): it finds
	// its place again in the same message.
	EncryptedKey [sha256.Size]byte
	Key          []byte            // wiped when the Message that it came with is closed
	Certificate  *x509.Certificate // whose private key gave it out; nil: not known
}

// Decrypter opens the layer that the key is of. It has its own copy of nothing: the key must stay as it is.
func (k ContentKey) Decrypter() Decrypter { return contentKeyDecrypter{k} }

type contentKeyDecrypter struct{ key ContentKey }

// Certificate may be nil.
func (d contentKeyDecrypter) Certificate() *x509.Certificate { return d.key.Certificate }

// Unwrap returns the key for the RecipientInfo that it came from. A key that the cipher of the message has no use for, which then
// is not the message that the key is of, is [cms.ErrDecrypt].
func (d contentKeyDecrypter) Unwrap(ctx context.Context, r cms.RecipientInfo) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if sum, ok := encryptedKeyOf(r); !ok || sum != d.key.EncryptedKey {
		return nil, ErrNotRecipient
	}
	if len(d.key.Key) != r.CEKSize() {
		return nil, cms.ErrDecrypt
	}
	return bytes.Clone(d.key.Key), nil
}

// encryptedKeyOf names the key in a RecipientInfo; it is false where that is of a kind that is not implemented.
func encryptedKeyOf(r cms.RecipientInfo) (sum [sha256.Size]byte, ok bool) {
	var encrypted []byte
	switch r := r.(type) {
	case *cms.KeyTransRecipientInfo:
		encrypted = r.EncryptedKey
	case *cms.KeyAgreeRecipientInfo:
		encrypted = r.EncryptedKey
	case *cms.KEKRecipientInfo:
		encrypted = r.EncryptedKey
	case *cms.PasswordRecipientInfo:
		encrypted = r.EncryptedKey
	default:
		return sum, false
	}
	return sha256.Sum256(encrypted), true
}

// ContentKeys are those of the layers, from the outside in, where OpenOptions.KeepContentKeys asked for them: of a layer that was
// opened the one that did it, and of one that is damaged or forged all that were tried, as they show that it is. They are wiped when
// the Message is closed.
func (m *Message) ContentKeys() (keys []ContentKey) {
	for _, l := range m.Layers {
		if l.Encrypted != nil {
			keys = append(keys, l.Encrypted.contentKeys...)
		}
	}
	return keys
}

func (e *Encrypted) keep(c candidate) {
	if sum, ok := encryptedKeyOf(c.info); ok {
		e.contentKeys = append(e.contentKeys, ContentKey{EncryptedKey: sum, Key: bytes.Clone(c.cek), Certificate: c.key})
	}
}

func (e *Encrypted) wipeContentKeys() {
	for _, k := range e.contentKeys {
		clear(k.Key)
	}
	e.contentKeys = nil
}
