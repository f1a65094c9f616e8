package evidence

// Prove is what Verify does with one time-stamp but its signature and its authority, which take most of the time.
func (a *ArchiveTimeStamp) Prove(whole bool, digests ...[]byte) error {
	return a.prove(whole, digests...)
}
