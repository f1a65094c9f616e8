package client

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/smime"
	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/smime/verdict"
)

// archivedMessage is a message as an archive gives it back.
type archivedMessage struct {
	octets smime.Source
	sha256 string // of the octets, as the archive says
	record archiveRecord
	proofs *proofSet // has what the record and the keys name
	keys   []keptKey
}

// errOtherMessage is that octets are not those of a record.
var errOtherMessage = errors.New("the message is not the one that the record is of")

// check sees that the octets are those of the record.
func (m *archivedMessage) check(ctx context.Context) error {
	hash := sha256.New()
	if _, err := io.Copy(hash, contextReader{ctx, io.NewSectionReader(m.octets, 0, m.octets.Size())}); err != nil {
		return err
	}
	if hex.EncodeToString(hash.Sum(nil)) != m.sha256 {
		return errOtherMessage
	}
	return nil
}

// decrypters open the layers whose keys were kept.
func (m *archivedMessage) decrypters() (list []smime.Decrypter, err error) {
	for _, k := range m.keys {
		sum, err := hex.DecodeString(k.EncryptedKey)
		if err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("%w: the name of a key is %.80q", errRecord, k.EncryptedKey)
		}
		key := smime.ContentKey{EncryptedKey: [sha256.Size]byte(sum), Key: k.Key}
		if k.Certificate != "" {
			if key.Certificate, err = m.proofs.certificate(k.Certificate); err != nil {
				return nil, err
			}
		}
		list = append(list, key.Decrypter())
	}
	return list, nil
}

// opened reports whether all that was encrypted was opened when the message was archived.
func (m *archivedMessage) opened() bool {
	r := m.record.Report
	return r != nil && (r.Encryption == string(smime.StatusDecrypted) || r.Encryption == string(smime.StatusNone))
}

// proven is what the message was judged by, with the certificates parsed.
func (m *archivedMessage) proven() (given revocation.Evidence, certs []*x509.Certificate, err error) {
	if given, err = m.proofs.named(m.record.Proof); err != nil {
		return given, nil, err
	}
	for _, der := range given.Certificates {
		cert, err := cms.RawCertificate(der).Parse()
		if err != nil {
			return given, nil, fmt.Errorf("%w: %w", errRecord, err)
		}
		certs = append(certs, cert)
	}
	return given, certs, nil
}

// anchorsOf are those of these certificates that have one of the fingerprints.
func anchorsOf(certs []*x509.Certificate, fingerprints []string) (anchors []*x509.Certificate, err error) {
	for _, name := range fingerprints {
		i := slices.IndexFunc(certs, func(cert *x509.Certificate) bool { return certstore.Fingerprint(cert) == name })
		if i < 0 {
			return nil, &ProofError{Name: name}
		}
		anchors = append(anchors, certs[i])
	}
	return anchors, nil
}

// judgeArchived opens a message out of an archive and judges it by what is known and trusted now, with what was kept to help.
// Private keys are asked for where there are layers that were shut when it was archived.
func (j *judge) judgeArchived(ctx context.Context, what string, m archivedMessage) (*judged, error) {
	now, err := j.withKept(ctx, m)
	if err != nil {
		return nil, failed(what, err, "")
	}
	return now.judge(ctx, what, m.octets)
}

// withKept is a judge with what was kept of a message.
func (j *judge) withKept(ctx context.Context, m archivedMessage) (*judge, error) {
	if err := m.check(ctx); err != nil {
		return nil, err
	}
	given, certs, err := m.proven()
	if err != nil {
		return nil, err
	}
	kept, err := m.decrypters()
	if err != nil {
		return nil, err
	}
	own, stamps := *j, *j.stamps
	if m.opened() {
		own.decrypters = kept
	} else {
		own.decrypters = slices.Concat(kept, j.decrypters)
	}
	var all revocation.Evidence
	all.Add(j.revocations.given) // what the person gave comes before
	all.Add(given)
	own.extra = slices.Concat(j.extra, certs)
	own.revocations = &revocations{checker: j.revocations.checker, given: all, now: j.revocations.now, say: j.revocations.say}
	if stamps.revocations != nil {
		stamps.revocations = own.revocations
	}
	own.stamps = &stamps
	return &own, nil
}

// judgeAsArchived opens a message out of an archive and judges it as of when it was archived: at that time, by the anchors that
// were trusted then and by what was known of revocation then. Nobody is asked, no private key is used, and what is trusted now
// does not count. What was found wanting then stays as it was found.
func (c *Client) judgeAsArchived(ctx context.Context, what string, m archivedMessage) (*judged, error) {
	j, err := c.judgeOf(ctx, m)
	if err != nil {
		return nil, failed(what, err, "")
	}
	return j.judge(ctx, what, m.octets)
}

// judgeOf is the judge of a message as it was when that was archived.
func (c *Client) judgeOf(ctx context.Context, m archivedMessage) (*judge, error) {
	by := m.record.Judged
	if by == nil {
		return nil, errors.New("nothing could be found out about the message when it was archived: there is no verdict of then")
	}
	if err := m.check(ctx); err != nil {
		return nil, err
	}
	given, certs, err := m.proven()
	if err != nil {
		return nil, err
	}
	origins := map[string]certstore.Anchor{}
	var names []string
	for _, a := range by.Anchors {
		names = append(names, a.Certificate)
		origins[a.Certificate] = certstore.Anchor{Origin: certstore.Origin(a.Origin)}
	}
	anchors, err := anchorsOf(certs, names)
	if err != nil {
		return nil, err
	}
	stampers, err := anchorsOf(certs, by.Stampers)
	if err != nil {
		return nil, err
	}
	decrypters, err := m.decrypters()
	if err != nil {
		return nil, err
	}
	mode := verdict.RevocationMode(by.Revocation)
	r := &revocations{checker: &revocation.Checker{}, given: given, now: by.Time, say: c.o.Say}
	timeStamps := certstore.Validator{Anchors: stampers}
	return &judge{
		client: c, store: c.certificates(), revocations: r, origins: origins, decrypters: decrypters, extra: certs, parsed: new(certstore.ParseCache),
		validator: certstore.Validator{Anchors: anchors}, allowWeak: by.AllowWeak, unseen: true, found: m.record.Evidence,
		policy:  verdict.Policy{Revocation: mode, Now: by.Time, Own: by.Own},
		issuers: func(*x509.Certificate) []*x509.Certificate { return nil },
		stamps: &stampTrust{
			anchored: len(stampers) > 0, revocations: r, mode: mode,
			path: func(cert *x509.Certificate, bag []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
				return timeStamps.Path(cert, slices.Concat(bag, certs), certstore.TimeStamp, at)
			},
			authorities: sync.OnceValue(func() []*x509.Certificate { return nil }), // those that were needed are in the proofs
		},
	}, nil
}
