package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.mozilla.org/pkcs7"

	"github.com/sealmail/sealmail/certstore"
)

// CertExportParams say what to export.
type CertExportParams struct {
	Which    string
	WithKey  bool
	Password []byte
}

// CertExport writes a certificate with the issuers that are known of it, without whom others could not judge it: PEM, or
// .p7c, or PKCS#12 with the key.
func (c *Client) CertExport(ctx context.Context, p CertExportParams, out Output) error {
	found, err := c.find(p.Which)
	if err != nil {
		return err
	}
	s := found[0]
	var data []byte
	switch {
	case p.WithKey && !strings.HasSuffix(out.Name, ".p12") && !strings.HasSuffix(out.Name, ".pfx"):
		return usage("cert export", errors.New("a private key leaves only in a PKCS#12 file"), "name the output something.p12")
	case p.WithKey && s.identity == nil:
		return failed("", fmt.Errorf("%s has no private key here", p.Which), "only your own identities have one")
	case p.WithKey:
		key, err := s.identity.PrivateKey()
		if err != nil {
			return storeError(err)
		}
		if data, err = certstore.EncodePKCS12(certstore.KeyPair{Key: key, Chain: s.chain}, string(p.Password)); err != nil {
			return failed("", err, "")
		}
	case strings.HasSuffix(out.Name, ".p12"), strings.HasSuffix(out.Name, ".pfx"):
		return usage("cert export", errors.New("a PKCS#12 file is for a private key"), "say --key, or name a .pem or .p7c")
	case strings.HasSuffix(out.Name, ".p7c"):
		var raw bytes.Buffer
		for _, cert := range s.chain {
			raw.Write(cert.Raw)
		}
		if data, err = pkcs7.DegenerateCertificate(raw.Bytes()); err != nil {
			return failed("", err, "")
		}
	default:
		data = certstore.EncodeCertificates(s.chain...)
	}
	return c.write(out, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
