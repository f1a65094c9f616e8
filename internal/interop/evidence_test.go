package interop

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/tsa"
	"github.com/sealmail/sealmail/tsa/evidence"
)

// leavesOf are n leaves of several kinds.
func leavesOf(n int) (list []leaf) {
	for i := range n {
		switch i % 5 {
		case 1:
			list = append(list, groupOf(fmt.Sprint("letter ", i), fmt.Sprint("first signature ", i), fmt.Sprint("second signature ", i)))
		case 3:
			list = append(list, groupOf(fmt.Sprint("copy ", i), fmt.Sprint("original ", i), fmt.Sprint("copy ", i), fmt.Sprint("list ", i)))
		default:
			list = append(list, single(fmt.Sprint("data object ", i)))
		}
	}
	return list
}

// changed is a leaf of which the last object is another.
func (l leaf) changed() leaf {
	list := slices.Clone(l.objects)
	list[len(list)-1] = append(slices.Clone(list[len(list)-1]), '!')
	return leaf{list, l.group}
}

// agree has both read a record for its leaf, and refuse it for others.
func agree(t *testing.T, keepers []keeper, record []byte, l leaf, others ...leaf) {
	t.Helper()
	for _, k := range keepers {
		if err := k.read(t, record, l); err != nil {
			t.Errorf("%v: %v", k, err)
		}
		for _, other := range append(others, l.changed()) {
			if k.read(t, record, other) == nil {
				t.Errorf("%v takes it for another data object", k)
			}
		}
	}
}

// TestEvidence exchanges evidence records with Bouncy Castle.
func TestEvidence(t *testing.T) {
	ours, bc := newKeepers(t)
	t.Run("made", func(t *testing.T) { testEvidenceMade(t, ours, bc) })
	t.Run("renewed", func(t *testing.T) { testEvidenceRenewed(t, ours, bc) })
	t.Run("collections", func(t *testing.T) { testEvidenceCollections(t, ours, bc) })
	t.Run("differences", func(t *testing.T) { testEvidenceDifferences(t, ours, bc) })
}

// testEvidenceMade has records made by each of both, for one object, many, and groups, and read by each.
func testEvidenceMade(t *testing.T, ours sealmailKeeper, bc bouncyKeeper) {
	files, parameters := bc, bc
	files.fromFiles, parameters.parameters = true, true
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		for _, n := range []int{1, 2, 5, 23} {
			leaves := leavesOf(n)
			for _, writer := range []keeper{ours, bc, files, parameters} {
				t.Run(fmt.Sprintf("%v, %d leaves, by %v", hash, n, writer), func(t *testing.T) {
					for i, record := range writer.write(t, hash, leaves, firstYear) {
						var others []leaf
						for _, at := range []int{i ^ 1, (i + 7) % n} { // a brother, and one that is far
							if at != i && at < n {
								others = append(others, leaves[at])
							}
						}
						agree(t, []keeper{ours, bc}, record, leaves[i], others...)
					}
				})
			}
		}
	}
}

// testEvidenceRenewed has records made, renewed by time-stamp, by hash tree, and by time-stamp once more, by each of both in
// turn, and read by each after each step.
func testEvidenceRenewed(t *testing.T, ours sealmailKeeper, bc bouncyKeeper) {
	parameters := bc
	parameters.parameters = true
	leaves := leavesOf(5)
	years := func(n int) time.Time { return firstYear.AddDate(n, 0, 0) }
	for _, way := range []struct {
		first, second crypto.Hash
		theirs        keeper
	}{{crypto.SHA256, crypto.SHA512, bc}, {crypto.SHA384, crypto.SHA256, parameters}} {
		for combination := range 16 {
			by := func(step int) keeper {
				if combination>>step&1 == 0 {
					return ours
				}
				return way.theirs
			}
			t.Run(fmt.Sprintf("%v, %v, %v, %v, %v", way.first, by(0), by(1), by(2), by(3)), func(t *testing.T) {
				for i, record := range by(0).write(t, way.first, leaves, firstYear)[:2] {
					l := leaves[i]
					var err error
					if record, err = by(1).renewTimeStamp(t, record, years(1)); err != nil {
						t.Fatal(err)
					}
					agree(t, []keeper{ours, bc}, record, l, leaves[i^1])
					if record, err = by(2).renewHashTree(t, record, way.second, l, years(2)); err != nil {
						t.Fatal(err)
					}
					agree(t, []keeper{ours, bc}, record, l, leaves[i^1])
					if record, err = by(3).renewTimeStamp(t, record, years(3)); err != nil {
						t.Fatal(err)
					}
					agree(t, []keeper{ours, bc}, record, l, leaves[i^1])
				}
			})
		}
	}
}

