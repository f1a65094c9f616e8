package certstore

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"
)

// Acquaintance says how a certificate stands to what was known of an address before it.
type Acquaintance struct {
	First     bool           // nothing was known: the first contact
	NewKey    bool           // the key is another than before
	NewIssuer bool           // the certificate is from somebody else than before
	Before    *Correspondent // what was known before, the last that was seen; nil where there is nothing to say
	Seen      time.Time      // when this certificate was first seen; zero: now
}

// Changed reports whether somebody who knew the address should be told.
func (a Acquaintance) Changed() bool { return a.NewKey || a.NewIssuer }

// AcquaintanceOfSigner compares the certificate that a mail from this address was signed with to those that signed before.
// message is the mail's Message-ID, so that the mail with which a person was told of a certificate goes on to say what was
// new in it. What nobody was told of yet is not known: who sends two mails must not have the first one, which nobody read,
// vouch for the second.
func (s *Store) AcquaintanceOfSigner(address string, c *x509.Certificate, message string) (Acquaintance, error) {
	known, _, err := s.CorrespondentsFor(address)
	if err != nil {
		return Acquaintance{}, err
	}
	var seen, told time.Time
	for _, k := range known {
		if !k.Certificate().Equal(c) {
			continue
		}
		if seen = k.FirstSeen; k.Untold {
			continue
		}
		if message == "" || k.Message != message {
			return Acquaintance{Seen: seen}, nil
		}
		told = k.toldAt()
	}
	a := compare(c, slices.DeleteFunc(known, func(k Correspondent) bool {
		return k.Untold || k.Certificate().Equal(c) || !told.IsZero() && !k.toldAt().Before(told) ||
			!MatchAddress(k.Certificate(), address) || checkKeyUsage(k.Certificate(), SignMail) != nil
	}), Correspondent.toldAt)
	a.Seen = seen
	return a, nil
}

// AcquaintanceOfRecipient compares the certificate that mail to this address is about to be encrypted to with those that
// mail was encrypted to before.
func (s *Store) AcquaintanceOfRecipient(address string, c *x509.Certificate) (Acquaintance, error) {
	known, _, err := s.CorrespondentsFor(address)
	if err != nil {
		return Acquaintance{}, err
	}
	used := slices.DeleteFunc(known, func(k Correspondent) bool { return k.UsedAt.IsZero() || !MatchAddress(k.Certificate(), address) })
	if slices.ContainsFunc(used, func(k Correspondent) bool { return k.Certificate().Equal(c) }) {
		return Acquaintance{}, nil
	}
	return compare(c, used, func(k Correspondent) time.Time { return k.UsedAt }), nil
}

// KnowsHeaderProtection reports whether the newest mail that somebody with a certificate for this address signed protects its
// header as RFC 9788 says, so that their program reads that too.
func (s *Store) KnowsHeaderProtection(address string) (bool, error) {
	known, _, err := s.CorrespondentsFor(address)
	if err != nil {
		return false, err
	}
	known = slices.DeleteFunc(known, func(k Correspondent) bool {
		return k.HeaderProtectionAt.IsZero() || !MatchAddress(k.Certificate(), address)
	})
	if len(known) == 0 {
		return false, nil
	}
	return slices.MaxFunc(known, func(a, b Correspondent) int { return a.HeaderProtectionAt.Compare(b.HeaderProtectionAt) }).HeaderProtection, nil
}

// compare says what is new in a certificate that is not among those known.
func compare(c *x509.Certificate, known []Correspondent, at func(Correspondent) time.Time) Acquaintance {
	if len(known) == 0 {
		return Acquaintance{First: true}
	}
	last := slices.MaxFunc(known, func(a, b Correspondent) int { return at(a).Compare(at(b)) })
	return Acquaintance{
		Before: &last,
		NewKey: !slices.ContainsFunc(known, func(k Correspondent) bool {
			return bytes.Equal(k.Certificate().RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo)
		}),
		NewIssuer: !slices.ContainsFunc(known, func(k Correspondent) bool { return bytes.Equal(k.Certificate().RawIssuer, c.RawIssuer) }),
	}
}

// MarkUsed notes that mail was encrypted to these certificates of correspondents, if it was for the first time. Those
// that the store does not have are passed over.
func (s *Store) MarkUsed(at time.Time, fingerprints ...string) error {
	for _, fingerprint := range fingerprints {
		c, err := s.Correspondent(fingerprint)
		if err != nil || !c.UsedAt.IsZero() {
			continue
		}
		c.UsedAt = at
		files, err := s.correspondentFiles(c)
		if err != nil {
			return err
		}
		if err := s.write(files...); err != nil {
			return err
		}
	}
	return nil
}
