package client

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime/verdict"
	"github.com/sealmail/sealmail/tsa/evidence"
)

// errTellingEnded is that nobody wants to hear of further records.
var errTellingEnded = errors.New("nobody listens")

// lines makes of a function that tells of records, one after the other, what can be ranged over. Its error comes last; that
// of telling means that it is to end.
func lines(tell func(each func(EvidenceLine, error) error) error) iter.Seq2[EvidenceLine, error] {
	return func(yield func(EvidenceLine, error) bool) {
		err := tell(func(line EvidenceLine, err error) error {
			if !yield(line, err) {
				return errTellingEnded
			}
			return nil
		})
		if err != nil && !errors.Is(err, errTellingEnded) {
			yield(EvidenceLine{}, err)
		}
	}
}

// CreateEvidence makes the evidence records of files, with one timestamp for all of them, and tells of each when it is on
// the disk. A record that is there is not replaced. An error ends it.
func (c *Client) CreateEvidence(ctx context.Context, p EvidenceParams) iter.Seq2[EvidenceLine, error] {
	return lines(func(each func(EvidenceLine, error) error) error { return c.createEvidence(ctx, p, each) })
}

func (c *Client) createEvidence(ctx context.Context, p EvidenceParams, each func(EvidenceLine, error) error) error {
	set, err := p.set()
	if err != nil {
		return err
	}
	set.sayPassedOver(c.o.Say)
	passedOver, err := set.withoutRecords()
	if err != nil {
		return err
	}
	if passedOver > 0 {
		c.o.Say(fmt.Sprintf("note: passed over, having a record already: %d", passedOver))
	}
	if len(set.names) == 0 {
		return nil
	}
	request, err := c.evidenceRequest("tsa evidence create", p.Stamp)
	if err != nil {
		return err
	}
	tree, err := evidence.NewTree(request.hash)
	if err != nil {
		return failed("tsa evidence create", err, "")
	}
	h := &hasher{client: c}
	for digests, err := range inOrder(ctx, evidenceWorkers(), upTo(set.len()), func(ctx context.Context, i int) ([][]byte, error) {
		return h.digests(ctx, set.files(i), request.hash)
	}) {
		if err == nil {
			_, err = tree.Add(digests...)
		}
		if err != nil {
			return err
		}
	}
	stamps, err := request.stampTree(ctx, tree)
	if err != nil {
		return err
	}
	return c.writeRecords(set.len(), func(i int) (newRecord, error) {
		line := set.line(i)
		line.add(1, tree.Hash(), stamps.token.result)
		return newRecord{line, evidence.NewRecord(stamps.ArchiveTimeStamp(i)), 0o600, true}, nil
	}, each)
}

// evidenceRequest is who is asked for the timestamps of evidence. Nobody is taken at their word.
func (c *Client) evidenceRequest(what string, p StampParams) (*stampRequest, error) {
	request, err := c.stampRequest(what, p)
	if err == nil && !request.trust.anchored {
		err = errNoStampAnchor(what)
	}
	return request, err
}

// stampedTree is a tree with its token.
type stampedTree struct {
	*evidence.Stamped
	token stamped
}

// stampTree gets the token of a tree.
func (r *stampRequest) stampTree(ctx context.Context, tree *evidence.Tree) (stampedTree, error) {
	token, err := r.stamp(ctx, tree.Hash(), tree.Root())
	if err != nil {
		return stampedTree{}, err
	}
	s, err := tree.Stamp(token.token)
	if err != nil {
		return stampedTree{}, failed("timestamp", err, "try another authority")
	}
	return stampedTree{s, token}, nil
}

// newRecord is a record to be written.
type newRecord struct {
	line   EvidenceLine
	record *evidence.Record
	perm   os.FileMode
	made   bool // there was none before, and where there is one now it is not replaced
}

// recordBatch is how many records are brought to the disk at once.
const recordBatch = 256

