package client

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// ArchiveVerifyParams say which archive is verified, how much of it, and what is trusted.
type ArchiveVerifyParams struct {
	ArchivePlace
	Level    archive.Level
	Sample   int      // how many messages archive.Sample opens
	Witness  string   // file with an older head; empty: what this home remembers counts
	Trust    []string // files with anchors for the archiving certificate; empty: the store's
	TSATrust []string // files with anchors for timestamps; empty: the store's
}

// ArchiveFinding is something that verification found.
type ArchiveFinding struct {
	Severity string  `json:"severity"` // damage, note
	Code     string  `json:"code"`
	Object   *string `json:"object"`  // name of a file in the archive
	Segment  *int    `json:"segment"` //
	First    *int64  `json:"first"`   // of the messages that it is about
	Last     *int64  `json:"last"`
	Reason   string  `json:"reason"`
}

// ArchiveVerdict is what came of verification.
type ArchiveVerdict struct {
	Verdict  string     `json:"verdict"` // passed, failed
	Archive  *string    `json:"archive"`
	Path     string     `json:"path"`
	Level    string     `json:"level"` // quick, sample, full
	Sequence int64      `json:"sequence"`
	HeadTime *time.Time `json:"head_time"`
	Objects  int        `json:"objects"`
	Octets   int64      `json:"octets"`
	Segments int        `json:"segments"`
	Messages int64      `json:"messages"`
	Checked  int64      `json:"checked"`  // messages that were opened and held against their commitments
	Shredded int64      `json:"shredded"` // of those looked at
	// Unstamped and WithoutKeys are numbers of segments: without a timestamp, and of which nothing could be opened here.
	Unstamped   int            `json:"unstamped"`
	WithoutKeys int            `json:"without_keys"`
	Earliest    *time.Time     `json:"earliest"` // proven times of segments
	Latest      *time.Time     `json:"latest"`
	Signer      *string        `json:"signer"` // name of who signed the head; null: it was not found out
	Fingerprint *string        `json:"signer_fingerprint"`
	Witness     bool           `json:"witness"` // it was held against an older head; else nobody can say that the whole was not put back
	Damage      int            `json:"damage"`
	Notes       int            `json:"notes"`
	Codes       map[string]int `json:"codes"`
}

// ArchiveVerify verifies an archive without the network. each is told all that is found.
func (c *Client) ArchiveVerify(ctx context.Context, p ArchiveVerifyParams, each func(ArchiveFinding) error) (*ArchiveVerdict, error) {
	dir, err := c.archiveDir(p.Dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, failed("", err, "name the folder of an archive")
	}
	o, err := c.archiveOptions(p.Keys)
	if err != nil {
		return nil, err
	}
	storage := archive.NewFolder(c.o.Disk, dir)
	v := archive.VerifyOptions{Level: p.Level, Sample: p.Sample, Progress: func(p archive.Progress) {
		c.tell(Progress{What: "verify", Done: int(p.Messages), Total: int(p.AllMessages), Octets: p.Octets, AllOctets: p.AllOctets})
	}}
	var signer *x509.Certificate
	if v.Signer, err = c.archiveSigners(p.Trust, func(c *x509.Certificate) { signer = c }); err != nil {
		return nil, err
	}
	if err := c.judgeStamps(&v, p.TSATrust); err != nil {
		return nil, err
	}
	if v.Witness, err = c.archiveWitness(ctx, p.Witness, dir, storage, o); err != nil {
		return nil, err
	}
	summary, err := archive.Verify(ctx, storage, o, v, func(f archive.Finding) error {
		return each(ArchiveFinding{
			Severity: string(f.Severity), Code: string(f.Code), Object: orNull(f.Object), Segment: orNull(f.Segment),
			First: orNull(int64(f.First)), Last: orNull(int64(f.Last)), Reason: strings.TrimPrefix(f.Reason, f.Object+": "),
		})
	})
	if p.Witness != "" && errors.Is(err, archive.ErrSignature) { // all other signatures are found to be what they are
		return nil, failed(p.Witness, err, "name a copy of the file head that was kept elsewhere")
	}
	if err != nil {
		return nil, explainArchive(dir, err)
	}
	if !summary.WitnessChecked && !summary.Headless {
		c.o.Say("note: that the whole archive was put back to what it was some time ago cannot be seen in it: --witness names a copy of its head that was kept elsewhere")
	}
	if summary.Sound() {
		if err := c.rememberVerified(ctx, storage, o, dir, summary.Sequence); err != nil {
			return nil, err
		}
	}
	return archiveVerdict(summary, dir, signer), nil
}

// rememberVerified notes what an archive is that was found sound.
func (c *Client) rememberVerified(ctx context.Context, s archive.Storage, o archive.Options, dir string, sequence int64) error {
	a, err := archive.Open(ctx, s, o)
	if err != nil {
		return explainArchive(dir, err)
	}
	// Where it was held against another witness, it may still have been put back since this home saw it. A head that another process
	// wrote meanwhile was not verified.
	if h, _ := a.Head(); h.Sequence != sequence {
		return a.Close()
	}
	if err = c.checkMemory(ctx, a); err == nil {
		if err := c.remember(a, dir); err != nil {
			c.o.Say("warning: what was found is not remembered: " + err.Error())
		}
	}
	return explainArchive(dir, errors.Join(err, a.Close()))
}

