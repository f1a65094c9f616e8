package cms

import (
	"context"
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// SignedData is a message with signatures (RFC 5652 section 5).
type SignedData struct {
	Version          int
	DigestAlgorithms []AlgorithmIdentifier
	EContentType     asn1.ObjectIdentifier // type of the signed content

	// The rest stands behind the content in a message and is there after ReadContent.

	Certificates []RawCertificate // X.509 certificates; other kinds are left out
	CRLs         [][]byte         // X.509 revocation lists, verbatim; other kinds are left out
	SignerInfos  []*SignerInfo

	structure *structure
	limits    Limits
	detached  bool
	done      bool
}

// maxDigestAlgorithms bounds how many digest algorithms a message may announce.
const maxDigestAlgorithms = 64

// ContentType returns OIDSignedData.
func (s *SignedData) ContentType() asn1.ObjectIdentifier { return OIDSignedData }

// Detached reports whether the message carries no content: the signatures stand over a content that is elsewhere.
func (s *SignedData) Detached() bool { return s.detached }

// readSignedData reads up to the octets of the content.
func readSignedData(r *ber.Reader, l Limits) (*SignedData, error) {
	s := &SignedData{structure: newStructure(r, l), limits: l}
	if err := r.Enter(ber.Universal, ber.TagSequence); err != nil {
		return nil, malformed(err)
	}
	var err error
	if s.Version, err = s.structure.version(); err != nil {
		return nil, err
	}
	err = s.structure.each(ber.Universal, ber.TagSet, "digest algorithms", maxDigestAlgorithms, func(ber.Header) error {
		a, err := s.structure.algorithmIdentifier()
		s.DigestAlgorithms = append(s.DigestAlgorithms, a)
		return err
	})
	if err != nil {
		return nil, err
	}
	// EncapsulatedContentInfo, section 5.2.
	if err := r.Enter(ber.Universal, ber.TagSequence); err != nil {
		return nil, malformed(err)
	}
	if s.EContentType, err = s.structure.oid(); err != nil {
		return nil, err
	}
	present, err := s.structure.optional(0)
	if err != nil {
		return nil, err
	}
	s.detached = !present
	if !present {
		return s, nil
	}
	if err := r.Enter(ber.ContextSpecific, 0); err != nil {
		return nil, malformed(err)
	}
	h, more, err := s.structure.next()
	if err != nil {
		return nil, err
	}
	if !more {
		return nil, fmt.Errorf("%w: content is missing", ErrMalformed)
	}
	if !h.Is(ber.Universal, ber.TagOctetString) {
		// Section 5.2.1: PKCS #7 allowed any type here.
		return nil, &UnsupportedError{What: "PKCS #7 content that is no octet string"}
	}
	return s, nil
}

// ReadContent copies the content to quarantine (nil discards it), hashing it under those of the announced digest
// algorithms that are implemented, then reads the rest of the message to its end. It may be called once. For a detached
// signature nothing is copied, and the digest is nil.
//
// Content that was copied is unverified until [SignerInfo.Verify] says otherwise.
func (s *SignedData) ReadContent(ctx context.Context, quarantine io.Writer) (*ContentDigest, error) {
	if s.done {
		return nil, errors.New("content was read already")
	}
	s.done = true
	var digest *ContentDigest
	if !s.detached {
		var err error
		if digest, err = NewContentDigest(s.hashes()...); err != nil {
			return nil, err
		}
		if err := s.copyContent(ctx, digest, quarantine); err != nil {
			return nil, err
		}
		if err := s.structure.r.Leave(); err != nil { // [0]
			return nil, malformed(err)
		}
	}
	if err := s.structure.r.Leave(); err != nil { // EncapsulatedContentInfo
		return nil, malformed(err)
	}
	if err := s.readTail(); err != nil {
		return nil, err
	}
	return digest, nil
}

// hashes returns the announced digest algorithms that are implemented. Others are no error here: a signature that
// needs one fails on its own.
func (s *SignedData) hashes() []crypto.Hash {
	var hashes []crypto.Hash
	for _, a := range s.DigestAlgorithms {
		if h, err := digestByOID(a.Algorithm); err == nil {
			hashes = append(hashes, h)
		}
	}
	return hashes
}

func (s *SignedData) copyContent(ctx context.Context, digest *ContentDigest, quarantine io.Writer) error {
	content, err := s.structure.r.OctetString(ber.Universal, ber.TagOctetString)
	if err != nil {
		return malformed(err)
	}
	buf := make([]byte, 32<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := content.Read(buf)
		if s.limits.Content > 0 && digest.Size()+int64(n) > s.limits.Content {
			return fmt.Errorf("%w: content of more than %d octets", ErrTooLarge, s.limits.Content)
		}
		_, _ = digest.Write(buf[:n]) // never fails
		if quarantine != nil {
			if _, err := quarantine.Write(buf[:n]); err != nil {
				return fmt.Errorf("quarantine: %w", err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return malformed(err)
		}
	}
}

// readTail reads what follows the content.
func (s *SignedData) readTail() error {
	present, err := s.structure.optional(0)
	if err != nil {
		return err
	}
	if present {
		if err := s.readSet(0, "certificates", func(raw []byte) {
			s.Certificates = append(s.Certificates, raw)
		}); err != nil {
			return err
		}
	}
	if present, err = s.structure.optional(1); err != nil {
		return err
	}
	if present {
		if err := s.readSet(1, "revocation lists", func(raw []byte) { s.CRLs = append(s.CRLs, raw) }); err != nil {
			return err
		}
	}
	err = s.structure.each(ber.Universal, ber.TagSet, "signers", s.limits.Signers, func(ber.Header) error {
		si, err := s.structure.signerInfo()
		s.SignerInfos = append(s.SignerInfos, si)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.structure.r.Leave(); err != nil { // SignedData
		return malformed(err)
	}
	return readEnd(s.structure.r)
}

// readSet reads CertificateSet or RevocationInfoChoices (sections 10.2.1 and 10.2.3) and keeps the X.509 members, which
// are the untagged ones.
func (s *SignedData) readSet(number uint32, what string, keep func([]byte)) error {
	return s.structure.each(ber.ContextSpecific, number, what, s.limits.Certificates, func(h ber.Header) error {
		if !h.Is(ber.Universal, ber.TagSequence) {
			return malformed(s.structure.r.Skip())
		}
		raw, err := s.structure.element()
		if err == nil {
			keep(raw)
		}
		return err
	})
}

// Certificate returns the certificate in the message that id names.
func (s *SignedData) Certificate(id CertificateIdentifier) (RawCertificate, bool) {
	for _, c := range s.Certificates {
		if id.MatchesRaw(c) {
			return c, true
		}
	}
	return nil, false
}
