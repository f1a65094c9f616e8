package evidence

import (
	"bytes"
	"crypto"
	"errors"
	"slices"

	"github.com/sealmail/sealmail/tsa"
)

// The rules for one archive time-stamp.
var (
	// ErrObject: the digest of the data object is among what the hash tree begins with (RFC 4998 section 4.3).
	ErrObject = errors.New("data object is not the one that the evidence is for")
	// ErrRoot: the hash tree leads to what the time-stamp is over (RFC 4998 section 4.3).
	ErrRoot = errors.New("hash tree does not lead to what the time-stamp is over")
	// ErrGroup: a group is proven whole, and nothing beside it (RFC 4998 section 4.3).
	ErrGroup = errors.New("evidence is for a group with other data objects as well")
)

// prove checks that the hash tree leads from these digests to what the time-stamp is over (RFC 4998 section 4.3); whole asks
// that it begins with nothing else. The signature of the time-stamp is another question.
func (a *ArchiveTimeStamp) prove(whole bool, digests ...[]byte) error {
	if len(digests) == 0 {
		return ErrEmpty
	}
	root := digests[0]
	if len(a.ReducedHashtree) == 0 {
		if len(digests) > 1 {
			return ErrObject
		}
	} else {
		first := a.ReducedHashtree[0]
		for _, digest := range digests {
			if !slices.ContainsFunc(first, func(value []byte) bool { return bytes.Equal(value, digest) }) {
				return ErrObject
			}
		}
		if whole && slices.ContainsFunc(first, func(value []byte) bool {
			return !slices.ContainsFunc(digests, func(digest []byte) bool { return bytes.Equal(value, digest) })
		}) {
			return ErrGroup
		}
		root = a.root()
	}
	token, err := a.readToken()
	if err != nil {
		return err
	}
	if over(token, a.Hash, root) != nil {
		if len(a.ReducedHashtree) == 0 {
			return ErrObject
		}
		return ErrRoot
	}
	return nil
}

// root computes the root of the reduced hash tree, which is there.
func (a *ArchiveTimeStamp) root() (value []byte) {
	for i, list := range a.ReducedHashtree {
		if i > 0 {
			list = append(list[:len(list):len(list)], value)
		}
		value = node(a.Hash, nil, list)
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