// archiveSigners judges who signed something of an archive; found is told who signed the head, which is judged last.
func (c *Client) archiveSigners(trust []string, found func(*x509.Certificate)) (func(context.Context, *x509.Certificate, []*x509.Certificate, time.Time) ([]*x509.Certificate, error), error) {
	validator, err := c.mailValidator(trust)
	if err != nil {
		return nil, err
	}
	issuers := c.certificates()
	var telling sync.Mutex
	return func(_ context.Context, cert *x509.Certificate, extra []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
		path, err := validator.Path(cert, slices.Concat(extra, issuers.IssuersOf(cert)), certstore.SignArchive, at)
		if err == nil {
			telling.Lock() // segments are judged side by side
			defer telling.Unlock()
			found(cert)
		}
		return path, err
	}, nil
}

// judgeStamps has timestamps and evidence judged. Where nobody is trusted for timestamps they prove nothing.
func (c *Client) judgeStamps(v *archive.VerifyOptions, trust []string) error {
	judge, err := c.ArchiveJudge(trust, revocation.Evidence{}, time.Time{})
	if err != nil {
		if len(trust) > 0 {
			return err
		}
		refuse := err
		v.Token = func(context.Context, []byte, []byte) (*archive.Proof, error) { return nil, refuse }
		v.Evidence = func(context.Context, []byte, [][]byte) (*archive.Proof, error) { return nil, refuse }
		return nil
	}
	proven := func(p *ArchiveProof, err error) (*archive.Proof, error) {
		if err != nil {
			return nil, err
		}
		return &archive.Proof{Time: p.Time, Outdated: p.Outdated}, nil
	}
	v.Token = func(ctx context.Context, token, data []byte) (*archive.Proof, error) {
		return proven(judge.VerifyToken(ctx, token, data))
	}
	v.Evidence = func(ctx context.Context, record []byte, leaves [][]byte) (*archive.Proof, error) {
		if len(leaves) == 1 {
			return proven(judge.VerifyRecord(ctx, record, leaves[0]))
		}
		return proven(judge.VerifySegment(ctx, record, leaves))
	}
	return nil
}

// archiveWitness returns the older head that an archive is held against: that in the file, or else what this home remembers.
// Where that knows nothing of such an archive, or it cannot be opened, it is that of the archive that was in this folder.
func (c *Client) archiveWitness(ctx context.Context, file, dir string, s archive.Storage, o archive.Options) ([]byte, error) {
	if file != "" {
		data, err := readBounded(file, maxArchiveMemory)
		if err != nil {
			return nil, failed("", err, "name a copy of the file head that was kept elsewhere")
		}
		return data, nil
	}
	if a, err := archive.Open(ctx, s, o); err == nil { // else whatever is wrong is found by verification
		memory, err := c.remembered(a.ID())
		if err = errors.Join(err, a.Close()); err != nil {
			return nil, err
		}
		if memory != nil {
			return memory.Head, nil
		}
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	memories, err := c.memories()
	for _, m := range memories {
		if m.Path == path {
			return m.Head, nil
		}
	}
	return nil, errors.Join(err, ctx.Err())
}

// levelWords are what people call the levels.
func levelWord(l archive.Level) string { return [...]string{"quick", "sample", "full"}[l] }

func archiveVerdict(s *archive.Summary, dir string, signer *x509.Certificate) *ArchiveVerdict {
	v := &ArchiveVerdict{
		Verdict: "passed", Archive: orNull(s.Archive), Path: dir, Level: levelWord(s.Level), Sequence: s.Sequence, HeadTime: timeOrNull(s.HeadTime),
		Objects: s.Objects, Octets: s.Octets, Segments: s.Segments, Messages: s.Messages, Checked: s.Checked, Shredded: s.Shredded,
		Unstamped: s.Unstamped, WithoutKeys: s.WithoutKeys, Earliest: timeOrNull(s.Earliest), Latest: timeOrNull(s.Latest), Witness: s.WitnessChecked,
		Damage: s.Damage, Notes: s.Notes, Codes: map[string]int{},
	}
	if !s.Sound() {
		v.Verdict = "failed"
	}
	if signer != nil {
		v.Signer, v.Fingerprint = orNull(cmp.Or(certstore.Name(signer), "?")), orNull(certstore.Fingerprint(signer))
	}
	for code, n := range s.Codes {
		v.Codes[string(code)] = n
	}
	return v
}

// archiveProven says which time the stamps of a segment prove.
func (c *Client) archiveProven() func(context.Context, archive.Stamps) (time.Time, error) {
	var judge *ArchiveJudge
	return func(ctx context.Context, s archive.Stamps) (time.Time, error) {
		if judge == nil {
			j, err := c.ArchiveJudge(nil, revocation.Evidence{}, time.Time{})
			if err != nil {
				return time.Time{}, err
			}
			judge = j
		}
		// The newest record reaches furthest; both say the same time, give or take the moment between them.
		proof, err := judge.VerifyRecord(ctx, s.Evidence, s.Signature)
		if err != nil {
			return time.Time{}, fmt.Errorf("evidence record: %w", err)
		}
		return proof.Time, nil
	}
}

// SetLevel sets Level: quick, or a sample, or else all.
func (p *ArchiveVerifyParams) SetLevel(quick, sample bool) {
	switch {
	case quick:
		p.Level = archive.Quick
	case sample:
		p.Level = archive.Sample
	default:
		p.Level = archive.Full
	}
}
