package client

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/ca"
	"github.com/sealmail/sealmail/certstore/vault"
)

// CAInitParams are the words of `ca init`.
type CAInitParams struct {
	Dir, Name, Organization, Key, BaseURL string
	Days                                  int
	Passphrase                            []byte
	Unprotected                           bool
}

// CAInitResult says where a new authority is.
type CAInitResult struct {
	Root            string `json:"root"`
	Issuing         string `json:"issuing"`
	Services        string `json:"services"`
	Chain           string `json:"chain"`
	RootFingerprint string `json:"root_fingerprint"`
	Protected       bool   `json:"protected"`
}

// CAInit makes a certificate authority in a folder.
func CAInit(ctx context.Context, o Options, p CAInitParams) (*CAInitResult, error) {
	key, err := certstore.ParseKeyType(p.Key)
	if err != nil {
		return nil, usage("--key", err, "p256, p384 or rsa3072")
	}
	a, err := ca.Init(ctx, ca.InitOptions{
		Dir: p.Dir, Name: p.Name, Organization: p.Organization, Key: key, Days: p.Days, BaseURL: p.BaseURL,
		Protection: vault.Protection{Passphrase: p.Passphrase, Unprotected: p.Unprotected}, Disk: o.Disk, Now: o.Now(),
	})
	switch {
	case errors.Is(err, ca.ErrExist):
		return nil, usage("ca init", err, "name another folder with --dir, or issue from this one with `sealmail ca issue`")
	case errors.Is(err, ca.ErrProfile):
		return nil, usage("ca init", err, "see `sealmail ca init --help`")
	case err != nil:
		return nil, failed("ca init", err, "")
	}
	return &CAInitResult{
		Root: filepath.Join(p.Dir, "root.pem"), Issuing: filepath.Join(p.Dir, "issuing.pem"), Services: filepath.Join(p.Dir, "services.pem"),
		Chain: filepath.Join(p.Dir, "chain.pem"), RootFingerprint: certstore.Fingerprint(a.Root()), Protected: a.Protected(),
	}, nil
}

// CAIssueParams are the words of `ca issue`.
type CAIssueParams struct {
	Dir, Purpose, Key, CSR string
	Email, DNS             []string
	Name, Organization     string
	NotBefore, NotAfter    time.Time
	Validity               time.Duration
	Output                 Output // .p12: PKCS#12 with the key; else PEM
	P12Password            []byte
	// Passphrase gives the authority's; it is asked for only where its key is protected.
	Passphrase func() ([]byte, error)
}

// CAIssueResult is a certificate that was issued.
type CAIssueResult struct {
	File        string    `json:"file"`
	Subjects    []string  `json:"subjects"` // addresses, or hosts
	Serial      string    `json:"serial"`
	Fingerprint string    `json:"fingerprint"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
}

// CAIssue issues a certificate and writes it, with the key that was made for it, to a file that must not be there yet.
func CAIssue(ctx context.Context, o Options, p CAIssueParams) (*CAIssueResult, error) {
	if err := mayReplace(p.Output.Name, func(name string) error {
		return usage("ca issue", errors.New(name+" is there already, and may hold a key"), "name another file with -o")
	}); err != nil {
		return nil, err
	}
	profile := ca.Profile{
		Emails: p.Email, DNS: p.DNS, Name: p.Name, Organization: p.Organization,
		NotBefore: p.NotBefore, NotAfter: p.NotAfter, Days: int(p.Validity / (24 * time.Hour)), Now: o.Now(),
	}
	var err error
	if profile.Purpose, err = ca.ParsePurpose(p.Purpose); err != nil {
		return nil, usage("--purpose", err, "mail, sign, encrypt, tsa, archive or tls")
	}
	toP12 := filepath.Ext(p.Output.Name) == ".p12"
	if p.Key != "" {
		if profile.Key, err = certstore.ParseKeyType(p.Key); err != nil {
			return nil, usage("--key", err, "p256, p384, rsa2048, rsa3072 or ed25519")
		}
	} else {
		if toP12 {
			return nil, usage("ca issue", errors.New("a PKCS#12 file needs the private key, which a request does not bring"), "name a .pem with -o")
		}
		if profile.CSR, err = o.readRequest(p.CSR); err != nil {
			return nil, err
		}
	}
	authority, err := openAuthority(o, p.Dir, p.Passphrase)
	if err != nil {
		return nil, err
	}
	var cert *x509.Certificate
	c := &Client{o: o}
	if err := c.write(p.Output, func(w io.Writer) error { // nothing is issued for a file that cannot be made
		issued, err := authority.Issue(ctx, profile)
		if err != nil {
			return explainIssue(err)
		}
		var data []byte
		if toP12 {
			data, err = certstore.EncodePKCS12(issued.KeyPair(), string(p.P12Password))
		} else {
			data, err = issued.PEM()
		}
		if err != nil {
			return failed(p.Output.Name, err, "")
		}
		cert = issued.Certificate()
		_, err = w.Write(data)
		return err
	}); err != nil {
		return nil, err
	}
	subjects := slices.Concat(certstore.Addresses(cert), cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		subjects = append(subjects, ip.String())
	}
	if len(subjects) == 0 {
		subjects = []string{certstore.Name(cert)}
	}
	return &CAIssueResult{
		File: p.Output.Name, Subjects: subjects, Serial: certstore.SerialHex(cert.SerialNumber), Fingerprint: certstore.Fingerprint(cert),
		NotBefore: cert.NotBefore.UTC(), NotAfter: cert.NotAfter.UTC(),
	}, nil
}

// explainIssue says why an authority did not certify.
func explainIssue(err error) error {
	switch {
	case errors.Is(err, ca.ErrProfile):
		return usage("ca issue", err, "see `sealmail ca issue --help`")
	case errors.Is(err, ca.ErrRevoked):
		return failed("ca issue", err, "make another authority with `sealmail ca init`")
	}
	return failed("ca issue", err, "")
}

func (o Options) readRequest(name string) (*x509.CertificateRequest, error) {
	data, err := o.readSmall(name)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	request, err := x509.ParseCertificateRequest(data)
	var structural asn1.StructuralError
	var syntax asn1.SyntaxError
	if errors.As(err, &structural) || errors.As(err, &syntax) { // which says nothing to a person
		err = errors.New("it is no certificate request")
	}
	if err != nil {
		return nil, failed(name, err, "the file must hold a certificate request (PKCS#10) in PEM or DER")
	}
	return request, nil
}

// openAuthority opens an authority, and asks for its passphrase where it has one.
func openAuthority(o Options, dir string, passphrase func() ([]byte, error)) (*ca.Authority, error) {
	authority, err := ca.Open(dir, o.Disk, nil)
	if needsPassphrase(err) {
		var secret []byte
		if secret, err = passphrase(); err != nil {
			return nil, err
		}
		authority, err = ca.Open(dir, o.Disk, secret)
	}
	switch {
	case errors.Is(err, ca.ErrNotExist):
		return nil, usage("ca", err, "make one with `sealmail ca init --dir "+dir+"`")
	case errors.Is(err, vault.ErrPassphrase):
		return nil, failed("ca", err, "check the passphrase that --ca-passphrase-file gives")
	case err != nil:
		return nil, failed("ca", err, "")
	}
	for _, warning := range authority.Warnings() {
		o.Say("warning: " + warning)
	}
	return authority, nil
}

func needsPassphrase(err error) bool {
	return errors.Is(err, vault.ErrEmpty) || errors.Is(err, vault.ErrPassphrase) || errors.Is(err, vault.ErrLocked)
}
