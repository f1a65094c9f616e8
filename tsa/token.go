package tsa

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/cms/ber"
)

// Token is a TimeStampToken (RFC 3161 section 2.4.2) that was read, and not yet verified: until [Token.Verify] says
// otherwise anybody may have written it.
type Token struct {
	Info         TSTInfo
	Certificates []cms.RawCertificate // what came with it, in no particular order
	Revocation   cms.RevocationValues // likewise: beside its certificates (RFC 5652, RFC 5940), and of its signer (RFC 5126)
	Raw          []byte               // the token as it came

	content []byte // the DER of Info, which is what is signed
	signer  *cms.SignerInfo
}

// Bounds on what a token may hold, far above what tokens hold.
const (
	maxDepth        = 32
	maxSigners      = 8
	maxCertificates = 64
)

// ParseToken reads a TimeStampToken: a ContentInfo in DER or BER, and nothing behind it. It checks what can be checked
// without the certificate: the token is a SignedData over a TSTInfo and has exactly one signer. Errors are a
// *[TokenError] with [CodeBroken].
func ParseToken(raw []byte) (*Token, error) {
	if len(raw) > MaxSize {
		return nil, broken(ErrTooLarge, "token of more than %d octets", MaxSize)
	}
	if err := single(raw); err != nil {
		return nil, unreadable(err)
	}
	info, err := cms.Read(bytes.NewReader(raw), cms.Limits{
		Depth:        maxDepth,
		Structure:    MaxSize,
		Signers:      maxSigners,
		Certificates: maxCertificates,
		Content:      MaxSize,
	})
	if err != nil {
		return nil, unreadable(err)
	}
	signed, ok := info.(*cms.SignedData)
	if !ok {
		return nil, broken(ErrContentType, "it is no SignedData but %v", info.ContentType())
	}
	if !signed.EContentType.Equal(cms.OIDTSTInfo) {
		return nil, broken(ErrContentType, "it is %v", signed.EContentType)
	}
	if signed.Detached() {
		return nil, broken(ErrContentType, "there is none")
	}
	var content bytes.Buffer
	if _, err := signed.ReadContent(context.Background(), &content); err != nil { // memory to memory
		return nil, unreadable(err)
	}
	if len(signed.SignerInfos) != 1 {
		return nil, broken(ErrSigners, "it has %d", len(signed.SignerInfos))
	}
	tst, err := ParseTSTInfo(content.Bytes())
	if errors.Is(err, ErrVersion) {
		return nil, &TokenError{CodeBroken, ErrVersion, err}
	}
	if err != nil {
		return nil, &TokenError{CodeBroken, ErrMalformed, err}
	}
	// What of them cannot be read helps nobody, and says nothing against the token.
	values, _ := signed.SignerInfos[0].RevocationValues()
	return &Token{
		Info:         *tst,
		Certificates: signed.Certificates,
		Revocation: cms.RevocationValues{
			CRLs:          slices.Concat(signed.CRLs, values.CRLs),
			OCSPResponses: slices.Concat(signed.OCSPResponses, values.OCSPResponses),
		},
		Raw:     raw,
		content: content.Bytes(),
		signer:  signed.SignerInfos[0],
	}, nil
}

// single makes sure that raw is one element and nothing else: what is behind it would be carried along unseen.
func single(raw []byte) error {
	r := ber.NewReader(bytes.NewReader(raw), ber.Limits{Element: MaxSize})
	if err := r.Skip(); err != nil {
		return err
	}
	if r.Offset() != int64(len(raw)) {
		return fmt.Errorf("%d octets behind the token", int64(len(raw))-r.Offset())
	}
	return nil
}

// unreadable sorts the errors of reading BER and CMS.
func unreadable(err error) error {
	rule := ErrMalformed
	var unsupported *cms.UnsupportedError
	switch {
	case errors.Is(err, cms.ErrTooLarge), errors.Is(err, cms.ErrTooMany), errors.Is(err, cms.ErrTooDeep),
		errors.Is(err, ber.ErrTooLarge), errors.Is(err, ber.ErrTooDeep):
		rule = ErrTooLarge
	case errors.As(err, &unsupported):
		rule = ErrContentType
	}
	return &TokenError{CodeBroken, rule, err}
}

// authority finds the certificate of the signer: the one whose hash is in the signing-certificate attribute, among
// those in the token and then among extra. What else was put into the token plays no part, whatever it claims to be.
func (t *Token) authority(extra []*x509.Certificate) (*x509.Certificate, error) {
	// RFC 3161 section 2.4.2: ESSCertID or ESSCertIDv2 (RFC 5816 section 2.2.1) must be there, as a signed attribute.
	ids, err := t.signer.SigningCertificates()
	if err != nil {
		return nil, &TokenError{CodeBroken, ErrSigningCertificate, err}
	}
	if len(ids) == 0 {
		return nil, broken(ErrSigningCertificate, "it is missing")
	}
	// The first names the signer's certificate (RFC 5035 section 5.4); where there are attributes of both versions,
	// verifying the signature checks the other one as well.
	id := ids[0]
	hash, ok := hashByOID(id.HashAlgorithm.Algorithm)
	if !ok {
		return nil, untrusted(ErrAlgorithm, "signing-certificate attribute uses %v", id.HashAlgorithm.Algorithm)
	}
	lookalike := false
	for _, raw := range t.Certificates {
		if !bytes.Equal(digestOf(hash, raw), id.Hash) {
			lookalike = lookalike || t.signer.SID.MatchesRaw(raw)
			continue
		}
		cert, err := raw.Parse()
		if err != nil {
			return nil, untrusted(ErrNoCertificate, "it cannot be read: %w", err)
		}
		return cert, nil
	}
	for _, cert := range extra {
		if bytes.Equal(digestOf(hash, cert.Raw), id.Hash) {
			return cert, nil
		}
		lookalike = lookalike || t.signer.SID.Matches(cert)
	}
	if lookalike {
		return nil, broken(ErrSigningCertificate, "certificate of the signer has another hash")
	}
	return nil, untrusted(ErrNoCertificate, "it is neither in the token nor among those at hand")
}

func digestOf(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}
