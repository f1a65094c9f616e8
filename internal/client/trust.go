package client

import (
	"crypto/x509"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/smime/verdict"
)

// mailValidator judges certificates of mail: by the anchors in these files and no others, or else by the store's. The
// issuers of one's own certificates help to build paths in the store, and are trusted for nothing.
func (c *Client) mailValidator(files []string) (certstore.Validator, error) {
	if len(files) > 0 {
		anchors, err := c.o.readCertificates(files)
		return certstore.Validator{Anchors: anchors, Cache: new(certstore.PathCache)}, err
	}
	v, problems, err := c.certificates().Validator(certstore.Mail, c.accountName())
	if err != nil {
		return v, c.storeUnreadable(err)
	}
	c.sayProblems(problems)
	v.Cache = new(certstore.PathCache)
	return v, nil
}

// revocationMode is what the account does where revocation is not known.
func (c *Client) revocationMode() verdict.RevocationMode {
	a, err := c.account()
	if err != nil || a.Revocation == "" {
		return verdict.RevocationSoft
	}
	return verdict.RevocationMode(a.Revocation)
}

// selector is by what certificates are chosen to sign with and to encrypt to. Whether they are revoked is asked over the
// network only where the command uses it anyway.
func (c *Client) selector(at time.Time, online bool) (selector, error) {
	v, err := c.mailValidator(nil)
	if err != nil {
		return selector{}, err
	}
	r, err := c.newRevocations(online)
	if err != nil {
		return selector{}, err
	}
	return selector{certstore.Selector{Validator: v, At: at, Revocation: r.selectRevocation(c.revocationMode())}, r}, nil
}

// anchorOrigins tells for each anchor in the store whose decision it is, by fingerprint.
func (c *Client) anchorOrigins() (map[string]certstore.Anchor, error) {
	anchors, _, err := c.certificates().Anchors(certstore.Mail, c.accountName())
	if err != nil {
		return nil, storeError(err)
	}
	origins := make(map[string]certstore.Anchor, len(anchors))
	for _, a := range anchors {
		origins[certstore.Fingerprint(a.Certificate)] = a
	}
	return origins, nil
}

// signerReport is the identity in a certificate. path is its validated path, or nil.
func signerReport(cert *x509.Certificate, path []*x509.Certificate, origins map[string]certstore.Anchor) *SignerReport {
	r := describedReport(certstore.Describe(cert))
	if len(path) > 0 {
		anchor, known := origins[certstore.Fingerprint(path[len(path)-1])]
		if !known {
			anchor.Origin = certstore.Private // given by file
		}
		r.Validation = orNull(certstore.Validation(cert, anchor))
	}
	return &r
}

func describedReport(d certstore.Description) SignerReport {
	r := SignerReport{
		Name: orNull(d.Name), Organization: orNull(d.Organization), Addresses: d.Addresses, Issuer: orNull(d.Issuer),
		Serial: d.Serial, Fingerprint: d.Fingerprint, NotBefore: d.NotBefore, NotAfter: d.NotAfter,
	}
	if r.Addresses == nil {
		r.Addresses = []string{}
	}
	return r
}
