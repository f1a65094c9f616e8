package archive

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Head says what an archive consists of, and is signed: every object that never changes, with its SHA-512. It is exchanged
// whenever something was added, so that what is in the archive is what the head says, whatever lies in the folder beside it.
type Head struct {
	Archive  string    // its identifier
	Sequence int64     // one more with each head, from 1
	Time     time.Time // when it was signed, as the signer's clock had it; seconds are kept

	Messages   int64 // numbers that were given
	Segments   int
	Statements int
	Renewals   int   // how often all evidence that there was then was renewed
	Unstamped  []int // segments that have no time-stamp yet, ascending

	Objects []ObjectSum // by name, ascending

	undigested bool // it was made of what there is, for want of one that was signed, and has no digests
}

// ObjectSum is an object's digest.
type ObjectSum struct {
	Name   string
	SHA512 [sha512.Size]byte
}

const (
	headTitle = "sealmail archive head, version 1"
	// maxHead bounds the octets of a head: what there is to say of an archive of sixty million messages.
	maxHead = 64 << 20
	// headReserve is what segments leave of that for statements, renewals and keys of later generations: who has no room for another
	// segment can still hold, release and destroy.
	headReserve = 16 << 20
)

// marshal returns the text that is signed. After a blank line it is what sha512sum prints and checks.
func (h *Head) marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nArchive: %s\nSequence: %d\nTime: %s\nMessages: %d\nSegments: %d\nStatements: %d\nRenewals: %d\n",
		headTitle, h.Archive, h.Sequence, h.Time.UTC().Format(time.RFC3339), h.Messages, h.Segments, h.Statements, h.Renewals)
	b.WriteString("Unstamped:")
	for _, segment := range h.Unstamped {
		fmt.Fprintf(&b, " %d", segment)
	}
	b.WriteString("\n\n")
	for _, o := range h.Objects {
		fmt.Fprintf(&b, "%x  %s\n", o.SHA512, o.Name)
	}
	return b.Bytes()
}

var errHead = errors.New("not the head of an archive of a kind that is known")

// parseHead reads what marshal returns, and nothing else.
func parseHead(text []byte) (*Head, error) {
	h := &Head{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(make([]byte, 0, 4096), 1<<20)
	next := func(name string) string {
		if !lines.Scan() {
			return ""
		}
		value, _ := strings.CutPrefix(lines.Text(), name+":")
		return strings.TrimPrefix(value, " ")
	}
	if !lines.Scan() || lines.Text() != headTitle {
		return nil, errHead
	}
	h.Archive = next("Archive")
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(next(name), 10, 64)
		return n
	}
	h.Sequence = number("Sequence")
	h.Time, _ = time.Parse(time.RFC3339, next("Time"))
	h.Messages = number("Messages")
	h.Segments, h.Statements, h.Renewals = int(number("Segments")), int(number("Statements")), int(number("Renewals"))
	for _, word := range strings.Fields(next("Unstamped")) {
		segment, _ := strconv.Atoi(word)
		h.Unstamped = append(h.Unstamped, segment)
	}
	lines.Scan() // the blank line
	for lines.Scan() {
		digits, name, _ := strings.Cut(lines.Text(), "  ")
		o := ObjectSum{Name: name}
		if sum, err := hex.DecodeString(digits); err == nil && len(sum) == len(o.SHA512) {
			copy(o.SHA512[:], sum)
		}
		h.Objects = append(h.Objects, o)
	}
	if !bytes.Equal(h.marshal(), text) || !h.sound() {
		return nil, errHead
	}
	return h, nil
}

// sound reports whether the numbers of a head make sense.
func (h *Head) sound() bool {
	within := func(n int64, most int64) bool { return n >= 0 && n <= most }
	return isIdentifier(h.Archive) && h.Sequence > 0 && within(h.Messages, maxNumber) && within(int64(h.Segments), maxSegment) &&
		within(int64(h.Statements), maxSegment) && within(int64(h.Renewals), maxRenewals) &&
		ascending(h.Unstamped, cmp.Compare[int]) && (len(h.Unstamped) == 0 || h.Unstamped[0] > 0 && h.Unstamped[len(h.Unstamped)-1] <= h.Segments) &&
		ascending(h.Objects, compareObjects)
}

// ascending reports whether each member is greater than the one before it.
func ascending[T any](list []T, compare func(a, b T) int) bool {
	for i := 1; i < len(list); i++ {
		if compare(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}

func compareObjects(a, b ObjectSum) int { return strings.Compare(a.Name, b.Name) }

// Sum returns the digest that an object must have; ok is false where it is none of the archive's.
func (h *Head) Sum(name string) (sum [sha512.Size]byte, ok bool) {
	i, ok := slices.BinarySearchFunc(h.Objects, ObjectSum{Name: name}, compareObjects)
	if ok {
		sum = h.Objects[i].SHA512
	}
	return sum, ok
}

// put adds objects, in the place of those of the same names.
func (h *Head) put(objects ...ObjectSum) {
	for _, o := range objects {
		i, found := slices.BinarySearchFunc(h.Objects, o, compareObjects)
		if found {
			h.Objects[i] = o
			continue
		}
		h.Objects = slices.Insert(h.Objects, i, o)
	}
}

// drop takes an object out.
func (h *Head) drop(name string) {
	if i, found := slices.BinarySearchFunc(h.Objects, ObjectSum{Name: name}, compareObjects); found {
		h.Objects = slices.Delete(h.Objects, i, i+1)
	}
}

// clone returns a head that can be changed while this one stands.
func (h *Head) clone() *Head {
	c := *h
	c.Unstamped, c.Objects = slices.Clone(h.Unstamped), slices.Clone(h.Objects)
	return &c
}

// readHead reads the head that lies in the storage; raw are its octets. Who signed it is not asked.
func readHead(ctx context.Context, s Storage) (h *Head, raw []byte, err error) {
	if raw, err = readObject(ctx, s, headName, maxHead); err != nil {
		return nil, nil, err
	}
	h, _, err = openHead(ctx, raw)
	return h, raw, err
}

// openHead reads a head out of octets, each of which counts.
func openHead(ctx context.Context, raw []byte) (*Head, *signedObject, error) {
	signed, err := openSigned(ctx, raw, nil)
	if err == nil {
		err = oneForm(raw, signed.content, signed.data, signed.info)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", headName, err)
	}
	h, err := parseHead(signed.content)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", headName, err)
	}
	return h, signed, nil
}
