package client

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
)

// recordSuffix is what the file of an evidence record has behind the name of its data object.
const recordSuffix = ".ers"

// EvidenceParams say which evidence records are made, checked or renewed, and how.
type EvidenceParams struct {
	Paths   []string    // data objects: files, and folders for all files in them and below
	Records string      // folder of the records; empty: each beside its file. Of a group: the record
	Group   bool        // the files belong together and have one record
	Stamp   StampParams // of CreateEvidence and RenewEvidence; TSATrust of all

	HashTree bool // RenewEvidence: renew the hash tree, by Stamp.Hash

	At                  time.Time // VerifyEvidence: until when the proof must reach; zero: now
	CRLs, OCSPResponses []string  // VerifyEvidence: files
	AllowWeak           bool      // but for CreateEvidence
}

// EvidenceLine says what is known of one evidence record.
type EvidenceLine struct {
	Files      []string        `json:"files"`
	Record     string          `json:"record"`
	Status     string          `json:"status"` // passed, failed, indeterminate, as in a verdict
	Code       *string         `json:"code"`
	Reason     *string         `json:"reason"`
	Time       *time.Time      `json:"time"` // since when the files are proven
	TimeStamps []EvidenceStamp `json:"time_stamps"`
}

// EvidenceStamp is one time-stamp of a record.
type EvidenceStamp struct {
	Chain    int       `json:"chain"` // counted from 1; each goes over the objects by a hash algorithm
	Time     time.Time `json:"time"`
	ProvenBy string    `json:"proven_by"`
	Digest   string    `json:"digest"`
	Expires  time.Time `json:"expires"` // the authority's certificate: the record is to be renewed before
}

// Words of EvidenceLine.Status.
const (
	evidencePassed        = "passed"
	evidenceFailed        = "failed"
	evidenceIndeterminate = "indeterminate"
)

func (l *EvidenceLine) refuse(status, code string, err error) {
	l.Status, l.Code, l.Reason = status, orNull(code), orNull(err.Error())
}

// add notes a verified time-stamp.
func (l *EvidenceLine) add(chain int, hash crypto.Hash, r *tsa.Result) {
	l.Status = evidencePassed
	if l.Time == nil {
		l.Time = orNull(r.Time.UTC())
	}
	l.TimeStamps = append(l.TimeStamps, EvidenceStamp{
		Chain: chain, Time: r.Time.UTC(), ProvenBy: certstore.Name(r.Authority), Digest: hashWord(hash), Expires: r.Authority.NotAfter.UTC(),
	})
}

func hashWord(hash crypto.Hash) string {
	for word, known := range stampHashes() {
		if known == hash {
			return word
		}
	}
	return strings.ToLower(hash.String())
}

// hasher hashes files, of which there may be very many.
type hasher struct {
	client  *Client
	buffers sync.Pool
}

// digest hashes a file by several algorithms, which are then of the same octets.
func (h *hasher) digest(ctx context.Context, name string, hashes ...crypto.Hash) ([][]byte, error) {
	src, err := h.client.openSource(name)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	buffer, ok := h.buffers.Get().(*[]byte)
	if !ok {
		buffer = new(make([]byte, 64<<10))
	}
	defer h.buffers.Put(buffer)
	sums := make([]hash.Hash, len(hashes))
	writers := make([]io.Writer, len(hashes))
	for i, algorithm := range hashes {
		sums[i] = algorithm.New()
		writers[i] = sums[i]
	}
	if _, err := io.CopyBuffer(io.MultiWriter(writers...), contextReader{ctx, io.NewSectionReader(src, 0, src.Size())}, *buffer); err != nil {
		return nil, failed(name, err, "")
	}
	digests := make([][]byte, len(hashes))
	for i, sum := range sums {
		digests[i] = sum.Sum(nil)
	}
	return digests, src.unchanged()
}

// digests hashes the files of one record.
func (h *hasher) digests(ctx context.Context, files []string, algorithm crypto.Hash) ([][]byte, error) {
	list := make([][]byte, len(files))
	for i, name := range files {
		digests, err := h.digest(ctx, name, algorithm)
		if err != nil {
			return nil, err
		}
		list[i] = digests[0]
	}
	return list, nil
}

