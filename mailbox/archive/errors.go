package archive

import (
	"fmt"
	"time"
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
