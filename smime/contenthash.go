package smime

import (
	"context"
	"crypto"
	"io"
	"strings"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/entity"
)

// contentHash digests the content of a detached signature that is written to it, and looks for bare line feeds. It must
// be closed before its findings are used.
type contentHash struct {
	ctx      context.Context // a writer has no other way to be told to stop
	digest   *cms.ContentDigest
	lineEnds *entity.CanonicalWriter
	beside   *background // nil: the work is done where it is written
}

// newContentHash returns a contentHash for content of at most so many octets.
func newContentHash(ctx context.Context, size int64, hashes []crypto.Hash) (*contentHash, error) {
	digest, err := cms.NewContentDigest(hashes...)
	if err != nil {
		return nil, err
	}
	h := &contentHash{ctx: ctx, digest: digest, lineEnds: entity.NewCanonicalWriter(io.Discard)}
	if size > 2*backgroundBlock {
		h.beside = newBackground(writerFunc(h.write))
	}
	return h, nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (h *contentHash) write(p []byte) (int, error) {
	_, _ = h.digest.Write(p) // never fails
	return h.lineEnds.Write(p)
}

func (h *contentHash) Write(p []byte) (int, error) {
	if err := h.ctx.Err(); err != nil {
		return 0, err
	}
	if h.beside != nil {
		return h.beside.Write(p)
	}
	return h.write(p)
}

func (h *contentHash) Close() error {
	if h.beside != nil {
		return h.beside.Close()
	}
	return nil
}

// covers reports whether the content was digested under all these algorithms. A nil contentHash covers none.
func (h *contentHash) covers(hashes []crypto.Hash) bool { return h != nil && covers(h.digest, hashes) }

func covers(d *cms.ContentDigest, hashes []crypto.Hash) bool {
	for _, hash := range hashes {
		if _, ok := d.Sum(hash); !ok {
			return false
		}
	}
	return true
}

// announcedHashes returns the digest algorithms that the parameter micalg names (RFC 8551 section 3.5.3.2), also in the
// spelling of older programs; without it, the usual one.
func announcedHashes(micalg string) []crypto.Hash {
	hashes := []crypto.Hash{}
	for name := range strings.SplitSeq(strings.ToLower(micalg), ",") {
		switch strings.ReplaceAll(strings.TrimSpace(name), "-", "") {
		case "", "sha256":
			hashes = append(hashes, crypto.SHA256)
		case "sha384":
			hashes = append(hashes, crypto.SHA384)
		case "sha512":
			hashes = append(hashes, crypto.SHA512)
		case "sha1":
			hashes = append(hashes, crypto.SHA1)
		}
	}
	return hashes
}