// digestsOf are the digests that a record is held against.
func (h *hasher) digestsOf(ctx context.Context, files []string) evidence.DigestFunc {
	return func(algorithm crypto.Hash) ([][]byte, error) { return h.digests(ctx, files, algorithm) }
}

// renewing are the digests that a record is held against, and those of the very same octets by a further algorithm.
type renewing struct {
	hasher    *hasher
	files     []string
	algorithm crypto.Hash
	digests   [][]byte // by the algorithm; nil: nothing was hashed yet
}

// digestsOf is as that of a hasher.
func (r *renewing) digestsOf(ctx context.Context) evidence.DigestFunc {
	return func(algorithm crypto.Hash) ([][]byte, error) {
		list, further := make([][]byte, len(r.files)), make([][]byte, len(r.files))
		for i, name := range r.files {
			both, err := r.hasher.digest(ctx, name, algorithm, r.algorithm)
			if err != nil {
				return nil, err
			}
			list[i], further[i] = both[0], both[1]
			if r.digests != nil && !bytes.Equal(r.digests[i], further[i]) {
				return nil, failed(name, errors.New("it was changed while it was read"), "try again when nothing writes to it any more")
			}
		}
		r.digests = further
		return list, nil
	}
}

// readRecord reads a record; the error of a file that cannot be read is an *Error.
func (c *Client) readRecord(path string) (*evidence.Record, error) {
	der, err := c.o.readBounded(path, evidence.MaxSize)
	if err != nil {
		return nil, err
	}
	return evidence.Parse(der)
}

// judgeEvidence holds one record against its files. The record is there if it holds. The error is that something could
// not be read, or that the context ended.
func (h *hasher) judgeEvidence(ctx context.Context, set *evidenceSet, i int, trust *stampTrust, o evidence.VerifyOptions, digests evidence.DigestFunc) (EvidenceLine, *evidence.Record, error) {
	line := set.line(i)
	if err := ctx.Err(); err != nil {
		return line, nil, err
	}
	r, err := h.client.readRecord(line.Record)
	var unread *Error
	switch {
	case errors.Is(err, fs.ErrNotExist):
		line.refuse(evidenceIndeterminate, "record-missing", errors.New("there is no evidence record"))
		return line, nil, nil
	case errors.As(err, &unread):
		return line, nil, err
	case err != nil:
		line.refuse(evidenceFailed, "record-broken", err)
		return line, nil, nil
	}
	result, err := withStore(trust, nil, func(extra []*x509.Certificate) (*evidence.Result, error) {
		o.Extra = extra
		return r.Verify(digests, o)
	})
	if err != nil {
		status, code := evidenceCode(err)
		if status == "" || ctx.Err() != nil {
			return line, nil, err
		}
		if wrong, ok := errors.AsType[*evidence.ObjectError](err); ok && wrong.Of > 1 {
			err = fmt.Errorf("not what the record is for: %s", strings.Join(named(line.Files, wrong.Wrong), ", "))
		}
		line.refuse(status, code, err)
		return line, nil, nil
	}
	for _, s := range result.TimeStamps {
		line.add(s.Chain, s.Hash, s.Result)
	}
	return line, r, nil
}

// named are the first of the files at these places.
func named(files []string, at []int) (names []string) {
	const enough = 5
	for _, i := range at[:min(len(at), enough)] {
		names = append(names, files[i])
	}
	if more := len(at) - enough; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return names
}

// evidenceCode sorts the errors of verifying a record. Both words are empty where the error is not of the record.
func evidenceCode(err error) (status, code string) {
	var token *tsa.TokenError
	var broken *evidence.Error
	switch {
	case errors.Is(err, evidence.ErrObject), errors.Is(err, evidence.ErrGroup):
		return evidenceFailed, "file-mismatch"
	case errors.Is(err, tsa.ErrOutdated):
		return evidenceIndeterminate, "outdated"
	case errors.As(err, &token) && token.Code == tsa.CodeUntrusted:
		return evidenceIndeterminate, string(token.Code)
	case errors.As(err, &token):
		return evidenceFailed, string(token.Code)
	case errors.As(err, &broken), errors.Is(err, evidence.ErrTooLarge):
		return evidenceFailed, "record-broken"
	}
	return "", ""
}
