package certstore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime/cms"
)

const requestsDir = "requests"

// RequestNames is whom a certificate is asked for, and what for.
type RequestNames struct {
	Addresses    []string // one at least
	Name         string   // common name; may be empty
	Organization string   // may be empty
	Use          MailUse
}

// NewRequest returns a request for a certificate (PKCS #10, RFC 2986) in DER, signed with the key that it is for. It asks
// for the extensions that a certificate for mail needs: subjectAltName, key usage, extended key usage and, because the key
// is of this program's making, what its owner can open (RFC 4262).
func NewRequest(key crypto.Signer, n RequestNames) ([]byte, error) {
	if len(n.Addresses) == 0 {
		return nil, fmt.Errorf("%w: no mail address", ErrName)
	}
	usage, err := n.Use.KeyUsage(key.Public())
	if err != nil {
		return nil, err
	}
	names, err := MarshalSubjectAltName(n.Addresses, nil)
	if err != nil {
		return nil, err
	}
	purposes, err := asn1.Marshal([]asn1.ObjectIdentifier{oidEmailProtection})
	if err != nil {
		return nil, err
	}
	template := &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{
		{Id: oidSubjectAltName, Value: names},
		{Id: oidKeyUsage, Critical: true, Value: marshalKeyUsage(usage)},
		{Id: oidExtendedKeyUsage, Value: purposes},
	}}
	template.Subject.CommonName = n.Name
	if n.Organization != "" {
		template.Subject.Organization = []string{n.Organization}
	}
	if n.Use != ForSigning {
		capabilities, err := cms.OwnCapabilities().Ciphers().Marshal()
		if err != nil {
			return nil, err
		}
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: cms.OIDAttributeSMIMECapabilities, Value: capabilities})
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fmt.Errorf("request for a certificate: %w", err)
	}
	return der, nil
}

var oidEmailProtection = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 4}

// marshalKeyUsage returns the DER of a KeyUsage (RFC 5280 section 4.2.1.3): the standard library has it in certificates
// alone. Its bit 0 is the first of the BIT STRING, and trailing zeros are left out.
func marshalKeyUsage(usage x509.KeyUsage) []byte {
	var bits byte // none of the usages here is beyond the eighth
	length := 0
	for i := range 8 {
		if usage&(1<<i) != 0 {
			bits |= 0x80 >> i
			length = i + 1
		}
	}
	var b cryptobyte.Builder
	b.AddASN1(cryptobyteasn1.BIT_STRING, func(b *cryptobyte.Builder) {
		b.AddUint8(uint8(8 - length))
		b.AddUint8(bits)
	})
	return b.BytesOrPanic()
}

// Request is a certificate that was asked for, and is not here yet. Its key is in the vault.
type Request struct {
	DER     []byte
	Names   RequestNames
	Key     string // KeyFingerprint of the certificate to come
	Created time.Time
}

type requestMeta struct {
	Version      int       `json:"version"`
	Addresses    []string  `json:"addresses"`
	Name         string    `json:"name,omitempty"`
	Organization string    `json:"organization,omitempty"`
	Use          MailUse   `json:"use"`
	Created      time.Time `json:"created"`
}

const pemRequest = "CERTIFICATE REQUEST"

// EncodeRequest returns a request as PEM (RFC 7468 section 7).
func EncodeRequest(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemRequest, Bytes: der})
}

// AddRequest stores a key, and the request that was made with it. The vault must be unlocked.
func (s *Store) AddRequest(ctx context.Context, key crypto.Signer, n RequestNames, created time.Time) (Request, error) {
	der, err := NewRequest(key, n)
	if err != nil {
		return Request{}, err
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return Request{}, err
	}
	// As if it were a certificate: what names a key is the same.
	alike := &x509.Certificate{RawSubjectPublicKeyInfo: request.RawSubjectPublicKeyInfo}
	r := Request{DER: der, Names: n, Key: KeyFingerprint(alike), Created: created.UTC()}
	// The key first: a kill in between leaves a key without a use, not a request whose certificate would be of none.
	if err := s.putKey(ctx, alike, key); err != nil {
		return Request{}, err
	}
	line, err := json.Marshal(requestMeta{metaVersion, n.Addresses, n.Name, n.Organization, n.Use, r.Created})
	if err != nil {
		return Request{}, err
	}
	return r, s.write(safeio.NewFile{Path: s.requestPath(r.Key), Data: append(append(line, '\n'), EncodeRequest(der)...), Perm: 0o600})
}

func (s *Store) requestPath(key string) string { return filepath.Join(s.dir, requestsDir, key+".pem") }

// Requests returns what was asked for and has not come, the oldest first.
func (s *Store) Requests() ([]Request, []Problem, error) {
	keys, problems, err := s.list(filepath.Join(s.dir, requestsDir))
	if err != nil {
		return nil, nil, err
	}
	var requests []Request
	for _, key := range keys {
		r, err := readRequest(s.requestPath(key), key)
		if err != nil {
			problems = append(problems, Problem{s.requestPath(key), err})
			continue
		}
		requests = append(requests, r)
	}
	slices.SortStableFunc(requests, func(a, b Request) int { return a.Created.Compare(b.Created) })
	return requests, problems, nil
}

func readRequest(path, key string) (Request, error) {
	data, err := readLimited(path)
	if err != nil {
		return Request{}, err
	}
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	var meta requestMeta
	if err := readMeta(line, &meta); err != nil {
		return Request{}, err
	}
	block, _ := pem.Decode(rest)
	if block == nil || block.Type != pemRequest {
		return Request{}, fmt.Errorf("%w: no request in it", ErrMalformed)
	}
	return Request{DER: block.Bytes, Key: key, Created: meta.Created,
		Names: RequestNames{Addresses: meta.Addresses, Name: meta.Name, Organization: meta.Organization, Use: meta.Use}}, nil
}

// DropRequest removes a request; its key stays. The error is [ErrNotFound] where it is not there.
func (s *Store) DropRequest(key string) error {
	if !validFingerprint(key) {
		return fmt.Errorf("%w: %q names no request", ErrNotFound, key)
	}
	there, err := s.remove(s.requestPath(key))
	if err == nil && !there {
		err = ErrNotFound
	}
	return err
}

// fulfil removes the request that a certificate answers, if there is one.
func (s *Store) fulfil(c *x509.Certificate) error {
	if err := s.DropRequest(KeyFingerprint(c)); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// String describes a request for people.
func (r Request) String() string { return strings.Join(r.Names.Addresses, ", ") }
