// Package verdict decides what may be said of a signed message, and is the only place that does.
//
// [Judge] is a pure function: from what was found in the message ([Subject]), what was found out about each signature
// ([Evidence]) and what is asked for ([Policy]) to a [Verdict]. It opens nothing, looks nothing up, and has no clock.
// Collecting evidence (paths, revocation, time stamps, address matches) is for its caller. What is missing from the
// evidence never counts as good.
//
// The words passed, failed and indeterminate are those of ETSI EN 319 102-1.
package verdict
