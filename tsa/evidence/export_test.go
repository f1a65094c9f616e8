package evidence

const MaxVerified = maxVerified

// Prove is what Verify does with one time-stamp but its signature and its authority, which take most of the time.
func (a *ArchiveTimeStamp) Prove(whole bool, digests ...[]byte) error {
	return a.prove(whole, digests...)
}

// Len is how many tokens are remembered.
func (v *VerifiedTokens) Len() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.known)
}
