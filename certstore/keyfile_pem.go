package certstore

import (
	"bufio"
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
)

const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "

	byteOrderMark = "\ufeff" // which editors put in front of text

	// maxBlock bounds the text of one block: what may be in it has up to maxFileSize octets, in base64 with line ends.
	maxBlock = maxFileSize / 2 * 3
	// pemBatch is how many certificates ReadPEM hands over at a time.
	pemBatch = 1024
)

// IsPEM reports whether a file that begins like this, with some KiB, is one that [ReadFile] takes for PEM.
func IsPEM(head []byte) bool {
	return kindOf(head) == kindUnknown && bytes.Contains(head, []byte(pemBegin))
}

// PEMOptions say how [ReadPEM] reads.
type PEMOptions struct {
	Password         func() ([]byte, error) // as for [ReadFile]
	CertificatesOnly bool                   // private keys are passed over
}

// ReadPEM is [ReadFile] for PEM that may be long: it hands over what it reads piece by piece, in memory that does not depend
// on the length. take gets each certificate, key, oddity and warning once, in the order of the file, some hundred
// certificates at a time; its error ends the reading and is returned. What was handed over before an error was in the file.
func ReadPEM(src io.Reader, o PEMOptions, take func(Bundle) error) error {
	r := fileReader{password: o.Password, budget: maxIterations, certificatesOnly: o.CertificatesOnly}
	defer func() { clear(r.secret) }()
	var first error // oddity
	handOver := func() error {
		full := r.bundle
		r.bundle = Bundle{earlier: full.taken()}
		if first == nil && len(full.Oddities) > 0 {
			first = full.Oddities[0]
		}
		return take(full)
	}
	err := r.readPEM(src, func() error {
		if len(r.bundle.Certificates)+len(r.bundle.Oddities) < pemBatch {
			return nil
		}
		return handOver()
	})
	if err != nil {
		return err
	}
	if err := handOver(); err != nil {
		return err
	}
	if found := r.bundle.taken(); found.certificates+found.keys == 0 && !o.CertificatesOnly {
		if first == nil {
			first = fmt.Errorf("%w: neither certificates nor private keys in it", ErrMalformed)
		}
		return first
	}
	return nil
}

// readPEM reads the blocks of a text one after the other, and calls after behind each.
func (r *fileReader) readPEM(src io.Reader, after func() error) error {
	begun, read := 0, 0
	p := pemScanner{lines: bufio.NewReaderSize(src, 64<<10)}
	if head, _ := p.lines.Peek(len(byteOrderMark)); string(head) == byteOrderMark {
		_, _ = p.lines.Discard(len(byteOrderMark))
	}
	for {
		text, more, err := p.next()
		if err != nil {
			return err
		}
		if text == nil {
			break
		}
		begun += more
		// The block that is returned copies what it has of the text.
		block, _ := pem.Decode(text)
		if block == nil {
			continue
		}
		read++
		if err := r.readBlock(block); err != nil {
			return err
		}
		if err := after(); err != nil {
			return err
		}
	}
	if read < begun {
		return fmt.Errorf("%w: %d of %d blocks of PEM are damaged", ErrMalformed, begun-read, begun)
	}
	return nil
}

// pemScanner finds blocks of PEM, each from the line that begins it to the one that ends it.
type pemScanner struct {
	lines *bufio.Reader
	block []byte
}

// next returns the text of the next block, or of what is left of the last where its end is missing, and how many blocks
// were begun in it, of which the last one alone can be whole; nil at the end. The text is good until the next call.
func (p *pemScanner) next() (text []byte, begun int, err error) {
	p.block = p.block[:0]
	lineStart, ending := true, false
	for {
		piece, err := p.lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, 0, err
		}
		if lineStart && bytes.HasPrefix(piece, []byte(pemBegin)) {
			p.block = p.block[:0]
			begun++
		}
		if begun > 0 {
			if len(p.block)+len(piece) > maxBlock {
				return nil, 0, fmt.Errorf("PEM: %w: a block of more than %d MiB", ErrTooLarge, maxBlock>>20)
			}
			ending = ending || lineStart && bytes.HasPrefix(piece, []byte(pemEnd))
			p.block = append(p.block, piece...)
		}
		lineStart = bytes.HasSuffix(piece, []byte("\n"))
		switch {
		case errors.Is(err, io.EOF) && begun == 0:
			return nil, 0, nil
		case errors.Is(err, io.EOF), ending && lineStart:
			return p.block, begun, nil
		}
	}
}
