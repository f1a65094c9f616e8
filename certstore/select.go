package certstore

import (
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
)

// Codes of candidates, beside those of [PathCode].
const (
	Usable          PathCode = ""                 // it can be used
	AddressMismatch PathCode = "address-mismatch" // the certificate speaks for another address
)

// Candidate is a certificate that was considered for an address, and what came of it.
type Candidate struct {
	Certificate  *x509.Certificate
	Chain        []*x509.Certificate // leaf first; the validated path where there is one
	Identity     *Identity           // set where it is one's own
	Capabilities cms.Capabilities    // what its owner is known to handle; nil: unknown
	Known        bool                // whether Capabilities says anything
	Code         PathCode            // Usable, or why it is not
	Reason       string              // a sentence: why it is not usable, or something to know though it is; may be empty
}

// Usable reports whether the certificate can be used.
func (c Candidate) Usable() bool { return c.Code == Usable }

// Selection is the outcome of a choice: the chosen certificate, if any is usable, and all that were considered, the
// usable ones first and the newest first among them.
type Selection struct {
	Address    string
	Chosen     *Candidate // nil: none is usable
	Candidates []Candidate
	Problems   []Problem // files of the store that could not be read
}

// Recipient chooses the certificate to encrypt to for an address: it speaks for the address, is valid at this time, is
// for encryption, and has a path to an anchor; of several, the one whose validity began last. One's own identities are
// candidates as well, and need no anchor: who holds the private key need not be told whose it is.
func (s *Store) Recipient(address string, at time.Time, v Validator) (Selection, error) {
	selection := Selection{Address: address}
	identities, problems, err := s.Identities()
	if err != nil {
		return selection, err
	}
	correspondents, more, err := s.Correspondents()
	if err != nil {
		return selection, err
	}
	selection.Problems = append(problems, more...)
	for _, identity := range identities {
		selection.consider(ownCandidate(identity), address, EncryptMail, at, v)
	}
	for _, c := range correspondents {
		if slices.ContainsFunc(identities, func(i *Identity) bool { return i.Certificate().Equal(c.Certificate()) }) {
			continue
		}
		capabilities, known := c.KnownCapabilities()
		selection.consider(Candidate{Certificate: c.Certificate(), Chain: c.Chain, Capabilities: capabilities, Known: known},
			address, EncryptMail, at, v)
	}
	selection.choose()
	return selection, nil
}

// SigningIdentity chooses the identity to sign with as this address: it speaks for the address, is valid at this time,
// and is for signing; of several, the one whose validity began last. It need not have a path to an anchor of one's
// own, since others judge it; where it has none, Reason says so.
func (s *Store) SigningIdentity(address string, at time.Time, v Validator) (Selection, error) {
	selection := Selection{Address: address}
	identities, problems, err := s.Identities()
	if err != nil {
		return selection, err
	}
	selection.Problems = problems
	for _, identity := range identities {
		selection.consider(ownCandidate(identity), address, SignMail, at, v)
	}
	selection.choose()
	return selection, nil
}

// ownCandidate is an identity as a candidate. What this program can open is known.
func ownCandidate(identity *Identity) Candidate {
	return Candidate{Certificate: identity.Certificate(), Chain: identity.Chain, Identity: identity,
		Capabilities: cms.OwnCapabilities(), Known: true}
}

// consider judges a candidate and notes it, unless it has nothing to do with the address.
func (s *Selection) consider(c Candidate, address string, use Use, at time.Time, v Validator) {
	if !MatchAddress(c.Certificate, address) {
		if mentions(c.Certificate, address) {
			c.Code = AddressMismatch
			c.Reason = "names the address in its subject only, while its subjectAltName speaks for others"
			s.Candidates = append(s.Candidates, c)
		}
		return
	}
	path, err := v.Path(c.Certificate, c.Chain[1:], use, at)
	if err == nil {
		c.Chain = path
	}
	var pathErr *PathError
	if errors.As(err, &pathErr) {
		c.Code, c.Reason = pathErr.Code, pathErr.Reason
		if c.Identity != nil && (pathErr.Code == NoAnchor || pathErr.Code == UnsupportedCertificate) {
			c.judgeAlone(use, at)
		}
	}
	s.Candidates = append(s.Candidates, c)
}

// judgeAlone judges a certificate of one's own that has no path by what it says itself.
func (c *Candidate) judgeAlone(use Use, at time.Time) {
	note := c.Reason
	c.Code, c.Reason = Usable, note
	err := checkKeyUsage(c.Certificate, use)
	var pathErr *PathError
	if errors.As(err, &pathErr) {
		c.Code, c.Reason = pathErr.Code, pathErr.Reason
	} else if e := validityError(c.Certificate, at, nil); e != nil {
		c.Code, c.Reason = e.Code, e.Reason
	} else if !mailAllowed(c.Certificate) {
		c.Code, c.Reason = ExtendedKeyUsage, "the extended key usage of the certificate does not allow e-mail protection"
	}
}

// mailAllowed is RFC 8550 section 4.4.4.
func mailAllowed(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageEmailProtection) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// mentions reports whether the subject names the address although the certificate does not speak for it.
func mentions(c *x509.Certificate, address string) bool {
	want, ok := NormalizeAddress(address)
	if !ok {
		return false
	}
	for _, attribute := range c.Subject.Names {
		value, isString := attribute.Value.(string)
		if got, ok := NormalizeAddress(value); isString && ok && got == want {
			return true
		}
	}
	return false
}

// choose orders the candidates and takes the first that is usable.
func (s *Selection) choose() {
	slices.SortStableFunc(s.Candidates, func(a, b Candidate) int {
		if a.Usable() != b.Usable() {
			if a.Usable() {
				return -1
			}
			return 1
		}
		return newestFirst(a.Certificate, b.Certificate)
	})
	if len(s.Candidates) > 0 && s.Candidates[0].Usable() {
		s.Chosen = &s.Candidates[0]
	}
}

// CipherChoice is the content cipher for a message, and why.
type CipherChoice struct {
	Cipher cms.Cipher
	Reason string
}

// ChooseCipher is [cms.ChooseCipher] for certificates that were chosen.
func ChooseCipher(recipients []Candidate) CipherChoice {
	list := make([]cms.Correspondent, len(recipients))
	for i, r := range recipients {
		list[i] = r.correspondent()
	}
	cipher, reason := cms.ChooseCipher(list)
	return CipherChoice{cipher, reason}
}

// KeyManagement is [cms.ChooseKeyManagement] for this certificate.
func (c Candidate) KeyManagement() (m cms.KeyManagement, reason string, err error) {
	return cms.ChooseKeyManagement(c.correspondent())
}

func (c Candidate) correspondent() cms.Correspondent {
	r := cms.Correspondent{Name: displayName(c.Certificate), Certificate: c.Certificate}
	if c.Known {
		r.Capabilities = append(cms.Capabilities{}, c.Capabilities...) // not nil: that is for what is unknown
	}
	return r
}
