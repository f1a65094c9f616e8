package certstore

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
)

// Codes of candidates, beside those of [PathCode].
const (
	Usable            PathCode = ""                   // it can be used
	AddressMismatch   PathCode = "address-mismatch"   // the certificate speaks for another address
	Revoked           PathCode = "revoked"            // it, or an authority above it, was revoked
	RevocationUnknown PathCode = "revocation-unknown" // whether it was could not be found out, and must be
)

// Candidate is a certificate that was considered for an address, and what came of it.
type Candidate struct {
	Certificate   *x509.Certificate
	Chain         []*x509.Certificate // leaf first; the validated path where there is one
	Identity      *Identity           // set where it is one's own
	Correspondent *Correspondent      // set where it is somebody else's
	Capabilities  cms.Capabilities    // what its owner is known to handle; nil: unknown
	Known         bool                // whether Capabilities says anything
	Code          PathCode            // Usable, or why it is not
	Reason        string              // a sentence: why it is not usable, or something to know though it is; may be empty
	Unchecked     string              // a sentence: why it is not known whether it is revoked, though it may be used; may be empty

	anchored bool // Chain is a validated path: the addresses in it may be contacted
}

// Usable reports whether the certificate can be used.
func (c Candidate) Usable() bool { return c.Code == Usable }

// preferredAt is when its owner last named it as the one to encrypt to.
func (c Candidate) preferredAt() time.Time {
	if c.Correspondent == nil {
		return time.Time{}
	}
	return c.Correspondent.PreferredAt
}

// since is when it came into the store.
func (c Candidate) since() time.Time {
	switch {
	case c.Identity != nil:
		return c.Identity.Added
	case c.Correspondent != nil:
		return c.Correspondent.FirstSeen
	}
	return time.Time{}
}

// Selection is the outcome of a choice: the chosen certificate, if any is usable, and all that were considered, the
// usable ones first, in the order in which they would be chosen.
type Selection struct {
	Address    string
	Chosen     *Candidate // nil: none is usable
	Candidates []Candidate
	Problems   []Problem // files of the store that could not be read
}

// Selector is by what certificates are chosen.
type Selector struct {
	Validator Validator
	At        time.Time
	// Revocation says of a valid path whether one of its certificates was revoked: [Revoked] or [RevocationUnknown] with
	// a sentence, or [Usable], perhaps with a sentence to know all the same. It is asked of the certificates that would be
	// chosen, one after the other until one is good, and not of the others. nil: nothing is asked.
	Revocation func(ctx context.Context, path []*x509.Certificate) (PathCode, string, error)
}

// Recipient chooses the certificate to encrypt to for an address. It speaks for the address, is valid at the time, is
// for encryption, has a path to an anchor, and is not known to be revoked. Of several the one that its owner named last
// is taken (RFC 8551 section 2.5.3), then the one whose validity began last, then the one with the strongest key.
// One's own identities are candidates as well, before all others, and need no anchor: who holds the private key need not be
// told whose it is.
func (s *Store) Recipient(ctx context.Context, address string, by Selector) (Selection, error) {
	selection := Selection{Address: address}
	identities, problems, err := s.Identities()
	if err != nil {
		return selection, err
	}
	correspondents, more, err := s.CorrespondentsFor(address)
	if err != nil {
		return selection, err
	}
	selection.Problems = append(problems, more...)
	for _, identity := range identities {
		selection.consider(ownCandidate(identity), EncryptMail, by)
	}
	for _, c := range correspondents {
		if slices.ContainsFunc(identities, func(i *Identity) bool { return i.Certificate().Equal(c.Certificate()) }) {
			continue
		}
		capabilities, known := c.KnownCapabilities()
		selection.consider(Candidate{Certificate: c.Certificate(), Chain: c.Chain, Correspondent: &c, Capabilities: capabilities, Known: known},
			EncryptMail, by)
	}
	return selection, selection.choose(ctx, by)
}

// SigningIdentity chooses the identity to sign with as this address: it speaks for the address, is valid at this time,
// is for signing, and is not known to be revoked; of several, the one whose validity began last. It need not have a path
// to an anchor of one's own, since others judge it; where it has none, Reason says so.
func (s *Store) SigningIdentity(ctx context.Context, address string, by Selector) (Selection, error) {
	selection := Selection{Address: address}
	identities, problems, err := s.Identities()
	if err != nil {
		return selection, err
	}
	selection.Problems = problems
	for _, identity := range identities {
		selection.consider(ownCandidate(identity), SignMail, by)
	}
	return selection, selection.choose(ctx, by)
}

