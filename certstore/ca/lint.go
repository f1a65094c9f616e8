package ca

import (
	"crypto"
	"errors"
	"fmt"
	"io"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3/lint"
	_ "github.com/zmap/zlint/v3/lints/cabf_smime_br" // registers its lints; the other sets are about servers and public roots
	_ "github.com/zmap/zlint/v3/lints/rfc"
	zutil "github.com/zmap/zlint/v3/util"
	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// lintNeedsURL is the one rule of the S/MIME baseline that an authority without a base URL does not follow: there is no
// place that it could name.
const lintNeedsURL = "e_subscribers_shall_have_crl_distribution_points"

// baseline says how far a certificate is held to the S/MIME baseline requirements.
type baseline int

const (
	notMail      baseline = iota // RFC 5280 alone
	mailbox                      // a certificate for mail that names addresses
	organization                 // and an organization
)

// lintingSigner signs the TBSCertificate that it is given if zlint has nothing against it. The standard library hands over
// the whole of what is to be signed, so that what was looked at and what is signed cannot differ, and so that nothing
// bad is ever signed.
type lintingSigner struct {
	crypto.Signer
	level      baseline
	selfSigned bool
	withoutURL bool
}

// SignMessage implements crypto.MessageSigner.
func (s *lintingSigner) SignMessage(rand io.Reader, tbs []byte, opts crypto.SignerOpts) ([]byte, error) {
	if s.selfSigned {
		// A root is told from other authorities by its signature alone, so this one is signed first. Its key was made for it
		// a moment ago: should there be an objection, nobody will ever see either.
		signature, err := crypto.SignMessage(s.Signer, rand, tbs, opts)
		if err != nil {
			return nil, err
		}
		return signature, s.lint(tbs, signature)
	}
	// A certificate has to have a signature to be parsed. No lint looks at this one.
	if err := s.lint(tbs, []byte{0}); err != nil {
		return nil, err
	}
	return crypto.SignMessage(s.Signer, rand, tbs, opts)
}

func (s *lintingSigner) lint(tbs, signature []byte) error {
	algorithm, err := signatureAlgorithm(tbs)
	if err != nil {
		return err
	}
	var b cryptobyte.Builder
	b.AddASN1(cryptobyteasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(algorithm)
		b.AddASN1BitString(signature)
	})
	der, err := b.Bytes()
	if err != nil {
		return err
	}
	cert, err := zx509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("%w: zlint cannot read it: %w", ErrProfile, err)
	}
	// The lints of the baseline look at certificates that claim one of its policies. Ours claim none, because nobody audits
	// this authority, but are to have that shape: they are judged as if they did. Lints of RFC 5280 look at the extension
	// itself, which is not touched.
	switch s.level {
	case mailbox:
		cert.PolicyIdentifiers = append(cert.PolicyIdentifiers, zutil.SMIMEBRMailboxValidatedMultipurposeOID, zutil.SMIMEBRMailboxValidatedStrictOID)
	case organization:
		cert.PolicyIdentifiers = append(cert.PolicyIdentifiers, zutil.SMIMEBRSponsorValidatedMultipurposeOID, zutil.SMIMEBRSponsorValidatedStrictOID)
	}
	return s.runLints(cert)
}

// runLints returns the first finding that is an error. Warnings and notices are matters of taste.
func (s *lintingSigner) runLints(cert *zx509.Certificate) error {
	registry := lint.GlobalRegistry()
	for _, l := range registry.CertificateLints().Lints() {
		if s.withoutURL && l.Name == lintNeedsURL {
			continue
		}
		result := l.Execute(cert, registry.GetConfiguration())
		if result.Status != lint.Error && result.Status != lint.Fatal {
			continue
		}
		detail := result.Details
		if detail == "" {
			detail = l.Description
		}
		return fmt.Errorf("%w: %s: %s", ErrProfile, l.Name, detail)
	}
	return nil
}

var errTBS = errors.New("what is to be signed is no TBSCertificate")

// signatureAlgorithm returns the AlgorithmIdentifier in a TBSCertificate (RFC 5280 section 4.1).
func signatureAlgorithm(tbs []byte) ([]byte, error) {
	input := cryptobyte.String(tbs)
	var body, algorithm cryptobyte.String
	if !input.ReadASN1(&body, cryptobyteasn1.SEQUENCE) ||
		!body.SkipOptionalASN1(cryptobyteasn1.Tag(0).ContextSpecific().Constructed()) ||
		!body.SkipASN1(cryptobyteasn1.INTEGER) ||
		!body.ReadASN1Element(&algorithm, cryptobyteasn1.SEQUENCE) {
		return nil, errTBS
	}
	return algorithm, nil
}
