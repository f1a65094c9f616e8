package revocation

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/certstore/certpath"
)

// Entry is what a list says of one certificate (RFC 5280 section 5.3).
type Entry struct {
	SerialNumber *big.Int
	Revoked      time.Time // revocationDate; zero where it is malformed
	Reason       Reason    // ReasonUnspecified where it is absent or malformed
	ReasonStated bool
	Invalidity   time.Time // invalidityDate; zero where it is absent or malformed
}

// rawEntry is an entry whose outline was read.
type rawEntry struct {
	serial     cryptobyte.String // content of the INTEGER
	date       cryptobyte.String // the Time
	extensions cryptobyte.String // content of the SEQUENCE
	extended   bool
}

// nextEntry takes one entry from the front of a list. It allocates nothing.
func nextEntry(list *cryptobyte.String) (e rawEntry, ok bool) {
	var content cryptobyte.String
	var tag cbasn1.Tag
	if !list.ReadASN1(&content, cbasn1.SEQUENCE) || !content.ReadASN1(&e.serial, cbasn1.INTEGER) || !minimal(e.serial) ||
		!content.ReadAnyASN1Element(&e.date, &tag) || tag != cbasn1.UTCTime && tag != cbasn1.GeneralizedTime {
		return e, false
	}
	if e.extended = !content.Empty(); e.extended && !content.ReadASN1(&e.extensions, cbasn1.SEQUENCE) {
		return e, false
	}
	return e, content.Empty()
}

// minimal reports whether these are content octets of an INTEGER in DER.
func minimal(n []byte) bool {
	return len(n) == 1 || len(n) > 1 && !(n[0] == 0 && n[1] < 0x80) && !(n[0] == 0xff && n[1] >= 0x80)
}

// rawExtension is one extension of an entry.
type rawExtension struct {
	id, value cryptobyte.String
	critical  bool
}

func (e rawExtension) is(id certpath.OID) bool { return string(e.id) == string(id) }

// nextExtension takes one extension from the front of a list. It allocates nothing.
func nextExtension(list *cryptobyte.String) (e rawExtension, ok bool) {
	var content cryptobyte.String
	if !list.ReadASN1(&content, cbasn1.SEQUENCE) || !content.ReadASN1(&e.id, cbasn1.OBJECT_IDENTIFIER) ||
		content.PeekASN1Tag(cbasn1.BOOLEAN) && !content.ReadASN1Boolean(&e.critical) ||
		!content.ReadASN1(&e.value, cbasn1.OCTET_STRING) {
		return e, false
	}
	return e, content.Empty()
}

// scanEntries checks the outline of all entries and counts them. What one entry has that is not understood bars the
// whole list (RFC 5280 section 5.3).
func (l *CRL) scanEntries() error {
	for rest := l.entries; !rest.Empty(); l.Entries++ {
		if l.Entries == MaxEntries {
			return malformed(fmt.Sprintf("more than %d entries", MaxEntries))
		}
		e, ok := nextEntry(&rest)
		if !ok {
			return malformed(fmt.Sprintf("entry %d of the list", l.Entries+1))
		}
		if e.extended && l.Version == 1 {
			l.unusable("an entry of a list of version 1 has no extensions")
		}
		for extensions := e.extensions; !extensions.Empty(); {
			x, ok := nextExtension(&extensions)
			if !ok {
				return malformed(fmt.Sprintf("the extensions of entry %d of the list", l.Entries+1))
			}
			switch {
			case x.is(oidReasonCode), x.is(oidInvalidityDate):
			case x.is(oidCertificateIssuer):
				if _, err := certpath.ParseGeneralNames(x.value); err != nil {
					l.unusable(fmt.Sprintf("the certificateIssuer of entry %d is malformed", l.Entries+1))
				}
			case x.critical:
				l.unusable(fmt.Sprintf("entry %d has a critical extension that is not understood (%v)", l.Entries+1, certpath.OID(x.id)))
			}
		}
	}
	return nil
}

// Find looks up the certificate with this serial number and issuer; ok means that it is listed. In an indirect list each
// entry is for the issuer that it or the one before names (RFC 5280 section 5.3.3), in others for the list's own. Of two
// entries for one certificate the first counts.
//
// It reads the list from the front, and only where the octets of the serial number occur in it at all.
func (l *CRL) Find(serial *big.Int, issuer certpath.Name) (entry Entry, ok bool) {
	var b cryptobyte.Builder
	b.AddASN1BigInt(serial)
	number, err := b.Bytes()
	if err != nil || !bytes.Contains(l.entries, number) {
		return Entry{}, false
	}
	in, content := cryptobyte.String(number), cryptobyte.String(nil)
	in.ReadASN1(&content, cbasn1.INTEGER)
	ours := l.Issuer.Equal(issuer)
	for rest := l.entries; !rest.Empty(); {
		e, ok := nextEntry(&rest)
		if !ok {
			return Entry{}, false // not of a list that was parsed
		}
		if e.extended {
			if names, ok := e.certificateIssuer(); ok {
				ours = slices.ContainsFunc(names, func(n certpath.GeneralName) bool {
					return n.Kind == certpath.DirectoryName && n.Directory.Equal(issuer)
				})
			}
		}
		if ours && bytes.Equal(e.serial, content) {
			return e.parse(serial), true
		}
	}
	return Entry{}, false
}

func (e rawEntry) certificateIssuer() ([]certpath.GeneralName, bool) {
	for extensions := e.extensions; !extensions.Empty(); {
		x, ok := nextExtension(&extensions)
		if !ok {
			break
		}
		if x.is(oidCertificateIssuer) {
			names, err := certpath.ParseGeneralNames(x.value)
			return names, err == nil
		}
	}
	return nil, false
}

// parse reads what the entry says. A certificate whose entry is malformed is revoked all the same.
func (e rawEntry) parse(serial *big.Int) Entry {
	entry := Entry{SerialNumber: serial}
	date := e.date
	if t, ok := certpath.ReadTime(&date); ok {
		entry.Revoked = t
	}
	for extensions := e.extensions; !extensions.Empty(); {
		x, ok := nextExtension(&extensions)
		if !ok {
			break
		}
		value := x.value
		switch {
		case x.is(oidReasonCode):
			if reason, ok := readReason(&value); ok && value.Empty() {
				entry.Reason, entry.ReasonStated = reason, true
			}
		case x.is(oidInvalidityDate):
			var t time.Time
			if value.ReadASN1GeneralizedTime(&t) && value.Empty() {
				entry.Invalidity = t
			}
		}
	}
	return entry
}

func (e Entry) revocation() revocation {
	return revocation{at: e.Revoked, reason: e.Reason, stated: e.ReasonStated, invalidity: e.Invalidity}
}
