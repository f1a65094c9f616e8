package certstore

import (
	"crypto/hmac"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// open checks the password against the MAC and takes everything out of the safes.
func (p *pfx) open(password string, budget int) (Bundle, error) {
	if p.mac == nil {
		return p.openUnverified(password, budget)
	}
	secret, err := p.authenticate(password)
	if errors.Is(err, ErrPassword) {
		// A password that opens the safes is right, and it is the file that is not as it was made.
		if o, err := p.tryReadings(password, budget); err == nil && o.decrypting {
			return Bundle{}, ErrAltered
		}
	}
	if err != nil {
		return Bundle{}, err
	}
	o, err := p.openSafes(secret, budget)
	return o.bundle, err
}

// takesEmptyPassword tells, as cheaply as it can be told, whether the file opens without anybody being asked.
func (p *pfx) takesEmptyPassword(budget int) (bool, error) {
	var err error
	if p.mac != nil {
		_, err = p.authenticate("")
	} else {
		_, err = p.tryReadings("", budget)
	}
	if errors.Is(err, ErrPassword) {
		return false, nil
	}
	return err == nil, err
}

// openUnverified opens a file that has no MAC. What decrypts then shows whether the password is right.
func (p *pfx) openUnverified(password string, budget int) (Bundle, error) {
	o, err := p.tryReadings(password, budget)
	if err != nil {
		return Bundle{}, err
	}
	if len(o.bundle.Keys) > 0 {
		o.bundle.Warnings = append(o.bundle.Warnings, ErrNoMAC)
	}
	return o.bundle, nil
}

// tryReadings opens the safes with the first reading of the password that does.
func (p *pfx) tryReadings(password string, budget int) (opener, error) {
	for _, secret := range passwordReadings(password) {
		o, err := p.openSafes(secret, budget)
		if err == nil || !errors.Is(err, ErrMalformed) || !o.decrypting {
			return o, err
		}
	}
	return opener{}, ErrPassword
}

// openSafes takes everything out. What it returns with an error says only whether the password mattered.
func (p *pfx) openSafes(secret passwordForms, budget int) (opener, error) {
	o := opener{secret: secret, budget: budget}
	defer func() { p.spent += budget - o.budget }()
	for _, s := range p.safes {
		if err := o.openSafe(s); err != nil {
			return opener{decrypting: o.decrypting}, err
		}
	}
	return o, nil
}

// authenticate checks the MAC (RFC 7292 section 5.1) and returns the password in the form that fits.
func (p *pfx) authenticate(password string) (passwordForms, error) {
	cost, err := p.mac.iterationCount()
	if err != nil {
		return passwordForms{}, err
	}
	for _, secret := range passwordReadings(password) {
		p.spent += cost
		digest, err := p.mac.compute(secret, p.content)
		if err != nil {
			return passwordForms{}, err
		}
		if hmac.Equal(digest, p.mac.digest) {
			return secret, nil
		}
	}
	return passwordForms{}, ErrPassword
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
			return nil, fmt.Errorf("%w: MAC with %s", ErrUnsupportedEncryption, algorithmName(m.algorithm.id))
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
	return params.kdf.cost, nil
}

// opener collects what is in the safes.
type opener struct {
	secret passwordForms
	budget int
	bags   int
	bundle Bundle

	decrypting bool // something in the file is encrypted
}

func (o *opener) openSafe(s safe) error {
	data := s.data
	if s.scheme != nil {
		o.decrypting = true
		var err error
		if data, err = decryptWith(s.scheme, o.secret, data, &o.budget); err != nil {
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

// decryptWith decrypts within a budget of iterations.
func decryptWith(scheme *passwordScheme, secret passwordForms, data []byte, budget *int) ([]byte, error) {
	if err := spend(budget, scheme.iterations); err != nil {
		return nil, err
	}
	return scheme.decrypt(secret, data)
}

// decryptPKCS8 decrypts an EncryptedPrivateKeyInfo (RFC 5958 section 3). What comes out has the outline of a private key;
// where it has not, the error is errUndecryptable.
func decryptPKCS8(value cryptobyte.String, secret passwordForms, budget *int) (der []byte, weak string, err error) {
	scheme, encrypted, err := parseShrouded(value)
	if err != nil {
		return nil, "", err
	}
	der, err = decryptWith(scheme, secret, encrypted, budget)
	if err == nil {
		der, err = asPKCS8(der)
	}
	if errors.Is(err, errUndecryptable) && scheme.gnupg != nil {
		if der, err = scheme.gnupg(secret, encrypted); err == nil {
			der, err = asPKCS8(der)
		}
	}
	return der, scheme.weak, err
}

// asPKCS8 returns what was decrypted if it has the outline of a private key. GnuPG gives the OCTET STRING around keys on
// elliptic curves the tag of one in segments, which it is not; that is mended.
func asPKCS8(der []byte) ([]byte, error) {
	if isPKCS8(der) {
		return der, nil
	}
	input := cryptobyte.String(der)
	var body, skipped cryptobyte.String
	if input.ReadASN1(&body, cryptobyteasn1.SEQUENCE) && body.ReadASN1(&skipped, cryptobyteasn1.INTEGER) &&
		body.ReadASN1(&skipped, cryptobyteasn1.SEQUENCE) && len(body) > 0 && body[0] == 0x24 {
		body[0] = byte(cryptobyteasn1.OCTET_STRING)
		if isPKCS8(der) {
			return der, nil
		}
	}
	return nil, errUndecryptable
}

// openBag takes a key or a certificate. Secrets, revocation lists and the like are passed over.
func (o *opener) openBag(b bag) error {
	switch {
	case b.id.Equal(oidCertBag):
		return o.addCertificate(b)
	case b.id.Equal(oidKeyBag):
		return o.bundle.takeKey(b.value)
	case b.id.Equal(oidShroudedKeyBag):
		o.decrypting = true
		key, weak, err := decryptPKCS8(b.value, o.secret, &o.budget)
		if err != nil {
			return err
		}
		defer clear(key)
		o.bundle.warnWeak(weak)
		return o.bundle.takeKey(key)
	}
	return nil
}

func (o *opener) addCertificate(b bag) error {
	value := b.value
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
	if b.friendlyName != "" {
		o.bundle.label(der, b.friendlyName)
	}
	return o.bundle.takeCertificate(der)
}
