package mailbox

import (
	"context"
	"errors"
	"slices"

	"github.com/emersion/go-imap/v2"
)

// folderBudget bounds the answer to LIST, in octets.
const folderBudget = 16 << 20

// Folders lists the folders that can hold messages, with the special use of each where the server tells it.
func (s *IMAP) Folders(ctx context.Context) ([]Folder, error) {
	session, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer s.release()

	var options *imap.ListOptions
	if session.caps.Has(imap.CapListExtended) && session.caps.Has(imap.CapSpecialUse) {
		options = &imap.ListOptions{ReturnSpecialUse: true} // RFC 6154 section 2
	}
	data, err := session.list(ctx, "*", options)
	if err != nil {
		return nil, err
	}
	var folders []Folder
	for _, d := range data {
		// RFC 9051 section 7.3.1: neither can be selected.
		if slices.Contains(d.Attrs, imap.MailboxAttrNoSelect) || slices.Contains(d.Attrs, imap.MailboxAttrNonExistent) {
			continue
		}
		f := Folder{Name: d.Mailbox}
		for _, a := range d.Attrs {
			f.Attributes = append(f.Attributes, string(a))
		}
		folders = append(folders, f)
	}
	return folders, nil
}

// list asks which folders there are.
func (s *imapSession) list(ctx context.Context, pattern string, options *imap.ListOptions) (data []*imap.ListData, err error) {
	err = s.do(ctx, "list folders", folderBudget, func() error {
		data, err = s.client.List("", pattern, options).Collect()
		return err
	})
	return data, err
}

// explain finds out whether a folder was refused because there is none. Dovecot, for one, does not say.
func (s *imapSession) explain(ctx context.Context, folder string, err error) error {
	if refused := (*ServerError)(nil); !errors.As(err, &refused) || refused.Status != string(imap.StatusResponseTypeNo) {
		return err
	}
	// The name may hold wildcards, which find more than was looked for and nothing less.
	data, unknown := s.list(ctx, folder, nil)
	if unknown == nil && !slices.ContainsFunc(data, func(d *imap.ListData) bool { return d.Mailbox == folder }) {
		return ErrNoFolder
	}
	return err
}

// Status asks for the present state of a folder.
func (s *IMAP) Status(ctx context.Context, folder string) (Status, error) {
	folder, err := folderName(folder)
	if err != nil {
		return Status{}, err
	}
	session, err := s.acquire(ctx)
	if err != nil {
		return Status{}, err
	}
	defer s.release()

	// RFC 9051 section 6.3.11: STATUS is not for the selected folder.
	if session.selected == folder {
		delete(s.validity, folder) // what is told now is what holds from now on
		data, err := s.choose(ctx, session, folder, session.writable, true)
		if err != nil {
			return Status{}, err
		}
		return stateOf(data), nil
	}
	var data *imap.StatusData
	err = session.do(ctx, "ask for folder", answerBudget, func() (err error) {
		options := &imap.StatusOptions{NumMessages: true, UIDNext: true, UIDValidity: true, HighestModSeq: session.caps.Has(imap.CapCondStore)}
		data, err = session.client.Status(folder, options).Wait()
		return err
	})
	if err != nil {
		return Status{}, inFolder(folder, session.explain(ctx, folder, err))
	}
	if data.NumMessages == nil {
		return Status{}, inFolder(folder, s.nonsense(session, "ask for folder", "the number of messages is missing"))
	}
	s.validity[folder] = data.UIDValidity
	s.seen[folder] = Status{UIDValidity: data.UIDValidity, UIDNext: UID(data.UIDNext), Messages: *data.NumMessages, HighestModSeq: data.HighestModSeq}
	return s.seen[folder], nil
}

// nonsense ends a session whose server does not keep to the protocol.
func (s *IMAP) nonsense(session *imapSession, step, what string) error {
	err := reasonError{ReasonProtocol, what}
	session.conn.fail(err)
	return connectError(session.endpoint, step, err)
}

// ensure makes a folder if it is missing. A server says so only when it is asked to store a message, some before and
// some after they took all of it: asking first means that a message is sent once.
func (s *IMAP) ensure(ctx context.Context, session *imapSession, folder string) error {
	if session.known[folder] {
		return nil
	}
	err := session.do(ctx, "ask for folder", answerBudget, func() error {
		_, err := session.client.Status(folder, &imap.StatusOptions{UIDValidity: true}).Wait()
		return err
	})
	switch err = session.explain(ctx, folder, err); {
	case err == nil:
		session.known[folder] = true
		return nil
	case !errors.Is(err, ErrNoFolder):
		return inFolder(folder, err)
	}
	err = session.do(ctx, "make folder", answerBudget, func() error {
		return session.client.Create(folder, nil).Wait()
	})
	var refused *ServerError
	if errors.As(err, &refused) && refused.Code == string(imap.ResponseCodeAlreadyExists) {
		err = nil
	}
	if err != nil {
		return inFolder(folder, err)
	}
	// Other programs show only what is subscribed to; that it is not is no reason to keep a message out.
	err = session.do(ctx, "subscribe to folder", answerBudget, func() error {
		return session.client.Subscribe(folder).Wait()
	})
	if err != nil && !errors.As(err, &refused) && !errors.Is(err, ErrNoFolder) {
		return inFolder(folder, err)
	}
	session.known[folder] = true
	return nil
}
