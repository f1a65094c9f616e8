package archive

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	"github.com/sealmail/sealmail/smime/cms"
)

// keySize is that of all keys: AES-256.
const keySize = 32

// key wraps one thing, the content-encryption key of one object, and nothing else.
type key []byte

func newKey() key {
	k := make(key, keySize)
	_, _ = rand.Read(k) // never fails
	return k
}

// ErrNoKey says that the key of something is not there: it was shredded, or never came here.
var ErrNoKey = errors.New("its key is not there")

// ErrSealed says that a sealed object does not open under its key: it is not the one that was archived.
var ErrSealed = errors.New("it does not open under its key")

// maxRecipients bounds who a sealed object may be for.
const maxRecipients = 64

// newSealer returns a writer that encrypts into an AuthEnvelopedData (RFC 5083, AES-256-GCM) under a key that is named, and
// to certificates.
func newSealer(ctx context.Context, dst io.Writer, k key, name string, to []*x509.Certificate) (io.WriteCloser, error) {
	recipients := []cms.Recipient{{KeyManagement: cms.AESKeyWrap, KeyIdentifier: []byte(name), KeyEncryptionKey: k}}
	for _, c := range to {
		management, err := recoveryKeyManagement(c)
		if err != nil {
			return nil, err
		}
		recipients = append(recipients, cms.Recipient{Certificate: c, KeyManagement: management})
	}
	return cms.NewEnvelopedDataWriter(ctx, dst, cms.EnvelopedDataOptions{Cipher: cms.AES256GCM, Recipients: recipients})
}

// recoveryKeyManagement is how a key is handed to a recovery certificate. Whoever opens an archive has a program of today:
// RSA means OAEP.
func recoveryKeyManagement(c *x509.Certificate) (cms.KeyManagement, error) {
	m, err := cms.DefaultKeyManagement(c)
	if m == cms.RSAPKCS1v15 {
		m = cms.RSAOAEPSHA256
	}
	return m, err
}

// open decrypts a sealed object under a key into a quarantine, which must be released to nobody before the error is nil.
// Whatever the key does not open is ErrSealed.
func (k key) open(ctx context.Context, src io.Reader, name string, quarantine io.Writer) error {
	info, err := cms.Read(src, cms.Limits{Recipients: maxRecipients})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSealed, err)
	}
	sealed, ok := info.(*cms.EnvelopedData)
	if !ok || !sealed.Authenticated {
		return fmt.Errorf("%w: it is no AuthEnvelopedData", ErrSealed)
	}
	for _, r := range sealed.Recipients {
		wrapped, ok := r.(*cms.KEKRecipientInfo)
		if !ok || string(wrapped.KeyIdentifier) != name {
			continue
		}
		cek, err := wrapped.Unwrap(k)
		if err != nil {
			break
		}
		defer clear(cek)
		return sealedError(sealed.Decrypt(ctx, quarantine, cek, cms.DecryptOptions{}))
	}
	return ErrSealed
}

// sealedError tells the error of a quarantine, or an interruption, from that of an object.
func sealedError(err error) error {
	if err == nil {
		return nil
	}
	var unsupported *cms.UnsupportedError
	if errors.Is(err, cms.ErrDecrypt) || errors.Is(err, cms.ErrMalformed) || errors.Is(err, cms.ErrTooLarge) || errors.As(err, &unsupported) {
		return fmt.Errorf("%w: %w", ErrSealed, err)
	}
	return err
}
