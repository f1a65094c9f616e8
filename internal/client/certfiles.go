package client

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/smime/cms"
)

// readCertificates reads all certificates in these files.
func (o Options) readCertificates(names []string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, name := range names {
		data, err := o.readSmall(name)
		if err != nil {
			return nil, err
		}
		certs, err := parseCertificates(name, data)
		if err != nil {
			return nil, err
		}
		all = append(all, certs...)
	}
	return all, nil
}

// parseCertificates reads the certificates in a file, of which there must be one at least.
func parseCertificates(name string, data []byte) ([]*x509.Certificate, error) {
	bundle, err := parseBundle(data)
	if err == nil && len(bundle.Certificates) == 0 {
		err = certstore.ErrNoCertificate
	}
	if err != nil {
		return nil, failed(name, err, "the file must hold certificates in PEM, DER or PKCS#7")
	}
	return bundle.Certificates, nil
}

// parseBundle reads certificates and keys in PEM or DER, or the certificates of a PKCS#7 file (.p7b, .p7c).
func parseBundle(data []byte) (certstore.Bundle, error) {
	der := data
	if block, _ := pem.Decode(data); block != nil && (block.Type == "PKCS7" || block.Type == "CMS") { // RFC 7468 sections 8 and 9
		der = block.Bytes
	}
	info, err := cms.Read(bytes.NewReader(der), cms.Limits{})
	signed, ok := info.(*cms.SignedData)
	if err != nil || !ok {
		return certstore.ParsePEM(data)
	}
	if _, err := signed.ReadContent(context.Background(), nil); err != nil {
		return certstore.Bundle{}, err
	}
	var bundle certstore.Bundle
	for _, raw := range signed.Certificates {
		cert, err := raw.Parse()
		if err != nil {
			return certstore.Bundle{}, err
		}
		bundle.Certificates = append(bundle.Certificates, cert)
	}
	return bundle, nil
}

// decodePKCS12 opens a PKCS#12 file, and says what to do where it does not open.
func decodePKCS12(name string, data, password []byte) ([]certstore.KeyPair, error) {
	bundle, err := certstore.DecodePKCS12(data, string(password))
	pairs, _ := bundle.KeyPairs()
	switch {
	case errors.Is(err, certstore.ErrPassword):
		return nil, failed(name, err, "check the password that --p12-password-file or --p12-password-command gives")
	case err != nil:
		return nil, failed(name, err, "the file must be PKCS#12, with a key and its certificate")
	case len(pairs) == 0:
		return nil, failed(name, errors.New("it holds no private key with its certificate"), "export both together from where they are")
	}
	return pairs, nil
}

// looksLikePKCS12 tells a PKCS#12 file from certificates and keys in PEM or DER: a PFX is a SEQUENCE that begins with
// the version 3 (RFC 7292 section 4), where a certificate begins with a SEQUENCE and a private key with version 0 or 1.
func looksLikePKCS12(data []byte) bool {
	if len(data) < 2 || data[0] != 0x30 {
		return false
	}
	header := 2
	if data[1] > 0x80 {
		header += int(data[1] & 0x7f)
	}
	return len(data) > header+3 && bytes.Equal(data[header:header+3], []byte{2, 1, 3})
}
