package ca

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/safeio"
)

// What is known of certificates is a file for each, so that one more costs the same however many there are, and so that a
// file is there or not, whatever was interrupted.
const (
	issuedDir  = "issued"  // SERIAL.pem
	holdersDir = "holders" // HASH.json: who has a key
	revokedDir = "revoked" // SERIAL.json

	lockFile = "ca.lock"
	lockPoll = 10 * time.Millisecond

	maxPerKey = 100 // certificates
)

// Record is what the authority knows of a certificate that it issued.
type Record struct {
	Serial      string // lower-case hex
	Fingerprint string
	Issuer      Issuer
	Name        string
	Addresses   []string
	NotBefore   time.Time
	NotAfter    time.Time
	Revocation  *Revocation // nil: not revoked
}

// Records lists what was issued, by the beginning of validity. It reads a file for each.
func (a *Authority) Records() ([]Record, error) {
	serials, err := a.serials(issuedDir, ".pem")
	if err != nil {
		return nil, err
	}
	records := make([]Record, 0, len(serials))
	for _, serial := range serials {
		cert, issuer, err := a.issuedCertificate(serial)
		if err != nil {
			return nil, err
		}
		revocation, err := a.revocation(serial)
		if err != nil {
			return nil, err
		}
		d := certstore.Describe(cert)
		records = append(records, Record{Serial: serial, Fingerprint: d.Fingerprint, Issuer: issuer, Name: d.Name, Addresses: d.Addresses,
			NotBefore: d.NotBefore, NotAfter: d.NotAfter, Revocation: revocation})
	}
	slices.SortFunc(records, func(x, y Record) int {
		return cmp.Or(x.NotBefore.Compare(y.NotBefore), strings.Compare(x.Serial, y.Serial))
	})
	return records, nil
}

