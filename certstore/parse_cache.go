package certstore

import (
	"bytes"
	"crypto/x509"
	"sync"

	"github.com/sealmail/sealmail/smime/cms"
)

// Bounds on what a ParseCache keeps.
const (
	maxParsed     = 256
	maxParsedSize = 1 << 20 // octets of DER in all
)

// ParseCache parses certificates, and remembers those that it parsed: mail comes from the same people again and again,
// and each message brings their certificates along. The zero value is empty and ready for use, by several goroutines too.
// The certificates that it returns are shared and must not be changed.
type ParseCache struct {
	mu           sync.Mutex
	parsed       map[string]*x509.Certificate // by DER
	size         int
	fingerprints map[*x509.Certificate]string
}

// Fingerprint is [Fingerprint], and remembers that of a certificate, be it from this cache or from elsewhere, by its
// address.
func (c *ParseCache) Fingerprint(cert *x509.Certificate) string {
	c.mu.Lock()
	known, ok := c.fingerprints[cert]
	c.mu.Unlock()
	if ok {
		return known
	}
	fingerprint := Fingerprint(cert)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fingerprints == nil || len(c.fingerprints) == maxParsed {
		c.fingerprints = map[*x509.Certificate]string{}
	}
	c.fingerprints[cert] = fingerprint
	return fingerprint
}

// Parse is [cms.RawCertificate.Parse]. What is kept does not hold on to the memory of raw. Failures are not remembered.
func (c *ParseCache) Parse(raw cms.RawCertificate) (*x509.Certificate, error) {
	c.mu.Lock()
	known := c.parsed[string(raw)]
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	cert, err := cms.RawCertificate(bytes.Clone(raw)).Parse()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Who fills the cache with certificates of no use costs the others one more parsing each.
	if c.parsed == nil || len(c.parsed) == maxParsed || c.size+len(raw) > maxParsedSize {
		c.parsed, c.size = map[string]*x509.Certificate{}, 0
	}
	if c.parsed[string(raw)] == nil && len(raw) <= maxParsedSize {
		c.parsed[string(raw)] = cert
		c.size += len(raw)
	}
	return cert, nil
}
