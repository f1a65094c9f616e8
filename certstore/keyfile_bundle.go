package certstore

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"maps"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

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

	labels map[string]string // what the file calls a certificate, by its DER
}

// Oddity is a certificate or key that is not used.
type Oddity struct {
	What string // "certificate of …", with the name that it claims, or "private key"
	Err  error
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

func (b *Bundle) odd(what string, err error) error {
	if len(b.Oddities) == maxCertificates {
		return fmt.Errorf("%w: more than %d certificates and keys that cannot be used", ErrTooLarge, maxCertificates)
	}
	b.Oddities = append(b.Oddities, Oddity{what, err})
	return nil
}

// takeCertificate adds a certificate, or an oddity.
func (b *Bundle) takeCertificate(der []byte) error {
	if len(b.Certificates) == maxCertificates {
		return fmt.Errorf("certificates: %w: more than %d", ErrTooLarge, maxCertificates)
	}
	c, err := cms.RawCertificate(der).Parse()
	if err != nil {
		number := len(b.Certificates) + len(b.Oddities) + 1
		reason := ErrMalformed
		if kindOf(der) == kindCertificate {
			reason = fmt.Errorf("%w: %s", ErrUnsupportedCertificate, reasonOf(err))
		}
		return b.odd(claimOf(der).describe(number), reason)
	}
	b.Certificates = append(b.Certificates, c)
	return nil
}

// takeKey adds a private key in DER, or an oddity.
func (b *Bundle) takeKey(der []byte) error {
	if len(b.Keys) == maxKeys {
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
		return b.odd("private key", err)
	}
	b.Keys = append(b.Keys, key)
	return nil
}

// claim is what a certificate that cannot be parsed says of itself, as far as its outline is one (RFC 5280 section 4.1).
type claim struct {
	name string
	key  asn1.ObjectIdentifier // the algorithm of its key, or the curve
}

func (c claim) describe(number int) string {
	what := fmt.Sprintf("certificate %d", number)
	if c.name != "" {
		what = fmt.Sprintf("certificate of %q", c.name)
	}
	if name, known := algorithmNames[c.key.String()]; known {
		what += " with a key for " + name
	}
	return what
}

func claimOf(der []byte) (c claim) {
	input := cryptobyte.String(der)
	var certificate, tbs, skipped, subject, info cryptobyte.String
	if !input.ReadASN1(&certificate, cryptobyteasn1.SEQUENCE) || !certificate.ReadASN1(&tbs, cryptobyteasn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(tagExplicit0) || !tbs.ReadASN1(&skipped, cryptobyteasn1.INTEGER) {
		return c
	}
	for range 3 { // signature, issuer, validity
		if !tbs.ReadASN1(&skipped, cryptobyteasn1.SEQUENCE) {
			return c
		}
	}
	if !tbs.ReadASN1Element(&subject, cryptobyteasn1.SEQUENCE) {
		return c
	}
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(subject, &sequence); err == nil && len(rest) == 0 {
		var name pkix.Name
		name.FillFromRDNSequence(&sequence)
		c.name = distinguishedName(name)
	}
	if tbs.ReadASN1(&info, cryptobyteasn1.SEQUENCE) {
		c.key = keyTypeIn(&info)
	}
	return c
}

// keyTypeIn reads the AlgorithmIdentifier of a key and returns what tells its kind: the curve, where one is named.
func keyTypeIn(in *cryptobyte.String) asn1.ObjectIdentifier {
	var a algorithm
	if !a.read(in) {
		return nil
	}
	var curve asn1.ObjectIdentifier
	if a.id.Equal(oidPublicKeyEC) && a.params.ReadASN1ObjectIdentifier(&curve) {
		return curve
	}
	return a.id
}
