package evidence

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sealmail/sealmail/tsa"
)

// The rules for one archive time-stamp.
var (
	// ErrObject: the digest of the data object is among what the hash tree begins with (RFC 4998 section 4.3). It is what an
	// [ObjectError] wraps.
	ErrObject = errors.New("data object is not the one that the evidence is for")
	// ErrRoot: the hash tree leads to what the time-stamp is over (RFC 4998 section 4.3).
	ErrRoot = errors.New("hash tree does not lead to what the time-stamp is over")
	// ErrGroup: the hash tree begins with these data objects alone, where that is asked for (RFC 4998 section 4.3).
	ErrGroup = errors.New("evidence is for other data objects as well")
)

// ObjectError says which of several data objects are not those that the evidence is for. It wraps [ErrObject].
type ObjectError struct {
	Wrong []int // where they are among the digests that were given, ascending; at least one
	Of    int   // how many were given
}

func (e *ObjectError) Error() string {
	if e.Of == 1 {
		return ErrObject.Error()
	}
	const enough = 5
	var b strings.Builder
	for i, at := range e.Wrong[:min(len(e.Wrong), enough)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(at + 1))
	}
	if more := len(e.Wrong) - enough; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return fmt.Sprintf("%v: %s of %d", ErrObject, b.String(), e.Of)
}

func (e *ObjectError) Unwrap() error { return ErrObject }

// prove checks that the hash tree leads from these digests to what the time-stamp is over (RFC 4998 section 4.3); whole asks
// that it begins with nothing else. The signature of the time-stamp is another question.
func (a *ArchiveTimeStamp) prove(whole bool, digests ...[]byte) error {
	if len(digests) == 0 {
		return ErrEmpty
	}
	token, err := a.readToken()
	if err != nil {
		return err
	}
	first := PartialHashtree{token.Info.Imprint.HashedMessage}
	root := first[0]
	if len(a.ReducedHashtree) > 0 {
		first, root = a.ReducedHashtree[0], a.root()
	}
	if err := first.begins(whole, digests); err != nil {
		return err
	}
	if over(token, a.Hash, root) != nil {
		return ErrRoot
	}
	return nil
}

// begins checks that a list, the first of a hash tree, has all these digests; whole asks that it has no others. It takes the
// time of one pass over each, whatever is in them.
func (list PartialHashtree) begins(whole bool, digests [][]byte) error {
	found := make(map[string]bool, len(digests))
	for _, digest := range digests {
		found[string(digest)] = false
	}
	others := 0
	for _, value := range list {
		if _, ok := found[string(value)]; ok {
			found[string(value)] = true
		} else {
			others++
		}
	}
	var wrong []int
	for i, digest := range digests {
		if !found[string(digest)] {
			wrong = append(wrong, i)
		}
	}
	switch {
	case len(wrong) > 0:
		return &ObjectError{Wrong: wrong, Of: len(digests)}
	case whole && others > 0:
		return fmt.Errorf("%w: %d", ErrGroup, others)
	}
	return nil
}

// root computes the root of the reduced hash tree, which is there (RFC 4998 section 4.3, step 3): the hash over each list,
// sorted, belongs to the next one.
func (a *ArchiveTimeStamp) root() (value []byte) {
	h := a.Hash.New()
	var nodes [][]byte
	for _, list := range a.ReducedHashtree {
		nodes = append(nodes[:0], list...) // sorted below, which is not for a list of the caller
		if value != nil {
			nodes = append(nodes, value)
		}
		value = node(h, nil, nodes)
	}
	return value
}

func (a *ArchiveTimeStamp) readToken() (*tsa.Token, error) {
	if a.token != nil {
		return a.token, nil
	}
	return tsa.ParseToken(a.TimeStamp)
}

// over makes sure that a token is over this value, which the same hash algorithm made.
func over(token *tsa.Token, hash crypto.Hash, value []byte) error {
	named, err := token.Info.Imprint.Hash(true)
	if err == nil && (named != hash || !bytes.Equal(token.Info.Imprint.HashedMessage, value)) {
		err = errors.New("it is not over this hash tree")
	}
	if err != nil {
		return &tsa.TokenError{Code: tsa.CodeMismatch, Rule: tsa.ErrImprint, Err: err}
	}
	return nil
}
