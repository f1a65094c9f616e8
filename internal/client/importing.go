package client

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sealmail/sealmail/certstore"
)

// CertImportParams say what to take into the store.
type CertImportParams struct {
	Files []string
	// Password gives the password of a file. It is called for each file that needs one, once.
	Password func(file string) ([]byte, error)
	// FetchIssuers gets issuers that are missing from where the certificates say that they are.
	FetchIssuers bool
	// InsecureLoopback allows to fetch them from this machine too.
	InsecureLoopback bool
}

// maxImport bounds a file to import: it may be the address book of an organization.
const maxImport = 256 << 20

// importedFile is a file with what it holds.
type importedFile struct {
	name   string
	bundle certstore.Bundle
}

// importPlan is what an import is going to store.
type importPlan struct {
	pairs          []certstore.KeyPair
	correspondents [][]*x509.Certificate // each with its issuers
	authorities    []*x509.Certificate   // that belong to nobody's chain
	sources        map[string]string     // the file of a certificate, by its DER
}

// CertImport takes what files hold into the store: a key with its certificate, which may be in another of the files or in
// the store, becomes an identity; a certificate alone that of a correspondent; those of authorities help to build paths. All
// files are read, and everything that can be refused is, before anything is stored.
func (c *Client) CertImport(ctx context.Context, p CertImportParams) ([]CertificateLine, error) {
	files, err := c.readImports(p)
	if err != nil {
		return nil, err
	}
	plan, err := c.planImport(files)
	if err != nil {
		return nil, err
	}
	if err := c.completeChains(ctx, plan, p); err != nil {
		return nil, err
	}
	return c.store(ctx, plan)
}

// readImports reads all the files.
func (c *Client) readImports(p CertImportParams) ([]importedFile, error) {
	var files []importedFile
	for _, name := range p.Files {
		data, err := c.o.readBounded(name, maxImport)
		if err != nil {
			return nil, err
		}
		bundle, err := certstore.ReadFile(data, func() ([]byte, error) {
			if p.Password == nil {
				return nil, certstore.ErrEncryptedKey
			}
			return p.Password(name)
		})
		if err != nil {
			return nil, explainFile(name, err)
		}
		for _, warning := range bundle.Warnings {
			c.o.Say(fmt.Sprintf("warning: %s: %v", name, warning))
		}
		for _, odd := range bundle.Oddities {
			c.o.Say(fmt.Sprintf("warning: %s: passed over: %v", name, odd))
		}
		files = append(files, importedFile{name, bundle})
	}
	return files, nil
}

// planImport joins what the files hold, and what the store and the vault have for it.
func (c *Client) planImport(files []importedFile) (*importPlan, error) {
	plan := &importPlan{sources: map[string]string{}}
	var all certstore.Bundle
	for _, f := range files {
		all.Join(f.bundle)
		for _, cert := range f.bundle.Certificates {
			plan.sources[string(cert.Raw)] = f.name
		}
	}
	if err := c.findCertificates(files, &all); err != nil {
		return nil, err
	}
	pairs, rest := all.KeyPairs()
	plan.pairs = pairs
	keys, err := c.storedKeys()
	if err != nil {
		return nil, err
	}
	// Few certificates among many are those of authorities: that a chain is looked for among these alone keeps an import linear.
	authorities := slices.DeleteFunc(slices.Clone(all.Certificates), func(cert *x509.Certificate) bool { return !cert.IsCA })
	used := map[string]bool{}
	for _, cert := range rest {
		own := keys[certstore.KeyFingerprint(cert)]
		if cert.IsCA && !own {
			continue
		}
		chain := append([]*x509.Certificate{cert}, certstore.IssuersIn(authorities, cert)...)
		for _, link := range chain {
			used[string(link.Raw)] = true
		}
		if own {
			key, err := c.certificates().Key(cert)
			if err != nil {
				return nil, storeError(err)
			}
			plan.pairs = append(plan.pairs, certstore.KeyPair{Key: key, Chain: chain})
			continue
		}
		plan.correspondents = append(plan.correspondents, chain)
	}
	for _, cert := range rest {
		if !used[string(cert.Raw)] {
			plan.authorities = append(plan.authorities, cert)
		}
	}
	return plan, nil
}

