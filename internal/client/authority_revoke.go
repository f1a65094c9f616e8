package client

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/certstore/vault"
)

// CARevokeParams are the words of `ca revoke`. Of Cert and Serial one is given.
type CARevokeParams struct {
	Dir, Cert, Serial, Reason string
	InvalidityDate            time.Time // zero: not known
	Passphrase                func() ([]byte, error)
	// Confirm is asked before anything is done; what names the certificate that will be revoked, or whose hold will be lifted.
	Confirm func(what string, lift bool) error
}

// CARevocation is a certificate that is revoked.
type CARevocation struct {
	Serial         string     `json:"serial"`
	Issuer         string     `json:"issuer"`
	Name           string     `json:"name"`
	Reason         string     `json:"reason"`
	Revoked        time.Time  `json:"revoked"`
	InvalidityDate *time.Time `json:"invalidity_date"`
}

// CARevokeResult says what is revoked now. With a compromised key that may be several certificates.
type CARevokeResult struct {
	Revocations []CARevocation `json:"revocations"`
	Lifted      []CARevocation `json:"lifted,omitempty"` // the holds that were, and are no more
}

// CARevoke revokes a certificate, or lifts the hold on it where the reason is removeFromCRL, and makes a new revocation list.
func CARevoke(ctx context.Context, o Options, p CARevokeParams) (*CARevokeResult, error) {
	lift := strings.EqualFold(p.Reason, string(ca.RemoveFromCRL))
	var reason ca.Reason
	if !lift {
		var err error
		if reason, err = ca.ParseReason(p.Reason); err != nil {
			return nil, usage("--reason", err, string(ca.RemoveFromCRL)+" lifts a hold")
		}
	} else if !p.InvalidityDate.IsZero() {
		return nil, usage("--at", errors.New("a hold is lifted from now on, and not since some time"), "leave --at out")
	}
	p.Passphrase = sync.OnceValues(p.Passphrase) // that of the root is the same
	authority, err := openAuthority(o, p.Dir, p.Passphrase)
	if err != nil {
		return nil, err
	}
	serial, err := o.serialToRevoke(authority, p)
	if err != nil {
		return nil, err
	}
	cert, issuer, err := authority.Revocable(serial)
	if err != nil {
		return nil, revokeError(err)
	}
	if issuer == ca.RootIssuer {
		if err := unlockRoot(authority, p.Passphrase); err != nil {
			return nil, err
		}
	}
	if err := p.Confirm(certstore.Name(cert)+" (serial "+serial+")", lift); err != nil {
		return nil, err
	}
	result := &CARevokeResult{Revocations: []CARevocation{}}
	if lift {
		hold, err := authority.Lift(ctx, serial, o.Now())
		if err != nil {
			return nil, revokeError(err)
		}
		result.Lifted = []CARevocation{revocationReport(hold, cert)}
		return result, nil
	}
	revocations, err := authority.Revoke(ctx, ca.RevokeOptions{Serial: serial, Reason: reason, InvalidityDate: p.InvalidityDate, Now: o.Now()})
	if err != nil {
		return nil, revokeError(err)
	}
	for _, r := range revocations {
		cert, _, err := authority.Revocable(r.Serial)
		if err != nil {
			return nil, revokeError(err)
		}
		result.Revocations = append(result.Revocations, revocationReport(r, cert))
	}
	return result, nil
}

func revocationReport(r ca.Revocation, cert *x509.Certificate) CARevocation {
	return CARevocation{Serial: r.Serial, Issuer: string(r.Issuer), Name: certstore.Name(cert), Reason: string(r.Reason), Revoked: r.Revoked,
		InvalidityDate: timeOrNull(r.InvalidityDate)}
}

func revokeError(err error) error {
	switch {
	case errors.Is(err, ca.ErrReason):
		return usage("ca revoke", err, "see `sealmail ca revoke --help`")
	case errors.Is(err, ca.ErrUnknown):
		return usage("ca revoke", err, "the certificates of an authority are in its folder issued")
	case errors.Is(err, ca.ErrRevoked):
		return failed("ca revoke", err, "a revocation is for good, and its reason stays as it is")
	case errors.Is(err, ca.ErrNotHeld):
		return failed("ca revoke", err, "only what was revoked with --reason certificateHold can be lifted")
	}
	return failed("ca revoke", err, "do it again: what was done of it stands")
}

