package certstore

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"

	"github.com/sealmail/sealmail/certstore/certpath"
	"github.com/sealmail/sealmail/smime/cms"
)

// Bundle is what a file of certificates and keys held, in its order.
type Bundle struct {
	Certificates []*x509.Certificate
	Keys         []crypto.PrivateKey
	// Oddities are the certificates and keys that were passed over, because they are of no supported kind or broken.
	Oddities []Oddity
	// Warnings say what is wrong with the way in which the keys were kept; they wrap for example ErrWeakEncryption.
	Warnings []error

	labels  map[string]string // what the file calls a certificate, by its DER
	earlier taken             // of a file that is read piece by piece: what other bundles hold
}

// taken counts what was found in a file.
type taken struct{ certificates, keys, oddities int }

func (b *Bundle) taken() taken {
	return taken{b.earlier.certificates + len(b.Certificates), b.earlier.keys + len(b.Keys), b.earlier.oddities + len(b.Oddities)}
}

// Oddity is a certificate or key that is not used.
type Oddity struct {
	What string // "certificate of …", with the name that it claims, or "private key"
	Err  error
	// Certificate is what can be read of a certificate; nil for a key, and where it has not even the outline of one.
	Certificate *certpath.Certificate
}

func (o Oddity) Error() string { return o.What + ": " + o.Err.Error() }

// Unwrap returns what is odd.
func (o Oddity) Unwrap() error { return o.Err }

// Join adds what another file held.
func (b *Bundle) Join(other Bundle) {
	b.Certificates = append(b.Certificates, other.Certificates...)
	b.Keys = append(b.Keys, other.Keys...)
	b.Oddities = append(b.Oddities, other.Oddities...)
	b.Warnings = append(b.Warnings, other.Warnings...)
	if b.labels == nil {
		b.labels = map[string]string{}
	}
	maps.Copy(b.labels, other.labels)
}

// KeyPairs joins each key with its certificate and that one's issuers as far as the bundle has them. A key with several
// certificates makes as many pairs. Keys without a certificate are left out; rest holds the certificates that belong
// to no key's chain.
func (b Bundle) KeyPairs() (pairs []KeyPair, rest []*x509.Certificate) {
	used, leaves := make(map[string]bool), make(map[string]bool)
	for _, key := range b.Keys {
		for _, c := range b.Certificates {
			if leaves[string(c.Raw)] || !KeyMatches(c, key) {
				continue
			}
			leaves[string(c.Raw)] = true
			chain := orderChain(c, b.Certificates)
			for _, link := range chain {
				used[string(link.Raw)] = true
			}
			pairs = append(pairs, KeyPair{Key: key, Chain: chain, Label: b.labels[string(c.Raw)]})
		}
	}
	for _, c := range b.Certificates {
		if !used[string(c.Raw)] {
			rest = append(rest, c)
		}
	}
	return pairs, rest
}

func (b *Bundle) label(der []byte, name string) {
	if b.labels == nil {
		b.labels = map[string]string{}
	}
	b.labels[string(der)] = name
}

func (b *Bundle) warnWeak(scheme string) {
	if scheme != "" {
		b.Warnings = append(b.Warnings, fmt.Errorf("%w: the private key lay under %s; delete the file, and let nobody have had it", ErrWeakEncryption, scheme))
	}
}

func (b *Bundle) odd(o Oddity) error {
	if b.taken().oddities == maxCertificates {
		return fmt.Errorf("%w: more than %d certificates and keys that cannot be used", ErrTooLarge, maxCertificates)
	}
	b.Oddities = append(b.Oddities, o)
	return nil
}

// takeCertificate adds a certificate, or an oddity.
func (b *Bundle) takeCertificate(der []byte) error {
	if b.taken().certificates == maxCertificates {
		return fmt.Errorf("certificates: %w: more than %d", ErrTooLarge, maxCertificates)
	}
	c, err := cms.RawCertificate(der).Parse()
	if err != nil {
		o := Oddity{What: fmt.Sprintf("certificate %d", b.taken().certificates+b.taken().oddities+1), Err: ErrMalformed}
		if readable, readErr := certpath.Parse(der); readErr == nil {
			o.Certificate = readable
			o.What = fmt.Sprintf("certificate of %q", DescribeOdd(readable).Name)
			if readable.PublicKey == nil {
				o.What += " with a key for " + readable.KeyName()
			}
			o.Err = fmt.Errorf("%w: %s", ErrUnsupportedCertificate, reasonOf(err))
		}
		return b.odd(o)
	}
	b.Certificates = append(b.Certificates, c)
	return nil
}

// takeKey adds a private key in DER, or an oddity.
func (b *Bundle) takeKey(der []byte) error {
	if b.taken().keys == maxKeys {
		return fmt.Errorf("private keys: %w: more than %d", ErrTooLarge, maxKeys)
	}
	key, err := parseKeyDER(der)
	if err == nil && publicKey(key) == nil {
		err = ErrUnsupportedKey // such as an ECDH key on a curve of NIST, which no parser returns today
	}
	if errors.Is(err, ErrMalformed) {
		err = ErrMalformed
	}
	if err != nil {
		return b.odd(Oddity{What: "private key", Err: err})
	}
	b.Keys = append(b.Keys, key)
	return nil
}
