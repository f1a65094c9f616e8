package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/sealmail/sealmail/mailbox"
	"github.com/sealmail/sealmail/mailbox/archive"
	"github.com/sealmail/sealmail/smime/spool"
)

// given is what the archive is given of a message that arrived.
func (a *archived) given(duplicate archive.Number) (archive.Message, error) {
	r := &a.record
	m := archive.Message{
		Origin: archive.Origin{Account: r.Account, Folder: r.Folder, UIDValidity: r.UIDValidity, UID: r.UID},
		Flags:  r.Flags, Findings: a.json, Duplicate: duplicate,
	}
	if r.InternalDate != nil {
		m.InternalDate = *r.InternalDate
	}
	for _, p := range a.proofs {
		m.Material = append(m.Material, archive.Material{Kind: p.kind.word(), DER: p.der})
	}
	for _, k := range a.keys {
		kept := archive.ContentKey{Key: bytes.Clone(k.Key), Certificate: k.Certificate}
		sum, err := hex.DecodeString(k.EncryptedKey)
		if err != nil || len(sum) != sha256.Size {
			return m, fmt.Errorf("kept key: %q", k.EncryptedKey)
		}
		copy(kept.Recipient[:], sum)
		m.ContentKeys = append(m.ContentKeys, kept)
	}
	return m, nil
}

// word is what an archive calls the kind.
func (k proofKind) word() string { return [...]string{"certificate", "crl", "ocsp"}[k] }

// archiveReader opens what was archived. It is for use by one goroutine.
type archiveReader struct {
	client  *Client
	archive *archive.Archive
	judge   *judge // made at first need

	segment int // whose material it has
	proofs  *proofSet
}

func (c *Client) newArchiveReader(a *archive.Archive) *archiveReader {
	return &archiveReader{client: c, archive: a}
}

// archivedCopy is a message out of an archive. It must be closed.
type archivedCopy struct {
	archivedMessage
	of    *archive.Record
	spool *spool.Spool
}

// Close wipes what the message could be opened with, and removes its octets.
func (m *archivedCopy) Close() error {
	for _, k := range m.keys {
		clear(k.Key)
	}
	return m.spool.Close()
}

// get gets a message out of the archive.
func (r *archiveReader) get(ctx context.Context, n archive.Number) (*archivedCopy, error) {
	s, err := r.archive.SegmentOf(ctx, n)
	if err != nil {
		return nil, err
	}
	of, err := s.Record(ctx, n)
	if err != nil {
		return nil, err
	}
	m := &archivedCopy{of: of, spool: spool.New(r.client.spoolOptions())}
	if m.record, err = readArchiveRecord(of.Findings); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if err := s.Octets(ctx, of, m.spool); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	m.octets, m.sha256 = m.spool, of.SHA256
	if r.proofs == nil || r.segment != s.Number {
		material, err := s.Material(ctx)
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		r.segment, r.proofs = s.Number, &proofSet{}
		for sum, piece := range material {
			r.proofs.add([]proofPiece{{kindOf(piece.Kind), hex.EncodeToString(sum[:]), piece.DER}})
		}
	}
	m.proofs = r.proofs
	kept, err := s.ContentKeys(ctx, n)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	for _, k := range kept {
		m.keys = append(m.keys, keptKey{EncryptedKey: hex.EncodeToString(k.Recipient[:]), Key: k.Key, Certificate: k.Certificate})
	}
	return m, nil
}

// kindOf is the kind that an archive calls so.
func kindOf(word string) proofKind {
	for k := proofCertificate; k <= proofOCSP; k++ {
		if k.word() == word {
			return k
		}
	}
	return proofCertificate
}

// now judges a message by what is known and trusted now, without the network.
func (r *archiveReader) now(ctx context.Context, m *archivedCopy) (*judged, error) {
	if r.judge == nil {
		j, err := r.client.newJudge(VerifyParams{Revocation: string(r.client.revocationMode())})
		if err != nil {
			return nil, err
		}
		r.judge = j
	}
	return r.judge.judgeArchived(ctx, m.name(), m.archivedMessage)
}

// name is what an error calls the message.
func (m *archivedCopy) name() string { return fmt.Sprintf("archived message %d", m.of.Number) }

// entry is what the catalog is told of a message: the verdict is that of when it was archived.
func (r *archiveReader) entry(ctx context.Context, n archive.Number) (e catalogEntry, err error) {
	m, err := r.get(ctx, n)
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	e.line = archiveLine(m.record.Line, m.of)
	var header MessageReport
	if m.record.Report != nil {
		header = m.record.Report.Message
	}
	info := mailbox.Info{Flags: m.of.Flags, Size: m.of.Size}
	if e.message, err = indexed(info, e.line.ListLine, header); err != nil || m.record.Judged == nil {
		return e, err
	}
	opened, err := r.client.judgeAsArchived(ctx, m.name(), m.archivedMessage)
	if isMessageFault(err) {
		return e, nil // it is found by its headers
	}
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	for i := range opened.message.Parts {
		e.message.Attachments = e.message.Attachments || opened.message.Parts[i].Attachment
	}
	e.message.Text, err = opened.searchable()
	return e, err
}
