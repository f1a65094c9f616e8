package evidence_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"log"
	"math/big"
	"os"
	"time"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
	"github.com/sealmail/sealmail/tsa/server"
)

// A letter, a list and a plan are proven by one time-stamp, each with a record of its own. Years later the record of the
// list is renewed: first by a time-stamp over the old one, then, because SHA-256 is no longer thought safe, by a new hash tree.
func Example() {
	authority, path, end := newAuthority() // who stamps, and how it is trusted: see below
	defer end()
	letter, list, plan := []byte("Dear Bob, …"), []byte("1 roof\n2 doors\n"), []byte("the plan")

	// 2026. The tree is filled with the digests of the objects, and its root is stamped.
	tree, err := evidence.NewTree(crypto.SHA256)
	check(err)
	var index [3]int
	for i, object := range [][]byte{letter, list, plan} {
		digest := sha256.Sum256(object)
		index[i], err = tree.Add(digest[:])
		check(err)
	}
	stamped, err := tree.Stamp(authority(2026, crypto.SHA256, tree.Root()))
	check(err)
	record := evidence.NewRecord(stamped.ArchiveTimeStamp(index[1]))
	der, err := record.Marshal() // what is kept beside the list
	check(err)
	fmt.Printf("the record holds %d lists of hashes\n", len(record.Chains[0][0].ReducedHashtree))

	// 2030. Before the certificate of the authority ends, the time-stamp is stamped. The list itself is not needed for it.
	record, err = evidence.Parse(der)
	check(err)
	hash, digest := record.TimeStampDigest()
	tree, err = evidence.NewTree(hash)
	check(err)
	_, err = tree.Add(digest) // and those of other records
	check(err)
	stamped, err = tree.Stamp(authority(2030, hash, tree.Root()))
	check(err)
	check(record.RenewTimeStamp(stamped.ArchiveTimeStamp(0)))

	// 2040. Before SHA-256 gets weak, the list is hashed anew, together with the evidence so far.
	digests, err := hashed(list)(crypto.SHA512)
	check(err)
	leaves, err := record.HashTreeDigests(crypto.SHA512, digests...)
	check(err)
	tree, err = evidence.NewTree(crypto.SHA512)
	check(err)
	_, err = tree.Add(leaves...)
	check(err)
	stamped, err = tree.Stamp(authority(2040, crypto.SHA512, tree.Root()))
	check(err)
	check(record.RenewHashTree(stamped.ArchiveTimeStamp(0), digests...))

	// 2050. What does it prove?
	options := evidence.VerifyOptions{Path: path, At: newYear(2050), Whole: true}
	result, err := record.Verify(hashed(list), options)
	check(err)
	fmt.Println("the list is as it was in", result.Time().Year())
	for _, s := range result.TimeStamps {
		fmt.Printf("  chain %d, %v: %d\n", s.Chain, s.Hash, s.Time.Year())
	}
	_, err = record.Verify(hashed([]byte("1 roof\n3 doors\n")), options)
	fmt.Println("another list:", err)
	_, err = record.Verify(hashed(plan), options)
	fmt.Println("the plan:", errors.Is(err, evidence.ErrObject))
	options.At = newYear(2070)
	_, err = record.Verify(hashed(list), options)
	fmt.Println("the list in 2070:", errors.Is(err, tsa.ErrOutdated))

	// Output:
	// the record holds 3 lists of hashes
	// the list is as it was in 2026
	//   chain 1, SHA-256: 2026
	//   chain 1, SHA-256: 2030
	//   chain 2, SHA-512: 2040
	// another list: time-stamp 1 of chain 1: data object is not the one that the evidence is for
	// the plan: true
	// the list in 2070: true
}

// hashed is the DigestFunc of one object in memory.
func hashed(object []byte) evidence.DigestFunc {
	return func(hash crypto.Hash) ([][]byte, error) {
		h := hash.New()
		h.Write(object)
		return [][]byte{h.Sum(nil)}, nil
	}
}

func newYear(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// newAuthority makes an authority whose certificate lasts until 2060, and that stamps at the beginning of a year. A real one is
// asked by a tsa.Client.
func newAuthority() (stamp func(year int, hash crypto.Hash, digest []byte) (token []byte), path tsa.PathFunc, end func()) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	timeStamping, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example TSA"}, NotBefore: newYear(2020), NotAfter: newYear(2060),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: timeStamping}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(err)
	certificate, err := x509.ParseCertificate(der)
	check(err)
	state, err := os.MkdirTemp("", "evidence")
	check(err)
	now := newYear(2026)
	authority, err := server.New(server.Options{
		Signer: key, Chain: []*x509.Certificate{certificate}, Policies: []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 32473, 1}},
		Clock: func() time.Time { return now }, State: state,
	})
	check(err)
	stamp = func(year int, hash crypto.Hash, digest []byte) []byte {
		now = newYear(year)
		imprint, err := tsa.NewMessageImprint(hash, digest)
		check(err)
		request, err := (&tsa.Request{Imprint: imprint, CertReq: true}).Marshal()
		check(err)
		reply, err := authority.Respond(context.Background(), request)
		check(err)
		response, err := tsa.ParseResponse(reply)
		check(err)
		check(response.Err())
		return response.Token
	}
	path = func(c *x509.Certificate, _ []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
		if !c.Equal(certificate) || at.Before(c.NotBefore) || at.After(c.NotAfter) {
			return nil, errors.New("it is not trusted then")
		}
		return []*x509.Certificate{c}, nil
	}
	end = func() {
		check(authority.Close())
		check(os.RemoveAll(state))
	}
	return stamp, path, end
}
