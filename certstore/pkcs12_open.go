package certstore

import (
	"crypto/hmac"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// open checks the password against the MAC and takes everything out of the safes.
func (p *pfx) open(password string, budget int) (Bundle, error) {
	secret, err := p.authenticate(password)
	if err != nil {
		return Bundle{}, err
	}
	o := opener{secret: secret, budget: budget}
	for _, s := range p.safes {
		if err := o.openSafe(s); err != nil {
			if o.odd != nil {
				err = fmt.Errorf("%w; %w", o.odd, err)
			}
			return Bundle{}, err
		}
	}
	if len(o.bundle.Keys) == 0 && o.odd != nil || len(o.bundle.Certificates) == 0 && o.odd != nil {
		return Bundle{}, o.odd
	}
	return o.bundle, nil
}

// authenticate checks the MAC (RFC 7292 section 5.1) and returns the password in the form that fits.
func (p *pfx) authenticate(password string) (passwordForms, error) {
	forms := newPasswordForms(password)
	if p.mac == nil {
		if password != "" {
			return forms, fmt.Errorf("%w: nothing in it tells whether a password is right", ErrUnsupportedPKCS12)
		}
		return forms, nil
	}
	tries := []passwordForms{forms}
	if password == "" {
		// Some programs take the empty password for no octets at all, and not for a string of none.
		tries = append(tries, passwordForms{})
	}
	for _, try := range tries {
		digest, err := p.mac.compute(try, p.content)
		if err != nil {
			return forms, err
		}
		if hmac.Equal(digest, p.mac.digest) {
			return try, nil
		}
	}
	return forms, ErrPassword
}

func (m *macData) compute(secret passwordForms, content []byte) ([]byte, error) {
	var key []byte
	var h func() hash.Hash
	if m.algorithm.id.Equal(oidPBMAC1) { // RFC 9579
		params, err := parsePBMAC1(m.algorithm)
		if err != nil {
			return nil, err
		}
		h = params.hash
		if key, err = params.kdf.key(secret, params.kdf.keyLength); err != nil {
			return nil, err
		}
	} else {
		var ok bool
		if h, ok = hashByOID(m.algorithm.id); !ok {
			return nil, fmt.Errorf("%w: MAC with %v", ErrUnsupportedPKCS12, m.algorithm.id)
		}
		key = pkcs12KDF(h, kdfMAC, secret.bmp, m.salt, m.iterations, h().Size())
	}
	mac := hmac.New(h, key)
	mac.Write(content)
	return mac.Sum(nil), nil
}

// iterationCount returns the iterations of the MAC's key derivation, wherever they are stated.
func (m *macData) iterationCount() (int, error) {
	if !m.algorithm.id.Equal(oidPBMAC1) {
		return m.iterations, nil
	}
	params, err := parsePBMAC1(m.algorithm)
	if err != nil {
		return 0, err
	}
	return params.kdf.iterations, nil
}

// opener collects what is in the safes.
type opener struct {
	secret passwordForms
	budget int
	bags   int
	bundle Bundle
	odd    error // the first key or certificate that is of no known kind
}

func (o *opener) openSafe(s safe) error {
	data := s.data
	if s.scheme != nil {
		var err error
		if data, err = o.decrypt(s.scheme, data); err != nil {
			return err
		}
	}
	bags, err := parseBags(data)
	if err != nil {
		return err
	}
	for _, b := range bags {
		if o.bags++; o.bags > maxBags {
			return fmt.Errorf("%w: more than %d bags", ErrTooLarge, maxBags)
		}
		if err := o.openBag(b); err != nil {
			return err
		}
	}
	return nil
}

func (o *opener) decrypt(scheme *passwordScheme, data []byte) ([]byte, error) {
	if err := spend(&o.budget, scheme.iterations); err != nil {
		return nil, err
	}
	return scheme.decrypt(o.secret, data)
}

// openBag takes a key or a certificate. Secrets, revocation lists and the like are passed over.
func (o *opener) openBag(b bag) error {
	switch {
	case b.id.Equal(oidCertBag):
		return o.addCertificate(b.value)
	case b.id.Equal(oidKeyBag):
		return o.addKey(b.value)
	case b.id.Equal(oidShroudedKeyBag):
		scheme, encrypted, err := parseShrouded(b.value)
		if err != nil {
			return err
		}
		key, err := o.decrypt(scheme, encrypted)
		if err != nil {
			return err
		}
		defer clear(key)
		return o.addKey(key)
	case b.id.Equal(oidSafeContentsBag):
		return fmt.Errorf("%w: safes inside safes", ErrUnsupportedPKCS12)
	}
	return nil
}

func (o *opener) addCertificate(value cryptobyte.String) error {
	var body, explicit, der cryptobyte.String
	var certType asn1.ObjectIdentifier
	if !value.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !body.ReadASN1ObjectIdentifier(&certType) ||
		!body.ReadASN1(&explicit, tagExplicit0) {
		return fmt.Errorf("%w: certificate bag", ErrMalformed)
	}
	if !certType.Equal(oidCertTypeX509) {
		return nil
	}
	if !explicit.ReadASN1(&der, cryptobyteasn1.OCTET_STRING) {
		return fmt.Errorf("%w: certificate bag", ErrMalformed)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		o.oddity(fmt.Errorf("%w: a certificate in it: %s", ErrUnsupportedPKCS12, reasonOf(err)))
		return nil
	}
	o.bundle.Certificates = append(o.bundle.Certificates, c)
	return nil
}

func (o *opener) addKey(der []byte) error {
	key, err := parseKeyDER(der)
	if err == nil && publicKey(key) == nil {
		err = ErrUnsupportedKey
	}
	if errors.Is(err, ErrUnsupportedKey) {
		o.oddity(err)
		return nil
	}
	if err != nil {
		return err
	}
	if len(o.bundle.Keys) == maxKeys {
		return fmt.Errorf("%w: more than %d keys", ErrTooLarge, maxKeys)
	}
	o.bundle.Keys = append(o.bundle.Keys, key)
	return nil
}

func (o *opener) oddity(err error) {
	if o.odd == nil {
		o.odd = err
	}
}
