package client

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/mailbox/archive"
	"github.com/sealmail/sealmail/smime"
)

// ArchiveProveParams say which message is proven, and where.
type ArchiveProveParams struct {
	ArchivePlace
	ID       string
	To       string   // folder that is made
	TSATrust []string // files; empty: the store's anchors
}

// ArchiveProveResult is what the folder proves.
type ArchiveProveResult struct {
	Number  int64      `json:"number"`
	Path    string     `json:"path"`
	SHA256  string     `json:"sha256"` // of the message
	Signer  string     `json:"signer"` // who signed the archive
	Time    *time.Time `json:"time"`   // since when it is proven; null: there is no timestamp yet
	Files   []string   `json:"files"`
	Verdict string     `json:"verdict"` // of the message, when it was archived; empty: it could not be opened
}

// ArchiveProve writes a folder from which others check one message, without the archive and without sealmail: README.txt in it
// says how.
func (c *Client) ArchiveProve(ctx context.Context, p ArchiveProveParams) (result *ArchiveProveResult, err error) {
	if p.To == "" {
		return nil, usage("archive prove", errors.New("where to is not said"), "name a folder with --to DIR")
	}
	p.To = filepath.Clean(p.To)
	if exists(p.To) {
		return nil, failed(p.To, errors.New("it is there already"), "name a folder that is not there")
	}
	a, dir, err := c.openArchive(ctx, p.ArchivePlace)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	numbers, err := c.archiveNumbers(ctx, a, p.ID)
	if err != nil {
		return nil, explainArchive(dir, err)
	}
	if len(numbers) != 1 {
		return nil, usage("archive prove", fmt.Errorf("%q names %d messages", p.ID, len(numbers)), "name one by its number: `sealmail archive list` shows them")
	}
	// Beside it, under a name that nobody else gives: what a run that was killed left there goes.
	w := &proofWriter{client: c, archive: a, dir: filepath.Join(filepath.Dir(p.To), "."+filepath.Base(p.To)+".sealmail-part")}
	if err := c.o.Disk.RemoveAll(w.dir); err != nil {
		return nil, failed(p.To, err, "")
	}
	if err := c.o.Disk.MkdirAll(w.dir, 0o700); err != nil {
		return nil, failed(p.To, err, "name a folder that can be made")
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.o.Disk.Discard(w.dir))
		}
	}()
	if err := w.write(ctx, numbers[0], p.TSATrust); err != nil {
		return nil, explainArchive(dir, err)
	}
	if err := c.o.Disk.Rename(w.dir, p.To); err != nil {
		return nil, failed(p.To, err, "")
	}
	w.result.Path = p.To
	return &w.result, nil
}

// proofWriter writes the folder of a proof.
type proofWriter struct {
	client  *Client
	archive *archive.Archive
	dir     string
	result  ArchiveProveResult
	readme  proofReadme
}

// file writes a file of the folder.
func (w *proofWriter) file(name string, write func(io.Writer) error) error {
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := w.client.o.Disk.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := w.client.o.Disk.Create(path, 0o600)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		return errors.Join(err, f.Abort())
	}
	w.result.Files = append(w.result.Files, name)
	return f.Commit()
}

func (w *proofWriter) octets(name string, data []byte) error {
	return w.file(name, func(f io.Writer) error {
		_, err := f.Write(data)
		return err
	})
}

// certificates writes certificates as PEM, each under a line that says whose it is.
func (w *proofWriter) certificates(name string, certs ...*x509.Certificate) error {
	return w.file(name, func(f io.Writer) error {
		for _, cert := range certs {
			if _, err := fmt.Fprintf(f, "# SHA-256 %s\n", certstore.Fingerprint(cert)); err != nil {
				return err
			}
			if err := pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}); err != nil {
				return err
			}
		}
		return nil
	})
}

