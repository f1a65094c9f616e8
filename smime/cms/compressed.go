package cms

import (
	"bufio"
	"compress/zlib"
	"context"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// oidZlibCompress is id-alg-zlibCompress of RFC 3274 section 2.
var oidZlibCompress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 8}

// CompressedData is a message whose content is compressed (RFC 3274). It protects nothing: anybody can make one out of
// any content, and undo it. After [Read] its head is known; [CompressedData.Decompress] reads the rest. Messages are not
// written in this form.
type CompressedData struct {
	Version              int
	CompressionAlgorithm AlgorithmIdentifier
	EContentType         asn1.ObjectIdentifier // what is inside

	structure *structure
	limits    Limits
	detached  bool
	done      bool
}

// ContentType returns OIDCompressedData.
func (c *CompressedData) ContentType() asn1.ObjectIdentifier { return OIDCompressedData }

// readCompressedData reads up to the octets of the content.
func readCompressedData(s *structure, l Limits) (*CompressedData, error) {
	c := &CompressedData{structure: s, limits: l}
	if err := s.r.Enter(ber.Universal, ber.TagSequence); err != nil {
		return nil, malformed(err)
	}
	var err error
	if c.Version, err = c.structure.version(); err != nil {
		return nil, err
	}
	if c.CompressionAlgorithm, err = c.structure.algorithmIdentifier(); err != nil {
		return nil, err
	}
	var present bool
	if c.EContentType, present, err = c.structure.encapsulatedContentInfo(); err != nil {
		return nil, err
	}
	c.detached = !present
	return c, nil
}

// Supported returns an *[UnsupportedError] where the content cannot be decompressed. Decompress returns the same.
func (c *CompressedData) Supported() error {
	switch {
	// RFC 3274 section 2: the parameters MUST be absent. NULL has no other meaning.
	case !c.CompressionAlgorithm.equal(AlgorithmIdentifier{Algorithm: oidZlibCompress}):
		return &UnsupportedError{What: "compression algorithm", Algorithm: c.CompressionAlgorithm.Algorithm}
	case c.detached:
		return &UnsupportedError{What: "message without its compressed content"}
	}
	return nil
}

// freeContent is how many octets of content Limits.Ratio lets pass in any case: what is small does no harm, and a short
// text of one letter compresses a thousandfold.
const freeContent = 1 << 20

// Decompress decompresses the content, writes it to quarantine (nil discards it) and reads the message to its end. It may be
// called once.
//
// What is in the quarantine must be released to nobody before Decompress returns nil: until then neither its checksum nor
// the end of the message was seen. A content that is larger than Limits.Content, or than Limits.Ratio allows, is
// [ErrTooLarge]. An algorithm that is not implemented is an *[UnsupportedError].
func (c *CompressedData) Decompress(ctx context.Context, quarantine io.Writer) error {
	if c.done {
		return errors.New("content was read already")
	}
	if err := c.Supported(); err != nil {
		return err
	}
	c.done = true
	content, err := c.structure.r.OctetString(ber.Universal, ber.TagOctetString)
	if err != nil {
		return malformed(err)
	}
	if err := c.inflate(ctx, quarantineWriter{quarantine}, content); err != nil {
		return err
	}
	if err := c.structure.leaveEncapsulated(true); err != nil {
		return err
	}
	if err := c.structure.r.Leave(); err != nil { // CompressedData
		return malformed(err)
	}
	return readEnd(c.structure.r)
}

// inflate decompresses the ZLIB stream (RFC 1950) that src consists of.
func (c *CompressedData) inflate(ctx context.Context, dst io.Writer, src io.Reader) error {
	counted := &countingReader{src: src}
	// What the decompressor reads ahead stays in sight.
	compressed := bufio.NewReader(counted)
	text, err := zlib.NewReader(compressed)
	if err != nil {
		return counted.blame(err)
	}
	buf := make([]byte, 32<<10)
	var size int64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, readErr := text.Read(buf)
		size += int64(n)
		switch {
		case c.limits.Content > 0 && size > c.limits.Content:
			return fmt.Errorf("%w: content of more than %d octets", ErrTooLarge, c.limits.Content)
		case size > freeContent && (size-1)/int64(c.limits.Ratio) >= counted.size:
			return fmt.Errorf("%w: content of more than %d times what it was compressed to", ErrTooLarge, c.limits.Ratio)
		}
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(readErr, io.EOF) {
			break
		}
		if readErr != nil {
			return counted.blame(readErr)
		}
	}
	switch _, err := compressed.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w: data behind the compressed content", ErrMalformed)
	case !errors.Is(err, io.EOF):
		return counted.blame(err)
	}
	return nil
}

// countingReader counts what is read, and remembers why reading ended.
type countingReader struct {
	src  io.Reader
	size int64
	err  error
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.size += int64(n)
	c.err = err
	return n, err
}

// blame tells an error of the source from one that the decompressor found in what it got.
func (c *countingReader) blame(err error) error {
	if c.err != nil && !errors.Is(c.err, io.EOF) {
		return malformed(c.err)
	}
	return fmt.Errorf("%w: compressed content: %w", ErrMalformed, err)
}
