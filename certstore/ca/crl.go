package ca

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sealmail/sealmail/certstore"
)

// Validity of revocation lists, in days. That of the root is made by hand, when its key is fetched; a year is what the
// S/MIME baseline allows.
const (
	crlDays     = 7
	rootCRLDays = 365

	maxCRL = 256 << 20 // octets
)

// ErrCRL says that a revocation list cannot be made as asked for.
var ErrCRL = errors.New("revocation list cannot be made")

func oidInvalidityDate() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 24} }

func (i Issuer) crlFile() string { return string(i) + ".crl" }

func (i Issuer) crlDays() int {
	if i == RootIssuer {
		return rootCRLDays
	}
	return crlDays
}

// MakeCRL makes a new revocation list of an issuer, complete, and returns it when it is on the disk. days is how
// long it is valid, 0 being seven for issuers and a year for the root, which needs [Authority.UnlockRoot].
func (a *Authority) MakeCRL(ctx context.Context, i Issuer, days int, now time.Time) (*x509.RevocationList, error) {
	if a.certs[i] == nil {
		return nil, fmt.Errorf("%w: there is no issuer %q", ErrCRL, string(i))
	}
	if days < 0 || days > 365*50 {
		return nil, fmt.Errorf("%w: validity of %d days", ErrCRL, days)
	}
	key, err := a.key(i)
	if err != nil {
		return nil, err
	}
	unlock, err := a.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return a.makeCRL(i, key, days, wholeSecond(now))
}

// CRL returns the list of an issuer as it should be now. One that lacks a revocation or has a hold that was lifted, because
// a kill came between the two, or half of whose time is over, is made anew, but for the root's, whose key need not be here: what there
// is of it is returned. The error wraps fs.ErrNotExist where there is none.
func (a *Authority) CRL(ctx context.Context, i Issuer, now time.Time) (*x509.RevocationList, error) {
	last, err := a.readCRL(i)
	if err != nil {
		return nil, err
	}
	if i == RootIssuer {
		if last == nil {
			return nil, fmt.Errorf("certificate authority: %s: %w", i.crlFile(), fs.ErrNotExist)
		}
		return last.list, nil
	}
	if last != nil && now.Before(last.list.ThisUpdate.Add(last.list.NextUpdate.Sub(last.list.ThisUpdate)/2)) {
		outdated, err := a.outdated(i, last)
		if err != nil {
			return nil, err
		}
		if !outdated {
			return last.list, nil
		}
	}
	return a.MakeCRL(ctx, i, 0, now)
}

// outdated reports whether a list lacks a revocation, or has another reason for it: what was on hold may be revoked for good
// since, or not be on hold any more.
func (a *Authority) outdated(i Issuer, last *readList) (bool, error) {
	wanted, err := a.wanted(i, last)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(wanted, func(r *Revocation) bool {
		reason, ok := last.reasons[r.Serial]
		return !ok || reason != r.Reason.code()
	}) {
		return true, nil
	}
	return a.lifted(last)
}

// makeCRL makes the next list and puts it in the place of the last. The list itself is what remembers its number, so that
// the two cannot part.
func (a *Authority) makeCRL(i Issuer, key crypto.Signer, days int, now time.Time) (*x509.RevocationList, error) {
	last, err := a.readCRL(i)
	if err != nil {
		return nil, err
	}
	wanted, err := a.wanted(i, last)
	if err != nil {
		return nil, err
	}
	entries := make([]x509.RevocationListEntry, len(wanted))
	for n, r := range wanted {
		if entries[n], err = r.entry(); err != nil {
			return nil, err
		}
	}
	// RFC 5280 section 5.2.3: the number grows. It is not below the time in seconds, so that it does not fall back
	// where the last list was lost, or is an old one from a backup.
	number := big.NewInt(now.Unix())
	if last != nil && last.list.Number != nil && number.Cmp(last.list.Number) <= 0 {
		number.Add(last.list.Number, big.NewInt(1))
	}
	if days == 0 {
		days = i.crlDays()
	}
	der, err := a.signCRL(i, key, crlContent{number: number, days: days, now: now, entries: entries})
	if err != nil {
		return nil, err
	}
	if err := a.write(i.crlFile(), der); err != nil {
		return nil, err
	}
	return x509.ParseRevocationList(der)
}

