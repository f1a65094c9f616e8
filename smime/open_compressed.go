package smime

import (
	"errors"
	"io"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
)

// Compressed is a layer of compression (RFC 8551 section 3.6). It protects nothing: a signature inside it, and one around
// it, speak for the message as they would without it (section 3.7).
type Compressed struct {
	Content *io.SectionReader // what was compressed, octet for octet; nil where that cannot be had
	Err     error             // why not
}

// compressed opens a CompressedData. Compression inside compression is not opened: it makes nothing smaller, and lets a
// few octets swell without bound, each layer by as much as one may.
func (op *opener) compressed(e *entity.Entity, cd *cms.CompressedData) (*entity.Entity, *Layer, error) {
	layer := &Compressed{}
	for _, l := range op.m.Layers {
		if l.Compressed != nil {
			layer.Err = &cms.UnsupportedError{What: "compression inside compression"}
			return nil, &Layer{Compressed: layer}, nil
		}
	}
	if !cd.EContentType.Equal(cms.OIDData) {
		layer.Err = &cms.UnsupportedError{What: "content of a compressed message", Algorithm: cd.EContentType}
		return nil, &Layer{Compressed: layer}, nil
	}
	content := op.newSpool()
	if err := cd.Decompress(op.ctx, content); err != nil {
		closeErr := op.discard(content)
		if !isFormError(err) || closeErr != nil {
			return nil, nil, errors.Join(err, closeErr)
		}
		layer.Err = err
		return nil, &Layer{Compressed: layer}, nil
	}
	layer.Content = content.Section()
	inside, err := entity.Parse(content, op.o.Limits.Entity)
	return inside, &Layer{Compressed: layer}, err
}
