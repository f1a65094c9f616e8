package cms

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"github.com/sealmail/sealmail/smime/cms/rc2"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// DecryptOptions says what Decrypt may accept.
type DecryptOptions struct {
	AllowWeak bool // read old mail under Triple-DES and RC2, see [Cipher.Weak]
}

// encryptedContent is an EncryptedContentInfo (RFC 5652 section 6.1) and what stands around it in all messages that have
// one.
type encryptedContent struct {
	structure   *structure
	limits      Limits
	form        string // the message's type, for errors
	contentType asn1.ObjectIdentifier
	algorithm   AlgorithmIdentifier
	parameters  contentParameters
	broken      error // why the parameters cannot be used
	detached    bool
	done        bool
}

// contentParameters is what an algorithm identifier says of a content cipher.
type contentParameters struct {
	cipher        Cipher // 0 where it is not implemented, or is none for this kind of message
	keySize       int    // octets; 0 where that is not known
	iv            []byte // or nonce
	tagSize       int    // of AES-GCM
	effectiveBits int    // of RC2
}

// encryptedContentInfo reads up to the octets of the ciphertext.
func (s *structure) encryptedContentInfo(l Limits, form string, authenticated bool) (*encryptedContent, error) {
	c := &encryptedContent{structure: s, limits: l, form: form}
	err := malformed(s.r.Enter(ber.Universal, ber.TagSequence))
	if err != nil {
		return nil, err
	}
	if c.contentType, err = s.oid(); err != nil {
		return nil, err
	}
	if c.algorithm, err = s.algorithmIdentifier(); err != nil {
		return nil, err
	}
	present, err := s.optional(0)
	if err != nil {
		return nil, err
	}
	c.detached = !present
	// An authenticated cipher has no place for its tag but in AuthEnvelopedData, which needs one.
	if known, ok := CipherByOID(c.algorithm.Algorithm); ok && known.Authenticated() == authenticated {
		c.parameters, c.broken = readContentParameters(known, c.algorithm.Parameters)
	}
	return c, nil
}

// readContentParameters reads the parameters of a content cipher.
func readContentParameters(c Cipher, der []byte) (p contentParameters, err error) {
	p = contentParameters{cipher: c, keySize: c.KeySize()}
	in := cryptobyte.String(der)
	var seq, iv cryptobyte.String
	ok, blockSize := false, aes.BlockSize
	switch {
	case c.Authenticated(): // GCMParameters, RFC 5084 section 3.2
		p.tagSize = gcmMinTagSize // the DEFAULT
		ok = in.ReadASN1(&seq, cbasn1.SEQUENCE) && in.Empty() &&
			seq.ReadASN1(&iv, cbasn1.OCTET_STRING) && len(iv) > 0 &&
			(seq.Empty() || seq.ReadASN1Integer(&p.tagSize) && seq.Empty()) &&
			p.tagSize >= gcmMinTagSize && p.tagSize <= gcmTagSize
		if !ok {
			return p, fmt.Errorf("%w: parameters of AES-GCM", ErrMalformed)
		}
		p.iv = bytes.Clone(iv)
		return p, nil
	case c == RC2CBC: // RC2-CBCParameter, RFC 3370 section 5.2
		var version int
		if in.PeekASN1Tag(cbasn1.OCTET_STRING) { // the other CHOICE of RFC 2268 section 6: the IV alone, with 32 bits
			return p, &UnsupportedError{What: "RC2 with 32 effective bits"}
		}
		if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&version) {
			break
		}
		if p.effectiveBits, ok = rc2Bits(version); !ok {
			return p, &UnsupportedError{What: fmt.Sprintf("RC2 of parameter version %d", version)}
		}
		p.keySize = p.effectiveBits / 8
		in, blockSize = seq, rc2.BlockSize
	case c == TripleDESCBC: // RFC 3370 section 5.1
		blockSize = des.BlockSize
	}
	// Else AES-IV, RFC 3565 section 4.1.
	if !in.ReadASN1(&iv, cbasn1.OCTET_STRING) || !in.Empty() || len(iv) != blockSize {
		return p, fmt.Errorf("%w: initialization vector of %v", ErrMalformed, c)
	}
	p.iv = bytes.Clone(iv)
	return p, nil
}

// rc2Bits returns the effective bits of a key that rc2ParameterVersion encodes (RFC 2268 section 6): those that S/MIME
// used.
func rc2Bits(version int) (bits int, ok bool) {
	switch version {
	case 160:
		return 40, true
	case 120:
		return 64, true
	case 58:
		return 128, true
	}
	return 0, false
}

