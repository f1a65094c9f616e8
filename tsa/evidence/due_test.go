package evidence_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/sealmail/sealmail/smime/cms"
	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/internal/tsatest"
)

// TestDue: a record is to be renewed before a certificate of the last authority's path ends, or an algorithm gets weak.
func TestDue(t *testing.T) {
	s := newStamper(t)
	years := func(n int) time.Time { return tsatest.Now().AddDate(n, 0, 0) }
	short := s.successor(func(c *x509.Certificate) { c.NotAfter = years(2) })
	long := s.successor(func(c *x509.Certificate) { c.NotAfter = years(70) }) // the root ends before
	record := func(by *stamper, hash crypto.Hash) *evidence.Record {
		return evidence.NewRecord(by.stamp(treeOf(t, hash, objects(3)), tsatest.Now()).ArchiveTimeStamp(1))
	}
	renewed := func(by *stamper) *evidence.Record {
		r := record(short, crypto.SHA256)
		hash, digest := r.TimeStampDigest()
		if err := r.RenewTimeStamp(by.plain(hash, digest, years(1))); err != nil {
			t.Fatal(err)
		}
		return again(t, r)
	}
	weakKey := &stamper{t: t, pki: s.pki}
	rsa := tsatest.RSAKey(t, 1024)
	weakKey.cert = s.pki.Issue(t, rsa.Public(), nil)
	weak := func() *evidence.Record {
		object := digest(crypto.SHA256, objects(1)[0])
		imprint, err := tsa.NewMessageImprint(crypto.SHA256, object)
		if err != nil {
			t.Fatal(err)
		}
		token := s.pki.Token(t, nil, weakKey.cert, rsa)
		token.Info.Imprint, token.Info.GenTime = imprint, tsatest.Now()
		return evidence.NewRecord(evidence.ArchiveTimeStamp{Hash: crypto.SHA256, TimeStamp: token.DER(t)})
	}
	sha1 := func() *evidence.Record {
		token := s.pki.Token(t, nil, s.cert, s.key)
		token.Info.Imprint = tsa.MessageImprint{HashAlgorithm: cms.AlgorithmIdentifier{Algorithm: tsatest.SHA1()}, HashedMessage: digest(crypto.SHA1, objects(1)[0])}
		return evidence.NewRecord(evidence.ArchiveTimeStamp{Hash: crypto.SHA1, TimeStamp: token.DER(t)})
	}
	sunset := func(hash crypto.Hash) time.Time {
		if hash == crypto.SHA256 {
			return years(1)
		}
		return time.Time{}
	}
	for name, tt := range map[string]struct {
		record  *evidence.Record
		trusted func(crypto.Hash) time.Time
		want    evidence.Due
	}{
		"its authority":             {record(short, crypto.SHA256), nil, evidence.Due{Time: years(2), Reason: evidence.DueExpiry, Certificate: short.cert}},
		"the one that renewed it":   {renewed(s), nil, evidence.Due{Time: s.cert.NotAfter, Reason: evidence.DueExpiry, Certificate: s.cert}},
		"the root, which is first":  {renewed(long), nil, evidence.Due{Time: s.pki.Root.NotAfter, Reason: evidence.DueExpiry, Certificate: s.pki.Root}},
		"the hash, which is first":  {record(short, crypto.SHA256), sunset, evidence.Due{Time: years(1), Reason: evidence.DueHash}},
		"another hash":              {record(short, crypto.SHA512), sunset, evidence.Due{Time: years(2), Reason: evidence.DueExpiry, Certificate: short.cert}},
		"a short key":               {weak(), nil, evidence.Due{Time: years(3), Reason: evidence.DueSignature}},
		"SHA-1":                     {sha1(), nil, evidence.Due{Time: years(3), Reason: evidence.DueHash}},
		"a hash that was too early": {weak(), sunset, evidence.Due{Time: years(1), Reason: evidence.DueHash}},
	} {
		o := s.options()
		o.At = years(3)
		got, err := tt.record.Due(o, tt.trusted)
		if err != nil || !got.Time.Equal(tt.want.Time) || got.Reason != tt.want.Reason || (got.Certificate == nil) != (tt.want.Certificate == nil) ||
			got.Certificate != nil && !bytes.Equal(got.Certificate.Raw, tt.want.Certificate.Raw) || got.HashTree() != (got.Reason == evidence.DueHash) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	r := record(s, crypto.SHA256)
	if _, err := r.Due(evidence.VerifyOptions{Path: s.pki.Path()}, nil); !errors.Is(err, evidence.ErrTime) {
		t.Error(err)
	}
	if _, err := new(evidence.Record).Due(s.options(), nil); !errors.Is(err, evidence.ErrNothing) {
		t.Error(err)
	}
	if _, err := r.Due(newStamper(t).options(), nil); !errors.Is(err, tsa.ErrPath) {
		t.Error(err)
	}
}
