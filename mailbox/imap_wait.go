package mailbox

import (
	"context"
	"io"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

const (
	// idleRenewal is how long an IDLE lasts. RFC 2177 section 3 wants it renewed within 29 minutes; much sooner, a line
	// that is dead shows, and what lies between does not take it for one.
	idleRenewal = 9 * time.Minute
	// pollInterval is how often a server without IDLE is asked for news.
	pollInterval = time.Minute
)

// newsHandler notes what a server tells of the selected folder without being asked. It is called while the library reads,
// and does not block.
func (s *imapSession) newsHandler() *imapclient.UnilateralDataHandler {
	note := func() {
		select {
		case s.news <- struct{}{}:
		default: // is noted already
		}
	}
	return &imapclient.UnilateralDataHandler{
		Expunge: func(uint32) { note() },
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				note()
			}
		},
		Fetch: func(m *imapclient.FetchMessageData) {
			for m.Next() != nil { // the library goes on when everything was taken
			}
			note()
		},
	}
}

// forgetNews is for when the folder is looked at anew: what the server told before is seen then.
func (s *imapSession) forgetNews() {
	select {
	case <-s.news:
	default:
	}
}

// Wait uses IDLE (RFC 2177) where the server has it, and asks now and then elsewhere. News that came since the folder was
// last looked at end it at once.
func (s *IMAP) Wait(ctx context.Context, folder string, longest time.Duration) error {
	folder, err := folderName(folder)
	if err != nil {
		return err
	}
	session, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer s.release()
	before, looked := s.seen[folder]
	state, err := s.choose(ctx, session, folder, false, false)
	if err != nil {
		return err
	}
	if state != nil && looked && before != s.seen[folder] {
		return nil // it was changed while it was not open
	}
	if err := session.wait(ctx, longest); err != nil {
		return inFolder(folder, err)
	}
	return nil
}

// wait waits for news of the selected folder, for so long at most.
func (s *imapSession) wait(ctx context.Context, longest time.Duration) error {
	once, interval := s.poll, pollInterval
	if s.caps.Has(imap.CapIdle) {
		once, interval = s.idle, idleRenewal
	}
	for longest > 0 {
		d := min(longest, interval)
		if told, err := once(ctx, d); told || err != nil {
			return err
		}
		longest -= d
	}
	return nil
}

// idle waits in one IDLE command, and reports whether there are news.
func (s *imapSession) idle(ctx context.Context, longest time.Duration) (told bool, err error) {
	var cmd *imapclient.IdleCommand
	err = s.do(ctx, "wait for news", answerBudget, func() (err error) {
		cmd, err = s.client.Idle()
		return err
	})
	if err != nil {
		return false, err
	}
	told, err = s.rest(ctx, longest)
	if err != nil && ctx.Err() == nil {
		return false, err
	}
	// Who gives up ends the command all the same (RFC 2177 section 3), in bounded time: the session can go on, or log out.
	ending := ctx
	if err != nil {
		var cancel context.CancelFunc
		ending, cancel = context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
	}
	ended := s.do(ending, "wait for news", answerBudget, func() error {
		if err := cmd.Close(); err != nil {
			return err
		}
		return cmd.Wait()
	})
	if err == nil {
		err = ended
	}
	return told, err
}

// poll asks for news, and waits then.
func (s *imapSession) poll(ctx context.Context, longest time.Duration) (told bool, err error) {
	err = s.do(ctx, "ask for news", answerBudget, func() error { return s.client.Noop().Wait() })
	if err != nil {
		return false, err
	}
	return s.rest(ctx, longest)
}

// rest waits, outside of a step, and reports whether there are news.
func (s *imapSession) rest(ctx context.Context, longest time.Duration) (told bool, err error) {
	select { // news come before everything else
	case <-s.news:
		return true, nil
	default:
	}
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-s.news:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
		return false, connectError(s.endpoint, "wait for news", ctx.Err())
	case <-s.client.Closed():
	}
	return false, s.do(context.WithoutCancel(ctx), "wait for news", answerBudget, func() error { return io.ErrUnexpectedEOF })
}
