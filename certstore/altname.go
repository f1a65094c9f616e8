package certstore

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/net/idna"
)

// ErrName says that a name cannot stand in a certificate.
var ErrName = errors.New("not a name for a certificate")

// MarshalSubjectAltName returns the DER of a subjectAltName extension (RFC 5280 section 4.2.1.6), or nil where there are no
// names: mail addresses, and host names or IP addresses of servers. Addresses beyond ASCII become SmtpUTF8Mailbox names
// (RFC 9598), which the standard library cannot write. The error wraps [ErrName].
func MarshalSubjectAltName(emails, hosts []string) ([]byte, error) {
	if len(emails)+len(hosts) == 0 {
		return nil, nil
	}
	var b cryptobyte.Builder
	var failure error
	b.AddASN1(cryptobyteasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, email := range emails {
			if err := addEmail(b, email); err != nil && failure == nil {
				failure = err
			}
		}
		for _, host := range hosts {
			if err := addHost(b, host); err != nil && failure == nil {
				failure = err
			}
		}
	})
	if failure != nil {
		return nil, failure
	}
	return b.Bytes()
}

func addEmail(b *cryptobyte.Builder, email string) error {
	if _, ok := NormalizeAddress(email); !ok {
		return fmt.Errorf("%w: %q is not a mail address", ErrName, email)
	}
	local, domain, _ := strings.Cut(email, "@")
	domain, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return fmt.Errorf("%w: %q is not a mail address", ErrName, email)
	}
	address := []byte(local + "@" + domain)
	if isASCII(local) {
		b.AddASN1(cryptobyteasn1.Tag(1).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(address) })
		return nil
	}
	b.AddASN1(cryptobyteasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSmtpUTF8Mailbox)
		b.AddASN1(cryptobyteasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyteasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes(address) })
		})
	})
	return nil
}

func addHost(b *cryptobyte.Builder, host string) error {
	if ip, err := netip.ParseAddr(host); err == nil {
		b.AddASN1(cryptobyteasn1.Tag(7).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(ip.Unmap().AsSlice()) })
		return nil
	}
	wildcard := ""
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		wildcard, host = "*.", rest
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil || ascii == "" || strings.ContainsAny(ascii, " @*/:") {
		return fmt.Errorf("%w: %q is not a host name", ErrName, host)
	}
	b.AddASN1(cryptobyteasn1.Tag(2).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(wildcard + ascii)) })
	return nil
}
