package ca

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/sealmail/sealmail/certstore"
)

var (
	// ErrUnknown says that the authority has issued no such certificate.
	ErrUnknown = errors.New("no certificate with this serial number was issued here")
	// ErrRevoked says that a certificate is revoked already, for another reason, or that an issuer is.
	ErrRevoked = errors.New("already revoked")
	// ErrNotHeld says that there is no hold to lift.
	ErrNotHeld = errors.New("not on hold")
)

// Revocation says that and why a certificate is not to be relied on.
type Revocation struct {
	Serial         string    `json:"serial"` // lower-case hex
	Issuer         Issuer    `json:"issuer"`
	Reason         Reason    `json:"reason"`
	Revoked        time.Time `json:"revoked"`
	InvalidityDate time.Time `json:"invalidity_date,omitzero"` // since when it was not to be relied on; zero: not known
	NotAfter       time.Time `json:"not_after"`                // of the certificate
}

// RevokeOptions says what to revoke.
type RevokeOptions struct {
	Serial         string // lower-case hex: of a certificate issued here, or of an issuer, which needs the root's key
	Reason         Reason
	InvalidityDate time.Time // zero: not known (RFC 5280 section 5.3.2)
	Now            time.Time
}

// Revoke revokes a certificate and makes a new revocation list of its issuer. When it returns, both are on the disk. With
// [KeyCompromise] all certificates for the same key are revoked, and the key is not certified again. It returns what
// is revoked now, the certificate that was asked for first. To revoke for the same reason again changes nothing, but for
// making a list. The error wraps [ErrUnknown], [ErrRevoked], [ErrReason] or [ErrNoRootKey].
func (a *Authority) Revoke(ctx context.Context, o RevokeOptions) ([]Revocation, error) {
	o.Now, o.InvalidityDate = wholeSecond(o.Now), wholeSecond(o.InvalidityDate)
	unlock, err := a.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := a.migrate(); err != nil {
		return nil, err
	}
	cert, issuer, err := a.Revocable(o.Serial)
	if err != nil {
		return nil, err
	}
	if err := o.check(issuer); err != nil {
		return nil, err
	}
	// Before anything is written: without the key the list cannot be made.
	if _, err := a.key(issuer); err != nil {
		return nil, err
	}
	first, err := a.decide(o, issuer, cert)
	if err != nil {
		return nil, err
	}
	revocations := []Revocation{first}
	if o.Reason == KeyCompromise && issuer != RootIssuer {
		others, err := a.compromised(o, cert)
		if err != nil {
			return nil, err
		}
		revocations = append(revocations, others...)
	}
	for _, r := range revocations {
		if err := a.writeRevocation(r); err != nil {
			return nil, err
		}
	}
	return revocations, a.renewCRLs(revocations, o.Now)
}

// renewCRLs makes new lists of all issuers that are concerned.
func (a *Authority) renewCRLs(revocations []Revocation, now time.Time) error {
	done := make(map[Issuer]bool)
	for _, r := range revocations {
		if done[r.Issuer] {
			continue
		}
		done[r.Issuer] = true
		key, err := a.key(r.Issuer)
		if err != nil {
			return err
		}
		if _, err := a.makeCRL(r.Issuer, key, 0, now); err != nil {
			return err
		}
	}
	return nil
}

// Revocable returns the certificate with this serial number, in lower-case hex, and who can revoke it. The error wraps
// [ErrUnknown], or [ErrReason] for the root.
func (a *Authority) Revocable(serial string) (*x509.Certificate, Issuer, error) {
	for _, i := range online() {
		if cert := a.certs[i]; cert != nil && certstore.SerialHex(cert.SerialNumber) == serial {
			return cert, RootIssuer, nil
		}
	}
	if serial == certstore.SerialHex(a.Root().SerialNumber) {
		return nil, "", fmt.Errorf("%w: a root cannot revoke itself; those who trust it must stop doing so", ErrReason)
	}
	return a.issuedCertificate(serial)
}

