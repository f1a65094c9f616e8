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
	// Imported is told what is stored, some hundred certificates at a time; nil: all is returned in the end. Its error ends
	// the import.
	Imported func([]CertificateLine) error
}

// maxImport bounds a file to import: it may be the address book of an organization.
const maxImport = 256 << 20

// importedFile is a file with what it holds.
type importedFile struct {
	name   string
	bundle certstore.Bundle // of a long file the part that belongs to keys and to chains
	long   *longFile        // nil: all is in the bundle
}

// importPlan is what an import is going to store.
type importPlan struct {
	pairs          []certstore.KeyPair
	correspondents [][]*x509.Certificate // each with its issuers
	long           []*longFile           // with more correspondents
	own            *ownKeys
	pool           []*x509.Certificate // the authorities in all of the files
	rest           []*x509.Certificate // what belongs to no pair
	used           map[string]bool     // what belongs to somebody's chain, by its DER
	sources        map[string]string   // the file of a certificate, by its DER
}

// chain is a correspondent's certificate with its issuers, which belong to somebody by that.
func (p *importPlan) chain(cert *x509.Certificate) []*x509.Certificate {
	chain := append([]*x509.Certificate{cert}, certstore.IssuersIn(p.pool, cert)...)
	for _, link := range chain[1:] {
		p.used[string(link.Raw)] = true
	}
	return chain
}

// authorities are those that belong to nobody's chain.
func (p *importPlan) authorities() []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(p.rest), func(cert *x509.Certificate) bool { return p.used[string(cert.Raw)] })
}

// CertImport takes what files hold into the store: a key with its certificate, which may be in another of the files or in
// the store, becomes an identity; a certificate alone that of a correspondent; those of authorities help to build paths. All
// files are read, and everything that can be refused is, before anything is stored. Where storing fails, or is interrupted,
// what was stored stays, each certificate whole, and the error says how many there are.
func (c *Client) CertImport(ctx context.Context, p CertImportParams) ([]CertificateLine, error) {
	own, err := c.ownKeys()
	if err != nil {
		return nil, err
	}
	files, err := c.readImports(ctx, p, own)
	defer closeImports(files)
	if err != nil {
		return nil, err
	}
	plan, err := c.planImport(files, own)
	if err != nil {
		return nil, err
	}
	completer, err := c.newChainCompleter(p)
	if err != nil {
		return nil, err
	}
	defer completer.Close()
	if err := completer.completePlan(ctx, plan); err != nil {
		return nil, err
	}
	report := &importReport{told: p.Imported}
	err = c.store(ctx, plan, completer, report)
	return report.end(err)
}

// readImports reads all the files, of which some may be open also after an error.
func (c *Client) readImports(ctx context.Context, p CertImportParams, own *ownKeys) (files []importedFile, err error) {
	for _, name := range p.Files {
		password := func() ([]byte, error) {
			if p.Password == nil {
				return nil, certstore.ErrEncryptedKey
			}
			return p.Password(name)
		}
		files = append(files, importedFile{name: name})
		file := &files[len(files)-1]
		if file.long, err = openLong(name, password); err != nil {
			return files, err
		}
		if file.long != nil {
			err = file.long.survey(ctx, own, &file.bundle, c.sayOdd)
		} else {
			file.bundle, err = c.readShort(name, password)
		}
		if err != nil {
			return files, err
		}
		own.keys = append(own.keys, file.bundle.Keys...)
	}
	for i := range files { // a key may have come after its certificate
		if long := files[i].long; long != nil && long.keysKnown < len(own.keys) {
			files[i].bundle = certstore.Bundle{}
			if err := long.survey(ctx, own, &files[i].bundle, nil); err != nil {
				return files, err
			}
		}
	}
	return files, nil
}

// readShort reads a file as a whole.
func (c *Client) readShort(name string, password func() ([]byte, error)) (certstore.Bundle, error) {
	data, err := c.o.readBounded(name, maxImport)
	if err != nil {
		return certstore.Bundle{}, err
	}
	bundle, err := certstore.ReadFile(data, password)
	if err != nil {
		return certstore.Bundle{}, explainFile(name, err)
	}
	c.sayOdd(name, bundle)
	return bundle, nil
}

// sayOdd tells what was found odd in a file.
func (c *Client) sayOdd(name string, bundle certstore.Bundle) {
	for _, warning := range bundle.Warnings {
		c.o.Say(fmt.Sprintf("warning: %s: %v", name, warning))
	}
	for _, odd := range bundle.Oddities {
		c.o.Say(fmt.Sprintf("warning: %s: passed over: %v", name, odd))
	}
}

