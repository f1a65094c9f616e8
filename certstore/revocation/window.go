package revocation

import "time"

// skew is how far clocks may differ.
const skew = 5 * time.Minute

// window is the time that a list or a response speaks for.
type window struct {
	from  time.Time // thisUpdate
	until time.Time // nextUpdate; zero where there is none: then it speaks for the time until thisUpdate
}

// early returns why the evidence does not count yet, or "".
func (w window) early(now time.Time) string {
	switch {
	case w.from.After(now.Add(skew)):
		return "it is dated in the future, on " + stamp(w.from)
	case !w.until.IsZero() && w.until.Before(w.from):
		return "its nextUpdate is before its thisUpdate"
	}
	return ""
}

// stale returns why the evidence is too old to say that a certificate was good at a time, or "".
func (w window) stale(at time.Time) string {
	switch {
	case w.until.IsZero() && at.After(w.from.Add(skew)):
		return "it is of " + stamp(w.from) + " and promises nothing for later"
	case !w.until.IsZero() && at.After(w.until.Add(skew)):
		return "it is out of date since " + stamp(w.until)
	}
	return ""
}

// forgotten returns why evidence does not speak of a certificate that expired before, or "". cutoff is the time from
// which expired certificates are kept in mind (archiveCutoff, expiredCertsOnCRL), or zero.
func (w window) forgotten(notAfter, cutoff time.Time) string {
	if w.from.After(notAfter) && (cutoff.IsZero() || cutoff.After(notAfter)) {
		return "it was made after the certificate expired, when revocations may have been dropped"
	}
	return ""
}
