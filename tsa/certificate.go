package tsa

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// CheckCertificate makes sure that a certificate is fit for signing time-stamp tokens: its extended key usage is
// critical and id-kp-timeStamping alone (RFC 3161 section 2.3), and its key usage, if there is one, allows
// digitalSignature or nonRepudiation and nothing but these (RFC 5280 section 4.2.1.12). The error is a *[TokenError]
// with [ErrPurpose].
func CheckCertificate(c *x509.Certificate) error {
	at := slices.IndexFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidExtKeyUsage) })
	if at < 0 {
		return untrusted(ErrPurpose, "it has no extended key usage")
	}
	if !c.Extensions[at].Critical {
		return untrusted(ErrPurpose, "its extended key usage is not critical")
	}
	// Read here and not from the parsed fields, which would hide that a usage is named twice.
	value := cryptobyte.String(c.Extensions[at].Value)
	var list cryptobyte.String
	var usage asn1.ObjectIdentifier
	if !value.ReadASN1(&list, cbasn1.SEQUENCE) || !value.Empty() ||
		!list.ReadASN1ObjectIdentifier(&usage) || !list.Empty() || !usage.Equal(oidTimeStamping) {
		return untrusted(ErrPurpose, "its extended key usage is not timeStamping alone")
	}
	const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if c.KeyUsage != 0 && (c.KeyUsage&signing == 0 || c.KeyUsage&^signing != 0) {
		return untrusted(ErrPurpose, "its key usage is not for signatures alone")
	}
	return nil
}

// checkName makes sure that the name in the field tsa, if there is one, is a name of the certificate: its subject, or
// one of its alternative names (RFC 3161 section 2.4.2).
func (t *Token) checkName(cert *x509.Certificate) error {
	if t.Info.TSA == nil {
		return nil
	}
	names, err := alternativeNames(cert)
	if err != nil {
		return &TokenError{CodeBroken, ErrAuthorityName, err}
	}
	if slices.ContainsFunc(names, func(name []byte) bool { return bytes.Equal(name, t.Info.TSA) }) {
		return nil
	}
	if directory, ok := directoryName(t.Info.TSA); ok && sameName(directory, cert.RawSubject) {
		return nil
	}
	return &TokenError{CodeBroken, ErrAuthorityName, errors.New("it is not among the names of the certificate")}
}

// alternativeNames returns the GeneralNames in the certificate's subjectAltName, in DER.
func alternativeNames(cert *x509.Certificate) ([][]byte, error) {
	var names [][]byte
	for _, e := range cert.Extensions {
		if !e.Id.Equal(oidSubjectAltName) {
			continue
		}
		value := cryptobyte.String(e.Value)
		var list cryptobyte.String
		if !value.ReadASN1(&list, cbasn1.SEQUENCE) || !value.Empty() {
			return nil, errors.New("subjectAltName of the certificate is malformed")
		}
		for !list.Empty() {
			var name cryptobyte.String
			var tag cbasn1.Tag
			if !list.ReadAnyASN1Element(&name, &tag) {
				return nil, errors.New("subjectAltName of the certificate is malformed")
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// directoryName returns the Name in a GeneralName that is a directoryName.
func directoryName(generalName []byte) (name []byte, ok bool) {
	input := cryptobyte.String(generalName)
	var inner cryptobyte.String
	ok = input.ReadASN1(&inner, cbasn1.Tag(4).ContextSpecific().Constructed())
	return inner, ok
}

// sameName compares two Names. Authorities write the same name in different string types, so that what counts is the
// text, without regard to case and inner spaces (RFC 5280 section 7.1).
func sameName(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, xerr := readName(a)
	y, yerr := readName(b)
	return xerr == nil && yerr == nil && x == y
}

// readName writes the text of a Name in one way.
func readName(der []byte) (string, error) {
	var name pkix.RDNSequence
	rest, err := asn1.Unmarshal(der, &name)
	if err != nil {
		return "", err
	}
	if len(rest) != 0 {
		return "", errors.New("octets behind the name")
	}
	var b strings.Builder
	for _, rdn := range name {
		b.WriteString("+")
		for _, attribute := range rdn {
			text, ok := attribute.Value.(string)
			if !ok {
				return "", fmt.Errorf("attribute %v of the name is no text", attribute.Type)
			}
			fmt.Fprintf(&b, "%v=%q,", attribute.Type, strings.ToLower(strings.Join(strings.Fields(text), " ")))
		}
	}
	return b.String(), nil
}
