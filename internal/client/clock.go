package client

import (
	"fmt"
	"time"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/tsa"
)

// maxClockError is how far the clock of this machine may be off, beyond what a token leaves open, before it is said.
const maxClockError = time.Minute

// clockOff returns by how much the clock of this machine is ahead (or, below zero, behind) of that of an authority which was
// asked and answered at these times: by as much at least, and 0 where it may be that it is not.
func clockOff(asked, answered time.Time, r *tsa.Result) time.Duration {
	if off := asked.Sub(r.Time); off > r.Accuracy+maxClockError {
		return off
	}
	if off := answered.Sub(r.Time); off < -r.Accuracy-maxClockError {
		return off
	}
	return 0
}

// clockWords says how the clocks differ.
func (t stamped) clockWords() string {
	way := "ahead of"
	if t.clockOff < 0 {
		way = "behind"
	}
	return fmt.Sprintf("the clock of this machine is %s %s that of %s", t.clockOff.Abs().Round(time.Second), way, certstore.Name(t.result.Authority))
}