func (o *RevokeOptions) check(issuer Issuer) error {
	switch {
	case o.Now.IsZero():
		return fmt.Errorf("%w: no time was given", ErrReason)
	case o.Reason.code() < 0:
		return fmt.Errorf("%w: %q is not known", ErrReason, string(o.Reason))
	case o.Reason == CACompromise && issuer != RootIssuer:
		return fmt.Errorf("%w: %s is for issuers; the reason for others is %s", ErrReason, CACompromise, KeyCompromise)
	case o.InvalidityDate.After(o.Now):
		return fmt.Errorf("%w: the time since when it is invalid is in the future", ErrReason)
	}
	return nil
}

// decide returns the revocation as it is to stand, given one that may be there. What was on hold can be revoked for
// good, since the time of the hold; nothing else can be changed (RFC 5280 section 5.3.1).
func (a *Authority) decide(o RevokeOptions, issuer Issuer, cert *x509.Certificate) (Revocation, error) {
	serial := certstore.SerialHex(cert.SerialNumber)
	r := Revocation{Serial: serial, Issuer: issuer, Reason: o.Reason, Revoked: o.Now, InvalidityDate: o.InvalidityDate, NotAfter: cert.NotAfter.UTC()}
	known, err := a.revocation(serial)
	switch {
	case err != nil:
		return r, err
	case known == nil:
		return r, nil
	case known.Reason == o.Reason && (o.InvalidityDate.IsZero() || o.InvalidityDate.Equal(known.InvalidityDate)):
		return *known, nil
	case known.Reason != CertificateHold:
		return r, fmt.Errorf("%w: %s, on %s, reason %s", ErrRevoked, serial, known.Revoked.Format(time.RFC3339), known.Reason)
	}
	r.Revoked = known.Revoked
	return r, nil
}

// compromised marks a key as being in wrong hands, and returns revocations for the other certificates that it has. The mark
// comes first: a kill after it leaves a key that gets no certificate, and a revocation to be repeated.
func (a *Authority) compromised(o RevokeOptions, cert *x509.Certificate) ([]Revocation, error) {
	name := holderFile(cert)
	h, err := a.readHolder(name)
	if err != nil {
		return nil, err
	}
	if !h.Compromised {
		h.Compromised = true
		if err := a.writeHolder(name, h); err != nil {
			return nil, err
		}
	}
	var revocations []Revocation
	for _, serial := range h.Serials {
		if serial == o.Serial {
			continue
		}
		other, issuer, err := a.issuedCertificate(serial)
		if errors.Is(err, ErrUnknown) {
			continue // the interrupted beginning of one
		}
		if err != nil {
			return nil, err
		}
		r, err := a.decide(o, issuer, other)
		if errors.Is(err, ErrRevoked) {
			continue // for good, which is enough
		}
		if err != nil {
			return nil, err
		}
		revocations = append(revocations, r)
	}
	return revocations, nil
}

func (a *Authority) writeRevocation(r Revocation) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return a.writeIn(filepath.Join(revokedDir, r.Serial+".json"), append(data, '\n'))
}

// revocation returns what is known of a revocation, nil where there is none. What cannot be read is an error: nobody may
// take it for a certificate that is not revoked.
func (a *Authority) revocation(serial string) (*Revocation, error) {
	if r, ok := a.final.Load(serial); ok {
		return r.(*Revocation), nil
	}
	name := filepath.Join(revokedDir, serial+".json")
	data, err := readBounded(filepath.Join(a.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	r := new(Revocation)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
	}
	if r.Serial != serial || r.Reason.code() < 0 || r.Revoked.IsZero() || a.certs[r.Issuer] == nil {
		return nil, fmt.Errorf("%w: %s", ErrDamaged, name)
	}
	if r.Reason != CertificateHold {
		a.final.Store(serial, r)
	}
	return r, nil
}

// wholeSecond is what times in certificates and lists count (RFC 5280 section 4.1.2.5).
func wholeSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
