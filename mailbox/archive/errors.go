package archive

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Errors of what is said about an archive's messages; they arrive wrapped.
var (
	// ErrNumbers says that a text is no set of numbers of messages.
	ErrNumbers = errors.New("not numbers of messages, such as 1-500,502")
	// ErrPeriod says that a text is no period.
	ErrPeriod = errors.New("not a period, such as 10y, 6m, 30d or 1y6m")
	// ErrStatement says that a statement is none, or does not belong where it is.
	ErrStatement = errors.New("not a statement that can be made here")
	// ErrHoldExists says that there is a hold of this name, which was not released.
	ErrHoldExists = errors.New("there is a hold of this name")
	// ErrNoHold says that there is no hold of this name, or that it was released.
	ErrNoHold = errors.New("there is no hold of this name")
	// ErrUnstamped says that a segment has no time-stamp yet.
	ErrUnstamped = errors.New("it has no time-stamp yet")
	// ErrUnproven says that nobody here can say what time a segment's stamps prove.
	ErrUnproven = errors.New("its time is not proven")
	// ErrUnsealed says that there is an open segment, which has to be sealed first.
	ErrUnsealed = errors.New("there is a segment that is not sealed yet")
	// ErrUnfinished says that an earlier change failed. Another Writer finds out what stands, and can go on.
	ErrUnfinished = errors.New("an earlier change of the archive failed")
)

// ShreddedError says that a message cannot be read any more, because its keys were shredded, as was meant. It wraps ErrNoKey.
type ShreddedError struct {
	Number Number
	At     time.Time
}

func (e *ShreddedError) Error() string {
	return fmt.Sprintf("message %d was destroyed on %s", e.Number, e.At.UTC().Format(time.DateOnly))
}

func (e *ShreddedError) Unwrap() error { return ErrNoKey }

// Refusal says why a message may not be destroyed.
type Refusal struct {
	Number   Number
	Holds    []Hold    // that cover it
	Retained *Retained // that is not over; nil: there is none
	Shares   NumberSet // messages that have the same octets, and were not to be destroyed as well
}

// String says all reasons.
func (r Refusal) String() string {
	var why []string
	for _, h := range r.Holds {
		why = append(why, "is held by "+strconv.Quote(h.Name))
	}
	switch {
	case r.Retained == nil:
	case r.Retained.From.IsZero():
		why = append(why, "must be kept for "+r.Retained.Period.String()+" from its time-stamp, which it has not yet")
	default:
		why = append(why, "must be kept until "+r.Retained.Until.UTC().Format(time.DateOnly))
	}
	if r.Shares.Len() > 0 {
		why = append(why, "has the same octets as "+r.Shares.String())
	}
	return fmt.Sprintf("message %d %s", r.Number, strings.Join(why, ", and "))
}

// RefusedError says which messages may not be destroyed, so that nothing was.
type RefusedError struct {
	Refusals []Refusal // by number, ascending; there is one at least
}

func (e *RefusedError) Error() string {
	text := e.Refusals[0].String()
	if more := len(e.Refusals) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more may not be destroyed)", more)
	}
	return text
}
