package cms

import (
	"crypto"
	"fmt"
	"time"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// SignerInfo is one signature in a SignedData (RFC 5652 section 5.3).
type SignerInfo struct {
	Version            int
	SID                CertificateIdentifier
	DigestAlgorithm    AlgorithmIdentifier
	SignedAttributes   Attributes // nil: absent, and the signature stands over the content itself
	SignatureAlgorithm AlgorithmIdentifier
	Signature          []byte
	UnsignedAttributes Attributes // nobody vouches for these

	signed []byte // the signed attributes as they are hashed; nil: absent
	sent   []byte // the same in the order in which they were sent; nil: in that of DER
}

// signerInfo reads a SignerInfo.
func (s *structure) signerInfo() (*SignerInfo, error) {
	si := new(SignerInfo)
	if err := s.r.Enter(ber.Universal, ber.TagSequence); err != nil {
		return nil, malformed(err)
	}
	var err error
	if si.Version, err = s.version(); err != nil {
		return nil, err
	}
	if si.SID, err = s.certificateIdentifier(); err != nil {
		return nil, err
	}
	if si.DigestAlgorithm, err = s.algorithmIdentifier(); err != nil {
		return nil, err
	}
	present, err := s.optional(0)
	if err != nil {
		return nil, err
	}
	if present {
		if si.SignedAttributes, si.signed, si.sent, err = s.attributesAsSent(0); err != nil {
			return nil, err
		}
	}
	if si.SignatureAlgorithm, err = s.algorithmIdentifier(); err != nil {
		return nil, err
	}
	if si.Signature, err = s.octets(ber.Universal, ber.TagOctetString); err != nil {
		return nil, err
	}
	if present, err = s.optional(1); err != nil {
		return nil, err
	}
	if present {
		if si.UnsignedAttributes, _, err = s.attributes(1); err != nil {
			return nil, err
		}
	}
	return si, malformed(s.r.Leave())
}

// Digest returns the hash that the signer used. The error is [ErrBrokenDigest] or an *[UnsupportedError].
func (si *SignerInfo) Digest() (crypto.Hash, error) { return digestByOID(si.DigestAlgorithm.Algorithm) }

// SigningTime returns the time at which the signer claims to have signed; ok is false where there is none, or none that
// can be read.
func (si *SignerInfo) SigningTime() (t time.Time, ok bool) {
	value, err := si.SignedAttributes.single(OIDAttributeSigningTime)
	if err != nil || value == nil {
		return time.Time{}, false
	}
	t, err = parseSigningTime(value)
	return t, err == nil
}

// TimeStampTokens returns the RFC 3161 tokens among the unsigned attributes: each a ContentInfo in DER, unverified.
func (si *SignerInfo) TimeStampTokens() [][]byte {
	return si.UnsignedAttributes.Values(OIDAttributeTimeStampToken)
}

// SMIMECapabilities returns what the signer says it can use; nil where it does not say so, or in a way that cannot be read.
func (si *SignerInfo) SMIMECapabilities() Capabilities {
	value, err := si.SignedAttributes.single(OIDAttributeSMIMECapabilities)
	if err != nil || value == nil {
		return nil
	}
	capabilities, err := ParseCapabilities(value)
	if err != nil {
		return nil
	}
	return capabilities
}

// SigningCertificates returns the certificates that the signing-certificate attributes name, version 2 before version
// 1. The first of each is the signer's own. The error, if any, wraps [ErrSigningCertificate] or [ErrAttributes].
func (si *SignerInfo) SigningCertificates() ([]ESSCertID, error) {
	var all []ESSCertID
	err := si.signingCertificates(func(ids []ESSCertID) error {
		all = append(all, ids...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// signingCertificates calls use with the list in each signing-certificate attribute.
func (si *SignerInfo) signingCertificates(use func([]ESSCertID) error) error {
	for _, v2 := range []bool{true, false} {
		attributeType := OIDAttributeSigningCertificate
		if v2 {
			attributeType = OIDAttributeSigningCertificateV2
		}
		value, err := si.SignedAttributes.single(attributeType)
		if err != nil {
			return err
		}
		if value == nil {
			continue
		}
		ids, err := parseSigningCertificate(value, v2)
		if err != nil {
			return fmt.Errorf("attribute %v: %w", attributeType, err)
		}
		if err := use(ids); err != nil {
			return err
		}
	}
	return nil
}
