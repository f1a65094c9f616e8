package client_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/revocation"
	"github.com/sealmail/sealmail/internal/client"
	"github.com/sealmail/sealmail/tsa/evidence"
)

// segment is the leaves of one, its token and its record.
type segment struct {
	leaves        [][]byte
	token, record []byte
}

func (w *world) stampParams(urls ...string) client.StampParams {
	return client.StampParams{TSA: urls, TSATrust: []string{w.in("ca/root.pem")}}
}

// stamper is an ArchiveStamper at a time.
func (w *world) stamper(at time.Time, p client.StampParams) *client.ArchiveStamper {
	w.t.Helper()
	o := w.options()
	o.Now = func() time.Time { return at }
	c, err := client.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	s, err := c.ArchiveStamper(p)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// judge is an ArchiveJudge at a time.
func (w *world) judge(at time.Time) *client.ArchiveJudge {
	w.t.Helper()
	j, err := w.client().ArchiveJudge([]string{w.in("ca/root.pem")}, revocation.Evidence{}, at)
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

// segment makes a segment of so many leaves.
func (w *world) segment(s *client.ArchiveStamper, name string, n int) *segment {
	w.t.Helper()
	made := new(segment)
	for i := range n {
		made.leaves = append(made.leaves, fmt.Appendf(nil, "leaf %d of %s", i, name))
	}
	var err error
	if made.token, err = s.Stamp(w.t.Context(), made.leaves[0]); err != nil {
		w.t.Fatal(err)
	}
	if made.record, err = s.Evidence(w.t.Context(), made.leaves); err != nil {
		w.t.Fatal(err)
	}
	return made
}

// holds has a segment proven whole, by its first leaf, and by each leaf alone; want is of each of them.
func (w *world) holds(j *client.ArchiveJudge, s *segment, want func(*client.ArchiveProof) bool) {
	w.t.Helper()
	ctx := w.t.Context()
	check := func(what string, p *client.ArchiveProof, err error) {
		w.t.Helper()
		if err != nil || !want(p) {
			w.t.Errorf("%s of %d leaves: %+v, %v", what, len(s.leaves), p, err)
		}
	}
	p, err := j.VerifySegment(ctx, s.record, s.leaves)
	check("segment", p, err)
	p, err = j.VerifyRecord(ctx, s.record, s.leaves[0])
	check("record", p, err)
	for i, leaf := range s.leaves {
		der, p, err := j.Prove(ctx, s.record, s.leaves, i)
		check(fmt.Sprint("proof ", i), p, err)
		if i == 0 && !bytes.Equal(der, s.record) {
			w.t.Error("the record of leaf 0 is another one")
		}
		p, err = j.VerifyRecord(ctx, der, leaf)
		check(fmt.Sprint("leaf ", i), p, err)
	}
}

// refused makes sure that something is refused with a word and a code.
func (w *world) refused(err error, status, code string) {
	w.t.Helper()
	e, ok := errors.AsType[*client.ArchiveEvidenceError](err)
	if !ok || e.Status != status || e.Code != code {
		w.t.Errorf("%s, %s is wanted: %#v, %v", status, code, e, err)
	}
}

// TestArchiveEvidence seals segments, and finds what was changed in them.
func TestArchiveEvidence(t *testing.T) {
	w := newWorld(t)
	url := w.stamps(now)
	s := w.stamper(now(), w.stampParams(url))
	j, ctx := w.judge(now()), t.Context()
	for _, n := range []int{1, 2, 7} {
		made := w.segment(s, "it", n)
		w.holds(j, made, func(p *client.ArchiveProof) bool {
			return p.Time.Equal(now()) && !p.Outdated && len(p.TimeStamps) == 1 && p.TimeStamps[0].Digest == "sha512" && p.Until.After(now())
		})
		p, err := j.VerifyToken(ctx, made.token, made.leaves[0])
		if err != nil || !p.Time.Equal(now()) || p.Outdated || p.TimeStamps[0].Digest != "sha512" {
			t.Errorf("token: %+v, %v", p, err)
		}
		_, err = j.VerifyToken(ctx, made.token, append(bytes.Clone(made.leaves[0]), '!'))
		w.refused(err, "failed", "token-mismatch")
		_, err = j.VerifyToken(ctx, made.token[1:], made.leaves[0])
		w.refused(err, "failed", "token-broken")
		_, err = j.VerifyRecord(ctx, made.record, []byte("another"))
		w.refused(err, "failed", "file-mismatch")
		_, err = j.VerifyRecord(ctx, made.record[1:], made.leaves[0])
		w.refused(err, "failed", "record-broken")
		for i := range n {
			changed := slices.Clone(made.leaves)
			changed[i] = []byte("another")
			_, err := j.VerifySegment(ctx, made.record, changed)
			w.refused(err, "failed", "file-mismatch")
			if found, ok := errors.AsType[*evidence.CollectionError](err); !ok || i < found.From || i >= found.To {
				t.Errorf("leaf %d: %v", i, err)
			}
			_, _, err = j.Prove(ctx, made.record, changed, (i+1)%n)
			w.refused(err, "failed", "file-mismatch")
		}
		_, err = j.VerifySegment(ctx, made.record, append(made.leaves, []byte("one more")))
		w.refused(err, "failed", "file-mismatch")
		if _, _, err := j.Prove(ctx, made.record, made.leaves, n); !errors.Is(err, evidence.ErrIndex) {
			t.Error(err)
		}
		ended, end := context.WithCancel(ctx)
		end()
		if _, err := j.VerifySegment(ended, made.record, made.leaves); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := j.VerifyRecord(ended, made.record, []byte("another")); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		w.holds(w.judge(time.Time{}), made, func(p *client.ArchiveProof) bool { return !p.Outdated })
	}
	if _, err := s.Evidence(ctx, nil); !errors.Is(err, evidence.ErrEmpty) {
		t.Error(err)
	}
	// A record that is for other things as well is that of no leaf.
	group := client.EvidenceParams{Paths: []string{w.write("a", "a"), w.write("b", "b")}, Records: w.in("group.ers"), Group: true, Stamp: w.stampParams(url)}
	group.Stamp.Hash = "sha512"
	if _, err := evidenceLines(w.client().CreateEvidence(ctx, group)); err != nil {
		t.Fatal(err)
	}
	_, err := j.VerifyRecord(ctx, []byte(w.read("group.ers")), []byte("a"))
	w.refused(err, "failed", "file-mismatch")
	nobody := &world{t: t, dir: t.TempDir()}
	if _, err := nobody.client().ArchiveJudge(nil, revocation.Evidence{}, now()); client.KindOf(err) != client.Usage {
		t.Errorf("nobody is trusted: %v", err)
	}
	if _, err := nobody.client().ArchiveStamper(client.StampParams{}); client.KindOf(err) != client.Usage {
		t.Errorf("nobody is named: %v", err)
	}
	other := newWorld(t)
	_, err = other.judge(now()).VerifyRecord(ctx, w.segment(s, "it", 2).record, []byte("leaf 0 of it"))
	w.refused(err, "indeterminate", "untrusted-authority")
}

// TestArchiveJudgeShared has several judge at once.
func TestArchiveJudgeShared(t *testing.T) {
	w := newWorld(t)
	made := w.segment(w.stamper(now(), w.stampParams(w.stamps(now))), "it", 5)
	j := w.judge(time.Time{})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			_, whole := j.VerifySegment(t.Context(), made.record, made.leaves)
			_, token := j.VerifyToken(t.Context(), made.token, made.leaves[0])
			_, _, proof := j.Prove(t.Context(), made.record, made.leaves, i%5)
			_, due := j.Due(t.Context(), made.record)
			if err := errors.Join(whole, token, proof, due); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// TestArchiveEvidenceRenewed has segments renewed together, in both ways and several times: each leaf is proven alone, long after
// the first authority's certificate ended.
func TestArchiveEvidenceRenewed(t *testing.T) {
	w := newWorld(t)
	const year = 365 * 24 * time.Hour
	clock := now()
	first := w.stampsAs("first", year, func() time.Time { return clock })
	second := w.stampsAs("second", 9*year, func() time.Time { return clock })
	var list []*segment
	for i, n := range []int{3, 1, 6} {
		p := w.stampParams(first)
		if i == 1 {
			p.Hash = "sha256"
		}
		list = append(list, w.segment(w.stamper(clock, p), fmt.Sprint(i), n))
	}
	ends := w.pair("first").Chain[0].NotAfter
	due, err := w.judge(clock).Due(t.Context(), list[0].record)
	if err != nil || due.HashTree() || due.Reason != evidence.DueExpiry || !due.Time.Equal(ends) || !due.Certificate.Equal(w.pair("first").Chain[0]) {
		t.Errorf("%+v, %v", due, err)
	}
	for _, s := range list {
		w.holds(w.judge(ends), s, func(p *client.ArchiveProof) bool { return !p.Outdated && p.Until.Equal(ends) })
		w.holds(w.judge(ends.Add(time.Second)), s, func(p *client.ArchiveProof) bool { return p.Outdated && p.Until.Equal(ends) && p.Time.Equal(now()) })
		p, err := w.judge(ends.Add(year)).VerifyToken(t.Context(), s.token, s.leaves[0])
		if err != nil || !p.Outdated || !p.Time.Equal(now()) {
			t.Errorf("token: %+v, %v", p, err)
		}
	}
	outdated := *list[0]

	records := func() (ders [][]byte) {
		for _, s := range list {
			ders = append(ders, s.record)
		}
		return ders
	}
	for step, hash := range []string{"", "sha256", "", "", "sha384", "sha512", ""} {
		clock = clock.Add(year / 2)
		p := w.stampParams(second)
		p.Hash = hash
		s := w.stamper(clock, p)
		broken := slices.Clone(records()[2])
		broken[len(broken)-1] ^= 1
		var done []client.ArchiveRenewal
		var err error
		if hash == "" {
			done, err = s.RenewTimeStamps(t.Context(), append(records(), broken), func(_ context.Context, i int) ([]byte, error) { return list[i%3].leaves[0], nil })
		} else {
			done, err = s.RenewHashTrees(t.Context(), append(records(), broken), func(_ context.Context, i int) ([][]byte, error) { return list[i%3].leaves, nil })
		}
		if err != nil || len(done) != 4 {
			t.Fatal(done, err)
		}
		for i, of := range list {
			if done[i].Err != nil {
				t.Fatalf("step %d, segment %d: %v", step, i, done[i].Err)
			}
			of.record = done[i].Record
			w.holds(w.judge(now().Add(8*year)), of, func(p *client.ArchiveProof) bool {
				last := p.TimeStamps[len(p.TimeStamps)-1]
				return !p.Outdated && p.Time.Equal(now()) && len(p.TimeStamps) == step+2 && last.Time.Equal(clock) && (hash == "" || last.Digest == hash)
			})
		}
		if done[3].Record != nil || done[3].Err == nil {
			t.Errorf("step %d: a broken record was renewed: %v", step, done[3].Err)
		}
	}

	// It is too late for a record that nobody renewed in time.
	s := w.stamper(clock, w.stampParams(second))
	done, err := s.RenewTimeStamps(t.Context(), [][]byte{outdated.record}, func(context.Context, int) ([]byte, error) { return outdated.leaves[0], nil })
	if err != nil || len(done) != 1 || done[0].Record != nil {
		t.Fatal(done, err)
	}
	w.refused(done[0].Err, "indeterminate", "outdated")
	done, err = s.RenewHashTrees(t.Context(), [][]byte{outdated.record}, func(context.Context, int) ([][]byte, error) { return outdated.leaves, nil })
	if err != nil || len(done) != 1 || done[0].Record != nil {
		t.Fatal(done, err)
	}
	w.refused(done[0].Err, "indeterminate", "outdated")
	// Somebody whose clock is wrong did renew it: it is found.
	s = w.stamper(now().Add(year/2), w.stampParams(second))
	done, err = s.RenewTimeStamps(t.Context(), [][]byte{outdated.record}, func(context.Context, int) ([]byte, error) { return outdated.leaves[0], nil })
	if err != nil || done[0].Err != nil {
		t.Fatal(done, err)
	}
	_, err = w.judge(clock).VerifyRecord(t.Context(), done[0].Record, outdated.leaves[0])
	w.refused(err, "indeterminate", "outdated")
	// A time-stamp that is older than the last one renews nothing.
	clock = now()
	done, err = s.RenewTimeStamps(t.Context(), [][]byte{list[0].record}, func(context.Context, int) ([]byte, error) { return list[0].leaves[0], nil })
	if told, ok := errors.AsType[*client.Error](done[0].Err); err != nil || done[0].Record != nil || !errors.Is(done[0].Err, evidence.ErrOrder) || !ok || told.Hint == "" {
		t.Errorf("%v, %v", done[0].Err, err)
	}
	// What cannot be read is not renewed.
	unreadable := errors.New("no such file")
	done, err = s.RenewHashTrees(t.Context(), records(), func(context.Context, int) ([][]byte, error) { return nil, unreadable })
	if err != nil || len(done) != 3 || slices.ContainsFunc(done, func(r client.ArchiveRenewal) bool { return r.Record != nil || !errors.Is(r.Err, unreadable) }) {
		t.Errorf("%v, %v", done, err)
	}
}

// TestArchiveEvidenceRevoked has an authority whose key was stolen, as a list says that is known: nothing of it is proven any
// more, unless it was renewed before.
func TestArchiveEvidenceRevoked(t *testing.T) {
	w := newWorld(t)
	clock := now()
	first, second := w.stampsAs("first", 0, func() time.Time { return clock }), w.stampsAs("second", 0, func() time.Time { return clock })
	made := w.segment(w.stamper(clock, w.stampParams(first)), "it", 3)
	clock = clock.Add(time.Hour)
	done, err := w.stamper(clock, w.stampParams(second)).RenewTimeStamps(t.Context(), [][]byte{made.record},
		func(context.Context, int) ([]byte, error) { return made.leaves[0], nil })
	if err != nil || done[0].Err != nil {
		t.Fatal(done, err)
	}
	later := w.options()
	later.Now = func() time.Time { return now().Add(2 * time.Hour) }
	none := func() ([]byte, error) { return nil, nil }
	certificate := w.write("authority.pem", string(certstore.EncodeCertificates(w.pair("first").Chain[0])))
	_, err = client.CARevoke(t.Context(), later, client.CARevokeParams{Dir: w.in("ca"), Cert: certificate, Reason: "keyCompromise", Passphrase: none,
		Confirm: func(string, bool) error { return nil }})
	if err == nil {
		_, err = client.CACRL(t.Context(), later, client.CACRLParams{Dir: w.in("ca"), Services: true, Passphrase: none, Output: client.Output{Name: w.in("crl")}})
	}
	if err != nil {
		t.Fatal(err)
	}
	list := []byte(w.read("crl"))
	if block, _ := pem.Decode(list); block != nil {
		list = block.Bytes
	}
	c, err := client.New(later)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	j, err := c.ArchiveJudge([]string{w.in("ca/root.pem")}, revocation.Evidence{CRLs: [][]byte{list}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = j.VerifySegment(t.Context(), made.record, made.leaves)
	w.refused(err, "indeterminate", "untrusted-authority")
	_, err = j.VerifyToken(t.Context(), made.token, made.leaves[0])
	w.refused(err, "indeterminate", "untrusted-authority")
	made.record = done[0].Record
	w.holds(j, made, func(p *client.ArchiveProof) bool { return p.Time.Equal(now()) && !p.Outdated })
}