// writeRecords writes records, and tells of each that is on the disk. Those before an error are there.
func (c *Client) writeRecords(n int, record func(i int) (newRecord, error), each func(EvidenceLine, error) error) error {
	dir := ""
	for first := 0; first < n; first += recordBatch {
		var files []safeio.NewFile
		var told []EvidenceLine
		for i := first; i < min(first+recordBatch, n); i++ {
			r, err := record(i)
			if err != nil {
				return err
			}
			der, err := r.record.Marshal()
			if err != nil {
				return failed(r.line.Record, err, "")
			}
			if r.made && exists(r.line.Record) {
				return failed(r.line.Record, errors.New("it was made by somebody else meanwhile, and stays as it is"), "try again: the other files have none yet")
			}
			if in := filepath.Dir(r.line.Record); in != dir {
				if err := c.o.Disk.MkdirAll(in, 0o700); err != nil {
					return unwritable(in, err)
				}
				_ = safeio.RemoveStale(in) // what a kill left behind; not being able to is no reason to stop
				dir = in
			}
			files, told = append(files, safeio.NewFile{Path: r.line.Record, Data: der, Perm: r.perm}), append(told, r.line)
		}
		if err := c.o.Disk.WriteFiles(files); err != nil {
			return unwritableRecord(dir, err)
		}
		for _, line := range told {
			if err := each(line, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// unwritableRecord is the error of writing a record into a folder. What err names is a file beside it, which nobody knows.
func unwritableRecord(dir string, err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		dir, err = filepath.Dir(at.Path), at.Err
	}
	hint := "name another folder for the records, with --records"
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		hint = "make room on the disk, and try again: records that are there stay"
	}
	return failed(dir, fmt.Errorf("a record cannot be written: %w", err), hint)
}

// evidenceWorkers is how many files are hashed at once.
func evidenceWorkers() int { return min(runtime.GOMAXPROCS(0), maxJudges) }

// VerifyEvidence holds evidence records against their files, without the network, and tells of each. A file that cannot be
// read has its error, and does not stop the others.
func (c *Client) VerifyEvidence(ctx context.Context, p EvidenceParams) iter.Seq2[EvidenceLine, error] {
	return lines(func(each func(EvidenceLine, error) error) error { return c.verifyEvidence(ctx, p, each) })
}

func (c *Client) verifyEvidence(ctx context.Context, p EvidenceParams, each func(EvidenceLine, error) error) error {
	set, err := p.set()
	if err != nil {
		return err
	}
	set.sayPassedOver(c.o.Say)
	set.saySpare(c.o.Say)
	r, err := c.newRevocations(false)
	if err != nil {
		return err
	}
	if r.given, err = c.o.readRevocation(p.CRLs, p.OCSPResponses); err != nil {
		return err
	}
	trust, err := c.stampTrust(p.Stamp.TSATrust, r, verdict.RevocationSoft)
	if err != nil {
		return err
	}
	if !trust.anchored {
		return errNoStampAnchor("tsa evidence verify")
	}
	o := c.evidenceOptions(ctx, p, trust)
	h := &hasher{client: c}
	for line, err := range inOrder(ctx, evidenceWorkers(), upTo(set.len()), func(ctx context.Context, i int) (EvidenceLine, error) {
		line, _, err := h.judgeEvidence(ctx, set, i, trust, o, h.digestsOf(ctx, set.files(i)))
		if !p.At.IsZero() && line.Time != nil && line.Time.After(p.At) {
			first := *line.Time
			line = set.line(i)
			line.refuse(evidenceIndeterminate, "proven-later", fmt.Errorf("its first timestamp is of %s, after the time that was named", first.Format(time.RFC3339)))
		}
		return line, err
	}) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := each(line, err); err != nil {
			return err
		}
	}
	return set.tellOrphans(each)
}

// tellOrphans tells of the records whose file is missing.
func (s *evidenceSet) tellOrphans(each func(EvidenceLine, error) error) error {
	for _, record := range s.orphans {
		line := EvidenceLine{Files: []string{}, Record: record, TimeStamps: []EvidenceStamp{}}
		line.refuse(evidenceFailed, "file-missing", errors.New("the file that it is for is missing"))
		if err := each(line, nil); err != nil {
			return err
		}
	}
	return nil
}

// evidenceOptions are what records are held against.
func (c *Client) evidenceOptions(ctx context.Context, p EvidenceParams, trust *stampTrust) evidence.VerifyOptions {
	at := p.At
	if at.IsZero() {
		at = c.o.Now()
	}
	o := trust.options(ctx, nil)
	return evidence.VerifyOptions{
		Path: o.Path, Revocation: o.Revocation, At: at, Whole: p.Group, AllowWeak: p.AllowWeak, Verified: new(evidence.VerifiedTokens),
	}
}

// RenewEvidence renews evidence records, with one timestamp for those of one hash algorithm, and tells of each. Only those
// that hold now are renewed.
func (c *Client) RenewEvidence(ctx context.Context, p EvidenceParams) iter.Seq2[EvidenceLine, error] {
	return lines(func(each func(EvidenceLine, error) error) error { return c.renewEvidence(ctx, p, each) })
}

func (c *Client) renewEvidence(ctx context.Context, p EvidenceParams, each func(EvidenceLine, error) error) error {
	set, err := p.set()
	if err != nil {
		return err
	}
	request, err := c.evidenceRequest("tsa evidence renew", p.Stamp)
	if err != nil {
		return err
	}
	o := c.evidenceOptions(ctx, p, request.trust)
	h := &hasher{client: c}
	// What has to be stamped is collected first. The records are read once more when it is, so that they need not all be kept.
	r := renewal{trees: map[crypto.Hash]*evidence.Tree{}, known: map[string]int{}}
	var leaves []leaf
	for l, err := range inOrder(ctx, evidenceWorkers(), upTo(set.len()), func(ctx context.Context, i int) (leaf, error) {
		return h.renewalLeaf(ctx, set, i, request, o, p.HashTree)
	}) {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil || l.digests == nil:
			err = each(l.line, err)
		default:
			err = r.add(&l)
			leaves = append(leaves, l)
		}
		if err != nil {
			return err
		}
	}
	if err := set.tellOrphans(each); err != nil {
		return err
	}
	stamps := map[crypto.Hash]stampedTree{}
	for hash, tree := range r.trees {
		if stamps[hash], err = request.stampTree(ctx, tree); err != nil {
			return err
		}
	}
	return c.writeRecords(len(leaves), func(i int) (newRecord, error) {
		return h.renewed(ctx, set, leaves[i], stamps[leaves[i].hash], p.HashTree)
	}, each)
}

