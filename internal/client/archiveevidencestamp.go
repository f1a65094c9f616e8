package client

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/sealmail/sealmail/tsa/evidence"
)

// Stamp gets a token (RFC 3161) over octets, in DER. It holds, or there is an error.
func (s *ArchiveStamper) Stamp(ctx context.Context, data []byte) ([]byte, error) {
	tree, err := evidence.NewTree(s.request.hash)
	if err != nil {
		return nil, failed(archiveEvidenceWhat, err, "")
	}
	if _, err := tree.Add(sumOf(s.request.hash, data)); err != nil {
		return nil, failed(archiveEvidenceWhat, err, "")
	}
	stamps, err := s.request.stampTree(ctx, tree) // over a single leaf it is over the leaf itself
	if err != nil {
		return nil, err
	}
	return stamps.ArchiveTimeStamp(0).TimeStamp, nil
}

// Evidence gets one token over all leaves of a segment, and returns the record of leaf 0 in DER.
func (s *ArchiveStamper) Evidence(ctx context.Context, leaves [][]byte) ([]byte, error) {
	tree, err := evidence.NewTree(s.request.hash)
	if err != nil {
		return nil, failed(archiveEvidenceWhat, err, "")
	}
	for _, leaf := range leaves {
		if _, err := tree.Add(sumOf(tree.Hash(), leaf)); err != nil {
			return nil, failed(archiveEvidenceWhat, err, "")
		}
	}
	if tree.Len() == 0 {
		return nil, failed(archiveEvidenceWhat, evidence.ErrEmpty, "")
	}
	stamps, err := s.request.stampTree(ctx, tree)
	if err != nil {
		return nil, err
	}
	der, err := evidence.NewRecord(stamps.ArchiveTimeStamp(0)).Marshal()
	if err != nil {
		return nil, failed(archiveEvidenceWhat, err, "")
	}
	return der, nil
}

// ArchiveRenewal is what became of the record of one segment.
type ArchiveRenewal struct {
	Record []byte // the renewed record, in DER; nil: it was not renewed
	Err    error  // why, as of [ArchiveJudge.VerifySegment], or as of reading the leaves
}

// RenewTimeStamps renews the records of segments with one token for those of one hash algorithm, by a time-stamp over their last
// one (RFC 4998 section 5.2). leaf returns leaf 0 of a segment, against which its record is held before. A record that does not
// hold now is not renewed, and does not stop the others. The error is that nothing was renewed: what the authority or the
// context says.
func (s *ArchiveStamper) RenewTimeStamps(ctx context.Context, records [][]byte, leaf func(ctx context.Context, segment int) ([]byte, error)) ([]ArchiveRenewal, error) {
	done := make([]ArchiveRenewal, len(records))
	r := renewal{trees: map[crypto.Hash]*evidence.Tree{}, known: map[string]int{}}
	at := make([]int, len(records)) // in the tree of its hash algorithm
	for i, record := range records {
		done[i].Err = func() error {
			octets, err := leaf(ctx, i)
			if err != nil {
				return err
			}
			proof, err := s.VerifyRecord(ctx, record, octets)
			if err != nil {
				return err
			}
			parsed, err := renewable(record, proof)
			if err != nil {
				return err
			}
			l := leafOf(parsed)
			err = r.add(&l)
			at[i] = l.at
			return err
		}()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	stamps := map[crypto.Hash]stampedTree{}
	for hash, tree := range r.trees {
		var err error
		if stamps[hash], err = s.request.stampTree(ctx, tree); err != nil {
			return nil, err
		}
	}
	for i := range done {
		done[i].renew(records[i], func(r *evidence.Record) error {
			hash, _ := r.TimeStampDigest()
			return r.RenewTimeStamp(stamps[hash].ArchiveTimeStamp(at[i]))
		})
	}
	return done, nil
}

// leafOf is what time-stamp renewal of a record has to stamp.
func leafOf(r *evidence.Record) leaf {
	hash, digest := r.TimeStampDigest()
	return leaf{line: EvidenceLine{Record: archiveEvidenceWhat}, hash: hash, digests: [][]byte{digest}}
}

// RenewHashTrees renews the records of segments with one token over trees under the hash algorithm that this ArchiveStamper was
// made for (RFC 4998 section 5.2). leaves returns all leaves of a segment, against which its record is held before; it is called
// once for each, and no two segments are held in memory at a time. Otherwise it is as RenewTimeStamps.
func (s *ArchiveStamper) RenewHashTrees(ctx context.Context, records [][]byte, leaves func(ctx context.Context, segment int) ([][]byte, error)) ([]ArchiveRenewal, error) {
	done := make([]ArchiveRenewal, len(records))
	forest, err := evidence.NewForest(s.request.hash)
	if err != nil {
		return nil, failed(archiveEvidenceWhat, err, "")
	}
	at, first := make([]int, len(records)), make([][]byte, len(records))
	for i, record := range records {
		done[i].Err = func() error {
			octets, err := leaves(ctx, i)
			if err != nil {
				return err
			}
			c, err := openCollection(record, octets)
			if err != nil {
				return evidenceError(ctx, err)
			}
			proof, err := s.judge(ctx, c.kept, c.Verify)
			if err != nil {
				return err
			}
			if _, err := renewable(record, proof); err != nil {
				return err
			}
			values, err := c.HashTreeDigests(forest.Hash())
			if err != nil {
				return evidenceError(ctx, err)
			}
			first[i] = sumOf(forest.Hash(), octets[0])
			at[i], err = forest.Add(values...)
			return err
		}()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if forest.Len() == 0 {
		return done, nil
	}
	token, err := s.request.stamp(ctx, forest.Hash(), forest.Root())
	if err != nil {
		return nil, err
	}
	stamped, err := forest.Stamp(token.token)
	if err != nil {
		return nil, failed("timestamp", err, "try another authority")
	}
	for i := range done {
		done[i].renew(records[i], func(r *evidence.Record) error { return r.RenewHashTree(stamped.ArchiveTimeStamp(at[i]), first[i]) })
	}
	return done, nil
}

// renewable reads a record that was verified. It is too late for one that is outdated (RFC 4998 section 5.1): nobody would
// believe what is stamped now.
func renewable(record []byte, proof *ArchiveProof) (*evidence.Record, error) {
	if proof.Outdated {
		return nil, &ArchiveEvidenceError{evidenceIndeterminate, "outdated",
			fmt.Errorf("it is too late to renew it: a certificate of the authority ended on %s", proof.Until.Format("2006-01-02"))}
	}
	return evidence.Parse(record)
}

// renew brings the new time-stamp into the record, unless there is an error.
func (a *ArchiveRenewal) renew(record []byte, with func(*evidence.Record) error) {
	if a.Err != nil {
		return
	}
	r, err := evidence.Parse(record)
	if err == nil {
		err = with(r)
	}
	if err == nil {
		a.Record, err = r.Marshal()
	}
	if errors.Is(err, evidence.ErrOrder) {
		err = failed("timestamp", err, "check the clocks of the authorities, and try again")
	}
	a.Err = err
}
