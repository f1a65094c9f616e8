package ca

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/sealmail/sealmail/certstore"
)

// Lift takes a certificate off hold, and makes a new revocation list of its issuer, on which it is no more (RFC 5280 section
// 5.3.1); OCSP answers that it is good. When it returns, both are on the disk. It returns the hold that there was. A hold
// alone can be lifted, and none while the certificate's key is compromised. After a kill or an error the certificate is on
// hold, or is not and the next list says so; to lift the hold again is then no error where the last list still has it.
//
// serial is in lower-case hex; an issuer's needs the root's key. The error wraps [ErrNotHeld], [ErrRevoked], [ErrUnknown],
// [ErrReason] or [ErrNoRootKey].
func (a *Authority) Lift(ctx context.Context, serial string, now time.Time) (Revocation, error) {
	unlock, err := a.lock(ctx)
	if err != nil {
		return Revocation{}, err
	}
	defer unlock()
	if err := a.migrate(); err != nil {
		return Revocation{}, err
	}
	cert, issuer, err := a.Revocable(serial)
	if err != nil {
		return Revocation{}, err
	}
	key, err := a.key(issuer) // before anything is written: without it the list cannot be made
	if err != nil {
		return Revocation{}, err
	}
	h, err := a.readHolder(holderFile(cert))
	if err != nil {
		return Revocation{}, err
	}
	hold, err := a.heldSince(issuer, serial)
	switch {
	case err != nil:
		return Revocation{}, err
	case hold.Reason != CertificateHold:
		return Revocation{}, fmt.Errorf("%w: %s, on %s, reason %s", ErrRevoked, serial, hold.Revoked.Format(time.RFC3339), hold.Reason)
	case h.Compromised: // a kill came between the mark of the key and the revocation
		return Revocation{}, fmt.Errorf("%w: the key is compromised, so that the hold cannot be lifted", ErrReason)
	}
	err = a.disk.Remove(filepath.Join(a.dir, revokedDir, serial+".json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Revocation{}, fmt.Errorf("certificate authority: %w", err)
	}
	_, err = a.makeCRL(issuer, key, 0, wholeSecond(now))
	return hold, err
}

// heldSince returns what is known of the revocation of a certificate, be it that the last list alone has it on hold: then its
// lifting was interrupted.
func (a *Authority) heldSince(issuer Issuer, serial string) (Revocation, error) {
	r, err := a.revocation(serial)
	if err != nil {
		return Revocation{}, err
	}
	if r != nil {
		return *r, nil
	}
	last, err := a.readCRL(issuer)
	if err != nil {
		return Revocation{}, err
	}
	if last != nil {
		for _, e := range last.list.RevokedCertificateEntries {
			if e.ReasonCode == CertificateHold.code() && certstore.SerialHex(e.SerialNumber) == serial {
				return Revocation{Serial: serial, Issuer: issuer, Reason: CertificateHold, Revoked: e.RevocationTime}, nil
			}
		}
	}
	return Revocation{}, fmt.Errorf("%w: %s", ErrNotHeld, serial)
}

// lifted reports whether a list has a certificate on hold that is not any more.
func (a *Authority) lifted(last *readList) (bool, error) {
	var held []string
	for serial, code := range last.reasons {
		if code == CertificateHold.code() {
			held = append(held, serial)
		}
	}
	slices.Sort(held)
	for _, serial := range held {
		if r, err := a.revocation(serial); err != nil || r == nil {
			return r == nil, err
		}
	}
	return false, nil
}