// serials lists the serial numbers that have a file in a folder.
func (a *Authority) serials(dir, suffix string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(a.dir, dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	var serials []string
	for _, e := range entries {
		if serial, ok := strings.CutSuffix(e.Name(), suffix); ok && validSerial(serial) {
			serials = append(serials, serial)
		}
	}
	return serials, nil
}

// validSerial reports whether a text is a serial number as [certstore.SerialHex] writes it, and so can name a file.
func validSerial(serial string) bool {
	return serial != "" && len(serial) <= 40 && strings.Trim(serial, "0123456789abcdef") == ""
}

// issuedCertificate returns the certificate with this serial number and who issued it. The error wraps [ErrUnknown] where
// there is none.
func (a *Authority) issuedCertificate(serial string) (*x509.Certificate, Issuer, error) {
	if !validSerial(serial) {
		return nil, "", fmt.Errorf("%w: %q is no serial number", ErrUnknown, serial)
	}
	name := filepath.Join(issuedDir, serial+".pem")
	cert, err := a.readCertificate(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("%w: %s", ErrUnknown, serial)
	}
	if err != nil {
		return nil, "", err
	}
	if certstore.SerialHex(cert.SerialNumber) != serial {
		return nil, "", fmt.Errorf("%w: %s holds another certificate", ErrDamaged, name)
	}
	for _, i := range online() {
		if ca := a.certs[i]; ca != nil && string(ca.RawSubject) == string(cert.RawIssuer) {
			return cert, i, nil
		}
	}
	return nil, "", fmt.Errorf("%w: %s is from another issuer", ErrDamaged, name)
}

// lock keeps other writers out, in this process and in others, and removes what killed ones left.
func (a *Authority) lock(ctx context.Context) (unlock func(), err error) {
	lock := flock.New(filepath.Join(a.dir, lockFile), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("certificate authority: lock %s: %w", lockFile, err)
	}
	// That something cannot be removed is no reason not to write. The folders that grow are left alone: to list one with
	// every certificate would cost more and more.
	_ = safeio.RemoveStale(a.dir)
	return func() { _ = lock.Unlock() }, nil
}

// holder is what is known of a key: the certificates for it, and whether it is in wrong hands.
type holder struct {
	Serials     []string `json:"serials"`
	Compromised bool     `json:"compromised,omitempty"`
}

func holderFile(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return filepath.Join(holdersDir, hex.EncodeToString(sum[:])+".json")
}

func (a *Authority) readHolder(name string) (holder, error) {
	var h holder
	data, err := readBounded(filepath.Join(a.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, fmt.Errorf("certificate authority: %w", err)
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return h, fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
	}
	return h, nil
}

func (a *Authority) writeHolder(name string, h holder) error {
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return a.writeIn(name, append(data, '\n'))
}

// writeIn writes a file in one of the folders, which it makes at first need.
func (a *Authority) writeIn(name string, data []byte) error {
	if err := a.disk.MkdirAll(filepath.Join(a.dir, filepath.Dir(name)), 0o755); err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	return a.write(name, data)
}

// file files a new certificate: first who holds its key, then itself. It is handed out only then, so that there is no
// certificate in the world that the authority does not know. A kill between the two leaves a serial number without a
// certificate, which counts for nothing.
func (a *Authority) file(ctx context.Context, leaf *x509.Certificate) error {
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := a.migrate(); err != nil {
		return err
	}
	return a.fileLocked(leaf)
}

func (a *Authority) fileLocked(leaf *x509.Certificate) error {
	serial := certstore.SerialHex(leaf.SerialNumber)
	name := filepath.Join(issuedDir, serial+".pem")
	// RFC 5280 section 4.1.2.2: unique. Chance is against a second one; broken randomness is not.
	if _, err := os.Lstat(filepath.Join(a.dir, name)); err == nil {
		return fmt.Errorf("%w: serial number %s was issued before", ErrDamaged, serial)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("certificate authority: %w", err)
	}
	if err := a.hold(leaf, serial); err != nil {
		return err
	}
	return a.writeIn(name, certstore.EncodeCertificates(leaf))
}

// hold notes that a certificate is for its key, unless the key is somebody else's or compromised.
func (a *Authority) hold(leaf *x509.Certificate, serial string) error {
	for _, own := range a.certs {
		if string(own.RawSubjectPublicKeyInfo) == string(leaf.RawSubjectPublicKeyInfo) {
			return fmt.Errorf("%w: the key is the authority's own", ErrProfile)
		}
	}
	name := holderFile(leaf)
	h, err := a.readHolder(name)
	if err != nil {
		return err
	}
	switch {
	case h.Compromised:
		return fmt.Errorf("%w: the key is compromised; a certificate for it was revoked", ErrProfile)
	case len(h.Serials) >= maxPerKey:
		return fmt.Errorf("%w: there are %d certificates for the key already", ErrProfile, len(h.Serials))
	}
	for _, other := range h.Serials {
		cert, _, err := a.issuedCertificate(other)
		if errors.Is(err, ErrUnknown) {
			continue // the interrupted beginning of one
		}
		if err != nil {
			return err
		}
		if !sameHolder(cert, leaf) {
			return fmt.Errorf("%w: the key has been certified for %q, and is not for others", ErrProfile, certstore.Name(cert))
		}
	}
	h.Serials = append(h.Serials, serial)
	return a.writeHolder(name, h)
}

// sameHolder reports whether two certificates are for the same: they have an address or a host in common or, where neither
// names any, the subject.
func sameHolder(x, y *x509.Certificate) bool {
	names := func(c *x509.Certificate) []string {
		var list []string
		for _, address := range certstore.Addresses(c) {
			normal, _ := certstore.NormalizeAddress(address)
			list = append(list, normal)
		}
		for _, host := range c.DNSNames {
			list = append(list, strings.ToLower(host))
		}
		for _, ip := range c.IPAddresses {
			list = append(list, ip.String())
		}
		return list
	}
	a, b := names(x), names(y)
	if len(a) == 0 && len(b) == 0 {
		return string(x.RawSubject) == string(y.RawSubject)
	}
	return slices.ContainsFunc(a, func(name string) bool { return slices.Contains(b, name) })
}
