package mailbox

import (
	"context"
	"errors"

	"github.com/emersion/go-imap/v2"
)

// ServerID is what a server says that it is (RFC 2971), for people who look for the cause of trouble: nothing may hang on
// it. Each field may be empty.
type ServerID struct {
	Name, Version, Vendor, SupportURL string
}

// ServerID returns what the server said of itself when the connection was made.
func (s *IMAP) ServerID() ServerID {
	s.lock <- struct{}{}
	defer s.release()
	return s.serverID
}

// identify says that this is sealmail, and neither its version nor anything of this machine: there are servers that serve
// nobody who does not say who they are. A server that will not hear it is not asked to.
func (s *imapSession) identify(ctx context.Context) error {
	if !s.caps.Has(imap.CapID) {
		return nil
	}
	err := s.do(ctx, stepIdentify, answerBudget, func() error {
		data, err := s.client.ID(&imap.IDData{Name: "sealmail"}).Wait()
		if err == nil {
			s.serverID = ServerID{
				Name: cleanText(data.Name), Version: cleanText(data.Version), Vendor: cleanText(data.Vendor), SupportURL: cleanText(data.SupportURL),
			}
		}
		return err
	})
	if errors.As(err, new(*ServerError)) {
		return nil
	}
	return err
}

const stepIdentify = "identify"

// mistookID reports whether a session ended because the library did not understand how the server identifies itself: it
// knows no NIL among the values, which RFC 2971 section 3.3 allows.
func mistookID(err error) bool {
	var connect *ConnectError
	return errors.As(err, &connect) && connect.Step == stepIdentify && connect.Reason == ReasonProtocol
}