// write writes all of it, the README last.
func (w *proofWriter) write(ctx context.Context, n archive.Number, tsaTrust []string) error {
	r := w.client.newArchiveReader(w.archive)
	m, err := r.get(ctx, n)
	if err != nil {
		return err
	}
	defer m.Close()
	proof, err := w.archive.Prove(ctx, n)
	if err != nil {
		return err
	}
	w.result.Number, w.result.SHA256, w.result.Signer = int64(n), m.of.SHA256, certstore.Name(proof.Signer)
	w.readme = proofReadme{Number: n.String(), Segment: fmt.Sprintf("%06d", proof.Segment), SHA256: m.of.SHA256, Size: m.of.Size}
	steps := []func() error{
		func() error { return w.message(ctx, m, proof) },
		func() error { return w.segment(ctx, proof) },
		func() error { return w.stamps(ctx, proof, tsaTrust) },
		func() error { return w.findings(ctx, m) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return w.octets("README.txt", w.readme.text())
}

// message writes the message and its commitment.
func (w *proofWriter) message(ctx context.Context, m *archivedCopy, proof *archive.MessageProof) error {
	err := w.file("message.eml", func(f io.Writer) error {
		_, err := io.Copy(f, contextReader{ctx, m.spool.Section()})
		return err
	})
	if err != nil {
		return err
	}
	if err := w.octets("salt.bin", m.of.Salt); err != nil {
		return err
	}
	return w.octets(w.readme.Number+".commit", proof.Commitment)
}

// segment writes the segment with its signature, and the certificates by which that is checked.
func (w *proofWriter) segment(ctx context.Context, proof *archive.MessageProof) error {
	err := w.file(w.readme.Segment+".zip", func(f io.Writer) error { return w.archive.CopySegment(ctx, proof.Segment, f) })
	if err != nil {
		return err
	}
	if err := w.octets(w.readme.Segment+".p7s", proof.Signature); err != nil {
		return err
	}
	w.readme.Signer, w.readme.SignerFingerprint = certstore.Name(proof.Signer), certstore.Fingerprint(proof.Signer)
	// By the time of its own certificate: when it was made is proven by the timestamp.
	v, err := w.client.mailValidator(nil)
	if err != nil {
		return err
	}
	bag := slices.Concat(proof.Bag, w.client.certificates().IssuersOf(proof.Signer))
	path, err := v.Path(proof.Signer, bag, certstore.SignArchive, proof.Record.Archived)
	if err != nil {
		w.client.o.Say(fmt.Sprintf("warning: the archiving certificate of %q leads to no root that is trusted here: whoever checks has to get it elsewhere", certstore.Name(proof.Signer)))
		return nil //nolint:nilerr // said
	}
	root := path[len(path)-1]
	w.readme.SignerRoot = certstore.Fingerprint(root)
	return w.certificates("archive-root.pem", root)
}

// stamps writes the timestamp of the segment and the evidence record of the message.
func (w *proofWriter) stamps(ctx context.Context, proof *archive.MessageProof, trust []string) error {
	if proof.Token == nil {
		w.client.o.Say("note: the segment of the message has no timestamp yet: the next `sealmail archive pull` gets one")
		return nil
	}
	judge, err := w.client.ArchiveJudge(trust, revocation.Evidence{}, time.Time{})
	if err != nil {
		return err
	}
	held, chain, err := judge.token(ctx, proof.Token, proof.Signature)
	if err != nil {
		return &Error{Kind: No, What: "timestamp of the segment", Err: err, Hint: "`sealmail archive verify` says more"}
	}
	w.result.Time = orNull(held.Time.UTC())
	w.readme.Time, w.readme.AttestedAt = held.Time.UTC().Format(time.RFC3339), held.Time.Unix()
	w.readme.Authority = certstore.Name(chain[0])
	w.readme.AuthorityRoot = certstore.Fingerprint(chain[len(chain)-1])
	if err := w.octets(w.readme.Segment+".tst", proof.Token); err != nil {
		return err
	}
	if err := w.certificates("tsa-root.pem", chain[len(chain)-1]); err != nil {
		return err
	}
	// Tokens may come without the certificates of their authority.
	if err := w.certificates("tsa-chain.pem", chain...); err != nil {
		return err
	}
	record, _, err := judge.Prove(ctx, proof.Evidence, proof.Leaves, proof.Index)
	if err != nil {
		return &Error{Kind: No, What: "evidence record of the segment", Err: err, Hint: "`sealmail archive verify` says more"}
	}
	return w.octets(w.readme.Number+".commit.ers", record)
}

// findings writes what was found when the message was archived, what that rests on, and, of an encrypted message, what was inside.
func (w *proofWriter) findings(ctx context.Context, m *archivedCopy) error {
	if m.record.Report == nil {
		return nil
	}
	w.result.Verdict, w.readme.Verdict = m.record.Report.Verdict, m.record.Report.Verdict
	text, err := json.MarshalIndent(m.record.Report, "", "  ")
	if err != nil {
		return err
	}
	if err := w.octets("verdict.json", append(text, '\n')); err != nil {
		return err
	}
	given, _, err := m.proven()
	if err != nil {
		return err
	}
	for _, list := range []struct {
		kind proofKind
		ders [][]byte
	}{{proofCertificate, given.Certificates}, {proofCRL, given.CRLs}, {proofOCSP, given.OCSPResponses}} {
		for i, der := range list.ders {
			if err := w.octets(fmt.Sprintf("validation/%02d%s", i+1, list.kind.extension()), der); err != nil {
				return err
			}
		}
	}
	opened, err := w.client.judgeAsArchived(ctx, m.name(), m.archivedMessage)
	if isMessageFault(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer opened.Close()
	return w.inside(ctx, m, opened)
}

// inside writes the signed content of an encrypted message, and says how the sender's signature is checked, if it is good.
func (w *proofWriter) inside(ctx context.Context, m *archivedCopy, opened *judged) error {
	w.readme.SignedIn = "message.eml"
	if len(opened.layers) > 0 {
		if l := opened.layers[0].Encrypted; l != nil && l.Status == smime.StatusDecrypted {
			err := w.file("opened.eml", func(f io.Writer) error {
				_, err := io.Copy(f, contextReader{ctx, io.NewSectionReader(l.Content, 0, l.Content.Size())})
				return err
			})
			if err != nil {
				return err
			}
			w.readme.Opened, w.readme.SignedIn = true, "opened.eml"
		}
	}
	for _, path := range opened.paths {
		if opened.passed() && len(path) > 0 {
			w.readme.SenderRoot, w.readme.Sender = certstore.Fingerprint(path[len(path)-1]), certstore.Name(path[0])
			if err := w.certificates("sender-root.pem", path[len(path)-1]); err != nil {
				return err
			}
			return w.certificates("sender-chain.pem", path...)
		}
	}
	return nil
}
