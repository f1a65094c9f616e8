package interop

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/server"
)

// leaf is one data object, or a group of them.
type leaf struct {
	objects [][]byte
	group   bool
}

func single(text string) leaf { return leaf{objects: [][]byte{[]byte(text)}} }

func groupOf(texts ...string) leaf {
	l := leaf{group: true}
	for _, text := range texts {
		l.objects = append(l.objects, []byte(text))
	}
	return l
}

func (l leaf) digests(hash crypto.Hash) (list [][]byte, err error) {
	for _, o := range l.objects {
		h := hash.New()
		h.Write(o)
		list = append(list, h.Sum(nil))
	}
	return list, nil
}

// keeper makes, renews and checks evidence records.
type keeper interface {
	fmt.Stringer
	// write makes a tree, and a record for each leaf.
	write(t testing.TB, hash crypto.Hash, leaves []leaf, at time.Time) [][]byte
	// renewTimeStamp and renewHashTree renew the record of a leaf.
	renewTimeStamp(t testing.TB, record []byte, at time.Time) ([]byte, error)
	renewHashTree(t testing.TB, record []byte, hash crypto.Hash, l leaf, at time.Time) ([]byte, error)
	// read holds a record against a leaf.
	read(t testing.TB, record []byte, l leaf) error
}

// sealmailKeeper is ours, with an authority of our own.
type sealmailKeeper struct {
	authority *server.Authority
	clock     *time.Time
	root      *x509.Certificate
}

func (sealmailKeeper) String() string { return "sealmail" }

// bouncyKeeper is that of Bouncy Castle, with an authority of its own.
type bouncyKeeper struct {
	*bouncyCastle
	id         identity // of its authority
	fromFiles  bool     // it reads the data objects from files
	parameters bool     // it names hash algorithms with the parameter NULL
}

func (bouncyKeeper) String() string { return "Bouncy Castle" }

// newKeepers starts both, under one root.
func newKeepers(t testing.TB) (sealmailKeeper, bouncyKeeper) {
	t.Helper()
	needsBouncyCastle(t)
	p, err := newPKI()
	if err != nil {
		t.Fatal(err)
	}
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		t.Fatal(err)
	}
	authority := func(name string, serial int64) identity {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := certificate(&x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: notBefore, NotAfter: notAfter,
			KeyUsage:        x509.KeyUsageDigitalSignature,
			ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
		}, p.ca.cert, key.Public(), p.ca.key)
		if err != nil {
			t.Fatal(err)
		}
		return identity{name: name, cert: cert, key: key}
	}
	ours := sealmailKeeper{clock: new(time.Time), root: p.ca.cert}
	*ours.clock = firstYear
	id := authority("Time stamps", 1001)
	ours.authority, err = server.New(server.Options{
		Signer: id.signer(t), Chain: []*x509.Certificate{id.cert, p.ca.cert}, Policies: []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 32473, 1}},
		Clock: func() time.Time { return *ours.clock }, State: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.authority.Close() })
	made, version := startBouncyCastle(t, p)
	t.Log(version)
	return ours, bouncyKeeper{bouncyCastle: made.(*bouncyCastle), id: authority("Time stamps of Bouncy Castle", 1002)}
}

// firstYear is when records are made. They are renewed in years that follow, and read in 2040.
var (
	firstYear = time.Date(2026, 11, 21, 10, 2, 13, 0, time.UTC)
	readYear  = time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
)

