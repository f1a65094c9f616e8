package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"time"

	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/smime/verdict"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
)

// archiveEvidenceWhat is what errors of asking for the timestamps of an archive name.
const archiveEvidenceWhat = "archive timestamps"

// ArchiveJudge checks the timestamps and evidence records (RFC 4998) of an archive. The leaves of a segment are octets: first
// those that speak for all of it, which is its signature, then one for each message. Its record is that of leaf 0; the others
// are derived from it by [ArchiveJudge.Prove]. Several may use it at once.
type ArchiveJudge struct {
	trust    *stampTrust
	at       time.Time // until when proofs must reach
	verified *evidence.VerifiedTokens
}

// ArchiveStamper is an ArchiveJudge that has what it judges made and renewed, too. One at a time may use it for that.
type ArchiveStamper struct {
	ArchiveJudge
	request *stampRequest
}

// ArchiveStamper is for an archive that grows or is renewed: the authorities of p, or else of the account, are asked, one
// after the other until one gives a token that holds. An empty Hash is sha512. Its error says that no authority is named, or
// that none is trusted.
func (c *Client) ArchiveStamper(p StampParams) (*ArchiveStamper, error) {
	p.Hash = cmp.Or(p.Hash, hashWord(crypto.SHA512))
	request, err := c.evidenceRequest(archiveEvidenceWhat, p)
	if err != nil {
		return nil, err
	}
	return &ArchiveStamper{ArchiveJudge{request.trust, c.o.Now(), new(evidence.VerifiedTokens)}, request}, nil
}

// ArchiveJudge is for an archive that is only read: nobody is asked, and the network is not touched. trusted are files of
// anchors for timestamps, in place of those of the store where there are any; known is what is known of the revocation of
// authorities; at is until when proofs must reach, and zero for now. Its error says that no authority is trusted, or that a
// file cannot be read.
func (c *Client) ArchiveJudge(trusted []string, known revocation.Evidence, at time.Time) (*ArchiveJudge, error) {
	r, err := c.newRevocations(false)
	if err != nil {
		return nil, err
	}
	r.given = known
	trust, err := c.stampTrust(trusted, r, verdict.RevocationSoft)
	if err != nil {
		return nil, err
	}
	if !trust.anchored {
		return nil, errNoStampAnchor(archiveEvidenceWhat)
	}
	if at.IsZero() {
		at = c.o.Now()
	}
	return &ArchiveJudge{trust, at, new(evidence.VerifiedTokens)}, nil
}

// ArchiveProof is what a timestamp or an evidence record proves.
type ArchiveProof struct {
	Time       time.Time       `json:"time"` // since when, at the latest
	TimeStamps []EvidenceStamp `json:"time_stamps"`
	// Until is when the first certificate of the last authority's path ends: it is to be renewed before.
	Until time.Time `json:"until"`
	// Outdated says that this is past. It proves something still, but whoever has the key of the authority today could have
	// made it, and what an authority says of its keys it says no longer.
	Outdated bool `json:"outdated"`
}

// ArchiveEvidenceError says why a timestamp or evidence record proves nothing. Its words are those of [EvidenceLine].
type ArchiveEvidenceError struct {
	Status, Code string
	Err          error
}

func (e *ArchiveEvidenceError) Error() string { return e.Err.Error() }
func (e *ArchiveEvidenceError) Unwrap() error { return e.Err }

// evidenceError sorts an error of checking. That the context ended, and what is not of the record or token, stays what it is.
func evidenceError(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return cmp.Or(ctx.Err(), err)
	}
	status, code := evidenceCode(err)
	for _, unusable := range []error{evidence.ErrMalformed, evidence.ErrVersion, evidence.ErrHash, evidence.ErrNothing, evidence.ErrForm, evidence.ErrRoot} {
		if status == "" && errors.Is(err, unusable) {
			status, code = evidenceFailed, "record-broken"
		}
	}
	if status == "" {
		return err
	}
	return &ArchiveEvidenceError{status, code, err}
}

// VerifyToken holds a token against octets. The error is that of the context, or an *[ArchiveEvidenceError].
func (j *ArchiveJudge) VerifyToken(ctx context.Context, token, data []byte) (*ArchiveProof, error) {
	proof, _, err := j.token(ctx, token, data)
	return proof, err
}

// token is VerifyToken, with the path of the authority.
func (j *ArchiveJudge) token(ctx context.Context, token, data []byte) (*ArchiveProof, []*x509.Certificate, error) {
	read, err := tsa.ParseToken(token)
	if err != nil {
		return nil, nil, evidenceError(ctx, err)
	}
	o := j.trust.options(ctx, nil)
	result, err := withStore(j.trust, nil, func(extra []*x509.Certificate) (*tsa.Result, error) {
		o.Extra = extra
		return read.Verify(bytes.NewReader(data), o)
	})
	if err != nil || ctx.Err() != nil {
		return nil, nil, evidenceError(ctx, err)
	}
	hash, err := read.Info.Imprint.Hash(true)
	if err != nil {
		return nil, nil, evidenceError(ctx, err)
	}
	return j.proof([]evidence.TimeStamp{{Result: result, Chain: 1, Hash: hash}}), result.Chain, nil
}

// VerifyRecord holds the record of a segment against leaf 0 alone. The error is as that of VerifyToken.
func (j *ArchiveJudge) VerifyRecord(ctx context.Context, record, leaf []byte) (*ArchiveProof, error) {
	r, err := evidence.Parse(record)
	if err != nil {
		return nil, evidenceError(ctx, err)
	}
	return j.judgeAlone(ctx, r, leaf)
}

