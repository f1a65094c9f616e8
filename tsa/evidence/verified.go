package evidence

import (
	"crypto"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/sealmail/sealmail/tsa"
)

// VerifiedTokens are tokens that held. What is verified with the same VerifiedTokens must be verified by the same Path,
// Revocation and AllowWeak: what held for others would hold here. It is safe for concurrent use, and its zero value is empty.
type VerifiedTokens struct {
	mu    sync.Mutex
	known map[verifiedToken]*tsa.Result
}

// verifiedToken names a token by its octets, and until when it had to hold.
type verifiedToken struct {
	sum   [sha256.Size]byte
	hash  crypto.Hash
	until time.Time // in UTC, without a monotonic clock: equal where the time is
}

// maxVerified bounds how many are remembered. Records that were made together have one token, and one for each renewal.
const maxVerified = 256

// once verifies a token, unless it held before. Several may be the first to look.
func (v *VerifiedTokens) once(token *tsa.Token, hash crypto.Hash, until time.Time, verify func() (*tsa.Result, error)) (*tsa.Result, error) {
	if v == nil {
		return verify()
	}
	key := verifiedToken{sha256.Sum256(token.Raw), hash, until.UTC().Round(0)}
	v.mu.Lock()
	result := v.known[key]
	v.mu.Unlock()
	if result != nil {
		return result, nil
	}
	result, err := verify()
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil || len(v.known) >= maxVerified {
		v.known = make(map[verifiedToken]*tsa.Result)
	}
	v.known[key] = result
	return result, nil
}