type crlContent struct {
	number  *big.Int
	days    int
	now     time.Time
	entries []x509.RevocationListEntry
}

// signCRL makes a list of version 2 (RFC 5280 section 5). It speaks for all certificates of its issuer and for all reasons,
// so that it has no issuingDistributionPoint, which would narrow that.
func (a *Authority) signCRL(i Issuer, key crypto.Signer, c crlContent) ([]byte, error) {
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: c.number, ThisUpdate: c.now, NextUpdate: c.now.AddDate(0, 0, c.days), RevokedCertificateEntries: c.entries,
	}, a.certs[i], key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCRL, err)
	}
	return der, nil
}

// lists remembers the lists that were read last, for those who serve them.
type lists struct {
	mu   sync.Mutex
	read map[Issuer]*readList
}

// readList is a list with the reasons on it, by serial number.
type readList struct {
	info    fs.FileInfo
	list    *x509.RevocationList
	reasons map[string]int
}

// readCRL returns the last list of an issuer, nil where there is none.
func (a *Authority) readCRL(i Issuer) (*readList, error) {
	a.lists.mu.Lock()
	defer a.lists.mu.Unlock()
	path := filepath.Join(a.dir, i.crlFile())
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	// Lists are replaced, never changed in place.
	last := a.lists.read[i]
	if last != nil && os.SameFile(info, last.info) && info.ModTime().Equal(last.info.ModTime()) && info.Size() == last.info.Size() {
		return last, nil
	}
	data, err := readAtMost(path, maxCRL)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	list, err := x509.ParseRevocationList(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, i.crlFile(), err)
	}
	if err := list.CheckSignatureFrom(a.certs[i]); err != nil {
		return nil, fmt.Errorf("%w: %s is not signed by its issuer", ErrDamaged, i.crlFile())
	}
	last = &readList{info: info, list: list, reasons: make(map[string]int, len(list.RevokedCertificateEntries))}
	for _, e := range list.RevokedCertificateEntries {
		last.reasons[certstore.SerialHex(e.SerialNumber)] = e.ReasonCode
	}
	if a.lists.read == nil {
		a.lists.read = make(map[Issuer]*readList)
	}
	a.lists.read[i] = last
	return last, nil
}

// wanted returns what the list of an issuer has to hold that comes after the last one.
func (a *Authority) wanted(i Issuer, last *readList) ([]*Revocation, error) {
	serials, err := a.serials(revokedDir, ".json")
	if err != nil {
		return nil, err
	}
	var wanted []*Revocation
	for _, serial := range serials {
		r, err := a.revocation(serial)
		if err != nil {
			return nil, err
		}
		if r == nil || r.Issuer != i {
			continue
		}
		// RFC 5280 section 3.3: an entry stays until it was on one list made after the end of the certificate. The last list
		// was such a one, or came after it, where it was made after the end and after the revocation.
		if last != nil && last.list.ThisUpdate.After(r.NotAfter) {
			if _, listed := last.reasons[serial]; listed || last.list.ThisUpdate.After(r.Revoked) {
				continue
			}
		}
		wanted = append(wanted, r)
	}
	return wanted, nil
}

// entry is the revocation as it stands on a list (RFC 5280 section 5.3). The reason unspecified is not written.
func (r *Revocation) entry() (x509.RevocationListEntry, error) {
	serial, ok := new(big.Int).SetString(r.Serial, 16)
	if !ok {
		return x509.RevocationListEntry{}, fmt.Errorf("%w: serial number %q", ErrDamaged, r.Serial)
	}
	e := x509.RevocationListEntry{SerialNumber: serial, RevocationTime: r.Revoked, ReasonCode: r.Reason.code()}
	if !r.InvalidityDate.IsZero() {
		// RFC 5280 section 5.3.2: always a GeneralizedTime, whatever the year.
		der, err := asn1.MarshalWithParams(r.InvalidityDate, "generalized")
		if err != nil {
			return e, fmt.Errorf("%w: %w", ErrCRL, err)
		}
		e.ExtraExtensions = []pkix.Extension{{Id: oidInvalidityDate(), Value: der}}
	}
	return e, nil
}
