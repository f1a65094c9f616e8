package ca

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/smime/cms"
)

// What a request may ask for: names and, for its owner's sealmail, capabilities. Usages come from the purpose alone, and
// whatever else it asks for is left out, because nobody has checked it.

func oidBasicConstraints() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 19} }

// checkRequest makes sure that whoever sent a request has the private key, and does not ask to be an authority.
func checkRequest(csr *x509.CertificateRequest) error {
	if err := checkPublicKey(csr.PublicKey); err != nil { // a signature by a very long key takes hours to check
		return err
	}
	if err := csr.CheckSignature(); err != nil {
		return fmt.Errorf("%w: the signature of the request is not valid", ErrProfile)
	}
	for _, e := range csr.Extensions {
		if !e.Id.Equal(oidBasicConstraints()) {
			continue
		}
		// RFC 5280 section 4.2.1.9. To leave this one out would give who asks something else than they want.
		value := cryptobyte.String(e.Value)
		var body cryptobyte.String
		authority := false
		switch {
		case !value.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !readDefaultFalse(&body, &authority):
			return fmt.Errorf("%w: the request has basic constraints that cannot be read", ErrProfile)
		case authority:
			return fmt.Errorf("%w: the request is for an authority, and none but this one certifies here", ErrProfile)
		}
	}
	return nil
}

// readDefaultFalse reads a BOOLEAN DEFAULT FALSE.
func readDefaultFalse(s *cryptobyte.String, out *bool) bool {
	*out = false
	return !s.PeekASN1Tag(cryptobyteasn1.BOOLEAN) || s.ReadASN1Boolean(out)
}

// requestedAddresses returns the mail addresses that a request names, as they would count in a certificate.
func requestedAddresses(csr *x509.CertificateRequest) []string {
	return certstore.Addresses(&x509.Certificate{Subject: csr.Subject, Extensions: csr.Extensions})
}

func requestedHosts(csr *x509.CertificateRequest) []string {
	hosts := append([]string(nil), csr.DNSNames...)
	for _, ip := range csr.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

// capabilities returns what the certificate says about what its owner can open (RFC 4262): what we know where the key is
// ours to make, else what the request says. Ciphers only: with OAEP the key would be of no use to programs that
// cannot be told to do without.
func (p *Profile) capabilities() cms.Capabilities {
	if p.Purpose != Mail && p.Purpose != Encrypt {
		return nil
	}
	if p.CSR == nil {
		return cms.OwnCapabilities().Ciphers()
	}
	requested, ok := cms.CertificateCapabilities(&x509.Certificate{Extensions: p.CSR.Extensions})
	if !ok {
		return nil
	}
	return requested.Ciphers()
}