// ownCandidate is an identity as a candidate. What this program can open is known.
func ownCandidate(identity *Identity) Candidate {
	return Candidate{Certificate: identity.Certificate(), Chain: identity.Chain, Identity: identity,
		Capabilities: cms.OwnCapabilities(), Known: true}
}

// consider judges a candidate and notes it, unless it has nothing to do with the address.
func (s *Selection) consider(c Candidate, use Use, by Selector) {
	if !MatchAddress(c.Certificate, s.Address) {
		if mentions(c.Certificate, s.Address) {
			c.Code = AddressMismatch
			c.Reason = "names the address in its subject only, while its subjectAltName speaks for others"
			s.Candidates = append(s.Candidates, c)
		}
		return
	}
	path, err := by.Validator.Path(c.Certificate, c.Chain[1:], use, by.At)
	if err == nil {
		c.Chain, c.anchored = path, true
	}
	var pathErr *PathError
	if errors.As(err, &pathErr) {
		c.Code, c.Reason = pathErr.Code, pathErr.Reason
		if c.Identity != nil && (pathErr.Code == NoAnchor || pathErr.Code == UnsupportedCertificate) {
			c.judgeAlone(use, by.At)
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
	return ok && slices.ContainsFunc(subjectTexts(c), func(text string) bool {
		got, ok := NormalizeAddress(text)
		return ok && got == want
	})
}

// subjectTexts are the values in a certificate's subject, which may hold an address.
func subjectTexts(c *x509.Certificate) []string {
	var texts []string
	for _, attribute := range c.Subject.Names {
		if text, ok := attribute.Value.(string); ok && len(texts) < maxAddresses {
			texts = append(texts, text)
		}
	}
	return texts
}

// choose orders the candidates and takes the first that is usable and not revoked.
func (s *Selection) choose(ctx context.Context, by Selector) error {
	slices.SortStableFunc(s.Candidates, betterFirst)
	for i := range s.Candidates {
		c := &s.Candidates[i]
		if !c.Usable() {
			break
		}
		if by.Revocation != nil && c.anchored { // of one's own without an anchor nobody is asked, as of anybody's
			code, reason, err := by.Revocation(ctx, c.Chain)
			if err != nil {
				return err
			}
			if code == Usable {
				c.Unchecked = reason
			} else {
				c.Code, c.Reason = code, reason
			}
		}
		if c.Usable() {
			slices.SortStableFunc(s.Candidates, usableFirst)
			s.Chosen = &s.Candidates[0]
			return nil
		}
	}
	return nil
}

// betterFirst is the order in which candidates are chosen.
func betterFirst(a, b Candidate) int {
	return cmp.Or(
		usableFirst(a, b),
		ownFirst(a, b),
		b.preferredAt().Compare(a.preferredAt()),
		b.Certificate.NotBefore.Compare(a.Certificate.NotBefore),
		cmp.Compare(keyStrength(b.Certificate), keyStrength(a.Certificate)),
		b.since().Compare(a.since()),
		newestFirst(a.Certificate, b.Certificate),
	)
}

func usableFirst(a, b Candidate) int {
	switch {
	case a.Usable() == b.Usable():
		return 0
	case a.Usable():
		return -1
	}
	return 1
}

// ownFirst has what is encrypted to oneself stay readable, and by nobody else: mail in one's own name may bring along a
// certificate whose key is elsewhere.
func ownFirst(a, b Candidate) int {
	switch own := a.Identity != nil; {
	case own == (b.Identity != nil):
		return 0
	case own:
		return -1
	}
	return 1
}

// keyStrength is the strength of a key in bits, as NIST SP 800-57 part 1 (table 2) compares them; 0 for what is not known.
func keyStrength(c *x509.Certificate) int {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		for _, step := range []struct{ modulus, strength int }{{15360, 256}, {7680, 192}, {3072, 128}, {2048, 112}, {1024, 80}} {
			if key.N.BitLen() >= step.modulus {
				return step.strength
			}
		}
		return 0
	case *ecdsa.PublicKey:
		return key.Curve.Params().BitSize / 2
	}
	if oid := publicKeyAlgorithm(c); oid.Equal(oidPublicKeyX25519) || c.PublicKeyAlgorithm == x509.Ed25519 {
		return 128
	} else if oid.Equal(oidPublicKeyX448) {
		return 224
	}
	return 0
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
