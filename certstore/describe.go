package certstore

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"strings"
	"time"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// Description is what there is to say of a certificate to a person or a script. Texts are as the certificate has them,
// not made fit for a terminal. What is unknown is empty.
type Description struct {
	Name         string // common name, or what stands in for it
	Organization string
	Addresses    []string
	Issuer       string
	Serial       string // lower-case hex
	Fingerprint  string // SHA-256 of the DER, lower-case hex
	NotBefore    time.Time
	NotAfter     time.Time
	KeyAlgorithm string   // as KeyAlgorithm says
	Usages       []string // key usages and extended key usages, by the names of RFC 5280
	CA           bool
}

// Describe describes a certificate.
func Describe(c *x509.Certificate) Description {
	return Description{
		Name:         Name(c),
		Organization: strings.Join(c.Subject.Organization, ", "),
		Addresses:    Addresses(c),
		Issuer:       IssuerName(c),
		Serial:       SerialHex(c.SerialNumber),
		Fingerprint:  Fingerprint(c),
		NotBefore:    c.NotBefore.UTC(),
		NotAfter:     c.NotAfter.UTC(),
		KeyAlgorithm: KeyAlgorithm(c),
		Usages:       usages(c),
		CA:           c.BasicConstraintsValid && c.IsCA,
	}
}

// DescribeOdd describes a certificate that the standard library refuses. Its usages are left out.
func DescribeOdd(c *certpath.Certificate) Description {
	sum := sha256.Sum256(c.Raw)
	d := Description{
		Name: nameIn(c.Subject), Organization: strings.Join(c.Subject.Values(oidOrganization), ", "), Issuer: nameIn(c.Issuer),
		Serial: SerialHex(c.SerialNumber), Fingerprint: hex.EncodeToString(sum[:]), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
		KeyAlgorithm: c.KeyName(), CA: c.BasicConstraints != nil && c.BasicConstraints.CA,
	}
	for _, name := range c.SubjectAltNames {
		if _, ok := NormalizeAddress(name.Text); ok && (name.Kind == certpath.RFC822Name || name.Kind == certpath.OtherName) {
			d.Addresses = append(d.Addresses, name.Text)
		}
	}
	return d
}

const oidOrganization = certpath.OID("\x55\x04\x0a")

// nameIn returns the part of a distinguished name that people would call it by.
func nameIn(n certpath.Name) string {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(n.Raw, &sequence); err != nil || len(rest) > 0 {
		return n.String()
	}
	var name pkix.Name
	name.FillFromRDNSequence(&sequence)
	return distinguishedName(name)
}

// SerialHex returns a serial number in lower-case hex, with an even number of digits.
func SerialHex(serial *big.Int) string {
	text := hex.EncodeToString(new(big.Int).Abs(serial).Bytes())
	if text == "" {
		text = "00"
	}
	if serial.Sign() < 0 {
		text = "-" + text
	}
	return text
}

// IssuerName returns the name by which to call a certificate's issuer.
func IssuerName(c *x509.Certificate) string { return distinguishedName(c.Issuer) }

// Name returns the name by which to call a certificate's subject: of a certificate for a mailbox alone, the address.
func Name(c *x509.Certificate) string {
	if name := distinguishedName(c.Subject); name != "" {
		return name
	}
	if addresses := Addresses(c); len(addresses) > 0 {
		return addresses[0]
	}
	if len(c.DNSNames) > 0 {
		return c.DNSNames[0]
	}
	return ""
}

var (
	oidGivenName = asn1.ObjectIdentifier{2, 5, 4, 42}
	oidSurname   = asn1.ObjectIdentifier{2, 5, 4, 4}
	oidPseudonym = asn1.ObjectIdentifier{2, 5, 4, 65}
)

// distinguishedName returns the part of a distinguished name that people would call it by.
func distinguishedName(name pkix.Name) string {
	if name.CommonName != "" {
		return name.CommonName
	}
	var given, surname, pseudonym string
	for _, attribute := range name.Names {
		value, _ := attribute.Value.(string)
		switch {
		case attribute.Type.Equal(oidGivenName):
			given = value
		case attribute.Type.Equal(oidSurname):
			surname = value
		case attribute.Type.Equal(oidPseudonym):
			pseudonym = value
		}
	}
	if full := strings.TrimSpace(given + " " + surname); full != "" {
		return full
	}
	if pseudonym != "" {
		return pseudonym
	}
	if len(name.Organization) > 0 {
		return strings.Join(append(name.Organization, name.OrganizationalUnit...), ", ")
	}
	return name.String()
}

var keyUsageNames = []struct {
	bit  x509.KeyUsage
	name string
}{
	{x509.KeyUsageDigitalSignature, "digitalSignature"},
	{x509.KeyUsageContentCommitment, "nonRepudiation"},
	{x509.KeyUsageKeyEncipherment, "keyEncipherment"},
	{x509.KeyUsageDataEncipherment, "dataEncipherment"},
	{x509.KeyUsageKeyAgreement, "keyAgreement"},
	{x509.KeyUsageCertSign, "keyCertSign"},
	{x509.KeyUsageCRLSign, "cRLSign"},
	{x509.KeyUsageEncipherOnly, "encipherOnly"},
	{x509.KeyUsageDecipherOnly, "decipherOnly"},
}

var extKeyUsageNames = map[x509.ExtKeyUsage]string{
	x509.ExtKeyUsageAny:             "anyExtendedKeyUsage",
	x509.ExtKeyUsageServerAuth:      "serverAuth",
	x509.ExtKeyUsageClientAuth:      "clientAuth",
	x509.ExtKeyUsageCodeSigning:     "codeSigning",
	x509.ExtKeyUsageEmailProtection: "emailProtection",
	x509.ExtKeyUsageTimeStamping:    "timeStamping",
	x509.ExtKeyUsageOCSPSigning:     "OCSPSigning",
}

func usages(c *x509.Certificate) []string {
	var names []string
	for _, usage := range keyUsageNames {
		if c.KeyUsage&usage.bit != 0 {
			names = append(names, usage.name)
		}
	}
	for _, usage := range c.ExtKeyUsage {
		if name, ok := extKeyUsageNames[usage]; ok {
			names = append(names, name)
		}
	}
	for _, id := range c.UnknownExtKeyUsage {
		names = append(names, id.String())
	}
	return names
}

// validationLevels are the CA/Browser Forum's policy identifiers, 2.23.140.1.5.LEVEL.PROFILE, with the profiles legacy,
// multipurpose and strict.
var validationLevels = [...]string{1: "mailbox", 2: "organization", 3: "sponsor", 4: "individual"}

// Validation says how far somebody checked who the certificate's owner is, given the anchor of its path: "mailbox",
// "organization", "sponsor" or "individual" by the certificate's policy under a public anchor, and only there, because
// any private authority can write these identifiers; "local" under one's own authority, "private" under another; empty
// where there is nothing to say.
func Validation(c *x509.Certificate, anchor Anchor) string {
	switch anchor.Origin {
	case Local, Private:
		return string(anchor.Origin)
	case Public:
		prefix := asn1.ObjectIdentifier{2, 23, 140, 1, 5}
		for _, id := range c.PolicyIdentifiers {
			if len(id) == len(prefix)+2 && id[:len(prefix)].Equal(prefix) && id[5] >= 1 && id[5] < len(validationLevels) && id[6] >= 1 && id[6] <= 3 {
				return validationLevels[id[5]]
			}
		}
	}
	return ""
}
