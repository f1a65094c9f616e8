package ca

import (
	"crypto"
	"io"
)

// countingSigner counts what a key signs.
type countingSigner struct {
	crypto.Signer
	count int
}

func (s *countingSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.count++
	return s.Signer.Sign(rand, digest, opts)
}