// leaf is what one record adds to the tree of a renewal.
type leaf struct {
	object  int // in its evidenceSet
	line    EvidenceLine
	hash    crypto.Hash
	digests [][]byte // nil: it is not renewed, as line says
	at      int      // in its tree
}

// renewalLeaf verifies a record, and says what renewing it has to stamp.
func (h *hasher) renewalLeaf(ctx context.Context, set *evidenceSet, i int, request *stampRequest, o evidence.VerifyOptions, hashTree bool) (leaf, error) {
	again := renewing{hasher: h, files: set.files(i), algorithm: request.hash}
	digests := h.digestsOf(ctx, again.files)
	if hashTree {
		digests = again.digestsOf(ctx)
	}
	line, r, err := h.judgeEvidence(ctx, set, i, request.trust, o, digests)
	l := leaf{object: i, line: line, hash: request.hash}
	switch {
	case err != nil || r == nil:
	case hashTree:
		l.digests, err = r.HashTreeDigests(l.hash, again.digests...)
	default:
		var digest []byte
		l.hash, digest = r.TimeStampDigest()
		l.digests = [][]byte{digest}
	}
	return l, err
}

// renewal is the trees that are stamped, one for each hash algorithm.
type renewal struct {
	trees map[crypto.Hash]*evidence.Tree
	known map[string]int // leaves: records that were made together have one time-stamp to renew
}

// add puts a leaf into its tree, and forgets its digests.
func (r *renewal) add(l *leaf) (err error) {
	tree := r.trees[l.hash]
	if tree == nil {
		if tree, err = evidence.NewTree(l.hash); err != nil {
			return failed(l.line.Record, err, "renew its hash tree: --hash-tree --hash sha512")
		}
		r.trees[l.hash] = tree
	}
	digests := l.digests
	l.digests = nil
	if len(digests) > 1 {
		l.at, err = tree.Add(digests...)
		return err
	}
	key := string(digests[0])
	at, ok := r.known[key]
	if !ok {
		if at, err = tree.Add(digests...); err != nil {
			return err
		}
		r.known[key] = at
	}
	l.at = at
	return nil
}

// renewed is the record with its new time-stamp.
func (h *hasher) renewed(ctx context.Context, set *evidenceSet, l leaf, stamps stampedTree, hashTree bool) (newRecord, error) {
	path := set.record(l.object)
	info, err := os.Stat(path)
	if err != nil {
		return newRecord{}, unreadable(err)
	}
	r, err := h.client.readRecord(path)
	if err != nil {
		return newRecord{}, failed(path, err, "it was changed meanwhile")
	}
	a := stamps.ArchiveTimeStamp(l.at)
	if hashTree {
		var digests [][]byte
		if digests, err = h.digests(ctx, set.files(l.object), l.hash); err == nil {
			err = r.RenewHashTree(a, digests...)
		}
	} else {
		err = r.RenewTimeStamp(a)
	}
	if err != nil {
		return newRecord{}, failed(path, err, "it or its file was changed meanwhile: try again")
	}
	l.line.add(len(r.Chains), a.Hash, stamps.token.result)
	return newRecord{l.line, r, info.Mode().Perm(), false}, nil
}