// testEvidenceDifferences keeps where Bouncy Castle 1.72 reads RFC 4998 otherwise than we do: docs/evidence.md has the list.
func testEvidenceDifferences(t *testing.T, ours sealmailKeeper, bc bouncyKeeper) {
	years := func(n int) time.Time { return firstYear.AddDate(n, 0, 0) }
	must := func(record []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return record
	}
	one, two, group := single("one"), single("two"), groupOf("a", "b")
	digest := func(l leaf) []byte {
		list, _ := l.digests(crypto.SHA256)
		return list[0]
	}
	parsed := func(record []byte) *evidence.Record {
		t.Helper()
		r, err := evidence.Parse(record)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}

	// Four leaves under one father, as the RFC has any number of them.
	family := [][]byte{digest(two), digest(single("three")), digest(single("four"))}
	slices.SortFunc(family, bytes.Compare)
	all := slices.SortedFunc(slices.Values(append([][]byte{digest(one)}, family...)), bytes.Compare)
	wide := evidence.ArchiveTimeStamp{
		Hash: crypto.SHA256, ReducedHashtree: []evidence.PartialHashtree{{digest(one)}, family},
		TimeStamp: ours.token(t, crypto.SHA256, sha256Of(bytes.Join(all, nil)), firstYear),
	}

	first := ours.write(t, crypto.SHA256, []leaf{one}, firstYear)[0]
	thrice := must(ours.renewTimeStamp(t, must(ours.renewTimeStamp(t, first, years(1))), years(2)))

	// The octets of such an object are the digests of a group, one after the other.
	digests, _ := group.digests(crypto.SHA256)
	slices.SortFunc(digests, bytes.Compare)
	node := leaf{objects: [][]byte{bytes.Join(digests, nil)}}

	// The chain of one object, and behind it one that covers it together with another object.
	swapped := must(ours.renewHashTree(t, first, crypto.SHA512, two, years(1)))

	spoiled := parsed(first)
	token := slices.Clone(spoiled.Chains[0][0].TimeStamp)
	token[len(token)-1] ^= 1 // of the signature
	spoiled = evidence.NewRecord(evidence.ArchiveTimeStamp{Hash: crypto.SHA256, TimeStamp: token})

	for _, tt := range []struct {
		name   string
		record []byte
		leaf   leaf
		ours   error
		theirs string // what Bouncy Castle says; nothing: it takes it
	}{
		// Section 4.3, step 3: what was computed belongs to the next list before that is hashed.
		{"a list of three", marshal(t, evidence.NewRecord(wide)), one, nil, "timestamp hash does not match root"},
		// Section 5.3, step 2: a time-stamp is over the one before it, and need not be over those before that.
		{"three time-stamps in a chain", thrice, one, nil, "unable to process previous ArchiveTimeStamps"},
		// Section 4.3, step 2: the digest is in the first list.
		{"an inner node as an object", ours.write(t, crypto.SHA256, []leaf{group, one}, firstYear)[0], node, evidence.ErrObject, ""},
		// Section 5.3, step 1: the first chain is over the object as well.
		{"a first chain for another object", swapped, two, evidence.ErrObject, ""},
		// Section 5.1: in ascending order.
		{"a renewal before the time", must(bc.renewTimeStamp(t, first, years(-1))), one, evidence.ErrOrder, ""},
		// Section 5.3, step 2: each time-stamp is valid.
		{"an older token with a wrong signature", must(ours.renewTimeStamp(t, marshal(t, spoiled), years(1))), one, tsa.ErrSignature, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := ours.read(t, tt.record, tt.leaf); !errors.Is(err, tt.ours) {
				t.Errorf("sealmail: %v", err)
			}
			err := bc.read(t, tt.record, tt.leaf)
			if (err == nil) != (tt.theirs == "") || err != nil && !strings.Contains(err.Error(), tt.theirs) {
				t.Errorf("Bouncy Castle: %v", err)
			}
		})
	}
}

func sha256Of(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}