// serialToRevoke returns the serial number that was given, as the authority writes it.
func (o Options) serialToRevoke(a *ca.Authority, p CARevokeParams) (string, error) {
	if p.Cert == "" {
		// As people copy it from other programs: with colons, in capitals, with leading zeros.
		serial := strings.TrimLeft(strings.ToLower(strings.ReplaceAll(p.Serial, ":", "")), "0")
		if len(serial)%2 != 0 {
			serial = "0" + serial
		}
		return serial, nil
	}
	certs, err := o.readCertificates([]string{p.Cert})
	if err != nil {
		return "", err
	}
	// The first one is meant; a chain may follow. A serial number alone says nothing about who issued it.
	for _, i := range []ca.Issuer{ca.MailIssuer, ca.ServicesIssuer, ca.RootIssuer} {
		if issuer := a.Certificate(i); issuer != nil && certs[0].CheckSignatureFrom(issuer) == nil {
			return certstore.SerialHex(certs[0].SerialNumber), nil
		}
	}
	return "", usage(p.Cert, errors.New("this certificate is not from the authority in "+p.Dir), "name the authority that issued it with --dir")
}

// unlockRoot makes the root's key available, and asks for its passphrase where it has one.
func unlockRoot(a *ca.Authority, passphrase func() ([]byte, error)) error {
	err := a.UnlockRoot(nil)
	if needsPassphrase(err) {
		var secret []byte
		if secret, err = passphrase(); err != nil {
			return err
		}
		err = a.UnlockRoot(secret)
	}
	switch {
	case errors.Is(err, ca.ErrNoRootKey):
		return failed("ca", err, "bring the folder keys/root back from where it is kept, and do it again")
	case errors.Is(err, vault.ErrPassphrase):
		return failed("ca", err, "check the passphrase that --ca-passphrase-file gives")
	case err != nil:
		return failed("ca", err, "")
	}
	return nil
}

// CACRLParams are the words of `ca crl`.
type CACRLParams struct {
	Dir        string
	Root       bool // the root's list in place of the issuer's
	Services   bool // that of the issuer for servers and time stamps
	Days       int  // 0: as the authority thinks right
	Output     Output
	Passphrase func() ([]byte, error)
}

// CACRLResult is a revocation list that was made.
type CACRLResult struct {
	File       string    `json:"file"`
	Issuer     string    `json:"issuer"`
	Number     string    `json:"number"` // decimal
	Entries    int       `json:"entries"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
}

// CACRL makes a revocation list and writes it, as PEM where the name ends in .pem, else in DER.
func CACRL(ctx context.Context, o Options, p CACRLParams) (*CACRLResult, error) {
	p.Passphrase = sync.OnceValues(p.Passphrase)
	authority, err := openAuthority(o, p.Dir, p.Passphrase)
	if err != nil {
		return nil, err
	}
	issuer := ca.MailIssuer
	switch {
	case p.Root:
		issuer = ca.RootIssuer
		if err := unlockRoot(authority, p.Passphrase); err != nil {
			return nil, err
		}
	case p.Services:
		issuer = ca.ServicesIssuer
	}
	list, err := authority.MakeCRL(ctx, issuer, p.Days, o.Now())
	switch {
	case errors.Is(err, ca.ErrCRL):
		return nil, usage("ca crl", err, "see `sealmail ca crl --help`")
	case err != nil:
		return nil, failed("ca crl", err, "")
	}
	data := list.Raw
	if filepath.Ext(p.Output.Name) == ".pem" {
		data = pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: data}) // RFC 7468 section 6
	}
	if err := o.publish(p.Output, data); err != nil {
		return nil, err
	}
	return &CACRLResult{
		File: p.Output.Name, Issuer: string(issuer), Number: list.Number.String(), Entries: len(list.RevokedCertificateEntries),
		ThisUpdate: list.ThisUpdate.UTC(), NextUpdate: list.NextUpdate.UTC(),
	}, nil
}

// publish writes what is for everybody: a web server may be another user.
func (o Options) publish(out Output, data []byte) error {
	if out.Name == "-" {
		_, err := out.Stdout.Write(data)
		return err
	}
	if err := o.Disk.WriteFile(out.Name, data, 0o644); err != nil {
		return unwritable(out.Name, err)
	}
	return nil
}