// planImport joins what the files hold, and what the store and the vault have for it.
func (c *Client) planImport(files []importedFile, own *ownKeys) (*importPlan, error) {
	plan := &importPlan{own: own, used: map[string]bool{}, sources: map[string]string{}}
	var all certstore.Bundle
	for _, f := range files {
		if f.long != nil {
			plan.long = append(plan.long, f.long)
		}
		all.Join(f.bundle)
		for _, cert := range f.bundle.Certificates {
			plan.sources[string(cert.Raw)] = f.name
		}
	}
	if err := c.findCertificates(files, &all); err != nil {
		return nil, err
	}
	plan.pairs, plan.rest = all.KeyPairs()
	// Few certificates among many are those of authorities: that a chain is looked for among these alone keeps an import linear.
	plan.pool = slices.DeleteFunc(slices.Clone(all.Certificates), func(cert *x509.Certificate) bool { return !cert.IsCA })
	for _, cert := range plan.rest {
		mine := own.stored[certstore.KeyFingerprint(cert)]
		if cert.IsCA && !mine {
			continue
		}
		chain := plan.chain(cert)
		plan.used[string(cert.Raw)] = true
		if mine {
			key, err := c.certificates().Key(cert)
			if err != nil {
				return nil, storeError(err)
			}
			plan.pairs = append(plan.pairs, certstore.KeyPair{Key: key, Chain: chain})
			continue
		}
		plan.correspondents = append(plan.correspondents, chain)
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
func (c *Client) store(ctx context.Context, plan *importPlan, completer *chainCompleter, report *importReport) error {
	store := c.certificates()
	if err := c.storePairs(ctx, store, plan, report); err != nil {
		return err
	}
	if err := c.storeCorrespondents(ctx, store, plan.correspondents, plan.source, report); err != nil {
		return err
	}
	for _, long := range plan.long {
		err := long.correspondents(plan.own, func(certs []*x509.Certificate) error {
			chains := make([][]*x509.Certificate, len(certs))
			for i, cert := range certs {
				chains[i] = completer.complete(ctx, plan.chain(cert))
			}
			return c.storeCorrespondents(ctx, store, chains, func(*x509.Certificate) string { return importedFrom(long.name) }, report)
		})
		if err != nil {
			return err
		}
	}
	if authorities := plan.authorities(); len(authorities) > 0 {
		if _, err := store.AddIssuers(authorities...); err != nil {
			return storeError(err)
		}
		for _, cert := range authorities {
			if err := report.add(certificateLine("issuer", "", cert)); err != nil {
				return err
			}
		}
		c.o.Say("kept to build paths, and not trusted, as of authorities: " + someNames(authorities) + "; to trust one: `sealmail cert trust FILE --for mail`")
	}
	var own [][]*x509.Certificate
	for _, pair := range plan.pairs {
		own = append(own, pair.Chain)
	}
	if err := c.sayUntrusted(own...); err != nil {
		return err
	}
	if c.vault != nil && !c.vault.Protected() && len(plan.pairs) > 0 {
		c.o.Say("warning: the vault is unprotected: who reads the disk reads the key")
	}
	return nil
}

// source says where a certificate came from.
func (p *importPlan) source(cert *x509.Certificate) string {
	if name := p.sources[string(cert.Raw)]; name != "" {
		return importedFrom(name)
	}
	return "in the store before its key was imported"
}

func importedFrom(name string) string { return "imported from " + filepath.Base(name) }

func (c *Client) storePairs(ctx context.Context, store *certstore.Store, plan *importPlan, report *importReport) error {
	known, problems, err := store.Identities()
	if err != nil {
		return storeError(err)
	}
	c.sayProblems(problems)
	for _, pair := range plan.pairs {
		label := pair.Label
		for _, identity := range known { // what it is called here is not forgotten for a file that calls it nothing
			if label == "" && identity.Certificate().Equal(pair.Chain[0]) {
				label = identity.Label
			}
		}
		if _, err := store.AddIdentity(ctx, pair, label, plan.source(pair.Chain[0]), c.o.Now()); err != nil {
			return storeError(err)
		}
		if err := report.add(certificateLine("identity", "", pair.Chain[0])); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) storeCorrespondents(ctx context.Context, store *certstore.Store, chains [][]*x509.Certificate, source func(*x509.Certificate) string, report *importReport) error {
	var correspondents []certstore.Correspondent
	for _, chain := range chains {
		correspondents = append(correspondents, certstore.Correspondent{Chain: chain, Source: source(chain[0]), FirstSeen: c.o.Now()})
	}
	if _, err := store.AddCorrespondents(ctx, correspondents); err != nil {
		return storeError(err)
	}
	for _, chain := range chains {
		if err := report.add(certificateLine("correspondent", "", chain[0])); err != nil {
			return err
		}
	}
	return nil
}

// someNames are the names of a few certificates.
func someNames(certs []*x509.Certificate) string {
	const most = 3
	var names []string
	for _, cert := range certs[:min(len(certs), most)] {
		names = append(names, fmt.Sprintf("%q", certstore.Name(cert)))
	}
	if more := len(certs) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// selfIssued reports whether a certificate names itself as its issuer (RFC 5280 section 3.2).
func selfIssued(cert *x509.Certificate) bool { return bytes.Equal(cert.RawSubject, cert.RawIssuer) }