// token asks the authority for a token.
func (k sealmailKeeper) token(t testing.TB, hash crypto.Hash, digest []byte, at time.Time) []byte {
	t.Helper()
	*k.clock = at
	imprint, err := tsa.NewMessageImprint(hash, digest)
	if err != nil {
		t.Fatal(err)
	}
	query, err := (&tsa.Request{Imprint: imprint, CertReq: true}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	reply, err := k.authority.Respond(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	response, err := tsa.ParseResponse(reply)
	if err != nil {
		t.Fatal(err)
	}
	return response.Token
}

// stamp has a tree stamped.
func (k sealmailKeeper) stamp(t testing.TB, tree *evidence.Tree, at time.Time) *evidence.Stamped {
	t.Helper()
	stamped, err := tree.Stamp(k.token(t, tree.Hash(), tree.Root(), at))
	if err != nil {
		t.Fatal(err)
	}
	return stamped
}

// tree is a tree over leaves.
func newTree(t testing.TB, hash crypto.Hash, leaves ...[][]byte) *evidence.Tree {
	t.Helper()
	tree, err := evidence.NewTree(hash)
	if err != nil {
		t.Fatal(err)
	}
	for _, digests := range leaves {
		if _, err := tree.Add(digests...); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

func (k sealmailKeeper) write(t testing.TB, hash crypto.Hash, leaves []leaf, at time.Time) (records [][]byte) {
	t.Helper()
	tree := newTree(t, hash)
	for _, l := range leaves {
		digests, _ := l.digests(hash)
		if _, err := tree.Add(digests...); err != nil {
			t.Fatal(err)
		}
	}
	stamped := k.stamp(t, tree, at)
	for i := range leaves {
		records = append(records, marshal(t, evidence.NewRecord(stamped.ArchiveTimeStamp(i))))
	}
	return records
}

func marshal(t testing.TB, r *evidence.Record) []byte {
	t.Helper()
	der, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// others are what is renewed together with a record, so that its new time-stamp has a hash tree.
func others(hash crypto.Hash) (list [][][]byte) {
	for i := range 6 {
		digests, _ := single(fmt.Sprint("another record ", i)).digests(hash)
		list = append(list, digests)
	}
	return list
}

func (k sealmailKeeper) renewTimeStamp(t testing.TB, record []byte, at time.Time) ([]byte, error) {
	t.Helper()
	r, err := evidence.Parse(record)
	if err != nil {
		return nil, err
	}
	hash, digest := r.TimeStampDigest()
	tree := newTree(t, hash, append(others(hash), [][]byte{digest})...)
	if err := r.RenewTimeStamp(k.stamp(t, tree, at).ArchiveTimeStamp(tree.Len() - 1)); err != nil {
		return nil, err
	}
	return marshal(t, r), nil
}

func (k sealmailKeeper) renewHashTree(t testing.TB, record []byte, hash crypto.Hash, l leaf, at time.Time) ([]byte, error) {
	t.Helper()
	r, err := evidence.Parse(record)
	if err != nil {
		return nil, err
	}
	objects, _ := l.digests(hash)
	digests, err := r.HashTreeDigests(hash, objects...)
	if err != nil {
		return nil, err
	}
	tree := newTree(t, hash, append(others(hash), digests)...)
	if err := r.RenewHashTree(k.stamp(t, tree, at).ArchiveTimeStamp(tree.Len()-1), objects...); err != nil {
		return nil, err
	}
	return marshal(t, r), nil
}

func (k sealmailKeeper) read(t testing.TB, record []byte, l leaf) error {
	t.Helper()
	r, err := evidence.Parse(record)
	if err != nil {
		return err
	}
	if again := marshal(t, r); !bytes.Equal(again, record) {
		t.Error("what was read is written as other octets")
	}
	_, err = r.Verify(l.digests, evidence.VerifyOptions{Path: k.path, At: readYear, Whole: true})
	return err
}

// path trusts the root for time stamping.
func (k sealmailKeeper) path(cert *x509.Certificate, _ []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}}
	o.Roots.AddCert(k.root)
	chains, err := cert.Verify(o)
	if err != nil {
		return nil, err
	}
	return chains[0], nil
}

// job begins a job that stamps.
func (k bouncyKeeper) job(t testing.TB, op string, at time.Time) *job {
	return newJob(op).bytes("cert", k.id.cert.Raw).bytes("key", k.id.pkcs8(t)).text("time", fmt.Sprint(at.UnixMilli()))
}

// leaf adds a leaf to a job.
func (k bouncyKeeper) leaf(j *job, i int, l leaf) *job {
	prefix := fmt.Sprintf("leaf%d.", i)
	j.set(prefix+"group", l.group).set(prefix+"file", k.fromFiles)
	for n, o := range l.objects {
		j.bytes(fmt.Sprintf("%sdata%d", prefix, n), o)
	}
	return j
}

func (k bouncyKeeper) hash(j *job, hash crypto.Hash) *job {
	return j.text("hash", hashNames[hash]).set("null", k.parameters)
}

func (k bouncyKeeper) write(t testing.TB, hash crypto.Hash, leaves []leaf, at time.Time) (records [][]byte) {
	t.Helper()
	j := k.hash(k.job(t, "writeEvidence", at), hash)
	for i, l := range leaves {
		k.leaf(j, i, l)
	}
	all, err := k.do(t, j)
	if err != nil {
		t.Fatal(err)
	}
	for in := cryptobyte.String(all); !in.Empty(); {
		var record cryptobyte.String
		if !in.ReadASN1Element(&record, cbasn1.SEQUENCE) {
			t.Fatal("these are no records")
		}
		records = append(records, record)
	}
	if len(records) != len(leaves) {
		t.Fatalf("%d records for %d leaves", len(records), len(leaves))
	}
	return records
}

func (k bouncyKeeper) renewTimeStamp(t testing.TB, record []byte, at time.Time) ([]byte, error) {
	t.Helper()
	return k.do(t, k.job(t, "renewEvidence", at).bytes("record", record))
}

func (k bouncyKeeper) renewHashTree(t testing.TB, record []byte, hash crypto.Hash, l leaf, at time.Time) ([]byte, error) {
	t.Helper()
	return k.do(t, k.leaf(k.hash(k.job(t, "renewEvidence", at).bytes("record", record), hash), 0, l))
}

func (k bouncyKeeper) read(t testing.TB, record []byte, l leaf) error {
	t.Helper()
	again, err := k.do(t, k.leaf(k.job(t, "readEvidence", readYear).bytes("record", record), 0, l))
	if err == nil && !bytes.Equal(again, record) {
		t.Error("Bouncy Castle writes what it read as other octets")
	}
	return err
}
