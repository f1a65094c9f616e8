package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.mozilla.org/pkcs7"

	"github.com/sealmail/sealmail/certstore"
)

// minPassword is the length under which a password of a file with a key is called short.
const minPassword = 8

// CertExportParams say what to export.
type CertExportParams struct {
	Which   string
	WithKey bool
	Legacy  bool // encrypted for old programs; with a key only
	// Password gives the password for the file with the key. It is not asked where nothing can be exported.
	Password func() ([]byte, error)
	By       string // who exports a key, as the machine calls them
	// Replace is asked before a file that is there already is replaced; its error is returned.
	Replace func(file string) error
}

// exportFormat is a kind of file to export, by the end of its name.
func exportFormat(name string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".p12", ".pfx":
		return "pkcs12"
	case ".p7c", ".p7b":
		return "pkcs7"
	case ".der", ".cer":
		return "der"
	}
	return "pem"
}

// CertExport writes a certificate with the issuers that are known of it, without whom others could not judge it: PEM, or
// PKCS#7, or PKCS#12 with the key; in DER goes the certificate alone. A key that leaves is written down in the store.
func (c *Client) CertExport(ctx context.Context, p CertExportParams, out Output) error {
	found, err := c.find(p.Which)
	if err != nil {
		return err
	}
	s, format := found[0], exportFormat(out.Name) // identities come first
	switch {
	case p.WithKey && format != "pkcs12":
		return usage("cert export", errors.New("a private key leaves only in a PKCS#12 file"), "name the output something.p12")
	case p.WithKey && s.identity == nil:
		return failed("", fmt.Errorf("%s has no private key here", p.Which), "only your own identities have one")
	case !p.WithKey && format == "pkcs12":
		return usage("cert export", errors.New("a PKCS#12 file is for a private key"), "say --key, or name a .pem or .p7c")
	case !p.WithKey && p.Legacy:
		return usage("cert export", errors.New("there is nothing to encrypt without a private key"), "say --key, or leave --legacy out")
	}
	if err := mayReplace(out.Name, p.Replace); err != nil {
		return err
	}
	if p.WithKey {
		if others := countIdentities(found) - 1; others > 0 {
			c.o.Say(fmt.Sprintf("warning: this exports %s, the newest, and not the %d others that are called so: name them by fingerprint", s.line.Fingerprint[:16], others))
		}
		return c.exportKey(s, p, out)
	}
	var data []byte
	switch format {
	case "pkcs7":
		var raw bytes.Buffer
		for _, cert := range s.chain {
			raw.Write(cert.Raw)
		}
		if data, err = pkcs7.DegenerateCertificate(raw.Bytes()); err != nil {
			return failed("", err, "")
		}
	case "der":
		data = s.cert.Raw
	default:
		data = certstore.EncodeCertificates(s.chain...)
	}
	return c.write(out, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func countIdentities(found []storedCertificate) (n int) {
	for _, s := range found {
		if s.identity != nil {
			n++
		}
	}
	return n
}

// mayReplace asks before a file is replaced.
func mayReplace(name string, ask func(string) error) error {
	if name == "-" {
		return nil
	}
	_, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return unwritable(name, err)
	}
	if ask == nil {
		return failed(name, fs.ErrExist, "name another file")
	}
	return ask(name)
}

// exportKey writes an identity with its key. The record that it left is on the disk before the file is there: after a kill
// in between there is a record too many, and never a copy too many.
func (c *Client) exportKey(s storedCertificate, p CertExportParams, out Output) error {
	key, err := s.identity.PrivateKey()
	if err != nil {
		return storeError(err)
	}
	password, err := p.Password()
	if err != nil {
		return err
	}
	if len(password) > 0 && len(password) < minPassword {
		c.o.Say(fmt.Sprintf("warning: the password has less than %d octets: who gets the file can guess it", minPassword))
	}
	encode, format := certstore.EncodePKCS12, "pkcs12"
	if p.Legacy {
		encode, format = certstore.EncodeLegacyPKCS12, "pkcs12-legacy"
		c.o.Say("warning: the encryption for old programs (Triple-DES, SHA-1, few iterations) makes passwords cheap to guess: delete the file when it was imported")
	}
	data, err := encode(certstore.KeyPair{Key: key, Chain: s.chain}, string(password))
	if err != nil {
		return failed("", err, "")
	}
	where, err := filepath.Abs(out.Name)
	if err != nil {
		return failed("", err, "")
	}
	return c.write(out, func(w io.Writer) error {
		if _, err := w.Write(data); err != nil {
			return err
		}
		return storeErrorOrNil(c.certificates().RecordExport(certstore.NewExport(s.cert, where, format, p.By, c.o.Now())))
	})
}

func storeErrorOrNil(err error) error {
	if err == nil {
		return nil
	}
	return storeError(err)
}
