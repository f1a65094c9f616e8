package smime

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
)

// Form is one of the two forms of a signed message.
type Form int

const (
	// Detached is multipart/signed: readable also where S/MIME is unknown (RFC 8551 section 3.5.3).
	Detached Form = iota
	// Opaque is application/pkcs7-mime with smime-type=signed-data: immune to relays that touch text (section 3.5.2).
	Opaque
)

func (f Form) String() string {
	switch f {
	case Detached:
		return "detached"
	case Opaque:
		return "opaque"
	}
	return "unknown"
}

// Signer is who signs.
type Signer struct {
	Key   crypto.Signer
	Chain []*x509.Certificate // the signer's own first; intermediates are sent along, a root at the end is not
}

// SignOptions says how to sign. The zero value makes a detached signature that claims no time.
type SignOptions struct {
	Form         Form
	Bare         bool                // the CMS message alone: without its content where the form is detached, and without MIME around it
	SigningTime  time.Time           // claimed; zero: not claimed
	Scheme       cms.SignatureScheme // 0: as cms.DefaultSignature chooses
	Digest       crypto.Hash         // 0: as cms.DefaultSignature chooses
	Capabilities cms.Capabilities    // announced to the recipients; nil: not announced
	// EncryptTo is the signer's certificate that the recipients are to encrypt to, and its issuers as far as known. It is
	// named, and sent along, also where it is the one that signs (RFC 8551 section 2.5.3). nil: none is named.
	EncryptTo []*x509.Certificate
	// RevocationValues is what says that nobody has revoked the certificates of the signer's path. It goes along for who
	// reads the message offline, or later; empty: nothing does.
	RevocationValues cms.RevocationValues
	// Timestamp, if set, is called with the signature value and returns an RFC 3161 token over it in DER, which goes
	// into the message as id-aa-timeStampToken (RFC 3161 appendix A). Its error ends the signing, but for a
	// *[cms.SignEarlierError], which has it begin anew with an earlier SigningTime, once; no token and no error means that the
	// signature goes without.
	Timestamp func(ctx context.Context, signature []byte) (token []byte, err error)
}

