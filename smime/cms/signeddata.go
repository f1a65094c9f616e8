package cms

import (
	"context"
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"github.com/sealmail/sealmail/smime/cms/ber"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// SignedData is a message with signatures (RFC 5652 section 5).
type SignedData struct {
	Version          int
	DigestAlgorithms []AlgorithmIdentifier
	EContentType     asn1.ObjectIdentifier // type of the signed content

	// The rest stands behind the content in a message and is there after ReadContent.

	Certificates  []RawCertificate // X.509 certificates; attribute certificates and other kinds are left out
	CRLs          [][]byte         // X.509 revocation lists, verbatim
	OCSPResponses [][]byte         // OCSPResponse in DER (RFC 5940); further kinds of revocation information are left out
	SignerInfos   []*SignerInfo

	structure *structure
	limits    Limits
	detached  bool
	empty     bool // no octet of content
	begun     bool // reading the content
	complete  bool // read to the end
}

// maxDigestAlgorithms bounds how many digest algorithms a message may announce.
const maxDigestAlgorithms = 64

// ContentType returns OIDSignedData.
func (s *SignedData) ContentType() asn1.ObjectIdentifier { return OIDSignedData }

// Detached reports whether the message carries no content: the signatures stand over a content that is elsewhere.
func (s *SignedData) Detached() bool { return s.detached }

// CertsOnly reports whether the message has neither content nor signers, and so is a mere bag of certificates and
// revocation lists (RFC 5652 section 5.2, RFC 8551 section 3.8). A content of no octets is none: NSS writes one. It is
// false before ReadContent, which knows.
func (s *SignedData) CertsOnly() bool {
	return s.complete && s.empty && len(s.SignerInfos) == 0 && s.EContentType.Equal(OIDData)
}

// readSignedData reads up to the octets of the content.
func readSignedData(head *structure, l Limits) (*SignedData, error) {
	s := &SignedData{structure: head, limits: l}
	if err := head.r.Enter(ber.Universal, ber.TagSequence); err != nil {
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
	var present bool
	if s.EContentType, present, err = s.structure.encapsulatedContentInfo(); err != nil {
		return nil, err
	}
	s.detached = !present
	return s, nil
}

// ReadContent copies the content to quarantine (nil discards it), hashing it under those of the announced digest
// algorithms that are implemented, then reads the rest of the message to its end. It may be called once. For a detached
// signature nothing is copied, and the digest is nil.
//
// Content that was copied is unverified until [SignedData.Verify] says otherwise.
func (s *SignedData) ReadContent(ctx context.Context, quarantine io.Writer) (*ContentDigest, error) {
	if s.begun {
		return nil, errors.New("content was read already")
	}
	s.begun = true
	var digest *ContentDigest
	if !s.detached {
		var err error
		if digest, err = NewContentDigest(s.hashes()...); err != nil {
			return nil, err
		}
		if err := s.copyContent(ctx, digest, quarantine); err != nil {
			return nil, err
		}
	}
	s.empty = s.detached || digest.Size() == 0
	if err := s.structure.leaveEncapsulated(!s.detached); err != nil {
		return nil, err
	}
	if err := s.readTail(); err != nil {
		return nil, err
	}
	s.complete = true
	return digest, nil
}

// ReadDetached reads a message without content to its end, in place of ReadContent, and then content, which is what was
// signed: in constant memory, and hashed under those of the signers' digest algorithms that are implemented.
//
// A message that carries a content of its own is [ErrTwoContents], after it was read to its end.
func (s *SignedData) ReadDetached(ctx context.Context, content io.Reader) (*ContentDigest, error) {
	if _, err := s.ReadContent(ctx, nil); err != nil {
		return nil, err
	}
	if !s.detached {
		return nil, ErrTwoContents
	}
	var hashes []crypto.Hash
	for _, si := range s.SignerInfos {
		if h, err := si.Digest(); err == nil {
			hashes = append(hashes, h)
		}
	}
	digest, err := NewContentDigest(hashes...)
	if err != nil {
		return nil, err
	}
	if err := hashContent(ctx, content, digest, s.limits.Content); err != nil {
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

// copyContent copies the content of the message to quarantine (nil discards it), and hashes it.
func (s *SignedData) copyContent(ctx context.Context, digest *ContentDigest, quarantine io.Writer) error {
	content, err := s.structure.r.OctetString(ber.Universal, ber.TagOctetString)
	if err != nil {
		return malformed(err)
	}
	return copyOctets(ctx, content, s.limits.Content, func(b []byte) error {
		_, _ = digest.Write(b) // never fails
		if quarantine == nil {
			return nil
		}
		if _, err := quarantine.Write(b); err != nil {
			return fmt.Errorf("quarantine: %w", err)
		}
		return nil
	})
}

// hashContent hashes a content that is not in the message; limit is that of Limits.Content.
func hashContent(ctx context.Context, content io.Reader, digest *ContentDigest, limit int64) error {
	buf := make([]byte, 4<<10) // enough for small mail
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := content.Read(buf)
		_, _ = digest.Write(buf[:n]) // never fails
		if limit > 0 && digest.Size() > limit {
			return fmt.Errorf("%w: content of more than %d octets", ErrTooLarge, limit)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("content: %w", err)
		}
		if n == len(buf) && n < 32<<10 {
			buf = make([]byte, 32<<10)
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
		if err := s.readCertificates(); err != nil {
			return err
		}
	}
	if present, err = s.structure.optional(1); err != nil {
		return err
	}
	if present {
		if err := s.readRevocationInfo(); err != nil {
			return err
		}
	}
	err = s.structure.each(ber.Universal, ber.TagSet, "signers", s.limits.Signers, func(ber.Header) error {
		si, err := s.structure.signerInfo()
		if err == nil {
			s.SignerInfos = append(s.SignerInfos, si)
		}
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

// readCertificates reads a CertificateSet (section 10.2.3) and keeps the X.509 certificates, which are the untagged
// members. They are not looked into: one that is odd never makes the message unreadable.
func (s *SignedData) readCertificates() error {
	return s.structure.each(ber.ContextSpecific, 0, "certificates", s.limits.Certificates, func(h ber.Header) error {
		if !h.Is(ber.Universal, ber.TagSequence) {
			return malformed(s.structure.r.Skip())
		}
		raw, err := s.structure.element()
		if err == nil {
			s.Certificates = append(s.Certificates, raw)
		}
		return err
	})
}

// readRevocationInfo reads RevocationInfoChoices (section 10.2.1): CRLs, and OCSP responses, which come as
// OtherRevocationInfoFormat under the tag [1] (RFC 5940 section 2). Nor is this looked into further.
func (s *SignedData) readRevocationInfo() error {
	return s.structure.each(ber.ContextSpecific, 1, "revocation lists", s.limits.Certificates, func(h ber.Header) error {
		isCRL := h.Is(ber.Universal, ber.TagSequence)
		if !isCRL && !h.Is(ber.ContextSpecific, 1) {
			return malformed(s.structure.r.Skip())
		}
		raw, err := s.structure.element()
		if err != nil {
			return err
		}
		if isCRL {
			s.CRLs = append(s.CRLs, raw)
		} else if response := s.ocspResponse(raw); response != nil {
			s.OCSPResponses = append(s.OCSPResponses, response)
		}
		return nil
	})
}

// ocspResponse returns the OCSPResponse in an OtherRevocationInfoFormat; nil if there is something else in it.
func (s *SignedData) ocspResponse(raw []byte) []byte {
	der, err := s.structure.r.Reencode(raw)
	if err != nil {
		return nil
	}
	in := cryptobyte.String(der)
	var info, response cryptobyte.String
	if !in.ReadASN1(&info, cbasn1.Tag(1).Constructed().ContextSpecific()) {
		return nil
	}
	format, ok := readOID(&info)
	if !ok || !format.Equal(oidRevocationOCSP) || !info.ReadASN1Element(&response, cbasn1.SEQUENCE) || !info.Empty() {
		return nil
	}
	return response
}

// Certificate returns the first certificate in the message that id names.
func (s *SignedData) Certificate(id CertificateIdentifier) (c RawCertificate, ok bool) {
	for _, c := range s.Certificates {
		if id.MatchesRaw(c) {
			return c, true
		}
	}
	return nil, false
}

// CertificatesFor returns all certificates in the message that id names: several may bear one key identifier, for
// example a certificate and its renewal.
func (s *SignedData) CertificatesFor(id CertificateIdentifier) []RawCertificate {
	var list []RawCertificate
	for _, c := range s.Certificates {
		if id.MatchesRaw(c) {
			list = append(list, c)
		}
	}
	return list
}
