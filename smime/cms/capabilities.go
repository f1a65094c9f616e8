package cms

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Capability is one algorithm that a correspondent can use (RFC 8551 section 2.5.2).
type Capability struct {
	ID         asn1.ObjectIdentifier // nil for an identifier with an arc that does not fit an int
	Parameters []byte                // DER; nil if absent
}

// Capabilities is what a correspondent can use, the most preferred first.
type Capabilities []Capability

// maxCapabilities bounds the list: nobody has that many algorithms.
const maxCapabilities = 256

// OwnCapabilities returns what this package can open, for signed messages that announce it: the ciphers that messages
// are written with, and RSA with OAEP under SHA-256, which nobody uses unasked. What a key implies, such as a key
// agreement, is not repeated.
func OwnCapabilities() Capabilities {
	var own Capabilities
	for _, c := range []Cipher{AES256GCM, AES128GCM, AES256CBC, AES192GCM, AES192CBC, AES128CBC} {
		own = append(own, Capability{ID: c.OID()})
	}
	return append(own, Capability{ID: oidRSAESOAEP, Parameters: slices.Clone(oaepSHA256Parameters)})
}

// oaepSHA256Parameters is rSAES-OAEP-SHA256-Params (RFC 4055 section 4.1).
var oaepSHA256Parameters = []byte{
	0x30, 0x2f,
	0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, // SHA-256
	0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, // MGF1
	0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, // with SHA-256
}

// ParseCapabilities reads SMIMECapabilities from DER: the value of the attribute or of the certificate extension.
func ParseCapabilities(der []byte) (Capabilities, error) {
	in := cryptobyte.String(der)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, fmt.Errorf("%w: capabilities", ErrMalformed)
	}
	capabilities := Capabilities{}
	for !list.Empty() {
		// An SMIMECapability has the form of an AlgorithmIdentifier.
		a, ok := ReadAlgorithmIdentifier(&list, cbasn1.SEQUENCE)
		if !ok {
			return nil, fmt.Errorf("%w: capability", ErrMalformed)
		}
		if len(capabilities) == maxCapabilities {
			return nil, fmt.Errorf("%w: more than %d capabilities", ErrTooMany, maxCapabilities)
		}
		capabilities = append(capabilities, Capability{ID: a.Algorithm, Parameters: a.Parameters})
	}
	return capabilities, nil
}

// Marshal returns the DER of SMIMECapabilities. A capability without an identifier is left out.
func (c Capabilities) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, capability := range c {
			if len(capability.ID) > 0 {
				AlgorithmIdentifier{Algorithm: capability.ID, Parameters: capability.Parameters}.AddTo(b, cbasn1.SEQUENCE)
			}
		}
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("capabilities: %w", err)
	}
	return der, nil
}

// Supports reports whether the cipher is among the capabilities.
func (c Capabilities) Supports(cipher Cipher) bool {
	oid := cipher.OID()
	for _, capability := range c {
		if len(oid) > 0 && capability.ID.Equal(oid) {
			return true
		}
	}
	return false
}

// Ciphers returns the capabilities that are ciphers which messages are written with.
func (c Capabilities) Ciphers() Capabilities {
	ciphers := Capabilities{}
	for _, capability := range c {
		if cipher, ok := CipherByOID(capability.ID); ok && cipher.writable() {
			ciphers = append(ciphers, capability)
		}
	}
	return ciphers
}

// CertificateCapabilities returns the capabilities that the certificate carries in its extension (RFC 4262); ok is
// false where it has none, or none that can be read.
func CertificateCapabilities(c *x509.Certificate) (capabilities Capabilities, ok bool) {
	for _, extension := range c.Extensions {
		if extension.Id.Equal(OIDAttributeSMIMECapabilities) {
			capabilities, err := ParseCapabilities(extension.Value)
			return capabilities, err == nil
		}
	}
	return nil, false
}