// VerifySegment holds the record of a segment against all its leaves: each of them is proven by what it proves. The error is
// as that of VerifyToken; where it wraps an *[evidence.CollectionError], that says among which leaves the wrong one is.
func (j *ArchiveJudge) VerifySegment(ctx context.Context, record []byte, leaves [][]byte) (*ArchiveProof, error) {
	c, err := openCollection(record, leaves)
	if err != nil {
		return nil, evidenceError(ctx, err)
	}
	return j.judge(ctx, c.kept, c.Verify)
}

// Prove derives the record of one leaf from that of its segment, in DER, and says what it proves, of this leaf by itself. From
// an outdated record it is an outdated one; from one that proves nothing there is an error, as that of VerifySegment.
func (j *ArchiveJudge) Prove(ctx context.Context, record []byte, leaves [][]byte, index int) ([]byte, *ArchiveProof, error) {
	c, err := openCollection(record, leaves)
	if err != nil {
		return nil, nil, evidenceError(ctx, err)
	}
	r, err := c.Record(index)
	if err != nil {
		return nil, nil, failed(archiveEvidenceWhat, err, "")
	}
	proof, err := j.judgeAlone(ctx, r, leaves[index])
	if err != nil {
		return nil, nil, err
	}
	der, err := r.Marshal()
	if err != nil {
		return nil, nil, failed(archiveEvidenceWhat, err, "")
	}
	return der, proof, nil
}

// judgeAlone holds a record against one leaf, and nothing else.
func (j *ArchiveJudge) judgeAlone(ctx context.Context, r *evidence.Record, leaf []byte) (*ArchiveProof, error) {
	return j.judge(ctx, r, func(o evidence.VerifyOptions) (*evidence.Result, error) {
		o.Whole = true
		return r.Verify(digestsOf(leaf), o)
	})
}

// Due says by when the record of a segment is to be renewed, and why. It needs no leaves, and says nothing of whether they
// are right. The error is as that of VerifyToken.
func (j *ArchiveJudge) Due(ctx context.Context, record []byte) (evidence.Due, error) {
	r, err := evidence.Parse(record)
	if err != nil {
		return evidence.Due{}, evidenceError(ctx, err)
	}
	due, err := j.due(ctx, r)
	return due, evidenceError(ctx, err)
}

func (j *ArchiveJudge) due(ctx context.Context, r *evidence.Record) (evidence.Due, error) {
	o := j.options(ctx)
	return withStore(j.trust, nil, func(extra []*x509.Certificate) (evidence.Due, error) {
		o.Extra = extra
		return r.Due(o, nil)
	})
}

// options are what records are held against.
func (j *ArchiveJudge) options(ctx context.Context) evidence.VerifyOptions {
	o := j.trust.options(ctx, nil)
	return evidence.VerifyOptions{Path: o.Path, Revocation: o.Revocation, At: j.at, Verified: j.verified}
}

// judge verifies a record. One whose last authority is merely too old is held against the last moment at which it was not:
// until then it was right, and it is for the caller to say what that is worth.
func (j *ArchiveJudge) judge(ctx context.Context, r *evidence.Record, verify func(evidence.VerifyOptions) (*evidence.Result, error)) (*ArchiveProof, error) {
	o := j.options(ctx)
	once := func() (*evidence.Result, error) {
		return withStore(j.trust, nil, func(extra []*x509.Certificate) (*evidence.Result, error) {
			o.Extra = extra
			return verify(o)
		})
	}
	result, err := once()
	if errors.Is(err, tsa.ErrOutdated) {
		if due, unknown := j.due(ctx, r); unknown == nil && due.Time.Before(o.At) {
			o.At = due.Time
			if until, stillWrong := once(); stillWrong == nil {
				result, err = until, nil
			}
		}
	}
	if err != nil || ctx.Err() != nil {
		return nil, evidenceError(ctx, err)
	}
	return j.proof(result.TimeStamps), nil
}

// proof is what verified time-stamps prove, the oldest first.
func (j *ArchiveJudge) proof(stamps []evidence.TimeStamp) *ArchiveProof {
	var line EvidenceLine
	for _, s := range stamps {
		line.add(s.Chain, s.Hash, s.Result)
	}
	p := &ArchiveProof{Time: *line.Time, TimeStamps: line.TimeStamps}
	for _, cert := range stamps[len(stamps)-1].Result.Chain {
		if p.Until.IsZero() || cert.NotAfter.Before(p.Until) {
			p.Until = cert.NotAfter.UTC()
		}
	}
	p.Outdated = j.at.After(p.Until)
	return p
}

// openedCollection is a segment whose trees were built again.
type openedCollection struct {
	*evidence.Collection
	kept *evidence.Record // of leaf 0
}

func openCollection(record []byte, leaves [][]byte) (openedCollection, error) {
	r, err := evidence.Parse(record)
	if err != nil {
		return openedCollection{}, err
	}
	c, err := r.Collection(digestsOf(leaves...))
	return openedCollection{c, r}, err
}

// digestsOf are the digests of octets.
func digestsOf(list ...[]byte) evidence.DigestFunc {
	return func(hash crypto.Hash) ([][]byte, error) {
		digests := make([][]byte, len(list))
		for i, octets := range list {
			digests[i] = sumOf(hash, octets)
		}
		return digests, nil
	}
}

func sumOf(hash crypto.Hash, octets []byte) []byte {
	h := hash.New()
	h.Write(octets)
	return h.Sum(nil)
}

// proves holds a token and a record against the leaves of a segment: both are good.
func (j *ArchiveJudge) proves(ctx context.Context, token, record []byte, leaves [][]byte) error {
	if _, err := j.VerifyToken(ctx, token, leaves[0]); err != nil {
		return err
	}
	_, err := j.VerifySegment(ctx, record, leaves)
	return err
}