// findCertificates adds the certificates of keys that came without one, as far as the store has them. A key without
// any is of no use, and an error.
func (c *Client) findCertificates(files []importedFile, all *certstore.Bundle) error {
	var stored []storedCertificate
	for _, f := range files {
		for _, key := range f.bundle.Keys {
			if slices.ContainsFunc(all.Certificates, func(cert *x509.Certificate) bool { return certstore.KeyMatches(cert, key) }) {
				continue
			}
			if stored == nil {
				var err error
				if stored, err = c.storedCertificates(c.certificates().Correspondents); err != nil {
					return err
				}
			}
			i := slices.IndexFunc(stored, func(s storedCertificate) bool { return certstore.KeyMatches(s.cert, key) })
			if i < 0 {
				return loneKey(f)
			}
			all.Certificates = append(all.Certificates, stored[i].chain...)
		}
	}
	return nil
}

func loneKey(f importedFile) error {
	if len(f.bundle.Oddities) > 0 {
		return failed(f.name, f.bundle.Oddities[0], "the private key in it is of no use without a certificate that can be used")
	}
	return failed(f.name, errors.New("it has a private key without its certificate"), "name the certificate's file too: `sealmail cert import KEY CERTIFICATE`")
}

// storedKeys are the fingerprints of the keys in the vault, which tells them while it is locked.
func (c *Client) storedKeys() (map[string]bool, error) {
	v := c.vault
	if v == nil {
		var err error
		if v, err = c.loadVault(); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	entries, err := v.Entries()
	if err != nil {
		return nil, storeError(err)
	}
	keys := map[string]bool{}
	for _, e := range entries {
		if fingerprint, ok := certstore.KeyOfEntry(e.ID); ok {
			keys[fingerprint] = true
		}
	}
	return keys, nil
}

// store stores what was planned: identities first, so that a vault that does not open leaves all as it was.
func (c *Client) store(ctx context.Context, plan *importPlan) ([]CertificateLine, error) {
	store, now := c.certificates(), c.o.Now()
	source := func(cert *x509.Certificate) string {
		name := plan.sources[string(cert.Raw)]
		if name == "" {
			return "in the store before its key was imported"
		}
		return "imported from " + filepath.Base(name)
	}
	known, problems, err := store.Identities()
	if err != nil {
		return nil, storeError(err)
	}
	c.sayProblems(problems)
	var lines []CertificateLine
	for _, pair := range plan.pairs {
		label := pair.Label
		for _, identity := range known { // what it is called here is not forgotten for a file that calls it nothing
			if label == "" && identity.Certificate().Equal(pair.Chain[0]) {
				label = identity.Label
			}
		}
		if _, err := store.AddIdentity(ctx, pair, label, source(pair.Chain[0]), now); err != nil {
			return lines, storeError(err)
		}
		lines = append(lines, certificateLine("identity", "", pair.Chain[0]))
	}
	var correspondents []certstore.Correspondent
	for _, chain := range plan.correspondents {
		correspondents = append(correspondents, certstore.Correspondent{Chain: chain, Source: source(chain[0]), FirstSeen: now})
	}
	if _, err := store.AddCorrespondents(ctx, correspondents); err != nil {
		return lines, storeError(err)
	}
	for _, chain := range plan.correspondents {
		lines = append(lines, certificateLine("correspondent", "", chain[0]))
	}
	if len(plan.authorities) > 0 {
		if _, err := store.AddIssuers(plan.authorities...); err != nil {
			return lines, storeError(err)
		}
		for _, cert := range plan.authorities {
			lines = append(lines, certificateLine("issuer", "", cert))
		}
		c.o.Say("kept to build paths, and not trusted, as of authorities: " + someNames(plan.authorities) + "; to trust one: `sealmail cert trust FILE --for mail`")
	}
	var own [][]*x509.Certificate
	for _, pair := range plan.pairs {
		own = append(own, pair.Chain)
	}
	if err := c.sayUntrusted(own...); err != nil {
		return lines, err
	}
	if c.vault != nil && !c.vault.Protected() && len(plan.pairs) > 0 {
		c.o.Say("warning: the vault is unprotected: who reads the disk reads the key")
	}
	return lines, nil
}

// someNames are the names of a few certificates.
func someNames(certs []*x509.Certificate) string {
	const most = 3
	var names []string
	for _, cert := range certs[:min(len(certs), most)] {
		names = append(names, fmt.Sprintf("%q", certstore.Describe(cert).Name))
	}
	if more := len(certs) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// selfIssued reports whether a certificate names itself as its issuer (RFC 5280 section 3.2).
func selfIssued(cert *x509.Certificate) bool { return bytes.Equal(cert.RawSubject, cert.RawIssuer) }