// block returns the block cipher of a cipher in CBC mode.
func (p contentParameters) block(key []byte) (cipher.Block, error) {
	switch p.cipher {
	case TripleDESCBC:
		return des.NewTripleDESCipher(key) // which does not mind the parity of the key
	case RC2CBC:
		return rc2.NewCipher(key, p.effectiveBits)
	}
	return aes.NewCipher(key)
}

// supported returns why the content cannot be decrypted, whatever the key.
func (c *encryptedContent) supported() error {
	if c.broken != nil {
		return c.broken
	}
	if c.parameters.cipher == 0 {
		if known, ok := CipherByOID(c.algorithm.Algorithm); ok {
			return &UnsupportedError{What: fmt.Sprintf("%v in %s", known, c.form), Algorithm: c.algorithm.Algorithm}
		}
		return &UnsupportedError{What: "content encryption algorithm", Algorithm: c.algorithm.Algorithm}
	}
	if c.detached {
		return &UnsupportedError{What: "message without its encrypted content"}
	}
	return nil
}

// check is supported, and what the options have to say.
func (c *encryptedContent) check(o DecryptOptions) error {
	if err := c.supported(); err != nil {
		return err
	}
	p := c.parameters
	if !p.cipher.Weak() || o.AllowWeak {
		return nil
	}
	what := "encryption with " + p.cipher.String()
	if p.effectiveBits > 0 {
		what += fmt.Sprintf(" of %d bits", p.effectiveBits)
	}
	return &WeakError{What: what}
}

// open checks that the content may be decrypted under this key and returns its octets.
func (c *encryptedContent) open(key []byte, o DecryptOptions) (io.Reader, error) {
	if c.done {
		return nil, errors.New("content was read already")
	}
	if err := c.check(o); err != nil {
		return nil, err
	}
	if len(key) != c.parameters.keySize {
		return nil, ErrDecrypt
	}
	c.done = true
	octets, err := c.structure.r.OctetString(ber.ContextSpecific, 0)
	if err != nil {
		return nil, malformed(err)
	}
	return &contentReader{src: octets, limit: c.limits.Content}, nil
}

// decryptCBC decrypts the content and has rest read what stands behind EncryptedContentInfo. Bad padding is reported
// only when that was done, so that the structure of the whole message is judged before the key has a say.
func (c *encryptedContent) decryptCBC(ctx context.Context, quarantine io.Writer, key []byte, src io.Reader, rest func() error) error {
	block, err := c.parameters.block(key)
	if err != nil {
		return err
	}
	d, err := newCBCDecrypter(block, c.parameters.iv)
	if err != nil {
		return err
	}
	verdict := d.decryptTo(ctx, quarantineWriter{quarantine}, src)
	if verdict != nil && !errors.Is(verdict, ErrDecrypt) {
		return verdict
	}
	if err := malformed(c.structure.r.Leave()); err != nil { // EncryptedContentInfo
		return err
	}
	if err := rest(); err != nil {
		return err
	}
	return verdict
}

// readTail reads the attributes under this tag that anybody may have changed, if there are any, and the end of the
// message.
func (c *encryptedContent) readTail(number uint32) (list Attributes, err error) {
	present, err := c.structure.optional(number)
	if err != nil {
		return nil, err
	}
	if present {
		if list, _, err = c.structure.attributes(number); err != nil {
			return nil, err
		}
	}
	if err := malformed(c.structure.r.Leave()); err != nil { // EnvelopedData, EncryptedData
		return nil, err
	}
	return list, readEnd(c.structure.r)
}

// contentReader bounds the ciphertext and names its errors.
type contentReader struct {
	src   io.Reader
	limit int64 // 0: none
	size  int64
}

func (c *contentReader) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.size += int64(n)
	if c.limit > 0 && c.size > c.limit {
		return 0, fmt.Errorf("%w: content of more than %d octets", ErrTooLarge, c.limit)
	}
	if errors.Is(err, io.EOF) {
		return n, io.EOF
	}
	return n, malformed(err)
}

// quarantineWriter tells errors of the quarantine from those of the message. Without one, it discards what is written.
type quarantineWriter struct{ dst io.Writer }

func (q quarantineWriter) Write(p []byte) (int, error) {
	if q.dst == nil {
		return len(p), nil
	}
	n, err := q.dst.Write(p)
	if err != nil {
		err = fmt.Errorf("quarantine: %w", err)
	}
	return n, err
}
