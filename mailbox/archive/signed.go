package archive

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
)

// Signer is who signs an archive: the key of an archiving certificate, which comes first in its chain.
type Signer struct {
	Key   crypto.Signer
	Chain []*x509.Certificate
}

// ErrSignature says that something is not signed as the archive's own things are: it wraps the reason.
var ErrSignature = errors.New("the archive's signature is not good")

// sign returns a SignedData (RFC 5652) over content, without it where it is detached. at is claimed as the signing time.
func (s Signer) sign(ctx context.Context, content []byte, detached bool, at time.Time) ([]byte, error) {
	if len(s.Chain) == 0 || s.Key == nil {
		return nil, errors.New("there is no archiving certificate")
	}
	scheme, digest, err := cms.DefaultSignature(s.Chain[0])
	if err != nil {
		return nil, err
	}
	return cms.Sign(ctx, content, cms.SignedDataOptions{
		Detached: detached, Certificates: s.Chain,
		Signers: []cms.Signer{{Certificate: s.Chain[0], Key: s.Key, Scheme: scheme, Digest: digest, SigningTime: at}},
	})
}

// signedObject is a SignedData whose one signature fits its content. Who may sign is not asked yet.
type signedObject struct {
	content []byte
	signer  *x509.Certificate
	bag     []*x509.Certificate // all that came with it and can be read
	whole   bool                // there is none that cannot
	claimed time.Time

	data *cms.SignedData
	info *cms.SignerInfo
}

// openSigned verifies a SignedData; detached is its content where it has none of its own. There is one signature, by a
// certificate that is with it, or it is refused.
func openSigned(ctx context.Context, raw, detached []byte) (*signedObject, error) {
	refuse := func(err error) (*signedObject, error) { return nil, fmt.Errorf("%w: %w", ErrSignature, err) }
	src := bytes.NewReader(raw)
	info, err := cms.Read(src, cms.Limits{Signers: 1, Certificates: 16})
	if err != nil {
		return refuse(err)
	}
	signed, ok := info.(*cms.SignedData)
	if !ok {
		return refuse(errors.New("it is no SignedData"))
	}
	var content bytes.Buffer
	var digest *cms.ContentDigest
	if detached != nil {
		content.Write(detached)
		digest, err = signed.ReadDetached(ctx, bytes.NewReader(detached))
	} else {
		digest, err = signed.ReadContent(ctx, &content)
	}
	if err != nil {
		return refuse(err)
	}
	results, err := signed.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData})
	switch {
	case err != nil:
		return refuse(err)
	case len(results) != 1:
		return refuse(fmt.Errorf("it has %d signatures and not one", len(results)))
	case results[0].Err != nil:
		return refuse(results[0].Err)
	case len(results[0].SignerInfo.SignedAttributes) == 0:
		return refuse(cms.ErrMissingAttribute)
	}
	o := &signedObject{content: content.Bytes(), signer: results[0].Certificate, data: signed, info: results[0].SignerInfo}
	o.claimed, _ = results[0].SignerInfo.SigningTime()
	for _, c := range signed.Certificates {
		if parsed, err := c.Parse(); err == nil {
			o.bag = append(o.bag, parsed)
		}
	}
	o.whole = len(o.bag) == len(signed.Certificates)
	return o, nil
}

// ErrTooLarge says that an object is larger than such an object can be.
var ErrTooLarge = errors.New("the object is larger than any of its kind")

// readObject reads a small object whole.
func readObject(ctx context.Context, s Storage, name string, limit int64) (data []byte, err error) {
	o, err := s.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if o.Size() > limit {
		return nil, fmt.Errorf("%s: %w", name, ErrTooLarge)
	}
	data = make([]byte, o.Size())
	if _, err := io.ReadFull(io.NewSectionReader(o, 0, o.Size()), data); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// writeObject makes a small object.
func writeObject(ctx context.Context, s Storage, name string, data []byte) error {
	w, err := s.Create(ctx, name)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Commit()
}
