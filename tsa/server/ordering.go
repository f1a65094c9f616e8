package server

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Ordered tokens (RFC 3161 section 2.4.2: "every time-stamp token from the same TSA can always be ordered based on the
// genTime field") have times that only grow, in steps of a microsecond at least. That holds over restarts and kills, and
// where the clock was set back: the state says up to which time tokens may have been issued, and is on the disk before the
// first token of such a time leaves. No token states a time that the clock has not reached; where it is behind, a request
// waits for it, or is refused.
const (
	// orderedAhead is for how much time one change of the state is enough, and the longest wait after a kill.
	orderedAhead = time.Second
	// maxOrderedWait is how long a request waits for the clock.
	maxOrderedWait = 2 * orderedAhead
)

// Why there is no time for a token.
var (
	errNoTime       = errors.New("clock gives no time")
	errOutOfService = errors.New("no token can be issued now")
	errClockBehind  = errors.New("clock is behind the last token")
)

// takeOrdered returns a serial number for a token of the time now, or how long the clock is behind the first time that
// is free.
func (s *serials) takeOrdered(now time.Time) (n *big.Int, behind time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := now.UnixMicro()
	if at <= s.last {
		return nil, time.UnixMicro(s.last + 1).Sub(now), nil
	}
	st := s.state
	if at > st.Until {
		st.Until = at + orderedAhead.Microseconds()
	}
	if n, err = s.takeNext(st); err != nil {
		return nil, 0, err
	}
	s.last = at
	return n, 0, nil
}

// settle notes the time of the last ordered token, so that who comes next need not wait.
func (s *serials) settle() error {
	if s.last >= s.state.Until { // or nothing was issued at such a time
		return nil
	}
	st := s.state
	st.Until = s.last
	return s.keep(st)
}

// after has ordered tokens begin behind a time: tokens up to then were issued without an order.
func (s *serials) after(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, at.UnixMicro())
}

// takeOrdered returns the time of an ordered token, in whole microseconds, and its serial number.
func (a *Authority) takeOrdered(ctx context.Context) (time.Time, *big.Int, error) {
	var waited time.Duration
	for {
		now, err := a.now(time.Microsecond)
		if err != nil {
			return now, nil, err
		}
		n, behind, err := a.serials.takeOrdered(now)
		if n != nil || err != nil {
			return now, n, err
		}
		// A try counts for a millisecond at least, should the clock stand still.
		if waited += max(behind, time.Millisecond); waited > maxOrderedWait {
			return now, nil, fmt.Errorf("%w by %v", errClockBehind, behind)
		}
		if err := a.wait(ctx, behind); err != nil {
			return now, nil, err
		}
	}
}

// waitFor waits for the time, or until the context ends.
func waitFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
