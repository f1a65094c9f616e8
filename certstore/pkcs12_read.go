package certstore

import (
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/smime/cms/ber"
)

// Bounds on a PKCS#12 file. Iterations are counted over the whole file: a few seconds of work.
const (
	maxSafes      = 64
	maxBags       = 1024
	maxIterations = 20_000_000
	maxLabel      = 256 // UTF-16 units of a friendlyName
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidEnvelopedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}

	oidKeyBag          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedKeyBag  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidSafeContentsBag = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 6}
	oidCertTypeX509    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidFriendlyName    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
	tagBMPString       = cryptobyteasn1.Tag(30)
	tagExplicit0       = cryptobyteasn1.Tag(0).ContextSpecific().Constructed()
	tagImplicit0       = cryptobyteasn1.Tag(0).ContextSpecific()
	errPFX             = fmt.Errorf("%w: not a PKCS#12 file", ErrMalformed)
	errPublicKeyPFX    = fmt.Errorf("%w: it is secured by certificates and not by a password", ErrUnsupportedPKCS12)
)

// pfx is a PKCS#12 file (RFC 7292 section 4), in DER or BER, before anything is decrypted: safes in whatever number,
// with keys and certificates as they come.
type pfx struct {
	mac     *macData // nil: there is none
	content []byte   // what the MAC is over
	safes   []safe
	spent   int // iterations, on all attempts to open it
}

type macData struct {
	algorithm  algorithm
	digest     []byte
	salt       []byte
	iterations int
}

// safe is one ContentInfo of the AuthenticatedSafe: SafeContents, or the encryption of one.
type safe struct {
	scheme *passwordScheme // nil: not encrypted
	data   []byte
}

// parsePFX reads the outline of the file and adds up what opening it would cost, which must be within this budget of
// iterations.
func parsePFX(data []byte, budget int) (*pfx, error) {
	der, err := ber.ToDER(data, ber.Limits{Element: maxFileSize})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPFX, err)
	}
	input := cryptobyte.String(der)
	var body, contentInfo, octets cryptobyte.String
	var version int
	var contentType asn1.ObjectIdentifier
	if !input.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !body.ReadASN1Integer(&version) ||
		!body.ReadASN1(&contentInfo, cryptobyteasn1.SEQUENCE) || !contentInfo.ReadASN1ObjectIdentifier(&contentType) ||
		!contentInfo.ReadASN1(&octets, tagExplicit0) {
		return nil, errPFX
	}
	if version != 3 {
		return nil, fmt.Errorf("%w: version %d", ErrUnsupportedPKCS12, version)
	}
	if !contentType.Equal(oidData) {
		return nil, errPublicKeyPFX
	}
	p := new(pfx)
	var content cryptobyte.String
	if !octets.ReadASN1(&content, cryptobyteasn1.OCTET_STRING) {
		return nil, errPFX
	}
	p.content = content
	if !body.Empty() {
		if p.mac, err = parseMAC(&body); err != nil {
			return nil, err
		}
	}
	if err := p.parseSafes(); err != nil {
		return nil, err
	}
	return p, p.checkCost(budget)
}

func parseMAC(body *cryptobyte.String) (*macData, error) {
	var data, info, digest, salt cryptobyte.String
	m := &macData{iterations: 1} // DEFAULT
	if !body.ReadASN1(&data, cryptobyteasn1.SEQUENCE) || !data.ReadASN1(&info, cryptobyteasn1.SEQUENCE) ||
		!m.algorithm.read(&info) || !info.ReadASN1(&digest, cryptobyteasn1.OCTET_STRING) ||
		!data.ReadASN1(&salt, cryptobyteasn1.OCTET_STRING) || !data.Empty() && !data.ReadASN1Integer(&m.iterations) {
		return nil, errPFX
	}
	m.digest, m.salt = digest, salt
	return m, nil
}

