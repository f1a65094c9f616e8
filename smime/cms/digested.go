package cms

import (
	"bytes"
	"context"
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// DigestedData is a content beside its digest (RFC 5652 section 7). The digest shows damage by accident, and nothing
// else: whoever alters the content can compute another. After [Read] its head is known; [DigestedData.ReadContent] reads
// the rest. Messages are not written in this form.
type DigestedData struct {
	Version         int
	DigestAlgorithm AlgorithmIdentifier
	EContentType    asn1.ObjectIdentifier // what is inside
	Digest          []byte                // as the message states it; there after ReadContent

	structure *structure
	limits    Limits
	detached  bool
	done      bool
}

// ContentType returns OIDDigestedData.
func (d *DigestedData) ContentType() asn1.ObjectIdentifier { return OIDDigestedData }

// readDigestedData reads up to the octets of the content.
func readDigestedData(s *structure, l Limits) (*DigestedData, error) {
	d := &DigestedData{structure: s, limits: l}
	if err := s.r.Enter(ber.Universal, ber.TagSequence); err != nil {
		return nil, malformed(err)
	}
	var err error
	if d.Version, err = d.structure.version(); err != nil {
		return nil, err
	}
	if d.DigestAlgorithm, err = d.structure.algorithmIdentifier(); err != nil {
		return nil, err
	}
	var present bool
	if d.EContentType, present, err = d.structure.encapsulatedContentInfo(); err != nil {
		return nil, err
	}
	d.detached = !present
	return d, nil
}

// hash returns the digest algorithm, if the message can be read.
func (d *DigestedData) hash() (crypto.Hash, error) {
	h, err := digestByOID(d.DigestAlgorithm.Algorithm)
	if err == nil && d.detached {
		err = &UnsupportedError{What: "digest without its content"}
	}
	return h, err
}

// ReadContent copies the content to quarantine (nil discards it), reads the message to its end, and compares the digest.
// It may be called once. The content must be released to nobody before ReadContent returns nil. A digest that does not
// fit is [ErrMessageDigest]. Algorithms that are broken or not implemented are [ErrBrokenDigest] and an
// *[UnsupportedError]; SHA-1 is as good as any other here, where no digest keeps anybody from altering the content.
func (d *DigestedData) ReadContent(ctx context.Context, quarantine io.Writer) error {
	if d.done {
		return errors.New("content was read already")
	}
	h, err := d.hash()
	if err != nil {
		return err
	}
	d.done = true
	content, err := d.structure.r.OctetString(ber.Universal, ber.TagOctetString)
	if err != nil {
		return malformed(err)
	}
	dst := quarantineWriter{quarantine}
	state := h.New()
	err = copyOctets(ctx, content, d.limits.Content, func(b []byte) error {
		state.Write(b)
		_, err := dst.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	if err := d.structure.leaveEncapsulated(true); err != nil {
		return err
	}
	if d.Digest, err = d.structure.octets(ber.Universal, ber.TagOctetString); err != nil {
		return err
	}
	if err := d.structure.r.Leave(); err != nil { // DigestedData
		return malformed(err)
	}
	if err := readEnd(d.structure.r); err != nil {
		return err
	}
	if !bytes.Equal(state.Sum(nil), d.Digest) {
		return fmt.Errorf("%w: %s", ErrMessageDigest, DigestName(h))
	}
	return nil
}
