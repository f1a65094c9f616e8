package certstore

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
)

// checkLeaf asks of the leaf what path validation does not.
func checkLeaf(leaf *x509.Certificate, use Use) error {
	if err := checkKeyUsage(leaf, use); err != nil {
		return err
	}
	switch use {
	case TimeStamp:
		return checkTimeStampingAlone(leaf)
	case SignArchive:
		if !slices.ContainsFunc(leaf.UnknownExtKeyUsage, oidDocumentSigning.Equal) {
			return &PathError{Code: ExtendedKeyUsage, Certificate: leaf, Reason: "the certificate is not for archives: its extended key usage lacks documentSigning"}
		}
	}
	return nil
}

// checkKeyUsage asks for the bits that the use needs, where there is a key usage extension: without it a key may be
// used for all that its algorithm can do (RFC 5280 section 4.2.1.3, RFC 8550 section 4.4.2).
func checkKeyUsage(leaf *x509.Certificate, use Use) error {
	fail := func(reason string) error {
		return &PathError{Code: KeyUsage, Certificate: leaf, Reason: "the certificate is not for " + reason}
	}
	stated := leaf.KeyUsage != 0 || hasExtension(leaf, oidKeyUsage)
	switch use {
	case EncryptMail:
		bit, name := x509.KeyUsageKeyEncipherment, "keyEncipherment"
		if isAgreementKey(leaf) {
			bit, name = x509.KeyUsageKeyAgreement, "keyAgreement"
		}
		if !isEncryptionKey(leaf) {
			return fail("encryption: nothing can be encrypted to a key of type " + KeyAlgorithm(leaf))
		}
		if stated && leaf.KeyUsage&bit == 0 {
			return fail("encryption: its key usage lacks " + name)
		}
	case ServeTLS:
		if stated && leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment|x509.KeyUsageKeyAgreement) == 0 {
			return fail("servers: its key usage has neither digitalSignature nor keyEncipherment")
		}
	default:
		if !isSigningKey(leaf) {
			return fail("signatures: a key of type " + KeyAlgorithm(leaf) + " cannot sign")
		}
		// nonRepudiation is contentCommitment in newer texts.
		if stated && leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
			return fail("signatures: its key usage has neither digitalSignature nor nonRepudiation")
		}
	}
	return nil
}

// AllowsUse reports whether a certificate may be used so by its key, its key usage and its extended key usage, whoever
// issued it.
func AllowsUse(c *x509.Certificate, use Use) bool {
	return checkLeaf(c, use) == nil && (use.Purpose() != Mail || mailAllowed(c))
}

var (
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtendedKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidDocumentSigning  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 36} // RFC 9336
)

// checkTimeStampingAlone is RFC 3161 section 2.3: an authority's certificate has exactly one extended key usage,
// timeStamping, in a critical extension.
func checkTimeStampingAlone(leaf *x509.Certificate) error {
	alone := len(leaf.ExtKeyUsage) == 1 && leaf.ExtKeyUsage[0] == x509.ExtKeyUsageTimeStamping && len(leaf.UnknownExtKeyUsage) == 0
	for _, extension := range leaf.Extensions {
		if alone && extension.Critical && extension.Id.Equal(oidExtendedKeyUsage) {
			return nil
		}
	}
	return &PathError{Code: ExtendedKeyUsage, Certificate: leaf,
		Reason: "the certificate is not for time stamping alone: that must be its only extended key usage, and critical"}
}

func hasExtension(c *x509.Certificate, id asn1.ObjectIdentifier) bool {
	for _, extension := range c.Extensions {
		if extension.Id.Equal(id) {
			return true
		}
	}
	return false
}
