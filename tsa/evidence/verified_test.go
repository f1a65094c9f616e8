package evidence_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// TestVerifiedTokens has the token of many records verified once, and each record held against its own object all the same.
func TestVerifiedTokens(t *testing.T) {
	s := newStamper(t)
	list := objects(50)
	stamped := s.stamp(treeOf(t, crypto.SHA256, list), tsatest.Now())
	asked := 0
	o := s.options()
	path := o.Path
	o.Path = func(cert *x509.Certificate, bag []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
		if at.Equal(tsatest.Now()) {
			asked++
		}
		return path(cert, bag, at)
	}
	o.Verified = new(evidence.VerifiedTokens)
	for i := range list {
		r := again(t, evidence.NewRecord(stamped.ArchiveTimeStamp(i)))
		result, err := r.Verify(digestsOf(list[i]), o)
		if err != nil || !result.Time().Equal(tsatest.Now()) || !result.TimeStamps[0].Authority.Equal(s.cert) {
			t.Fatal(result, err)
		}
		if _, err := r.Verify(digestsOf(list[(i+1)%len(list)]), o); !errors.Is(err, evidence.ErrObject) {
			t.Errorf("record %d is for another object: %v", i, err)
		}
	}
	if asked != 1 {
		t.Errorf("the path of one token was asked for %d times", asked)
	}
}

// TestVerifiedTokensTellApart changes one thing after the other about a token that is remembered: it is verified anew.
func TestVerifiedTokensTellApart(t *testing.T) {
	first := newStamper(t)
	short := first.successor(func(c *x509.Certificate) { c.NotAfter = tsatest.Now().AddDate(2, 0, 0) })
	object := []byte("text")
	made := short.plain(crypto.SHA256, digest(crypto.SHA256, object), tsatest.Now())
	o := first.options()
	o.At = tsatest.Now().AddDate(1, 0, 0)
	o.Verified = new(evidence.VerifiedTokens)
	verify := func(a evidence.ArchiveTimeStamp, o evidence.VerifyOptions) error {
		_, err := evidence.NewRecord(a).Verify(digestsOf(object), o)
		return err
	}
	if err := verify(made, o); err != nil {
		t.Fatal(err)
	}
	later := o
	later.At = tsatest.Now().AddDate(3, 0, 0)
	for range 2 { // that it did not hold is not remembered as that it did
		if err := verify(made, later); !errors.Is(err, tsa.ErrOutdated) {
			t.Errorf("until its authority has expired: %v", err)
		}
	}
	forged := made
	forged.TimeStamp = bytes.Clone(made.TimeStamp)
	forged.TimeStamp[len(forged.TimeStamp)-1] ^= 1 // of the signature
	for range 2 {
		if err := verify(forged, o); !errors.Is(err, tsa.ErrSignature) {
			t.Errorf("with another signature: %v", err)
		}
	}
	if err := verify(made, o); err != nil {
		t.Errorf("once more: %v", err)
	}
}

// TestVerifiedTokensManyAtOnce verifies records of more tokens than are remembered, several at once.
func TestVerifiedTokensManyAtOnce(t *testing.T) {
	const tokens = 2*evidence.MaxVerified + 10
	s := newStamper(t)
	list := objects(tokens)
	records := make([]*evidence.Record, tokens)
	for i := range records {
		records[i] = evidence.NewRecord(s.plain(crypto.SHA256, digest(crypto.SHA256, list[i]), tsatest.Now()))
	}
	o := s.options()
	o.Verified = new(evidence.VerifiedTokens)
	var group sync.WaitGroup
	for worker := range 4 {
		order := make([]int, tokens)
		for i := range order {
			order[i] = i
		}
		if worker%2 == 1 {
			slices.Reverse(order)
		}
		group.Go(func() {
			for _, i := range order {
				if _, err := records[i].Verify(digestsOf(list[i]), o); err != nil {
					t.Error(err)
					return
				}
				if _, err := records[i].Verify(digestsOf(list[(i+1)%tokens]), o); !errors.Is(err, evidence.ErrObject) {
					t.Error(err)
					return
				}
				if n := o.Verified.Len(); n == 0 || n > evidence.MaxVerified {
					t.Errorf("%d tokens are remembered", n)
					return
				}
			}
		})
	}
	group.Wait()
}