// Sign reads a MIME entity (header fields and body) from e and writes to dst the entity that carries it signed, with
// CRLF line ends and starting with its Content-Type; MIME-Version and the fields of the message go before it, see
// [WriteOuterHeader]. After an error what was written is useless.
//
// Line ends are brought into their canonical form (RFC 8551 section 3.1.1), and that form is what the signature covers
// and what is written. The caller chooses transfer encodings that survive the way: relays may re-encode 8-bit text, and
// a carriage return without line feed is refused with [entity.ErrBareCR].
func Sign(ctx context.Context, dst io.Writer, e io.Reader, s Signer, o SignOptions) error {
	if len(s.Chain) == 0 {
		return errors.New("signer without certificate")
	}
	scheme, digest, err := cms.DefaultSignature(s.Chain[0])
	if err != nil {
		return err
	}
	if o.Scheme == 0 {
		o.Scheme = scheme
	}
	if o.Digest == 0 {
		o.Digest = digest
	}
	options := cms.SignedDataOptions{
		Detached:     o.Form == Detached,
		Certificates: withoutRoot(s.Chain, o.EncryptTo),
		Signers: []cms.Signer{{
			Certificate: s.Chain[0], Key: s.Key, Scheme: o.Scheme, Digest: o.Digest,
			SigningTime: o.SigningTime, Capabilities: o.Capabilities, EncryptTo: first(o.EncryptTo),
			RevocationValues: o.RevocationValues, UnsignedAttributes: tokenAttribute(o.Timestamp),
		}},
	}
	out := newBufferedWriter(dst)
	switch o.Form {
	case Detached:
		if o.Bare {
			err = signTo(ctx, withoutClose{out}, e, options)
			break
		}
		err = signDetached(ctx, out, e, options)
	case Opaque:
		err = signTo(ctx, newCMSBody(out, o.Bare, "signed-data", "S/MIME signed message"), e, options)
	default:
		err = fmt.Errorf("unknown form of signed message %d", o.Form)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

func signDetached(ctx context.Context, dst *bufferedWriter, e io.Reader, o cms.SignedDataOptions) error {
	micalg, ok := micalgs[o.Signers[0].Digest]
	if !ok {
		return &cms.UnsupportedError{What: "digest algorithm " + o.Signers[0].Digest.String()}
	}
	boundary, err := newBoundary()
	if err != nil {
		return err
	}
	var signature bytes.Buffer // grows with certificates and token, not with the message
	signed, err := cms.NewSignedDataWriter(ctx, &signature, o)
	if err != nil {
		return err
	}
	dst.printf("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n"+
		" micalg=%s;\r\n boundary=\"%s\"\r\n\r\n--%s\r\n", micalg, boundary, boundary)
	hashing := newBackground(signed)
	err = copySigned(ctx, io.MultiWriter(hashing, dst), e)
	if err = errors.Join(err, hashing.Close()); err != nil {
		return err
	}
	if err := signed.Close(); err != nil {
		return err
	}
	dst.printf("\r\n--%s\r\n"+
		"Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"+
		"Content-Transfer-Encoding: base64\r\n"+
		"Content-Disposition: attachment; filename=\"smime.p7s\"\r\n"+
		"Content-Description: S/MIME signature\r\n\r\n", boundary)
	lines := entity.NewBase64Writer(dst)
	if _, err := lines.Write(signature.Bytes()); err != nil {
		return err
	}
	if err := lines.Close(); err != nil {
		return err
	}
	dst.printf("--%s--\r\n", boundary)
	return nil
}

// signTo writes the CMS message.
func signTo(ctx context.Context, dst io.WriteCloser, e io.Reader, o cms.SignedDataOptions) error {
	signed, err := cms.NewSignedDataWriter(ctx, dst, o)
	if err != nil {
		return err
	}
	if err := copySigned(ctx, signed, e); err != nil {
		return err
	}
	if err := signed.Close(); err != nil {
		return err
	}
	return dst.Close()
}

// newCMSBody is where a CMS message goes: into an entity of type application/pkcs7-mime whose header it writes, or, bare, as it
// is.
func newCMSBody(dst *bufferedWriter, bare bool, smimeType, description string) io.WriteCloser {
	if bare {
		return withoutClose{dst}
	}
	writeCMSHeader(dst, smimeType, description)
	return entity.NewBase64Writer(dst)
}

// withoutClose is a writer that nothing has to end.
type withoutClose struct{ io.Writer }

func (withoutClose) Close() error { return nil }

// writeCMSHeader writes the header of an entity of type application/pkcs7-mime (RFC 8551 section 3.2). Its errors stay
// in dst, and come out with the next write.
func writeCMSHeader(dst *bufferedWriter, smimeType, description string) {
	dst.printf("Content-Type: application/pkcs7-mime; smime-type=%s;\r\n name=\"smime.p7m\"\r\n"+
		"Content-Transfer-Encoding: base64\r\n"+
		"Content-Disposition: attachment; filename=\"smime.p7m\"\r\n"+
		"Content-Description: %s\r\n\r\n", smimeType, description)
}

// copySigned copies e to dst in the form in which it is signed.
func copySigned(ctx context.Context, dst io.Writer, e io.Reader) error {
	bareCR, err := copyCanonical(ctx, dst, e)
	if err == nil && bareCR {
		err = entity.ErrBareCR
	}
	return err
}

// micalgs is the table of RFC 8551 section 3.5.3.2.
var micalgs = map[crypto.Hash]string{
	crypto.SHA256: "sha-256",
	crypto.SHA384: "sha-384",
	crypto.SHA512: "sha-512",
}

// withoutRoot leaves out self-signed certificates behind the signer's own: a reader has the root already, or has no
// reason to believe it (RFC 8550 section 2.3).
func withoutRoot(chains ...[]*x509.Certificate) []*x509.Certificate {
	var list []*x509.Certificate
	for _, chain := range chains {
		for i, c := range chain {
			if (i == 0 || !selfSigned(c)) && !slices.ContainsFunc(list, c.Equal) {
				list = append(list, c)
			}
		}
	}
	return list
}

func first(chain []*x509.Certificate) *x509.Certificate {
	if len(chain) == 0 {
		return nil
	}
	return chain[0]
}

// selfSigned tells by names and key identifiers (RFC 5280 section 4.2.1.1): certificates that are issued by their own
// subject under another key, as where a CA changes its key, say so.
func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) && (len(c.AuthorityKeyId) == 0 || bytes.Equal(c.AuthorityKeyId, c.SubjectKeyId))
}

func tokenAttribute(stamp func(context.Context, []byte) ([]byte, error)) func(context.Context, []byte) ([]cms.Attribute, error) {
	if stamp == nil {
		return nil
	}
	return func(ctx context.Context, signature []byte) ([]cms.Attribute, error) {
		token, err := stamp(ctx, signature)
		if err != nil {
			return nil, fmt.Errorf("time stamp: %w", err)
		}
		if token == nil {
			return nil, nil
		}
		return []cms.Attribute{{Type: cms.OIDAttributeTimeStampToken, Values: [][]byte{token}}}, nil
	}
}

// newBoundary returns a boundary that no text contains: nobody can know it before it is chosen. "=_" occurs in neither
// base64 nor quoted-printable (RFC 2045 section 6.7).
func newBoundary() (string, error) {
	random := make([]byte, 24)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("boundary: %w", err)
	}
	return "=_" + hex.EncodeToString(random), nil
}
