package verdict

import "time"

// Status is the outcome of a check, of a signature, or of a message.
type Status string

// The values of Status. A check may be Skipped; a message without a signature that speaks for it is Unsigned.
const (
	Passed        Status = "passed"
	Failed        Status = "failed"
	Indeterminate Status = "indeterminate"
	Skipped       Status = "skipped"
	Unsigned      Status = "unsigned"
)

// Check is the outcome of one check.
type Check struct {
	Status Status
	Code   string // a stable word; "" where there is nothing to say
	Reason string // a sentence
	Err    error  // what it was decided by, where that is an error
}

// SignatureVerdict is what is said of one signature.
type SignatureVerdict struct {
	Layer      int    // index in Subject.Layers
	Signature  int    // index in its Signatures; -1 where a signed layer holds no signature
	Covers     Covers // how much of the message it speaks for
	Judged     bool   // the verdict on the message depends on it
	Status     Status
	Integrity  Check
	Chain      Check
	Revocation Check
	Address    Check
	Time       Check
}

// Warning is something that does not change the verdict and that the user ought to know.
type Warning struct {
	Code   string // a stable word
	Reason string // a sentence
}

// Verdict is what is said of a message.
type Verdict struct {
	Status     Status // Passed, Failed, Indeterminate or Unsigned
	Signatures []SignatureVerdict
	Warnings   []Warning
}

// Bound reports whether a valid signature speaks for the address in From: what RFC 9788 section 4.4.1.2 calls a valid
// and correctly bound signature.
func (v Verdict) Bound() bool { return v.Status == Passed }

// RevocationMode says what becomes of a verdict where nothing is known about revocation.
type RevocationMode string

// The values of RevocationMode; the zero value is RevocationSoft.
const (
	RevocationSoft RevocationMode = "soft" // it is reported, and does not hold the verdict back
	RevocationHard RevocationMode = "hard" // it does
	RevocationOff  RevocationMode = "off"  // nobody asks
)

// Policy is what a verdict is measured by. Weak algorithms are allowed when a message is opened, because they have to be
// verified all the same: see [Signature].
type Policy struct {
	Revocation RevocationMode
	Now        time.Time // the time that counts where none is proven
	Own        []string  // addresses of the reader, to tell whether a message was meant for them; none: not told
}
