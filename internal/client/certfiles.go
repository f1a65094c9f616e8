package client

import (
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/revocation"
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

// readRevocation reads revocation lists and OCSP responses from files: DER, or PEM where there may be several in one.
func (o Options) readRevocation(crls, responses []string) (e revocation.Evidence, err error) {
	for _, group := range []struct {
		files []string
		list  *[][]byte
		block string
	}{{crls, &e.CRLs, "X509 CRL"}, {responses, &e.OCSPResponses, "OCSP RESPONSE"}} {
		for _, name := range group.files {
			data, err := o.readSmall(name)
			if err != nil {
				return e, err
			}
			found := blocks(data, group.block)
			for _, der := range found {
				if group.block == "X509 CRL" {
					_, err = revocation.ParseCRL(der)
				} else {
					_, err = revocation.ParseResponse(der)
				}
				if err != nil { // who names a file means it to be used
					return e, failed(name, err, "it must hold what --crl or --ocsp says, in DER or PEM")
				}
			}
			*group.list = append(*group.list, found...)
		}
	}
	return e, nil
}

// blocks are the PEM blocks of a type; a file without PEM is one of them in DER.
func blocks(data []byte, kind string) [][]byte {
	var found [][]byte
	for rest := data; ; {
		block, more := pem.Decode(rest)
		if block == nil {
			break
		}
		if rest = more; block.Type == kind {
			found = append(found, block.Bytes)
		}
	}
	if found == nil {
		found = [][]byte{data}
	}
	return found
}

// parseCertificates reads the certificates in a file, of which there must be one at least.
func parseCertificates(name string, data []byte) ([]*x509.Certificate, error) {
	certs, err := certstore.ParseCertificates(data)
	if err != nil {
		return nil, failed(name, err, "the file must hold certificates in PEM, DER or PKCS#7")
	}
	return certs, nil
}

// explainFile says why a file of keys or certificates cannot be used, and what to do.
func explainFile(name string, err error) error {
	var said *Error
	switch {
	case errors.As(err, &said):
		return err
	case errors.Is(err, certstore.ErrPassword):
		return failed(name, err, "check the password that --p12-password-file or --p12-password-command gives")
	case errors.Is(err, certstore.ErrEncryptedKey):
		return failed(name, err, "give it with --p12-password-file or --p12-password-command")
	case errors.Is(err, certstore.ErrAltered):
		return failed(name, err, "export it anew from where it was made")
	case errors.Is(err, certstore.ErrUnsupportedEncryption):
		return failed(name, err, "export it anew, with AES-256")
	case errors.Is(err, certstore.ErrUnsupportedKey), errors.Is(err, certstore.ErrUnsupportedCertificate):
		return failed(name, err, "sealmail takes RSA, P-256, P-384, P-521, Ed25519 and X25519")
	case errors.Is(err, certstore.ErrMalformed), errors.Is(err, certstore.ErrTooLarge), errors.Is(err, certstore.ErrUnsupportedPKCS12):
		return failed(name, err, "the file must hold certificates or keys in PEM or DER, or be PKCS#12 or PKCS#7")
	}
	return err // of who was asked for the password
}

// decodePKCS12 opens a PKCS#12 file, and says what to do where it does not open.
func decodePKCS12(name string, data, password []byte) ([]certstore.KeyPair, error) {
	bundle, err := certstore.DecodePKCS12(data, string(password))
	if errors.Is(err, certstore.ErrMalformed) {
		return nil, failed(name, err, "the file must be PKCS#12, with a key and its certificate")
	}
	if err != nil {
		return nil, explainFile(name, err)
	}
	pairs, _ := bundle.KeyPairs()
	if len(pairs) == 0 {
		return nil, failed(name, errors.New("it holds no private key with its certificate"), "export both together from where they are")
	}
	return pairs, nil
}