func (p *pfx) parseSafes() error {
	der, err := ber.ToDER(p.content, ber.Limits{Element: maxFileSize})
	if err != nil {
		return fmt.Errorf("%w: %w", errPFX, err)
	}
	input := cryptobyte.String(der)
	var list cryptobyte.String
	if !input.ReadASN1(&list, cryptobyteasn1.SEQUENCE) {
		return errPFX
	}
	for !list.Empty() {
		if len(p.safes) == maxSafes {
			return fmt.Errorf("%w: more than %d safes", ErrTooLarge, maxSafes)
		}
		var info, content cryptobyte.String
		var contentType asn1.ObjectIdentifier
		if !list.ReadASN1(&info, cryptobyteasn1.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&contentType) ||
			!info.ReadASN1(&content, tagExplicit0) {
			return errPFX
		}
		s, err := parseSafe(contentType, content)
		if err != nil {
			return err
		}
		p.safes = append(p.safes, s)
	}
	return nil
}

func parseSafe(contentType asn1.ObjectIdentifier, content cryptobyte.String) (safe, error) {
	switch {
	case contentType.Equal(oidData):
		var octets cryptobyte.String
		if !content.ReadASN1(&octets, cryptobyteasn1.OCTET_STRING) {
			return safe{}, errPFX
		}
		return safe{data: octets}, nil
	case contentType.Equal(oidEncryptedData): // RFC 5652 section 8
		var data, info cryptobyte.String
		var version int
		var inner asn1.ObjectIdentifier
		var a algorithm
		if !content.ReadASN1(&data, cryptobyteasn1.SEQUENCE) || !data.ReadASN1Integer(&version) ||
			!data.ReadASN1(&info, cryptobyteasn1.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&inner) || !a.read(&info) {
			return safe{}, errPFX
		}
		encrypted, ok := readImplicitOctets(&info)
		if !ok {
			return safe{}, errPFX
		}
		scheme, err := parseScheme(a)
		return safe{scheme: scheme, data: encrypted}, err
	case contentType.Equal(oidEnvelopedData):
		return safe{}, errPublicKeyPFX
	}
	return safe{}, fmt.Errorf("%w: content of type %v", ErrUnsupportedPKCS12, contentType)
}

// readImplicitOctets reads an OCTET STRING under the implicit tag [0], in one piece or, as in BER, in segments.
func readImplicitOctets(in *cryptobyte.String) ([]byte, bool) {
	var content cryptobyte.String
	if in.PeekASN1Tag(tagImplicit0) {
		return content, in.ReadASN1(&content, tagImplicit0)
	}
	if !in.ReadASN1(&content, tagExplicit0) {
		return nil, false
	}
	var joined []byte
	for !content.Empty() {
		var segment cryptobyte.String
		if !content.ReadASN1(&segment, cryptobyteasn1.OCTET_STRING) {
			return nil, false
		}
		joined = append(joined, segment...)
	}
	return joined, true
}

// checkCost adds up the iterations that show before anything is decrypted.
func (p *pfx) checkCost(budget int) error {
	if p.mac != nil {
		prf, err := p.mac.iterationCount()
		if err != nil {
			return err
		}
		if err := spend(&budget, prf); err != nil {
			return err
		}
	}
	for _, s := range p.safes {
		if s.scheme != nil {
			if err := spend(&budget, s.scheme.iterations); err != nil {
				return err
			}
			continue
		}
		bags, err := parseBags(s.data)
		if err != nil {
			return err
		}
		for _, b := range bags {
			if !b.id.Equal(oidShroudedKeyBag) {
				continue
			}
			scheme, _, err := parseShrouded(b.value)
			if err != nil {
				return err
			}
			if err := spend(&budget, scheme.iterations); err != nil {
				return err
			}
		}
	}
	return nil
}

// spend takes iterations off what a file may cost.
func spend(budget *int, iterations int) error {
	if iterations < 1 || iterations > *budget {
		return fmt.Errorf("%w: %d iterations of key derivation", ErrTooLarge, iterations)
	}
	*budget -= iterations
	return nil
}
